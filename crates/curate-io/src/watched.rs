//! Whether a file is still the one that was read, as far as its length and time say.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::error::{IoError, Kind};

/// A file with its length and time, taken before it is read. A change in place between two looks shows in one
/// of them, unless it keeps the length and comes within a tick of the file system's clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970; 0 where the file system does not say.
    pub modified: u64,
}

impl Watched {
    /// Looks at a file.
    ///
    /// # Errors
    /// When it is not there.
    pub fn of(path: &Path) -> Result<Self, IoError> {
        let found = fs::metadata(path).map_err(|e| IoError::os(path, "read", e))?;
        let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.map_or(0, |since| since.as_nanos() as u64);
        Ok(Self { path: path.to_owned(), bytes: found.len(), modified })
    }

    /// Looks at a file, or at every file in a folder and the folders in it, sorted by path.
    ///
    /// # Errors
    /// When the path is not there, or a folder cannot be read.
    pub fn of_all(path: &Path) -> Result<Vec<Self>, IoError> {
        if !path.is_dir() {
            return Ok(vec![Self::of(path)?]);
        }
        let failed = |e| IoError::os(path, "read", e);
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() || path.is_file() {
                found.extend(Self::of_all(&path)?);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// An error unless the file is still as it was.
    ///
    /// # Errors
    /// When it is gone, or has another length or time.
    pub fn check(&self) -> Result<(), IoError> {
        if Self::of(&self.path)? == *self {
            return Ok(());
        }
        let problem = "changed while it was read";
        Err(IoError::new(
            Kind::Disagree,
            &self.path,
            problem,
            "start again once nobody writes to it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_all_its_files_and_a_change_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("shards");
        fs::create_dir(&below).unwrap();
        fs::write(folder.path().join("a"), b"1").unwrap();
        fs::write(below.join("b"), b"2").unwrap();
        let files = Watched::of_all(folder.path()).unwrap();
        assert_eq!(files.len(), 2);
        files.iter().for_each(|file| file.check().unwrap());
        fs::write(below.join("b"), b"23").unwrap();
        let error = files[1].check().unwrap_err().to_string();
        assert!(error.contains("shards/b: changed while it was read; start again"), "{error}");
    }
}
