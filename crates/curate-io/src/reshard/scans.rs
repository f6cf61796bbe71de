//! Where the samples of a selection lie in all input shards. Tasks that share a resharding keep what they found,
//! so that each input shard is read by one of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    folder::SCANS,
    options::{ReshardOptions, Resharded},
    scan::{Picked, Scan, Scanned, Source, scan_or_leave_out},
};
use crate::{
    atomic, digest,
    error::{IoError, Kind},
    restarts::Restarts,
    shard::{IdsFrom, SkippedShard},
    shard_files::shard_names,
    sorted::SortedIds,
    stamp::{Check, Input},
    tar_samples::NO_END,
};

/// Shards that are read before their keys are compared and forgotten.
const TOGETHER: usize = 256;

/// What the tasks of one resharding found.
pub(super) struct Scans<'a> {
    out: &'a Path,
    /// The digest of the selection.
    selection: &'a str,
    options: ReshardOptions,
}

/// What has to be the same for a shard's samples to be the same, beside its bytes.
#[derive(PartialEq, Serialize, Deserialize)]
struct Key {
    /// Of the layout of these files.
    version: u32,
    selection: String,
    ids: Option<IdsFrom>,
    name: String,
}

const VERSION: u32 = 1;

/// A shard's samples as a file: its SHA-256, and this.
#[derive(Deserialize)]
struct Saved {
    key: Key,
    /// Length and digest of a sample of the shard's bytes; none where it was not there. Its path and time may be
    /// others to another machine.
    file: Option<(u64, String)>,
    /// Why the shard is left out; its samples are none then.
    left_out: Option<String>,
    picked: Vec<Picked>,
    scan: Scan,
}

impl<'a> Scans<'a> {
    pub(super) fn new(out: &'a Path, selection: &'a str, options: ReshardOptions) -> Self {
        Self { out, selection, options }
    }

    fn path(&self, place: usize) -> PathBuf {
        self.out.join(SCANS).join(format!("{place:08}.scan"))
    }

    fn key(&self, name: &str) -> Key {
        let (selection, ids) = (self.selection.to_owned(), self.options.ids);
        Key { version: VERSION, selection, ids, name: name.to_owned() }
    }

    /// What is known of the input shard of this place: found by a task, or read now where that is this call's
    /// to do.
    fn look(
        &self,
        (place, tar, name): (usize, &Path, &str),
        ids: &SortedIds,
    ) -> Result<Option<Scanned>, IoError> {
        let part = self.options.part;
        match self.find(place, tar, name) {
            Some(Scanned::LeftOut(reason)) if part.is_some() => {
                return match self.options.skips() {
                    true => Ok(Some(Scanned::LeftOut(reason))),
                    false => Err(IoError::malformed(tar, reason)),
                };
            }
            // A call of its own looks again: the shard may be readable by now.
            Some(Scanned::LeftOut(_)) | None => {}
            found => return Ok(found),
        }
        match part {
            Some(part) if !part.has(place) => Ok(None),
            Some(_) => {
                let file = file_of(tar);
                let scanned = scan_or_leave_out(tar, name, ids, self.options)?;
                self.keep((place, name), file, &scanned)?;
                Ok(Some(scanned))
            }
            None => scan_or_leave_out(tar, name, ids, self.options).map(Some),
        }
    }

    /// What a task found in the input shard of this place. What is damaged, or of another selection or shard,
    /// is as good as none; where a call of its own is to compare shards whole, all is.
    fn find(&self, place: usize, tar: &Path, name: &str) -> Option<Scanned> {
        if self.options.part.is_none() && self.options.check == Check::Whole {
            return None;
        }
        let bytes = fs::read(self.path(place)).ok()?;
        let (sha256, bytes) = bytes.split_at_checked(64)?;
        if digest::of_bytes(bytes).as_bytes() != sha256 {
            return None;
        }
        let Saved { key, file, left_out, picked, scan } = postcard::from_bytes(bytes).ok()?;
        let input = Input::of_sample(tar).ok();
        if key != self.key(name) || file != input.as_ref().map(known_by_bytes) {
            return None;
        }
        match left_out {
            Some(reason) => Some(Scanned::LeftOut(reason)),
            None => {
                let (tar, name) = (tar.to_owned(), name.to_owned());
                let source = Source { tar, name, input: input?, picked };
                Some(Scanned::Read(Box::new(source), scan))
            }
        }
    }

