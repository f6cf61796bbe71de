//! What can go wrong.

use curate_cluster::ClusterError;
use curate_core::{CutError, ParamsError, RowsError, SourceError};

/// Semantic deduplication failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DedupError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The cut does not fit.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// Something was not given once for each row.
    #[error("{given} {what} for {rows} rows: give one for each row")]
    Mismatch {
        /// What was given: scores, keys.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A search tells of a row, or names one as a cause, that is not compared.
    #[error("row {row} is not among the rows that are compared: give what was found of these rows")]
    NotCompared {
        /// The first such row.
        row: usize,
    },
    /// A greedy search was asked for another cut than its own.
    #[error(
        "a greedy search holds for its own epsilon {epsilon} alone: search again for another one, or \
         in reference mode for any cut"
    )]
    GreedyHoldsForItsEpsilon {
        /// The epsilon that was searched with.
        epsilon: f64,
    },
    /// The rows could not be clustered.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The rows were not those that were given.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The vectors could not be read, or the caller asked the work to stop.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl DedupError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_cancelled(),
            Self::Rows(error) => error.is_cancelled(),
            Self::Source(error) => error.is_cancelled(),
            _ => false,
        }
    }
}
