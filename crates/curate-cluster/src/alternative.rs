//! Other clusterers, by linfa: density-based clusters (DBSCAN) and Gaussian mixtures.
//!
//! Feature `linfa`. For looking at thousands of rows, not for pools: all rows are in memory, and
//! neither method reads them in blocks or promises the same result for another order of rows. What
//! they answer are this crate's types, so deduplication, pruning and orders work on it.
//!
//! | | memory beside the rows | work | number of clusters |
//! |---|---|---|---|
//! | [`Dbscan`] | a few numbers a row | `n^2 * d`, one thread | found |
//! | [`GaussianMixture`] | the rows again in f64, `n * k` responsibilities twice, `3 * k * d^2` for covariances | `n * k * d^2` an iteration | given |
//!
//! linfa's k-means is not here: it is what this crate's is tested against.

mod dbscan;
mod gaussian;

use curate_core::{EmbeddingSource, Progress, SourceError};
pub use dbscan::{Dbscan, DbscanParams, Density};
pub use gaussian::{GaussianMixture, GaussianMixtureParams, Mixture};

use crate::ClusterError;

/// A clusterer could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlternativeError {
    /// The rows cannot be clustered.
    #[error(transparent)]
    Rows(#[from] ClusterError),
    /// Every row is noise.
    #[error("no row has {min_points} rows within {radius}: widen `radius` or lower `min_points`")]
    NoCluster {
        /// Rows asked for around a row, itself included.
        min_points: usize,
        /// The distance within which they had to be.
        radius: f32,
    },
    /// The mixture could not be fitted; the text is linfa's.
    #[error(
        "the mixture could not be fitted: {0}: use fewer clusters or dimensions, or a larger \
         `regularization`"
    )]
    Mixture(String),
}

/// Reads all rows; none may hold a NaN or an infinity.
fn read_all<S: EmbeddingSource + ?Sized>(
    source: &S,
    progress: &dyn Progress,
) -> Result<Vec<f32>, ClusterError> {
    progress.check().map_err(SourceError::from)?;
    let mut rows = vec![0.0; source.rows() * source.dim()];
    source.read(0..source.rows(), &mut rows)?;
    let mut vectors = rows.chunks_exact(source.dim().max(1));
    match vectors.position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(row) => Err(ClusterError::NotFinite { row }),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests;
