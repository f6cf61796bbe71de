//! What SELECT's published properties allow to be checked without its tables: each digest against the others, and
//! against sets that are made to have the same digests.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;

use curate_select::ClassProfile;
use serde::Deserialize;

#[derive(Deserialize)]
struct Properties {
    n: usize,
    total: u64,
    coverage: usize,
    lt500: usize,
    ls5pct: f64,
    eff_classes: f64,
    mean_acc: f64,
    #[serde(rename = "R_INCC_CC")]
    counts_with_imagenet: f64,
    #[serde(rename = "R_INA_A")]
    accuracy_with_imagenet: f64,
}

fn published() -> BTreeMap<String, Properties> {
    serde_json::from_str(include_str!("data/select_properties.json")).unwrap()
}

/// As many samples as even as they can be: the rest goes to the first classes.
fn even(total: u64, classes: usize) -> Vec<u64> {
    let classes = classes as u64;
    (0..classes).map(|class| total / classes + u64::from(class < total % classes)).collect()
}

/// The set that spreads most widely of those with the published total, coverage and share of the largest 50 classes:
/// it has these digests to the last bit, and no fewer effective classes than SELECT counted.
#[test]
fn shares_are_of_whole_samples_and_bound_the_effective_classes() {
    for (name, set) in published() {
        let largest = (set.ls5pct * set.total as f64).round() as u64;
        let counts = [even(largest, 50), even(set.total - largest, set.coverage - 50)].concat();
        let empty = vec![0; set.n - set.coverage];
        let profile = ClassProfile::of_counts([counts, empty].concat()).unwrap();
        assert_eq!((profile.total(), profile.coverage()), (set.total, set.coverage), "{name}");
        let share = profile.largest_share(0.05).unwrap();
        assert!((share - set.ls5pct).abs() < 1e-15, "{name}: {share}");
        assert!(set.eff_classes <= profile.effective_classes() + 1e-9, "{name}");
        assert!(set.lt500 >= set.n - set.coverage, "{name}: empty classes have fewer than 500");
        let right = set.mean_acc * 50_000.0;
        assert!((right - right.round()).abs() < 1e-9, "{name}: 50 samples a class");
    }
}

/// SD1000 (t2i) was made class by class as ImageNet is: the same counts.
#[test]
fn sets_of_the_same_counts_have_the_same_digests() {
    let published = published();
    let (imagenet, same) = (&published["IN1000"], &published["SD1000_t2i"]);
    assert_eq!(imagenet.total, same.total);
    assert_eq!(imagenet.ls5pct.to_bits(), same.ls5pct.to_bits());
    assert_eq!(imagenet.eff_classes.to_bits(), same.eff_classes.to_bits());
    for (set, correlation) in [
        (imagenet, imagenet.counts_with_imagenet),
        (same, same.counts_with_imagenet),
        (imagenet, imagenet.accuracy_with_imagenet),
    ] {
        assert!((correlation - 1.0).abs() < 1e-12 && set.coverage == 1000);
    }
}

/// SELECT's message: the most uneven set is not the worst at everything; and its headline, that none beats ImageNet's
/// own labels.
#[test]
fn expert_labels_lead_in_the_published_table() {
    let published = published();
    let best = published.iter().max_by(|a, b| a.1.mean_acc.total_cmp(&b.1.mean_acc)).unwrap();
    let uneven =
        published.iter().min_by(|a, b| a.1.eff_classes.total_cmp(&b.1.eff_classes)).unwrap();
    assert_eq!((best.0.as_str(), uneven.0.as_str()), ("IN1000", "OI1000"));
}
