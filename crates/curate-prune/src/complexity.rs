//! How complex the concept of each cluster is.

use curate_cluster::{Assignment, Clustering, Metric};
use curate_core::{ParamsError, params::Checker};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{PruneError, params::is_temperature};

/// Complexity compares cosines.
const SPHERICAL: Metric = Metric::Spherical;

/// The complexity of each cluster (arXiv 2401.04578, section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complexity {
    /// Mean distance of a cluster's rows to its centroid; NaN for an empty cluster.
    pub intra: Vec<f64>,
    /// Mean distance of a cluster's centroid to the nearest other centroids; NaN when there is no
    /// other.
    pub inter: Vec<f64>,
    /// `intra * inter`; where that is NaN, the mean of the others (0 when there are none).
    pub complexity: Vec<f64>,
}

impl Complexity {
    /// The complexity of the clusters of a spherical clustering, with the `neighbors` nearest other
    /// centroids (20 in the paper; `k - 1` when there are fewer).
    ///
    /// Distances are `1 - cosine`; the mean over rows is taken in f64 in row order.
    ///
    /// # Errors
    /// When the clustering is Euclidean, or a distance is not finite.
    pub fn new(clustering: &Clustering, neighbors: usize) -> Result<Self, PruneError> {
        if clustering.metric != Metric::Spherical {
            return Err(PruneError::NotSpherical);
        }
        let (centroids, assignment) = (clustering.centroids.view(), &clustering.assignment);
        let k = centroids.nrows();
        let (intra, sizes) = (mean_distances(assignment), assignment.sizes());
        let inter = neighbor_distances(centroids, neighbors);
        let bad = |&c: &usize| {
            (sizes[c] > 0 && !intra[c].is_finite()) || (k > 1 && !inter[c].is_finite())
        };
        if let Some(cluster) = (0..k).find(bad) {
            return Err(PruneError::NotFinite { cluster });
        }
        let products = intra.iter().zip(&inter).map(|(a, b)| a * b).collect();
        Ok(Self { intra, inter, complexity: fill_nan_with_mean(products) })
    }
}

fn mean_distances(assignment: &Assignment) -> Vec<f64> {
    let mut sums = vec![0.0; assignment.k()];
    for (&cluster, distance) in assignment.cluster().iter().zip(assignment.distances(SPHERICAL)) {
        sums[cluster as usize] += f64::from(distance);
    }
    sums.iter().zip(assignment.sizes()).map(|(sum, size)| sum / size as f64).collect()
}

fn neighbor_distances(centroids: ArrayView2<'_, f32>, neighbors: usize) -> Vec<f64> {
    let centroids = centroids.as_standard_layout();
    let dim = centroids.ncols().max(1);
    let all = centroids.as_slice().expect("standard layout");
    let nearest = neighbors.min(centroids.nrows().saturating_sub(1));
    let mean = |(own, centroid): (usize, &[f32])| {
        let others = all.chunks_exact(dim).enumerate().filter(|&(other, _)| other != own);
        let mut distances: Vec<f64> =
            others.map(|(_, other)| SPHERICAL.between(centroid, other)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        distances[..nearest].iter().sum::<f64>() / nearest as f64
    };
    all.par_chunks_exact(dim).enumerate().map(mean).collect()
}

fn fill_nan_with_mean(mut values: Vec<f64>) -> Vec<f64> {
    let numbers: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    let mean = numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
    values.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = mean);
    values
}

/// `softmax(values / temperature)`: each cluster's share of the rows to keep.
///
/// # Errors
/// When the temperature is not above 0 and finite.
pub fn softmax(values: &[f64], temperature: f64) -> Result<Vec<f64>, ParamsError> {
    let mut check = Checker::default();
    check.that(is_temperature(temperature), "temperature", temperature, "above 0 and finite");
    check.finish()?;
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = values.iter().map(|v| ((v - max) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    Ok(weights.iter().map(|w| w / sum).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn clustering(centroids: Array2<f32>, cluster: &[u32], nearness: &[f32]) -> Clustering {
        let assignment =
            Assignment::new(centroids.nrows(), cluster.to_vec(), nearness.to_vec()).unwrap();
        Clustering {
            centroids,
            metric: SPHERICAL,
            assignment,
            objective: vec![],
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        }
    }

    fn three() -> Array2<f32> {
        array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    }

    #[test]
    fn a_hand_computed_case() {
        let clustering = clustering(three(), &[0, 0, 1, 2], &[1.0, 0.5, 0.75, 1.0]);
        let found = Complexity::new(&clustering, 1).unwrap();
        assert_eq!(found.intra, [0.25, 0.25, 0.0]);
        assert_eq!(found.inter, [1.0, 1.0, 1.0]);
        let all = Complexity::new(&clustering, 20).unwrap();
        assert_eq!(all.inter, [1.5, 1.0, 1.5], "20 neighbors become the 2 there are");
        assert_eq!(all.complexity, [0.375, 0.25, 0.0]);
    }

    #[test]
    fn an_empty_cluster_gets_the_mean_and_a_lone_cluster_zero() {
        let found = Complexity::new(&clustering(three(), &[0, 1], &[0.5, 0.5]), 1).unwrap();
        assert!(found.intra[2].is_nan());
        assert_eq!(found.complexity, [0.5, 0.5, 0.5]);
        let one = clustering(array![[1.0, 0.0]], &[0], &[0.5]);
        assert_eq!(Complexity::new(&one, 20).unwrap().complexity, [0.0]);
    }

    #[test]
    fn a_nan_and_a_euclidean_clustering_are_errors() {
        let mut clustering = clustering(Array2::eye(2), &[0, 1], &[1.0, f32::NAN]);
        let error = Complexity::new(&clustering, 1).unwrap_err();
        assert!(matches!(error, PruneError::NotFinite { cluster: 1 }), "{error}");
        clustering.metric = Metric::Euclidean;
        let error = Complexity::new(&clustering, 1).unwrap_err();
        assert!(matches!(error, PruneError::NotSpherical), "{error}");
    }

    #[test]
    fn softmax_does_not_overflow_and_sharpens_with_lower_temperature() {
        let p = softmax(&[1000.0, 999.0], 0.1).unwrap();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p[0] > 0.9999);
        let flat = softmax(&[0.4, 0.02], 0.5).unwrap();
        assert!((flat[0] / flat[1] - (0.76_f64).exp()).abs() < 1e-12);
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = softmax(&[0.4], temperature).unwrap_err();
            assert_eq!(error.violations[0].field, "temperature");
        }
    }
}
