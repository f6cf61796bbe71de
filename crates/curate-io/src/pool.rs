//! A pool of samples: ids, captions and images on demand, columns and named embeddings.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, fault::Fault};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Embedding, IoError, Kind,
    datacomp::DataComp,
    files::{CLIP_RETRIEVAL, Files, clip_retrieval_sibling},
    hdf5_file,
    table::Reader,
    vectors::{Npz, Part, list},
    webdataset::WebDataset,
};

/// The name of the embedding in an npy file.
const NPY_NAME: &str = "embedding";

/// A pattern of more files is a slip of the pen.
const MOST_SHARDS: u64 = 1_000_000;

/// How a pool lies on disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `NAME.parquet` beside `NAME.npz`.
    Datacomp,
    /// Tar shards.
    Webdataset,
    /// `img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy`, `metadata/metadata_0.parquet`.
    ClipRetrieval,
    /// npy files of vectors and nothing else.
    Npy,
    /// `NAME.jsonl` beside `NAME.npz` or `NAME.npy`.
    Jsonl,
    /// HDF5 files (`.h5`, `.hdf5`).
    Hdf5,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Datacomp => "DataComp metadata",
            Self::Webdataset => "WebDataset shards",
            Self::ClipRetrieval => "clip-retrieval folders",
            Self::Npy => "npy files",
            Self::Jsonl => "JSON lines",
            Self::Hdf5 => "HDF5 files",
        })
    }
}

/// What to do with a shard that cannot be read.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadShards {
    /// Stop with an error.
    #[default]
    Error,
    /// Leave the whole shard out, and say so.
    Skip,
}

/// How to open a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolOptions {
    /// The layout; `None` looks at the files.
    pub format: Option<Format>,
    /// What to do with a shard that cannot be read.
    pub bad_shards: BadShards,
}

/// A part of a pool: a tar file, or a Parquet file with its npz file.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The name without folder and ending.
    pub name: String,
    /// Its rows in the pool.
    pub rows: Range<usize>,
    /// Its files.
    pub files: Vec<PathBuf>,
}

/// A shard that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedShard {
    /// The name without folder and ending.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a person wants to see of a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its id.
    pub id: SampleId,
    /// The shard it lies in.
    pub shard: String,
    /// Its key in the shard, where it has one.
    pub key: Option<String>,
    /// Its caption.
    pub caption: Option<String>,
    /// The bytes of its image file.
    pub image: Option<Vec<u8>>,
    /// Other columns, as text.
    pub fields: BTreeMap<String, String>,
}

pub(crate) enum Backend {
    Datacomp(DataComp),
    Webdataset(WebDataset),
    Files(Files),
}

/// What a layout knows of a pool once its shards are read.
pub(crate) struct Listing {
    pub(crate) shards: Vec<Shard>,
    pub(crate) skipped: Vec<SkippedShard>,
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
}

/// A pool of samples on disk.
pub struct Pool {
    path: PathBuf,
    listing: Listing,
    backend: Backend,
}

impl Pool {
    /// Opens a pool: reads every shard's ids, finds missing, damaged and disagreeing files, and
    /// lists rows that cannot be used.
    ///
    /// `path` is a folder, a single file, or a pattern such as `shards/{00000..00099}.tar`, of
    /// which every file must exist.
    ///
    /// # Errors
    /// When there is no pool there, or a shard cannot be read and [`BadShards::Error`] holds.
    pub fn open(
        path: &Path,
        options: PoolOptions,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        Self::open_with(path, options, &[], progress)
    }

    /// Opens a pool of which these embeddings will be asked for: with [`BadShards::Skip`], a shard
    /// whose part of one of them cannot be read is left out too.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub fn open_with(
        path: &Path,
        options: PoolOptions,
        embeddings: &[&str],
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        refuse_url(path)?;
        let format = options.format.map_or_else(|| detect(path), Ok)?;
        let rule = ShardRule { bad_shards: options.bad_shards, embeddings };
        let (mut listing, backend) = match format {
            Format::Datacomp => {
                let (listing, backend) = DataComp::open(path, rule, progress)?;
                (listing, Backend::Datacomp(backend))
            }
            Format::Webdataset => {
                let (listing, backend) = WebDataset::open(path, rule, progress)?;
                (listing, Backend::Webdataset(backend))
            }
            other => {
                let (listing, backend) = Files::open(path, other, rule, progress)?;
                (listing, Backend::Files(backend))
            }
        };
        if listing.shards.is_empty() {
            let reasons: Vec<_> =
                listing.skipped.iter().map(|s| format!("{}: {}", s.name, s.reason)).collect();
            let problem = format!("has no shard that can be read ({})", reasons.join("; "));
            return Err(IoError::malformed(path, problem));
        }
        add_duplicates(&mut listing);
        Ok(Self { path: path.to_owned(), listing, backend })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the pool lies on disk.
    pub fn format(&self) -> Format {
        match &self.backend {
            Backend::Datacomp(_) => Format::Datacomp,
            Backend::Webdataset(_) => Format::Webdataset,
            Backend::Files(pool) => pool.format,
        }
    }

