use curate_core::{NoProgress, SampleId, random};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use linfa_clustering::KMeansInit;
use ndarray::{Array2, Axis, array};

use super::*;
use crate::{Clustering, KMeansParams, Metric, assign, mixture::mixture};

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(|i| SampleId(i * 77 + 5)).collect()
}

fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Mean inertia and centroids of linfa's k-means from a start.
fn by_linfa(rows: &Array2<f32>, start: &Array2<f32>) -> (f64, Vec<f64>) {
    let table = |x: &Array2<f32>| {
        let numbers = doubles(x.as_slice().unwrap());
        ndarray016::Array2::from_shape_vec(x.dim(), numbers).unwrap()
    };
    let found = linfa_clustering::KMeans::params(start.nrows())
        .init_method(KMeansInit::Precomputed(table(start)))
        .n_runs(1)
        .max_n_iterations(10_000)
        .tolerance(1e-12)
        .check()
        .unwrap()
        .fit(&DatasetBase::from(table(rows)))
        .unwrap();
    (found.inertia(), found.centroids().iter().copied().collect())
}

fn assert_alike(ours: &Clustering, (inertia, centroids): (f64, Vec<f64>)) {
    let mean = ours.inertia() / ours.assignment.rows() as f64;
    assert!((mean - inertia).abs() < 1e-5 * mean, "{mean} and {inertia}");
    let found = doubles(ours.centroids.as_slice().unwrap());
    let off = found.iter().zip(&centroids).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 1e-5);
}

fn lloyd(k: usize) -> crate::KMeans {
    let params = KMeansParams::new(k).metric(Metric::Euclidean).tolerance(0.0).iterations(500);
    params.check().unwrap()
}

/// linfa counts the old centroid as one more row of its cluster, so it takes other steps; where
/// there is one way to divide the rows it comes to the same end.
#[test]
fn k_means_ends_where_linfas_does_from_the_same_start() {
    let (n, k) = (1_200, 5);
    let rows = mixture(n, k, 10);
    for first in [0, 11, 502] {
        let start = rows.select(Axis(0), &(first..first + k).collect::<Vec<_>>());
        let ours = lloyd(k).fit_from(start.view(), &rows.view(), &ids(n), &NoProgress).unwrap();
        assert!(ours.converged);
        assert_alike(&ours, by_linfa(&rows, &start));
    }
}

/// Where there are many ways, linfa's k-means does not move from where ours ended.
#[test]
fn linfas_k_means_stays_where_ours_ended() {
    let (n, k) = (900, 17);
    let rows = Array2::from_shape_fn((n, 6), |(i, t)| {
        random::unit(21, SampleId((6 * i + t) as u128)) as f32
    });
    let ours = lloyd(k).fit(&rows.view(), &ids(n), &NoProgress).unwrap();
    assert!(ours.converged && ours.objective.len() > 5);
    assert_alike(&ours, by_linfa(&rows, &ours.centroids));
    let start = rows.select(Axis(0), &(0..k).collect::<Vec<_>>());
    let (inertia, _) = by_linfa(&rows, &start);
    assert!((inertia * n as f64 - ours.inertia()).abs() > 1e-4 * ours.inertia(), "another end");
}

/// Two arcs that no pair of centroids tells apart, and two rows far from both.
fn arcs() -> Array2<f32> {
    let arc = |i: usize, of: usize| std::f32::consts::PI * i as f32 / of as f32;
    let mut rows = Array2::zeros((82, 2));
    for i in 0..40 {
        let t = arc(i, 39);
        rows.row_mut(2 * i).assign(&array![t.cos(), t.sin()]);
        rows.row_mut(2 * i + 1).assign(&array![1.0 - t.cos(), 0.5 - t.sin()]);
    }
    rows.row_mut(80).assign(&array![9.0, 9.0]);
    rows.row_mut(81).assign(&array![-9.0, 0.0]);
    rows
}

#[test]
fn dbscan_follows_shapes_and_sets_noise_apart() {
    let rows = arcs();
    let dbscan = DbscanParams::new(3, 0.2).metric(Metric::Euclidean).check().unwrap();
    let found = dbscan.fit(&rows.view(), &NoProgress).unwrap();
    assert_eq!(found.noise, [80, 81]);
    assert_eq!(found.clustering.k(), 2);
    for row in 0..80_u32 {
        assert_eq!(found.clustering.assignment.cluster()[row as usize], row % 2);
    }
    let first = rows.select(Axis(0), &(0..80).step_by(2).collect::<Vec<_>>());
    let mean = first.mean_axis(Axis(0)).unwrap();
    assert!((&found.clustering.centroids.row(0) - &mean).iter().all(|x| x.abs() < 1e-6));
    let far = found.clustering.assignment.nearness()[80];
    let centroid =
        found.clustering.centroids.row(found.clustering.assignment.cluster()[80] as usize);
    let expected = (9.0 - centroid[0]).powi(2) + (9.0 - centroid[1]).powi(2);
    assert!((far - expected).abs() < 1e-3);
}

