//! Tasks that a caller sees.

use curate_core::Progress;

/// Runs a task and reports that it ended, however it ended: a bar that an error left standing would
/// look like work.
pub(crate) fn task<T>(
    progress: &dyn Progress,
    name: &str,
    total: usize,
    work: impl FnOnce() -> T,
) -> T {
    progress.start(name, total as u64, "rows");
    let answer = work();
    progress.finish();
    answer
}
