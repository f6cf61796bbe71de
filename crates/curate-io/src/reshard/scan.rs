//! Where the samples of a selection lie in the input.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use curate_core::Progress;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::options::{ReshardOptions, Resharded};
use crate::{
    digest,
    error::{IoError, Kind},
    shard::{BadShards, IdsFrom, SkippedShard},
    shard_files::stem,
    sorted::SortedIds,
    tar_samples::{Listed, Texts, known_by, list_members},
};

/// The samples of one input shard that are written.
pub(super) struct Source {
    pub(super) tar: PathBuf,
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
    picked: Vec<Picked>,
    samples: usize,
    without_id: usize,
    bad_records: usize,
    not_selected: usize,
    repeated_members: usize,
}

/// The shards that were read, and where the samples lie in them: a shard that was left out and is
/// whole now gives other output.
pub(super) fn digest_of_inputs(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for Source { tar, picked } in sources {
        hasher.update(format!("{} {}\n", stem(tar), picked.len()));
        for Picked { bytes, copies } in picked {
            hasher.update(bytes.start.to_le_bytes());
            hasher.update(bytes.end.to_le_bytes());
            hasher.update(copies.to_le_bytes());
        }
    }
    digest::hex(&hasher.finalize())
}

/// Reads the lists of members and the records of all input shards, in parallel.
pub(super) fn scan_all(
    tars: Vec<PathBuf>,
    ids: &SortedIds,
    options: ReshardOptions,
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Resharded), IoError> {
    let seen = Seen::new(ids.len());
    progress.start("find samples", tars.len() as u64, "shards");
    let scans: Vec<_> = tars
        .par_iter()
        .map(|tar| {
            progress.check().map_err(|_| IoError::cancelled(tar))?;
            let scan = scan(tar, ids, options.ids, &seen);
            progress.advance(1);
            scan
        })
        .collect();
    progress.finish();
    let mut found = Resharded::default();
    let mut sources = Vec::with_capacity(tars.len());
    for (tar, scan) in tars.into_iter().zip(scans) {
        match scan {
            Ok(scan) => {
                found.input_shards += 1;
                found.input_samples += scan.samples;
                found.without_id += scan.without_id;
                found.bad_records += scan.bad_records;
                found.not_selected += scan.not_selected;
                found.repeated_members += scan.repeated_members;
                sources.push(Source { tar, picked: scan.picked });
            }
            Err(e) if options.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                found.skipped.push(SkippedShard { name: stem(&tar), reason: e.problem });
            }
            Err(e) => return Err(e),
        }
    }
    found.ids_without_sample = ids.distinct() - seen.distinct.into_inner();
    found.repeated_samples = seen.repeats.into_inner();
    Ok((sources, found))
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

fn scan(tar: &Path, ids: &SortedIds, rule: Option<IdsFrom>, seen: &Seen) -> Result<Scan, IoError> {
    let shard = stem(tar);
    let mut file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
    let Listed { samples, repeated, .. } = list_members(tar, &mut file)?;
    let mut scan = Scan { samples: samples.len(), repeated_members: repeated, ..Scan::default() };
    let mut places = Vec::new();
    for sample in samples {
        let texts = Texts::record_of(tar, &file, &sample)?;
        let Ok(record) = texts.record() else {
            scan.bad_records += 1;
            continue;
        };
        let id = known_by(&sample, record.as_ref()).id_in(&shard, rule);
        let (place, copies) = id.map_or(Ok((0, 0)), |id| ids.find(id))?;
        if copies > 0 {
            places.push(place);
            let copies = u32::try_from(copies).map_err(|e| {
                IoError::malformed(tar, "a sample is wanted more than 4 billion times").caused_by(e)
            })?;
            scan.picked.push(Picked { bytes: sample.bytes, copies });
        } else if id.is_none() {
            scan.without_id += 1;
        } else {
            scan.not_selected += 1;
        }
    }
    // Only once the whole shard is known to be good: one that is left out has no samples.
    places.into_iter().for_each(|place| seen.add(place));
    Ok(scan)
}
