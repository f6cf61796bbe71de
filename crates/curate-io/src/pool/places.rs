//! Where the embeddings of a shard lie.

use std::path::{Path, PathBuf};

use crate::{
    Embedding, IoError, Kind,
    files::{CLIP_RETRIEVAL, clip_retrieval_sibling},
    hdf5_file,
    table::Reader,
    vectors::{Npz, Part, list},
};

use super::Shard;

/// The name of the embedding in an npy file.
const NPY_NAME: &str = "embedding";

/// The file of a shard, and the files beside it that belong to its rows.
pub(super) fn companions(file: &Path) -> Vec<PathBuf> {
    let beside = ["npz", "npy"].map(|ending| file.with_extension(ending));
    let siblings = CLIP_RETRIEVAL.map(|name| clip_retrieval_sibling(file, name, "npy"));
    let metadata = clip_retrieval_sibling(file, "metadata", "parquet");
    let others = beside.into_iter().chain(siblings.into_iter().chain([metadata]).flatten());
    let others = others.filter(|other| other != file && other.exists());
    std::iter::once(file.to_owned()).chain(others).collect()
}

/// The array `name` of each shard, as one table.
pub(super) fn embedding_beside(name: &str, shards: &[Shard]) -> Result<Embedding, IoError> {
    let mut parts = Vec::with_capacity(shards.len());
    for shard in shards {
        parts.push(part_beside(name, &shard.files[0], shard.rows.len())?);
    }
    Embedding::new(parts)
}

/// Where an embedding of a shard lies.
enum Place {
    /// A member of an npz file.
    Npz(PathBuf),
    /// A whole npy file.
    Npy(PathBuf),
    /// A column of the shard's own Parquet file.
    Column,
    /// A dataset of the shard's own HDF5 file.
    Dataset,
}

/// The embeddings of a shard of so many rows.
fn places(file: &Path, rows: usize) -> Result<Vec<(String, Place)>, IoError> {
    let mut found: Vec<(String, Place)> = Vec::new();
    let ending = file.extension().and_then(|e| e.to_str());
    if let Some("h5" | "hdf5") = ending {
        let names = hdf5_file::embedding_names(file, rows)?;
        return Ok(names.into_iter().map(|name| (name, Place::Dataset)).collect());
    }
    if ending == Some("parquet") {
        let names = Reader::open(file)?.vector_columns();
        found.extend(names.into_iter().map(|name| (name, Place::Column)));
    }
    if clip_retrieval_sibling(file, "metadata", "parquet").is_some() {
        for name in CLIP_RETRIEVAL {
            let array = clip_retrieval_sibling(file, name, "npy").filter(|array| array.exists());
            found.extend(array.map(|array| (name.to_owned(), Place::Npy(array))));
        }
        return Ok(found);
    }
    let (npz, npy) = (file.with_extension("npz"), file.with_extension("npy"));
    if npz.exists() {
        let names = Npz::open(&npz)?.names();
        found.extend(names.into_iter().map(|name| (name, Place::Npz(npz.clone()))));
    }
    if npy.exists() {
        found.push((NPY_NAME.to_owned(), Place::Npy(npy)));
    }
    Ok(found)
}

/// The embedding `name` of a shard, which has so many rows.
pub(super) fn part_beside(name: &str, file: &Path, rows: usize) -> Result<Part, IoError> {
    let shard = file.display();
    let mut there = places(file, rows)?;
    let (path, part) = match there.iter().position(|(other, _)| other == name) {
        Some(at) => match there.swap_remove(at).1 {
            Place::Npz(npz) => (npz.clone(), Npz::open(&npz)?.array(name)?),
            Place::Npy(npy) => (npy.clone(), Part::open_npy(&npy)?),
            Place::Column => (file.to_owned(), Reader::open(file)?.vectors(name)?),
            Place::Dataset => (file.to_owned(), hdf5_file::embedding(file, name)?),
        },
        None if there.is_empty() && file.extension().is_none_or(|e| e != "npy") => {
            let npz = file.with_extension("npz");
            let problem = format!("does not exist, but embedding `{name}` of {shard} is asked for");
            return Err(IoError::new(Kind::NotFound, npz, problem, "fetch it or embed the shard"));
        }
        None => {
            let names: Vec<String> = there.iter().map(|(name, _)| name.clone()).collect();
            let npz = there.iter().find_map(|(_, place)| match place {
                Place::Npz(npz) => Some(npz.as_path()),
                _ => None,
            });
            let problem = format!("has no array `{name}`; it has {}", list(&names));
            let path = npz.unwrap_or(file);
            return Err(IoError::new(Kind::NotFound, path, problem, "name one of those"));
        }
    };
    if part.rows() != rows {
        let problem = format!("array `{name}` has {} rows, but {shard} has {rows}", part.rows());
        return Err(IoError::new(Kind::Disagree, path, problem, "fetch both files again"));
    }
    Ok(part)
}

/// The embeddings that every shard has.
pub(super) fn embedding_names_beside(shards: &[Shard]) -> Result<Vec<String>, IoError> {
    let mut common: Option<Vec<String>> = None;
    for shard in shards {
        let there = places(&shard.files[0], shard.rows.len())?;
        let names: Vec<String> = there.into_iter().map(|(name, _)| name).collect();
        common = Some(match common {
            Some(common) => common.into_iter().filter(|name| names.contains(name)).collect(),
            None => names,
        });
    }
    let mut names = common.unwrap_or_default();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
