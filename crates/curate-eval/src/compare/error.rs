//! What can go wrong in a comparison.

use std::path::PathBuf;

use curate_core::{Cancelled, ParamsError, SourceError};
use curate_io::{IoError, Kind};

use crate::EvalError;

/// Selections cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Parameters out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A selection that cannot be trained on.
    #[error("selection `{name}`: {problem}")]
    Selection {
        /// The selection's name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A selection with some ids that the pool does not have.
    #[error(
        "selection `{name}`: {problem}: name the pool that it was made from, or skip unknown ids"
    )]
    Unknown {
        /// The selection's name.
        name: String,
        /// How many, and some of them.
        problem: String,
    },
    /// Two selections of one name.
    #[error("selection `{0}`: two selections have this name: give each a name of its own")]
    SameName(String),
    /// Models that cannot be tested.
    #[error("{0}")]
    Test(String),
    /// A teacher that cannot teach these students.
    #[error("the teacher: {0}")]
    Teacher(String),
    /// A training or a measurement that failed.
    #[error("{run}: {problem}")]
    Run {
        /// Selection, budget and seed.
        run: String,
        /// What went wrong.
        problem: EvalError,
    },
    /// The folder holds runs that were made otherwise.
    #[error("{}: its runs were made otherwise ({}); choose another folder, or replace it", folder.display(), changes.join(", "))]
    Conflict {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        changes: Vec<String>,
    },
    /// A record that this program did not write so; it may be replaced.
    #[error(transparent)]
    Damaged(IoError),
    /// A file or folder.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Features could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl CompareError {
    /// True when the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Io(error) => error.kind == Kind::Cancelled,
            Self::Source(error) => error.is_cancelled(),
            Self::Run { problem, .. } => problem.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn selection(name: &str, problem: impl Into<String>) -> Self {
        Self::Selection { name: name.to_owned(), problem: problem.into() }
    }
}
