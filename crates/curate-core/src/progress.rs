//! Progress as data: a method says what it does, the caller shows it or cancels it.

/// Receives what a method reports. Implementations must be cheap: events come once a block.
pub trait Progress: Sync {
    /// A task of `total` units (rows, clusters, bytes) begins.
    fn start(&self, task: &str, total: u64, unit: &str);

    /// Larger work, for example a recipe, comes to one of its stages: the tasks that follow are of this
    /// stage. With `None` they are of the work as a whole again.
    fn stage(&self, _stage: Option<StageOf<'_>>) {}

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

/// A stage of larger work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageOf<'a> {
    /// Its number, counted from 1.
    pub number: usize,
    /// How many stages there are.
    pub of: usize,
    /// Its name.
    pub name: &'a str,
}

/// The caller asked a method to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped: the caller asked the work to stop")]
pub struct Cancelled;

/// Passes on the wish to stop and nothing else: for work that is one unit of a larger task.
pub struct Quiet<'a>(pub &'a dyn Progress);

impl Progress for Quiet<'_> {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}
    fn advance(&self, _by: u64) {}
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Ignores every report.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}
    fn advance(&self, _by: u64) {}
}
