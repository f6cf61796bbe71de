//! What can go wrong in a run.

use std::path::PathBuf;

use curate_baselines::BaselineError;
use curate_cluster::ClusterError;
use curate_core::{Cancelled, CutError, ParamsError, RowsError, SourceError};
use curate_dedup::DedupError;
use curate_device::DeviceError;
use curate_dfn::filter::FilterError;
use curate_io::IoError;
use curate_prune::PruneError;

/// A run, or a look at one, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is not valid.
    #[error("{}: {}", path.display(), problems.join("\n  "))]
    Recipe {
        /// The recipe's file.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
    /// A stage cannot do what it was asked to.
    #[error("stage `{stage}`: {problem}")]
    Stage {
        /// The stage's name.
        stage: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The run folder holds the result of other settings or another pool.
    #[error("{}: stage `{stage}` was computed with other settings ({}); choose another folder, or replace it", folder.display(), changes.join(", "))]
    Conflict {
        /// The run folder.
        folder: PathBuf,
        /// The stage's name.
        stage: String,
        /// What differs.
        changes: Vec<String>,
    },
    /// There is no finished run, or no such stage or sample in it.
    #[error("{}: {problem}", folder.display())]
    Run {
        /// The run folder.
        folder: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A plan of tasks has no such step.
    #[error(
        "the plan has no step `{step}`; it has {steps}, and later passes of k-means if there is a first"
    )]
    NoSuchStep {
        /// The step asked for.
        step: String,
        /// Those that there are.
        steps: String,
    },
    /// A step has no task of that number.
    #[error("step `{step}` has {tasks} tasks, numbered from 0; there is no task {index}")]
    NoSuchTask {
        /// The step.
        step: String,
        /// The number asked for.
        index: usize,
        /// Tasks that it has.
        tasks: usize,
    },
    /// A task needs what another one has not left yet.
    #[error(
        "step `{step}` has to be done first: {} of {tasks} tasks are done, the next is task {first}", tasks - missing
    )]
    NotReady {
        /// The step that has to be done first.
        step: String,
        /// Its tasks.
        tasks: usize,
        /// Those that are not done.
        missing: usize,
        /// The first of them.
        first: usize,
    },
    /// A task needs more memory than there is.
    #[error(
        "a task of step `{step}` may need {needed}, and this process can have {there}: plan more tasks, \
         or use a larger machine"
    )]
    TooLittleMemory {
        /// The step.
        step: String,
        /// Bytes that it may need, for people.
        needed: String,
        /// Bytes that there are, for people.
        there: String,
    },
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A file of a finished stage is not what the stage wrote; another run may replace the stage.
    #[error(transparent)]
    Damaged(IoError),
    /// A file or folder.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// True when the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Io(e) => e.kind == curate_io::Kind::Cancelled,
            _ => false,
        }
    }
}

/// What can go wrong inside a stage, before the stage's name is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StageError {
    #[error("{0}")]
    Problem(String),
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Dedup(#[from] DedupError),
    #[error(transparent)]
    Prune(#[from] PruneError),
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Io(#[from] IoError),
}

impl StageError {
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Source(e) => e.is_cancelled(),
            Self::Rows(e) => e.is_cancelled(),
            Self::Filter(e) => e.is_cancelled(),
            Self::Cluster(e) => e.is_cancelled(),
            Self::Dedup(e) => e.is_cancelled(),
            Self::Prune(e) => e.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn in_stage(self, stage: &str) -> Error {
        match self {
            Self::Io(e)
            | Self::Baseline(BaselineError::Io(e))
            | Self::Filter(FilterError::Io(e)) => Error::Io(e),
            other if other.is_cancelled() => Error::Cancelled(Cancelled),
            other => Error::Stage { stage: stage.to_owned(), problem: other.to_string() },
        }
    }
}
