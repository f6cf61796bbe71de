//! Resharding: the samples of a selection, copied from WebDataset shards into new ones.
//!
//! What DataComp's resharder does ([mlfoundations/datacomp], `resharder.py`), with one outcome for
//! any number of threads:
//!
//! | | DataComp's resharder | this crate |
//! |---|---|---|
//! | an id that occurs `n` times in the selection | written `n` times, keys `UID-0` … `UID-(n-1)` | the same |
//! | a sample without a record | left out | left out, unless its key is an id of the selection ([`id_of_key`](crate::webdataset::id_of_key)) |
//! | order of the output | as workers happen to finish | input order, or a seeded shuffle of it |
//! | a selection that is not sorted | loses samples | sorted first |
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

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use curate_core::{Progress, SampleId, random};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    IoError, Kind,
    atomic::{self, AtomicFile},
    digest,
    pool::{BadShards, SkippedShard, shard_files, stem},
    remote::{self, Wanted},
    sorted::SortedIds,
    vectors::read_exact_at,
    webdataset::{Member, id_of, list_members, read_sample, uid_text},
};

/// The record by which a later call knows what the shards in a folder are.
const PLAN_FILE: &str = ".curate-reshard.json";

/// Tar files are padded to blocks of this size.
const TAR_RECORD: u64 = 10_240;

/// How to reshard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReshardOptions {
    /// Samples in an output shard; the last one may have fewer.
    pub samples_per_shard: usize,
    /// Mix the samples on their way.
    pub shuffle: Option<Shuffle>,
    /// What to do with an input shard that cannot be read.
    pub bad_shards: BadShards,
    /// Replace what an earlier call with other settings wrote.
    pub overwrite: bool,
}

impl Default for ReshardOptions {
    fn default() -> Self {
        Self {
            samples_per_shard: 10_000,
            shuffle: None,
            bad_shards: BadShards::Error,
            overwrite: false,
        }
    }
}

/// A shuffle buffer: of the samples that wait in it, a random one goes when the next comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Samples that wait; as many as there are for a full shuffle.
    pub buffer: usize,
    /// The same seed gives the same order.
    pub seed: u64,
}

/// What was resharded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resharded {
    /// Input shards that were read.
    pub input_shards: usize,
    /// Samples in them.
    pub input_samples: usize,
    /// Samples written, repeats included.
    pub written: usize,
    /// Output shards.
    pub output_shards: usize,
    /// Output shards that an earlier call had written.
    pub found_written: usize,
    /// Samples left out because their record has no usable `uid`, or they have no record and their
    /// key is in no selection.
    pub without_id: usize,
    /// Different ids of the selection that no sample has.
    pub ids_without_sample: usize,
    /// Samples with the id of an earlier sample: they are written too, under the same keys.
    pub repeated_samples: usize,
    /// Input shards that were left out.
    pub skipped: Vec<SkippedShard>,
}

/// The samples of one input shard that are written.
struct Source {
    tar: PathBuf,
    picked: Vec<Picked>,
}

/// Where a sample lies in its shard, and how often it is written.
struct Picked {
    bytes: Range<u64>,
    copies: u32,
}

/// What reading an input shard tells.
#[derive(Default)]
struct Scan {
    picked: Vec<Picked>,
    samples: usize,
    without_id: usize,
}

/// What makes two calls the same.
#[derive(PartialEq, Serialize, Deserialize)]
struct Plan {
    selection: String,
    inputs: String,
    samples_per_shard: usize,
    shuffle: Option<Shuffle>,
}

/// Copies the samples of the selection `subset` from the shards of `pool` into new shards in the
/// folder `out`.
///
/// `pool` is a folder of tar files (or with a folder `shards` of them), one tar file, or a pattern
/// such as `shards/{00000..00099}.tar`, or a URL of one ([`remote`]); `subset` any form that
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
    let here = remote::local(pool, Wanted::Shards, progress)?;
    let inner = here.join("shards");
    let tars = shard_files(if inner.is_dir() { &inner } else { &here }, "tar")?;
    let ids = SortedIds::open(subset)?;
    check_folder(out, &tars, options.overwrite)?;
    let (sources, mut found) = scan_all(tars, &ids, options.bad_shards, progress)?;
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

/// As Python's `json.dump` lays it out, which scripts that compare files rely on.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), IoError> {
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut text, PythonLayout);
    value.serialize(&mut writer).expect("numbers and text are JSON");
    atomic::write(path, &text)
}

