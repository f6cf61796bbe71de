//! What a pool, a selection or a clustering is asked for.

use std::{ops::Range, path::Path};

use curate_core::{BLOCK_ROWS, ScoreColumn};
use hdf5::{
    Dataset,
    types::{FixedAscii, FloatSize, TypeDescriptor, VarLenAscii, VarLenUnicode},
};
use ndarray::Array2;

use super::datasets::{
    CENTROIDS, blocks, dataset, datasets, descriptor, failed, is_embedding, is_number, open,
};
use crate::{
    error::{IoError, Kind},
    npy::Dtype,
    spool::Spool,
    vectors::{StoredArray, list},
};

/// Values of a column that are read at once.
const AT_ONCE: usize = 65_536;

/// Texts that are read at once, each with room for the longest of fixed length.
const TEXTS_AT_ONCE: usize = 4096;

/// Numbers of vectors that are read at once.
const NUMBERS_AT_ONCE: usize = 1 << 22;

/// The longest text of fixed length.
const LONGEST_FIXED: usize = 1024;

/// Rows of the pool.
pub(crate) fn rows(path: &Path) -> Result<usize, IoError> {
    let file = open(path)?;
    for name in ["uid", "key", "train"] {
        if let Some(dataset) = dataset(path, &file, name)? {
            return Ok(dataset.shape().first().copied().unwrap_or(0));
        }
    }
    let all = datasets(path, &file)?;
    let tables: Vec<(&str, usize)> = all
        .iter()
        .filter(|(_, dataset)| is_embedding(dataset))
        .map(|(name, dataset)| (name.as_str(), dataset.shape()[0]))
        .collect();
    let Some(&(_, rows)) = tables.first() else {
        let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
        let problem = format!("has no dataset of vectors; it has {}", list(&names));
        let remedy = "a dataset of vectors has two axes and holds floats";
        return Err(IoError::new(Kind::NotFound, path, problem, remedy));
    };
    match tables.iter().find(|&&(_, other)| other != rows) {
        None => Ok(rows),
        Some((name, other)) => {
            let problem = format!(
                "has {rows} rows in `{}` and {other} in `{name}`, and none of `uid`, `key`, \
                 `train`",
                tables[0].0
            );
            Err(IoError::new(Kind::Disagree, path, problem, "add a dataset `uid`"))
        }
    }
}

/// A dataset of text; `None` where there is none.
pub(crate) fn text(
    path: &Path,
    name: &str,
    rows: usize,
) -> Result<Option<Vec<Option<String>>>, IoError> {
    let file = open(path)?;
    let Some(dataset) = dataset(path, &file, name)? else { return Ok(None) };
    if dataset.shape() != [rows] {
        return Ok(None);
    }
    let what = format!("dataset `{name}`");
    let kind = descriptor(&dataset);
    let mut values = Vec::new();
    for range in blocks(rows, TEXTS_AT_ONCE) {
        let read = match &kind {
            Some(TypeDescriptor::VarLenUnicode) => {
                strings(&dataset, range, VarLenUnicode::as_bytes)
            }
            Some(TypeDescriptor::VarLenAscii) => strings(&dataset, range, VarLenAscii::as_bytes),
            Some(TypeDescriptor::FixedAscii(n) | TypeDescriptor::FixedUnicode(n))
                if *n <= LONGEST_FIXED =>
            {
                strings(&dataset, range, FixedAscii::<LONGEST_FIXED>::as_bytes)
            }
            _ => return Ok(None),
        };
        values.extend(read.map_err(|e| failed(path, &what, &e))?);
    }
    Ok(Some(values))
}

/// Texts; `None` where the bytes are none. The library's own conversion to `str` trusts the file.
fn strings<T: hdf5::H5Type>(
    dataset: &Dataset,
    rows: Range<usize>,
    bytes: impl Fn(&T) -> &[u8],
) -> hdf5::Result<Vec<Option<String>>> {
    let texts = dataset.read_slice_1d::<T, _>(rows)?;
    Ok(texts.iter().map(|text| String::from_utf8(bytes(text).to_vec()).ok()).collect())
}

/// The datasets of one axis and numbers.
pub(crate) fn numeric_columns(path: &Path) -> Result<Vec<String>, IoError> {
    let rows = rows(path)?;
    let file = open(path)?;
    let all = datasets(path, &file)?;
    let fits = |dataset: &Dataset| is_number(dataset) && dataset.shape() == [rows];
    Ok(all.into_iter().filter(|(_, d)| fits(d)).map(|(name, _)| name).collect())
}

