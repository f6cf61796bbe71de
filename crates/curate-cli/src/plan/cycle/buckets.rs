//! The buckets of a pool by its score: disjoint selections, best first.

use std::{
    fs,
    path::{Path, PathBuf},
};

use curate::{
    core::{Cut, Progress, SampleId},
    io::{
        IoError,
        subset::{self, SubsetFormat},
    },
    pipeline::{Error, Recipe, RunOptions, reselect::reselect, run},
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

/// Scores the pool and writes the buckets.
pub(super) fn make(
    asked: &Loop,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Bucket>, Failure> {
    let scored = out.join("scored");
    run(&recipe(asked, None)?, &scored, RunOptions::default(), progress)?;
    let folder = out.join("buckets");
    fs::create_dir_all(&folder).map_err(|e| IoError::os(&folder, "written", e))?;
    let mut buckets = Vec::new();
    let (mut start, mut above): (f64, Vec<SampleId>) = (0.0, Vec::new());
    for &end in &asked.buckets {
        let ids = best(&scored, asked.better, end)?;
        let here: Vec<SampleId> =
            ids.iter().filter(|id| above.binary_search(id).is_err()).copied().collect();
        let name = format!("{}-{}", percent(start), percent(end));
        let file = folder.join(format!("{name}.npy"));
        if here.is_empty() {
            let problem = format!("the bucket {name} % of the pool is empty: give other `buckets`");
            return Err(Failure::Usage(problem));
        }
        subset::write(&file, SubsetFormat::Npy, &here)?;
        buckets.push(Bucket { name, end, file });
        (start, above) = (end, ids);
    }
    Ok(buckets)
}

/// The ids of the best share of the pool, sorted.
fn best(scored: &Path, better: Better, share: f64) -> Result<Vec<SampleId>, Failure> {
    // Of a score whose lower end is the better one, the best share is what another share leaves.
    let keep = |share| reselect(scored, Some("score"), Cut::Fraction(share));
    let mut ids = match better {
        Better::HigherIsBetter => keep(share)?.ids,
        Better::LowerIsBetter => {
            let all = keep(1.0)?.ids;
            let mut worst = if share < 1.0 { keep(1.0 - share)?.ids } else { Vec::new() };
            worst.sort_unstable();
            all.into_iter().filter(|id| worst.binary_search(id).is_err()).collect()
        }
    };
    ids.sort_unstable();
    Ok(ids)
}

/// A share in percent, without trailing zeros.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The recipe that scores the pool and, where a share is given, keeps the best of it.
pub(super) fn recipe(asked: &Loop, share: Option<f64>) -> Result<Recipe, Failure> {
    let mut score = asked.score.clone();
    score.insert("kind".into(), "score".into());
    score.insert("name".into(), "score".into());
    let mut pool = toml::Table::new();
    pool.insert("path".into(), asked.pool.display().to_string().into());
    if let Some(embeddings) = &asked.embeddings {
        pool.insert("embeddings".into(), embeddings.display().to_string().into());
    }
    let mut stages: Vec<toml::Value> = vec![score.into()];
    let mut whole = toml::Table::new();
    whole.insert("pool".into(), pool.into());
    match share {
        Some(share) => {
            let mut fraction = toml::Table::new();
            fraction.insert("kind".into(), "fraction".into());
            fraction.insert("score".into(), "score".into());
            fraction.insert("fraction".into(), share.into());
            if asked.better == Better::LowerIsBetter {
                fraction.insert("better".into(), "lower-is-better".into());
            }
            stages.push(fraction.into());
        }
        None => {
            let output = toml::Table::from_iter([("report".to_owned(), false.into())]);
            whole.insert("output".into(), output.into());
        }
    }
    whole.insert("stage".into(), stages.into());
    let text = toml::to_string_pretty(&whole).expect("a recipe is TOML");
    Recipe::parse(&text).map_err(|problems| Error::Recipe { path: "score".into(), problems }.into())
}
