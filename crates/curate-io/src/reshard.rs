//! Resharding: the samples of a selection, copied from WebDataset shards into new ones.
//!
//! What DataComp's resharder does ([mlfoundations/datacomp], `resharder.py`), with one outcome for
//! any number of threads:
//!
//! | | DataComp's resharder | this crate |
//! |---|---|---|
//! | an id that occurs `n` times in the selection | written `n` times, keys `UID-0` … `UID-(n-1)` | the same |
//! | a sample without a record | left out | left out, unless its key is an id of the selection ([`id_of_key`](crate::ids::id_of_key)) |
//! | order of the output | as workers happen to finish | input order, or a seeded shuffle of it |
//! | a selection that is not sorted | loses samples | sorted first |
//! | a record that is no JSON object | its sample is left out | the same, counted |
//! | a name that a sample has twice | the first is taken | the same, counted |
//! | two samples of one id, side by side | one key, which webdataset refuses | the second goes on counting |
//! | ids without a sample | not counted | counted |
//! | interrupted | start again | goes on: shards that are there are not written again |
//! | keys that begin anew in every shard | repeats | an error, until [`ReshardOptions::ids`] says what an id is |
//! | members' dates in the tar files | the time of writing | 1970-01-01, so that bytes repeat |
//!
//! Written are `00000000.tar` …, each with `00000000_stats.json` (`{"successes": n}`), and then
//! `sizes.json` (samples by tar file), `sample_ids.npy` (the selection, sorted) and `meta.json`. The
//! folder's own [`manifest`](crate::manifest) says what it is to hold and was made from.
//! Tar files have the bytes that the Python package webdataset writes (`TarWriter(mtime=0)`).
//!
//! A shard that is there counts if its length, a sample of its bytes and a sample of those of every input
//! are what they were, and no file's times have changed: 64 KiB a file. Where times have, the shard is
//! compared with what would be written, byte by byte; [`ReshardOptions::check`] asks for that of all.
//!
//! Several tasks may share the work ([`ReshardOptions::part`]): processes, or machines that see the same
//! folders. Each reads its part of the input shards and keeps what it found for the others in the output
//! folder; one that needs what others have not read yet says so ([`Kind::Busy`]), and goes on when it is
//! called again. Then each writes its part of the output shards. A call without a part, at the end, finds what
//! is done, does what is missing and completes the folder. The bytes are those of one call.
//!
//! Memory: 24 bytes for each sample that is written, 8 more for each output sample when shuffling; of 256 input
//! shards 8 for each sample that is written and 16 for each sample where these have keys alone,
//! and a selection of up to 4 million ids; a larger sorted one stays on disk.
//!
//! [mlfoundations/datacomp]: https://github.com/mlfoundations/datacomp

mod copy;
mod folder;
mod options;
mod order;
mod scan;
mod scans;
mod tar_writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::mpsc::sync_channel,
};

use curate_core::Progress;
use rayon::prelude::*;

use crate::{
    atomic::{self, AtomicFile},
    error::{IoError, Kind},
    layout::FilesWanted,
    layouts::Format,
    lock::FolderLock,
    manifest::ShardEntry,
    sorted::SortedIds,
    stamp::{Check, Stamp, touched_since},
    url,
};

pub use options::{Part, ReshardOptions, Resharded, Shuffle};

use copy::{is_written, write_shard};
use folder::{Earlier, META, Plan, Writing, check_folder, completed, earlier, write_json};
use order::Order;
use scan::Source;
use scans::{Scans, scan_all};

/// Shards that may wait for the disk.
const WAITING: usize = 2;

