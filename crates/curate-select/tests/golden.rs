//! Properties against numpy and scipy, and against their definitions.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_core::{Given, NoProgress, Rows, fault::NormPolicy};
use curate_select::{
    ClassProfile, ConfusionProfile, Impute, KnnProbeParams, cmmd, inception_score, pearson,
    spearman,
};
use ndarray::{Array2, array};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("data/properties.json")).unwrap()
}

fn of<T: DeserializeOwned>(golden: &Value, key: &str) -> T {
    serde_json::from_value(golden[key].clone()).unwrap()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

fn all_near(found: &[Option<f64>], expected: &[Option<f64>]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|pair| match pair {
            (Some(found), Some(expected)) => near(*found, *expected),
            pair => pair == (&None, &None),
        })
}

fn vectors(golden: &Value, key: &str) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = of(golden, key);
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap() / 256.0
}

fn numbers(golden: &Value, key: &str) -> Vec<f64> {
    of::<Vec<Option<f64>>>(golden, key).into_iter().map(|n| n.unwrap_or(f64::NAN)).collect()
}

#[test]
fn counts_and_confusions_are_numpys() {
    let golden = golden();
    let profile = ClassProfile::of_counts(of(&golden, "counts")).unwrap();
    let expected = &golden["profile"];
    assert_eq!(profile.total(), expected["total"]);
    assert_eq!(profile.coverage(), expected["coverage"]);
    assert_eq!(profile.long_tail(500), expected["lt500"]);
    for (found, key) in [
        (profile.largest_share(0.05).unwrap(), "ls5pct"),
        (profile.effective_classes(), "effective"),
        (profile.gini(), "gini"),
    ] {
        assert!(near(found, expected[key].as_f64().unwrap()), "{key}: {found}");
    }
    let (predicted, truth): (Vec<u32>, Vec<u32>) = (of(&golden, "predicted"), of(&golden, "truth"));
    let confusion = ConfusionProfile::new(&predicted, &truth, 12).unwrap();
    assert!(all_near(&confusion.precision(), &of::<Vec<_>>(&golden, "precision")));
    assert!(all_near(&confusion.recall(), &of::<Vec<_>>(&golden, "recall")));
    assert!(all_near(&confusion.skewness(), &of::<Vec<_>>(&golden, "skewness")));
    assert_eq!(confusion.recall()[11], None, "a class without a sample");
    assert_eq!(confusion.row(12), None);
}

/// Rows of SELECT's `oi1000-stats-complete.csv` (commit 6d9f3e2, MIT): of 50 samples of a class, those that
/// went to the classes it is most confused with, and "skewness of normalized confusion scores".
#[test]
fn skewness_is_that_of_selects_tables() {
    for (confused, skewness) in [
        (&[6_u32, 2, 1, 1, 1][..], 1.362_792_753_035_554), // tench
        (&[1, 1, 1, 1, 1], 0.0),                           // goldfish
        (&[3, 3, 2, 2, 2], 0.408_248_290_463_863),         // great white shark
        (&[24, 4, 3, 3, 2], 1.478_903_086_214_314),        // tiger shark
        (&[3, 2], 0.0),                                    // bald eagle
        (&[1], 0.0),                                       // ostrich
        (&[3, 1, 1, 1], 1.154_700_538_379_251),            // house finch
    ] {
        // Class 0 is theirs, the others are numbered as listed, and rarer ones follow.
        let mut predicted = vec![0; 50 - confused.iter().sum::<u32>() as usize];
        for (class, &count) in (1..).zip(confused) {
            predicted.extend(std::iter::repeat_n(class, count as usize));
        }
        let profile = ConfusionProfile::new(&predicted, &[0; 50], 9).unwrap();
        let found = profile.skewness();
        assert!((found[0].unwrap() - skewness).abs() < 1e-9, "{confused:?}: {found:?}");
        assert_eq!(found[1], None, "a class without samples is not confused");
    }
}

/// ImageNet, and every set of its class sizes: 1.3 samples in a thousand for each of the 50 largest classes
/// (SELECT's table: 0.050734993954730336).
#[test]
fn the_largest_classes_of_imagenet_hold_what_select_reports() {
    let mut counts = vec![1300; 895];
    let rest = 1_281_167 - 895 * 1300;
    counts.extend((0..105).map(|i| rest / 105 + u64::from(i < rest % 105)));
    let profile = ClassProfile::of_counts(counts).unwrap();
    assert_eq!((profile.total(), profile.coverage(), profile.long_tail(500)), (1_281_167, 1000, 0));
    assert!(near(profile.largest_share(0.05).unwrap(), 0.050_734_993_954_730_336));
}

