//! Long work away from the interpreter: other threads run, Ctrl-C ends it, progress is told.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use curate::core::Progress;
use pyo3::{prelude::*, types::PyAny};

use crate::{errors::Failure, threads};

/// How often the calling thread looks for signals and tells progress.
const LOOK: Duration = Duration::from_millis(50);

/// A task as its listener sees it: name, units done, units in all, their name.
type Told = (String, u64, u64, String);

/// What work tells, for the thread that called it.
#[derive(Default)]
struct Heard {
    stop: AtomicBool,
    task: Mutex<Option<Told>>,
    /// Tasks that ended since the caller last looked.
    ended: Mutex<Vec<Told>>,
    done: AtomicU64,
}

impl Heard {
    /// The task that runs, with what is done of it.
    fn now(&self) -> Option<Told> {
        let mut task = lock(&self.task).clone()?;
        task.1 = self.done.load(Ordering::Relaxed);
        Some(task)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress for Heard {
    fn start(&self, task: &str, total: u64, unit: &str) {
        self.finish();
        self.done.store(0, Ordering::Relaxed);
        *lock(&self.task) = Some((task.to_owned(), 0, total, unit.to_owned()));
    }

    fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    fn finish(&self) {
        let ended = self.now();
        lock(&self.task).take();
        lock(&self.ended).extend(ended);
    }

    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Does `work` on another thread, without the interpreter's lock, while the calling thread looks for
/// signals and tells `listener` of progress. An exception that a signal or the listener raises stops
/// the work, and is what the call raises.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    listener: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Progress) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let listener = Listener::of(py, listener)?;
    let heard = Heard::default();
    let pool = threads::pool()?;
    let (raised, outcome) = py.detach(|| {
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            let heard = &heard;
            let work = scope.spawn(move || {
                let outcome = pool.install(|| work(heard));
                // The receiver is gone only when this thread is joined already.
                let _ = sender.send(());
                outcome
            });
            let mut raised = None;
            // A panic drops nothing that would end this wait: the thread's end does.
            while !work.is_finished() {
                if !matches!(receiver.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
                if raised.is_none()
                    && let Err(error) = Python::attach(|py| listener.look(py, heard))
                {
                    raised = Some(error);
                    heard.stop.store(true, Ordering::Relaxed);
                }
            }
            let outcome = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (raised, outcome)
        })
    });
    let told = if raised.is_none() { listener.tell(py, &heard) } else { Ok(()) };
    listener.close(py)?;
    match raised {
        Some(error) => Err(error.into()),
        None => told.map_err(Failure::from).and(outcome),
    }
}

/// Reads what `work` reads on another thread, without the interpreter's lock, while the calling thread
/// looks for signals. It hears of no stop: at an exception that a signal raises the call ends, and the
/// thread ends when it has read, its answer dropped. So it must be for work that writes nothing.
pub(crate) fn released<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let pool = threads::pool()?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        // Nobody receives an answer that came after a signal.
        let _ = sender.send(pool.install(work));
    });
    py.detach(move || {
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => Python::attach(|py| py.check_signals())?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match reader.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that sent nothing panicked"),
        }
    })
}

/// The callable that hears of progress, if any.
struct Listener(Option<Py<PyAny>>);

impl Listener {
    /// What `progress` stands for: `curate._progress` knows.
    fn of(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(progress) = progress.filter(|progress| !progress.is_none()) else {
            return Ok(Self(None));
        };
        let listener = py.import("curate._progress")?.getattr("listener")?.call1((progress,))?;
        Ok(Self((!listener.is_none()).then(|| listener.unbind())))
    }

    fn look(&self, py: Python<'_>, heard: &Heard) -> PyResult<()> {
        py.check_signals()?;
        self.tell(py, heard)
    }

    fn tell(&self, py: Python<'_>, heard: &Heard) -> PyResult<()> {
        let Some(listener) = &self.0 else { return Ok(()) };
        let ended = std::mem::take(&mut *lock(&heard.ended));
        for task in ended.into_iter().chain(heard.now()) {
            listener.call1(py, task)?;
        }
        Ok(())
    }

    /// Lets bars close, where the listener is one.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let close = self.0.as_ref().and_then(|listener| listener.getattr(py, "close").ok());
        close.map_or(Ok(()), |close| close.call0(py).map(drop))
    }
}
