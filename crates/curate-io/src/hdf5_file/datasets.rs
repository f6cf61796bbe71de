//! The datasets of a file, and which of them can be trusted.

use std::{ops::Range, path::Path};

use hdf5::{Dataset, File, Group, Location, dataset::Layout, types::TypeDescriptor};

use crate::error::{IoError, Kind};

/// The dataset that centroids are written to.
pub(super) const CENTROIDS: &str = "centroids";

/// Groups that are looked at.
const MOST_GROUPS: usize = 4096;

/// Compression makes data at most about a thousand times smaller. A dataset that promises more
/// was never written, or is an attack.
const MOST_INFLATED: u64 = 2048;

pub(super) fn failed(path: &Path, what: &str, error: &hdf5::Error) -> IoError {
    // The library's own text names its source files.
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    IoError::malformed(path, format!("{what} cannot be read: {first}"))
}

pub(super) fn open(path: &Path) -> Result<File, IoError> {
    crate::files::open(path)?;
    File::open(path).map_err(|e| failed(path, "the HDF5 file", &e))
}

pub(super) fn dataset(path: &Path, file: &File, name: &str) -> Result<Option<Dataset>, IoError> {
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
pub(super) fn datasets(path: &Path, file: &File) -> Result<Vec<(String, Dataset)>, IoError> {
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

pub(super) fn descriptor(dataset: &Dataset) -> Option<TypeDescriptor> {
    dataset.dtype().ok()?.to_descriptor().ok()
}

pub(super) fn is_embedding(dataset: &Dataset) -> bool {
    dataset.ndim() == 2 && matches!(descriptor(dataset), Some(TypeDescriptor::Float(_)))
}

pub(super) fn is_number(dataset: &Dataset) -> bool {
    use TypeDescriptor::{Float, Integer, Unsigned};
    let kind = descriptor(dataset);
    dataset.ndim() == 1 && matches!(kind, Some(Float(_) | Integer(_) | Unsigned(_)))
}

pub(super) fn blocks(rows: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(size.max(1)).map(move |first| first..rows.min(first + size))
}

/// The library's own text names its source files in the lines below.
pub(super) fn first_line(error: &hdf5::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
