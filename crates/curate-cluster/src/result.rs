//! What k-means answers.

use ndarray::{Array2, ArrayView2};

use crate::{Metric, search::Search};

/// The cluster of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// The index of each row's nearest centroid.
    pub cluster: Vec<u32>,
    /// How near: the inner product with it when spherical, the squared distance when Euclidean.
    pub nearness: Vec<f32>,
}

impl Assignment {
    /// Rows in each of `k` clusters.
    pub fn sizes(&self, k: usize) -> Vec<usize> {
        let mut sizes = vec![0; k];
        for &cluster in &self.cluster {
            sizes[cluster as usize] += 1;
        }
        sizes
    }

    /// How far each row is from its centroid: `1 - similarity` in f32 when spherical, the squared
    /// distance when Euclidean.
    pub fn distances(&self, metric: Metric) -> Vec<f32> {
        match metric {
            Metric::Spherical => self.nearness.iter().map(|similarity| 1.0 - similarity).collect(),
            Metric::Euclidean => self.nearness.clone(),
        }
    }

    /// The rows of each of `k` clusters, ascending.
    pub fn members(&self, k: usize) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> =
            self.sizes(k).into_iter().map(Vec::with_capacity).collect();
        for (row, &cluster) in self.cluster.iter().enumerate() {
            members[cluster as usize].push(row);
        }
        members
    }
}

/// A fitted clustering.
#[derive(Clone, Debug, PartialEq)]
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
}

impl Clustering {
    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.centroids.nrows()
    }

    /// Rows in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        self.assignment.sizes(self.k())
    }

    /// How far all rows are from their final centroids, summed in f64 in row order: squared
    /// distances when Euclidean (scikit-learn's inertia, faiss's objective), `1 - similarity` when
    /// spherical, which is half the squared distance of vectors of length 1.
    pub fn inertia(&self) -> f64 {
        self.assignment.distances(self.metric).into_iter().map(f64::from).sum()
    }

    /// How uneven the clusters are: `k * sum(size^2) / n^2`, 1 when all have the same size (faiss's
    /// imbalance factor).
    pub fn imbalance(&self) -> f64 {
        let sizes = self.assignment.sizes(self.k());
        let n = self.assignment.cluster.len() as f64;
        let squares: f64 = sizes.iter().map(|&size| (size as f64).powi(2)).sum();
        if n > 0.0 { squares * sizes.len() as f64 / (n * n) } else { 1.0 }
    }
}

/// Assigns every row of `source` to its nearest centroid.
///
/// # Errors
/// When dimensions differ, a row is not finite, rows cannot be read, or the caller cancels.
pub fn assign<S: curate_core::EmbeddingSource + ?Sized>(
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    source: &S,
    progress: &dyn curate_core::Progress,
) -> Result<Assignment, crate::ClusterError> {
    assign_on(None, centroids, metric, source, progress)
}

/// [`assign`] with nearest centroids searched on `engine`; on the native kernels when there is none.
///
/// # Errors
/// As [`assign`], and when the engine fails.
pub fn assign_on<S: curate_core::EmbeddingSource + ?Sized>(
    engine: Option<&dyn curate_kernels::Engine>,
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    source: &S,
    progress: &dyn curate_core::Progress,
) -> Result<Assignment, crate::ClusterError> {
    if centroids.ncols() != source.dim() {
        return Err(crate::ClusterError::DimMismatch {
            centroids: centroids.ncols(),
            rows: source.dim(),
        });
    }
    let centroids = centroids.as_standard_layout();
    let centroids = centroids.as_slice().expect("standard layout");
    assign_with(&mut Search::new(engine, centroids, source.dim(), metric)?, source, progress)
}

/// [`assign`] with a search that is there.
pub(crate) fn assign_with<S: curate_core::EmbeddingSource + ?Sized>(
    search: &mut Search<'_>,
    source: &S,
    progress: &dyn curate_core::Progress,
) -> Result<Assignment, crate::ClusterError> {
    progress.start("assign", source.rows() as u64, "rows");
    let mut assignment = Assignment::default();
    search.each_block(source, progress, |_, block| {
        assignment.cluster.extend_from_slice(block.cluster);
        assignment.nearness.extend_from_slice(block.nearness);
    })?;
    progress.finish();
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
            assignment: Assignment {
                cluster: vec![0, 0, 2, 0],
                nearness: vec![1.0, 0.5, 0.75, 0.0],
            },
            objective: vec![],
            converged: true,
            reseeded: 0,
        };
        assert_eq!(found.sizes(), [3, 0, 1]);
        assert_eq!(found.inertia(), 1.75);
        assert_eq!(found.imbalance(), 3.0 * 10.0 / 16.0);
        found.metric = Metric::Euclidean;
        assert_eq!(found.inertia(), 2.25);
    }
}
