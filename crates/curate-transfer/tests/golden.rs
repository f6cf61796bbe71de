//! Rankings against golden data and against their definitions.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_cluster::{KMeansParams, Metric};
use curate_core::{Cut, NoProgress, SampleId, Selection};
use curate_transfer::{
    Control, NO_CLASS, Order, Target, TransferError, TransferParams, class_means, pseudo_classes,
};
use ndarray::{Array2, array};
use proptest::prelude::*;
use serde_json::Value;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn table(value: &Value) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// A source with one row of each class.
fn one_each(classes: usize) -> Vec<u32> {
    (0..classes as u32).collect()
}

#[test]
fn label_mapping_is_the_golden_one() {
    let golden = golden(include_str!("data/label_mapping.json"));
    let classes = golden["n_source_classes"].as_u64().unwrap() as usize;
    let predictions: Vec<u32> =
        numbers(&golden["target_predictions"]).iter().map(|&class| class as u32).collect();
    let transfer = TransferParams::new(classes).check().unwrap();
    let labels = one_each(classes);
    let ranking = transfer.run(&labels, Target::Predictions(&predictions), &NoProgress).unwrap();
    let votes: Vec<f64> = numbers(&golden["votes"]).iter().map(|&votes| votes as f64).collect();
    assert_eq!(ranking.numbers(), votes);
    assert_eq!(ranking.without_votes(), golden["zero_vote_classes"].as_u64().unwrap() as usize);
    for (count, expected) in golden["top"].as_object().unwrap() {
        let count: usize = count.parse().unwrap();
        assert_eq!(ranking.classes(Cut::Top(count)).unwrap().rows(), numbers(expected), "{count}");
        assert_eq!(ranking.select(Cut::Top(count)).unwrap().rows(), numbers(expected));
        let share = Cut::Fraction(count as f64 / classes as f64);
        assert_eq!(ranking.classes(share).unwrap().len(), count);
        assert_eq!(ranking.arbitrary(count), count.saturating_sub(26), "26 classes have votes");
    }
    // The same from a network's answers.
    let logits = Array2::from_shape_fn((predictions.len(), classes), |(row, class)| {
        if predictions[row] as usize == class { 2.0 } else { (class % 3) as f32 * 0.5 }
    });
    let again = transfer.run(&labels, Target::Logits(&logits), &NoProgress).unwrap();
    assert_eq!(again, ranking);
}

#[test]
fn feature_mapping_is_the_golden_one_and_not_the_released_loop() {
    let golden = golden(include_str!("data/feature_mapping.json"));
    let (centroids, features) =
        (table(&golden["source_centroids"]), table(&golden["target_features"]));
    let classes = centroids.nrows();
    let transfer = TransferParams::new(classes).check().unwrap();
    let run = |features: &Array2<f32>| {
        let target = Target::Features { features, centroids: centroids.view() };
        transfer.run(&one_each(classes), target, &NoProgress).unwrap()
    };
    let ranking = run(&features);
    let votes: Vec<f64> = numbers(&golden["votes"]).iter().map(|&votes| votes as f64).collect();
    assert_eq!(ranking.numbers(), votes);
    assert_eq!(ranking.order()[..3], [2, 5, 9]);
    assert_eq!(ranking.covering(1.0), 3);
    assert!((ranking.effective_classes() - 3.0).abs() < 1e-12);
    // A sample that is not finite does not vote, and changes no other vote.
    let mut bad = features.clone();
    bad[[4, 3]] = f32::NAN;
    bad[[20, 0]] = f32::INFINITY;
    let found = run(&bad);
    assert_eq!(found.unusable(), [4, 20]);
    assert_eq!(found.numbers().iter().sum::<f64>(), 19.0);
}

#[test]
fn clusters_stand_for_classes() {
    // Three blobs of source rows; the target lies in one of them.
    let blob = |i: usize| [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]][i % 3];
    let source =
        Array2::from_shape_fn((60, 2), |(i, t)| blob(i)[t] as f32 + 0.01 * ((i * 7) % 10) as f32);
    let ids: Vec<SampleId> = (0..60).map(SampleId).collect();
    let k_means = KMeansParams::new(3).metric(Metric::Euclidean).seed(2).check().unwrap();
    let clustering = k_means.fit(&source, &ids, &NoProgress).unwrap();
    let all = Selection::all(60);
    let clusters = curate_cluster::Clusters::new(all, clustering).unwrap();
    let labels = pseudo_classes(&clusters, 61);
    assert_eq!(labels[60], NO_CLASS, "a row that was not clustered");
    let target = array![[9.0_f32, 0.5], [10.5, -1.0], [10.0, 1.0]];
    let centroids = clusters.clustering().centroids.view();
    let target = Target::Features { features: &target, centroids };
    let transfer = TransferParams::new(3).check().unwrap();
    let ranking = transfer.run(&labels, target, &NoProgress).unwrap();
    let kept = ranking.select(Cut::Top(1)).unwrap();
    assert_eq!(kept.rows(), (0..60).filter(|i| i % 3 == 1).collect::<Vec<_>>());
    let removals = ranking.removals(Cut::Top(1)).unwrap();
    assert_eq!((removals.len(), removals[40].row), (41, 60));
    assert_eq!(
        removals[0].to_string(),
        format!("row 0: class-not-needed, 0, in cluster {}", labels[0])
    );
}

