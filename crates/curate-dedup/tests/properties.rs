//! What must hold for any rows: the same answer for every block size, number of threads and order
//! of rows, the answer of a scalar search, and no harm from bad rows.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use curate_cluster::{Assignment, Metric, Ordered, Preference};
use curate_core::{
    Cut, Given, NoProgress, Rows, SampleId, Selection, embedding, fault::NormPolicy, random,
    rank::similarity_threshold,
};
use curate_dedup::{Duplicates, ExactCopies, Inputs, Matches, Mode, SemanticDedupParams};
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
            embedding::normalize(rows.row_mut(i).as_slice_mut().unwrap());
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
fn scalar(rows: &Array2<f32>, order: &Ordered, mode: Mode) -> (Vec<f32>, Vec<Option<usize>>) {
    let greedy = match mode {
        Mode::Reference => None,
        Mode::Greedy(epsilon) => Some(similarity_threshold(epsilon)),
    };
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

/// The front door, with ids of its own.
fn run(rows: &Array2<f32>, ids: &[SampleId], params: SemanticDedupParams) -> Duplicates {
    let given = Given { ids: Some(ids), norm: NormPolicy::Any, ..Given::default() };
    let rows = Rows::read(rows, given, &NoProgress).unwrap();
    params.check().unwrap().run(&rows, &NoProgress).unwrap()
}

/// Clusters and probes; rows are preferred by a draw for their id, whatever the clusters.
fn probe(rows: &Array2<f32>, ids: &[SampleId], clusters: usize, probes: usize) -> Duplicates {
    let params = SemanticDedupParams::new().clusters(clusters).probes(probes);
    run(rows, ids, params.preference(Preference::Random).seed(1))
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
        for mode in [Mode::Reference, Mode::Greedy(epsilon)] {
            let found = Matches::find_within(&rows, &order, mode, limit, &NoProgress).unwrap();
            let (similarity, cause) = scalar(&rows, &order, mode);
            prop_assert_eq!(&found.similarity, &similarity);
            let causes: Vec<_> = (0..n).map(|row| found.cause(row)).collect();
            prop_assert_eq!(causes, cause);
        }
    }

    #[test]
    fn more_epsilon_never_keeps_more_and_counts_are_exact(
        n in 1_usize..200,
        clusters in 1_usize..6,
        seed in 0_u64..1_000,
        (low, high) in (0.0_f64..1.0, 0.0_f64..1.0),
        share in 0.0_f64..=1.0,
    ) {
        let params = SemanticDedupParams::new().clusters(clusters).seed(seed);
        let found = run(&rows(n, 8, seed), &ids(n), params);
        let kept = |epsilon| found.select(Cut::Epsilon(epsilon)).unwrap();
        prop_assert!(kept(high.max(low)).minus(&kept(low.min(high))).is_empty());
        let count = (share * n as f64) as usize;
        prop_assert_eq!(found.select(Cut::Top(count)).unwrap().len(), count);
    }

    #[test]
    fn every_row_stays_or_has_a_reason(
        n in 1_usize..150,
        bad in prop::collection::vec(0_usize..150, 0..20),
        epsilon in 0.0_f64..0.5,
        seed in 0_u64..1_000,
    ) {
        let mut rows = rows(n, 6, seed);
        for row in bad.into_iter().filter(|&row| row < n) {
            rows.row_mut(row).fill(if row % 2 == 0 { f32::NAN } else { 0.0 });
        }
        let found = run(&rows, &ids(n), SemanticDedupParams::new().clusters(3).seed(seed));
        let kept = found.select(Cut::Epsilon(epsilon)).unwrap();
        let removals = found.removals(Cut::Epsilon(epsilon)).unwrap();
        let gone: Vec<usize> = removals.iter().map(|removal| removal.row).collect();
        prop_assert_eq!(Selection::all(n).minus(&kept).rows().to_vec(), gone);
        for removal in removals.iter().filter(|removal| removal.threshold.is_some()) {
            prop_assert!(removal.value > removal.threshold);
            prop_assert!(removal.cause.is_some_and(|cause| cause != removal.row));
        }
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
            let found = probe(rows, ids, 4.min(n), 2);
            let mut fates: Vec<_> = (0..n)
                .map(|row| (ids[row], found.similarity(row), found.cause(row).map(|c| ids[c])))
                .collect();
            fates.sort_by_key(|fate| fate.0);
            fates
        };
        prop_assert_eq!(fates(&rows, &names), fates(&moved, &moved_ids));
    }
}