    /// Number of rows, those with faults included.
    pub fn len(&self) -> usize {
        self.listing.ids.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.listing.ids.is_empty()
    }

    /// The id of each row. Rows whose id is malformed have an id of their own that nothing else has
    /// but for chance.
    pub fn ids(&self) -> &[SampleId] {
        &self.listing.ids
    }

    /// The row of an id; of a repeated id the first.
    pub fn row_of(&self, id: SampleId) -> Option<usize> {
        self.listing.ids.iter().position(|&other| other == id)
    }

    /// The shards in row order.
    pub fn shards(&self) -> &[Shard] {
        &self.listing.shards
    }

    /// Shards that were left out.
    pub fn skipped(&self) -> &[SkippedShard] {
        &self.listing.skipped
    }

    /// Rows that cannot be used, in row order, at most one fault a row: malformed ids, repeats of an
    /// earlier id, samples without a caption or an image.
    pub fn faults(&self) -> &[(usize, Fault)] {
        &self.listing.faults
    }

    /// The names of the embeddings that every shard has.
    ///
    /// # Errors
    /// When an npz file cannot be read.
    pub fn embedding_names(&self) -> Result<Vec<String>, IoError> {
        embedding_names_beside(self.shards())
    }

    /// The embedding `name`, one vector a row.
    ///
    /// # Errors
    /// When a shard lacks it, its rows are not those of the shard, or widths differ.
    pub fn embedding(&self, name: &str) -> Result<Embedding, IoError> {
        embedding_beside(name, self.shards())
    }

    /// The names of the columns of numbers.
    ///
    /// # Errors
    /// When the first shard cannot be read.
    pub fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        match &self.backend {
            Backend::Datacomp(pool) => pool.numeric_columns(),
            Backend::Webdataset(pool) => pool.numeric_columns(),
            Backend::Files(pool) => pool.numeric_columns(),
        }
    }

    /// A column of numbers, one a row; NaN where there is none.
    ///
    /// # Errors
    /// When a shard lacks the column, or it holds something else.
    pub fn column(&self, name: &str) -> Result<Vec<f32>, IoError> {
        match &self.backend {
            Backend::Datacomp(pool) => pool.column(name),
            Backend::Webdataset(pool) => pool.column(name),
            Backend::Files(pool) => pool.column(&self.listing, name),
        }
    }

    /// A field of text, one a row, for example the source of each sample; all `None` where the pool
    /// has no such field.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub fn labels(&self, field: &str) -> Result<Vec<Option<String>>, IoError> {
        match &self.backend {
            Backend::Datacomp(pool) => pool.labels(field),
            Backend::Webdataset(pool) => pool.labels(field),
            Backend::Files(pool) => pool.labels(&self.listing, field),
        }
    }

    /// What a person wants to see of some rows, in the order given. With `images`, the bytes of
    /// their image files where the pool has them.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub fn samples(&self, rows: &[usize], images: bool) -> Result<Vec<Sample>, IoError> {
        let mut ascending = rows.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        let found = match &self.backend {
            Backend::Datacomp(pool) => pool.samples(&self.listing, &ascending, images)?,
            Backend::Webdataset(pool) => pool.samples(&self.listing, &ascending, images)?,
            Backend::Files(pool) => pool.samples(&self.listing, &ascending)?,
        };
        let at = |row| ascending.binary_search(row).expect("every row asked for was read");
        Ok(rows.iter().map(|row| found[at(row)].clone()).collect())
    }

    /// All files of the pool that were read, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.shards().iter().flat_map(|s| s.files.clone()).collect();
        files.sort_unstable();
        files
    }
}

fn add_duplicates(listing: &mut Listing) {
    let mut order: Vec<usize> = (0..listing.ids.len()).collect();
    order.sort_unstable_by_key(|&row| (listing.ids[row], row));
    let repeats = order.windows(2).filter(|w| listing.ids[w[0]] == listing.ids[w[1]]);
    listing.faults.extend(repeats.map(|w| (w[1], Fault::DuplicateId)));
    // One fault a row: the first found, that is, the one of the row itself.
    listing.faults.sort_by_key(|&(row, _)| row);
    listing.faults.dedup_by_key(|(row, _)| *row);
}

