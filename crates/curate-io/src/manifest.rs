//! What a folder of shards is to hold: written before its first shard, completed after its last. A reader
//! can so tell a whole folder from one whose making was interrupted, or that lost a shard since.
//!
//! Two kinds of folders have one: those of embeddings (`manifest.json`) and those that
//! [`reshard`](mod@crate::reshard) writes (`.curate-reshard.json`, beside DataComp's `meta.json`). Other
//! folders are read as they are.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    atomic::{self, AtomicFile},
    error::{IoError, Kind},
    stamp::{Check, Stamp, length},
};

/// A manifest is never longer; a file of its name that is, is something else.
const LONGEST: u64 = 1 << 30;

/// What filled a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Embeddings of a pool, `SHARD.npz` and `SHARD.scores.parquet`.
    Embedding,
    /// Tar shards of a selection.
    Resharding,
}

impl Work {
    /// The name of the manifest.
    pub fn file(self) -> &'static str {
        match self {
            Self::Embedding => "manifest.json",
            Self::Resharding => ".curate-reshard.json",
        }
    }

    /// The file of a shard that is written last.
    pub fn last_file(self, shard: &str) -> String {
        match self {
            Self::Embedding => format!("{shard}.json"),
            Self::Resharding => format!("{shard}_stats.json"),
        }
    }

    /// How the names of its shards end, for who takes the folder for a pool.
    fn ending(self) -> &'static str {
        match self {
            Self::Embedding => "parquet",
            Self::Resharding => "tar",
        }
    }

    /// The error about a file that is not what it was.
    fn lost(self, path: &Path, problem: impl Into<String>) -> IoError {
        let remedy = match self {
            Self::Embedding => "run the embedding again, which writes this shard anew",
            Self::Resharding => "run the resharding again, which writes this shard anew",
        };
        IoError::new(Kind::Disagree, path, problem, remedy)
    }

    fn done(self) -> &'static str {
        match self {
            Self::Embedding => "embedded",
            Self::Resharding => "written",
        }
    }
}

/// The shards of a folder, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Whether all of them are there.
    pub complete: bool,
    /// The shards.
    pub shards: Vec<ShardEntry>,
}

/// A shard of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Its files; none until the shard is there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Stamp>,
}

impl Contents {
    /// An error unless every shard is there, with files of the lengths that were written.
    ///
    /// # Errors
    /// It names the file, or says how many of the shards are there.
    pub fn check(&self, folder: &Path, work: Work) -> Result<(), IoError> {
        if !self.complete {
            let there = |shard: &&ShardEntry| folder.join(work.last_file(&shard.name)).exists();
            let (there, all) = (self.shards.iter().filter(there).count(), self.shards.len());
            let problem = format!("{there} of {all} shards are {}", work.done());
            let remedy = match there == all {
                true => "run the command for all of them once more, which completes the folder",
                false => "run it to its end",
            };
            return Err(IoError::new(Kind::Truncated, folder, problem, remedy));
        }
        for (name, stamp) in self.shards.iter().flat_map(|shard| &shard.files) {
            let path = folder.join(name);
            let found = length(&path).map_err(|error| match error.kind {
                Kind::NotFound => work.lost(&path, "is missing"),
                _ => error,
            })?;
            if found != stamp.bytes {
                let problem =
                    format!("has {found} bytes, but was written with {} of them", stamp.bytes);
                return Err(work.lost(&path, problem));
            }
        }
        Ok(())
    }

    /// An error unless every file is the one that was written; after [`Self::check`].
    ///
    /// # Errors
    /// It names the first file that is another one.
    pub fn check_bytes(&self, folder: &Path, work: Work, check: Check) -> Result<(), IoError> {
        use rayon::prelude::*;
        let files: Vec<_> = self.shards.iter().flat_map(|shard| &shard.files).collect();
        let found: Vec<Result<(), IoError>> = files
            .into_par_iter()
            .map(|(name, stamp)| {
                let path = folder.join(name);
                match stamp.holds(&path, check)? {
                    true => Ok(()),
                    false => Err(work.lost(&path, "is not the file that was written here")),
                }
            })
            .collect();
        found.into_iter().collect()
    }
}

/// The manifest of a folder; `None` where the folder has none, or a file of that name that is something
/// else.
///
/// # Errors
/// When it cannot be read.
pub fn read<T: DeserializeOwned>(folder: &Path, work: Work) -> Result<Option<T>, IoError> {
    let path = folder.join(work.file());
    let text = match length(&path) {
        Ok(bytes) if bytes <= LONGEST && path.is_file() => fs::read(&path),
        Ok(_) => return Ok(None),
        Err(e) if e.kind == Kind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let text = text.map_err(|e| IoError::os(&path, "read", e))?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Writes the manifest of a folder.
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write(folder: &Path, work: Work, manifest: &impl Serialize) -> Result<(), IoError> {
    atomic::write(&folder.join(work.file()), &text_of(manifest))
}

/// The same unless the folder has one, which stays; false then.
///
/// # Errors
/// As [`write()`].
pub(crate) fn write_new(
    folder: &Path,
    work: Work,
    manifest: &impl Serialize,
) -> Result<bool, IoError> {
    let path = folder.join(work.file());
    let mut file = AtomicFile::create(&path)?;
    file.write_all(&text_of(manifest)).map_err(|e| IoError::os(&path, "written", e))?;
    file.commit_new()
}

fn text_of(manifest: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(manifest).expect("a manifest is JSON");
    text.push(b'\n');
    text
}

/// An error when these files are the shards of a folder whose making was interrupted, or that lost one of
/// them since.
pub(crate) fn check_shards(folder: &Path, files: &[PathBuf]) -> Result<(), IoError> {
    #[derive(Deserialize)]
    struct Known {
        work: Work,
        #[serde(flatten)]
        contents: Contents,
    }
    for work in [Work::Embedding, Work::Resharding] {
        let is_shard = |file: &PathBuf| file.extension().is_some_and(|e| e == work.ending());
        if !files.iter().any(is_shard) {
            continue;
        }
        if let Some(known) = read::<Known>(folder, work)?.filter(|known| known.work == work) {
            known.contents.check(folder, work)?;
        }
    }
    Ok(())
}
