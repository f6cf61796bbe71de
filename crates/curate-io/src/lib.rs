//! Pools and selections on disk.
//!
//! A [`Pool`] is a table of samples with ids, captions, images on demand, columns and named
//! embeddings, read from
//! - **DataComp's layout**: `metadata/NAME.parquet` beside `NAME.npz`, and `shards/*.tar` where the
//!   images were downloaded;
//! - **WebDataset shards**: tar files of `KEY.png`, `KEY.txt`, `KEY.json`, with embeddings in an
//!   npz file beside each shard.
//!
//! A selection is written by [`subset`] in the forms that the next tool reads. Everything is
//! written through [`atomic`]: a file either is there, whole, or is not.
//!
//! Errors name the file, the field, and what to do ([`IoError`]).

pub mod atomic;
pub mod datacomp;
pub mod digest;
pub mod error;
pub mod npy;
pub mod pool;
pub mod reshard;
pub mod sorted;
pub mod subset;
pub mod table;
pub mod vectors;
pub mod webdataset;

pub use error::{IoError, Kind};
pub use pool::{Format, Pool, PoolOptions, Sample};
pub use vectors::Embedding;