#[test]
fn correlations_are_scipys() {
    let golden = golden();
    let (a, b) = (numbers(&golden, "a"), numbers(&golden, "b"));
    let expected = |key: &str| golden[key].as_f64().unwrap();
    assert!(near(pearson(&a, &b).unwrap().unwrap(), expected("pearson")));
    assert!(near(spearman(&a, &b).unwrap().unwrap(), expected("spearman")));
    assert_eq!(pearson(&[1.0], &[2.0]).unwrap(), None);
    assert_eq!(spearman(&[1.0, f64::NAN], &[2.0, 3.0]).unwrap(), None);
    let error = pearson(&[1.0], &[]).unwrap_err().to_string();
    assert_eq!(error, "`a` has 1 entries, but `b` has 0: give one for each");
}

#[test]
fn neighbors_vote_as_in_numpy() {
    let golden = golden();
    let (train, test) = (vectors(&golden, "train"), vectors(&golden, "test"));
    let (labels, test_labels): (Vec<u32>, Vec<u32>) =
        (of(&golden, "train_labels"), of(&golden, "test_labels"));
    let given = || Given { norm: NormPolicy::Any, ..Given::default() };
    let train = Rows::read(&train, given(), &NoProgress).unwrap();
    let test = Rows::read(&test, given(), &NoProgress).unwrap();
    let probe = KnnProbeParams::new().neighbors([1, 10, 20, 100, 200]).check().unwrap();
    let found = probe.run(&train, &labels, &test, &test_labels, &NoProgress).unwrap();
    assert_eq!((found.train_rows, found.test_rows, found.unseen_classes), (300, 120, 0));
    for (neighbors, right) in golden["knn_right"].as_object().unwrap() {
        let expected = right.as_f64().unwrap() / 120.0;
        assert_eq!(found.accuracy(neighbors.parse().unwrap()), Some(expected), "{neighbors}");
    }
    assert_eq!(found.accuracies().count(), 5);
    assert_eq!(found.accuracy(2), None);
    // Cold enough that a weight alone would be infinite: the nearest decides.
    let cold = KnnProbeParams::new().neighbors([1, 50]).temperature(1e-4).check().unwrap();
    let cold = cold.run(&train, &labels, &test, &test_labels, &NoProgress).unwrap();
    assert_eq!(cold.accuracy(50), found.accuracy(1));
}

/// With as many rows as SELECT's code makes up; the rows themselves are compared beside their source.
#[test]
fn made_up_rows_vote_and_are_counted() {
    let golden: Value = serde_json::from_str(include_str!("data/imputation.json")).unwrap();
    let (train, test) = (vectors(&golden, "train"), vectors(&golden, "test"));
    let (labels, truth): (Vec<u32>, Vec<u32>) = (of(&golden, "labels"), of(&golden, "truth"));
    let given = || Given { norm: NormPolicy::Any, ..Given::default() };
    let train = Rows::read(&train, given(), &NoProgress).unwrap();
    let test = Rows::read(&test, given(), &NoProgress).unwrap();
    let params = || KnnProbeParams::new().neighbors([1, 5, 20]).seed(11);
    let filled = params().impute(Impute::Gaussian { per_class: 12 });
    for (params, key, imputed) in [(params(), "right_without", 0), (filled, "right", 28)] {
        let probe = params.check().unwrap();
        let found = probe.run(&train, &labels, &test, &truth, &NoProgress).unwrap();
        assert_eq!((found.train_rows, found.imputed_rows), (40, imputed));
        assert_eq!(found.unseen_classes, 1, "a made-up row is no sample of a class");
        for (neighbors, right) in golden[key].as_object().unwrap() {
            let expected = right.as_f64().unwrap() / 45.0;
            assert_eq!(found.accuracy(neighbors.parse().unwrap()), Some(expected), "{neighbors}");
        }
    }
    let error = params().impute(Impute::Gaussian { per_class: 0 }).check().unwrap_err();
    assert_eq!(error.to_string(), "`per-class` is 0, but must be at least 1");
}

#[test]
fn sets_are_as_far_apart_as_numpy_says() {
    let golden = golden();
    let unit = |key: &str, count: usize| {
        let mut rows = vectors(&golden, key).slice(ndarray::s![..count, ..]).to_owned();
        rows.rows_mut().into_iter().for_each(|mut row| {
            let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            row.mapv_inplace(|x| (f64::from(x) / norm) as f32);
        });
        rows
    };
    let found = cmmd(&unit("train", 90), &unit("test", 70), &NoProgress).unwrap();
    // The embeddings are rounded to single precision, and their products are.
    assert!((found - golden["cmmd"].as_f64().unwrap()).abs() < 1e-4, "{found}");
    let rows: Vec<Vec<f64>> = of(&golden, "probabilities");
    let rows = Array2::from_shape_vec((50, 8), rows.concat()).unwrap();
    let score = inception_score(rows.view()).unwrap();
    assert!(near(score, golden["inception_score"].as_f64().unwrap()), "{score}");
}

