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
//! - **URLs** of S3, Google Cloud Storage and HTTP (feature `object-store`, see [`remote`]).
//!
//! A selection is written by [`subset`] in the forms that the next tool reads. Everything is
//! written through [`atomic`]: a file either is there, whole, or is not.
//!
//! Errors name the file, the field, and what to do ([`IoError`]).

pub mod algebra;
pub mod atomic;
pub mod datacomp;
pub mod digest;
pub mod error;
mod files;
#[cfg(feature = "hdf5")]
pub mod hdf5_file;
#[cfg(not(feature = "hdf5"))]
mod hdf5_file;
pub mod npy;
mod parts;
pub mod pool;
pub mod remote;
pub mod reshard;
pub mod sorted;
pub mod subset;
mod subset_writer;
pub mod table;
pub mod vectors;
pub mod webdataset;

pub use error::{IoError, Kind};
pub use parts::parts;
pub use pool::{Format, Pool, PoolOptions, Sample};
pub use subset_writer::SubsetWriter;
pub use vectors::Embedding;
