//! What a file was when it was read or written, by which a later call tells whether it still is that.
//!
//! Two checks: [`Check::Sample`] compares the length and some of the bytes, [`Check::Whole`] reads the
//! file to its end.

use std::{
    fs::{self, Metadata},
    io,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    digest,
    error::{IoError, Kind},
    files,
    positioned::read_exact_at,
    watched::Watched,
};

/// How many pieces of a file a sample has, and the bytes of each.
const PIECES: u64 = 16;
const PIECE: u64 = 4096;

/// How thoroughly a file is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// By its length and 64 KiB of its bytes: its beginning, its end and what lies evenly between. What
    /// is known to have been touched since is read whole.
    #[default]
    Sample,
    /// By all of its bytes.
    Whole,
}

/// Length and digests of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of 64 KiB of it.
    pub sample: String,
    /// SHA-256 of all of it, where it was read whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Stamp {
    /// Reads a file whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self, IoError> {
        let sha256 = Some(digest::of_file(path)?);
        Ok(Self { sha256, ..Self::of_sample(path)? })
    }

    /// Reads 64 KiB of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_sample(path: &Path) -> Result<Self, IoError> {
        Ok(Self { bytes: length(path)?, sample: sample(path)?, sha256: None })
    }

    /// True when the file at `path` is the one of this stamp; false where there is none. Of a file that
    /// was not read whole the sample counts in either check.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn holds(&self, path: &Path, check: Check) -> Result<bool, IoError> {
        let same = || {
            Ok(length(path)? == self.bytes
                && match self.sha256.as_ref().filter(|_| check == Check::Whole) {
                    Some(sha256) => digest::of_file(path)? == *sha256,
                    None => sample(path)? == self.sample,
                })
        };
        unless_missing(same())
    }
}

/// A file that something was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name without its folder, which may be another one by now.
    pub file: String,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: u64,
    /// What it held.
    #[serde(flatten)]
    pub stamp: Stamp,
}

impl Input {
    /// Reads a file whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self, IoError> {
        let modified = modified(path)?;
        Ok(Self { file: name(path), modified, stamp: Stamp::of(path)? })
    }

    /// Reads 64 KiB of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_sample(path: &Path) -> Result<Self, IoError> {
        let modified = modified(path)?;
        Ok(Self { file: name(path), modified, stamp: Stamp::of_sample(path)? })
    }

    /// True when the file at `path` holds what this one held. A file of the same length and time is
    /// believed by a sample, unless the check is of the whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn holds(&self, path: &Path, check: Check) -> Result<bool, IoError> {
        let touched = || Ok(modified(path)? != self.modified);
        let check = if unless_missing(touched())? { Check::Whole } else { check };
        self.stamp.holds(path, check)
    }

    /// The same with the time that the file has now, for a file that [holds](Self::holds) what it held.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn at_its_time(&self, path: &Path) -> Result<Self, IoError> {
        Ok(Self { modified: modified(path)?, ..self.clone() })
    }

    /// An error when the file was changed since this stamp was taken, for who has read it meanwhile.
    ///
    /// # Errors
    /// Then, and when it cannot be read.
    pub fn check_untouched(&self, path: &Path) -> Result<(), IoError> {
        let (bytes, modified) = (self.stamp.bytes, self.modified);
        Watched { path: path.to_owned(), bytes, modified }.check()
    }
}

/// True when `file` was changed after `record` was written or in the same moment, or one of them is not
/// there. Contents, names and rights that change count; where the system does not note those times, the
/// contents do.
pub fn touched_since(file: &Path, record: &Path) -> bool {
    let times = fs::metadata(file).and_then(|file| Ok((file, fs::metadata(record)?)));
    times.map_or(true, |(file, record)| changed(&file) >= changed(&record))
}

#[cfg(unix)]
fn changed(file: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (file.ctime(), file.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(file: &Metadata) -> Option<std::time::SystemTime> {
    file.modified().ok()
}

/// A missing file is not the one that was there.
fn unless_missing(same: Result<bool, IoError>) -> Result<bool, IoError> {
    match same {
        Err(e) if e.kind == Kind::NotFound => Ok(false),
        same => same,
    }
}

pub(crate) fn length(path: &Path) -> Result<u64, IoError> {
    Watched::of(path).map(|file| file.bytes)
}

fn modified(path: &Path) -> Result<u64, IoError> {
    Watched::of(path).map(|file| file.modified)
}

/// SHA-256 of some of a file's bytes: of all, where they are few.
pub(crate) fn sample(path: &Path) -> Result<String, IoError> {
    let failed = |e: io::Error| IoError::os(path, "read", e);
    let file = files::open(path)?;
    let length = file.metadata().map_err(failed)?.len();
    if length <= PIECES * PIECE {
        return fs::read(path).map(|bytes| digest::of_bytes(&bytes)).map_err(failed);
    }
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE as usize]);
    for at in 0..PIECES {
        let from = u128::from(length - PIECE) * u128::from(at) / u128::from(PIECES - 1);
        read_exact_at(&file, &mut piece, from as u64).map_err(failed)?;
        hasher.update(&piece);
    }
    Ok(digest::hex(&hasher.finalize()))
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn set_time(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_file_is_known_again_by_its_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        set_time(&path, 1000);
        let input = Input::of(&path).unwrap();
        let holds = |check| input.holds(&path, check).unwrap();
        assert!(holds(Check::Sample) && holds(Check::Whole));
        set_time(&path, 500);
        assert!(holds(Check::Sample), "touched, and the same");
        assert!(input.check_untouched(&path).is_err());

        // A byte between the pieces of the sample.
        bytes[5000] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(!holds(Check::Sample), "its time tells");
        set_time(&path, 1000);
        assert!(holds(Check::Sample) && !holds(Check::Whole));
        bytes[199_999] ^= 1;
        fs::write(&path, &bytes).unwrap();
        set_time(&path, 1000);
        assert!(!holds(Check::Sample), "the end is in the sample");
        fs::write(&path, b"").unwrap();
        assert!(!holds(Check::Sample) && !holds(Check::Whole));
        fs::remove_file(&path).unwrap();
        assert!(!holds(Check::Sample) && !holds(Check::Whole));
    }

    #[test]
    fn what_changed_after_its_record_is_told_even_with_its_old_time() {
        let folder = tempfile::tempdir().unwrap();
        let (file, record) = (folder.path().join("x.npz"), folder.path().join("x.json"));
        fs::write(&file, b"x").unwrap();
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&record, b"{}").unwrap();
        assert!(!touched_since(&file, &record));
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&file, b"y").unwrap();
        #[cfg(unix)]
        set_time(&file, 1000);
        assert!(touched_since(&file, &record));
        assert!(touched_since(&folder.path().join("none"), &record));
    }
}
