//! Semantic deduplication against what the published code computed (`fixtures/dedup_prune`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs::File, path::PathBuf};

use curate_cluster::{Assignment, Metric, Ordered, Preference};
use curate_core::{
    Cut, NoProgress, SampleId, Selection, fault,
    fault::NormPolicy,
    rank::{Direction, Outcome, similarity_threshold},
};
use curate_dedup::{Matches, Mode};
use ndarray::{Array1, Array2, ArrayD, Ix1};
use ndarray_npy::{NpzReader, ReadableElement};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "dedup_prune", name].iter().collect()
}

struct Golden {
    npz: NpzReader<File>,
    embeddings: Array2<f32>,
    ids: Vec<SampleId>,
    epsilons: Vec<f64>,
}

impl Golden {
    fn open() -> Self {
        let mut npz = NpzReader::new(File::open(fixture("main_5000x64.npz")).unwrap()).unwrap();
        let embeddings: Array2<f32> = npz.by_name("embeddings").unwrap();
        let ids = (0..embeddings.nrows() as u128).map(SampleId).collect();
        let json: serde_json::Value =
            serde_json::from_reader(File::open(fixture("main_5000x64.json")).unwrap()).unwrap();
        let epsilons = json["eps_list"].as_array().unwrap().iter().map(|e| e.as_f64().unwrap());
        Self { npz, embeddings, ids, epsilons: epsilons.collect() }
    }

    fn array<T: ReadableElement>(&mut self, name: &str) -> Array1<T> {
        let array: ArrayD<T> = self.npz.by_name(name).unwrap();
        array.into_dimensionality::<Ix1>().unwrap()
    }

    fn rows(&mut self, name: &str) -> Vec<usize> {
        self.array::<i64>(name).iter().map(|&row| usize::try_from(row).unwrap()).collect()
    }

    fn assignment(&mut self) -> Assignment {
        let cluster = self.rows("assignment").into_iter().map(|c| u32::try_from(c).unwrap());
        let nearness = self.array::<f32>("sim_to_centroid").to_vec();
        Assignment::new(50, cluster.collect(), nearness).unwrap()
    }

    fn order(&mut self, which: &str) -> Ordered {
        let offsets = self.rows("cluster_offsets");
        let rows = self.rows(&format!("order_{which}"));
        let clusters = offsets.windows(2).map(|w| rows[w[0]..w[1]].to_vec()).collect();
        Ordered::from_clusters(clusters, self.embeddings.nrows()).unwrap()
    }
}

fn cut(found: &Matches, cut: Cut, ids: &[SampleId]) -> Outcome {
    cut.apply(&found.similarity, ids, Direction::LowerIsBetter).unwrap()
}

#[test]
fn orders_equal_the_published_ones_given_its_similarities() {
    let mut golden = Golden::open();
    let assignment = golden.assignment();
    for (name, preference) in [("hard", Preference::Hard), ("easy", Preference::Easy)] {
        let order =
            Ordered::new(&assignment, Metric::Spherical, &golden.ids, preference, 0).unwrap();
        assert_eq!(order, golden.order(name), "{name}");
    }
}

#[test]
fn our_own_assignment_equals_the_published_one() {
    let mut golden = Golden::open();
    let centroids: Array2<f32> = golden.npz.by_name("centroids").unwrap();
    let rows = golden.embeddings.view();
    let ours =
        curate_cluster::assign(centroids.view(), Metric::Spherical, &rows, &NoProgress).unwrap();
    let theirs = golden.assignment();
    assert_eq!(ours.cluster(), theirs.cluster());
    let off = ours.nearness().iter().zip(theirs.nearness()).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f32::max) <= 6e-7);
}

#[test]
fn similarities_and_keep_lists_are_the_published_ones_for_every_order_and_epsilon() {
    let mut golden = Golden::open();
    let rows = golden.embeddings.clone();
    for which in ["hard", "easy", "random"] {
        let order = golden.order(which);
        let found = Matches::find(&rows, &order, Mode::Reference, &NoProgress).unwrap();
        let expected = golden.array::<f64>(&format!("max_earlier_sim_f64_{which}"));
        for (&row, expected) in order.clusters().iter().flatten().zip(expected) {
            let off = (f64::from(found.similarity[row]) - expected).abs();
            assert!(off <= 1e-6, "{which} row {row}: {off}");
        }
        for epsilon in golden.epsilons.clone() {
            let kept = cut(&found, Cut::Epsilon(epsilon), &golden.ids).kept;
            let expected = golden.rows(&format!("keep_{which}_eps{epsilon}"));
            assert_eq!(kept.rows(), expected, "{which} {epsilon}");
        }
    }
}

#[test]
fn greedy_keep_lists_are_the_golden_ones() {
    let mut golden = Golden::open();
    let rows = golden.embeddings.clone();
    for which in ["hard", "easy", "random"] {
        let order = golden.order(which);
        for epsilon in golden.epsilons.clone() {
            let mode = Mode::Greedy(epsilon);
            let found = Matches::find(&rows, &order, mode, &NoProgress).unwrap();
            let kept = cut(&found, Cut::Epsilon(epsilon), &golden.ids).kept;
            let expected = golden.rows(&format!("greedy_keep_{which}_eps{epsilon}"));
            assert_eq!(kept.rows(), expected, "{which} {epsilon}");
        }
    }
}

