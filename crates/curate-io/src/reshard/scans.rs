//! What tasks that share a resharding found in the input, so that each input shard is read by one of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    options::{Part, ReshardOptions},
    scan::{Picked, Scan, Scanned, Source},
};
use crate::{
    atomic, digest,
    error::IoError,
    shard::IdsFrom,
    stamp::{Input, Stamp},
    watched::Watched,
};

/// The folder of what was found, in the output folder until that is complete.
pub(super) const SCANS: &str = ".curate-scans";

/// What the tasks of one resharding found.
pub(super) struct Scans<'a> {
    pub(super) out: &'a Path,
    /// The digest of the selection.
    pub(super) selection: &'a str,
    pub(super) ids: Option<IdsFrom>,
    pub(super) part: Option<Part>,
}

/// What has to be the same for a shard's samples to be the same.
#[derive(PartialEq, Serialize, Deserialize)]
struct Key {
    selection: String,
    ids: Option<IdsFrom>,
    name: String,
    tar: PathBuf,
    bytes: u64,
    modified: u64,
}

/// A shard's samples as a file: its SHA-256, and this.
#[derive(Serialize, Deserialize)]
struct Saved {
    key: Key,
    /// Why the shard is left out; its samples are none then.
    left_out: Option<String>,
    /// The digest of a sample of the shard's bytes.
    sample: String,
    picked: Vec<Picked>,
    scan: Scan,
}

impl<'a> Scans<'a> {
    pub(super) fn new(out: &'a Path, selection: &'a str, options: &ReshardOptions) -> Self {
        Self { out, selection, ids: options.ids, part: options.part }
    }

    fn path(&self, place: usize) -> PathBuf {
        self.out.join(SCANS).join(format!("{place:08}.scan"))
    }

    fn key(&self, tar: &Path, name: &str) -> Option<Key> {
        let Watched { path, bytes, modified } = Watched::of(tar).ok()?;
        let (selection, ids) = (self.selection.to_owned(), self.ids);
        Some(Key { selection, ids, name: name.to_owned(), tar: path, bytes, modified })
    }

    /// What a task found in the input shard of this place. What is damaged, or of another selection or shard,
    /// is as good as none.
    pub(super) fn find(&self, place: usize, tar: &Path, name: &str) -> Option<Scanned> {
        let file = fs::read(self.path(place)).ok()?;
        let (sha256, bytes) = file.split_at_checked(64)?;
        if digest::of_bytes(bytes).as_bytes() != sha256 {
            return None;
        }
        let Saved { key, left_out, sample, picked, scan } = postcard::from_bytes(bytes).ok()?;
        if self.key(tar, name)? != key {
            return None;
        }
        if let Some(reason) = left_out {
            return Some(Scanned::LeftOut(reason));
        }
        let file = tar.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stamp = Stamp { bytes: key.bytes, sample, sha256: None };
        let input = Input { file, modified: key.modified, stamp };
        let source = Source { tar: tar.to_owned(), name: name.to_owned(), input, picked };
        Some(Scanned::Read(Box::new(source), scan))
    }

    /// Whether the input or output shard of this place is this call's to see to.
    pub(super) fn is_ours(&self, place: usize) -> bool {
        self.part.is_none_or(|part| part.has(place))
    }

    /// Keeps what was found in an input shard for the other tasks, and gives it back. A call of its own keeps
    /// nothing.
    pub(super) fn keep(
        &self,
        (place, tar, name): (usize, &Path, &str),
        scanned: Scanned,
    ) -> Result<Scanned, IoError> {
        // A shard that is gone by now is found to be so by whoever needs it.
        let Some(key) = self.part.and_then(|_| self.key(tar, name)) else { return Ok(scanned) };
        let (saved, back) = match scanned {
            Scanned::LeftOut(reason) => {
                let (sample, picked, scan) = (String::new(), vec![], Scan::default());
                (Saved { key, left_out: Some(reason), sample, picked, scan }, None)
            }
            Scanned::Read(source, scan) => {
                let Source { tar, name, input, picked } = *source;
                // As it was before it was read.
                let key = Key { bytes: input.stamp.bytes, modified: input.modified, ..key };
                let sample = input.stamp.sample.clone();
                (Saved { key, left_out: None, sample, picked, scan }, Some((tar, name, input)))
            }
        };
        let path = self.path(place);
        let bytes = postcard::to_stdvec(&saved)
            .map_err(|e| IoError::malformed(&path, "cannot be written").caused_by(e))?;
        let sha256 = digest::of_bytes(&bytes);
        atomic::write_unflushed(&path, &[sha256.as_bytes(), &bytes].concat())?;
        let Saved { left_out, picked, scan, .. } = saved;
        Ok(match back {
            Some((tar, name, input)) => {
                Scanned::Read(Box::new(Source { tar, name, input, picked }), scan)
            }
            None => Scanned::LeftOut(left_out.unwrap_or_default()),
        })
    }
}
