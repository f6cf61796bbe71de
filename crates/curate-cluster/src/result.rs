//! What k-means answers.

use curate_core::{EmbeddingSource, Progress, SampleId, ScoreColumn, rank::Direction};
use curate_kernels::{Engine, ExactSum, Ruled};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{
    Assignment, ClusterError, Metric, Ordered, Preference,
    facts::{self, Facts},
    search::Search,
    task::task,
};

/// A fitted clustering. Two are equal when their answers are, whatever the work was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clustering {
    /// One centroid a row, `k x d`.
    pub centroids: Array2<f32>,
    /// What "near" means.
    pub metric: Metric,
    /// The cluster of every row of the source that was given, trained on or not.
    pub assignment: Assignment,
    /// The objective of each iteration over the training rows, before its centroids moved: the mean
    /// of `1 - similarity` when spherical, of the squared distance (inertia over rows) when
    /// Euclidean.
    pub objective: Vec<f64>,
    /// True when the iterations stopped by themselves.
    pub converged: bool,
    /// How often an empty cluster took another cluster's worst-fitting row.
    pub reseeded: usize,
    /// What decided how each row's nearest centroid was found, over all passes over the training rows
    /// and, when these are all rows, the last one; zeros where the search does not remember rows
    /// (mini-batches, engines). It tells of work, not of the answer, and is not stored.
    #[serde(skip)]
    pub ruled: Ruled,
}

impl PartialEq for Clustering {
    fn eq(&self, other: &Self) -> bool {
        let Self { centroids, metric, assignment, objective, converged, reseeded, ruled: _ } = self;
        (centroids, metric, assignment) == (&other.centroids, &other.metric, &other.assignment)
            && (objective, converged, reseeded)
                == (&other.objective, &other.converged, &other.reseeded)
    }
}

impl Clustering {
    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.assignment.k()
    }

    /// Rows in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        self.assignment.sizes()
    }

    /// How far each row is from its centroid: `1 - similarity` in f32 when spherical, the squared
    /// distance when Euclidean.
    pub fn distances(&self) -> Vec<f32> {
        self.assignment.distances(self.metric)
    }

    /// The rows of each cluster in order of preference; `ids` has one id a row, `seed` decides
    /// [`Preference::Random`].
    ///
    /// # Errors
    /// When there is not one id for each row.
    pub fn order(
        &self,
        preference: Preference,
        ids: &[SampleId],
        seed: u64,
    ) -> Result<Ordered, ClusterError> {
        Ordered::new(&self.assignment, self.metric, ids, preference, seed)
    }

    /// The rows of each cluster by a score, the best first; equal scores by ascending id, rows without
    /// a score (NaN) last.
    ///
    /// # Errors
    /// When there is not one id and one score for each row.
    pub fn order_by_score(
        &self,
        scores: &ScoreColumn,
        direction: Direction,
        ids: &[SampleId],
    ) -> Result<Ordered, ClusterError> {
        Ordered::by_score(&self.assignment, ids, scores, direction)
    }

    /// How far all rows are from their final centroids together: squared distances when Euclidean
    /// (scikit-learn's inertia, faiss's objective), `1 - similarity` when spherical, which is half the
    /// squared distance of vectors of length 1. An exact sum of the f32 distances, so it does not
    /// depend on the order of rows.
    pub fn inertia(&self) -> f64 {
        self.distances().into_iter().collect::<ExactSum>().value()
    }

    /// How uneven the clusters are: `k * sum(size^2) / n^2`, 1 when all have the same size (faiss's
    /// imbalance factor).
    pub fn imbalance(&self) -> f64 {
        let sizes = self.sizes();
        let n = self.assignment.rows() as f64;
        let squares: f64 = sizes.iter().map(|&size| (size as f64).powi(2)).sum();
        if n > 0.0 { squares * sizes.len() as f64 / (n * n) } else { 1.0 }
    }
}

/// Assigns every row of `source` to its nearest centroid.
///
/// # Errors
/// When dimensions differ or there are none, there is no centroid for the rows, a centroid or a row is not finite, or
/// is not of length 1 (or 0) and the metric is spherical, rows cannot be read, or the caller cancels.
pub fn assign<S: EmbeddingSource + ?Sized>(
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    source: &S,
    progress: &dyn Progress,
) -> Result<Assignment, ClusterError> {
    assign_on(None, centroids, metric, source, progress)
}

/// [`assign`] with nearest centroids searched on `engine`; on the native kernels when there is none.
///
/// # Errors
/// As [`assign`], and when the engine fails.
pub fn assign_on<S: EmbeddingSource + ?Sized>(
    engine: Option<&dyn Engine>,
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    source: &S,
    progress: &dyn Progress,
) -> Result<Assignment, ClusterError> {
    let (k, dim) = centroids.dim();
    if dim != source.dim() {
        return Err(ClusterError::DimMismatch { centroids: dim, rows: source.dim() });
    }
    if dim == 0 && source.rows() > 0 {
        return Err(ClusterError::NoDimensions { rows: source.rows() });
    }
    if k == 0 && source.rows() > 0 {
        return Err(ClusterError::NoCentroids { rows: source.rows() });
    }
    let centroids = centroids.as_standard_layout();
    let centroids = centroids.as_slice().expect("standard layout");
    facts::check_centroids(metric, centroids, dim)?;
    let mut search = Search::new(engine, centroids, dim, metric)?;
    assign_with(&mut search, k, source, &Facts::Unknown, progress)
}

/// [`assign`] with a search among `k` centroids that is there.
pub(crate) fn assign_with<S: EmbeddingSource + ?Sized>(
    search: &mut Search<'_>,
    k: usize,
    source: &S,
    facts: &Facts,
    progress: &dyn Progress,
) -> Result<Assignment, ClusterError> {
    let mut assignment = Assignment::empty(k);
    search.expect(source.rows());
    task(progress, "assign", source.rows(), || {
        search.each_block(source, facts, progress, |_, block| {
            assignment.extend(block.cluster, block.nearness);
        })
    })?;
    Ok(assignment)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn inertia_sizes_and_imbalance_of_a_hand_computed_case() {
        let mut found = Clustering {
            centroids: array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
            metric: Metric::Spherical,
            assignment: Assignment::new(3, vec![0, 0, 2, 0], vec![1.0, 0.5, 0.75, 0.0]).unwrap(),
            objective: vec![],
            converged: true,
            reseeded: 0,
            ruled: Ruled::default(),
        };
        let more_work = Clustering {
            ruled: Ruled { pairs: 12, exact: 12, ..Ruled::default() },
            ..found.clone()
        };
        assert_eq!(found, more_work);
        assert_ne!(found, Clustering { reseeded: 1, ..found.clone() });
        assert_eq!(found.sizes(), [3, 0, 1]);
        assert_eq!(found.inertia(), 1.75);
        assert_eq!(found.imbalance(), 3.0 * 10.0 / 16.0);
        found.metric = Metric::Euclidean;
        assert_eq!(found.inertia(), 2.25);
    }
}
