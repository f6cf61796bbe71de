//! WebDataset shards: tar files whose members share a key up to the first dot.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, fault::Fault};
use rayon::prelude::*;
use serde_json::Value;

use crate::{
    IoError, Kind, Sample,
    datacomp::id_of_text,
    pool::{Listing, ShardIds, ShardRule, no_column, shard_files, stem},
    vectors::read_exact_at,
};

/// The endings of image members, as open_clip lists them.
const IMAGES: [&str; 5] = ["jpg", "png", "jpeg", "webp", "gif"];

/// No caption or record is longer; a member that says so is damage or an attack.
const LONGEST_TEXT: u64 = 16 << 20;

/// Programs pad a tar file with empty blocks, to 10 KiB or to their buffer; more is what a download
/// reserved and never filled, or another tar file behind the first.
const LONGEST_PADDING: u64 = 1 << 20;

/// No name of a member is longer; one that is would be held in memory.
const LONGEST_NAME: u64 = 1 << 20;

/// The samples of tar shards.
pub(crate) struct WebDataset {
    tars: Vec<PathBuf>,
    /// The samples of each shard.
    samples: Vec<Vec<TarSample>>,
}

pub(crate) struct TarSample {
    key: String,
    members: Vec<Member>,
    /// The bytes of the shard from the sample's first header to the end of its last member.
    pub(crate) bytes: Range<u64>,
}

pub(crate) struct Member {
    pub(crate) ending: String,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl TarSample {
    /// Its members, by ending.
    pub(crate) fn sorted_members(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by(|a, b| a.ending.cmp(&b.ending));
        members
    }

    /// True when it has a record.
    pub(crate) fn has_record(&self) -> bool {
        self.member(&["json"]).is_some()
    }

    fn member(&self, endings: &[&str]) -> Option<&Member> {
        endings.iter().find_map(|ending| self.members.iter().find(|m| m.ending == *ending))
    }
}

impl WebDataset {
    pub(crate) fn open(
        path: &Path,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
    ) -> Result<(Listing, Self), IoError> {
        let inner = path.join("shards");
        let folder = if inner.is_dir() { &inner } else { path };
        let files = shard_files(folder, "tar")?;
        let (listing, read) = Listing::read("read shards", files, rule, progress, read_shard)?;
        let (tars, samples) = read.into_iter().unzip();
        Ok((listing, Self { tars, samples }))
    }

    /// The numbers in the record of the first sample that has one.
    pub(crate) fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        for (tar, samples) in self.tars.iter().zip(&self.samples) {
            let file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
            if let Some(sample) = samples.iter().find(|s| s.member(&["json"]).is_some()) {
                let record = record(tar, &file, sample)?;
                return Ok(record
                    .iter()
                    .filter(|(_, v)| v.is_number())
                    .map(|(k, _)| k.clone())
                    .collect());
            }
        }
        Ok(Vec::new())
    }

    pub(crate) fn column(&self, name: &str) -> Result<Vec<f32>, IoError> {
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        let values = self.field(name, number)?;
        if values.iter().all(Option::is_none) && !values.is_empty() {
            return Err(no_column(&self.tars[0], name, &self.numeric_columns()?));
        }
        Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
    }

    pub(crate) fn labels(&self, name: &str) -> Result<Vec<Option<String>>, IoError> {
        self.field(name, |value| value.as_str().map(str::to_owned))
    }

