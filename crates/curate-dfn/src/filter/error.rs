//! What can go wrong between a network and a filter.

use curate_core::{Cancelled, CutError, ParamsError, SourceError};
use curate_io::{IoError, Kind};

use crate::NetworkError;

/// A pool cannot be embedded or scored, or a cut cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A file or folder, or a stop that the caller asked for.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Embeddings that cannot be read, or a stop that the caller asked for.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A network that does not take what it is given.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Parameters out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A cut that does not fit.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// Vectors of another length.
    #[error(
        "`{argument}`: vectors of {found} numbers, but {expected} are needed; embed both with one network"
    )]
    Width {
        /// The argument.
        argument: &'static str,
        /// Their length.
        found: usize,
        /// The length needed.
        expected: usize,
    },
    /// Arguments that differ in their number of rows.
    #[error("`{argument}`: {found} rows, but {expected} are needed: give one for each pair")]
    RowsMismatch {
        /// The argument.
        argument: &'static str,
        /// Its rows.
        found: usize,
        /// The rows needed.
        expected: usize,
    },
    /// Something that the score compares with.
    #[error("`{input}` is missing: this score compares every pair with it")]
    Missing {
        /// The field of [`ScoreInputs`](super::ScoreInputs).
        input: &'static str,
    },
}

impl From<Cancelled> for FilterError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Source(cancelled.into())
    }
}

impl FilterError {
    /// True when the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Io(e) => e.kind == Kind::Cancelled,
            Self::Source(e) => e.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn unless_rows(
        argument: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected {
            Ok(())
        } else {
            Err(Self::RowsMismatch { argument, found, expected })
        }
    }

    pub(crate) fn unless_width(
        argument: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected { Ok(()) } else { Err(Self::Width { argument, found, expected }) }
    }
}
