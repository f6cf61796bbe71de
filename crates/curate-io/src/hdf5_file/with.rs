//! Reading and writing with libhdf5.

use std::{ops::Range, path::Path};

use curate_core::{BLOCK_ROWS, EmbeddingSource, SampleId, SourceError};
use hdf5::{
    Dataset, File, Group, Location,
    dataset::Layout,
    types::{FixedAscii, FloatSize, TypeDescriptor, VarLenAscii, VarLenUnicode},
};

use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
    npy::Dtype,
    spool::Spool,
    vectors::{StoredArray, list},
};

/// Groups that are looked at.
const MOST_GROUPS: usize = 4096;

/// Values of a column that are read at once.
const AT_ONCE: usize = 65_536;

/// Texts that are read at once, each with room for the longest of fixed length.
const TEXTS_AT_ONCE: usize = 4096;

/// Numbers of vectors that are read at once.
const NUMBERS_AT_ONCE: usize = 1 << 22;

/// Compression makes data at most about a thousand times smaller. A dataset that promises more
/// was never written, or is an attack.
const MOST_INFLATED: u64 = 2048;

/// The longest text of fixed length.
const LONGEST_FIXED: usize = 1024;

fn failed(path: &Path, what: &str, error: &hdf5::Error) -> IoError {
    // The library's own text names its source files.
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    IoError::malformed(path, format!("{what} cannot be read: {first}"))
}

fn open(path: &Path) -> Result<File, IoError> {
    std::fs::File::open(path).map_err(|e| IoError::os(path, "read", e))?;
    File::open(path).map_err(|e| failed(path, "the HDF5 file", &e))
}

fn dataset(path: &Path, file: &File, name: &str) -> Result<Option<Dataset>, IoError> {
    if !file.link_exists(name) {
        return Ok(None);
    }
    let dataset = match file.dataset(name) {
        Ok(dataset) => dataset,
        Err(_) if file.group(name).is_ok() => return Ok(None),
        Err(e) => return Err(failed(path, &format!("dataset `{name}`"), &e)),
    };
    if is_read(&dataset) {
        check(path, file, name, &dataset)?;
    }
    Ok(Some(dataset))
}

/// Refuses a dataset that the file cannot hold, or that lies in another.
fn check(path: &Path, file: &File, name: &str, dataset: &Dataset) -> Result<(), IoError> {
    refuse_other_files(path, file, name, dataset)?;
    let size = dataset.dtype().map_or(0, |t| t.size() as u64);
    let stored = dataset.storage_size();
    let shape = dataset.shape();
    let wrong = |axes: &[usize]| {
        let problem = format!(
            "dataset `{name}` promises {axes:?} values, and {stored} bytes of them are stored"
        );
        IoError::new(Kind::Truncated, path, problem, "write the file again")
    };
    // The library copies what the shape says, whatever is stored, if anything is.
    let whole = |size| size_of(size, &shape) == Some(stored);
    let chunk = dataset.chunk();
    if chunk.is_none() && stored > 0 && !stored_sizes(dataset, size).into_iter().any(whole) {
        return Err(wrong(&shape));
    }
    // A chunk is unpacked as a whole, however little of it belongs to the dataset.
    let most = stored.saturating_mul(MOST_INFLATED).saturating_add(1 << 20);
    let too_many = |axes: &&Vec<usize>| size_of(size, axes).is_none_or(|bytes| bytes > most);
    match [&shape].into_iter().chain(&chunk).find(too_many) {
        Some(axes) => Err(wrong(axes)),
        None => Ok(()),
    }
}

/// Whether a dataset is of a kind that is read; what is in the others concerns nobody.
fn is_read(dataset: &Dataset) -> bool {
    use TypeDescriptor::{FixedAscii, FixedUnicode, VarLenAscii, VarLenUnicode};
    let text = matches!(
        descriptor(dataset),
        Some(FixedAscii(_) | FixedUnicode(_) | VarLenAscii | VarLenUnicode)
    );
    text || is_embedding(dataset) || is_number(dataset)
}

fn size_of(value: u64, axes: &[usize]) -> Option<u64> {
    axes.iter().try_fold(value, |n, &axis| n.checked_mul(axis as u64))
}

/// The bytes that a value may take in the file. Text of any length is a length, an address of four or
/// eight bytes and a number there; in memory it is a pointer, which is what the library tells.
fn stored_sizes(dataset: &Dataset, size: u64) -> [u64; 2] {
    match descriptor(dataset) {
        Some(TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii) => [16, 12],
        _ => [size; 2],
    }
}

/// Refuses values that lie in files which this file names: they are not the pool's.
fn refuse_other_files(
    path: &Path,
    file: &File,
    name: &str,
    dataset: &Dataset,
) -> Result<(), IoError> {
    let number = |of: &Location| of.loc_info().map(|info| info.fileno).ok();
    let linked = number(dataset) != number(file);
    let apart = dataset.dcpl().and_then(|plist| plist.get_external()).is_ok_and(|e| !e.is_empty());
    // What is left are virtual datasets, which libraries before 1.10 do not know.
    let plain = matches!(dataset.layout(), Layout::Compact | Layout::Contiguous | Layout::Chunked);
    if linked || apart || !plain {
        let problem = format!("dataset `{name}` has its values in another file");
        let remedy = "copy them into this one, for example with h5copy or h5repack";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy));
    }
    Ok(())
}

