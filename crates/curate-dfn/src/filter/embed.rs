//! Images and texts of a pool to embeddings, shard by shard.

use std::path::{Path, PathBuf};

use curate_core::{Cancelled, ParamsError, Progress, params::Checker};
use curate_io::{
    Format, IoError, Kind, Pool, PoolOptions, digest,
    manifest::ShardEntry,
    npy::Precision,
    npz::NpzWriter,
    pieces,
    pool::Shard,
    stamp::{Check, Input},
    table::{self, Column},
    url::{self, FilesWanted},
};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::{
    Network,
    filter::{
        FilterError,
        align::dot,
        bad::Counts,
        chunk::{EMBEDDED_TOGETHER, embed_chunk},
        out_folder::{Made, OutFolder, Writing, file_name},
        record::{Files, Record},
        usable::{Piece, Usable},
    },
};

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
    /// Whether files that are there, and those that they were made from, are read whole.
    #[serde(default)]
    verify: bool,
}

fn usual_name() -> String {
    "dfn".to_owned()
}

impl EmbedParams {
    /// Writes to a folder: `SHARD.npz`, `SHARD.scores.parquet` and `SHARD.json` for each shard, and
    /// `manifest.json`, which says what the folder is to hold. Shards of one name in several folders get
    /// those of the folders too ([`curate_io::shard_names`]).
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self { out: out.into(), name: usual_name(), precision: Precision::default(), verify: false }
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

    /// Whether a shard that an earlier run finished counts only once its files, and those that it was made
    /// from, were read to their ends. Unless told, they are believed by their lengths, times and 64 KiB
    /// of each, and read whole where they were touched since.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
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
        Ok(Embed { params: self, part: None })
    }
}

/// Embeds pools, with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    params: EmbedParams,
    part: Option<Part>,
}

/// Shards whose keys a process compares, its own among them, before a network works for hours.
const COMPARED: usize = 8;

/// The shards of one of several processes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    index: usize,
    tasks: usize,
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
    /// Those of the shards embedded now whose files an earlier run had written and somebody has changed
    /// since.
    pub again: usize,
    /// Rows that could not be embedded.
    pub bad: Counts,
    /// Shards that were left out because they cannot be read, and why.
    pub skipped: Vec<(PathBuf, String)>,
    /// What a person should know of the pool's files although their rows can be used.
    pub notes: Vec<String>,
    /// Whether the folder holds all shards of the pool; a part of them leaves it as it was where it held them
    /// before.
    pub complete: bool,
}

impl Embed {
    /// The same for one of several processes that share the folder: it embeds every shard whose place in the
    /// pool leaves `index` when it is divided by `tasks`. It opens no other tar shard, but for some whose keys are
    /// compared where it has few. The folder is complete once a run without this has found all of them.
    ///
    /// # Panics
    /// When `index` is not below `tasks`.
    #[must_use]
    pub fn part(mut self, index: usize, tasks: usize) -> Self {
        assert!(index < tasks, "there is no task {index} of {tasks}");
        self.part = Some(Part { index, tasks });
        self
    }

    fn has(&self, place: usize) -> bool {
        self.part.is_none_or(|Part { index, tasks }| place % tasks == index)
    }