#[test]
fn probing_all_clusters_is_one_search_over_all_rows() {
    let (n, clusters) = (900, 7);
    let (rows, names) = (rows(n, 12, 5), ids(n));
    let causes = |found: &Duplicates| (0..n).map(|row| found.cause(row)).collect::<Vec<_>>();
    let whole = probe(&rows, &names, 1, 0);
    let all = probe(&rows, &names, clusters, clusters - 1);
    assert_eq!(all.similarities(), whole.similarities());
    assert_eq!(causes(&all), causes(&whole));
    assert_eq!(causes(&probe(&rows, &names, clusters, 99)), causes(&whole), "all that there are");
    let alone = probe(&rows, &names, clusters, 0);
    assert_ne!(causes(&alone), causes(&whole), "some pairs are split, or this test shows nothing");
}

#[test]
fn probing_raises_recall_and_says_by_how_much() {
    let (n, clusters, epsilon) = (2_500, 12, 0.05);
    let (rows, names) = (rows(n, 6, 8), ids(n));
    let whole = probe(&rows, &names, 1, 0);
    let duplicates = n - whole.select(Cut::Epsilon(epsilon)).unwrap().len();
    let mut shares = Vec::new();
    for probes in [1, 3, clusters - 1] {
        let found = probe(&rows, &names, clusters, probes);
        assert!(found.probing().is_some_and(|probing| probing.improved > 0));
        let recall = found.recall(epsilon).unwrap();
        assert_eq!(recall.sampled, 1_000);
        // Every duplicate there is, counted without a sample.
        let gone = n - found.select(Cut::Epsilon(epsilon)).unwrap().len();
        assert!((recall.share() - gone as f64 / duplicates as f64).abs() < 0.05);
        assert!(recall.share_without_probing() < recall.share());
        shares.push(recall.share());
    }
    assert!(shares[0] <= shares[1], "{shares:?}");
    assert_eq!(shares[2], 1.0);
    assert_eq!(whole.recall(epsilon), None, "nothing was probed");
}

#[test]
fn threads_change_nothing() {
    let (rows, names) = (rows(1_500, 10, 2), ids(1_500));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let order = order(1_500, 3, 2);
            let mode = Mode::Greedy(0.1);
            let greedy = Matches::find_within(&rows, &order, mode, 200, &NoProgress);
            (probe(&rows, &names, 5, 2), greedy.unwrap())
        })
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(7));
}

/// In the published code one NaN row ends the search in its cluster. Here bad rows are set aside by the
/// front door, and even where they are not they change nobody else.
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
        let find = |rows: &Array2<f32>, order| {
            Matches::find_within(rows, order, Mode::Reference, limit, &NoProgress).unwrap()
        };
        let (bad, good) = (find(&all, &with_bad), find(&good, &without));
        assert_eq!(bad.similarity[6..], good.similarity);
        assert_eq!(bad.similarity[..6], [0.0; 6]);
        for row in 0..300 {
            assert_eq!(bad.cause(row + 6), good.cause(row).map(|cause| cause + 6));
        }
    }
    let params = SemanticDedupParams::new().clusters(4);
    let with_bad = run(&all, &ids(306), params.clone());
    let without = run(&good, &ids(306)[6..], params);
    assert_eq!(with_bad.faults().len(), 6);
    assert_eq!(with_bad.similarities(), without.similarities());
}

#[test]
fn clusters_and_scores_of_ones_own_are_used_and_checked() {
    let vectors = rows(60, 4, 3);
    let rows = Rows::new(&vectors).unwrap();
    let dedup = SemanticDedupParams::new().clusters(5).check().unwrap();
    let found = dedup.run(&rows, &NoProgress).unwrap();
    let inputs = Inputs { clusters: Some(found.clusters()), ..Inputs::default() };
    assert_eq!(dedup.run_with(&rows, inputs, &NoProgress).unwrap(), found);

    // The highest score of all stays whatever it is similar to.
    let scores: Vec<f32> = (0..60).map(|row| row as f32).collect();
    let inputs = Inputs { scores: Some(&scores.clone().into()), ..Inputs::default() };
    let by_score = dedup.run_with(&rows, inputs, &NoProgress).unwrap();
    assert_eq!(by_score.similarity(59), Some(0.0));
    let causes = (0..60).filter_map(|row| Some((row, by_score.cause(row)?)));
    assert!(causes.clone().count() > 30 && causes.into_iter().all(|(row, cause)| cause > row));

    let inputs = Inputs { scores: Some(&scores[1..].to_vec().into()), ..Inputs::default() };
    let error = dedup.run_with(&rows, inputs, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("59 scores for 60 rows"), "{error}");
    let few = rows.only(&Selection::all(10)).unwrap();
    let some = dedup.run(&few, &NoProgress).unwrap();
    let inputs = Inputs { clusters: Some(some.clusters()), ..Inputs::default() };
    let error = dedup.run_with(&rows, inputs, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("row 10 is in no cluster"), "{error}");
}

