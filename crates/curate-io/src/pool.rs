//! A pool of samples: ids, captions and images on demand, columns and named embeddings.

mod layout;
mod listing;
mod places;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, fault::Fault};
use serde::{Deserialize, Serialize};

use crate::{
    Embedding, IoError, Kind,
    datacomp::DataComp,
    files::Files,
    remote::{self, RemoteOptions, Wanted, is_url},
    vectors::list,
    webdataset::WebDataset,
};

#[cfg(feature = "object-store")]
pub(crate) use layout::{Pattern, layout};
pub(crate) use layout::{detect, shard_files, stem};
pub(crate) use listing::{Listing, ShardIds, ShardRule};

use listing::add_duplicates;
use places::{embedding_beside, embedding_names_beside};

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
        if is_url(path) {
            let remote = RemoteOptions::from_env();
            return Self::open_remote(path, options, Wanted::Embeddings, &remote, progress);
        }
        Self::open_here(path, path, options, &[], progress)
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
        if !is_url(path) {
            return Self::open_here(path, path, options, embeddings, progress);
        }
        let wanted = if embeddings.is_empty() { Wanted::Tables } else { Wanted::Embeddings };
        let remote = RemoteOptions::from_env();
        let here = remote::local_with(path, options.format, wanted, &remote, progress)?;
        Self::open_here(path, &here, options, embeddings, progress)
    }

    /// Opens a pool behind a URL with options of the caller's instead of the environment's.
    ///
    /// # Errors
    /// As [`Pool::open`], and as [`remote::local_with`].
    pub fn open_remote(
        url: &Path,
        options: PoolOptions,
        wanted: Wanted,
        remote: &RemoteOptions,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        let here = remote::local_with(url, options.format, wanted, remote, progress)?;
        Self::open_here(url, &here, options, &[], progress)
    }

    /// Opens what lies `here`, on this machine, under the name that the caller knows it by.
    fn open_here(
        name: &Path,
        path: &Path,
        options: PoolOptions,
        embeddings: &[&str],
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
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
        Ok(Self { path: name.to_owned(), listing, backend })
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

/// An error about a column that a shard lacks.
pub(crate) fn no_column(path: &Path, name: &str, there: &[String]) -> IoError {
    let problem = format!("has no numbers `{name}`; it has {}", list(there));
    IoError::new(Kind::NotFound, path, problem, "name one of those")
}
