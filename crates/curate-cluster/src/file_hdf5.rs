//! Centroids in HDF5 files. The feature `hdf5` links the system's libhdf5; without it every call is
//! an error that says so.

use std::path::Path;

use ndarray::{Array2, ArrayView2};

use crate::CentroidFileError;

/// The dataset that centroids are written to.
#[cfg(feature = "hdf5")]
const DATASET: &str = "centroids";

/// True for the endings of HDF5 files.
pub(crate) fn is_hdf5(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["h5", "hdf5", "hdf"].iter().any(|known| ending == *known)
}

#[cfg(not(feature = "hdf5"))]
fn refused<T>(path: &Path) -> Result<T, CentroidFileError> {
    Err(CentroidFileError {
        path: path.to_owned(),
        problem: "is an HDF5 file, and this program was built without libhdf5".to_owned(),
        remedy: "install libhdf5 and build with `--features hdf5`, or name an npy file",
    })
}

#[cfg(not(feature = "hdf5"))]
pub(crate) fn write(
    path: &Path,
    _: &Path,
    _: ArrayView2<'_, f32>,
) -> Result<(), CentroidFileError> {
    refused(path)
}

#[cfg(not(feature = "hdf5"))]
pub(crate) fn read(path: &Path) -> Result<Array2<f32>, CentroidFileError> {
    refused(path)
}

/// Writes to `beside`; errors name `path`, the file that it becomes.
#[cfg(feature = "hdf5")]
pub(crate) fn write(
    path: &Path,
    beside: &Path,
    centroids: ArrayView2<'_, f32>,
) -> Result<(), CentroidFileError> {
    let written = hdf5::File::create(beside).and_then(|file| {
        let centroids = centroids.as_standard_layout();
        file.new_dataset_builder().with_data(&centroids).create(DATASET)?;
        file.close()
    });
    written.map_err(|e| CentroidFileError::not_written(path, first_line(&e)))
}

/// Reads the dataset `centroids`, or the only one of two axes and floats.
#[cfg(feature = "hdf5")]
pub(crate) fn read(path: &Path) -> Result<Array2<f32>, CentroidFileError> {
    let failed =
        |problem: String, remedy| CentroidFileError { path: path.to_owned(), problem, remedy };
    std::fs::File::open(path)
        .map_err(|e| failed(format!("cannot be opened ({e})"), "name a file that exists"))?;
    let remedy = "write them as a float32 dataset `centroids` of shape [k, d]";
    let unread =
        |e: hdf5::Error| failed(format!("holds no centroids ({})", first_line(&e)), remedy);
    let file = hdf5::File::open(path).map_err(unread)?;
    let tables: Vec<hdf5::Dataset> =
        file.datasets().map_err(unread)?.into_iter().filter(is_table).collect();
    let named = tables.iter().position(|table| table.name() == format!("/{DATASET}"));
    let table = match (named, tables.as_slice()) {
        (Some(named), all) => &all[named],
        (None, [only]) => only,
        (None, all) => {
            let problem = format!("has {} datasets of vectors and no `{DATASET}`", all.len());
            return Err(failed(problem, remedy));
        }
    };
    if !is_stored(table) {
        let problem = format!("promises {:?} numbers that are not there", table.shape());
        return Err(failed(problem, "write the file again"));
    }
    table.read_2d::<f32>().map_err(unread)
}

#[cfg(feature = "hdf5")]
fn is_table(dataset: &hdf5::Dataset) -> bool {
    let kind = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
    dataset.ndim() == 2 && matches!(kind, Ok(hdf5::types::TypeDescriptor::Float(_)))
}

/// Whether the file can hold what the shape says. The library copies that much from a dataset that
/// lies in the file as it is, whatever is stored, and unpacks whole chunks of another, which become at
/// most about a thousand times larger.
#[cfg(feature = "hdf5")]
fn is_stored(dataset: &hdf5::Dataset) -> bool {
    let stored = dataset.storage_size();
    let size = dataset.dtype().map_or(8, |dtype| dtype.size() as u64);
    let bytes = |axes: &[usize]| axes.iter().try_fold(size, |n, &axis| n.checked_mul(axis as u64));
    let most = stored.saturating_mul(2048).saturating_add(1 << 20);
    let fits = |axes: &[usize]| bytes(axes).is_some_and(|bytes| bytes <= most);
    match dataset.chunk() {
        None => bytes(&dataset.shape()) == Some(stored),
        Some(chunk) => fits(&dataset.shape()) && fits(&chunk),
    }
}

/// The library's own text names its source files in the lines below.
#[cfg(feature = "hdf5")]
fn first_line(error: &hdf5::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{load_centroids, save_centroids};

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
        let errors = [
            save_centroids(&path, array![[1.0]].view()).unwrap_err(),
            load_centroids(&path).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("--features hdf5"), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[cfg(feature = "hdf5")]
    #[test]
    fn centroids_come_back_from_hdf5() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("centroids.h5");
        let centroids = array![[1.0, -0.5], [f32::MIN_POSITIVE, 3.25], [0.0, 7.0]];
        for view in [centroids.view(), centroids.t()] {
            save_centroids(&path, view).unwrap();
            assert_eq!(load_centroids(&path).unwrap(), view);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
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
        assert_eq!(load_centroids(&path).unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
        write(&["means", "centroids"]);
        assert!(load_centroids(&path).is_ok());
        let complaint = || load_centroids(&path).unwrap_err().to_string();
        write(&["means", "others"]);
        assert!(complaint().contains("2 datasets of vectors and no `centroids`"));
        write(&[]);
        assert!(complaint().contains("0 datasets of vectors"), "{}", complaint());
        std::fs::write(&path, b"not HDF5").unwrap();
        assert!(complaint().contains("holds no centroids"), "{}", complaint());
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset::<f32>().chunk((1, 8)).shape((1 << 40, 8)).create("centroids").unwrap();
        file.close().unwrap();
        assert!(complaint().contains("not there"), "{}", complaint());
        save_centroids(&path, array![[1.0], [f32::NAN]].view()).unwrap();
        assert!(complaint().contains("centroid 1 holds a NaN"));
        let nowhere = folder.path().join("no/c.h5");
        let error = save_centroids(&nowhere, array![[1.0]].view()).unwrap_err().to_string();
        assert!(error.contains("folder that exists"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(complaint().contains("cannot be opened"));
    }

    #[cfg(feature = "hdf5")]
    #[test]
    fn no_changed_byte_is_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.h5");
        save_centroids(&path, array![[1.0, 2.0], [3.0, 4.0]].view()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            std::fs::write(&path, changed).unwrap();
            if let Err(e) = load_centroids(&path) {
                assert!(e.to_string().contains("c.h5"), "byte {at}: {e}");
                refused += 1;
            }
        }
        assert!(refused > 50, "only {refused} changes were noticed");
    }
}
