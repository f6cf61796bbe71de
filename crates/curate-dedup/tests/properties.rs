//! What must hold for any rows: the same answer for every block size, number of threads and order
//! of rows, the answer of a scalar search, and no harm from bad rows.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use curate_cluster::{Assignment, KMeansParams, Metric, Ordered, Preference};
use curate_core::{NoProgress, SampleId, embedding, random};
use curate_dedup::{Duplicates, Keep, Probe, nearest_clusters, similarity_threshold};
use ndarray::{Array2, Axis, s};
use proptest::prelude::*;

/// Unit rows, many of them near copies of earlier ones and some exact copies.
fn rows(n: usize, dim: usize, seed: u64) -> Array2<f32> {
    let draw = |i: usize, t: usize| {
        random::unit(seed, SampleId::from_halves(i as u64, t as u64)) as f32 - 0.5
    };
    let mut rows = Array2::zeros((n, dim));
    for i in 0..n {
        let origin = match i % 5 {
            0 | 1 => i,
            _ => (random::hash(seed ^ 9, SampleId(i as u128)) % i as u64) as usize,
        };
        for t in 0..dim {
            let noise = if i % 5 == 2 { 0.0 } else { 0.05 * draw(i, t + 1_000) };
            rows[[i, t]] = if origin == i { draw(i, t) } else { rows[[origin, t]] + noise };
        }
        if i % 5 != 2 || i == 0 {
            embedding::normalise(rows.row_mut(i).as_slice_mut().unwrap());
        }
    }
    rows
}

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(|i| SampleId(i * 19 + 3)).collect()
}

/// Clusters of every size from none to most rows, members in a scrambled order of preference.
fn order(n: usize, clusters: usize, seed: u64) -> Ordered {
    let cluster = |row: usize| {
        let draw = random::unit(seed ^ 1, SampleId(row as u128));
        ((draw * draw) * clusters as f64) as u32
    };
    let assignment =
        Assignment::new(clusters, (0..n).map(cluster).collect(), vec![0.0; n]).unwrap();
    Ordered::new(&assignment, Metric::Spherical, &ids(n), Preference::Random, seed).unwrap()
}

/// The rule, one pair at a time.
fn scalar(
    rows: &Array2<f32>,
    order: &Ordered,
    greedy: Option<f32>,
) -> (Vec<f32>, Vec<Option<usize>>) {
    let n = rows.nrows();
    let (mut similarity, mut cause) = (vec![0.0; n], vec![None; n]);
    for cluster in order.clusters() {
        for (j, &row) in cluster.iter().enumerate() {
            for &earlier in &cluster[..j] {
                if greedy.is_some_and(|threshold| similarity[earlier] > threshold) {
                    continue;
                }
                let product = curate_kernels::reference::dot(
                    rows.row(row).as_slice().unwrap(),
                    rows.row(earlier).as_slice().unwrap(),
                );
                if product > similarity[row] {
                    (similarity[row], cause[row]) = (product, Some(earlier));
                }
            }
        }
    }
    (similarity, cause)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn blocks_of_any_size_give_the_bytes_of_a_scalar_search(
        n in 0_usize..400,
        dim in 1_usize..20,
        clusters in 1_usize..6,
        limit in 1_usize..300,
        epsilon in 0.0_f64..0.6,
        seed in 0_u64..1_000,
    ) {
        let rows = rows(n, dim, seed);
        let order = order(n, clusters, seed);
        let found = Duplicates::find_within(&rows.view(), &order, limit, &NoProgress).unwrap();
        let (similarity, cause) = scalar(&rows, &order, None);
        prop_assert_eq!(&found, &Duplicates::from_parts(similarity, cause));

        let greedy =
            Duplicates::find_greedy_within(&rows.view(), &order, epsilon, limit, &NoProgress);
        let (similarity, cause) = scalar(&rows, &order, Some(similarity_threshold(epsilon)));
        prop_assert_eq!(greedy.unwrap(), Duplicates::from_parts(similarity, cause));
    }

    #[test]
    fn more_epsilon_never_keeps_more_and_counts_are_exact(
        n in 1_usize..200,
        clusters in 1_usize..6,
        seed in 0_u64..1_000,
        (low, high) in (0.0_f64..1.0, 0.0_f64..1.0),
        share in 0.0_f64..=1.0,
    ) {
        let rows = rows(n, 8, seed);
        let found = Duplicates::find(&rows.view(), &order(n, clusters, seed), &NoProgress).unwrap();
        let kept = |epsilon| found.keep(Keep::Epsilon(epsilon), &ids(n)).kept;
        let (less, more) = (kept(low.min(high)), kept(low.max(high)));
        prop_assert!(less.iter().zip(&more).all(|(less, more)| *less || !*more));
        let count = (share * n as f64) as usize;
        let kept = found.keep(Keep::Count(count), &ids(n)).kept;
        prop_assert_eq!(kept.iter().filter(|kept| **kept).count(), count);
    }

    #[test]
    fn the_order_of_rows_changes_no_rows_fate(
        n in 2_usize..120,
        seed in 0_u64..1_000,
        turn in 1_usize..1_000,
    ) {
        let (rows, names) = (rows(n, 8, seed), ids(n));
        let mut shuffled: Vec<usize> = (0..n).collect();
        shuffled.sort_by_key(|&row| random::hash(turn as u64, SampleId(row as u128)));
        let moved = rows.select(Axis(0), &shuffled);
        let moved_ids: Vec<SampleId> = shuffled.iter().map(|&row| names[row]).collect();
        let fates = |rows: &Array2<f32>, ids: &[SampleId]| {
            let found = probe(rows, ids, 4, 2).1;
            let mut fates: Vec<_> = (0..n)
                .map(|row| (ids[row], found.similarity[row], found.cause(row).map(|c| ids[c])))
                .collect();
            fates.sort_by_key(|fate| fate.0);
            fates
        };
        prop_assert_eq!(fates(&rows, &names), fates(&moved, &moved_ids));
    }
}

