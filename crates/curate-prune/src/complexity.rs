//! How complex the concept of each cluster is.

use curate_cluster::{Assignment, Metric};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// The complexity of each cluster (arXiv 2401.04578, section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Complexity {
    /// Mean distance of a cluster's rows to its centroid; NaN for an empty cluster.
    pub intra: Vec<f64>,
    /// Mean distance of a cluster's centroid to the nearest other centroids; NaN when there is no
    /// other.
    pub inter: Vec<f64>,
    /// `intra * inter`; where that is NaN, the mean of the others (0 when there are none).
    pub complexity: Vec<f64>,
}

/// Complexity cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComplexityError {
    /// A centroid or an assignment holds a NaN.
    #[error(
        "cluster {cluster} has a distance that is no number: quarantine bad rows before clustering"
    )]
    NotFinite {
        /// The first such cluster.
        cluster: usize,
    },
}

impl Complexity {
    /// The complexity of the clusters of a spherical clustering with centroids of length 1, with
    /// the `neighbours` nearest other centroids (20 in the paper; `k - 1` when there are fewer).
    ///
    /// Distances are `1 - cosine`; the mean over rows is taken in f64 in row order.
    ///
    /// # Errors
    /// When a distance is not finite.
    pub fn new(
        centroids: ArrayView2<'_, f32>,
        assignment: &Assignment,
        neighbours: usize,
    ) -> Result<Self, ComplexityError> {
        let k = centroids.nrows();
        let intra = mean_distances(assignment);
        let inter = neighbour_distances(centroids, neighbours);
        let sizes = assignment.sizes();
        let bad = |&c: &usize| {
            (sizes[c] > 0 && !intra[c].is_finite()) || (k > 1 && !inter[c].is_finite())
        };
        if let Some(cluster) = (0..k).find(bad) {
            return Err(ComplexityError::NotFinite { cluster });
        }
        let products = intra.iter().zip(&inter).map(|(a, b)| a * b).collect();
        Ok(Self { intra, inter, complexity: fill_nan_with_mean(products) })
    }
}

fn mean_distances(assignment: &Assignment) -> Vec<f64> {
    let mut sums = vec![0.0; assignment.k()];
    let distances = assignment.distances(Metric::Spherical);
    for (&cluster, distance) in assignment.cluster().iter().zip(distances) {
        sums[cluster as usize] += f64::from(distance);
    }
    sums.iter().zip(assignment.sizes()).map(|(sum, size)| sum / size as f64).collect()
}

fn neighbour_distances(centroids: ArrayView2<'_, f32>, neighbours: usize) -> Vec<f64> {
    let centroids = centroids.as_standard_layout();
    let dim = centroids.ncols().max(1);
    let all = centroids.as_slice().expect("standard layout");
    let nearest = neighbours.min(centroids.nrows().saturating_sub(1));
    let mean = |(own, centroid): (usize, &[f32])| {
        let others = all.chunks_exact(dim).enumerate().filter(|&(other, _)| other != own);
        let mut distances: Vec<f64> =
            others.map(|(_, other)| Metric::Spherical.between(centroid, other)).collect();
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
pub fn softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = values.iter().map(|v| ((v - max) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_hand_computed_case() {
        let centroids = array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let assignment = Assignment::new(3, vec![0, 0, 1, 2], vec![1.0, 0.5, 0.75, 1.0]).unwrap();
        let found = Complexity::new(centroids.view(), &assignment, 1).unwrap();
        assert_eq!(found.intra, [0.25, 0.25, 0.0]);
        assert_eq!(found.inter, [1.0, 1.0, 1.0]);
        let all = Complexity::new(centroids.view(), &assignment, 20).unwrap();
        assert_eq!(all.inter, [1.5, 1.0, 1.5], "20 neighbours become the 2 there are");
        assert_eq!(all.complexity, [0.375, 0.25, 0.0]);
    }

    #[test]
    fn an_empty_cluster_gets_the_mean_and_a_lone_cluster_zero() {
        let centroids = array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let assignment = Assignment::new(3, vec![0, 1], vec![0.5, 0.5]).unwrap();
        let found = Complexity::new(centroids.view(), &assignment, 1).unwrap();
        assert!(found.intra[2].is_nan());
        assert_eq!(found.complexity, [0.5, 0.5, 0.5]);
        let one = Assignment::new(1, vec![0], vec![0.5]).unwrap();
        let found = Complexity::new(array![[1.0, 0.0]].view(), &one, 20).unwrap();
        assert_eq!(found.complexity, [0.0]);
    }

    #[test]
    fn a_nan_is_an_error() {
        let assignment = Assignment::new(2, vec![0, 1], vec![1.0, f32::NAN]).unwrap();
        let found = Complexity::new(Array2::eye(2).view(), &assignment, 1);
        assert_eq!(found, Err(ComplexityError::NotFinite { cluster: 1 }));
    }

    #[test]
    fn softmax_does_not_overflow_and_sharpens_with_lower_temperature() {
        let p = softmax(&[1000.0, 999.0], 0.1);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p[0] > 0.9999);
        let flat = softmax(&[0.4, 0.02], 0.5);
        assert!((flat[0] / flat[1] - (0.76_f64).exp()).abs() < 1e-12);
    }
}
