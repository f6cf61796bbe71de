//! The threads that work is done on.

use std::sync::{Arc, Mutex, PoisonError};

use curate::core::{ParamsError, params::Checker};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::Failure;

/// More threads than this help nobody, and thousands take a minute to start.
const MOST: usize = 512;

struct Made {
    /// Threads do not survive a fork: a child process has to start its own.
    process: u32,
    asked: Option<usize>,
    pool: Arc<ThreadPool>,
}

static MADE: Mutex<Option<Made>> = Mutex::new(None);

/// The threads of this process.
pub(crate) fn pool() -> Result<Arc<ThreadPool>, Failure> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = made.as_ref().and_then(|made| made.asked);
    match made.as_ref().filter(|made| made.process == std::process::id()) {
        Some(made) => Ok(Arc::clone(&made.pool)),
        None => start(&mut made, asked),
    }
}

fn start(made: &mut Option<Made>, asked: Option<usize>) -> Result<Arc<ThreadPool>, Failure> {
    let started = ThreadPoolBuilder::new()
        .num_threads(asked.unwrap_or(0))
        .thread_name(|number| format!("curate-{number}"))
        .build();
    let pool = Arc::new(started.map_err(|error| Failure::input("threads", error.to_string()))?);
    let next = Made { process: std::process::id(), asked, pool: Arc::clone(&pool) };
    if let Some(old) = made.replace(next)
        && old.process != std::process::id()
    {
        // Its threads are the parent's: there is nobody here to end.
        std::mem::forget(old);
    }
    Ok(pool)
}

/// How many threads work is done on.
///
/// Results do not depend on it. Unless `set_threads` says otherwise it is the environment's
/// `RAYON_NUM_THREADS`, or the number of processors.
#[pyfunction]
pub(crate) fn threads() -> Result<usize, Failure> {
    Ok(pool()?.current_num_threads())
}

/// Sets how many threads work is done on, from 1 to 512; `None` for the default.
///
/// Calls that run already keep theirs.
#[pyfunction]
#[pyo3(signature = (threads))]
pub(crate) fn set_threads(threads: Option<usize>) -> Result<(), Failure> {
    checked(threads)?;
    start(&mut MADE.lock().unwrap_or_else(PoisonError::into_inner), threads)?;
    Ok(())
}

fn checked(threads: Option<usize>) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    if let Some(threads) = threads {
        check.that((1..=MOST).contains(&threads), "threads", threads, "from 1 to 512, or None");
    }
    check.finish()
}
