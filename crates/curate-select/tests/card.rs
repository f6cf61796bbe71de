//! Cards against numpy, and what makes none.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_select::{
    SelectError,
    card::{Axis, Line, Scorecard, TaskMean},
};
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("data/card.json")).unwrap()
}

fn lines(values: &[Value]) -> Vec<Line> {
    values.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect()
}

fn names(references: &[&str]) -> Vec<String> {
    references.iter().map(|&name| name.to_owned()).collect()
}

fn near(found: f64, expected: &Value) -> bool {
    (found - expected.as_f64().unwrap()).abs() < 1e-12
}

fn is(found: Option<TaskMean>, expected: &Value) -> bool {
    let found = found.unwrap();
    near(found.accuracy, &expected["accuracy"])
        && near(found.half_width.unwrap(), &expected["half_width"])
        && found.tasks == expected["tasks"]
}

#[test]
fn means_intervals_and_robustness_are_numpys() {
    let golden = golden();
    let lines = lines(golden["lines"].as_array().unwrap());
    let references: Vec<String> = serde_json::from_value(golden["references"].clone()).unwrap();
    for (references, key) in [(references, "to_references"), (Vec::new(), "to_all")] {
        let found = Scorecard::new(lines.clone(), &references).unwrap();
        let line = found.line.as_ref().unwrap();
        let expected = &golden[key];
        assert!(near(line.slope, &expected["slope"]) && near(line.at_half, &expected["at_half"]));
        for (card, above) in found.cards.iter().zip(expected["above"].as_array().unwrap()) {
            let means = &golden["cards"][&card.set];
            assert!(is(card.base, &means["base"]) && is(card.shifted, &means["shifted"]));
            assert!(
                is(card.transfer, &means["transfer"]) && is(card.neighbors, &means["neighbors"])
            );
            assert!(near(card.robustness.unwrap(), above), "{}", card.set);
        }
        assert_eq!(found.cards.len(), 5);
        let [left_out] = &found.left_out[..] else { panic!("{:?}", found.left_out) };
        assert_eq!((left_out.task.as_str(), &left_out.lacking), ("v2", &names(&["e"])));
    }
}

fn test(set: &str, axis: &str, task: &str, accuracy: f64) -> Value {
    json!({"set": set, "axis": axis, "task": task, "accuracy": accuracy})
}

/// A set without any test of an axis takes none from the others; a broken test set is named; a set of which only the
/// classes are known has a card.
#[test]
fn what_is_not_known_is_left_open() {
    let known = [
        test("a", "base", "clean", 0.8),
        test("b", "base", "clean", 0.6),
        test("a", "vtab", "lfw", 0.0),
        test("b", "transfer", "lfw", 0.0),
        test("b", "knn", "k20", 0.5),
        json!({"set": "c", "counts": [3, 0, 1]}),
    ];
    let found = Scorecard::new(lines(&known), &[]).unwrap();
    let [a, b, c] = &found.cards[..] else { panic!("{:?}", found.cards) };
    assert_eq!(a.base, Some(TaskMean { accuracy: 0.8, half_width: None, tasks: 1 }));
    assert_eq!((a.neighbors, b.neighbors.unwrap().accuracy), (None, 0.5));
    assert_eq!((c.base, c.classes.unwrap().covered, c.classes.unwrap().long_tail), (None, 2, 3));
    assert_eq!((&found.line, &found.no_line, a.robustness), (&None, &None, None));
    assert!(found.left_out.is_empty());
    let [alike] = &found.alike[..] else { panic!("{:?}", found.alike) };
    assert_eq!((alike.axis, alike.task.as_str(), alike.accuracy), (Axis::Transfer, "lfw", 0.0));
}

