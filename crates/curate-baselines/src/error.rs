//! What can go wrong.

use curate_core::{CutError, ParamsError};
use curate_io::{IoError, Kind};

use crate::BaselineName;

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
    /// Parameters out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Another cut that cannot be made.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// A cut of a rule that has no number to cut by.
    #[error(
        "`cut`: {rule} does not keep rows by one number alone; only clip_score and random_subset can be \
         cut anew"
    )]
    NothingToCut {
        /// The rule.
        rule: BaselineName,
    },
    /// Something the rule needs beside the rows.
    #[error(
        "`{input}` is missing, and {rule} needs it: name its file in the parameters, or give it"
    )]
    Missing {
        /// The rule.
        rule: BaselineName,
        /// The field of [`Inputs`](crate::Inputs).
        input: &'static str,
    },
    /// Columns of rows that differ in length.
    #[error("{file}: {what} of {found} rows, but there are {expected}")]
    RowsMismatch {
        /// The file that the rows name.
        file: String,
        /// Captions, numbers or ids.
        what: &'static str,
        /// Rows that were handed out.
        found: usize,
        /// Rows that there are.
        expected: usize,
    },
    /// Arrays that do not go together.
    #[error(
        "{what} have {found} numbers per row, the centroids {expected}; they must come from the same \
         network"
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
