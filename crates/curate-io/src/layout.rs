//! What a layout of pools is: the trait that every layout implements, and what an open shard tells.
//!
//! A layout is a file in `layouts/` and a line in `layouts.rs`. It says by which files it is known,
//! which files are its shards, what lies beside them, and opens one; everything else (many shards,
//! shards left out, ids that repeat, embeddings that are remembered) is the [`Pool`](crate::Pool)'s.

use std::path::{Path, PathBuf};

use curate_core::{SampleId, ScoreColumn, fault::Fault, json::Record};

use crate::{
    arrays_beside::{Place, places_beside},
    error::{IoError, Kind},
    ids::{IdOrigins, id_in_key, id_of_text, substitute_id},
    manifest,
    shard::Sample,
    shard_files::shard_files,
};

/// The columns by which a table without `uid` names its rows, the first that is there.
pub(crate) const KEYS: [&str; 4] = ["key", "image_path", "url", "id"];

/// The columns that hold captions, the first that is there.
pub(crate) const CAPTIONS: [&str; 2] = ["text", "caption"];

/// Whether a folder of a pool (`""` for the pool's own) has a file with an ending.
pub(crate) type Has<'a> = &'a dyn Fn(&str, &str) -> bool;

/// Which files of a pool are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesWanted {
    /// Ids, captions and columns: no files of embeddings.
    Tables,
    /// The same and the embeddings.
    Embeddings,
    /// Tar shards with their counts.
    Shards,
}

/// A kind of file by which a layout is known.
pub(crate) struct Sign {
    /// The folder in which it lies, `""` for the pool's own.
    pub(crate) folder: &'static str,
    pub(crate) ending: &'static str,
    pub(crate) certainty: Certainty,
}

/// How much a file says about the layout. Several layouts may leave their signs in one folder: a
/// pool that img2dataset wrote has tar files and Parquet files side by side, and a DataComp pool npy
/// or npz files beside its tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// No other layout has such a folder.
    Own,
    /// Such files are shards, whatever lies beside them.
    Shards,
    /// Such files lie beside the shards of other layouts too.
    Beside,
    /// Such files are most often companions of others.
    Companions,
}

impl Certainty {
    /// The surest first.
    pub(crate) const ALL: [Self; 4] = [Self::Own, Self::Shards, Self::Beside, Self::Companions];
}

/// The files of a folder that belong to a layout.
#[cfg(feature = "object-store")]
pub(crate) struct Needed {
    pub(crate) folders: Vec<&'static str>,
    /// How the names of those files end.
    pub(crate) endings: Vec<&'static str>,
}

/// A way in which pools lie on disk.
pub(crate) trait Layout: Sync {
    /// What a person calls it.
    fn name(&self) -> &'static str;

    /// The files by which a folder is known.
    fn signs(&self) -> &'static [Sign];

    /// The endings of files that are pools of this layout by themselves.
    fn endings(&self) -> &'static [&'static str];

    /// The folder of a pool in which the shards may lie instead of the pool's own.
    fn inner_folder(&self) -> &'static str {
        ""
    }

    /// The shards of the pool at `path` in row order.
    fn shards(&self, path: &Path) -> Result<Vec<PathBuf>, IoError> {
        let folder = folder_of_shards(path, self.inner_folder());
        let files = shard_files(&folder, self.endings())?;
        if folder.is_dir() {
            manifest::check_shards(&folder, &files)?;
        }
        Ok(files)
    }

    /// The error about one of those that does not exist.
    fn lost(&self, file: &Path) -> IoError {
        let problem = "is in the pattern but does not exist";
        IoError::new(Kind::NotFound, file, problem, "fetch it, or leave it out of the pattern")
    }

    /// What is said to be done while shards are opened.
    fn task(&self) -> &'static str {
        "read metadata"
    }

    /// Opens a shard and lists its rows.
    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError>;

    /// Opens a shard of which so many rows were listed before, as cheaply as can be: without reading ids
    /// and captions. It has no notes.
    fn reopen(&self, file: &Path, rows: usize) -> Result<Box<dyn OpenShard>, IoError>;

    /// Whether a pool of this layout may be opened one shard at a time.
    fn comes_apart(&self) -> bool {
        false
    }

    /// The files that may lie beside a shard and belong to its rows.
    fn companions(&self, file: &Path) -> Vec<PathBuf> {
        ["npz", "npy"].map(|ending| file.with_extension(ending)).to_vec()
    }

    /// The WebDataset shards with the images of a pool that has none in its own.
    fn image_shards(&self, _path: &Path) -> Option<PathBuf> {
        None
    }

    /// What is needed of a folder that is not on this machine.
    #[cfg(feature = "object-store")]
    fn needed(&self, has: Has<'_>) -> Needed {
        let inner = self.inner_folder();
        let there = self.endings().iter().any(|ending| has(inner, ending));
        Needed { folders: vec![if there { inner } else { "" }], endings: self.endings().to_vec() }
    }

    /// How the names of files go on that are fetched with a single shard, after its name without
    /// the ending.
    #[cfg(feature = "object-store")]
    fn fetched_beside(&self, wanted: FilesWanted) -> &'static [&'static str] {
        if wanted == FilesWanted::Embeddings { &[".npz", ".npy"] } else { &[] }
    }
}

/// The folder `inner` of a pool where it has one, and else the pool's own.
pub(crate) fn folder_of_shards(pool: &Path, inner: &str) -> PathBuf {
    let folder = pool.join(inner);
    if !inner.is_empty() && folder.is_dir() { folder } else { pool.to_owned() }
}

/// A shard that is open for reading.
pub(crate) trait OpenShard: Send + Sync {
    /// The file to name when something is missing.
    fn path(&self) -> &Path;