#[test]
fn dbscan_of_directions_takes_a_cosine() {
    let rows = mixture(90, 3, 6);
    let params = DbscanParams::new(4, DbscanParams::radius_of_cosine(0.9));
    let found = params.check().unwrap().fit(&rows.view(), &NoProgress).unwrap();
    assert_eq!(found.clustering.sizes(), [30, 30, 30]);
    assert!(found.noise.is_empty());
    let norms = found.clustering.centroids.outer_iter().map(|c| c.dot(&c));
    assert!(norms.into_iter().all(|norm| (norm - 1.0).abs() < 1e-6));
    assert!(found.clustering.assignment.nearness().iter().all(|&s| s > 0.9));
}

#[test]
fn a_mixture_gives_a_wide_group_what_is_nearer_to_a_narrow_ones_mean() {
    // Sums of uniform numbers are near enough to a Gaussian.
    let noise = |i: usize| -> f32 {
        (0..8).map(|j| random::unit(11, SampleId((8 * i + j) as u128)) as f32 - 0.5).sum()
    };
    let (scales, centers) = ([2.0, 0.1], [0.0, 4.0]);
    let rows = Array2::from_shape_fn((800, 2), |(i, t)| {
        let center = if t == 0 { centers[i % 2] } else { 0.0 };
        center + scales[i % 2] * noise(2 * i + t)
    });
    let params = GaussianMixtureParams::new(2).seed(1).tolerance(1e-7).iterations(1_000);
    let params = params.check().unwrap();
    let found = params.fit(&rows.view(), &NoProgress).unwrap();
    let cluster = found.clustering.assignment.cluster();
    let right = (0..800).filter(|&i| (cluster[i] == cluster[1]) == (i % 2 == 1)).count();
    assert!(right >= 790, "{right}");
    let nearest =
        assign(found.clustering.centroids.view(), Metric::Euclidean, &rows.view(), &NoProgress);
    let nearest = nearest.unwrap().cluster().to_vec();
    let moved = (0..800).filter(|&i| nearest[i] != cluster[i]).count();
    assert!(moved > 30, "the nearest mean is not the more probable one: {moved}");
    let narrow = found.clustering.centroids.row(cluster[1] as usize);
    assert!((narrow[0] - 4.0).abs() < 0.02 && narrow[1].abs() < 0.02, "{narrow}");
    assert!(found.weights.iter().all(|&w| (w - 0.5).abs() < 0.02), "{:?}", found.weights);
    assert!(found.probability.iter().all(|&p| (0.5..=1.0).contains(&p)));
    assert_eq!(found, params.fit(&rows.view(), &NoProgress).unwrap(), "one seed, one answer");
}

#[test]
fn what_cannot_be_clustered_is_said() {
    let fields = |error: curate_core::ParamsError| -> Vec<_> {
        error.violations.into_iter().map(|v| v.field).collect()
    };
    let params = DbscanParams::new(1, f32::NAN).check().unwrap_err();
    assert_eq!(fields(params), ["min_points", "radius"]);
    let params = GaussianMixtureParams::new(0).iterations(0).tolerance(0.0).regularization(-1.0);
    let expected = ["clusters", "iterations", "tolerance", "regularization"];
    assert_eq!(fields(params.check().unwrap_err()), expected);

    let rows = arcs();
    let lonely = DbscanParams::new(5, 1e-3).check().unwrap();
    let error = lonely.fit(&rows.view(), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("no row has 5 rows within 0.001: widen"), "{error}");
    let few = GaussianMixtureParams::new(83).check().unwrap();
    let error = few.fit(&rows.view(), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("83 clusters need"), "{error}");
    let short = GaussianMixtureParams::new(3).iterations(1).check().unwrap();
    let error = short.fit(&rows.view(), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("did not converge"), "{error}");

    let mut rows = arcs();
    rows[[17, 1]] = f32::INFINITY;
    let dbscan = DbscanParams::new(3, 0.2).check().unwrap();
    let error = dbscan.fit(&rows.view(), &NoProgress).unwrap_err();
    assert!(matches!(error, AlternativeError::Rows(ClusterError::NotFinite { row: 17 })));
    let mixture = GaussianMixtureParams::new(2).check().unwrap();
    let error = mixture.fit(&rows.view(), &NoProgress).unwrap_err();
    assert!(matches!(error, AlternativeError::Rows(ClusterError::NotFinite { row: 17 })));
    // No numbers, no neighbors.
    let empty = Array2::<f32>::zeros((0, 2));
    assert!(dbscan.fit(&empty.view(), &NoProgress).is_err());
}
