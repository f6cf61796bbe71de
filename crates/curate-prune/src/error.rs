//! What can go wrong.

use curate_cluster::ClusterError;
use curate_core::{Cut, CutError, ParamsError, RowsError};

use crate::AllocationError;

/// Concept-complexity pruning failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A cut is out of range.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// Quotas split a number of rows; another cut does not name one.
    #[error("{cut} does not say how many rows to keep: give a fraction or a count")]
    NoCount {
        /// The cut asked for.
        cut: Cut,
    },
    /// No quotas satisfy the bounds.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// Complexity is defined by cosines.
    #[error("the clustering is Euclidean, but complexity compares cosines: cluster spherically")]
    NotSpherical,
    /// A centroid or an assignment holds a NaN.
    #[error(
        "cluster {cluster} has a distance that is not a number: quarantine bad rows before clustering"
    )]
    NotFinite {
        /// The first such cluster.
        cluster: usize,
    },
    /// Something was not given once for each cluster or row.
    #[error("{given} {what} for {expected} {of}: give one for each")]
    Mismatch {
        /// What was given: counts, ids, shares.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// What it belongs to: clusters, rows.
        of: &'static str,
        /// How many of those there are.
        expected: usize,
    },
    /// More rows of a cluster were asked for than it has.
    #[error(
        "{count} rows were asked of cluster {cluster}, which has {size}: ask for at most those"
    )]
    ClusterTooSmall {
        /// The first such cluster.
        cluster: usize,
        /// Rows asked for.
        count: usize,
        /// Rows that it has.
        size: usize,
    },
    /// The rows could not be clustered, or the caller asked the work to stop.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The rows were not those that were given.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

impl PruneError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_cancelled(),
            Self::Rows(error) => error.is_cancelled(),
            _ => false,
        }
    }
}