    /// Embeds a pool and scores its pairs by their cosine. An interrupted run goes on at its unfinished
    /// shard, with the same bytes.
    ///
    /// A shard counts as finished if it was made from the contents that its files have, and its own files
    /// are those that were written: see [`EmbedParams::verify`]. For that each file of the pool is read
    /// once more when its shard is embedded, and each file that is written once.
    ///
    /// Memory: the network, the embeddings of a shard, some hundred images, and what the open pool
    /// holds: [`Embed::run_path`] opens shards one at a time.
    ///
    /// # Errors
    /// When the pool cannot be read or a file cannot be written, when the folder holds the shards of
    /// another network or pool or another process writes to it, when a file of the pool has changed since
    /// its shard was embedded, the network's vocabulary is not CLIP's, or the caller cancels.
    pub fn run(
        &self,
        network: &Network,
        pool: &Pool,
        progress: &dyn Progress,
    ) -> Result<EmbedReport, FilterError> {
        check_apart(&self.params.out, pool)?;
        let folder = self.folder()?;
        let made = network.fingerprint();
        let shards = pool.shards().iter();
        let shards = shards.map(|shard| entry(&shard.name, shard.rows.len())).collect();
        let check = self.params.check_files();
        let (made_so, images) = (self.made(network, &made), pool.image_files());
        let folder = folder.begin(&made_so, shards, &images, check)?;
        let work = Work { network, made, params: &self.params, folder: &folder, progress };
        let mut report = EmbedReport { notes: pool.notes().to_vec(), ..EmbedReport::default() };
        let ours = pool.shards().iter().enumerate().filter(|(place, _)| self.has(*place));
        let ours: Vec<&Shard> = ours.map(|(_, shard)| shard).collect();
        let rows: usize = ours.iter().map(|shard| shard.rows.len()).sum();
        progress.start("embed", rows as u64, "pairs");
        let done = work.embed_shards(pool, &ours, &mut report);
        progress.finish();
        done?;
        report.complete = self.end(folder)?;
        Ok(report)
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
        let folder = self.folder()?;
        let (ours, others) = self.divided(pieces);
        let compared = if ours.is_empty() { 0 } else { COMPARED.saturating_sub(ours.len()) };
        let beside = spread(&others, compared);
        let usable = Usable::of(path, ours, beside, options, progress)?;
        let Usable { pieces, rows, skipped, notes } = usable;
        if pieces.is_empty() && self.part.is_none() {
            return Err(IoError::malformed(path, "has no shard that can be read").into());
        }
        let made = network.fingerprint();
        let shards = pieces.iter().map(|piece| entry(&piece.name, piece.rows));
        // What others embed is not opened here: the run that completes the folder counts its rows.
        let others = others.iter().map(|piece| entry(&piece.name, 0));
        let (shards, check) = (shards.chain(others).collect(), self.params.check_files());
        let folder = folder.begin(&self.made(network, &made), shards, &[], check)?;
        let work = Work { network, made, params: &self.params, folder: &folder, progress };
        let mut report = EmbedReport { skipped, notes, ..EmbedReport::default() };
        progress.start("embed", rows as u64, "pairs");
        let embed = |piece: &Piece| {
            let pool = piece.open(options)?;
            let shards: Vec<&Shard> = pool.shards().iter().collect();
            work.embed_shards(&pool, &shards, &mut report)
        };
        let done = pieces.iter().try_for_each(embed);
        progress.finish();
        done?;
        report.complete = self.end(folder)?;
        Ok(report)
    }

    fn folder(&self) -> Result<OutFolder<'_>, IoError> {
        OutFolder::take(&self.params.out, self.part.is_some())
    }

    /// The pieces of this process, and those of others.
    fn divided(&self, paths: Vec<PathBuf>) -> (Vec<Piece>, Vec<Piece>) {
        let pieces = Piece::of(paths).into_iter().enumerate();
        let (ours, others): (Vec<_>, Vec<_>) = pieces.partition(|(place, _)| self.has(*place));
        let pieces = |some: Vec<(usize, Piece)>| some.into_iter().map(|(_, piece)| piece).collect();
        (pieces(ours), pieces(others))
    }

    /// Returns whether the folder is complete.
    fn end(&self, folder: Writing<'_>) -> Result<bool, IoError> {
        if self.part.is_some() { folder.end_part() } else { folder.end().map(|()| true) }
    }

    fn made<'a>(&'a self, network: &Network, fingerprint: &'a str) -> Made<'a> {
        let reading = network.reading();
        let EmbedParams { name, precision, .. } = &self.params;
        let arithmetic = network.arithmetic();
        Made { network: fingerprint, reading, arithmetic, name, precision: *precision }
    }
}

/// At most so many pieces, from all over the list.
fn spread(pieces: &[Piece], count: usize) -> Vec<&Piece> {
    let step = pieces.len().div_ceil(count.max(1)).max(1);
    pieces.iter().step_by(step).take(count).collect()
}

fn entry(shard: &str, rows: usize) -> ShardEntry {
    ShardEntry { name: file_name(shard), rows, files: Default::default() }
}

/// Tables among those of the pool would be taken for shards of it.
fn check_apart(out: &Path, pool: &Pool) -> Result<(), IoError> {
    let place = |path: &Path| path.canonicalize().ok();
    let mut folders = pool.shards().iter().filter_map(|shard| shard.files[0].parent());
    let is_beside = folders.any(|folder| place(folder).is_some() && place(folder) == place(out));
    if pool.format() != Format::Datacomp || !is_beside {
        return Ok(());
    }
    let problem = "holds the pool's tables";
    Err(IoError::new(Kind::Disagree, out, problem, "choose another folder"))
}

