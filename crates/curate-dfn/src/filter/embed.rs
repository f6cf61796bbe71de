//! Images and texts of a pool to embeddings, shard by shard.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use curate_core::{Cancelled, NoProgress, ParamsError, Progress, params::Checker};
use curate_io::{
    IoError, Kind, Pool, PoolOptions, atomic, digest,
    npy::Precision,
    npz::NpzWriter,
    pieces,
    pool::{BadShards, Shard},
    restarts::Restarts,
    table::{self, Column},
    url::{self, FilesWanted},
};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Network,
    filter::{
        FilterError,
        align::dot,
        bad::{BadRow, Counts, Trouble},
    },
};

/// Samples that are read, decoded and embedded together; what is held in memory beside a shard's
/// embeddings. The results do not depend on it.
pub const EMBEDDED_TOGETHER: usize = 256;

/// How to embed a pool; [`EmbedParams::check`] makes it usable.
///
/// ```
/// use curate_dfn::filter::EmbedParams;
///
/// assert!(EmbedParams::new("embedded").check().is_ok());
/// let error = EmbedParams::new("").name("a/b").check().unwrap_err();
/// assert_eq!(error.violations.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbedParams {
    /// The folder to write to.
    out: PathBuf,
    /// The name of the embeddings.
    #[serde(default = "usual_name")]
    name: String,
    /// How they are stored.
    #[serde(default)]
    precision: Precision,
}

fn usual_name() -> String {
    "dfn".to_owned()
}

impl EmbedParams {
    /// Writes to a folder: `SHARD.npz`, `SHARD.scores.parquet` and `SHARD.json` for each shard.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self { out: out.into(), name: usual_name(), precision: Precision::default() }
    }

    /// The name of the embeddings: arrays `NAME_img` and `NAME_txt`; `dfn` unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How embeddings are stored; f32 unless told.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The embedding of pools, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Embed, ParamsError> {
        let mut check = Checker::default();
        check.that(!self.out.as_os_str().is_empty(), "out", "empty", "the path of a folder");
        let named = !self.name.is_empty() && !self.name.contains(['/', '\\', '\0']);
        let name = format!("{:?}", self.name);
        check.that(named, "name", name, "a text without slashes: arrays are named after it");
        check.finish()?;
        Ok(Embed(self))
    }
}

/// Embeds pools, with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed(EmbedParams);

/// What a shard's record says; written last, it makes the shard count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    fingerprint: String,
    pub(super) rows: usize,
    pub(super) bad: Vec<BadRow>,
}

/// What [`Embed::run`] did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedReport {
    /// Rows of the pool.
    pub rows: usize,
    /// Shards that were embedded now.
    pub shards: usize,
    /// Shards that an earlier run had finished.
    pub reused: usize,
    /// Rows that could not be embedded.
    pub bad: Counts,
    /// Shards that were left out because they cannot be read, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

impl Embed {
    /// Embeds a pool and scores its pairs by their cosine. An interrupted run goes on at its unfinished
    /// shard, with the same bytes.
    ///
    /// Memory: the network, the embeddings of a shard, some hundred images, and what the open pool
    /// holds: [`Embed::run_path`] opens shards one at a time.
    ///
    /// # Errors
    /// When the pool cannot be read or a file cannot be written, when the folder holds the shards of
    /// another network or pool, the network's vocabulary is not CLIP's, or the caller cancels.
    pub fn run(
        &self,
        network: &Network,
        pool: &Pool,
        progress: &dyn Progress,
    ) -> Result<EmbedReport, FilterError> {
        start(&self.0)?;
        let mut report = EmbedReport::default();
        progress.start("embed", pool.len() as u64, "pairs");
        let done = embed_shards(network, pool, &self.0, progress, &mut report);
        progress.finish();
        done.map(|()| report)
    }

    /// [`Embed::run`] for the pool at a path. Memory does not grow with the number of tar shards: all
    /// are opened once before the work begins, so that a damaged one is an error now and not tomorrow,
    /// and again when their turn comes.
    ///
    /// # Errors
    /// As [`Embed::run`], and when there is no pool.
    pub fn run_path(
        &self,
        network: &Network,
        path: &Path,
        options: PoolOptions,
        progress: &dyn Progress,
    ) -> Result<EmbedReport, FilterError> {
        let path = &url::local(path, FilesWanted::Tables, progress)?;
        // Where the path holds no pool, opening it says why.
        let pieces = pieces(path, options.format).unwrap_or_default();
        if pieces.len() < 2 {
            let pool = Pool::open(path, options, progress)?;
            let report = self.run(network, &pool, progress)?;
            let skipped = pool.skipped().iter();
            let skipped = skipped.map(|s| (PathBuf::from(&s.name), s.reason.clone())).collect();
            return Ok(EmbedReport { skipped, ..report });
        }
        start(&self.0)?;
        let one = PoolOptions { bad_shards: BadShards::Error, ..options };
        let (pieces, rows, skipped) = usable(pieces, options, progress)?;
        if pieces.is_empty() {
            return Err(IoError::malformed(path, "has no shard that can be read").into());
        }
        let mut report = EmbedReport { skipped, ..EmbedReport::default() };
        progress.start("embed", rows as u64, "pairs");
        let done = pieces.iter().try_for_each(|piece| {
            let pool = Pool::open(piece, one, &NoProgress)?;
            embed_shards(network, &pool, &self.0, progress, &mut report)
        });
        progress.finish();
        done.map(|()| report)
    }
}