#[test]
fn what_makes_no_card_is_refused_by_name() {
    let pair = |set, base, shifted| [test(set, "base", "c", base), test(set, "ood", "r", shifted)];
    let two = [pair("a", 0.5, 0.4), pair("b", 0.5, 0.3)].concat();
    let with_seed = |seed: u64, samples: u64| json!({"set": "a", "axis": "base", "task": "c", "accuracy": 0.5, "seed": seed, "samples": samples});
    let counts = |counts: &[u64]| json!({"set": "a", "counts": counts});
    let wrong: [(Vec<Value>, &[&str], &str); 11] = [
        (vec![test("a", "base", "c", 78.1)], &[], "give shares, not percent"),
        (vec![test("a", "base", "c", 0.4), test("a", "base", "c", 0.5)], &[], "twice with seed 0"),
        (vec![with_seed(0, 10), with_seed(1, 20)], &[], "several numbers of `samples`"),
        (vec![with_seed(0, 0)], &[], "leave `samples` out"),
        (vec![counts(&[1]), counts(&[2])], &[], "`counts` twice"),
        (vec![counts(&[])], &[], "set `a` `counts` is empty: give at least 1"),
        (vec![counts(&[u64::MAX, 1])], &[], "set `a` `counts` add up to 2^64 samples or more"),
        (two.clone(), &["a", "a"], "set `a` is the only set of reference"),
        (two.clone(), &["a", "b"], "have one base accuracy"),
        (two.clone(), &["a", "z"], "set `z` is named as a reference, but there are only a, b"),
        (
            [two, pair("z", 1.0, 0.5).to_vec()].concat(),
            &["a", "z"],
            "set `z` has an accuracy of 0 or 1",
        ),
    ];
    for (values, references, expected) in wrong {
        let error: SelectError = Scorecard::new(lines(&values), &names(references)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A task that is in no mean is not said to be counted.
#[test]
fn a_broken_test_that_a_set_lacks_is_left_out_and_no_more() {
    let mut known: Vec<Value> = ["a", "b"].map(|set| test(set, "vtab", "lfw", 0.0)).into();
    known.extend(["a", "b", "c"].map(|set| test(set, "vtab", "dtd", 0.4)));
    let found = Scorecard::new(lines(&known), &[]).unwrap();
    assert_eq!((found.left_out[0].task.as_str(), found.left_out.len()), ("lfw", 1));
    assert_eq!((found.alike[0].task.as_str(), found.alike.len()), ("dtd", 1));
}

/// A line that is not there, and a set that is not on it, are told of.
#[test]
fn a_set_without_logits_is_not_on_the_line() {
    let pair = |set, base, shifted| [test(set, "base", "c", base), test(set, "ood", "r", shifted)];
    let sets = [pair("a", 0.0, 0.2), pair("b", 0.6, 0.3), pair("c", 0.7, 0.4), pair("d", 0.8, 0.6)];
    let found = Scorecard::new(lines(&sets.concat()), &[]).unwrap();
    assert_eq!(found.line.unwrap().references, names(&["b", "c", "d"]));
    assert_eq!((found.cards[0].robustness, found.no_line), (None, None));
    let found = Scorecard::new(lines(&sets[..3].concat()), &[]).unwrap();
    assert!(found.line.is_none() && found.no_line.unwrap().contains("between 0 and 1: 2;"));
    let alike = [pair("a", 0.5, 0.2), pair("b", 0.5, 0.3), pair("c", 0.5, 0.4)].concat();
    let found = Scorecard::new(lines(&alike), &[]).unwrap();
    assert_eq!(found.no_line.unwrap(), "all sets have one base accuracy");
}

#[test]
fn a_line_says_what_is_wrong_with_it() {
    for (line, expected) in [
        (r#"{"set": "a", "accuracy": 0.5, "task": "c"}"#, "there is no `axis`"),
        (r#"{"set": "a", "axis": "base", "accuracy": 0.5}"#, "there is no `task`"),
        (r#"{"set": "a", "axis": "base", "task": "c"}"#, "there is no `accuracy`"),
        (
            r#"{"set": "a", "axis": "clean", "task": "c", "accuracy": 0.5}"#,
            "unknown variant `clean`",
        ),
        (r#"{"set": "a", "axis": "base", "task": "c", "acc": 0.5}"#, "unknown field `acc`"),
        (r#"{"set": "a", "counts": [1], "task": "c"}"#, "`counts` stands with `set` alone"),
        (r#"{"set": "a", "counts": [-1]}"#, "expected u64"),
        (r#"{"counts": [1]}"#, "missing field `set`"),
        (r#"{"set": "a\nb", "counts": [1]}"#, "a name has a line break"),
    ] {
        let error = serde_json::from_str::<Line>(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