/// A dataset of numbers; `None` where there is none of so many rows.
pub(crate) fn column(path: &Path, name: &str, rows: usize) -> Result<Option<ScoreColumn>, IoError> {
    let file = open(path)?;
    let found = dataset(path, &file, name)?;
    let Some(dataset) = found.filter(|d| is_number(d) && d.shape() == [rows]) else {
        return Ok(None);
    };
    let double = matches!(
        descriptor(&dataset),
        Some(
            TypeDescriptor::Float(FloatSize::U8)
                | TypeDescriptor::Integer(_)
                | TypeDescriptor::Unsigned(_)
        )
    );
    Ok(Some(match double {
        true => numbers::<f64>(path, name, &dataset, rows)?.into(),
        false => numbers::<f32>(path, name, &dataset, rows)?.into(),
    }))
}

fn numbers<T: hdf5::H5Type>(
    path: &Path,
    name: &str,
    dataset: &Dataset,
    rows: usize,
) -> Result<Vec<T>, IoError> {
    let mut values = Vec::with_capacity(rows);
    for range in blocks(rows, AT_ONCE) {
        let read = dataset.read_slice_1d::<T, _>(range);
        values.extend(read.map_err(|e| failed(path, &format!("dataset `{name}`"), &e))?);
    }
    Ok(values)
}

/// The datasets of vectors, one for each of so many rows.
pub(crate) fn embedding_names(path: &Path, rows: usize) -> Result<Vec<String>, IoError> {
    let file = open(path)?;
    let all = datasets(path, &file)?;
    let fits = |dataset: &Dataset| is_embedding(dataset) && dataset.shape()[0] == rows;
    Ok(all.into_iter().filter(|(_, d)| fits(d)).map(|(name, _)| name).collect())
}

/// A dataset of vectors. One that lies in the file as it is, is read there; a chunked or
/// compressed one is unpacked into a temporary file.
pub(crate) fn embedding(path: &Path, name: &str) -> Result<StoredArray, IoError> {
    let file = open(path)?;
    let what = format!("dataset `{name}`");
    let found = dataset(path, &file, name)?.filter(is_embedding).ok_or_else(|| {
        IoError::new(Kind::NotFound, path, format!("has no vectors `{name}`"), "check the name")
    })?;
    let failed = |e| failed(path, &what, &e);
    let (rows, dim) = (found.shape()[0], found.shape()[1]);
    let little =
        found.dtype().map_err(failed)?.byte_order() == hdf5::datatype::ByteOrder::LittleEndian;
    if let (true, Some(offset)) = (little, found.offset()) {
        let dtype = match descriptor(&found) {
            Some(TypeDescriptor::Float(FloatSize::U2)) => Dtype::F16,
            Some(TypeDescriptor::Float(FloatSize::U8)) => Dtype::F64,
            _ => Dtype::F32,
        };
        return StoredArray::in_place(path, offset, dtype, [rows, dim], &what);
    }
    let mut spool = Spool::new()?;
    for range in blocks(rows, BLOCK_ROWS.min(NUMBERS_AT_ONCE / dim.max(1))) {
        let block = found.read_slice_2d::<f32, _>((range, ..)).map_err(failed)?;
        for row in block.rows() {
            spool.push(path, &what, row.as_slice())?;
        }
    }
    spool.finish(path, &what)
}

/// The dataset `uid` of a selection.
pub(crate) fn read_ids(path: &Path) -> Result<Vec<Option<String>>, IoError> {
    let file = open(path)?;
    let rows = dataset(path, &file, "uid")?.map_or(0, |d| d.size());
    text(path, "uid", rows)?.ok_or_else(|| {
        IoError::new(Kind::NotFound, path, "has no dataset `uid` of text", "check the file")
    })
}

/// The dataset `centroids`, or the only one of two axes and floats.
pub(crate) fn read_centroids(path: &Path) -> Result<Array2<f32>, IoError> {
    let file = open(path)?;
    let all = datasets(path, &file)?;
    let mut tables: Vec<(String, Dataset)> =
        all.into_iter().filter(|(_, dataset)| is_embedding(dataset)).collect();
    let (name, table) = match tables.iter().position(|(name, _)| name == CENTROIDS) {
        Some(named) => tables.swap_remove(named),
        None if tables.len() == 1 => tables.swap_remove(0),
        None => {
            let problem = format!("has {} datasets of vectors and no `{CENTROIDS}`", tables.len());
            let remedy = "write them as a float32 dataset `centroids` of shape [k, d]";
            return Err(IoError::new(Kind::Malformed, path, problem, remedy));
        }
    };
    table.read_2d::<f32>().map_err(|e| failed(path, &format!("dataset `{name}`"), &e))
}
