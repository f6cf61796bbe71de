//! What can go wrong.

use curate_io::{IoError, Kind};

use crate::SettingsError;

/// A baseline cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// A file or folder, or a stop that the caller asked for.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A model, a word list or a list of ids that cannot be read.
    #[error(transparent)]
    Input(Box<dyn std::error::Error + Send + Sync>),
    /// Settings that do not go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A share that is none.
    #[error("fraction {0} is not between 0 and 1; use no_filter to keep everything")]
    Fraction(f64),
    /// A threshold that is no number.
    #[error("threshold {0} is no number; scores are compared with it")]
    Threshold(f64),
    /// Something the rule needs beside the metadata.
    #[error("{baseline} needs {what}")]
    Missing {
        /// The baseline.
        baseline: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// Arrays that do not go together.
    #[error(
        "{what} have {found} numbers a row, the centroids {expected}; they must come from the same network"
    )]
    Width {
        /// Which.
        what: String,
        /// Their width.
        found: usize,
        /// The centroids' width.
        expected: usize,
    },
}

impl BaselineError {
    pub(crate) fn input(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Input(Box::new(error))
    }

    /// True when the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind == Kind::Cancelled)
    }
}
