//! Pools and selections on disk.
//!
//! A [`Pool`] is a table of samples with ids, captions, images on demand, columns and named
//! embeddings, read from
//! - **DataComp's layout**: `metadata/NAME.parquet` beside `NAME.npz`, and `shards/*.tar` where the
//!   images were downloaded;
//! - **WebDataset shards**: tar files of `KEY.png`, `KEY.txt`, `KEY.json`, with embeddings in an
//!   npz file beside each shard;
//! - **Parquet** with columns of vectors, **JSON lines** and bare **npy** files;
//! - **clip-retrieval's folders**: `img_emb/img_emb_0.npy`, `metadata/metadata_0.parquet`;
//! - **HDF5** (feature `hdf5`, which needs the system's libhdf5);
//! - **URLs** of S3, Google Cloud Storage and HTTP (feature `object-store`, see [`url`]).
//!
//! A selection is written by [`subset`] in the forms that the next tool reads. Everything is
//! written through [`atomic`]: a file either is there, whole, or is not.
//!
//! Errors name the file, the field, and what to do ([`IoError`]).

pub mod algebra;
mod arrays_beside;
pub mod atomic;
pub mod digest;
pub mod error;
#[cfg(feature = "hdf5")]
pub mod hdf5_file;
#[cfg(not(feature = "hdf5"))]
mod hdf5_file;
pub mod ids;
mod layout;
mod layouts;
mod listing;
pub mod npy;
pub mod npz;
pub mod pool;
mod positioned;
pub mod reshard;
mod shard;
mod shard_files;
pub mod sorted;
mod spool;
pub mod subset;
mod subset_writer;
pub mod table;
mod tar_samples;
pub mod url;
pub mod vectors;

pub use error::{IoError, Kind};
pub use layouts::{datacomp, pieces};
pub use pool::{Format, Pool, PoolOptions, Sample};
pub use subset_writer::SubsetWriter;
pub use vectors::Embedding;