/// Searches clusters by fixed centroids, then probes; returns both answers.
fn probe(
    rows: &Array2<f32>,
    ids: &[SampleId],
    clusters: usize,
    probes: usize,
) -> (Duplicates, Duplicates) {
    let (_, preferred, order, assignment, centroids) = clustered(rows, ids, clusters);
    let view = rows.view();
    let near = nearest_clusters(
        &view,
        centroids.view(),
        Metric::Spherical,
        &assignment,
        probes,
        &NoProgress,
    )
    .unwrap();
    let before = Duplicates::find(&view, &order, &NoProgress).unwrap();
    let after = Probe::new(&preferred, &near, clusters)
        .search(&view, &order, &before, &NoProgress)
        .unwrap();
    (before, after.duplicates)
}

type Clustered = (usize, Ordered, Ordered, Assignment, Array2<f32>);

fn clustered(rows: &Array2<f32>, ids: &[SampleId], clusters: usize) -> Clustered {
    let mut centroids = Array2::from_shape_fn((clusters, rows.ncols()), |(c, t)| {
        random::unit(77, SampleId::from_halves(c as u64, t as u64)) as f32 - 0.5
    });
    centroids.outer_iter_mut().for_each(|mut c| embedding::normalise(c.as_slice_mut().unwrap()));
    let assignment =
        curate_cluster::assign(centroids.view(), Metric::Spherical, &rows.view(), &NoProgress)
            .unwrap();
    let in_order = |assignment: &Assignment| {
        Ordered::new(assignment, Metric::Spherical, ids, Preference::Hard, 0).unwrap()
    };
    let (preferred, order) = (in_order(&assignment.together()), in_order(&assignment));
    (clusters, preferred, order, assignment, centroids)
}

#[test]
fn probing_all_clusters_is_one_search_over_all_rows() {
    let (n, clusters) = (900, 7);
    let (rows, names) = (rows(n, 12, 5), ids(n));
    let (_, preferred, ..) = clustered(&rows, &names, clusters);
    let (before, after) = probe(&rows, &names, clusters, clusters - 1);
    let whole = Duplicates::find(&rows.view(), &preferred, &NoProgress).unwrap();
    assert_eq!(after, whole);
    assert_ne!(before, whole, "the clustering splits some pairs, or this test shows nothing");
}