type Usable = (Vec<PathBuf>, usize, Vec<(PathBuf, String)>);

/// The shards that can be read, their rows, and those that cannot, where they are to be left out.
fn usable(
    pieces: Vec<PathBuf>,
    options: PoolOptions,
    progress: &dyn Progress,
) -> Result<Usable, IoError> {
    check_names(&pieces)?;
    progress.start("read shards", pieces.len() as u64, "shards");
    let restarts = Mutex::new(Restarts::default());
    let one = PoolOptions { bad_shards: BadShards::Error, ..options };
    let rows: Vec<Result<usize, IoError>> = pieces
        .par_iter()
        .map(|piece| {
            progress.check().map_err(|Cancelled| IoError::cancelled(piece))?;
            let rows = Pool::open(piece, one, &NoProgress).map(|pool| {
                pool.add_keys_to(&mut restarts.lock().unwrap_or_else(PoisonError::into_inner));
                pool.len()
            });
            progress.advance(1);
            rows
        })
        .collect();
    progress.finish();
    if options.ids.is_none() {
        let restarts = restarts.into_inner().unwrap_or_else(PoisonError::into_inner);
        restarts.check(pieces[0].parent().unwrap_or(&pieces[0]))?;
    }
    let (mut good, mut all, mut skipped) = (Vec::new(), 0, Vec::new());
    for (piece, rows) in pieces.into_iter().zip(rows) {
        match rows {
            Ok(rows) => {
                all += rows;
                good.push(piece);
            }
            Err(e) if options.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                skipped.push((piece, e.problem));
            }
            Err(e) => return Err(e),
        }
    }
    Ok((good, all, skipped))
}

/// An error where two shards have one name, which is that of their files in the output.
fn check_names(pieces: &[PathBuf]) -> Result<(), IoError> {
    let mut names = BTreeMap::new();
    for piece in pieces {
        if let Some(other) = names.insert(piece.file_stem(), piece) {
            let problem = format!("has the name of {}", other.display());
            let remedy = "embed each folder into one of its own";
            return Err(IoError::new(Kind::Disagree, piece, problem, remedy));
        }
    }
    Ok(())
}

/// What a run that was killed left half written is of no use.
fn start(params: &EmbedParams) -> Result<(), IoError> {
    if params.out.is_dir() { atomic::remove_leftovers(&params.out) } else { Ok(()) }
}

fn embed_shards(
    network: &Network,
    pool: &Pool,
    params: &EmbedParams,
    progress: &dyn Progress,
    report: &mut EmbedReport,
) -> Result<(), FilterError> {
    let network_fingerprint = network.fingerprint();
    for shard in pool.shards() {
        let files = Files::new(&params.out, &shard.name);
        let fingerprint = shard_fingerprint(&network_fingerprint, pool, shard, params);
        let record = match files.record(&fingerprint)? {
            Some(record) => {
                report.reused += 1;
                progress.advance(record.rows as u64);
                record
            }
            None => {
                report.shards += 1;
                embed_shard(network, pool, shard, params, &files, fingerprint, progress)?
            }
        };
        report.rows += record.rows;
        report.bad.add(record.bad);
    }
    Ok(())
}

