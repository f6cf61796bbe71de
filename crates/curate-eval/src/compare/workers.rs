//! Several trainings at a time.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use curate_core::Progress;

use crate::compare::CompareError;

/// Threads of their own take one job after the other, until one fails. Runs are no tasks of the shared pool:
/// one that waits there for its products would begin another, and all would be in memory at once.
pub(crate) fn in_threads<J: Copy + Sync, R: Send>(
    jobs: &[J],
    at_once: usize,
    work: impl Fn(J) -> Result<R, CompareError> + Sync,
) -> Result<Vec<R>, CompareError> {
    let queue = Mutex::new(jobs.iter());
    let failed = Mutex::new(None);
    let take = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next().copied()
    };
    let worker = || {
        let mut made = Vec::new();
        while let Some(job) = take() {
            let stop = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if stop {
                break;
            }
            match work(job) {
                Ok(one) => made.push(one),
                Err(error) => {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.get_or_insert(error);
                }
            }
        }
        made
    };
    let made = thread::scope(|scope| {
        let started: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
        let joined = started.into_iter().map(|one| one.join().expect("no run panics"));
        joined.flatten().collect::<Vec<_>>()
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(made),
    }
}

/// The progress of one run among several: what it does counts, its own beginning and end do not.
pub(crate) struct Part<'a>(pub(crate) &'a dyn Progress);

impl Progress for Part<'_> {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}

    fn advance(&self, by: u64) {
        self.0.advance(by);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