/// A URL would be taken for a folder that does not exist.
fn refuse_url(path: &Path) -> Result<(), IoError> {
    if !path.to_str().is_some_and(|path| path.contains("://")) {
        return Ok(());
    }
    let problem = "is a URL; pools are read from local paths";
    Err(IoError::new(
        Kind::Unsupported,
        path,
        problem,
        "fetch the files, or mount them as a folder",
    ))
}

/// Tells the layout from what lies at `path`.
fn detect(path: &Path) -> Result<Format, IoError> {
    let has = |folder: &Path, ending: &str| {
        std::fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|e| e.path().extension().is_some_and(|x| x == ending))
        })
    };
    let ending = path.extension().and_then(|e| e.to_str());
    match ending {
        Some("tar") => return Ok(Format::Webdataset),
        Some("parquet") => return Ok(Format::Datacomp),
        Some("npy") => return Ok(Format::Npy),
        Some("jsonl") => return Ok(Format::Jsonl),
        Some("h5" | "hdf5") => return Ok(Format::Hdf5),
        _ => {}
    }
    if !path.exists() {
        return Err(IoError::os(path, "read", std::io::ErrorKind::NotFound.into()));
    }
    if CLIP_RETRIEVAL.iter().any(|name| has(&path.join(name), "npy")) {
        Ok(Format::ClipRetrieval)
    } else if has(&path.join("metadata"), "parquet") {
        Ok(Format::Datacomp)
    } else if has(path, "tar") || has(&path.join("shards"), "tar") {
        Ok(Format::Webdataset)
    } else if has(path, "parquet") {
        Ok(Format::Datacomp)
    } else if has(&path.join("metadata"), "jsonl") || has(path, "jsonl") {
        Ok(Format::Jsonl)
    } else if has(path, "h5") || has(path, "hdf5") {
        Ok(Format::Hdf5)
    } else if has(path, "npy") {
        Ok(Format::Npy)
    } else {
        let problem = "holds no pool: looked for metadata/*.parquet, *.parquet, *.tar, \
                       shards/*.tar, img_emb/*.npy, *.jsonl, *.h5, *.hdf5 and *.npy";
        Err(IoError::new(Kind::NotFound, path, problem, "name the folder that holds one of those"))
    }
}

/// The files with this ending in a folder, by name; or the file itself; or the files of a pattern,
/// whether they exist or not.
pub(crate) fn shard_files(path: &Path, ending: &str) -> Result<Vec<PathBuf>, IoError> {
    refuse_url(path)?;
    if let Some(pattern) = Pattern::of(path) {
        return pattern.files(path);
    }
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| IoError::os(path, "read", e))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|e| IoError::os(path, "read", e))?.path();
        if file.extension().is_some_and(|e| e == ending) {
            files.push(file);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        let problem = format!("holds no file that ends in .{ending}");
        return Err(IoError::new(Kind::NotFound, path, problem, "check the path"));
    }
    Ok(files)
}

/// A path with one `{first..last}`.
struct Pattern<'a> {
    before: &'a str,
    numbers: RangeInclusive<u64>,
    width: usize,
    after: &'a str,
}

impl<'a> Pattern<'a> {
    /// `None` for a plain path.
    fn of(path: &'a Path) -> Option<Self> {
        let (before, rest) = path.to_str()?.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let numbers = first.parse().ok()?..=last.parse().ok()?;
        Some(Self { before, numbers, width: first.len(), after })
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>, IoError> {
        let Self { before, numbers, width, after } = self;
        let wrong = |problem: &str| {
            let remedy = "write the smaller number first, as in {00000..00099}";
            Err(IoError::new(Kind::NotFound, path, problem, remedy))
        };
        if numbers.is_empty() {
            return wrong("is a pattern of no file");
        }
        if numbers.end() - numbers.start() >= MOST_SHARDS {
            return wrong("is a pattern of more than a million files");
        }
        let name = |number| PathBuf::from(format!("{before}{number:0width$}{after}"));
        Ok(numbers.clone().map(name).collect())
    }
}

/// The name of a file without folder and ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Which shards are taken.
#[derive(Clone, Copy)]
pub(crate) struct ShardRule<'a> {
    pub(crate) bad_shards: BadShards,
    /// The embeddings that a shard must have.
    pub(crate) embeddings: &'a [&'a str],
}

