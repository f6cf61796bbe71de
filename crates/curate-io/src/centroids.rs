//! Centroids of a clustering in a file: npy, or HDF5 with the feature `hdf5`.
//!
//! ```
//! use curate_io::centroids;
//! use ndarray::array;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("centroids.npy");
//! centroids::save(&path, array![[1.0, 0.0], [0.6, 0.8]].view())?;
//! assert_eq!(centroids::load(&path)?.row(1).to_vec(), [0.6, 0.8]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;

use ndarray::{Array2, ArrayView2};

use crate::{
    error::{IoError, Kind},
    hdf5_file,
    npy::{self, Precision},
};

/// Writes centroids, one per row, as f32 `[k, d]`: an npy array, or where the name ends in `.h5` or
/// `.hdf5` the dataset `centroids` of an HDF5 file (feature `hdf5`). The file appears whole or not
/// at all.
///
/// # Errors
/// When its folder does not exist, it cannot be written, or it is HDF5 and the feature is off.
pub fn save(path: &Path, centroids: ArrayView2<'_, f32>) -> Result<(), IoError> {
    // Other writers make the folder: they fill one that the caller chose for a purpose. Here a slip of
    // the pen in a single file's name would.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        let problem = "cannot be written: its folder does not exist";
        return Err(IoError::new(Kind::NotFound, path, problem, "name a folder that exists"));
    }
    if is_hdf5(path) {
        hdf5_file::write_centroids(path, centroids)
    } else {
        npy::write(path, centroids, Precision::F32)
    }
}

/// Reads centroids that [`save`], numpy or faiss wrote: an npy array of f32 `[k, d]`, or where the
/// name ends in `.h5` or `.hdf5` the dataset `centroids` of an HDF5 file, or its only dataset of two
/// axes and floats (feature `hdf5`).
///
/// # Errors
/// When the file cannot be read, is not such an array, holds a NaN or an infinity, or is HDF5 and the
/// feature is off.
pub fn load(path: &Path) -> Result<Array2<f32>, IoError> {
    let centroids =
        if is_hdf5(path) { hdf5_file::read_centroids(path)? } else { npy::read_f32(path)? };
    match centroids.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(row) => {
            let problem = format!("centroid {row} holds a NaN or an infinity");
            let remedy = "remove bad rows before clustering and write the centroids again";
            Err(IoError::new(Kind::Malformed, path, problem, remedy))
        }
        None => Ok(centroids),
    }
}

