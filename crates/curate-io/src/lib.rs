//! Pools and selections on disk, in the layouts that the field uses.
//!
//! One type reads them all: [`Pool`] is a table of samples with ids, captions, images on demand, columns
//! and named embeddings, and says which rows cannot be used. Pools larger than memory are fine.
//!
//! ```
//! use curate_core::{EmbeddingSource, NoProgress};
//! use curate_io::{Pool, PoolOptions, npy::{self, Precision}};
//! use ndarray::array;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("vectors.npy");
//! npy::write(&path, array![[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]].view(), Precision::F32)?;
//!
//! let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
//! let vectors = pool.embedding("embedding")?;
//! let mut last = [0.0; 2];
//! vectors.read(2..3, &mut last)?;
//! assert_eq!((pool.len(), last), (3, [0.6, 0.8]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layouts
//! | [`Format`] | files | embeddings |
//! |---|---|---|
//! | `Datacomp` | `metadata/NAME.parquet`, and `shards/*.tar` where the images were downloaded | `NAME.npz` beside, or columns of vectors |
//! | `Webdataset` | tar files of `KEY.png`, `KEY.txt`, `KEY.json` | `NAME.npz` beside each shard |
//! | `ClipRetrieval` | `metadata/metadata_0.parquet` | `img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy` |
//! | `Jsonl` | `NAME.jsonl` | `NAME.npz` or `NAME.npy` beside |
//! | `Npy` | `*.npy` | the files themselves |
//! | `Hdf5` | `.h5`, `.hdf5` (feature `hdf5`) | datasets of two axes |
//!
//! Any of them may lie behind a [`url`] of S3, Google Cloud Storage or HTTP (feature `object-store`):
//! what is needed is fetched into a bounded cache first. `examples/` has a reader of each layout.
//!
//! # Selections and other files
//! [`subset`] writes and reads ids in six forms, [`SubsetWriter`] those too many to hold, [`algebra`]
//! combines them, [`sorted`] asks one on disk how often it holds an id, and [`reshard`](mod@reshard)
//! copies their samples into new WebDataset shards. [`npy`], [`npz`], [`centroids`] and [`table`] write
//! arrays and tables; all go through [`atomic`]: a file either is there, whole, or is not.
//!
//! # Cost
//! Opening a pool reads the ids of all rows, shards in parallel, and keeps 16 bytes per row; a tar shard
//! also keeps the list of its members while it is open ([`pieces`] opens one shard at a time). A column
//! is one pass over it, 4 bytes per row. Embeddings that lie in their file as they are cost nothing to
//! open and are read where they lie; deflated npz members, Parquet columns and chunked HDF5 datasets are
//! unpacked into a temporary file at the first [`Pool::embedding`] and stay until the pool is dropped.
//! Every shard's file of an embedding stays open: thousands of shards need `ulimit -n` to allow it.
//!
//! # Features
//! - `hdf5`: HDF5 files as pools, subsets and centroids; links the system's libhdf5.
//! - `object-store`: pools behind URLs; brings TLS.
//! - `schema`: JSON Schema of the types that recipes use.
//!
//! # When not to use it
//! For queries over columns (joins, filters, groups) use an engine that reads Parquet, and give the ids
//! it answers to [`subset`]. For decoded images see `curate-dfn`: here their bytes are handed out as they
//! lie. Pools that grow while they are read are refused: rows are counted once.
//!
//! Errors name the file, the field and what to do ([`IoError`]).

pub mod algebra;
mod arrays_beside;
pub mod atomic;
pub mod centroids;
mod checksum;
pub mod digest;
pub mod error;
pub mod files;
#[cfg(feature = "hdf5")]
pub mod hdf5_file;
#[cfg(not(feature = "hdf5"))]
mod hdf5_file;
pub mod ids;
pub mod json_lines;
mod layout;
mod layouts;
mod lazy_shard;
mod listing;
pub mod lock;
pub mod manifest;
pub mod npy;
pub mod npz;
mod pattern;
pub mod pool;
mod positioned;
mod repeats;
pub mod reshard;
pub mod restarts;
mod shard;
mod shard_files;
pub mod sorted;
mod spool;
pub mod stamp;
pub mod subset;
mod subset_writer;
pub mod table;
mod tar_samples;
pub mod url;
pub mod vectors;
pub mod verify;
pub mod watched;

pub use error::{IoError, Kind};
pub use layouts::{datacomp, pieces};
pub use pool::{Format, Pool, PoolOptions, Sample};
pub use shard_files::{passed_over, shard_names};
pub use subset_writer::SubsetWriter;
pub use vectors::Embedding;
