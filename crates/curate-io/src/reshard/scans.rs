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
    options::{Part, ReshardOptions, Resharded},
    scan::{Picked, Scan, Scanned, Source, scan_or_leave_out},
};
use crate::{
    atomic, digest,
    error::{IoError, Kind},
    restarts::Restarts,
    shard::{BadShards, IdsFrom, SkippedShard},
    shard_files::shard_names,
    sorted::SortedIds,
    stamp::{Input, Stamp},
    tar_samples::NO_END,
    watched::Watched,
};

/// Shards that are read before their keys are compared and forgotten.
const TOGETHER: usize = 256;

/// What the tasks of one resharding found.
pub(super) struct Scans<'a> {
    out: &'a Path,
    /// The digest of the selection.
    selection: &'a str,
    ids: Option<IdsFrom>,
    part: Option<Part>,
    /// Whether shards that cannot be read are left out.
    skips: bool,
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
        let ReshardOptions { ids, part, bad_shards, .. } = *options;
        Self { out, selection, ids, part, skips: bad_shards == BadShards::Skip }
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
    fn find(&self, place: usize, tar: &Path, name: &str) -> Option<Scanned> {
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
            // Tasks have to agree. A call of its own looks again: the shard may be readable by now.
            return self.part.filter(|_| self.skips).map(|_| Scanned::LeftOut(reason));
        }
        let file = tar.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stamp = Stamp { bytes: key.bytes, sample, sha256: None };
        let input = Input { file, modified: key.modified, stamp };
        let source = Source { tar: tar.to_owned(), name: name.to_owned(), input, picked };
        Some(Scanned::Read(Box::new(source), scan))
    }

    /// Whether the input or output shard of this place is this call's to see to.
    fn is_ours(&self, place: usize) -> bool {
        self.part.is_none_or(|part| part.has(place))
    }

    /// Keeps what was found in an input shard for the other tasks, and gives it back. A call of its own keeps
    /// nothing.
    fn keep(
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
    (options, scans): (ReshardOptions, &Scans<'_>),
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
            let scanned = match scans.find(place, tar, name) {
                None if scans.is_ours(place) => {
                    let scanned = scan_or_leave_out(tar, name, ids, options)?;
                    Some(scans.keep((place, tar, name), scanned)?)
                }
                found => found,
            };
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
    if options.ids.is_none() {
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