struct PythonLayout;

impl serde_json::ser::Formatter for PythonLayout {
    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
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

/// The shards that were read, and where the samples lie in them: a shard that was left out and is
/// whole now gives other output.
fn digest_of_inputs(sources: &[Source]) -> String {
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

/// Refuses a folder that cannot be written to, before anything is read.
fn check_folder(out: &Path, tars: &[PathBuf], overwrite: bool) -> Result<(), IoError> {
    fs::create_dir_all(out).map_err(|e| IoError::os(out, "created", e))?;
    let place = |path: &Path| path.canonicalize().ok();
    let input = tars.first().and_then(|tar| tar.parent());
    if input.is_some_and(|input| place(input).is_some() && place(input) == place(out)) {
        let problem = "is the folder that the samples are read from";
        return Err(IoError::new(Kind::Disagree, out, problem, "name another folder"));
    }
    atomic::remove_leftovers(out)?;
    if overwrite || out.join(PLAN_FILE).exists() || entries(out)?.is_empty() {
        return Ok(());
    }
    let remedy = "name another folder, or replace the shards there with --overwrite";
    Err(IoError::new(Kind::Disagree, out, "is not empty", remedy))
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, IoError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    entries.map_err(|e| IoError::os(folder, "read", e))
}

/// Makes the folder ready: empty of shards but for those that an equal call wrote.
fn prepare(out: &Path, plan: &Plan, overwrite: bool) -> Result<(), IoError> {
    let record = out.join(PLAN_FILE);
    let earlier =
        fs::read(&record).ok().and_then(|text| serde_json::from_slice::<Plan>(&text).ok());
    if earlier.as_ref() == Some(plan) {
        return Ok(());
    }
    if !overwrite && record.exists() {
        let problem = "holds shards of another selection, pool or settings";
        let remedy = "name another folder, or replace the shards there with --overwrite";
        return Err(IoError::new(Kind::Disagree, out, problem, remedy));
    }
    for name in entries(out)?.iter().map(fs::DirEntry::file_name).filter(|name| is_ours(name)) {
        let path = out.join(name);
        fs::remove_file(&path).map_err(|e| IoError::os(&path, "removed", e))?;
    }
    write_json(&record, plan)
}

/// Files that a resharder writes, and no others.
fn is_ours(name: &std::ffi::OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let number = name.strip_suffix(".tar").or_else(|| name.strip_suffix("_stats.json"));
    let numbered = |n: &str| n.len() == 8 && n.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(numbered)
        || ["sizes.json", "meta.json", "sample_ids.npy", PLAN_FILE].contains(&name)
}

/// Reads the lists of members and the records of all input shards, in parallel.
fn scan_all(
    tars: Vec<PathBuf>,
    ids: &SortedIds,
    bad_shards: BadShards,
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Resharded), IoError> {
    let seen = Seen::new(ids.len());
    progress.start("find samples", tars.len() as u64, "shards");
    let scans: Vec<_> = tars
        .par_iter()
        .map(|tar| {
            progress.check().map_err(|_| IoError::cancelled(tar))?;
            let scan = scan(tar, ids, &seen);
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
                sources.push(Source { tar, picked: scan.picked });
            }
            Err(e) if bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
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

fn scan(tar: &Path, ids: &SortedIds, seen: &Seen) -> Result<Scan, IoError> {
    let mut file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
    let samples = list_members(tar, &mut file)?;
    let mut scan = Scan { samples: samples.len(), ..Scan::default() };
    let mut places = Vec::new();
    for sample in samples {
        let id = id_of(tar, &file, &sample)?;
        let (place, copies) = id.map_or(Ok((0, 0)), |id| ids.find(id))?;
        if copies > 0 {
            places.push(place);
            let copies = u32::try_from(copies).map_err(|e| {
                IoError::malformed(tar, "a sample is wanted more than 4 billion times").caused_by(e)
            })?;
            scan.picked.push(Picked { bytes: sample.bytes, copies });
        } else if id.is_none() || !sample.has_record() {
            scan.without_id += 1;
        }
    }
    // Only once the whole shard is known to be good: one that is left out has no samples.
    places.into_iter().for_each(|place| seen.add(place));
    Ok(scan)
}

/// Which copy of which sample comes at each place of the output.
struct Order<'a> {
    sources: &'a [Source],
    /// The first place in input order of each source, and the number of places at the end.
    starts: Vec<usize>,
    /// The place in input order of each place of the output, where they differ.
    shuffled: Option<Vec<usize>>,
}

impl<'a> Order<'a> {
    fn new(sources: &'a [Source], shuffle: Option<Shuffle>) -> Self {
        let copies =
            |source: &Source| source.picked.iter().map(|p| p.copies as usize).sum::<usize>();
        let mut starts = vec![0];
        starts.extend(sources.iter().scan(0, |end, source| {
            *end += copies(source);
            Some(*end)
        }));
        let total = starts[sources.len()];
        Self { sources, starts, shuffled: shuffle.map(|shuffle| shuffle.order(total)) }
    }

    fn len(&self) -> usize {
        self.starts[self.sources.len()]
    }

    /// The source, the sample and the number of the copy at each of these places of the output, in
    /// order.
    fn at(&self, places: Range<usize>) -> Vec<(usize, usize, u32)> {
        let mut wanted: Vec<(usize, usize)> = match &self.shuffled {
            Some(shuffled) => places.map(|place| (shuffled[place], place)).collect(),
            None => places.map(|place| (place, place)).collect(),
        };
        // One walk along the samples of each source finds all copies.
        wanted.sort_unstable();
        let mut found = Vec::with_capacity(wanted.len());
        let (mut source, mut sample, mut end) = (usize::MAX, 0, 0);
        for (from, place) in wanted {
            let source_now = self.starts.partition_point(|&start| start <= from) - 1;
            if source_now != source {
                (source, sample) = (source_now, 0);
                end = self.starts[source] + self.sources[source].picked[0].copies as usize;
            }
            while end <= from {
                sample += 1;
                end += self.sources[source].picked[sample].copies as usize;
            }
            let copies = self.sources[source].picked[sample].copies;
            let before_end = u32::try_from(end - from).expect("at most the number of copies");
            found.push((place, (source, sample, copies - before_end)));
        }
        found.sort_unstable_by_key(|&(place, _)| place);
        found.into_iter().map(|(_, copy)| copy).collect()
    }
}

impl Shuffle {
    /// The order in which a buffer lets `total` samples out.
    fn order(self, total: usize) -> Vec<usize> {
        let draw = |n: usize, below: usize| {
            (random::hash(self.seed, SampleId(n as u128)) % below as u64) as usize
        };
        let mut out = Vec::with_capacity(total);
        let mut waiting: Vec<usize> = Vec::new();
        for place in 0..total {
            if waiting.len() < self.buffer.max(1) {
                waiting.push(place);
            } else {
                let chosen = draw(out.len(), waiting.len());
                out.push(std::mem::replace(&mut waiting[chosen], place));
            }
        }
        while !waiting.is_empty() {
            let chosen = draw(out.len(), waiting.len());
            out.push(waiting.swap_remove(chosen));
        }
        out
    }
}

/// Writes the shards that are not there yet, in parallel; answers how many there were.
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
    let written: Vec<Result<(), IoError>> = missing
        .par_iter()
        .map(|&k| {
            let rows = shard_rows(k, options, order.len());
            let copies = order.at(rows.clone());
            write_shard(sources, &copies, &out.join(tar_name(k)), progress)?;
            let stats = BTreeMap::from([("successes", rows.len())]);
            write_json(&out.join(stats_name(k)), &stats)?;
            progress.advance(1);
            Ok(())
        })
        .collect();
    written.into_iter().collect::<Result<(), _>>()?;
    progress.finish();
    Ok(there.len())
}

fn write_shard(
    sources: &[Source],
    copies: &[(usize, usize, u32)],
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), IoError> {
    let mut out = TarWriter { out: AtomicFile::create(path)?, path, length: 0 };
    // Input order opens each file once; a shuffle at most as often as its source changes.
    let mut open: Option<(usize, File)> = None;
    for &(source, sample, copy) in copies {
        progress.check().map_err(|_| IoError::cancelled(path))?;
        let Source { tar, picked } = &sources[source];
        if open.as_ref().is_none_or(|(at, _)| *at != source) {
            open = Some((source, File::open(tar).map_err(|e| IoError::os(tar, "read", e))?));
        }
        let (_, file) = open.as_ref().expect("just opened");
        let sample = read_sample(tar, file, picked[sample].bytes.clone())?;
        let uid = match uid_text(tar, file, &sample)? {
            Some(uid) => uid,
            None => id_of(tar, file, &sample)?.unwrap_or_default().to_string(),
        };
        for member in sample.sorted_members() {
            out.append(&format!("{uid}-{copy}.{}", member.ending), tar, file, member)?;
        }
    }
    out.finish()
}

/// Writes tar files as the Python package webdataset does.
struct TarWriter<'a> {
    out: AtomicFile,
    path: &'a Path,
    length: u64,
}

impl TarWriter<'_> {
    fn append(
        &mut self,
        name: &str,
        tar: &Path,
        file: &File,
        member: &Member,
    ) -> Result<(), IoError> {
        let failed = |e| IoError::os(self.path, "written", e);
        let header = headers(name, member.size).map_err(failed)?;
        self.out.write_all(&header).map_err(failed)?;
        let mut buffer = vec![0; usize::try_from(member.size.min(1 << 20)).expect("at most 1 MiB")];
        let (mut at, end) = (member.offset, member.offset + member.size);
        while at < end {
            let n = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            read_exact_at(file, &mut buffer[..n], at).map_err(|e| IoError::os(tar, "read", e))?;
            self.out.write_all(&buffer[..n]).map_err(failed)?;
            at += n as u64;
        }
        self.length += header.len() as u64 + member.size;
        self.pad(512)
    }