#[test]
fn a_wanted_count_is_the_epsilon_that_gives_it() {
    let mut golden = Golden::open();
    let order = golden.order("hard");
    let rows = golden.embeddings.clone();
    let found = Matches::find(&rows, &order, Mode::Reference, &NoProgress).unwrap();
    for (count, epsilon) in [(4000, 0.0300), (3000, 0.1296), (2000, 0.2343)] {
        let outcome = cut(&found, Cut::Top(count), &golden.ids);
        assert_eq!(outcome.kept.len(), count);
        let equivalent = 1.0 - outcome.threshold.unwrap();
        assert!((equivalent - epsilon).abs() < 1e-4, "{count}: {equivalent}");
    }
}

#[test]
fn each_cause_is_a_preferred_row_of_the_same_cluster_with_that_similarity() {
    let mut golden = Golden::open();
    let order = golden.order("hard");
    let rows = golden.embeddings.clone();
    let found = Matches::find(&rows, &order, Mode::Reference, &NoProgress).unwrap();
    for cluster in order.clusters() {
        for (position, &row) in cluster.iter().enumerate() {
            let Some(cause) = found.cause(row) else { continue };
            assert!(cluster[..position].contains(&cause));
            let (a, b) = (rows.row(row).to_vec(), rows.row(cause).to_vec());
            assert_eq!(curate_kernels::reference::dot(&a, &b), found.similarity[row]);
        }
    }
}

/// The published rule as its code computes it, NaN and all: a NaN anywhere before a row makes the
/// row's maximum NaN, and NaN is not above any threshold.
fn published(rows: &[Vec<f32>]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let max = |a: f32, b: f32| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) };
    (0..rows.len()).map(|j| (0..j).fold(0.0, |m, i| max(m, dot(&rows[i], &rows[j])))).collect()
}

#[test]
fn the_ten_edge_cases() {
    let json: serde_json::Value =
        serde_json::from_reader(File::open(fixture("semdedup_edge_cases.json")).unwrap()).unwrap();
    let number = |v: &serde_json::Value| v.as_f64().map_or(f32::NAN, |x| x as f32);
    let mut poisoned = 0;
    for case in json["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let rows: Vec<Vec<f32>> = case["order_rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_array().unwrap().iter().map(number).collect())
            .collect();
        let expected: Vec<f32> =
            case["max_earlier_sim"].as_array().unwrap().iter().map(number).collect();
        let same = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6 || (a.is_nan() && b.is_nan()))
        };
        assert!(same(&published(&rows), &expected), "{name}: the rule was misread");

        let n = rows.len();
        let matrix = Array2::from_shape_vec((n, 2), rows.concat()).unwrap();
        let bad: Vec<usize> = fault::check(&matrix.view(), NormPolicy::Any, &NoProgress)
            .unwrap()
            .iter()
            .filter(|f| f.fault == fault::Fault::EmbeddingNan)
            .map(|f| f.row)
            .collect();
        let good: Vec<usize> = (0..n).filter(|row| !bad.contains(row)).collect();
        let order = Ordered::from_clusters(vec![good.clone()], n).unwrap();
        let found = Matches::find(&matrix, &order, Mode::Reference, &NoProgress).unwrap();
        let ids: Vec<SampleId> = (0..n as u128).map(SampleId).collect();
        if bad.is_empty() {
            assert!(same(&found.similarity, &expected), "{name}: {:?}", found.similarity);
            for (epsilon, removed) in case["removed"].as_object().unwrap() {
                let epsilon: f64 = epsilon.parse().unwrap();
                let kept = if epsilon > 1.0 {
                    // The published code removes the preferred rows too, for nothing.
                    assert!(Cut::Epsilon(epsilon).check().is_err());
                    let limit = similarity_threshold(epsilon);
                    (0..n).filter(|&row| found.similarity[row] <= limit).collect()
                } else {
                    cut(&found, Cut::Epsilon(epsilon), &ids).kept
                };
                let removed: Vec<bool> =
                    removed.as_array().unwrap().iter().map(|r| r.as_bool().unwrap()).collect();
                let expected: Selection = (0..n).filter(|&row| !removed[row]).collect();
                assert_eq!(kept, expected, "{name} {epsilon}");
            }
        } else {
            // The published code loses every later decision to the NaN. Here the other rows fare
            // exactly as if the bad row had not been there.
            poisoned += 1;
            let alone: Vec<Vec<f32>> = good.iter().map(|&row| rows[row].clone()).collect();
            let ours: Vec<f32> = good.iter().map(|&row| found.similarity[row]).collect();
            assert!(same(&ours, &published(&alone)), "{name}: {ours:?}");
        }
    }
    assert_eq!(poisoned, 2, "both NaN cases were met");
}
