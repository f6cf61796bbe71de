//! Stands in for libhdf5 where it is not linked: every call says so.

use std::path::Path;

use curate_core::{SampleId, ScoreColumn};
use ndarray::{Array2, ArrayView2};

use crate::{
    error::{IoError, Kind},
    vectors::StoredArray,
};

fn refused<T>(path: &Path) -> Result<T, IoError> {
    let problem = "is an HDF5 file, and this program was built without libhdf5";
    let remedy = "install libhdf5 and build with `--features hdf5`, or convert the file to npy";
    Err(IoError::new(Kind::Unsupported, path, problem, remedy))
}

pub(crate) fn rows(path: &Path) -> Result<usize, IoError> {
    refused(path)
}

pub(crate) fn text(path: &Path, _: &str, _: usize) -> Result<Option<Vec<Option<String>>>, IoError> {
    refused(path)
}

pub(crate) fn numeric_columns(path: &Path) -> Result<Vec<String>, IoError> {
    refused(path)
}

pub(crate) fn column(path: &Path, _: &str, _: usize) -> Result<Option<ScoreColumn>, IoError> {
    refused(path)
}

pub(crate) fn embedding_names(path: &Path, _: usize) -> Result<Vec<String>, IoError> {
    refused(path)
}

pub(crate) fn embedding(path: &Path, _: &str) -> Result<StoredArray, IoError> {
    refused(path)
}

pub(crate) fn read_ids(path: &Path) -> Result<Vec<Option<String>>, IoError> {
    refused(path)
}

pub(crate) fn write_ids(path: &Path, _: &[SampleId]) -> Result<(), IoError> {
    refused(path)
}

pub(crate) fn read_centroids(path: &Path) -> Result<Array2<f32>, IoError> {
    refused(path)
}

pub(crate) fn write_centroids(path: &Path, _: ArrayView2<'_, f32>) -> Result<(), IoError> {
    refused(path)
}