/// Copies the samples of the selection `subset` from the shards of `pool` into new shards in the
/// folder `out`.
///
/// `pool` is a folder of tar files (or with a folder `shards` of them), one tar file, or a pattern
/// such as `shards/{00000..00099}.tar`, or a URL of one ([`url`]); `subset` any form that
/// [`subset::read`](crate::subset::read) reads. A call that stopped goes on when it is repeated.
///
/// # Errors
/// When a file cannot be read or written, `out` holds something else, or the caller cancels; of a task also
/// when other tasks have not read their part of the input yet, or it is to overwrite.
pub fn reshard(
    pool: &Path,
    subset: &Path,
    out: &Path,
    options: ReshardOptions,
    progress: &dyn Progress,
) -> Result<Resharded, IoError> {
    check_options(out, options)?;
    let here = url::local(pool, FilesWanted::Shards, progress)?;
    let tars = Format::Webdataset.layout().shards(&here)?;
    let ids = SortedIds::open(subset)?;
    check_folder(out, &tars, options.overwrite)?;
    let _lock = options.part.map_or_else(|| FolderLock::take(out), |_| FolderLock::share(out))?;
    atomic::remove_leftovers(out)?;
    let plan = Plan {
        selection: ids.digest().to_owned(),
        samples_per_shard: options.samples_per_shard,
        shuffle: options.shuffle,
        ids: options.ids,
        inputs: vec![],
    };
    if let Some(part) = options.part
        && let Some(shards) = completed(out, &plan, &tars, (part, options.check))?
    {
        return Ok(found_complete(&shards, part));
    }
    let scans = Scans::new(out, ids.digest(), options);
    let (sources, mut found) = scan_all(pool, &tars, &ids, &scans, progress)?;
    if found.not_selected + found.without_id == found.input_samples && !ids.is_empty() {
        return Err(none_selected(pool, subset, (ids.distinct(), found.input_samples)));
    }
    let plan = Plan { inputs: sources.iter().map(Source::planned).collect(), ..plan };
    let earlier = earlier(out, &plan, options.overwrite)?;
    let order = Order::new(&sources, options.shuffle);
    let call = Call { sources: &sources, order: &order, out, options, progress };
    let before = call.own().filter(|k| earlier.written.contains_key(k)).count();
    let mut shards = call.still_there(earlier)?;
    (found.written, found.output_shards) = (order.len(), call.shards());
    (found.found_written, found.written_again) = (shards.len(), before - shards.len());
    found.own_shards = call.own().count();
    let mut folder = match options.part {
        Some(part) => Writing::join(out, &plan, part, call.entries(&BTreeMap::new()))?,
        None => Writing::begin(out, &plan, call.entries(&shards))?,
    };
    call.write_missing(&mut shards, &mut folder)?;
    sources.iter().try_for_each(|source| source.input.check_untouched(&source.tar))?;
    if options.part.is_some() {
        return Ok(found);
    }
    found.complete = true;
    ids.write_npy(&out.join("sample_ids.npy"))?;
    let sizes = (0..call.shards()).map(|k| (tar_name(k), call.rows(k).len()));
    write_json(&out.join("sizes.json"), &sizes.collect::<BTreeMap<_, _>>())?;
    write_json(&out.join(META), &meta(pool, subset, out, options, &found))?;
    // Written last: who finds it complete finds everything.
    let left_out = found.skipped.iter().map(|shard| shard.name.clone()).collect();
    folder.end(&plan, left_out, call.entries(&shards))?;
    Ok(found)
}

fn none_selected(pool: &Path, subset: &Path, (wanted, samples): (usize, usize)) -> IoError {
    let problem = format!("names {wanted} ids, of which none is that of one of {samples} samples");
    let remedy = format!("give the selection that was made of {}", pool.display());
    IoError::new(Kind::Disagree, subset, problem, remedy)
}

/// What a task says of a folder that is complete.
fn found_complete(shards: &[ShardEntry], part: Part) -> Resharded {
    let own = (0..shards.len()).filter(|&k| part.has(k)).count();
    Resharded {
        written: shards.iter().map(|shard| shard.rows).sum(),
        output_shards: shards.len(),
        own_shards: own,
        found_written: own,
        complete: true,
        ..Resharded::default()
    }
}

fn check_options(out: &Path, options: ReshardOptions) -> Result<(), IoError> {
    let refused = |problem, remedy| Err(IoError::new(Kind::Unsupported, out, problem, remedy));
    match options.part {
        _ if options.samples_per_shard == 0 => {
            refused("shards of 0 samples", "ask for at least one sample in a shard")
        }
        Some(Part { index, tasks }) if index >= tasks => {
            refused("there is no such task", "number the tasks from 0")
        }
        Some(_) if options.overwrite => refused(
            "a task that shares its work cannot replace what is there",
            "empty the folder first, or name another",
        ),
        _ => Ok(()),
    }
}

fn tar_name(shard: usize) -> String {
    format!("{shard:08}.tar")
}

fn stats_name(shard: usize) -> String {
    format!("{shard:08}_stats.json")
}

/// The arguments as text, and what open_clip's and DataComp's training scripts look for.
fn meta(
    pool: &Path,
    subset: &Path,
    out: &Path,
    options: ReshardOptions,
    found: &Resharded,
) -> serde_json::Value {
    let shuffle = options.shuffle;
    serde_json::json!({
        "input_dir": pool.display().to_string(),
        "output_dir": out.display().to_string(),
        "subset_file": subset.display().to_string(),
        "samples_per_shard": options.samples_per_shard.to_string(),
        "shuffle_buffer": shuffle.map_or_else(|| "None".to_owned(), |s| s.buffer.to_string()),
        "shuffle_seed": shuffle.map_or_else(|| "None".to_owned(), |s| s.seed.to_string()),
        "output_shard_count": found.output_shards,
        "output_shard_format": "{:08d}.tar",
    })
}

/// A call on its way.
struct Call<'a> {
    sources: &'a [Source],
    order: &'a Order<'a>,
    out: &'a Path,
    options: ReshardOptions,
    progress: &'a dyn Progress,
}

