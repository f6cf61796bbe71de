//! Where the samples of a selection lie in the input.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use curate_core::{Progress, SampleId};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    folder::PlannedInput,
    options::{ReshardOptions, Resharded},
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
pub(super) struct Picked {
    pub(super) bytes: Range<u64>,
    pub(super) copies: u32,
}

/// What reading an input shard tells.
#[derive(Default)]
struct Scan {
    samples: usize,
    /// The ids of samples that are known by their keys.
    keys: Vec<SampleId>,
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
    options: ReshardOptions,
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Resharded), IoError> {
    let (seen, mut restarts) = (Seen::new(ids.len()), Restarts::default());
    let names = shard_names(tars);
    let shards: Vec<(&PathBuf, &String)> = tars.iter().zip(&names).collect();
    let mut found = Resharded::default();
    let mut sources = Vec::with_capacity(tars.len());
    progress.start("find samples", tars.len() as u64, "shards");
    // In batches, since the keys of all samples would take more memory than the samples that are written.
    for shards in shards.chunks(TOGETHER) {
        let scan = |&(tar, name): &(&PathBuf, &String)| {
            progress.check().map_err(|_| IoError::cancelled(tar))?;
            let scan = scan(tar, name, ids, options.ids, &seen);
            progress.advance(1);
            scan
        };
        let scans: Vec<Result<(Source, Scan), IoError>> = shards.par_iter().map(scan).collect();
        for ((_, name), scan) in shards.iter().zip(scans) {
            match scan {
                Ok((source, scan)) => {
                    restarts.add_keys(name, &scan.keys);
                    scan.add_to(&mut found);
                    if !scan.ended {
                        found.notes.push(format!("{name}: {NO_END}"));
                    }
                    sources.push(source);
                }
                Err(e) if options.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                    let name = (*name).clone();
                    found.skipped.push(SkippedShard { name, reason: e.problem });
                }
                Err(e) => return Err(e),
            }
        }
    }
    progress.finish();
    if options.ids.is_none() {
        restarts.check(pool)?;
    }
    found.ids_without_sample = ids.distinct() - seen.distinct.into_inner();
    found.repeated_samples = seen.repeats.into_inner();
    Ok((sources, found))
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
    bits: Vec<AtomicU64>,
    distinct: AtomicUsize,
    repeats: AtomicUsize,
}

impl Seen {
    fn new(ids: usize) -> Self {
        let bits = std::iter::repeat_with(AtomicU64::default).take(ids.div_ceil(64)).collect();
        Self { bits, distinct: AtomicUsize::new(0), repeats: AtomicUsize::new(0) }
    }

    fn add(&self, place: usize) {
        let bit = 1 << (place % 64);
        let before = self.bits[place / 64].fetch_or(bit, Ordering::Relaxed);
        let count = if before & bit == 0 { &self.distinct } else { &self.repeats };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn scan(
    tar: &Path,
    shard: &str,
    ids: &SortedIds,
    rule: Option<IdsFrom>,
    seen: &Seen,
) -> Result<(Source, Scan), IoError> {
    // Before it is read: a change from here on is noticed in the end.
    let input = Input::of_sample(tar)?;
    let mut file = files::open(tar)?;
    let Listed { samples, repeated, ended } = list_members(tar, &mut file)?;
    let mut scan =
        Scan { samples: samples.len(), repeated_members: repeated, ended, ..Scan::default() };
    let (mut places, mut picked) = (Vec::new(), Vec::new());
    for sample in samples {
        let texts = Texts::record_of(tar, &file, &sample)?;
        let Ok(record) = texts.record() else {
            scan.bad_records += 1;
            continue;
        };
        let known = known_by(&sample, record.as_ref());
        if let (Known::Key(id, _), None) = (&known, rule) {
            scan.keys.push(*id);
        }
        let id = known.id_in(shard, rule);
        let (place, copies) = id.map_or(Ok((0, 0)), |id| ids.find(id))?;
        if copies > 0 {
            places.push(place);
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
    // Only once the whole shard is known to be good: one that is left out has no samples.
    places.into_iter().for_each(|place| seen.add(place));
    Ok((Source { tar: tar.to_owned(), name: shard.to_owned(), input, picked }, scan))
}