impl EmbedParams {
    fn check_files(&self) -> Check {
        if self.verify { Check::Whole } else { Check::Sample }
    }
}

/// An embedding on its way.
struct Work<'a> {
    network: &'a Network,
    /// The network's fingerprint.
    made: String,
    params: &'a EmbedParams,
    folder: &'a Writing<'a>,
    progress: &'a dyn Progress,
}

impl Work<'_> {
    fn embed_shards(
        &self,
        pool: &Pool,
        shards: &[&Shard],
        report: &mut EmbedReport,
    ) -> Result<(), FilterError> {
        for &shard in shards {
            self.progress.check().map_err(|Cancelled| IoError::cancelled(&self.params.out))?;
            let files = self.folder.files(&shard.name);
            let (fingerprint, inputs) = (self.fingerprint(pool, shard), inputs(shard));
            let was_there = files.record.exists();
            let (check, before) = (self.params.check_files(), || self.folder.begin_shard());
            let record = match files.finished(&fingerprint, &inputs, check, before)? {
                Some(record) => {
                    report.reused += 1;
                    self.progress.advance(record.rows as u64);
                    record
                }
                None => {
                    report.shards += 1;
                    report.again += usize::from(was_there);
                    self.embed_shard(pool, shard, &files, fingerprint, &inputs)?
                }
            };
            report.rows += record.rows;
            report.bad.add(record.bad);
        }
        Ok(())
    }

    fn embed_shard(
        &self,
        pool: &Pool,
        shard: &Shard,
        files: &Files,
        fingerprint: String,
        paths: &[PathBuf],
    ) -> Result<Record, FilterError> {
        self.folder.begin_shard()?;
        // Before it is read: a change from here on is noticed in the end.
        let inputs: Result<Vec<Input>, IoError> =
            paths.iter().map(|path| Input::of(path)).collect();
        let inputs = inputs?;
        let rows: Vec<usize> = shard.rows.clone().collect();
        let (mut images, mut texts, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in rows.chunks(EMBEDDED_TOGETHER) {
            self.progress.check().map_err(|Cancelled| IoError::cancelled(&self.params.out))?;
            let pairs = embed_chunk(self.network, pool, chunk)?;
            images.extend(pairs.images);
            texts.extend(pairs.texts);
            bad.extend(pairs.bad);
            self.progress.advance(chunk.len() as u64);
        }
        paths.iter().zip(&inputs).try_for_each(|(path, input)| input.check_untouched(path))?;
        let dim = self.network.dim();
        let scores: Vec<f32> =
            images.chunks_exact(dim).zip(texts.chunks_exact(dim)).map(|(i, t)| dot(i, t)).collect();
        write_arrays(&files.arrays, self.params, dim, &images, &texts)?;
        let ids = rows.iter().map(|&row| pool.ids()[row].to_string()).collect();
        let columns = vec![("uid", Column::Text(ids)), ("score", Column::F32(scores))];
        table::write(&files.scores, columns)?;
        let written = files.stamps()?;
        let record = Record { fingerprint, rows: rows.len(), bad, inputs, files: written };
        files.write(&record)?;
        Ok(record)
    }

    /// The network, the pool's ids and what is written: with another of them the bytes would differ.
    fn fingerprint(&self, pool: &Pool, shard: &Shard) -> String {
        let EmbedParams { name, precision, .. } = self.params;
        let mut bytes = format!("3 {} {name} {precision:?}", self.made).into_bytes();
        for row in shard.rows.clone() {
            bytes.extend(pool.ids()[row].0.to_le_bytes());
        }
        digest::of_bytes(&bytes)
    }
}

/// The files that a shard's pairs are read from: arrays beside it are of other embeddings.
fn inputs(shard: &Shard) -> Vec<PathBuf> {
    let is_array = |file: &PathBuf| file.extension().is_some_and(|e| e == "npz" || e == "npy");
    let (first, others) = shard.files.split_first().expect("a shard has a file");
    let others = others.iter().filter(|file| !is_array(file));
    std::iter::once(first).chain(others).cloned().collect()
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