#[test]
fn controls_rank_without_a_target_and_orders_turn_around() {
    let labels = [0, 0, 1, 2, 2, NO_CLASS];
    let transfer = TransferParams::new(4).seed(1).check().unwrap();
    let norms = [1.0, 3.0, 5.0, f32::NAN, 0.5, 9.0];
    let by_norm = transfer.control(&labels, Control::GradientNorm(&norms)).unwrap();
    assert_eq!(by_norm.order(), [1, 0, 2, 3], "means 5, 2, 0.5 and none");
    assert_eq!(by_norm.classes(Cut::Top(9)).unwrap().rows(), [0, 1, 2], "none is never kept");
    assert_eq!(by_norm.select(Cut::Top(2)).unwrap().rows(), [0, 1, 2]);
    assert_eq!((by_norm.within(3), by_norm.within(2), by_norm.within(0)), (2, 1, 0));
    let random = transfer.control(&labels, Control::Random).unwrap();
    assert_eq!(random, transfer.control(&labels, Control::Random).unwrap());
    let other = TransferParams::new(4).seed(2).check().unwrap();
    assert_ne!(random, other.control(&labels, Control::Random).unwrap());

    let votes = Target::Predictions(&[2, 2, 0]);
    let fewest = TransferParams::new(4).order(Order::Fewest).check().unwrap();
    let ranking = fewest.run(&labels, votes, &NoProgress).unwrap();
    assert_eq!(ranking.order(), [1, 3, 0, 2]);
    assert_eq!(ranking.classes(Cut::Threshold(1.0)).unwrap().rows(), [0, 1, 3]);
    let most = transfer.run(&labels, votes, &NoProgress).unwrap();
    assert_eq!(most.classes(Cut::Threshold(1.0)).unwrap().rows(), [0, 2]);
    assert_eq!(most.covering(0.0), 0);
    assert_eq!((most.covering(0.6), most.covering(0.7)), (1, 2));
}

#[test]
fn what_does_not_fit_is_named() {
    let transfer = TransferParams::new(3).check().unwrap();
    let said = |labels: &[u32], target: Target<'_>| {
        transfer.run(labels, target, &NoProgress).unwrap_err().to_string()
    };
    let none = Target::Predictions(&[]);
    assert!(said(&[0, 3], none).starts_with("`labels`: row 1 is of class 3, but there are 3"));
    let wrong = Target::Predictions(&[0, 7]);
    assert!(said(&[0], wrong).starts_with("`predictions`: row 1 is of class 7, but there are 3"));
    assert!(said(&[0], none).starts_with("no target sample can be used (0 were given)"));
    let two = array![[0.0_f32, 1.0]];
    assert!(said(&[0], Target::Logits(&two)).starts_with("`logits` has 2 columns"));
    let nan = array![[f32::NAN, 1.0, 0.0]];
    assert!(said(&[0], Target::Logits(&nan)).contains("(1 were given)"));
    let target = Target::Features { features: &two, centroids: two.view() };
    assert!(said(&[0], target).starts_with("`centroids` has 1 columns or rows, but there are 3"));
    let wide = Array2::<f32>::zeros((3, 5));
    let target = Target::Features { features: &two, centroids: wide.view() };
    assert!(matches!(transfer.run(&[0], target, &NoProgress), Err(TransferError::Cluster(_))));
    let norms = transfer.control(&[0, 1], Control::GradientNorm(&[1.0])).unwrap_err().to_string();
    assert!(norms.starts_with("`gradient norms` has 1 entries for 2 source rows"), "{norms}");
    let empty = class_means(&two, &[1], 2, &NoProgress).unwrap_err().to_string();
    assert!(empty.starts_with("class 0 has no usable row"), "{empty}");
    let ranking = transfer.run(&[0], Target::Predictions(&[1]), &NoProgress).unwrap();
    assert!(ranking.classes(Cut::Epsilon(0.1)).is_err());
    assert!(ranking.select(Cut::Fraction(30.0)).is_err());
}

proptest! {
    /// A class kept at one count is kept at every larger one, and no row stays without its class.
    #[test]
    fn more_classes_keep_what_fewer_keep(
        labels in prop::collection::vec(0_u32..7, 0..60),
        votes in prop::collection::vec(0_u32..7, 1..60),
        count in 0_usize..7,
    ) {
        let transfer = TransferParams::new(7).check().unwrap();
        let ranking = transfer.run(&labels, Target::Predictions(&votes), &NoProgress).unwrap();
        let (fewer, more) = (
            ranking.select(Cut::Top(count)).unwrap(),
            ranking.select(Cut::Top(count + 1)).unwrap(),
        );
        prop_assert_eq!(fewer.minus(&more).len(), 0);
        let classes = ranking.classes(Cut::Top(count)).unwrap();
        prop_assert_eq!(classes.len(), count);
        prop_assert!(fewer.iter().all(|row| classes.contains(labels[row] as usize)));
        let gone = ranking.removals(Cut::Top(count)).unwrap().len();
        prop_assert_eq!(gone + fewer.len(), labels.len());
        let within = ranking.within(fewer.len());
        prop_assert!(within >= count);
    }
}
