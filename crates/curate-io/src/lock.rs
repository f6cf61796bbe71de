//! One process at a time writes to a folder.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use crate::error::{IoError, Kind};

/// The file that is locked. It stays in the folder: removing it would let two processes lock two files
/// of one name.
pub const LOCK: &str = ".lock";

/// A folder that this process writes to, alone or with those that share it, for as long as the value lives. The system frees the lock
/// when the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the folder is locked for as long as this lives"]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Kind::Busy`] when another process has locked it; when it cannot be made or written to. A file
    /// system that has no locks gives none: two writers are then the user's to avoid.
    pub fn take(folder: &Path) -> Result<Self, IoError> {
        Self::lock(folder, File::try_lock)
    }

    /// Locks a folder for this process and others that share it, each of which writes files of its own;
    /// none can [`Self::take`] it meanwhile.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn share(folder: &Path) -> Result<Self, IoError> {
        Self::lock(folder, File::try_lock_shared)
    }

    fn lock(
        folder: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, IoError> {
        fs::create_dir_all(folder).map_err(|e| IoError::os(folder, "created", e))?;
        let path = folder.join(LOCK);
        // For reading too: NFS shares no lock of a file that is open for writing alone.
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|e| IoError::os(&path, "created", e))?;
        if let Err(TryLockError::WouldBlock) = lock(&file) {
            let problem = "is being written to by another process";
            let remedy = "wait until it ends, or choose another folder";
            return Err(IoError::new(Kind::Busy, folder, problem, remedy));
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_come_is_refused_until_the_first_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let first = FolderLock::take(&folder).unwrap();
        let error = FolderLock::take(&folder).unwrap_err();
        assert_eq!((error.kind, &*error.path), (Kind::Busy, &*folder));
        drop(first);
        FolderLock::take(&folder).map(drop).unwrap();
    }

    #[test]
    fn those_that_share_a_folder_keep_out_who_wants_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (FolderLock::share(folder.path()), FolderLock::share(folder.path()));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(FolderLock::take(folder.path()).unwrap_err().kind, Kind::Busy);
        drop((first, second));
        let alone = FolderLock::take(folder.path());
        assert_eq!(FolderLock::share(folder.path()).unwrap_err().kind, Kind::Busy);
        drop(alone);
    }
}