/// All datasets with their paths, by name.
fn datasets(path: &Path, file: &File) -> Result<Vec<(String, Dataset)>, IoError> {
    let place = |group: &Group| group.loc_info().ok().map(|info| (info.fileno, info.token));
    let mut names = Vec::new();
    let mut groups =
        vec![(String::new(), file.group("/").map_err(|e| failed(path, "the root", &e))?)];
    // Links may lead back to where they come from.
    let mut visited = Vec::new();
    while let Some((prefix, group)) = groups.pop() {
        let here = place(&group);
        if visited.contains(&here) {
            continue;
        }
        visited.push(here);
        if visited.len() > MOST_GROUPS {
            let problem = format!("has more than {MOST_GROUPS} groups");
            return Err(IoError::malformed(path, problem));
        }
        for name in group.member_names().unwrap_or_default() {
            let full = format!("{prefix}{name}");
            if group.dataset(&name).is_ok() {
                names.push(full);
            } else if let Ok(inner) = group.group(&name) {
                groups.push((format!("{full}/"), inner));
            }
        }
    }
    names.sort_unstable();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        if let Some(dataset) = dataset(path, file, &name)? {
            found.push((name, dataset));
        }
    }
    Ok(found)
}

fn descriptor(dataset: &Dataset) -> Option<TypeDescriptor> {
    dataset.dtype().ok()?.to_descriptor().ok()
}

fn is_embedding(dataset: &Dataset) -> bool {
    dataset.ndim() == 2 && matches!(descriptor(dataset), Some(TypeDescriptor::Float(_)))
}

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

fn blocks(rows: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(size.max(1)).map(move |first| first..rows.min(first + size))
}

fn is_number(dataset: &Dataset) -> bool {
    use TypeDescriptor::{Float, Integer, Unsigned};
    let kind = descriptor(dataset);
    dataset.ndim() == 1 && matches!(kind, Some(Float(_) | Integer(_) | Unsigned(_)))
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
pub(crate) fn column(path: &Path, name: &str, rows: usize) -> Result<Option<Vec<f32>>, IoError> {
    let file = open(path)?;
    let found = dataset(path, &file, name)?;
    let Some(dataset) = found.filter(|d| is_number(d) && d.shape() == [rows]) else {
        return Ok(None);
    };
    let mut values = Vec::with_capacity(rows);
    for range in blocks(rows, AT_ONCE) {
        let read = dataset.read_slice_1d::<f32, _>(range);
        values.extend(read.map_err(|e| failed(path, &format!("dataset `{name}`"), &e))?);
    }
    Ok(Some(values))
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

/// Writes ids as the dataset `uid`, text of 32 bytes.
pub(crate) fn write_ids(path: &Path, ids: &[SampleId]) -> Result<(), IoError> {
    let text = |id: &SampleId| FixedAscii::<32>::from_ascii(id.to_string().as_bytes());
    let uids: Vec<FixedAscii<32>> =
        ids.iter().map(|id| text(id).expect("an id has 32 digits")).collect();
    write(path, |file| {
        file.new_dataset_builder().with_data(&uids).create("uid")?;
        Ok(())
    })
}

/// Writes an embedding as the dataset `name` of a new file, float32, contiguous, block by
/// block.
///
/// # Errors
/// When the vectors cannot be read, or the bytes do not reach the disk.
pub fn write_embedding(
    path: &Path,
    name: &str,
    source: &dyn EmbeddingSource,
) -> Result<(), SourceError> {
    let mut read = Ok(());
    write(path, |file| {
        let shape = (source.rows(), source.dim());
        let dataset = file.new_dataset::<f32>().shape(shape).create(name)?;
        for range in blocks(source.rows(), BLOCK_ROWS) {
            let mut block = vec![0.0; range.len() * source.dim()];
            read = source.read(range.clone(), &mut block);
            if read.is_err() {
                return Ok(());
            }
            let block = ndarray::ArrayView2::from_shape((range.len(), source.dim()), &block)
                .expect("as many numbers as cells");
            dataset.write_slice(block, (range, ..))?;
        }
        Ok(())
    })?;
    read
}

fn write(path: &Path, fill: impl FnOnce(&File) -> hdf5::Result<()>) -> Result<(), IoError> {
    let whole = AtomicFile::create(path)?;
    let filled = File::create(whole.path()).and_then(|file| {
        fill(&file)?;
        file.close()
    });
    filled.map_err(|e| {
        let text = e.to_string();
        let first = text.lines().next().unwrap_or_default();
        IoError::new(Kind::Os, path, format!("could not be written: {first}"), "")
    })?;
    whole.commit()
}
