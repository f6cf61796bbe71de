//! What must hold for any rows and any number of clusters.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use curate_cluster::{Clustering, EmptyClusters, Init, KMeansParams, Metric};
use curate_core::{EmbeddingSource, NoProgress, SampleId, embedding, random};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(|i| SampleId(i * 23 + 9)).collect()
}

/// Unit rows of which every third is a copy of an earlier one.
fn rows(n: usize, dim: usize, seed: u64) -> Array2<f32> {
    let origin = |i: usize| if i % 3 == 2 { i / 2 } else { i };
    let mut rows = Array2::from_shape_fn((n, dim), |(i, t)| {
        random::unit(seed, SampleId::from_halves(origin(i) as u64, t as u64)) as f32 - 0.5
    });
    for mut row in rows.rows_mut() {
        embedding::normalize(row.as_slice_mut().unwrap());
    }
    rows
}

fn params() -> impl Strategy<Value = (KMeansParams, usize)> {
    let metric = prop_oneof![Just(Metric::Spherical), Just(Metric::Euclidean)];
    let init = prop_oneof![Just(Init::Random), Just(Init::PlusPlus)];
    let empty = prop_oneof![Just(EmptyClusters::WorstRow), Just(EmptyClusters::Split)];
    let batch = prop_oneof![Just(None), (1_usize..60).prop_map(Some)];
    (metric, init, empty, batch, 1_usize..6, any::<u64>(), 1_usize..30).prop_map(
        |(metric, init, empty, batch, iterations, seed, k)| {
            let params = KMeansParams::new(k)
                .metric(metric)
                .init(init)
                .empty_clusters(empty)
                .batch_rows(batch)
                .iterations(iterations)
                .seed(seed);
            (params, k)
        },
    )
}

fn fit(params: &KMeansParams, rows: &impl EmbeddingSource, ids: &[SampleId]) -> Clustering {
    params.clone().check().unwrap().fit(rows, ids, &NoProgress).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// From one cluster to one a row, copies among the rows: every row is at its nearest centroid,
    /// and the bytes do not depend on threads.
    #[test]
    fn rows_are_at_their_nearest_centroid_and_threads_change_no_byte(
        (params, k) in params(),
        more in 0_usize..60,
        dim in 1_usize..9,
        seed in any::<u64>(),
    ) {
        let n = k + more;
        let rows = rows(n, dim, seed);
        let view = rows.view();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&params, &view, &ids(n)))
        };
        let found = on(1);
        prop_assert_eq!(&found, &on(2));
        prop_assert_eq!(&found, &on(7));
        prop_assert!(found.centroids.iter().all(|x| x.is_finite()));
        prop_assert_eq!(found.sizes().iter().sum::<usize>(), n);
        for (row, &cluster) in rows.outer_iter().zip(found.assignment.cluster()) {
            let distance = |c: usize| match found.metric {
                Metric::Spherical => -row.dot(&found.centroids.row(c)),
                Metric::Euclidean => (&row - &found.centroids.row(c)).mapv(|x| x * x).sum(),
            };
            let best = (0..found.k()).map(distance).fold(f32::INFINITY, f32::min);
            prop_assert!(distance(cluster as usize) <= best + 1e-5);
        }
    }

    /// From a random start the order of rows decides nothing: draws are by id, ties too, and sums are
    /// exact. (k-means++ draws by a running sum over rows in their order.)
    #[test]
    fn the_order_of_rows_changes_no_byte(
        (params, k) in params(),
        more in 0_usize..60,
        seed in any::<u64>(),
        scale in -40_i32..40,
    ) {
        let (n, params) = (k + more, params.init(Init::Random));
        // Euclidean rows have any scale, and one of them is far longer than the others.
        let mut table = rows(n, 6, seed);
        if params.clone().check().unwrap().metric() == Metric::Euclidean {
            table.mapv_inplace(|x| x * 2_f32.powi(scale));
            table.row_mut(n / 2).mapv_inplace(|x| 100.0 * x);
        }
        let mut shuffled: Vec<usize> = (0..n).collect();
        shuffled.sort_by_key(|&row| random::hash(seed, SampleId(row as u128)));
        let moved_ids: Vec<SampleId> = shuffled.iter().map(|&row| ids(n)[row]).collect();
        let found = fit(&params, &table.view(), &ids(n));
        let moved = fit(&params, &table.select(Axis(0), &shuffled).view(), &moved_ids);
        prop_assert_eq!(&found.centroids, &moved.centroids);
        prop_assert_eq!(&found.objective, &moved.objective);
        prop_assert_eq!(found.inertia(), moved.inertia());
        for (i, &row) in shuffled.iter().enumerate() {
            prop_assert_eq!(moved.assignment.cluster()[i], found.assignment.cluster()[row]);
        }
    }
}

#[test]
fn one_cluster_a_row_is_exact() {
    let rows = Array2::<f32>::eye(9);
    for metric in [Metric::Spherical, Metric::Euclidean] {
        for batch in [None, Some(4)] {
            let params = KMeansParams::new(9).metric(metric).batch_rows(batch).seed(1);
            let found = fit(&params, &rows.view(), &ids(9));
            assert_eq!(found.sizes(), [1; 9]);
            assert_eq!(found.inertia(), 0.0);
        }
    }
}