    /// A field of every sample's record.
    fn field<T: Send + Clone>(
        &self,
        name: &str,
        convert: impl Fn(&Value) -> Option<T> + Sync,
    ) -> Result<Vec<Option<T>>, IoError> {
        let shards: Vec<_> = self
            .tars
            .par_iter()
            .zip(&self.samples)
            .map(|(tar, samples)| {
                let file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
                let value = |sample| Ok(record(tar, &file, sample)?.get(name).and_then(&convert));
                samples.iter().map(value).collect::<Result<Vec<_>, IoError>>()
            })
            .collect();
        Ok(shards.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(crate) fn samples(
        &self,
        listing: &Listing,
        rows: &[usize],
        images: bool,
    ) -> Result<Vec<Sample>, IoError> {
        let mut found = Vec::with_capacity(rows.len());
        for (s, shard) in listing.shards.iter().enumerate() {
            let from = rows.partition_point(|&row| row < shard.rows.start);
            let to = rows.partition_point(|&row| row < shard.rows.end);
            if from == to {
                continue;
            }
            let tar = &self.tars[s];
            let file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
            for &row in &rows[from..to] {
                let sample = &self.samples[s][row - shard.rows.start];
                let mut shown = show(tar, &file, sample, images)?;
                shown.id = listing.ids[row];
                shown.shard.clone_from(&shard.name);
                found.push(shown);
            }
        }
        Ok(found)
    }
}

fn show(tar: &Path, file: &File, sample: &TarSample, images: bool) -> Result<Sample, IoError> {
    let mut fields = BTreeMap::new();
    for (name, value) in record(tar, file, sample)? {
        match value {
            Value::String(text) => drop(fields.insert(name, text)),
            Value::Number(number) => drop(fields.insert(name, number.to_string())),
            Value::Bool(flag) => drop(fields.insert(name, flag.to_string())),
            _ => {}
        }
    }
    let caption = match sample.member(&["txt"]) {
        Some(member) if member.size > LONGEST_TEXT => None,
        Some(member) => Some(String::from_utf8_lossy(&bytes(tar, file, member)?).trim().to_owned()),
        None => fields.get("caption").cloned(),
    };
    let image = match sample.member(&IMAGES) {
        Some(member) if images => Some(bytes(tar, file, member)?),
        _ => None,
    };
    Ok(Sample { key: Some(sample.key.clone()), caption, image, fields, ..Sample::default() })
}

/// The JSON record of a sample; empty where it has none, or one too long to be one.
fn record(tar: &Path, file: &File, sample: &TarSample) -> Result<BTreeMap<String, Value>, IoError> {
    let Some(member) = sample.member(&["json"]).filter(|m| m.size <= LONGEST_TEXT) else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_slice(&bytes(tar, file, member)?).map_err(|e| {
        IoError::malformed(tar, format!("member `{}.json` is no JSON object", sample.key))
            .caused_by(e)
    })
}

fn bytes(tar: &Path, file: &File, member: &Member) -> Result<Vec<u8>, IoError> {
    // The size was checked against the length of the file when the shard was opened.
    let mut bytes = vec![0; usize::try_from(member.size).expect("a member fits its file")];
    read_exact_at(file, &mut bytes, member.offset).map_err(|e| IoError::os(tar, "read", e))?;
    Ok(bytes)
}

fn read_shard(tar: &Path) -> Result<(ShardIds, Vec<TarSample>), IoError> {
    let mut file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
    let samples = list_members(tar, &mut file)?;
    check_count(tar, samples.len())?;
    let mut found = ShardIds::default();
    for (row, sample) in samples.iter().enumerate() {
        let id = id_of(tar, &file, sample)?;
        if id.is_none() {
            found.faults.push((row, Fault::MalformedId));
        }
        found.ids.push(id.unwrap_or_else(|| crate::datacomp::substitute_id(tar, row)));
        if sample.member(&IMAGES).is_none() {
            found.faults.push((row, Fault::ImageMissing));
        } else if sample.member(&["txt", "json"]).is_none() {
            found.faults.push((row, Fault::CaptionMissing));
        }
    }
    found.faults.dedup_by_key(|(row, _)| *row);
    Ok((found, samples))
}

/// A sample's id: the `uid` of its record; without one, its key if that has 32 hexadecimal digits,
/// and else the first 128 bits of the SHA-256 of its key. `None` for a `uid` that is no id.
pub(crate) fn id_of(
    tar: &Path,
    file: &File,
    sample: &TarSample,
) -> Result<Option<SampleId>, IoError> {
    let record = match sample.member(&["json"]) {
        Some(member) if member.size > LONGEST_TEXT => return Ok(None),
        _ => record(tar, file, sample)?,
    };
    Ok(match record.get("uid") {
        Some(Value::String(uid)) => uid.parse().ok(),
        Some(_) => None,
        None => Some(id_of_key(&sample.key)),
    })
}

/// The `uid` of a sample's record as it is written there, where that is an id.
pub(crate) fn uid_text(
    tar: &Path,
    file: &File,
    sample: &TarSample,
) -> Result<Option<String>, IoError> {
    let uid = record(tar, file, sample)?.remove("uid");
    Ok(uid.as_ref().and_then(Value::as_str).map(str::to_owned))
}

/// The id of a sample whose record has no `uid`.
pub fn id_of_key(key: &str) -> SampleId {
    match key.parse() {
        Ok(id) if key.len() == 32 => id,
        _ => id_of_text(key),
    }
}

/// The samples of a tar file, in order. Neighbouring members with one key are one sample.
pub(crate) fn list_members(tar: &Path, file: &mut File) -> Result<Vec<TarSample>, IoError> {
    let length = file.metadata().map_err(|e| IoError::os(tar, "read", e))?.len();
    let damaged = |what: &str| {
        let remedy = "fetch the shard again, or set `bad-shards = \"skip\"` to leave it out";
        IoError::new(Kind::Truncated, tar, what.to_owned(), remedy)
    };
    let mut samples: Vec<TarSample> = Vec::new();
    let mut end = 0_u64;
    let mut archive = tar::Archive::new(Headers { inner: &mut *file, read: 0 });
    let entries = archive.entries_with_seek().map_err(|e| IoError::os(tar, "read", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| damaged(&format!("is no tar file, or is cut off: {e}")))?;
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let path = readable(&entry.path_bytes());
        let start = end.next_multiple_of(512);
        end = offset.saturating_add(size);
        if end > length {
            return Err(damaged(&format!(
                "is cut off: member `{path}` ends at byte {end}, the file at {length}"
            )));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Some((key, ending)) = split_name(&path) else { continue };
        let member = Member { ending: ending.to_ascii_lowercase(), offset, size };
        match samples.last_mut() {
            Some(sample) if sample.key == key => {
                sample.members.push(member);
                sample.bytes.end = end;
            }
            _ => {
                let (key, members) = (key.to_owned(), vec![member]);
                samples.push(TarSample { key, members, bytes: start..end });
            }
        }
    }
    let end = end.next_multiple_of(512);
    if length < end + 512 {
        return Err(damaged("is cut off: the empty block that ends a tar file is missing"));
    }
    if length - end > LONGEST_PADDING
        || !is_zero(file, end).map_err(|e| IoError::os(tar, "read", e))?
    {
        return Err(damaged(&format!(
            "ends at byte {end}, but the file at {length}: it was not fetched to its end, or joins \
             several tar files"
        )));
    }
    Ok(samples)
}

/// The key and the ending of a member; `None` for one that belongs to no sample.
fn split_name(path: &str) -> Option<(&str, &str)> {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name_at..].find('.').filter(|&dot| dot > 0)?;
    Some((&path[..name_at + dot], &path[name_at + dot + 1..]))
}

/// The sample that lies in these bytes of a shard, as [`list_members`] found it.
pub(crate) fn read_sample(
    tar: &Path,
    file: &File,
    bytes: Range<u64>,
) -> Result<TarSample, IoError> {
    let (mut samples, start) = (None::<TarSample>, bytes.start);
    let window = Window { file, at: bytes.start, bytes: bytes.clone() };
    let mut archive = tar::Archive::new(Headers { inner: window, read: 0 });
    let entries = archive.entries_with_seek().map_err(|e| IoError::os(tar, "read", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| {
            IoError::malformed(tar, format!("changed while it was read, at byte {start}: {e}"))
        })?;
        let path = readable(&entry.path_bytes());
        let Some((key, ending)) =
            split_name(&path).filter(|_| entry.header().entry_type().is_file())
        else {
            continue;
        };
        let sample = samples.get_or_insert_with(|| TarSample {
            key: key.to_owned(),
            members: Vec::new(),
            bytes: bytes.clone(),
        });
        let offset = start + entry.raw_file_position();
        sample.members.push(Member {
            ending: ending.to_ascii_lowercase(),
            offset,
            size: entry.size(),
        });
    }
    let whole = samples.filter(|s| s.members.iter().all(|m| m.offset + m.size <= bytes.end));
    whole.ok_or_else(|| {
        IoError::malformed(tar, format!("changed while it was read, at byte {start}"))
    })
}

/// Some bytes of a file, read without moving the file's own position.
struct Window<'a> {
    file: &'a File,
    at: u64,
    bytes: Range<u64>,
}

impl Read for Window<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.bytes.end.saturating_sub(self.at);
        let n = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(self.file, &mut out[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => self.bytes.start.checked_add(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(n) => self.bytes.end.checked_add_signed(n),
        };
        let target = target.filter(|&target| target >= self.bytes.start);
        self.at = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.bytes.start)
    }
}

