//! Where the samples of a selection lie in the input.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    folder::PlannedInput,
    options::{ReshardOptions, Resharded},
    scans::Scans,
};
use crate::{
    digest,
    error::{IoError, Kind},
    files,
    restarts::Restarts,
    shard::{BadShards, IdsFrom, SkippedShard},
    shard_files::shard_names,
    sorted::SortedIds,
    stamp::Input,
    tar_samples::{Known, Listed, NO_END, Texts, known_by, list_members},
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
    samples: usize,
    /// The places in the selection of the samples that are written.
    places: Vec<usize>,
    /// The ids of samples that are known by their keys.
    keys: Vec<u128>,
    without_id: usize,
    bad_records: usize,
    not_selected: usize,
    repeated_members: usize,
    /// Whether the tar file has its end.
    ended: bool,
}

/// Shards that are read before their keys are compared and forgotten.
const TOGETHER: usize = 256;

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

/// Reads the lists of members and the records of all input shards, in parallel.
pub(super) fn scan_all(
    pool: &Path,
    tars: &[PathBuf],
    ids: &SortedIds,
    (options, scans): (ReshardOptions, &Scans<'_>),
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Resharded), IoError> {
    let (mut seen, mut restarts) = (Seen::new(ids.len()), Restarts::default());
    let names = shard_names(tars);
    let shards: Vec<(usize, (&PathBuf, &String))> = tars.iter().zip(&names).enumerate().collect();
    let mut missing = 0;
    let mut found = Resharded::default();
    let mut sources = Vec::with_capacity(tars.len());
    progress.start("find samples", tars.len() as u64, "shards");
    // In batches, since the keys of all samples would take more memory than the samples that are written.
    for shards in shards.chunks(TOGETHER) {
        let look = |&(place, (tar, name)): &(usize, (&PathBuf, &String))| {
            progress.check().map_err(|_| IoError::cancelled(tar))?;
            let scanned = scans.find(place, tar, name);
            let scanned = match scanned {
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
            match scanned? {
                Some(Scanned::Read(source, scan)) => {
                    let keys: Vec<SampleId> = scan.keys.iter().copied().map(SampleId).collect();
                    restarts.add_keys(name, &keys);
                    scan.places.iter().for_each(|&place| seen.add(place));
                    scan.add_to(&mut found);
                    if !scan.ended {
                        found.notes.push(format!("{name}: {NO_END}"));
                    }
                    sources.push(*source);
                }
                Some(Scanned::LeftOut(reason)) => {
                    found.skipped.push(SkippedShard { name: (*name).clone(), reason });
                }
                None => missing += 1,
            }
        }
    }
    progress.finish();
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

fn scan_or_leave_out(
    tar: &Path,
    name: &str,
    ids: &SortedIds,
    options: ReshardOptions,
) -> Result<Scanned, IoError> {
    match scan(tar, name, ids, options.ids) {
        Ok((source, scan)) => Ok(Scanned::Read(Box::new(source), scan)),
        Err(e) if options.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
            Ok(Scanned::LeftOut(e.problem))
        }
        Err(e) => Err(e),
    }
}

impl Scan {
    fn add_to(&self, found: &mut Resharded) {
        found.input_shards += 1;
        found.input_samples += self.samples;
        found.without_id += self.without_id;
        found.bad_records += self.bad_records;
        found.not_selected += self.not_selected;
        found.repeated_members += self.repeated_members;
    }
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
