//! Subset files and their algebra.

use std::path::PathBuf;

use curate::{
    core::SampleId,
    io::{
        algebra,
        ids::id_of_key,
        subset::{self, SubsetFormat},
    },
};
use numpy::PyArray1;
use pyo3::{prelude::*, types::PyString};

use crate::{errors::Failure, input::ids::Ids, json, watch::released};

/// Ids as DataComp's subset files hold them: an array of pairs `u8,u8`, the high and the low half.
pub(crate) fn pairs<'py>(
    py: Python<'py>,
    ids: impl Iterator<Item = SampleId>,
) -> PyResult<Bound<'py, PyAny>> {
    let halves = ids.flat_map(|id| {
        let (high, low) = id.halves();
        [high, low]
    });
    PyArray1::from_vec(py, halves.collect()).call_method1("view", ("u8,u8",))
}

/// The ids of an argument: a subset file by its path, or ids in any form.
fn taken(argument: &str, object: &Bound<'_, PyAny>) -> Result<Vec<SampleId>, Failure> {
    if object.is_instance_of::<PyString>() || object.hasattr("__fspath__")? {
        let path: PathBuf = object.extract()?;
        return read_sorted(object.py(), path);
    }
    let mut ids = Ids::read(argument, object)?.ids;
    ids.sort_unstable();
    Ok(ids)
}

fn read_sorted(py: Python<'_>, path: PathBuf) -> Result<Vec<SampleId>, Failure> {
    released(py, move || Ok(subset::read_sorted(&path)?))
}

/// Ids as an array of pairs, from ids in any form: whole numbers, texts, Arrow columns.
#[pyfunction]
pub(crate) fn as_ids<'py>(
    py: Python<'py>,
    ids: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>, Failure> {
    Ok(pairs(py, Ids::read("ids", ids)?.ids.into_iter())?)
}

/// The ids of samples that have keys and no uid, as pools give them: 32 hexadecimal digits are the id, of
/// any other key it is the first 128 bits of its SHA-256.
#[pyfunction]
pub(crate) fn key_ids(py: Python<'_>, keys: Vec<String>) -> PyResult<Bound<'_, PyAny>> {
    pairs(py, keys.iter().map(|key| id_of_key(key)))
}

/// Ids as texts of 32 hexadecimal digits.
#[pyfunction]
pub(crate) fn id_texts(ids: &Bound<'_, PyAny>) -> Result<Vec<String>, Failure> {
    Ok(Ids::read("ids", ids)?.ids.iter().map(ToString::to_string).collect())
}

/// Reads a subset file (`.npy`, `.memmap`, `.parquet`, `.jsonl`, `.txt`): an array of pairs, sorted,
/// repeats included.
#[pyfunction]
pub(crate) fn read_subset(py: Python<'_>, path: PathBuf) -> Result<Bound<'_, PyAny>, Failure> {
    Ok(pairs(py, read_sorted(py, path)?.into_iter())?)
}

/// Writes ids as a subset file, in the form of the path's ending; as the program does.
#[pyfunction]
pub(crate) fn write_subset(
    py: Python<'_>,
    path: PathBuf,
    ids: &Bound<'_, PyAny>,
) -> Result<(), Failure> {
    let format = SubsetFormat::of_path(&path)?;
    let ids = Ids::read("ids", ids)?.ids;
    Ok(py.detach(|| subset::write(&path, format, &ids))?)
}

/// Ids of any of the subsets (paths, or ids in any form). An id gets as many copies as the subset that has
/// most of it; with `copies`, the copies of all together.
#[pyfunction]
#[pyo3(signature = (first, *others, copies = false))]
pub(crate) fn union<'py>(
    py: Python<'py>,
    first: &Bound<'py, PyAny>,
    others: Vec<Bound<'py, PyAny>>,
    copies: bool,
) -> Result<Bound<'py, PyAny>, Failure> {
    combined(py, first, &others, if copies { algebra::sum } else { algebra::union })
}

/// Ids that all subsets have. An id gets as many copies as the subset that has fewest of it.
#[pyfunction]
#[pyo3(signature = (first, *others))]
pub(crate) fn intersect<'py>(
    py: Python<'py>,
    first: &Bound<'py, PyAny>,
    others: Vec<Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>, Failure> {
    combined(py, first, &others, algebra::intersect)
}

/// Ids of the first subset that no other has. One occurrence in another removes every copy; with
/// `copies`, it removes one.
#[pyfunction]
#[pyo3(signature = (first, *others, copies = false))]
pub(crate) fn minus<'py>(
    py: Python<'py>,
    first: &Bound<'py, PyAny>,
    others: Vec<Bound<'py, PyAny>>,
    copies: bool,
) -> Result<Bound<'py, PyAny>, Failure> {
    combined(py, first, &others, if copies { algebra::subtract } else { algebra::minus })
}

fn combined<'py>(
    py: Python<'py>,
    first: &Bound<'py, PyAny>,
    others: &[Bound<'py, PyAny>],
    combine: fn(&[SampleId], &[SampleId]) -> Vec<SampleId>,
) -> Result<Bound<'py, PyAny>, Failure> {
    let mut ids = taken("first", first)?;
    for other in others {
        ids = combine(&ids, &taken("others", other)?);
    }
    Ok(pairs(py, ids.into_iter())?)
}

/// Counts of a subset: `ids`, `distinct`, `repeated`, `most_copies` and the `range` of ids.
#[pyfunction]
pub(crate) fn subset_info<'py>(
    py: Python<'py>,
    subset: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>, Failure> {
    json::to_python(py, &algebra::info(&taken("subset", subset)?))
}