impl ShardRule<'_> {
    /// An error unless the shard has the embeddings asked for. Where a bad shard is an error, it
    /// comes when the embedding is opened.
    fn check(self, file: &Path, rows: usize) -> Result<(), IoError> {
        if self.bad_shards == BadShards::Skip {
            for name in self.embeddings {
                part_beside(name, file, rows)?;
            }
        }
        Ok(())
    }
}

/// The ids of one shard, and its rows that cannot be used.
#[derive(Default)]
pub(crate) struct ShardIds {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
}

impl Listing {
    /// Reads all shards in parallel and lists their rows in order of the files. Answers what else
    /// `read` found in each shard that was read, beside the shard's file.
    pub(crate) fn read<T: Send>(
        task: &str,
        files: Vec<PathBuf>,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
        read: impl Fn(&Path) -> Result<(ShardIds, T), IoError> + Sync,
    ) -> Result<(Self, Vec<(PathBuf, T)>), IoError> {
        progress.start(task, files.len() as u64, "shards");
        let found: Vec<_> = files
            .par_iter()
            .map(|file| {
                progress.check().map_err(|_| IoError::cancelled(file))?;
                if !file.exists() {
                    let remedy = "fetch it, or leave it out of the pattern";
                    let problem = "is in the pattern but does not exist";
                    return Err(IoError::new(Kind::NotFound, file, problem, remedy));
                }
                let found = read(file).and_then(|(ids, rest)| {
                    rule.check(file, ids.ids.len())?;
                    Ok((ids, rest))
                });
                progress.advance(1);
                found
            })
            .collect();
        progress.finish();
        let mut listing = Self { shards: vec![], skipped: vec![], ids: vec![], faults: vec![] };
        let mut rest = Vec::new();
        for (file, found) in files.into_iter().zip(found) {
            match found {
                Ok((ids, found)) => {
                    listing.add(&file, ids);
                    rest.push((file, found));
                }
                Err(e) if rule.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                    listing.skipped.push(SkippedShard { name: stem(&file), reason: e.problem });
                }
                Err(e) => return Err(e),
            }
        }
        Ok((listing, rest))
    }

    fn add(&mut self, file: &Path, read: ShardIds) {
        let first = self.ids.len();
        let files = companions(file);
        let rows = first..first + read.ids.len();
        self.shards.push(Shard { name: stem(file), rows, files });
        self.ids.extend(read.ids);
        self.faults.extend(read.faults.into_iter().map(|(row, fault)| (first + row, fault)));
    }
}

/// The file of a shard, and the files beside it that belong to its rows.
fn companions(file: &Path) -> Vec<PathBuf> {
    let beside = ["npz", "npy"].map(|ending| file.with_extension(ending));
    let siblings = CLIP_RETRIEVAL.map(|name| clip_retrieval_sibling(file, name, "npy"));
    let metadata = clip_retrieval_sibling(file, "metadata", "parquet");
    let others = beside.into_iter().chain(siblings.into_iter().chain([metadata]).flatten());
    let others = others.filter(|other| other != file && other.exists());
    std::iter::once(file.to_owned()).chain(others).collect()
}

/// The array `name` of each shard, as one table.
fn embedding_beside(name: &str, shards: &[Shard]) -> Result<Embedding, IoError> {
    let mut parts = Vec::with_capacity(shards.len());
    for shard in shards {
        parts.push(part_beside(name, &shard.files[0], shard.rows.len())?);
    }
    Embedding::new(parts)
}

/// Where an embedding of a shard lies.
enum Place {
    /// A member of an npz file.
    Npz(PathBuf),
    /// A whole npy file.
    Npy(PathBuf),
    /// A column of the shard's own Parquet file.
    Column,
    /// A dataset of the shard's own HDF5 file.
    Dataset,
}

/// The embeddings of a shard of so many rows.
fn places(file: &Path, rows: usize) -> Result<Vec<(String, Place)>, IoError> {
    let mut found: Vec<(String, Place)> = Vec::new();
    let ending = file.extension().and_then(|e| e.to_str());
    if let Some("h5" | "hdf5") = ending {
        let names = hdf5_file::embedding_names(file, rows)?;
        return Ok(names.into_iter().map(|name| (name, Place::Dataset)).collect());
    }
    if ending == Some("parquet") {
        let names = Reader::open(file)?.vector_columns();
        found.extend(names.into_iter().map(|name| (name, Place::Column)));
    }
    if clip_retrieval_sibling(file, "metadata", "parquet").is_some() {
        for name in CLIP_RETRIEVAL {
            let array = clip_retrieval_sibling(file, name, "npy").filter(|array| array.exists());
            found.extend(array.map(|array| (name.to_owned(), Place::Npy(array))));
        }
        return Ok(found);
    }
    let (npz, npy) = (file.with_extension("npz"), file.with_extension("npy"));
    if npz.exists() {
        let names = Npz::open(&npz)?.names();
        found.extend(names.into_iter().map(|name| (name, Place::Npz(npz.clone()))));
    }
    if npy.exists() {
        found.push((NPY_NAME.to_owned(), Place::Npy(npy)));
    }
    Ok(found)
}

