//! Rows that vary along few axes: bounds from a few numbers rule most centroids out and change no byte.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use curate_cluster::{CentroidSums, Clustering, KMeansParams, Metric, assign};
use curate_core::{NoProgress, SampleId, embedding, random};
use ndarray::{Array2, s};

const DIM: usize = 64;

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(SampleId).collect()
}

/// Unit rows around 300 centers, with a spectrum that falls, around an offset; every tenth is a copy.
fn rows(n: usize, offset: f32) -> Array2<f32> {
    let number = |of: usize, t: usize, seed| {
        random::unit(seed, SampleId::from_halves(of as u64, t as u64)) as f32 - 0.5
    };
    let mut rows = Array2::from_shape_fn((n, DIM), |(i, t)| {
        let i = if i % 10 == 9 { i - 1 } else { i };
        offset + (number(i % 300, t, 1) + number(i, t, 2)) / (1 + t) as f32
    });
    for mut row in rows.rows_mut() {
        embedding::normalize(row.as_slice_mut().unwrap());
    }
    rows
}

/// Lloyd's passes by whole searches, which know of no pass before.
fn plain(rows: &Array2<f32>, start: Array2<f32>, metric: Metric, passes: usize) -> Array2<f32> {
    let (k, mut centroids) = (start.nrows(), start);
    for _ in 0..passes {
        let found = assign(centroids.view(), metric, &rows.view(), &NoProgress).unwrap();
        assert!(found.sizes().iter().all(|&size| size > 0), "nothing for an empty cluster to take");
        let mut sums = match metric {
            Metric::Spherical => CentroidSums::of_unit_rows(k, DIM),
            Metric::Euclidean => {
                let largest = rows.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                CentroidSums::of_rows_up_to(largest, k, DIM).unwrap()
            }
        };
        sums.add(rows.as_slice().unwrap(), found.cluster()).unwrap();
        let moved = sums.centroids(metric, centroids.as_slice().unwrap()).unwrap();
        centroids = Array2::from_shape_vec((k, DIM), moved).unwrap();
    }
    centroids
}

fn on_threads(threads: usize, work: impl FnOnce() -> Clustering + Send) -> Clustering {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Whether whole searches look in 8-bit integers here.
fn products_of_integers() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn heads_change_no_byte_on_any_number_of_threads() {
    let (n, k, passes) = (9_000, 950, 4);
    for (metric, offset) in [(Metric::Spherical, 0.0), (Metric::Euclidean, 0.2)] {
        let rows = rows(n, offset);
        let start = rows.slice(s![..;4, ..]).slice(s![..k, ..]).to_owned();
        let kmeans = KMeansParams::new(k).metric(metric).tolerance(0.0).iterations(passes);
        let kmeans = kmeans.check().unwrap();
        let fit = || kmeans.fit_from(start.view(), &rows.view(), &ids(n), &NoProgress).unwrap();
        let found = on_threads(1, fit);
        for threads in [2, 3] {
            let again = on_threads(threads, fit);
            assert_eq!((&found, found.ruled), (&again, again.ruled), "{metric:?} {threads}");
        }

        let pairs = (found.objective.len() + 1) * n * k;
        assert_eq!(found.ruled.pairs, pairs as u64);
        assert!(found.ruled.heads > found.ruled.pairs / 4, "{:?}", found.ruled);
        assert!(found.ruled.integers > 0, "{:?}", found.ruled);
        // Where heads are multiplied in f32 they need not pay before the second of the five passes.
        let most = if products_of_integers() { 0.05 } else { 0.25 };
        assert!(found.ruled.exact_share() < most, "{:?}", found.ruled);

        assert_eq!(found.reseeded, 0);
        assert_eq!(found.centroids, plain(&rows, start.clone(), metric, passes), "{metric:?}");
        // Few rows at a time are too few for heads, and get the same answer.
        let (mut cluster, mut nearness) = (Vec::new(), Vec::new());
        for first in (0..n).step_by(1_000) {
            let some = rows.slice(s![first..first + 1_000, ..]);
            let found = assign(found.centroids.view(), metric, &some, &NoProgress).unwrap();
            cluster.extend_from_slice(found.cluster());
            nearness.extend_from_slice(found.nearness());
        }
        assert_eq!(found.assignment.cluster(), cluster, "{metric:?}");
        assert_eq!(found.assignment.nearness(), nearness, "{metric:?}");
    }
}