    /// The columns of numbers; `None` where it takes another shard to know.
    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError>;

    /// A column of numbers.
    fn column(&self, name: &str) -> Result<Numbers, IoError>;

    /// Hands a text of every row to `each`, in row order; without such a field, of none.
    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError>;

    /// The samples of these rows of the shard, ascending; their ids and the name of their shard are
    /// the pool's to fill in.
    fn samples(&self, rows: &[usize], detail: Detail) -> Result<Vec<Sample>, IoError>;

    /// What a person should know of the shard although its rows can be used.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// The embeddings, and where each lies.
    fn embeddings(&self) -> Result<Vec<(String, Place)>, IoError> {
        places_beside(self.path())
    }
}

/// What a shard says of a column.
pub(crate) enum Numbers {
    /// A number of every row, a gap as NaN.
    Values(ScoreColumn),
    /// None of its records has such a number, which those of another shard may have.
    Unsaid,
    /// There is no such column.
    Missing,
}

impl Numbers {
    /// Of numbers in records, which need not all have one.
    pub(crate) fn of(values: Vec<Option<f64>>) -> Self {
        if values.iter().all(Option::is_none) {
            return Self::Unsaid;
        }
        let numbers = values.into_iter().map(|value| value.unwrap_or(f64::NAN));
        Self::Values(ScoreColumn::Double(numbers.collect()))
    }
}

/// How much of a sample is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Text,
    TextAndImage,
}

/// The rows of a shard, and those that cannot be used.
#[derive(Default)]
pub(crate) struct ShardRows {
    pub(crate) ids: RowIds,
    /// Where those come from.
    pub(crate) origins: IdOrigins,
    /// In row order once the shard is open.
    pub(crate) faults: Vec<(usize, Fault)>,
}

/// The ids of a shard's rows.
pub(crate) enum RowIds {
    Named(Vec<SampleId>),
    /// The same, and which of them stand for a key or another name that is no id by itself: such
    /// names may begin anew in every shard.
    Keyed(Vec<SampleId>, Vec<bool>),
    /// So many rows without names, which are known by their number in the pool.
    Numbered(usize),
}

impl Default for RowIds {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl RowIds {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Named(ids) | Self::Keyed(ids, _) => ids.len(),
            Self::Numbered(rows) => *rows,
        }
    }
}

/// Names of rows as they are read.
pub(crate) struct Names<'a> {
    pub(crate) file: &'a Path,
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
    /// Which rows are known by a key; as long as `ids`, or shorter where none follows.
    keyed: Vec<bool>,
    origins: IdOrigins,
}

impl<'a> Names<'a> {
    pub(crate) fn of(file: &'a Path) -> Self {
        Self {
            file,
            ids: Vec::new(),
            faults: Vec::new(),
            keyed: Vec::new(),
            origins: IdOrigins::default(),
        }
    }

    /// A `uid` is an id; another name is one if it has 32 hexadecimal digits, and else hashed.
    pub(crate) fn add(&mut self, column: &str, value: Option<&str>) {
        match value {
            Some(uid) if column == "uid" => self.add_id(uid.parse().ok()),
            Some(key) => self.add_key(key),
            None => self.add_id(None),
        }
    }

    /// A row that is known by a key.
    pub(crate) fn add_key(&mut self, key: &str) {
        let spelled = id_in_key(key);
        self.add_key_id(spelled.unwrap_or_else(|| id_of_text(key)), spelled.is_some());
    }

    /// A row that is known by a key of this id, which the key spells or which is its hash.
    pub(crate) fn add_key_id(&mut self, id: SampleId, spelled: bool) {
        self.origins.key += usize::from(spelled);
        self.origins.hashed += usize::from(!spelled);
        self.keyed.resize(self.ids.len(), false);
        self.keyed.push(true);
        self.ids.push(id);
    }

    /// A row whose record cannot be read, and with it neither id nor caption.
    pub(crate) fn add_bad_record(&mut self) {
        let row = self.ids.len();
        self.faults.push((row, Fault::RecordMalformed));
        self.ids.push(substitute_id(self.file, row));
    }

    /// A row of this id; one without gets an id of its own and a fault.
    pub(crate) fn add_id(&mut self, id: Option<SampleId>) {
        let row = self.ids.len();
        if id.is_none() {
            self.faults.push((row, Fault::MalformedId));
        }
        self.origins.uid += usize::from(id.is_some());
        self.ids.push(id.unwrap_or_else(|| substitute_id(self.file, row)));
    }

    /// The caption of a row; white space alone is none.
    pub(crate) fn caption(&mut self, row: usize, text: Option<&str>) {
        if text.is_none_or(is_blank) {
            self.faults.push((row, Fault::CaptionMissing));
        }
    }

    pub(crate) fn finish(mut self) -> ShardRows {
        self.faults.sort_by_key(|&(row, _)| row);
        let (faults, origins) = (self.faults, self.origins);
        if self.keyed.is_empty() {
            return ShardRows { ids: RowIds::Named(self.ids), origins, faults };
        }
        self.keyed.resize(self.ids.len(), false);
        ShardRows { ids: RowIds::Keyed(self.ids, self.keyed), origins, faults }
    }
}

/// True for a text without anything to read, by what Python's `str.strip` takes away.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}'))
}

/// The caption that a record tells: the first of [`CAPTIONS`] that is text to read.
pub(crate) fn caption_of<'a>(record: &'a Record<'_>) -> Option<&'a str> {
    let texts = CAPTIONS.into_iter().filter_map(|name| record.get(name)?.text());
    texts.into_iter().find(|text| !is_blank(text))
}