impl Call<'_> {
    fn shards(&self) -> usize {
        self.order.len().div_ceil(self.options.samples_per_shard)
    }

    /// The shards that this call sees to.
    fn own(&self) -> impl Iterator<Item = usize> {
        let part = self.options.part;
        (0..self.shards()).filter(move |&k| part.is_none_or(|part| part.has(k)))
    }

    fn rows(&self, shard: usize) -> Range<usize> {
        let first = shard * self.options.samples_per_shard;
        first..self.order.len().min(first + self.options.samples_per_shard)
    }

    /// The shards of the folder; those of `written` with their files.
    fn entries(&self, written: &BTreeMap<usize, Stamp>) -> Vec<ShardEntry> {
        let entry = |k: usize| {
            let files = written.get(&k).map(|stamp| (tar_name(k), stamp.clone()));
            let (name, rows) = (format!("{k:08}"), self.rows(k).len());
            ShardEntry { name, rows, files: files.into_iter().collect() }
        };
        (0..self.shards()).map(entry).collect()
    }

    /// Those of the shards of an earlier call that are what would be written now.
    fn still_there(&self, earlier: Earlier) -> Result<BTreeMap<usize, Stamp>, IoError> {
        let Earlier { written, touched } = earlier;
        let own: BTreeSet<usize> = self.own().collect();
        let written: Vec<_> = written.into_iter().filter(|(k, _)| own.contains(k)).collect();
        self.progress.start("check shards", written.len() as u64, "shards");
        let check = |(k, stamp): (usize, Stamp)| {
            let there = self.is_there(k, &stamp, &touched)?;
            self.progress.advance(1);
            Ok(there.then_some((k, stamp)))
        };
        let there: Vec<Result<Option<_>, IoError>> = written.into_par_iter().map(check).collect();
        self.progress.finish();
        there.into_iter().filter_map(Result::transpose).collect()
    }

    fn is_there(&self, k: usize, stamp: &Stamp, touched: &[bool]) -> Result<bool, IoError> {
        let (tar, stats) = (self.out.join(tar_name(k)), self.out.join(stats_name(k)));
        if !stats.exists() || !stamp.holds(&tar, Check::Sample)? {
            return Ok(false);
        }
        let copies = self.order.at(self.rows(k));
        let doubtful = self.options.check == Check::Whole
            || touched_since(&tar, &stats)
            || copies.iter().any(|&(source, ..)| touched[source]);
        if !doubtful {
            return Ok(true);
        }
        is_written(self.sources, &copies, self.options, &tar, self.progress)
    }

    /// Writes the shards that are not there, in parallel, and adds them. What is written waits for the disk
    /// on a thread of its own, while the next shards are.
    fn write_missing(
        &self,
        there: &mut BTreeMap<usize, Stamp>,
        folder: &mut Writing<'_>,
    ) -> Result<(), IoError> {
        let missing: Vec<usize> = self.own().filter(|k| !there.contains_key(k)).collect();
        self.progress.start("write shards", missing.len() as u64, "shards");
        // Threads that wait for the disk do not write, so one thread flushes. The channel is short, so
        // that no more than a few shards are unfinished.
        let (done, waiting) = sync_channel(WAITING);
        std::thread::scope(|scope| {
            let flush = move || waiting.into_iter().try_for_each(|f| self.flush(f, there, folder));
            let flushed = scope.spawn(flush);
            let write = |&k: &usize| {
                let (copies, tar) = (self.order.at(self.rows(k)), self.out.join(tar_name(k)));
                let file = write_shard(self.sources, &copies, self.options, &tar, self.progress)?;
                // Nobody waits for it once a flush has failed, which is the error that counts.
                done.send((k, file)).map_err(|_| IoError::cancelled(self.out))
            };
            let written: Vec<Result<(), IoError>> = missing.par_iter().map(write).collect();
            drop(done);
            flushed.join().expect("flushing does not panic")?;
            written.into_iter().collect::<Result<(), _>>()
        })?;
        self.progress.finish();
        Ok(())
    }

    /// The counts beside a shard are written after it, and it is noted last: who finds that finds it whole.
    fn flush(
        &self,
        (k, file): (usize, AtomicFile),
        there: &mut BTreeMap<usize, Stamp>,
        folder: &mut Writing<'_>,
    ) -> Result<(), IoError> {
        file.commit()?;
        let stats = BTreeMap::from([("successes", self.rows(k).len())]);
        write_json(&self.out.join(stats_name(k)), &stats)?;
        let stamp = Stamp::of_sample(&self.out.join(tar_name(k)))?;
        folder.note(k, &stamp)?;
        there.insert(k, stamp);
        self.progress.advance(1);
        Ok(())
    }
}