#[test]
fn what_does_not_fit_is_named() {
    let error = ClassProfile::of_labels(&[0, 4], 4).unwrap_err().to_string();
    assert_eq!(error, "`labels`: row 1 is of class 4, but there are 4, counted from 0");
    assert!(
        ClassProfile::of_counts(vec![]).unwrap_err().to_string().starts_with("`counts` is empty")
    );
    let none = ClassProfile::of_counts(vec![0; 3]).unwrap();
    assert_eq!((none.largest_share(0.5), none.effective_classes(), none.gini()), (None, 0.0, 0.0));
    assert_eq!(none.largest_share(f64::NAN), None);
    let error = ConfusionProfile::new(&[0], &[0, 1], 2).unwrap_err().to_string();
    assert!(error.starts_with("`predicted` has 1 entries, but `truth` has 2"), "{error}");
    let empty = ConfusionProfile::new(&[], &[], 2).unwrap();
    assert_eq!((empty.accuracy(), empty.mean_recall(), empty.worst()), (None, None, None));
    let one = array![[1.0_f32, 0.0]];
    let wide = array![[1.0_f32, 0.0, 0.0]];
    let error = cmmd(&one, &wide, &NoProgress).unwrap_err().to_string();
    assert!(error.starts_with("`b` has vectors of 3 numbers, the others have 2"), "{error}");
    let nothing = Array2::<f32>::zeros((0, 2));
    assert!(cmmd(&nothing, &one, &NoProgress).unwrap_err().to_string().starts_with("`a` is empty"));
    for (wrong, problem) in [
        (array![[0.5, 0.5], [0.5, 0.6]], "row 1 adds up to 1.1"),
        (array![[f64::NAN, 1.0]], "row 0 holds a number that is negative or not finite"),
    ] {
        let error = inception_score(wrong.view()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let probe = KnnProbeParams::new().check().unwrap();
    let (rows, other) = (Rows::new(&one).unwrap(), Rows::new(&wide).unwrap());
    let run = |train: &Rows<'_>, labels: &[u32], test: &Rows<'_>| {
        probe.run(train, labels, test, &[0], &NoProgress).unwrap_err().to_string()
    };
    assert!(run(&rows, &[0, 1], &rows).starts_with("`train labels` has 2 entries"));
    assert!(run(&rows, &[0], &other).starts_with("`test` has vectors of 3 numbers"));
    let bad = array![[f32::NAN, 0.0]];
    assert!(run(&Rows::new(&bad).unwrap(), &[0], &rows).starts_with("`train` is empty"));
}

proptest! {
    #[test]
    fn even_counts_spread_most(counts in prop::collection::vec(0_u64..50, 1..30)) {
        let profile = ClassProfile::of_counts(counts.clone()).unwrap();
        let classes = counts.len() as f64;
        prop_assert!(profile.effective_classes() <= classes + 1e-9);
        prop_assert!((0.0..=1.0).contains(&(profile.gini() + 1e-12)));
        let mut turned = counts;
        turned.reverse();
        let turned = ClassProfile::of_counts(turned).unwrap();
        prop_assert!((turned.gini() - profile.gini()).abs() < 1e-12);
        prop_assert_eq!(turned.largest_share(0.3), profile.largest_share(0.3));
    }
}

/// What is read back is checked as what is made.
#[test]
fn profiles_come_back_whole_or_not_at_all() {
    let classes = ClassProfile::of_counts(vec![3, 0, 1]).unwrap();
    let confusion = ConfusionProfile::new(&[0, 1], &[0, 0], 2).unwrap();
    let (classes_text, confusion_text) =
        (serde_json::to_string(&classes).unwrap(), serde_json::to_string(&confusion).unwrap());
    assert_eq!(serde_json::from_str::<ClassProfile>(&classes_text).unwrap(), classes);
    assert_eq!(serde_json::from_str::<ConfusionProfile>(&confusion_text).unwrap(), confusion);
    let huge = u64::MAX;
    for text in [r#"{"counts":[]}"#.to_owned(), format!(r#"{{"counts":[{huge},1]}}"#)] {
        assert!(serde_json::from_str::<ClassProfile>(&text).is_err(), "{text}");
    }
    for counts in ["[1,2,3]".to_owned(), format!("[{huge},1,0,0]")] {
        let text = format!(r#"{{"classes":2,"counts":{counts}}}"#);
        assert!(serde_json::from_str::<ConfusionProfile>(&text).is_err(), "{text}");
    }
}
