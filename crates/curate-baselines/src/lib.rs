//! DataComp's filtering baselines (Gadre et al. 2023, arXiv:2304.14108): `no_filter`,
//! `basic_filter`, `clip_score`, `laion2b`, `text_based`, `image_based`,
//! `image_based_intersect_clip_score`, and a seeded `random_subset`.
//!
//! Each reads a folder of metadata shards (`NAME.parquet`, beside `NAME.npz` for the image-based
//! ones) and gives the ids that DataComp's `baselines.py` would keep, **repeats included**: written
//! with [`curate_io::subset::write`], the file equals DataComp's byte for byte.
//!
//! ```no_run
//! use curate_baselines::{Arch, Baseline, Inputs, ScoreCut, run};
//! use curate_core::NoProgress;
//! use curate_io::subset::{self, SubsetFormat};
//!
//! let best = Baseline::ClipScore { arch: Arch::L14, cut: ScoreCut::Fraction(0.3) };
//! let found = run(&best, "commonpool/metadata".as_ref(), &Inputs::default(), &NoProgress)?;
//! subset::write("l14_30.npy".as_ref(), SubsetFormat::Npy, &found.ids)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # DataComp's code and this crate
//! | | DataComp's code | this crate |
//! |---|---|---|
//! | `fraction` | the score at place `int(N f)` from the top, then `>=`: ties make it more | the same, found by counting, without all scores in memory |
//! | a NaN score | counts in `N`, is never kept | the same |
//! | `fraction` 1.0 | crashes | refused, with a remedy |
//! | a threshold against f32 scores | compared in f32 | the same |
//! | a missing caption | crashes | dropped and counted |
//! | uids without their leading zeros | swapped halves in some helpers | read as the number they are |
//! | image clusters | largest plain inner product with centroids that are not of length one | the same |
//! | features with a NaN | the first cluster | dropped and counted |
//! | language of `laion2b` | gcld3 | a model of yours, or the built-in one |
//! | memory | all columns of all shards | one shard's captions a thread, and the ids kept |
//!
//! # Cost
//! One pass over the columns that the rule reads. `fraction` adds two passes over the score column, or
//! up to four for billions of rows; `clip_score` does without where the first shard is like the others.
//! Results do not depend on the number of threads.

mod buckets;
mod error;
mod image;
mod judge;
mod one_pass;
mod rows;
mod settings;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, stream::score_at};
use curate_io::{
    IoError, Kind,
    remote::{self, Wanted},
};
use curate_text::{
    language::{BuiltIn, LanguageId},
    rules::EntityIds,
    wordnet::WordNet,
};
use rayon::prelude::*;

pub use error::BaselineError;
pub use image::{Concepts, FEATURES};
pub use judge::{Verdict, judge};
pub use rows::{Rows, Table};
pub use settings::{Loaded, MorphyRule, Name, Settings, SettingsError};

use buckets::{Buckets, sorted};
use judge::each_verdict;
use rows::watched;

/// Which CLIP model's score or features to read.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// ViT-B/32.
    B32,
    /// ViT-L/14.
    L14,
}

impl Arch {
    /// The metadata's column with this model's scores.
    pub fn score_column(self) -> &'static str {
        match self {
            Self::B32 => "clip_b32_similarity_score",
            Self::L14 => "clip_l14_similarity_score",
        }
    }
}

/// Which scores are good enough.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreCut {
    /// At least this score.
    Threshold(f64),
    /// At least the score at place `floor(fraction * N)` from the top, counted from 0: ties, and
    /// the row at that place itself, make it more than the fraction.
    Fraction(f64),
}

/// A baseline and its settings.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Baseline {
    /// Every row.
    NoFilter,
    /// A share of the ids, drawn by a hash of seed and id: a row's fate does not depend on the
    /// others, and all occurrences of an id share it. DataComp's code has no such baseline.
    RandomSubset {
        /// The share.
        fraction: f64,
        /// The seed.
        seed: u64,
    },
    /// English captions of more than 2 words and 5 characters, images of at least 200 pixels a
    /// side and an aspect ratio of at most 3.
    BasicFilter,
    /// A good enough CLIP score.
    ClipScore {
        /// The model.
        arch: Arch,
        /// What is good enough.
        cut: ScoreCut,
    },
    /// English captions with a ViT-B/32 score of at least 0.28.
    Laion2b,
    /// English captions with a word whose first synset is in a list. Needs [`Inputs::entities`].
    TextBased,
    /// Acceptable captions whose picture falls into a cluster that ImageNet's pictures fall into
    /// too. Needs [`Inputs::concepts`].
    ImageBased,
    /// The same among rows with a good enough score; a fraction is of the whole pool.
    ImageBasedIntersectClipScore {
        /// The model whose score is cut.
        arch: Arch,
        /// What is good enough.
        cut: ScoreCut,
    },
}