    fn pad(&mut self, block: u64) -> Result<(), IoError> {
        let more = self.length.next_multiple_of(block) - self.length;
        let zeros = vec![0; usize::try_from(more).expect("less than a block")];
        self.length += more;
        self.out.write_all(&zeros).map_err(|e| IoError::os(self.path, "written", e))
    }

    /// Two empty blocks end a tar file.
    fn finish(mut self) -> Result<(), IoError> {
        self.out.write_all(&[0; 1024]).map_err(|e| IoError::os(self.path, "written", e))?;
        self.length += 1024;
        self.pad(TAR_RECORD)?;
        self.out.commit()
    }
}

/// The header of a member, with one before it for a name of more than 100 bytes.
fn headers(name: &str, size: u64) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o444);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_username("bigdata")?;
    header.set_groupname("bigdata")?;
    if name.len() <= 100 {
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        set_checksum(&mut header);
        return Ok(header.as_bytes().to_vec());
    }
    let mut long = tar::Builder::new(Vec::new());
    long.append_pax_extensions([("path", name.as_bytes())])?;
    let mut bytes = long.get_ref().clone();
    header.as_old_mut().name.copy_from_slice(&name.as_bytes()[..100]);
    set_checksum(&mut header);
    bytes.extend(header.as_bytes());
    Ok(bytes)
}

