//! What is in a pool.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use curate_core::{EmbeddingSource, Progress, fault, fault::NormPolicy};
use curate_dfn::{
    filter::{Counts, check_images},
    image::Limits,
};
use curate_io::{
    Pool, PoolOptions, Sample,
    ids::IdOrigins,
    pool::{BadShards, SkippedShard},
    verify::all,
};
use curate_report::counted;
use serde::Serialize;

use crate::{Error, joined};

/// Notes that are shown.
const MOST_NOTES: usize = 10;

/// Columns of numbers that are looked at: each is a pass over the pool, and records may have thousands.
const MOST_COLUMNS: usize = 100;

/// What is in a pool.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The layout.
    pub format: String,
    /// Shards.
    pub shards: usize,
    /// Shards that were left out.
    pub skipped: Vec<SkippedShard>,
    /// Rows.
    pub rows: usize,
    /// Where their ids come from.
    pub ids: IdOrigins,
    /// Bytes of all files.
    pub bytes: u64,
    /// Rows that cannot be used, by fault.
    pub faults: BTreeMap<String, usize>,
    /// What a person should know of its files although their rows can be used.
    pub notes: Vec<String>,
    /// Columns of numbers, the first 100.
    pub columns: Vec<ColumnSummary>,
    /// Columns of numbers beyond those.
    pub more_columns: usize,
    /// Embeddings.
    pub embeddings: Vec<EmbeddingSummary>,
    /// Images that cannot be used, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Counts>,
    /// The first samples: id and caption.
    pub examples: Vec<(String, String)>,
    /// What [`verify`] found, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// Files that were read to their end.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with those that are damaged, each with the file's name.
    pub damaged: Vec<String>,
}

/// A column of numbers.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// Rows without a number.
    pub missing: usize,
    /// Smallest, lower quartile, median, upper quartile, largest; `None` without any number.
    pub quartiles: Option<[f64; 5]>,
}

/// An embedding.
#[derive(Clone, Debug, Serialize)]
pub struct EmbeddingSummary {
    /// Its name.
    pub name: String,
    /// Numbers in a vector.
    pub dim: usize,
    /// Vectors that cannot be used, by fault.
    pub faults: BTreeMap<String, usize>,
}

/// What else is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look<'a> {
    /// Decode every image.
    pub images: bool,
    /// A folder of embeddings of the pool.
    pub embeddings: Option<&'a Path>,
}

/// Looks at a pool: reads all of it once.
///
/// # Errors
/// When it cannot be read, or the caller cancels.
pub fn inspect(
    path: &Path,
    options: PoolOptions,
    look: Look<'_>,
    progress: &dyn Progress,
) -> Result<Inspection, Error> {
    let pool = joined::open(path, options, look.embeddings, progress)?;
    let mut faults = BTreeMap::new();
    for (_, fault) in pool.faults() {
        *faults.entry(fault.name().to_owned()).or_default() += 1;
    }
    let mut columns = Vec::new();
    let names = pool.numeric_columns()?;
    let more_columns = names.len().saturating_sub(MOST_COLUMNS);
    for name in names.into_iter().take(MOST_COLUMNS) {
        progress.check()?;
        columns.push(summarize(name.clone(), pool.column(&name)?.to_vec()));
    }
    let mut embeddings = Vec::new();
    for name in pool.embedding_names()? {
        embeddings.push(look_at(&pool, name, progress)?);
    }
    let images = match look.images {
        true => Some(check_images(&pool, Limits::default(), progress)?),
        false => None,
    };
    let first: Vec<usize> = (0..pool.len().min(3)).collect();
    let caption = |s: Sample| (s.id.to_string(), s.caption.unwrap_or_default());
    Ok(Inspection {
        format: pool.format().to_string(),
        shards: pool.shards().len(),
        skipped: pool.skipped().to_vec(),
        rows: pool.len(),
        ids: pool.id_origins(),
        bytes: bytes_of(&pool.files()),
        faults,
        notes: pool.notes().to_vec(),
        columns,
        more_columns,
        embeddings,
        images,
        examples: pool.samples(&first)?.into_iter().map(caption).collect(),
        verified: None,
    })
}

fn bytes_of(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| std::fs::metadata(file).map_or(0, |m| m.len())).sum()
}

/// Reads all files of a pool to their end and compares the checksums that they hold, as
/// [`curate_io::verify`] says. A shard that cannot be opened is a damaged one.
///
/// # Errors
/// When there is no pool, no shard can be opened, or the caller cancels.
pub fn verify(
    path: &Path,
    options: PoolOptions,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let options = PoolOptions { bad_shards: BadShards::Skip, ..options };
    let pool = Pool::open(path, options, progress)?;
    let files = pool.files();
    let skipped = pool.skipped().iter().map(|shard| format!("{}: {}", shard.name, shard.reason));
    let mut damaged: Vec<String> = skipped.collect();
    damaged.extend(all(&files, progress)?.iter().map(ToString::to_string));
    Ok(Verified { files: files.len() + pool.skipped().len(), bytes: bytes_of(&files), damaged })
}