/// True for the endings of HDF5 files.
fn is_hdf5(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["h5", "hdf5", "hdf"].iter().any(|known| ending == *known)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ndarray::array;

    use super::*;

    #[test]
    fn centroids_come_back_and_the_bytes_are_numpys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("centroids.npy");
        let centroids = array![[1.0, -0.5], [f32::MIN_POSITIVE, 3.25], [0.0, 7.0]];
        save(&path, centroids.t().t()).unwrap();
        assert_eq!(load(&path).unwrap(), centroids);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        assert!(bytes.ends_with(&7.0_f32.to_le_bytes()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        // A transposed view is written by its rows.
        save(&path, centroids.t()).unwrap();
        assert_eq!(load(&path).unwrap(), centroids.t());
    }

    #[test]
    fn arrays_that_numpy_saved_in_fortran_order_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.npy");
        let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        let mut bytes = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat();
        bytes.extend([1.0_f32, 4.0, 2.0, 5.0, 3.0, 6.0].iter().flat_map(|x| x.to_le_bytes()));
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&path).unwrap(), array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&path).unwrap_err().kind, Kind::Truncated);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.npy");
        let complaint = || load(&path).unwrap_err().to_string();
        assert!(complaint().contains("c.npy: does not exist"), "{}", complaint());
        fs::write(&path, b"not numpy").unwrap();
        assert!(complaint().contains("is not an npy array"), "{}", complaint());
        let complex = [npy::header_bytes("'<c8'", &[1, 1]), vec![0; 8]].concat();
        fs::write(&path, complex).unwrap();
        assert!(complaint().contains("the element type '<c8', not of numbers"), "{}", complaint());
        let doubles = [npy::header_bytes("'>f8'", &[1, 1]), 0.1_f64.to_be_bytes().into()].concat();
        fs::write(&path, doubles).unwrap();
        assert_eq!(load(&path).unwrap(), array![[0.1]]);
        save(&path, array![[1.0], [f32::NAN]].view()).unwrap();
        assert!(complaint().contains("centroid 1 holds a NaN"));
        let nowhere = folder.path().join("no/c.npy");
        let error = save(&nowhere, array![[1.0]].view()).unwrap_err().to_string();
        assert!(error.contains("folder that exists"), "{error}");
    }

    #[test]
    fn endings_are_known_in_any_case() {
        for (name, yes) in [("a.h5", true), ("a.HDF5", true), ("a.npy", false), ("h5", false)] {
            assert_eq!(is_hdf5(Path::new(name)), yes, "{name}");
        }
    }

    #[cfg(not(feature = "hdf5"))]
    #[test]
    fn without_the_library_the_feature_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("centroids.h5");
        for error in [save(&path, array![[1.0]].view()).unwrap_err(), load(&path).unwrap_err()] {
            assert!(error.to_string().contains("--features hdf5"), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[cfg(feature = "hdf5")]
    #[test]
    fn centroids_come_back_from_hdf5() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("centroids.h5");
        let centroids = array![[1.0, -0.5], [f32::MIN_POSITIVE, 3.25], [0.0, 7.0]];
        for view in [centroids.view(), centroids.t()] {
            save(&path, view).unwrap();
            assert_eq!(load(&path).unwrap(), view);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
    }

    #[cfg(feature = "hdf5")]
    #[test]
    fn other_peoples_files_are_read_or_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.hdf5");
        let write = |names: &[&str]| {
            let file = hdf5::File::create(&path).unwrap();
            for name in names {
                let doubles = array![[1.0_f64, 2.0], [3.0, 4.0]];
                file.new_dataset_builder().with_data(&doubles).create(*name).unwrap();
            }
            let counts = file.new_dataset_builder().with_data(&[1_i32, 2]).create("counts");
            counts.unwrap();
        };
        write(&["means"]);
        assert_eq!(load(&path).unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
        write(&["means", "centroids"]);
        assert!(load(&path).is_ok());
        let complaint = || load(&path).unwrap_err().to_string();
        write(&["means", "others"]);
        assert!(complaint().contains("2 datasets of vectors and no `centroids`"));
        write(&[]);
        assert!(complaint().contains("0 datasets of vectors"), "{}", complaint());
        fs::write(&path, b"not HDF5").unwrap();
        assert!(complaint().contains("the HDF5 file cannot be read"), "{}", complaint());
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset::<f32>().chunk((1, 8)).shape((1 << 40, 8)).create("centroids").unwrap();
        file.close().unwrap();
        assert!(complaint().contains("`centroids` promises"), "{}", complaint());
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset::<f32>().shape((1 << 30, 8)).create("centroids").unwrap();
        file.close().unwrap();
        assert!(complaint().contains("`centroids` promises"), "{}", complaint());
        save(&path, array![[1.0], [f32::NAN]].view()).unwrap();
        assert!(complaint().contains("centroid 1 holds a NaN"));
        let nowhere = folder.path().join("no/c.h5");
        let error = save(&nowhere, array![[1.0]].view()).unwrap_err().to_string();
        assert!(error.contains("folder that exists"), "{error}");
        fs::remove_file(&path).unwrap();
        assert!(complaint().contains("does not exist"));
    }

    #[cfg(feature = "hdf5")]
    #[test]
    fn no_changed_byte_is_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.h5");
        save(&path, array![[1.0, 2.0], [3.0, 4.0]].view()).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            fs::write(&path, changed).unwrap();
            if let Err(e) = load(&path) {
                assert!(e.to_string().contains("c.h5"), "byte {at}: {e}");
                refused += 1;
            }
        }
        assert!(refused > 50, "only {refused} changes were noticed");
    }
}