/// Six digits, a zero, a space: one of the ways to write a checksum, and Python's.
fn set_checksum(header: &mut tar::Header) {
    header.set_cksum();
    let sum = header.cksum().expect("the checksum was just set");
    let text = format!("{sum:06o}\0 ");
    header.as_old_mut().cksum.copy_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_buffer_lets_everything_out_once_and_nothing_early() {
        for (total, buffer) in [(0, 4), (3, 10), (100, 7), (50, 1), (40, 0)] {
            let shuffle = Shuffle { buffer, seed: 3 };
            let order = shuffle.order(total);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..total).collect::<Vec<_>>());
            // When the n-th sample goes out, at most n + buffer samples have come in.
            assert!(order.iter().enumerate().all(|(n, &place)| place < n + buffer.max(1)));
            assert_eq!(order, shuffle.order(total));
        }
        let order = |seed| Shuffle { buffer: 20, seed }.order(100);
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_copy_has_its_place() {
        let source = |copies: &[u32]| Source {
            tar: PathBuf::new(),
            picked: copies.iter().map(|&copies| Picked { bytes: 0..0, copies }).collect(),
        };
        let sources = [source(&[2, 1]), source(&[]), source(&[1, 3])];
        let order = Order::new(&sources, None);
        assert_eq!(order.len(), 7);
        let all = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1), (2, 1, 2)];
        for from in 0..=7 {
            for to in from..=7 {
                assert_eq!(order.at(from..to), all[from..to]);
            }
        }
        let mixed = Order::new(&sources, Some(Shuffle { buffer: 3, seed: 1 }));
        let expected: Vec<_> =
            mixed.shuffled.clone().unwrap().into_iter().map(|place| all[place]).collect();
        assert_eq!(mixed.at(0..7), expected);
        assert_eq!(mixed.at(2..5), expected[2..5]);
    }
}
