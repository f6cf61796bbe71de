//! HDF5 files: groups, chunked and compressed datasets, ann-benchmarks' `train` and `test`.
//!
//! The feature `hdf5` links the system's libhdf5. Without it every call is an error that says so.
//!
//! A dataset of two axes and floats is an embedding, known by its path (`train`, `clip/image`). The
//! rows of the file are those of its dataset `uid` or `key`; without one, those of `train`; without
//! that, those of its embeddings, which must agree then. A dataset of one axis and numbers is a
//! column, one of text a field.
//!
//! Values that lie in other files are refused, and so are datasets that promise more than is stored.
//! The lengths of texts of variable length are libhdf5's to check, and not all versions do: a damaged
//! file with such texts can end the program. Texts of fixed length are safe.

#[cfg(feature = "hdf5")]
mod datasets;
#[cfg(feature = "hdf5")]
mod read;
#[cfg(not(feature = "hdf5"))]
mod without;
#[cfg(feature = "hdf5")]
mod write;

#[cfg(feature = "hdf5")]
pub(crate) use read::{
    column, embedding, embedding_names, numeric_columns, read_centroids, read_ids, rows, text,
};
#[cfg(not(feature = "hdf5"))]
pub(crate) use without::*;
#[cfg(feature = "hdf5")]
pub use write::write_embedding;
#[cfg(feature = "hdf5")]
pub(crate) use write::{write_centroids, write_ids};
