//! Long work, as a caller sees it.

use curate_core::{Cancelled, Progress};

/// One task that is reported from its start to its end, however it ends: a cancelled or failed task
/// must close its bar too, so the end is reported when this is dropped.
pub(crate) struct Task<'a>(&'a dyn Progress);

impl<'a> Task<'a> {
    pub(crate) fn start(progress: &'a dyn Progress, name: &str, total: usize, unit: &str) -> Self {
        progress.start(name, total as u64, unit);
        Task(progress)
    }

    /// Does one unit of the work, unless the caller wants it to stop.
    pub(crate) fn unit<T>(&self, work: impl FnOnce() -> T) -> Result<T, Cancelled> {
        self.0.check()?;
        let made = work();
        self.0.advance(1);
        Ok(made)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