impl ScoreCut {
    fn check(self) -> Result<(), BaselineError> {
        match self {
            Self::Threshold(threshold) if threshold.is_nan() => {
                Err(BaselineError::Threshold(threshold))
            }
            Self::Fraction(fraction) if !(0.0..1.0).contains(&fraction) => {
                Err(BaselineError::Fraction(fraction))
            }
            _ => Ok(()),
        }
    }
}

impl Baseline {
    /// The score that the rule cuts, and where.
    fn cut(&self) -> Option<(Arch, ScoreCut)> {
        match *self {
            Self::ClipScore { arch, cut } | Self::ImageBasedIntersectClipScore { arch, cut } => {
                Some((arch, cut))
            }
            _ => None,
        }
    }

    /// Refuses a share or a threshold out of range.
    ///
    /// # Errors
    /// [`BaselineError::Fraction`] or [`BaselineError::Threshold`].
    pub fn check(&self) -> Result<(), BaselineError> {
        match self {
            Self::RandomSubset { fraction, .. } if !(0.0..=1.0).contains(fraction) => {
                Err(BaselineError::Fraction(*fraction))
            }
            _ => self.cut().map_or(Ok(()), |(_, cut)| cut.check()),
        }
    }

    /// The columns of numbers that the rule reads.
    pub fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::BasicFilter => judge::SIZES.to_vec(),
            Self::Laion2b => vec![Arch::B32.score_column()],
            _ => self.cut().map(|(arch, _)| arch.score_column()).into_iter().collect(),
        }
    }

    /// Whether the rule looks at pictures, by the embedding [`FEATURES`].
    pub fn reads_features(&self) -> bool {
        matches!(self, Self::ImageBased | Self::ImageBasedIntersectClipScore { .. })
    }

    /// Whether the rule asks for a caption's language.
    pub fn asks_language(&self) -> bool {
        matches!(
            self,
            Self::BasicFilter
                | Self::Laion2b
                | Self::TextBased
                | Self::ImageBased
                | Self::ImageBasedIntersectClipScore { .. }
        )
    }
}

/// What a baseline needs beside the metadata.
pub struct Inputs<'a> {
    /// Names languages; the built-in identifier differs from fastText's, see
    /// [`curate_text::language`].
    pub language: &'a dyn LanguageId,
    /// WordNet and the synsets wanted.
    pub entities: Option<(&'a WordNet, &'a EntityIds)>,
    /// The clusters of pictures wanted.
    pub concepts: Option<&'a Concepts>,
}

impl Default for Inputs<'_> {
    fn default() -> Self {
        Self { language: &BuiltIn, entities: None, concepts: None }
    }
}

/// What a baseline kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Kept {
    /// The ids, sorted, repeats included.
    #[serde(skip)]
    pub ids: Vec<SampleId>,
    /// Rows read.
    pub rows: usize,
    /// Rows dropped, by the first rule that dropped them.
    pub dropped: BTreeMap<&'static str, usize>,
    /// The score from which rows are kept.
    pub threshold: Option<f64>,
}

/// Runs a baseline over every metadata shard of a folder.
///
/// # Errors
/// No shards, a shard that cannot be read or lacks what the rule reads, missing inputs, settings
/// out of range, and a stop that the caller asked for.
pub fn run(
    baseline: &Baseline,
    folder: &Path,
    inputs: &Inputs<'_>,
    progress: &dyn Progress,
) -> Result<Kept, BaselineError> {
    check(baseline, inputs)?;
    let wanted = if baseline.reads_features() { Wanted::Embeddings } else { Wanted::Tables };
    let folder = &remote::local(folder, wanted, progress)?;
    let tables: Vec<Table> =
        shards(folder)?.par_iter().map(|f| Table::open(f)).collect::<Result<_, _>>()?;
    if let Baseline::ClipScore { arch, cut: ScoreCut::Fraction(fraction) } = *baseline
        && let Some(kept) = one_pass::best(&tables, arch, fraction, progress)?
    {
        return Ok(kept);
    }
    by_table(baseline, &tables, inputs, progress)
}

