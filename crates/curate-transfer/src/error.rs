//! What can go wrong.

use curate_cluster::ClusterError;
use curate_core::{Cancelled, Cut, CutError, ParamsError, SourceError};

/// Classes cannot be ranked, or rows not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A cut is out of range, or does not fit a ranking.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// Features and centroids do not go together, or the caller cancels.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Vectors cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The caller asked the work to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A class that there is not.
    #[error("`{what}`: row {row} is of class {class}, but there are {classes}, counted from 0")]
    Class {
        /// Labels or predictions.
        what: &'static str,
        /// The first such row.
        row: usize,
        /// Its class.
        class: u32,
        /// Classes there are.
        classes: usize,
    },
    /// Something was not given once for each class.
    #[error(
        "`{what}` has {found} columns or rows, but there are {classes} classes: give one for each"
    )]
    Classes {
        /// What.
        what: &'static str,
        /// How many there are of it.
        found: usize,
        /// Classes there are.
        classes: usize,
    },
    /// Something was not given once for each source row.
    #[error("`{what}` has {found} entries for {rows} source rows: give one for each")]
    Rows {
        /// What.
        what: &'static str,
        /// How many there are of it.
        found: usize,
        /// Source rows.
        rows: usize,
    },
    /// A class has no row that a mean could be made of.
    #[error("class {class} has no usable row: leave it out, or give its centroid")]
    EmptyClass {
        /// The first such class.
        class: usize,
    },
    /// The middle of an order is a number of rows.
    #[error("{cut} does not say how many rows to keep: give a fraction or a count")]
    NoCount {
        /// The cut asked for.
        cut: Cut,
    },
    /// Nothing votes.
    #[error(
        "no target sample can be used ({given} were given): without one every ranking is arbitrary"
    )]
    NoTarget {
        /// Target samples given.
        given: usize,
    },
}

impl TransferError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_cancelled(),
            Self::Source(error) => error.is_cancelled(),
            Self::Cancelled(_) => true,
            _ => false,
        }
    }
}