fn summarize(name: String, mut values: Vec<f64>) -> ColumnSummary {
    let rows = values.len();
    values.retain(|v| !v.is_nan());
    let missing = rows - values.len();
    ColumnSummary { name, missing, quartiles: (!values.is_empty()).then(|| quartiles(values)) }
}

/// The least number, the quartiles and the greatest one. Five selections, since sorting takes several
/// times as long.
fn quartiles(mut values: Vec<f64>) -> [f64; 5] {
    let last = (values.len() - 1) as f64;
    // Each selection leaves what is below its place before it, so that the next looks behind it only.
    let mut first = 0;
    [0.0, 0.25, 0.5, 0.75, 1.0].map(|share: f64| {
        let place = (last * share).round() as usize;
        let (_, &mut number, _) =
            values[first..].select_nth_unstable_by(place - first, f64::total_cmp);
        first = place;
        number
    })
}

fn look_at(pool: &Pool, name: String, progress: &dyn Progress) -> Result<EmbeddingSummary, Error> {
    let embedding = pool.embedding(&name)?;
    progress.start(&format!("check {name}"), embedding.rows() as u64, "rows");
    let mut faults = BTreeMap::new();
    let found = fault::check(&embedding, NormPolicy::RequireUnit, progress)
        .map_err(|e| crate::error::StageError::from(e).in_stage("inspect"))?;
    for faulty in found {
        *faults.entry(faulty.fault.name().to_owned()).or_default() += 1;
    }
    progress.finish();
    Ok(EmbeddingSummary { name, dim: embedding.dim(), faults })
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes as f64 / f64::from(1 << 20);
        let Self { files, damaged, .. } = self;
        writeln!(f, "  verified  {files} files, {mib:.1} MiB, {} damaged", damaged.len())?;
        damaged.iter().try_for_each(|what| writeln!(f, "  damaged   {what}"))
    }
}

fn write_images(f: &mut fmt::Formatter<'_>, images: &Counts) -> fmt::Result {
    writeln!(f, "\nimages: {} cannot be used", images.total())?;
    for (kind, count) in &images.kinds {
        writeln!(f, "  {count} {kind}")?;
    }
    let mut examples = images.examples.iter();
    examples.try_for_each(|row| writeln!(f, "  for example {}: {}", row.id, row.reason))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes as f64 / f64::from(1 << 20);
        let (rows, shards) =
            (counted(self.rows as u64, "row"), counted(self.shards as u64, "shard"));
        writeln!(f, "{}: {rows} in {shards}, {mib:.1} MiB", self.format)?;
        writeln!(f, "  ids       {}", self.ids)?;
        if let Some(verified) = &self.verified {
            write!(f, "{verified}")?;
        }
        for shard in &self.skipped {
            writeln!(f, "  left out  {}: {}", shard.name, shard.reason)?;
        }
        for (fault, count) in &self.faults {
            writeln!(f, "  quarantined  {count}: {fault}")?;
        }
        for note in self.notes.iter().take(MOST_NOTES) {
            writeln!(f, "  note      {note}")?;
        }
        if self.notes.len() > MOST_NOTES {
            writeln!(f, "  note      and {} more", self.notes.len() - MOST_NOTES)?;
        }
        if !self.columns.is_empty() {
            writeln!(f, "\ncolumns (min, quartiles, max)")?;
        }
        for column in &self.columns {
            let numbers = match column.quartiles {
                Some(q) => q.map(|x| format!("{x:>9.4}")).join(" "),
                None => "no numbers".to_owned(),
            };
            writeln!(f, "  {:<28} {numbers}   {} missing", column.name, column.missing)?;
        }
        if self.more_columns > 0 {
            writeln!(f, "  and {} more", self.more_columns)?;
        }
        if !self.embeddings.is_empty() {
            writeln!(f, "\nembeddings")?;
        }
        for embedding in &self.embeddings {
            let faults: Vec<_> =
                embedding.faults.iter().map(|(name, n)| format!("{n} {name}")).collect();
            let faults =
                if faults.is_empty() { "no bad vectors".to_owned() } else { faults.join(", ") };
            writeln!(
                f,
                "  {:<28} {:>5} numbers a vector   {faults}",
                embedding.name, embedding.dim
            )?;
        }
        if let Some(images) = &self.images {
            write_images(f, images)?;
        }
        if !self.examples.is_empty() {
            writeln!(f, "\nfirst samples")?;
        }
        for (id, caption) in &self.examples {
            let caption: String = caption.chars().filter(|c| !c.is_control()).take(80).collect();
            writeln!(f, "  {id}  {caption}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_the_sorted_numbers() {
        for n in [1, 2, 3, 4, 5, 101] {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * 37 % 11) - 3.0).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
            assert_eq!(quartiles(values), [0.0, 0.25, 0.5, 0.75, 1.0].map(at), "{n}");
        }
    }
}
