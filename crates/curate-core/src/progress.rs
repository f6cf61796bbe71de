//! Progress as data: a method says what it does, the caller shows it or cancels it.

/// Receives what a method reports. Implementations must be cheap: events come once a block.
pub trait Progress: Sync {
    /// A task of `total` units (rows, clusters, bytes) begins.
    fn start(&self, task: &str, total: u64, unit: &str);

    /// `by` more units are done.
    fn advance(&self, by: u64);

    /// A number worth showing while the task runs, for example the inertia of an iteration.
    fn metric(&self, _name: &str, _value: f64) {}

    /// The task has ended.
    fn finish(&self) {}

    /// True when the caller wants the work to stop; asked between blocks.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// An error when the caller wants the work to stop.
    ///
    /// # Errors
    /// [`Cancelled`].
    fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// The caller asked a method to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped: the caller asked the work to stop")]
pub struct Cancelled;

/// Ignores every report.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}
    fn advance(&self, _by: u64) {}
}
