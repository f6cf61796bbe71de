//! The buckets of a pool by its score: disjoint selections, best first.

use std::path::{Path, PathBuf};

use curate::{
    core::{Progress, SampleId},
    io::subset::{self, SubsetFormat},
    pipeline::{Error, Recipe, RunOptions, compare::selected, run},
};

use super::asked::{Better, Loop};
use crate::failure::Failure;

/// Some of the pool's rows, between two places in the order of their scores.
pub(super) struct Bucket {
    /// `10-30` for those from the best tenth to the best three tenths.
    pub(super) name: String,
    /// The share of the pool down to its worst row.
    pub(super) end: f64,
    /// Its subset file.
    pub(super) file: PathBuf,
}

/// The buckets of a loop, best first; [`fill`] writes them.
pub(super) fn of(asked: &Loop, out: &Path) -> Vec<Bucket> {
    let starts = std::iter::once(&0.0).chain(&asked.buckets);
    let bucket = |(&start, &end): (&f64, &f64)| {
        let name = format!("{}-{}", percent(start), percent(end));
        let file = out.join("buckets").join(format!("{name}.npy"));
        Bucket { name, end, file }
    };
    starts.zip(&asked.buckets).map(bucket).collect()
}

/// The share of the pool down to the worst row of a union, which is called by its buckets' names, best first.
pub(super) fn end(buckets: &[Bucket], union: &str) -> Option<f64> {
    let last = union.rsplit('+').next()?;
    buckets.iter().find(|bucket| bucket.name == last).map(|bucket| bucket.end)
}

/// Scores the pool and writes the buckets: each is what the recipe of its share keeps and that of the share
/// before it does not. Returns the rows of each.
pub(super) fn fill(
    buckets: &[Bucket],
    asked: &Loop,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Vec<usize>, Failure> {
    let (scored, mut rows) = (out.join("scored"), Vec::with_capacity(buckets.len()));
    let mut above: Vec<SampleId> = Vec::new();
    for Bucket { name, end, file } in buckets {
        let mut recipe = recipe(asked, *end)?;
        recipe.output.report = false;
        // Another share; the score is read, not computed again.
        run(&recipe, &scored, RunOptions { overwrite: true }, progress)?;
        let ids = selected(&scored)?;
        let here: Vec<SampleId> =
            ids.iter().filter(|id| above.binary_search(id).is_err()).copied().collect();
        if here.is_empty() {
            let file = asked.file.display();
            let problem = format!("{file}: `buckets`: no sample is in {name} %: give other shares");
            return Err(Failure::Usage(problem));
        }
        subset::write(file, SubsetFormat::Npy, &here)?;
        rows.push(here.len());
        above = ids;
    }
    Ok(rows)
}

/// A share in percent, without trailing zeros.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a recipe calls the stage whose keys are those of the loop's `score`.
const STAGE: &str = "stage 1 (`score` named `score`)";

/// The recipe that scores the pool and keeps the best share of it.
pub(super) fn recipe(asked: &Loop, share: f64) -> Result<Recipe, Failure> {
    let mut score = asked.score.clone();
    score.insert("kind".into(), "score".into());
    score.insert("name".into(), "score".into());
    let mut pool = toml::Table::new();
    pool.insert("path".into(), asked.pool.display().to_string().into());
    if let Some(embeddings) = &asked.embeddings {
        pool.insert("embeddings".into(), embeddings.display().to_string().into());
    }
    let mut fraction = toml::Table::new();
    fraction.insert("kind".into(), "fraction".into());
    fraction.insert("score".into(), "score".into());
    fraction.insert("fraction".into(), share.into());
    if asked.better == Better::LowerIsBetter {
        fraction.insert("better".into(), "lower-is-better".into());
    }
    let stages: Vec<toml::Value> = vec![score.into(), fraction.into()];
    let mut whole = toml::Table::new();
    whole.insert("pool".into(), pool.into());
    whole.insert("stage".into(), stages.into());
    let text = toml::to_string_pretty(&whole).expect("a recipe is TOML");
    Recipe::parse(&text).map_err(|problems| {
        let of_loop = |problem: String| problem.replace(STAGE, "`score`");
        let problems = problems.into_iter().map(of_loop).collect();
        Error::Recipe { path: asked.file.clone(), problems }.into()
    })
}
