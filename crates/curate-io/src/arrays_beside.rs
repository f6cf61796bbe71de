//! Where the embeddings of a shard lie: beside it, in it, or in folders of their own.

use std::path::{Path, PathBuf};

use crate::{
    error::{IoError, Kind},
    npz::Npz,
    vectors::{Expect, StoredArray, list},
};

/// The name of the embedding in an npy file.
pub(crate) const NPY_NAME: &str = "embedding";

/// Opens the embedding of a name in a file.
type Open = fn(&Path, &str, Expect<'_>) -> Result<StoredArray, IoError>;

/// Where an embedding of a shard lies.
pub(crate) struct Place {
    file: PathBuf,
    /// Whether it is sure to be one: what may be something else is read by those who ask for it.
    sure: bool,
    open: Open,
}

impl Place {
    /// In `file`, from which `open` takes it by its name.
    pub(crate) fn new(file: PathBuf, open: Open) -> Self {
        Self { file, sure: true, open }
    }

    /// The same, if it is `sure` to be an embedding.
    pub(crate) fn if_sure(self, sure: bool) -> Self {
        Self { sure, ..self }
    }

    /// Whether it is sure to be an embedding.
    pub(crate) fn is_sure(&self) -> bool {
        self.sure
    }

    /// A whole npy file, whatever the embedding is called.
    pub(crate) fn npy(file: PathBuf) -> Self {
        Self::new(file, |file, _, expect| StoredArray::npy_where(file, expect))
    }

    /// A member of an npz file.
    fn npz(file: PathBuf) -> Self {
        Self::new(file, |file, name, expect| Npz::open(file)?.array_where(name, expect))
    }
}

/// The embeddings in the npz and the npy file beside a shard, those that are there.
pub(crate) fn places_beside(file: &Path) -> Result<Vec<(String, Place)>, IoError> {
    let mut found = Vec::new();
    let (npz, npy) = (file.with_extension("npz"), file.with_extension("npy"));
    if npz.exists() {
        found = places_in(&npz)?;
    }
    if npy.exists() {
        found.push((NPY_NAME.to_owned(), Place::npy(npy)));
    }
    Ok(found)
}

/// The embeddings in an npz file.
pub(crate) fn places_in(npz: &Path) -> Result<Vec<(String, Place)>, IoError> {
    let arrays = Npz::open(npz)?.tables().into_iter();
    let place = |(name, table)| (name, Place::npz(npz.to_owned()).if_sure(table));
    Ok(arrays.map(place).collect())
}

/// The embedding `name` of a shard of so many rows, out of those that it has.
pub(crate) fn array_of(
    name: &str,
    file: &Path,
    rows: usize,
    mut there: Vec<(String, Place)>,
) -> Result<StoredArray, IoError> {
    let Some(at) = there.iter().position(|(other, _)| other == name) else {
        return Err(no_array(name, file, &there));
    };
    let (_, place) = there.swap_remove(at);
    let expect = |there: usize| {
        if there == rows {
            return Ok(());
        }
        let problem = format!("array `{name}` has {there} rows, but {} has {rows}", file.display());
        Err(IoError::new(Kind::Disagree, &place.file, problem, "fetch both files again"))
    };
    let array = (place.open)(&place.file, name, &expect)?;
    expect(array.rows()).map(|()| array)
}

/// The error about an embedding that a shard lacks. It names the npz file, where such embeddings lie
/// as a rule.
fn no_array(name: &str, file: &Path, there: &[(String, Place)]) -> IoError {
    let is = |file: &Path, ending: &str| file.extension().is_some_and(|e| e == ending);
    if there.is_empty() && !is(file, "npy") {
        let shard = file.display();
        let problem = format!("does not exist, but embedding `{name}` of {shard} is asked for");
        let npz = file.with_extension("npz");
        return IoError::new(Kind::NotFound, npz, problem, "fetch it or embed the shard");
    }
    let sure = there.iter().filter(|(_, place)| place.sure);
    let names: Vec<String> = sure.map(|(name, _)| name.clone()).collect();
    let npz = there.iter().map(|(_, place)| place.file.as_path()).find(|file| is(file, "npz"));
    let problem = format!("has no array `{name}`; it has {}", list(&names));
    IoError::new(Kind::NotFound, npz.unwrap_or(file), problem, "name one of those")
}
