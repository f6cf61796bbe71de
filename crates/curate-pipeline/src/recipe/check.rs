//! What can be wrong with a recipe that its types do not catch.

use std::collections::BTreeSet;

use super::{POOL, Recipe, Stage};
use crate::stage::{Gives, Problems, Source};

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
    if recipe.evaluate.as_ref().is_some_and(|evaluate| evaluate.trainings() == 0) {
        problems.push("`evaluate.seeds` must be at least 1".to_owned());
    }
    let mut names = BTreeSet::from([POOL]);
    let (mut scores, mut clusters) = (BTreeSet::new(), BTreeSet::new());
    for (number, stage) in recipe.stages.iter().enumerate() {
        let mut wrong = Problems::default();
        check_name(stage.name(), &names, &mut wrong);
        check_sources(stage, &names, &mut wrong);
        let reads = stage.settings().reads();
        check_references("score", &reads.scores, &scores, &mut wrong);
        check_references("cluster", &reads.clusters, &clusters, &mut wrong);
        stage.settings().check(&mut wrong);
        problems.extend(labeled(number, stage, wrong));
        names.insert(stage.name());
        match stage.settings().gives() {
            Gives::Rows => false,
            Gives::Score => scores.insert(stage.name()),
            Gives::Clusters => clusters.insert(stage.name()),
        };
    }
    problems
}

/// What is wrong with a stage whatever the others are.
pub(super) fn alone(number: usize, stage: &Stage) -> Vec<String> {
    let mut wrong = Problems::default();
    check_name(stage.name(), &BTreeSet::from([POOL]), &mut wrong);
    stage.settings().check(&mut wrong);
    labeled(number, stage, wrong)
}

fn labeled(number: usize, stage: &Stage, wrong: Problems) -> Vec<String> {
    let label = format!("stage {} (`{}` named `{}`)", number + 1, stage.kind(), stage.name());
    wrong.0.into_iter().map(|wrong| format!("{label}: {wrong}")).collect()
}

fn check_name(name: &str, names: &BTreeSet<&str>, wrong: &mut Problems) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        wrong.0.push("`name` must be 1 to 64 letters, digits, `-` and `_`".to_owned());
    } else if names.contains(name) {
        wrong.0.push("`name` is taken: give this stage a `name` of its own".to_owned());
    }
}

fn check_sources(stage: &Stage, names: &BTreeSet<&str>, wrong: &mut Problems) {
    for source in stage.sources().into_iter().chain(stage.settings().reads().sets) {
        if let Source::Named(name) = source
            && !names.contains(name)
        {
            wrong.0.push(format!("no earlier stage is named `{name}`; there are {}", list(names)));
        }
    }
}

/// `given` are the names of the earlier stages that give what is asked for: a score, or clusters.
fn check_references(what: &str, asked: &[&str], given: &BTreeSet<&str>, wrong: &mut Problems) {
    for name in asked.iter().filter(|name| !given.contains(*name)) {
        let there = match given.len() {
            0 => format!("put a `{what}` stage before it"),
            _ => format!("there are {}", list(given)),
        };
        wrong.0.push(format!("no earlier {what} stage is named `{name}`; {there}"));
    }
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
