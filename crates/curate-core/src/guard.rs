//! Panics of dependencies, kept to the row that made one.
//!
//! Decoders and parsers of other people's formats have faults of their own. Where one works on a single
//! row, [`guarded`] turns its panic into a reason to set that row aside, and the run goes on.
//!
//! ```
//! use curate_core::guard::guarded;
//!
//! let rows = [[1, 2].as_slice(), &[]];
//! let firsts = rows.map(|row| guarded(|| row[0]).ok());
//! assert_eq!(firsts, [Some(1), None]);
//! ```

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Characters of a panic's message that are kept.
const MESSAGE: usize = 200;

thread_local! {
    static GUARDS: Cell<usize> = const { Cell::new(0) };
}

/// What the work answers, or the message of its panic, cut to a line. What the work was changing when it
/// panicked may be half changed: drop it.
///
/// # Errors
/// When the work panics.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    GUARDS.set(GUARDS.get() + 1);
    let answer = catch_unwind(AssertUnwindSafe(work));
    GUARDS.set(GUARDS.get() - 1);
    answer.map_err(|panic| message(&*panic))
}

/// Whether a panic on this thread would be a row's alone: a program's hook stays silent then.
pub fn is_guarded() -> bool {
    GUARDS.get() > 0
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").split(['\n', '\r']).next().map_or_else(String::new, |line| {
        line.chars().filter(|c| !c.is_control()).take(MESSAGE).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_line_and_ends_nothing() {
        let failed = guarded(|| -> usize { panic!("row {}\nof many", 3) });
        assert_eq!(failed, Err("row 3".to_owned()));
        assert_eq!(guarded(|| -> u8 { panic!("plain") }), Err("plain".to_owned()));
        assert_eq!(guarded(|| guarded(is_guarded)), Ok(Ok(true)));
        assert!(!is_guarded());
    }
}
