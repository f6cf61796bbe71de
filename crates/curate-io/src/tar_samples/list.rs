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
use crate::error::{IoError, Kind};

/// Programs pad a tar file with empty blocks, to 10 KiB or to their buffer; more is what a download
/// reserved and never filled, or another tar file behind the first.
const LONGEST_PADDING: u64 = 1 << 20;

/// The samples of a tar file, in order. Neighboring members with one key are one sample.
pub(crate) fn list_members(tar: &Path, file: &mut File) -> Result<Vec<TarSample>, IoError> {
    let length = file.metadata().map_err(|e| IoError::os(tar, "read", e))?.len();
    let damaged = |what: &str| {
        let remedy = "fetch the shard again, or leave it out";
        IoError::new(Kind::Truncated, tar, what.to_owned(), remedy)
    };
    let mut samples: Vec<TarSample> = Vec::new();
    let mut end = 0_u64;
    let mut archive = tar::Archive::new(Headers { inner: &mut *file, read: 0 });
    let entries = archive.entries_with_seek().map_err(|e| IoError::os(tar, "read", e))?;
    for entry in entries {
        let entry =
            entry.map_err(|e| damaged(&format!("is not a tar file, or is cut off: {e}")))?;
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let path = readable(&entry.path_bytes());
        // A member begins where the one before ended, not 512 bytes before its data: headers with a
        // long name take several blocks, and the resharder reads a sample from the first.
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
    // What the format does not ask for and damage breaks: an empty block after the last member, and
    // nothing but zeros from there on.
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