#[test]
fn probing_raises_recall_and_says_by_how_much() {
    let (n, clusters, epsilon) = (2_500, 12, 0.05);
    let (rows, names) = (rows(n, 6, 8), ids(n));
    let (_, preferred, order, assignment, centroids) = clustered(&rows, &names, clusters);
    let view = rows.view();
    let before = Duplicates::find(&view, &order, &NoProgress).unwrap();
    let share = |probes: usize| {
        let metric = Metric::Spherical;
        let near =
            nearest_clusters(&view, centroids.view(), metric, &assignment, probes, &NoProgress);
        let probe = Probe::new(&preferred, &near.unwrap(), clusters);
        let after = probe.search(&view, &order, &before, &NoProgress).unwrap();
        assert_eq!(after.improved == 0, probes == 0);
        let found = &after.duplicates;
        let recall = probe.recall(&view, &names, found, epsilon, (n, 1), &NoProgress).unwrap();
        let sample = probe.recall(&view, &names, found, epsilon, (500, 1), &NoProgress).unwrap();
        assert_eq!((recall.sampled, sample.sampled), (n, 500));
        assert!((recall.share() - sample.share()).abs() < 0.1);
        recall.share()
    };
    let shares = [share(0), share(1), share(3), share(clusters - 1)];
    assert!(shares[0] < shares[1] && shares[1] <= shares[2], "{shares:?}");
    assert_eq!(shares[3], 1.0);
}

#[test]
fn threads_change_nothing() {
    let (rows, names) = (rows(1_500, 10, 2), ids(1_500));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let order = order(1_500, 3, 2);
            let greedy =
                Duplicates::find_greedy_within(&rows.view(), &order, 0.1, 200, &NoProgress);
            (probe(&rows, &names, 5, 2), greedy.unwrap())
        })
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(7));
}

/// In the published code one NaN row ends the search in its cluster; here bad rows that were not
/// set aside still change nobody else.
#[test]
fn bad_rows_change_no_other_rows_fate() {
    let good = rows(300, 8, 4);
    let mut all = Array2::zeros((306, 8));
    all.slice_mut(s![6.., ..]).assign(&good);
    all.row_mut(0).fill(f32::NAN);
    all[[1, 3]] = f32::NAN;
    all.row_mut(2).fill(0.0);
    all.row_mut(3).fill(f32::INFINITY);
    all[[4, 1]] = f32::NEG_INFINITY;
    all[[4, 2]] = f32::INFINITY;
    all[[5, 0]] = f32::INFINITY;
    // The bad rows are preferred to all others.
    let with_bad = Ordered::from_clusters(vec![(0..306).collect()], 306).unwrap();
    let without = Ordered::from_clusters(vec![(0..300).collect()], 300).unwrap();
    for limit in [1_000, 64] {
        let bad = Duplicates::find_within(&all.view(), &with_bad, limit, &NoProgress).unwrap();
        let good = Duplicates::find_within(&good.view(), &without, limit, &NoProgress).unwrap();
        assert_eq!(bad.similarity[6..], good.similarity);
        assert_eq!(bad.similarity[..6], [0.0; 6]);
        for row in 0..300 {
            assert_eq!(bad.cause(row + 6), good.cause(row).map(|cause| cause + 6));
        }
    }
}

#[test]
fn empty_clusters_singletons_and_probes_beyond_k_are_no_trouble() {
    let rows = rows(6, 4, 1);
    let kmeans = KMeansParams::new(6).check().unwrap();
    let fitted = kmeans.fit(&rows.view(), &ids(6), &NoProgress).unwrap();
    let near = nearest_clusters(
        &rows.view(),
        fitted.centroids.view(),
        fitted.metric,
        &fitted.assignment,
        99,
        &NoProgress,
    )
    .unwrap();
    for (near, own) in near.iter().zip(fitted.assignment.cluster()) {
        assert_eq!(near.len(), 5);
        assert!(!near.contains(own));
    }
    let order = Ordered::from_clusters(vec![vec![], vec![3], vec![]], 6).unwrap();
    let found = Duplicates::find(&rows.view(), &order, &NoProgress).unwrap();
    assert_eq!(found.similarity, [0.0; 6]);
}
