//! Where the samples of a selection lie in an input shard.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{folder::PlannedInput, options::ReshardOptions};
use crate::{
    digest,
    error::{IoError, Kind},
    files,
    shard::IdsFrom,
    sorted::SortedIds,
    stamp::Input,
    tar_samples::{Known, Listed, Texts, known_by, list_members},
};

/// The samples of one input shard that are written.
pub(super) struct Source {
    pub(super) tar: PathBuf,
    pub(super) name: String,
    pub(super) input: Input,
    pub(super) picked: Vec<Picked>,
}

/// Where a sample lies in its shard, and how often it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Picked {
    pub(super) bytes: Range<u64>,
    pub(super) copies: u32,
}

/// What became of an input shard.
pub(super) enum Scanned {
    Read(Box<Source>, Scan),
    /// It cannot be read, for this reason.
    LeftOut(String),
}

/// What reading an input shard tells.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Scan {
    pub(super) samples: usize,
    /// The places in the selection of the samples that are written.
    pub(super) places: Vec<usize>,
    /// The ids of samples that are known by their keys.
    pub(super) keys: Vec<u128>,
    pub(super) without_id: usize,
    pub(super) bad_records: usize,
    pub(super) not_selected: usize,
    pub(super) repeated_members: usize,
    /// Whether the tar file has its end.
    pub(super) ended: bool,
}

impl Source {
    /// What a later call compares: where the samples lie, and what the file is.
    pub(super) fn planned(&self) -> PlannedInput {
        let mut hasher = Sha256::new();
        for Picked { bytes, copies } in &self.picked {
            hasher.update(bytes.start.to_le_bytes());
            hasher.update(bytes.end.to_le_bytes());
            hasher.update(copies.to_le_bytes());
        }
        let picked = digest::hex(&hasher.finalize());
        PlannedInput { shard: self.name.clone(), picked, input: self.input.clone() }
    }
}

/// Reads the list of members and the records of an input shard.
pub(super) fn scan_or_leave_out(
    tar: &Path,
    name: &str,
    ids: &SortedIds,
    options: ReshardOptions,
) -> Result<Scanned, IoError> {
    match scan(tar, name, ids, options.ids) {
        Ok((source, scan)) => Ok(Scanned::Read(Box::new(source), scan)),
        // What a task merely failed to read, another could: they have to agree.
        Err(e) if options.part.is_some() && e.kind == Kind::Os => Err(e),
        Err(e) if options.skips() && e.kind != Kind::Cancelled => Ok(Scanned::LeftOut(e.problem)),
        Err(e) => Err(e),
    }
}

fn scan(
    tar: &Path,
    shard: &str,
    ids: &SortedIds,
    rule: Option<IdsFrom>,
) -> Result<(Source, Scan), IoError> {
    // Before it is read: a change from here on is noticed in the end.
    let input = Input::of_sample(tar)?;
    let mut file = files::open(tar)?;
    let Listed { samples, repeated, ended } = list_members(tar, &mut file)?;
    let mut scan =
        Scan { samples: samples.len(), repeated_members: repeated, ended, ..Scan::default() };
    let mut picked = Vec::new();
    for sample in samples {
        let texts = Texts::record_of(tar, &file, &sample)?;
        let Ok(record) = texts.record() else {
            scan.bad_records += 1;
            continue;
        };
        let known = known_by(&sample, record.as_ref());
        if let (Known::Key(id, _), None) = (&known, rule) {
            scan.keys.push(id.0);
        }
        let id = known.id_in(shard, rule);
        let (place, copies) = id.map_or(Ok((0, 0)), |id| ids.find(id))?;
        if copies > 0 {
            scan.places.push(place);
            let copies = u32::try_from(copies).map_err(|e| {
                IoError::malformed(tar, "a sample is wanted more than 4 billion times").caused_by(e)
            })?;
            picked.push(Picked { bytes: sample.bytes, copies });
        } else if id.is_none() {
            scan.without_id += 1;
        } else {
            scan.not_selected += 1;
        }
    }
    Ok((Source { tar: tar.to_owned(), name: shard.to_owned(), input, picked }, scan))
}
