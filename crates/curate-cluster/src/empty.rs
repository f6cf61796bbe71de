//! Empty clusters, faiss's way.

use curate_core::{SampleId, embedding, random};

use crate::{KMeans, Metric};

/// How far the halves of a split cluster move apart, as a share of each element.
const APART: f32 = 1.0 / 1024.0;

/// Gives every empty cluster half of a larger one; returns how many were filled. `sizes` counts the
/// rows of each cluster and is updated.
pub(crate) fn split(
    kmeans: &KMeans,
    sizes: &mut [u64],
    centroids: &mut [f32],
    iteration: usize,
) -> usize {
    let dim = centroids.len() / sizes.len().max(1);
    let seed = random::derive(kmeans.seed(), "k-means split");
    let mut filled = 0;
    for cluster in 0..sizes.len() {
        if sizes[cluster] > 0 {
            continue;
        }
        let draw = random::unit(seed, SampleId::from_halves(iteration as u64, cluster as u64));
        let Some(large) = draw_large(sizes, draw) else { break };
        for t in 0..dim {
            let x = centroids[large * dim + t];
            let apart = if t % 2 == 0 { APART } else { -APART };
            centroids[cluster * dim + t] = x * (1.0 + apart);
            centroids[large * dim + t] = x * (1.0 - apart);
        }
        if kmeans.metric() == Metric::Spherical {
            embedding::normalize(&mut centroids[cluster * dim..][..dim]);
            embedding::normalize(&mut centroids[large * dim..][..dim]);
        }
        sizes[cluster] = sizes[large] / 2;
        sizes[large] -= sizes[cluster];
        filled += 1;
    }
    filled
}

/// A cluster with probability proportional to its size minus one, given a uniform draw; `None` when
/// no cluster has two rows.
fn draw_large(sizes: &[u64], draw: f64) -> Option<usize> {
    let spare = |size: &u64| size.saturating_sub(1);
    let total: u64 = sizes.iter().map(spare).sum();
    let mut left = (draw * total as f64) as u64;
    sizes.iter().position(|size| match left.checked_sub(spare(size)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KMeansParams;

    #[test]
    fn an_empty_cluster_becomes_half_of_a_large_one() {
        let kmeans = KMeansParams::faiss(3).metric(Metric::Euclidean).check().unwrap();
        let (mut sizes, mut centroids) = (vec![0, 9, 1], vec![0.0, 0.0, 2.0, 4.0, 7.0, 7.0]);
        assert_eq!(split(&kmeans, &mut sizes, &mut centroids, 1), 1);
        assert_eq!(sizes, [4, 5, 1]);
        let e = 1.0 / 1024.0_f32;
        let expected = [2.0 * (1.0 + e), 4.0 * (1.0 - e), 2.0 * (1.0 - e), 4.0 * (1.0 + e)];
        assert_eq!(centroids[..4], expected);
        assert_eq!(centroids[4..], [7.0, 7.0], "a cluster of one row is never split");
    }

    #[test]
    fn clusters_are_drawn_by_size_and_none_when_all_hold_one_row() {
        assert_eq!(draw_large(&[1, 1, 0], 0.5), None);
        assert_eq!(draw_large(&[3, 0, 7], 0.0), Some(0));
        assert_eq!(draw_large(&[3, 0, 7], 0.24), Some(0));
        assert_eq!(draw_large(&[3, 0, 7], 0.26), Some(2));
        assert_eq!(draw_large(&[3, 0, 7], 0.999_999), Some(2));
    }

    #[test]
    fn the_faiss_preset_trains_on_a_sample_and_leaves_no_cluster_empty() {
        // Five directions, 3,000 rows: of eight random starts some coincide.
        let rows = ndarray::Array2::from_shape_fn((3_000, 5), |(i, t)| f32::from(i % 5 == t));
        let ids: Vec<SampleId> = (0..3_000).map(SampleId).collect();
        let kmeans = KMeansParams::faiss(8).seed(2).check().unwrap();
        let fit = || kmeans.fit(&rows.view(), &ids, &curate_core::NoProgress).unwrap();
        let found = fit();
        assert!(found.reseeded > 0);
        assert!(found.objective.len() <= 25);
        assert_eq!(found.sizes().iter().sum::<usize>(), 3_000);
        assert!(found.inertia() < 1e-2 * 3_000.0, "{}", found.inertia());
        assert_eq!(found, fit());
    }
}