/// Finds the threshold, where there is one, and then judges every table by itself.
fn by_table(
    baseline: &Baseline,
    tables: &[Table],
    inputs: &Inputs<'_>,
    progress: &dyn Progress,
) -> Result<Kept, BaselineError> {
    let threshold = threshold(baseline, tables, progress)?;
    progress.start("filter", tables.len() as u64, "shards");
    let look = watched(progress, |table| filter(baseline, table, inputs, threshold));
    let parts: Vec<Part> = tables.par_iter().map(look).collect::<Result<_, BaselineError>>()?;
    progress.finish();
    let mut kept = Kept { ids: Vec::new(), rows: 0, dropped: BTreeMap::new(), threshold };
    for part in &parts {
        kept.rows += part.rows;
        for (rule, count) in &part.dropped {
            *kept.dropped.entry(rule).or_default() += count;
        }
    }
    kept.ids = sorted(&parts.into_iter().map(|part| part.ids).collect::<Vec<_>>());
    Ok(kept)
}

/// Refuses settings out of range and missing inputs.
///
/// # Errors
/// The first of them.
pub fn check(baseline: &Baseline, inputs: &Inputs<'_>) -> Result<(), BaselineError> {
    let missing = |baseline, what| Err(BaselineError::Missing { baseline, what });
    match baseline {
        Baseline::TextBased if inputs.entities.is_none() => {
            missing("text_based", "WordNet and a list of its ids")
        }
        Baseline::ImageBased | Baseline::ImageBasedIntersectClipScore { .. }
            if inputs.concepts.is_none() =>
        {
            missing("image_based", "cluster centroids and the features of the pictures wanted")
        }
        _ => baseline.check(),
    }
}

/// The metadata shards of a folder, or of `metadata` in it, by name.
fn shards(folder: &Path) -> Result<Vec<PathBuf>, IoError> {
    let inside = folder.join("metadata");
    let folder = if inside.is_dir() { inside } else { folder.to_owned() };
    let list = std::fs::read_dir(&folder).map_err(|e| IoError::os(&folder, "read", e))?;
    let mut files = Vec::new();
    for entry in list {
        let path = entry.map_err(|e| IoError::os(&folder, "read", e))?.path();
        if path.extension().is_some_and(|ending| ending == "parquet") {
            files.push(path);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        let remedy = "name the folder that holds DataComp's NAME.parquet files";
        return Err(IoError::new(Kind::NotFound, &folder, "holds no metadata shard", remedy));
    }
    Ok(files)
}

/// The score from which a baseline keeps rows, of which `parts` are all: what
/// [`ScoreCut::Threshold`] says, or the score at the place that [`ScoreCut::Fraction`] says; `None`
/// for a rule that cuts no score, and where that place has no score.
///
/// # Errors
/// When the scores cannot be read, the cut is out of range, or the caller asks to stop.
pub fn threshold<R: Rows>(
    baseline: &Baseline,
    parts: &[R],
    progress: &dyn Progress,
) -> Result<Option<f64>, BaselineError> {
    let Some((arch, cut)) = baseline.cut() else { return Ok(None) };
    cut.check()?;
    match cut {
        ScoreCut::Threshold(threshold) => Ok(Some(threshold)),
        ScoreCut::Fraction(fraction) => {
            let column = arch.score_column();
            let place = |rows: u64| (fraction * rows as f64) as u64;
            let read = |part: &R, each: &mut dyn FnMut(&[f64])| {
                if progress.is_cancelled() {
                    return Err(IoError::cancelled(part.path()));
                }
                part.each_block(column, each)
            };
            Ok(score_at(parts, place, read, progress)?)
        }
    }
}

/// What one shard gives.
#[derive(Default)]
struct Part {
    ids: Buckets,
    rows: usize,
    dropped: Vec<(&'static str, usize)>,
}

impl Part {
    fn drop_by(&mut self, rule: &'static str) {
        // Most rows go by one rule, whose text is one text.
        match self.dropped.iter_mut().find(|(name, _)| std::ptr::eq(*name, rule)) {
            Some((_, count)) => *count += 1,
            None => self.dropped.push((rule, 1)),
        }
    }
}

fn filter(
    baseline: &Baseline,
    table: &Table,
    inputs: &Inputs<'_>,
    threshold: Option<f64>,
) -> Result<Part, BaselineError> {
    let mut part = Part { rows: table.len(), ..Part::default() };
    let draws = matches!(baseline, Baseline::RandomSubset { .. });
    let mut all = Vec::new();
    if draws {
        table.each_id(|_, id| all.push(id))?;
    }
    let mut kept = Vec::with_capacity(table.len().min(1 << 24));
    each_verdict(baseline, table, &all, inputs, threshold, |verdict| {
        kept.push(verdict.dropped.is_none());
        if let Some(rule) = verdict.dropped {
            part.drop_by(rule);
        }
    })?;
    let mut keep = |row: usize, id| {
        if kept.get(row) == Some(&true) {
            part.ids.push(id);
        }
    };
    if draws {
        all.into_iter().enumerate().for_each(|(row, id)| keep(row, id));
    } else {
        table.each_id(keep)?;
    }
    Ok(part)
}
