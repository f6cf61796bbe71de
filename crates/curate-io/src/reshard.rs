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
//! | members' dates in the tar files | the time of writing | 1970-01-01, so that bytes repeat |
//!
//! Written are `00000000.tar` …, each with `00000000_stats.json` (`{"successes": n}`), and then
//! `sizes.json` (samples by tar file), `sample_ids.npy` (the selection, sorted) and `meta.json`.
//! Tar files have the bytes that the Python package webdataset writes (`TarWriter(mtime=0)`).
//!
//! Memory: 24 bytes for each sample that is written, 8 more for each output sample when shuffling,
//! and a selection of up to 4 million ids; a larger sorted one stays on disk.
//!
//! [mlfoundations/datacomp]: https://github.com/mlfoundations/datacomp

mod folder;
mod options;
mod order;
mod scan;
mod tar_writer;

use std::{collections::BTreeMap, fs::File, ops::Range, path::Path, sync::mpsc::sync_channel};

use curate_core::Progress;
use rayon::prelude::*;

use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
    layout::FilesWanted,
    layouts::Format,
    shard_files::stem,
    sorted::SortedIds,
    tar_samples::{Texts, known_by, read_sample},
    url,
};

pub use options::{ReshardOptions, Resharded, Shuffle};

use folder::{Plan, check_folder, prepare, write_json};
use order::Order;
use scan::{Source, digest_of_inputs, scan_all};
use tar_writer::TarWriter;

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
/// When a file cannot be read or written, `out` holds something else, or the caller cancels.
pub fn reshard(
    pool: &Path,
    subset: &Path,
    out: &Path,
    options: ReshardOptions,
    progress: &dyn Progress,
) -> Result<Resharded, IoError> {
    if options.samples_per_shard == 0 {
        let remedy = "ask for at least one sample in a shard";
        return Err(IoError::new(Kind::Unsupported, out, "shards of 0 samples", remedy));
    }
    let here = url::local(pool, FilesWanted::Shards, progress)?;
    let tars = Format::Webdataset.layout().shards(&here)?;
    let ids = SortedIds::open(subset)?;
    check_folder(out, &tars, options.overwrite)?;
    let (sources, mut found) = scan_all(tars, &ids, options, progress)?;
    let plan = Plan {
        selection: ids.digest().to_owned(),
        inputs: digest_of_inputs(&sources),
        samples_per_shard: options.samples_per_shard,
        shuffle: options.shuffle,
    };
    prepare(out, &plan, options.overwrite)?;
    let order = Order::new(&sources, options.shuffle);
    found.written = order.len();
    found.output_shards = order.len().div_ceil(options.samples_per_shard);
    found.found_written = write_all(&sources, &order, out, options, progress)?;
    let shards: Vec<(String, usize)> = (0..found.output_shards)
        .map(|k| (tar_name(k), shard_rows(k, options, order.len()).len()))
        .collect();
    ids.write_npy(&out.join("sample_ids.npy"))?;
    write_json(&out.join("sizes.json"), &shards.into_iter().collect::<BTreeMap<_, _>>())?;
    // Written last: who finds it finds everything.
    write_json(&out.join("meta.json"), &meta(pool, subset, out, options, &found))?;
    Ok(found)
}

fn tar_name(shard: usize) -> String {
    format!("{shard:08}.tar")
}

fn stats_name(shard: usize) -> String {
    format!("{shard:08}_stats.json")
}

fn shard_rows(shard: usize, options: ReshardOptions, total: usize) -> Range<usize> {
    let first = shard * options.samples_per_shard;
    first..total.min(first + options.samples_per_shard)
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

/// Writes the shards that are not there yet, in parallel; answers how many there were. What is written
/// waits for the disk on a thread of its own, while the next shards are.
fn write_all(
    sources: &[Source],
    order: &Order<'_>,
    out: &Path,
    options: ReshardOptions,
    progress: &dyn Progress,
) -> Result<usize, IoError> {
    let shards = order.len().div_ceil(options.samples_per_shard);
    let (there, missing): (Vec<usize>, Vec<usize>) = (0..shards)
        .partition(|&k| out.join(stats_name(k)).exists() && out.join(tar_name(k)).exists());
    progress.start("write shards", missing.len() as u64, "shards");
    let rows = |k: usize| shard_rows(k, options, order.len());
    // Threads that wait for the disk do not write, so one thread flushes. The channel is short, so that no more than a few shards are unfinished, and the
    // counts beside a shard are written after it: who finds them finds it whole.
    let (done, waiting) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let flush = |(k, file): (usize, AtomicFile)| {
            file.commit()?;
            let stats = BTreeMap::from([("successes", rows(k).len())]);
            write_json(&out.join(stats_name(k)), &stats)?;
            progress.advance(1);
            Ok::<_, IoError>(())
        };
        let flushed = scope.spawn(move || waiting.into_iter().try_for_each(flush));
        let write = |&k: &usize| {
            let file = write_shard(
                sources,
                &order.at(rows(k)),
                options,
                &out.join(tar_name(k)),
                progress,
            )?;
            // Nobody waits for it once a flush has failed, which is the error that counts.
            done.send((k, file)).map_err(|_| IoError::cancelled(out))
        };
        let written: Vec<Result<(), IoError>> = missing.par_iter().map(write).collect();
        drop(done);
        flushed.join().expect("flushing does not panic")?;
        written.into_iter().collect::<Result<(), _>>()
    })?;
    progress.finish();
    Ok(there.len())
}

fn write_shard(
    sources: &[Source],
    copies: &[(usize, usize, u32)],
    options: ReshardOptions,
    path: &Path,
    progress: &dyn Progress,
) -> Result<AtomicFile, IoError> {
    let mut out = TarWriter::create(path)?;
    // Input order opens each file once; a shuffle at most as often as its source changes.
    let mut open: Option<(usize, File)> = None;
    let mut before = (String::new(), 0);
    for &(source, sample, copy) in copies {
        progress.check().map_err(|_| IoError::cancelled(path))?;
        let Source { tar, picked } = &sources[source];
        if open.as_ref().is_none_or(|(at, _)| *at != source) {
            open = Some((source, File::open(tar).map_err(|e| IoError::os(tar, "read", e))?));
        }
        let (_, file) = open.as_ref().expect("just opened");
        let sample = read_sample(tar, file, picked[sample].bytes.clone())?;
        let texts = Texts::record_of(tar, file, &sample)?;
        let record = texts.record().ok().flatten();
        let uid = match record.as_ref().and_then(|record| record.get("uid")?.name()) {
            Some(uid) => uid.into_owned(),
            None => {
                let known = known_by(&sample, record.as_ref());
                known.id_in(&stem(tar), options.ids).unwrap_or_default().to_string()
            }
        };
        // Two samples of one key side by side would be one to webdataset, with every name twice.
        let follows = before.0 == uid && copy <= before.1;
        let copy = if follows { before.1 + 1 } else { copy };
        for member in sample.sorted_members() {
            out.append(&format!("{uid}-{copy}.{}", member.ending), tar, file, member)?;
        }
        before = (uid, copy);
    }
    out.finish()
}
