//! How much memory this process can have.

use std::fs;

/// Bytes of memory that this process can have: the machine's, or what a control group or a limit on its
/// address space leaves of it. `None` where the system does not say.
pub(crate) fn limit() -> Option<u64> {
    [machine(), group(), address_space()].into_iter().flatten().min()
}

/// The machine's memory, of /proc/meminfo.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least limit of the control groups that this process is in.
fn group() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mut folder = std::path::Path::new("/sys/fs/cgroup").join(own);
    let mut least: Option<u64> = None;
    loop {
        let limit = fs::read_to_string(folder.join("memory.max")).ok();
        let limit = limit.and_then(|limit| limit.trim().parse().ok());
        least = [least, limit].into_iter().flatten().min();
        if folder.as_os_str() == "/sys/fs/cgroup" || !folder.pop() {
            return least;
        }
    }
}

/// The limit on the address space (`ulimit -v`), of /proc/self/limits.
fn address_space() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_machine_says_how_much_memory_it_has() {
        assert!(machine().is_some_and(|bytes| bytes > 1 << 28), "{:?}", machine());
        assert!(limit() <= machine());
    }
}
