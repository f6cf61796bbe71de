//! What can be wrong with a recipe that its types do not catch.

use std::collections::BTreeSet;

use crate::recipe::{DedupMode, POOL, Recipe, Stage, is_file};

/// Everything that is wrong, in stage order; empty for a good recipe.
pub(crate) fn problems(recipe: &Recipe) -> Vec<String> {
    let mut problems = Vec::new();
    if recipe.stages.is_empty() {
        problems.push("has no stage: add at least one `[[stage]]`".to_owned());
    }
    if recipe.output.formats.is_empty() {
        problems
            .push("`output.formats` is empty: name npy, memmap, parquet, jsonl or ids".to_owned());
    }
    if i64::try_from(recipe.seed).is_err() {
        problems.push(format!("`seed` must be at most {}", i64::MAX));
    }
    let mut names = BTreeSet::from([POOL]);
    let mut scores = BTreeSet::new();
    for (number, stage) in recipe.stages.iter().enumerate() {
        let mut wrong = Vec::new();
        check_name(stage.name(), &names, &mut wrong);
        check_references(stage, &names, &scores, &mut wrong);
        check_values(stage, &mut wrong);
        let label = format!("stage {} (`{}` named `{}`)", number + 1, stage.kind(), stage.name());
        problems.extend(wrong.into_iter().map(|wrong| format!("{label}: {wrong}")));
        names.insert(stage.name());
        if matches!(stage, Stage::Score(_)) {
            scores.insert(stage.name());
        }
    }
    problems
}

fn check_name(name: &str, names: &BTreeSet<&str>, wrong: &mut Vec<String>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        wrong.push("`name` must be 1 to 64 letters, digits, `-` and `_`".to_owned());
    } else if names.contains(name) {
        wrong.push("`name` is taken: give this stage a `name` of its own".to_owned());
    }
}

fn check_references(
    stage: &Stage,
    names: &BTreeSet<&str>,
    scores: &BTreeSet<&str>,
    wrong: &mut Vec<String>,
) {
    for source in stage.sources() {
        let file = matches!(stage, Stage::Combine(_)) && is_file(source);
        if !file && !names.contains(source) {
            wrong.push(format!("no earlier stage is named `{source}`; there are {}", list(names)));
        }
    }
    for score in stage.scores() {
        if !scores.contains(score) {
            let there = match scores.len() {
                0 => "put a `score` stage before it".to_owned(),
                _ => format!("there are {}", list(scores)),
            };
            wrong.push(format!("no earlier score stage is named `{score}`; {there}"));
        }
    }
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn check_values(stage: &Stage, wrong: &mut Vec<String>) {
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let share = |x: f64| x > 0.0 && x <= 1.0;
    match stage {
        Stage::Score(s) => {
            let given = [s.column.is_some(), s.cosine.is_some(), s.network.is_some()];
            must(
                given.iter().filter(|g| **g).count() == 1,
                "give one of `column`, `cosine` and `network`",
            );
        }
        Stage::Threshold(s) => {
            must(
                s.at_least.is_some() != s.at_most.is_some(),
                "give either `at-least` or `at-most`",
            );
            let number = s.at_least.or(s.at_most).unwrap_or(0.0);
            must(!number.is_nan(), "the threshold must be a number");
        }
        Stage::Fraction(s) => must(share(s.fraction), "`fraction` must be above 0 and at most 1"),
        Stage::Top(s) => must(s.count > 0, "`count` must be at least 1"),
        Stage::SemanticDedup(s) => {
            let given = [s.epsilon.is_some(), s.fraction.is_some(), s.count.is_some()];
            must(
                given.iter().filter(|g| **g).count() <= 1,
                "give one of `epsilon`, `fraction` and `count`",
            );
            must(
                s.epsilon.is_none_or(|e| (0.0..=2.0).contains(&e)),
                "`epsilon` must be from 0 to 2",
            );
            must(s.fraction.is_none_or(share), "`fraction` must be above 0 and at most 1");
            must(s.count != Some(0), "`count` must be at least 1");
            must(s.clusters != Some(0), "`clusters` must be at least 1");
            let sized = s.fraction.is_some() || s.count.is_some();
            must(
                s.mode == DedupMode::Reference || !sized,
                "`mode = \"greedy\"` needs an `epsilon`",
            );
            must(
                s.mode == DedupMode::Reference || s.probes == 0,
                "`probes` compares with rows that go as well: leave out `mode = \"greedy\"`",
            );
        }
        Stage::ConceptPrune(s) => {
            must(s.fraction.is_some() != s.count.is_some(), "give either `fraction` or `count`");
            must(s.fraction.is_none_or(share), "`fraction` must be above 0 and at most 1");
            must(s.count != Some(0), "`count` must be at least 1");
            must(
                s.temperature.is_none_or(|t| t > 0.0 && t.is_finite()),
                "`temperature` must be above 0",
            );
            must(
                s.balance.is_none_or(|b| (0.0..=1.0).contains(&b)),
                "`balance` must be from 0 to 1",
            );
            must(s.neighbours > 0, "`neighbours` must be at least 1");
            must(s.clusters != Some(0), "`clusters` must be at least 1");
        }
        Stage::Combine(s) => must(!s.of.is_empty(), "`of` must name at least one set"),
        Stage::Baseline(s) => match s.params(0).check() {
            Ok(baseline) => {
                for parameter in baseline.unnamed() {
                    must(false, &format!("{} needs `{parameter}`", s.rule));
                }
            }
            Err(error) => must(false, &format!("{}: {error}", s.rule)),
        },
    }
    let Some(k_means) = stage.k_means() else { return };
    must(k_means.iterations > 0, "`k-means.iterations` must be at least 1");
    must((0.0..1.0).contains(&k_means.tolerance), "`k-means.tolerance` must be from 0 to below 1");
    must(
        k_means.train_rows_per_cluster != Some(0),
        "`k-means.train-rows-per-cluster` must be at least 1",
    );
    must(k_means.batch_rows != Some(0), "`k-means.batch-rows` must be at least 1");
}