fn embed_shard(
    network: &Network,
    pool: &Pool,
    shard: &Shard,
    params: &EmbedParams,
    files: &Files,
    fingerprint: String,
    progress: &dyn Progress,
) -> Result<Record, FilterError> {
    let rows: Vec<usize> = shard.rows.clone().collect();
    let (mut images, mut texts, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in rows.chunks(EMBEDDED_TOGETHER) {
        progress.check().map_err(|Cancelled| IoError::cancelled(&params.out))?;
        let pairs = embed_chunk(network, pool, chunk)?;
        images.extend(pairs.images);
        texts.extend(pairs.texts);
        bad.extend(pairs.bad);
        progress.advance(chunk.len() as u64);
    }
    let dim = network.dim();
    let scores: Vec<f32> =
        images.chunks_exact(dim).zip(texts.chunks_exact(dim)).map(|(i, t)| dot(i, t)).collect();
    write_arrays(&files.arrays, params, dim, &images, &texts)?;
    let ids = rows.iter().map(|&row| pool.ids()[row].to_string()).collect();
    let columns = vec![("uid", Column::Text(ids)), ("score", Column::F32(scores))];
    table::write(&files.scores, columns)?;
    let record = Record { fingerprint, rows: rows.len(), bad };
    let mut json = serde_json::to_vec_pretty(&record).expect("a record is JSON");
    json.push(b'\n');
    atomic::write(&files.record, &json)?;
    Ok(record)
}

/// Some pairs of a pool, in the order of their rows.
pub(super) struct Chunk {
    /// Embeddings of the images; NaN where a row is bad.
    pub(super) images: Vec<f32>,
    /// Embeddings of the texts.
    pub(super) texts: Vec<f32>,
    pub(super) bad: Vec<BadRow>,
}

pub(super) fn embed_chunk(
    network: &Network,
    pool: &Pool,
    rows: &[usize],
) -> Result<Chunk, FilterError> {
    let samples = pool.samples_with_images(rows)?;
    let pixels: Vec<Result<Vec<f32>, Trouble>> = samples
        .par_iter()
        .map(|sample| {
            if sample.caption.is_none() {
                return Err(Trouble::NoCaption);
            }
            let file = sample.image.as_ref().ok_or(Trouble::NoImage)?;
            Ok(network.transform().apply(file)?)
        })
        .collect();
    let dim = network.dim();
    let mut chunk = Chunk {
        images: vec![f32::NAN; rows.len() * dim],
        texts: vec![f32::NAN; rows.len() * dim],
        bad: vec![],
    };
    let (mut good, mut numbers, mut captions) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (sample, pixels)) in samples.iter().zip(pixels).enumerate() {
        match pixels {
            Ok(pixels) => {
                good.push(i);
                numbers.extend(pixels);
                captions.push(sample.caption.as_deref().unwrap_or_default());
            }
            Err(trouble) => chunk.bad.push(trouble.of(sample.id)),
        }
    }
    let embedded = [
        (&mut chunk.images, network.embed_images(&numbers)?),
        (&mut chunk.texts, network.embed_texts(&captions)?),
    ];
    for (out, embedded) in embedded {
        for (&i, row) in good.iter().zip(embedded.chunks_exact(dim)) {
            out[i * dim..(i + 1) * dim].copy_from_slice(row);
        }
    }
    Ok(chunk)
}

/// The network, the pool's rows and what is written: with another of them the bytes would differ.
fn shard_fingerprint(network: &str, pool: &Pool, shard: &Shard, params: &EmbedParams) -> String {
    let mut bytes = format!("2 {network} {} {:?}", params.name, params.precision).into_bytes();
    for row in shard.rows.clone() {
        bytes.extend(pool.ids()[row].0.to_le_bytes());
    }
    for file in &shard.files {
        let length = std::fs::metadata(file).map_or(0, |m| m.len());
        bytes.extend(length.to_le_bytes());
    }
    digest::of_bytes(&bytes)
}

pub(super) struct Files {
    pub(super) arrays: PathBuf,
    pub(super) scores: PathBuf,
    pub(super) record: PathBuf,
}

impl Files {
    pub(super) fn new(out: &Path, shard: &str) -> Self {
        Self {
            arrays: out.join(format!("{shard}.npz")),
            scores: out.join(format!("{shard}.scores.parquet")),
            record: out.join(format!("{shard}.json")),
        }
    }

    /// The record of a finished shard; `None` where there is none.
    fn record(&self, fingerprint: &str) -> Result<Option<Record>, IoError> {
        let Some(record) = self.any_record()? else { return Ok(None) };
        if record.fingerprint == fingerprint {
            return Ok(Some(record));
        }
        let problem = "was embedded with another network, other settings or another pool";
        Err(IoError::new(Kind::Disagree, &self.record, problem, "choose another folder"))
    }

    pub(super) fn any_record(&self) -> Result<Option<Record>, IoError> {
        let text = match std::fs::read(&self.record) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IoError::os(&self.record, "read", e)),
        };
        let record = serde_json::from_slice(&text).map_err(|e| {
            IoError::malformed(&self.record, "is not a record of an embedded shard").caused_by(e)
        })?;
        Ok(Some(record))
    }
}

/// Writes the embeddings of a shard so that pools and numpy read them.
fn write_arrays(
    path: &Path,
    params: &EmbedParams,
    dim: usize,
    images: &[f32],
    texts: &[f32],
) -> Result<(), IoError> {
    let mut npz = NpzWriter::create(path)?;
    for (what, values) in [("img", images), ("txt", texts)] {
        let rows = values.len() / dim.max(1);
        let table = ArrayView2::from_shape((rows, dim), values).expect("whole rows were embedded");
        npz.add(&format!("{}_{what}", params.name), table, params.precision)?;
    }
    npz.finish()
}