/// The embedding `name` of a shard, which has so many rows.
fn part_beside(name: &str, file: &Path, rows: usize) -> Result<Part, IoError> {
    let shard = file.display();
    let mut there = places(file, rows)?;
    let (path, part) = match there.iter().position(|(other, _)| other == name) {
        Some(at) => match there.swap_remove(at).1 {
            Place::Npz(npz) => (npz.clone(), Npz::open(&npz)?.array(name)?),
            Place::Npy(npy) => (npy.clone(), Part::open_npy(&npy)?),
            Place::Column => (file.to_owned(), Reader::open(file)?.vectors(name)?),
            Place::Dataset => (file.to_owned(), hdf5_file::embedding(file, name)?),
        },
        None if there.is_empty() && file.extension().is_none_or(|e| e != "npy") => {
            let npz = file.with_extension("npz");
            let problem = format!("does not exist, but embedding `{name}` of {shard} is asked for");
            return Err(IoError::new(Kind::NotFound, npz, problem, "fetch it or embed the shard"));
        }
        None => {
            let names: Vec<String> = there.iter().map(|(name, _)| name.clone()).collect();
            let npz = there.iter().find_map(|(_, place)| match place {
                Place::Npz(npz) => Some(npz.as_path()),
                _ => None,
            });
            let problem = format!("has no array `{name}`; it has {}", list(&names));
            let path = npz.unwrap_or(file);
            return Err(IoError::new(Kind::NotFound, path, problem, "name one of those"));
        }
    };
    if part.rows() != rows {
        let problem = format!("array `{name}` has {} rows, but {shard} has {rows}", part.rows());
        return Err(IoError::new(Kind::Disagree, path, problem, "fetch both files again"));
    }
    Ok(part)
}

/// The embeddings that every shard has.
fn embedding_names_beside(shards: &[Shard]) -> Result<Vec<String>, IoError> {
    let mut common: Option<Vec<String>> = None;
    for shard in shards {
        let there = places(&shard.files[0], shard.rows.len())?;
        let names: Vec<String> = there.into_iter().map(|(name, _)| name).collect();
        common = Some(match common {
            Some(common) => common.into_iter().filter(|name| names.contains(name)).collect(),
            None => names,
        });
    }
    let mut names = common.unwrap_or_default();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// An error about a column that a shard lacks.
pub(crate) fn no_column(path: &Path, name: &str, there: &[String]) -> IoError {
    let problem = format!("has no numbers `{name}`; it has {}", list(there));
    IoError::new(Kind::NotFound, path, problem, "name one of those")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand_with_their_zeros() {
        let path = Path::new("s/{008..011}.tar");
        let files = Pattern::of(path).unwrap().files(path).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.to_str().unwrap()).collect();
        assert_eq!(names, ["s/008.tar", "s/009.tar", "s/010.tar", "s/011.tar"]);
        assert!(Pattern::of(Path::new("plain.tar")).is_none());
    }

    #[test]
    fn only_later_repeats_of_an_id_are_faults() {
        let mut listing = Listing {
            shards: vec![],
            skipped: vec![],
            ids: [5, 3, 5, 5].map(SampleId).to_vec(),
            faults: vec![(2, Fault::CaptionMissing)],
        };
        add_duplicates(&mut listing);
        assert_eq!(listing.faults, [(2, Fault::CaptionMissing), (3, Fault::DuplicateId)]);
    }

    #[test]
    fn a_path_without_a_pool_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = detect(folder.path()).unwrap_err();
        assert!(error.to_string().contains("looked for metadata/*.parquet"), "{error}");
        assert_eq!(detect(Path::new("no/such/folder")).unwrap_err().kind, Kind::NotFound);
        let url = Path::new("s3://bucket/shards/{000..009}.tar");
        let error = shard_files(url, "tar").unwrap_err();
        assert!(error.to_string().contains("is a URL; pools are read from local paths"), "{error}");
    }
}