    /// Keeps what was found in an input shard, which was this file before it was read, for the other tasks.
    fn keep(
        &self,
        (place, name): (usize, &str),
        file: Option<(u64, String)>,
        scanned: &Scanned,
    ) -> Result<(), IoError> {
        let nothing = (vec![], Scan::default());
        let (file, left_out, (picked, scan)) = match scanned {
            Scanned::LeftOut(reason) => (file, Some(reason), (&nothing.0, &nothing.1)),
            Scanned::Read(source, scan) => {
                (Some(known_by_bytes(&source.input)), None, (&source.picked, scan))
            }
        };
        let path = self.path(place);
        // As a `Saved`, of which only references are here: a tuple has the bytes of a structure.
        let bytes = postcard::to_stdvec(&(self.key(name), file, left_out, picked, scan))
            .map_err(|e| IoError::malformed(&path, "cannot be written").caused_by(e))?;
        let sha256 = digest::of_bytes(&bytes);
        atomic::write_unflushed(&path, &[sha256.as_bytes(), &bytes].concat())
    }
}

fn file_of(tar: &Path) -> Option<(u64, String)> {
    Input::of_sample(tar).ok().as_ref().map(known_by_bytes)
}

fn known_by_bytes(input: &Input) -> (u64, String) {
    (input.stamp.bytes, input.stamp.sample.clone())
}

/// What is known of the input shards so far.
struct Gathered {
    sources: Vec<Source>,
    found: Resharded,
    seen: Seen,
    restarts: Restarts,
    /// Shards that other tasks have not read yet.
    missing: usize,
}

impl Gathered {
    fn add(&mut self, shard: &str, scanned: Option<Scanned>) {
        match scanned {
            Some(Scanned::Read(source, scan)) => {
                let keys: Vec<SampleId> = scan.keys.iter().copied().map(SampleId).collect();
                self.restarts.add_keys(shard, &keys);
                scan.places.iter().for_each(|&place| self.seen.add(place));
                self.count(shard, &scan);
                self.sources.push(*source);
            }
            Some(Scanned::LeftOut(reason)) => {
                self.found.skipped.push(SkippedShard { name: shard.to_owned(), reason });
            }
            None => self.missing += 1,
        }
    }

    fn count(&mut self, shard: &str, scan: &Scan) {
        let found = &mut self.found;
        found.input_shards += 1;
        found.input_samples += scan.samples;
        found.without_id += scan.without_id;
        found.bad_records += scan.bad_records;
        found.not_selected += scan.not_selected;
        found.repeated_members += scan.repeated_members;
        if !scan.ended {
            found.notes.push(format!("{shard}: {NO_END}"));
        }
    }
}

/// Finds the samples of all input shards, in parallel: by reading their members and records, or by what other
/// tasks found.
pub(super) fn scan_all(
    pool: &Path,
    tars: &[PathBuf],
    ids: &SortedIds,
    scans: &Scans<'_>,
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Resharded), IoError> {
    let mut all = Gathered {
        sources: Vec::with_capacity(tars.len()),
        found: Resharded::default(),
        seen: Seen::new(ids.len()),
        restarts: Restarts::default(),
        missing: 0,
    };
    let names = shard_names(tars);
    let shards: Vec<(usize, (&PathBuf, &String))> = tars.iter().zip(&names).enumerate().collect();
    progress.start("find samples", tars.len() as u64, "shards");
    // In batches, since the keys of all samples would take more memory than the samples that are written.
    for shards in shards.chunks(TOGETHER) {
        let look = |&(place, (tar, name)): &(usize, (&PathBuf, &String))| {
            progress.check().map_err(|_| IoError::cancelled(tar))?;
            let scanned = scans.look((place, tar, name), ids)?;
            progress.advance(1);
            Ok(scanned)
        };
        let scanned: Vec<Result<Option<Scanned>, IoError>> = shards.par_iter().map(look).collect();
        for ((_, (_, name)), scanned) in shards.iter().zip(scanned) {
            all.add(name, scanned?);
        }
    }
    progress.finish();
    let Gathered { sources, mut found, seen, restarts, missing } = all;
    if missing > 0 {
        let problem =
            format!("{missing} of {} input shards are for other tasks to read", tars.len());
        let remedy = "give the same command again once they have";
        return Err(IoError::new(Kind::Busy, scans.out, problem, remedy));
    }
    if scans.options.ids.is_none() {
        restarts.check(pool)?;
    }
    found.ids_without_sample = ids.distinct() - seen.distinct;
    found.repeated_samples = seen.repeats;
    Ok((sources, found))
}

/// Which ids of the selection have been met, by the place of their first occurrence.
struct Seen {
    bits: Vec<u64>,
    distinct: usize,
    repeats: usize,
}

impl Seen {
    fn new(ids: usize) -> Self {
        Self { bits: vec![0; ids.div_ceil(64)], distinct: 0, repeats: 0 }
    }

    fn add(&mut self, place: usize) {
        let (bits, bit) = (&mut self.bits[place / 64], 1 << (place % 64));
        let count = if *bits & bit == 0 { &mut self.distinct } else { &mut self.repeats };
        *count += 1;
        *bits |= bit;
    }
}
