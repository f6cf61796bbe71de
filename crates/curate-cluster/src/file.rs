//! Centroids on disk, as numpy reads them, or in HDF5.

use std::{
    fs,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use ndarray::{Array2, ArrayView2};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::file_hdf5;

/// Centroids could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}: {remedy}", path.display())]
pub struct CentroidFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

impl CentroidFileError {
    pub(crate) fn not_written(path: &Path, why: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            problem: format!("cannot be written ({why})"),
            remedy: "name a file in a folder that exists, with room and permission to write",
        }
    }
}

/// Writes centroids, one a row, as f32 `[k, d]`: an npy array, or where the name ends in `.h5` or
/// `.hdf5` the dataset `centroids` of an HDF5 file (feature `hdf5`). The file appears whole or not
/// at all.
///
/// # Errors
/// When it cannot be written, or is HDF5 and the feature is off.
pub fn save_centroids(
    path: &Path,
    centroids: ArrayView2<'_, f32>,
) -> Result<(), CentroidFileError> {
    let failed = |e: &dyn std::fmt::Display| CentroidFileError::not_written(path, e);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    if file_hdf5::is_hdf5(path) {
        file_hdf5::write(path, &beside, centroids)?;
        let written = fs::File::open(&beside).and_then(|file| file.sync_all());
        written.map_err(|e| failed(&e))?;
        return fs::rename(&beside, path).map_err(|e| failed(&e));
    }
    let mut out = BufWriter::new(fs::File::create(&beside).map_err(|e| failed(&e))?);
    centroids.write_npy(&mut out).map_err(|e| failed(&e))?;
    out.flush().map_err(|e| failed(&e))?;
    out.get_ref().sync_all().map_err(|e| failed(&e))?;
    fs::rename(&beside, path).map_err(|e| failed(&e))
}

/// Reads centroids that [`save_centroids`], numpy or faiss wrote: an npy array of f32 `[k, d]`, or
/// where the name ends in `.h5` or `.hdf5` the dataset `centroids` of an HDF5 file, or its only
/// dataset of two axes and floats (feature `hdf5`).
///
/// # Errors
/// When the file cannot be read, is no such array, holds a NaN or an infinity, or is HDF5 and the
/// feature is off.
pub fn load_centroids(path: &Path) -> Result<Array2<f32>, CentroidFileError> {
    let failed =
        |problem: String, remedy| CentroidFileError { path: path.to_owned(), problem, remedy };
    let centroids = if file_hdf5::is_hdf5(path) { file_hdf5::read(path)? } else { read_npy(path)? };
    match centroids.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(row) => Err(failed(
            format!("centroid {row} holds a NaN or an infinity"),
            "remove bad rows before clustering and write the centroids again",
        )),
        None => Ok(centroids),
    }
}

fn read_npy(path: &Path) -> Result<Array2<f32>, CentroidFileError> {
    let failed =
        |problem: String, remedy| CentroidFileError { path: path.to_owned(), problem, remedy };
    let file = fs::File::open(path)
        .map_err(|e| failed(format!("cannot be opened ({e})"), "name an npy file that exists"))?;
    Array2::<f32>::read_npy(BufReader::new(file)).map_err(|e| {
        failed(
            format!("holds no centroids ({e})"),
            "write it with numpy.save as a float32 array of shape [k, d]",
        )
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn centroids_come_back_and_the_bytes_are_numpys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("centroids.npy");
        let centroids = array![[1.0, -0.5], [f32::MIN_POSITIVE, 3.25], [0.0, 7.0]];
        save_centroids(&path, centroids.t().t()).unwrap();
        assert_eq!(load_centroids(&path).unwrap(), centroids);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        assert!(bytes.ends_with(&7.0_f32.to_le_bytes()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        // A transposed view is written by its rows.
        save_centroids(&path, centroids.t()).unwrap();
        assert_eq!(load_centroids(&path).unwrap(), centroids.t());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.npy");
        let complaint = || load_centroids(&path).unwrap_err().to_string();
        assert!(complaint().contains("cannot be opened"));
        fs::write(&path, b"not numpy").unwrap();
        assert!(complaint().contains("holds no centroids"));
        let doubles = array![[1.0_f64]];
        doubles.write_npy(fs::File::create(&path).unwrap()).unwrap();
        assert!(complaint().contains("float32"));
        save_centroids(&path, array![[1.0], [f32::NAN]].view()).unwrap();
        assert!(complaint().contains("centroid 1 holds a NaN"));
        let nowhere = folder.path().join("no/c.npy");
        let error = save_centroids(&nowhere, array![[1.0]].view()).unwrap_err().to_string();
        assert!(error.contains("folder that exists"), "{error}");
    }
}
