//! The list of a tar file's samples, and one of them found again.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use super::{
    member::{Member, TarSample},
    window::{Headers, Window},
};
use crate::{
    error::{IoError, Kind},
    positioned::read_exact_at,
};

/// Programs pad a tar file with empty blocks, to 10 KiB or to their buffer; more is what a download
/// reserved and never filled, or another tar file behind the first.
const LONGEST_PADDING: u64 = 1 << 20;

/// What a compressed file begins with, how it is called, and what unpacks it.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
];

/// What is said of a tar file whose end may be missing.
pub(crate) const NO_END: &str = "ends without the block that ends a tar file: all members are whole, but some \
                                 may be missing behind them";

/// The samples of a tar file.
pub(crate) struct Listed {
    /// In the order of the file; neighboring members with one key are one sample.
    pub(crate) samples: Vec<TarSample>,
    /// Members left out, since an earlier one of their sample has their name.
    pub(crate) repeated: usize,
    /// True when an empty block ends the file, as the format asks.
    pub(crate) ended: bool,
}

/// The samples of a tar file, as the Python package webdataset tells them.
pub(crate) fn list_members(tar: &Path, file: &mut File) -> Result<Listed, IoError> {
    let length = file.metadata().map_err(|e| IoError::os(tar, "read", e))?.len();
    check_plain(tar, file, length)?;
    let (mut samples, mut repeated, mut end) = (Vec::<TarSample>::new(), 0, 0_u64);
    let mut archive = tar::Archive::new(Headers { inner: &mut *file, read: 0 });
    let entries = archive.entries_with_seek().map_err(|e| IoError::os(tar, "read", e))?;
    for entry in entries {
        let mut entry =
            entry.map_err(|e| damaged(tar, format!("is not a tar file, or is cut off: {e}")))?;
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let path = readable(&entry.path_bytes());
        // A member begins where the one before ended, not 512 bytes before its data: headers with a
        // long name take several blocks, and the resharder reads a sample from the first.
        let start = end.next_multiple_of(512);
        end = offset.saturating_add(size);
        if end > length {
            let problem =
                format!("is cut off: member `{path}` ends at byte {end}, the file at {length}");
            return Err(damaged(tar, problem));
        }
        if is_sparse(&mut entry) {
            let problem = format!("holds `{path}` as a sparse file");
            let remedy = "pack the shard again without `--sparse`";
            return Err(IoError::new(Kind::Unsupported, tar, problem, remedy));
        }
        let Some((key, ending)) = split_name(&path).filter(|_| is_content(&entry)) else {
            continue;
        };
        let member = Member { ending: ending.to_ascii_lowercase(), offset, size };
        match samples.last_mut().filter(|sample| sample.key == key) {
            Some(sample) => {
                repeated += usize::from(!sample.add(member));
                sample.bytes.end = end;
            }
            None => {
                let (key, members) = (key.to_owned(), vec![member]);
                samples.push(TarSample { key, members, bytes: start..end });
            }
        }
    }
    let ended = check_end(tar, file, end, length)?;
    Ok(Listed { samples, repeated, ended })
}

fn damaged(tar: &Path, what: String) -> IoError {
    IoError::new(Kind::Truncated, tar, what, "fetch the shard again, or leave it out")
}

/// An error for what is no tar file, whatever its name says.
/// Files of a pool that are no shards, by their first bytes.
const OTHERS: [(&[u8], &str); 4] = [
    (b"PAR1", "a Parquet file"),
    (b"\x93NUMPY", "an npy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
];

fn check_plain(tar: &Path, file: &File, length: u64) -> Result<(), IoError> {
    if length == 0 {
        return Err(damaged(tar, "is empty".to_owned()));
    }
    let mut first = vec![0; usize::try_from(length.min(6)).expect("at most 6")];
    read_exact_at(file, &mut first, 0).map_err(|e| IoError::os(tar, "read", e))?;
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| first.starts_with(magic)) {
        let problem = format!("is {name}, not a tar file");
        let remedy = "name the tar files with the samples, or their folder";
        return Err(IoError::new(Kind::Unsupported, tar, problem, remedy));
    }
    match COMPRESSED.iter().find(|(magic, ..)| first.starts_with(magic)) {
        None => Ok(()),
        Some((_, name, unpack)) => {
            let problem = format!("is compressed by {name}");
            let remedy = format!("unpack it (`{unpack}`): samples are read where they lie");
            Err(IoError::new(Kind::Unsupported, tar, problem, remedy))
        }
    }
}

/// Whether an empty block ends the file; an error where something else follows the last member.
/// Without such a block every member is whole, but others may be missing.
fn check_end(tar: &Path, file: &mut File, end: u64, length: u64) -> Result<bool, IoError> {
    let end = end.next_multiple_of(512);
    let zero = length <= end || is_zero(file, end).map_err(|e| IoError::os(tar, "read", e))?;
    if zero && length.saturating_sub(end) <= LONGEST_PADDING {
        return Ok(length >= end + 512);
    }
    let problem = format!(
        "ends at byte {end}, but the file at {length}: it was not fetched to its end, or joins \
         several tar files"
    );
    Err(damaged(tar, problem))
}

/// True for a member with content of its own, which folders and links have not.
fn is_content<R: Read>(entry: &tar::Entry<'_, R>) -> bool {
    let kind = entry.header().entry_type();
    kind.is_file() || kind.is_contiguous()
}

/// True for a file of which only parts lie in the tar file, in either of the forms of GNU tar.
fn is_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    let sparse = |key: &[u8]| key.starts_with(b"GNU.sparse.");
    entry.header().entry_type().is_gnu_sparse()
        || entry.pax_extensions().is_ok_and(|found| {
            found.into_iter().flatten().flatten().any(|pair| sparse(pair.key_bytes()))
        })
}

/// The key and the ending of a member; `None` for one that belongs to no sample: hidden files, and
/// names between double underscores, which webdataset keeps for itself.
fn split_name(path: &str) -> Option<(&str, &str)> {
    let first = path.split('/').next().unwrap_or_default();
    if first.len() >= 4 && first.starts_with("__") && first.ends_with("__") {
        return None;
    }
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
        let Some((key, ending)) = split_name(&path).filter(|_| is_content(&entry)) else {
            continue;
        };
        let sample = samples.get_or_insert_with(|| TarSample {
            key: key.to_owned(),
            members: Vec::new(),
            bytes: bytes.clone(),
        });
        let offset = start + entry.raw_file_position();
        let ending = ending.to_ascii_lowercase();
        sample.add(Member { ending, offset, size: entry.size() });
    }
    let whole = samples.filter(|s| s.members.iter().all(|m| m.offset + m.size <= bytes.end));
    whole.ok_or_else(|| {
        IoError::malformed(tar, format!("changed while it was read, at byte {start}"))
    })
}

/// The name of a member. Two names that are no UTF-8 stay two names.
fn readable(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// True when a file holds only zeros from a byte on.
fn is_zero(file: &mut File, from: u64) -> std::io::Result<bool> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(LONGEST_PADDING + 1).read_to_end(&mut rest)?;
    Ok(rest.iter().all(|&byte| byte == 0))
}