/// A tar file of which only headers are read: between two of them comes a seek, so that more bytes in
/// one go are a name or an extension without an end.
struct Headers<T> {
    inner: T,
    /// Bytes since the last seek.
    read: u64,
}

impl<T: Read> Read for Headers<T> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.read > LONGEST_NAME {
            let problem = format!("a name is longer than {} MiB", LONGEST_NAME >> 20);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
        }
        let n = self.inner.read(out)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<T: Seek> Seek for Headers<T> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.read = 0;
        self.inner.seek(to)
    }
}

/// The name of a member. Two names that are no UTF-8 stay two names.
fn readable(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// True when a file holds only zeros from a byte on.
fn is_zero(file: &mut File, from: u64) -> std::io::Result<bool> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut rest)?;
    Ok(rest.iter().all(|&byte| byte == 0))
}

/// Compares with the number that img2dataset and the resharder write beside each shard.
fn check_count(tar: &Path, samples: usize) -> Result<(), IoError> {
    let stats = tar.with_file_name(format!("{}_stats.json", stem(tar)));
    let Ok(text) = std::fs::read(&stats) else { return Ok(()) };
    let record: Value = serde_json::from_slice(&text)
        .map_err(|e| IoError::malformed(&stats, "is no JSON").caused_by(e))?;
    match record.get("successes").and_then(Value::as_u64) {
        Some(promised) if promised != samples as u64 => {
            let problem = format!("has {samples} samples, but {} says {promised}", stats.display());
            Err(IoError::new(Kind::Disagree, tar, problem, "fetch the shard again"))
        }
        _ => Ok(()),
    }
}