#[test]
fn a_greedy_search_answers_its_own_epsilon_alone() {
    let found = run(&rows(50, 4, 3), &ids(50), SemanticDedupParams::new().mode(Mode::Greedy(0.1)));
    assert!(found.select(Cut::Epsilon(0.1)).is_ok());
    for cut in [Cut::Epsilon(0.2), Cut::Top(3), Cut::Fraction(0.5), Cut::Threshold(0.9)] {
        let error = found.select(cut).unwrap_err().to_string();
        assert!(error.contains("holds for its own epsilon 0.1 alone"), "{cut:?}: {error}");
    }
}

#[test]
fn cuts_out_of_range_and_vectors_that_are_not_normalized_are_refused() {
    let found = run(&rows(20, 4, 3), &ids(20), SemanticDedupParams::new());
    for cut in [Cut::Epsilon(f64::NAN), Cut::Epsilon(2.5), Cut::Epsilon(-1.0), Cut::Fraction(-1.0)]
    {
        assert!(found.select(cut).is_err() && found.removals(cut).is_err(), "{cut:?}");
    }
    let long = rows(20, 4, 3) * 5.0;
    assert!(Rows::new(&long).is_err());
}

#[test]
fn nothing_and_one_row_are_no_trouble() {
    for n in [0, 1] {
        let found = run(&rows(n, 4, 1), &ids(n), SemanticDedupParams::new().probes(3));
        assert_eq!(found.select(Cut::Epsilon(0.05)).unwrap().len(), n);
        assert_eq!(found.removals(Cut::Top(0)).unwrap().len(), n);
    }
    let zeros = Array2::<f32>::zeros((3, 4));
    let found = run(&zeros, &ids(3), SemanticDedupParams::new());
    assert_eq!((found.select(Cut::Top(9)).unwrap().len(), found.faults().len()), (0, 3));
}

#[test]
fn a_result_that_was_written_answers_as_before() {
    let vectors = rows(200, 8, 3);
    let given = Given { norm: NormPolicy::Any, ..Given::default() };
    let rows = Rows::read(&vectors, given, &NoProgress).unwrap();
    let method = SemanticDedupParams::new().probes(2).check().unwrap();
    let found = method.run(&rows, &NoProgress).unwrap();
    let mut written = Vec::new();
    ciborium::into_writer(&found, &mut written).unwrap();
    let again: Duplicates = ciborium::from_reader(&*written).unwrap();
    assert_eq!(again, found);
    assert_eq!(again.removals(Cut::Top(50)).unwrap(), found.removals(Cut::Top(50)).unwrap());
    // Rows that are written in any order, and twice, are read as a set.
    let set: Selection = serde_json::from_str("[3, 1, 3]").unwrap();
    assert_eq!(set.rows(), [1, 3]);
}

#[test]
fn searches_of_some_clusters_each_put_together_are_the_whole_search() {
    let (rows, ids) = (rows(400, 6, 11), ids(400));
    let given = Given { ids: Some(&ids), ..Given::default() };
    let all = Rows::read(&rows, given, &NoProgress).unwrap();
    for params in [
        SemanticDedupParams::new().clusters(8),
        SemanticDedupParams::new().clusters(8).probes(2).exact_copies(ExactCopies::Collapse),
        SemanticDedupParams::new().clusters(5).mode(Mode::Greedy(0.1)),
    ] {
        let dedup = params.clone().seed(2).check().unwrap();
        let whole = dedup.run(&all, &NoProgress).unwrap();
        let clusters = whole.clusters();
        let part = params.clone().seed(2).probes(0).exact_copies(ExactCopies::Search);
        let part = part.check().unwrap();
        let mut found = Vec::new();
        for some in [4..clusters.k() as u32, 0..1, 1..4] {
            let has = |row: usize| clusters.cluster(row).is_some_and(|c| some.contains(&c));
            let members = clusters.rows().retain(has);
            let only = clusters.only(&members).unwrap();
            let inputs = Inputs { clusters: Some(&only), ..Inputs::default() };
            let rows = all.only(&members).unwrap();
            found.extend(part.run_with(&rows, inputs, &NoProgress).unwrap().found());
        }
        let inputs = Inputs { clusters: Some(clusters), found: Some(&found), ..Inputs::default() };
        assert_eq!(dedup.run_with(&all, inputs, &NoProgress).unwrap(), whole);

        let inputs = Inputs { found: Some(&found[1..]), ..inputs };
        let error = dedup.run_with(&all, inputs, &NoProgress).unwrap_err().to_string();
        assert!(error.contains("found matches"), "{error}");
        found[0].row = 400;
        let inputs = Inputs { clusters: Some(clusters), found: Some(&found), ..Inputs::default() };
        let error = dedup.run_with(&all, inputs, &NoProgress).unwrap_err().to_string();
        assert!(error.contains("row 400 is not among"), "{error}");
    }
}
