//! Files that are whole or absent: written beside their place, flushed to disk, then renamed.
//!
//! A file that is being written is locked by its process, and the system frees the lock when the process
//! ends, however it ends. So what a killed process left can be told from what another one is writing: the
//! first file that a process writes into a folder removes the one and leaves the other alone.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::NamedTempFile;

use crate::error::IoError;

/// How the name of a file begins and ends while it is written.
const PREFIX: &str = ".curate-";
const SUFFIX: &str = ".part";

/// Where files cannot be locked, one that nobody has written to for so long has no owner.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Folders that this process has cleared.
static CLEARED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file being written. Dropping it without [`AtomicFile::commit`] leaves no trace.
pub struct AtomicFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will be `path`; creates the folders above it.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn create(path: &Path) -> Result<Self, IoError> {
        let folder = parent(path);
        fs::create_dir_all(folder).map_err(|e| IoError::os(folder, "created", e))?;
        clear_once(folder);
        let mut names = tempfile::Builder::new();
        names.prefix(PREFIX).suffix(SUFFIX);
        let mut file = names.tempfile_in(folder).map_err(|e| IoError::os(path, "created", e))?;
        while !is_held(&file) {
            file = names.tempfile_in(folder).map_err(|e| IoError::os(path, "created", e))?;
        }
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), path: path.to_owned() })
    }

    /// Where the file lies while it is written, for libraries that open files by name. They lock it
    /// themselves, so it is unlocked here.
    #[cfg(feature = "hdf5")]
    pub(crate) fn path(&self) -> &Path {
        let file = self.file.get_ref();
        // What could not be unlocked was not locked.
        let _ = file.as_file().unlock();
        file.path()
    }

    /// Puts the file in its place; an existing file there is replaced at once.
    ///
    /// # Errors
    /// When the bytes do not reach the disk. The file that stood there before is then unharmed.
    pub fn commit(self) -> Result<(), IoError> {
        // In this order: bytes that were not flushed before the rename could be missing after a crash
        // from a file that is there; a folder that was not flushed after it could lose the name.
        let folder = parent(&self.path).to_owned();
        self.put(|file| file.sync_all())?;
        sync_folder(&folder)
    }

    /// [`Self::commit`] that waits for no disk: after a crash of the machine, not of the process, bytes of
    /// the file may be missing. For files whose digest is checked by whoever reads them.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_unflushed(self) -> Result<(), IoError> {
        self.put(|_| Ok(()))
    }

    /// [`Self::commit`] unless there is a file in its place, which stays; false then.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub(crate) fn commit_new(self) -> Result<bool, IoError> {
        let folder = parent(&self.path).to_owned();
        let (file, path) = self.finished(|file| file.sync_all())?;
        match file.persist_noclobber(&path) {
            Ok(_) => sync_folder(&folder).map(|()| true),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(IoError::os(&path, "written", e.error)),
        }
    }

    fn put(self, flush: impl FnOnce(&File) -> io::Result<()>) -> Result<(), IoError> {
        let (file, path) = self.finished(flush)?;
        file.persist(&path).map_err(|e| IoError::os(&path, "written", e.error))?;
        Ok(())
    }

    /// The file, which is not in its place yet, and that place.
    fn finished(
        self,
        flush: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(NamedTempFile, PathBuf), IoError> {
        let Self { file, path } = self;
        let file = file.into_inner().map_err(|e| IoError::os(&path, "written", e.into_error()))?;
        allow_others_to_read(file.as_file()).map_err(|e| IoError::os(&path, "written", e))?;
        flush(file.as_file()).map_err(|e| IoError::os(&path, "written", e))?;
        Ok((file, path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Writes a whole file at once.
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| IoError::os(path, "written", e))?;
    file.commit()
}

/// [`write()`] that waits for no disk ([`AtomicFile::commit_unflushed`]).
///
/// # Errors
/// When the bytes cannot be written.
pub fn write_unflushed(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| IoError::os(path, "written", e))?;
    file.commit_unflushed()
}

/// Locks a file that was just made. False if someone who clears the folder came first.
fn is_held(file: &NamedTempFile) -> bool {
    !matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)) && file.path().exists()
}

/// Removes from a folder what processes that were killed left half written there. What another process
/// is writing stays.
///
/// # Errors
/// When the folder cannot be read, or a file not be removed.
pub fn remove_leftovers(folder: &Path) -> Result<(), IoError> {
    let entries = fs::read_dir(folder).map_err(|e| IoError::os(folder, "read", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| IoError::os(folder, "read", e))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_part(&entry.file_name().to_string_lossy()) {
            remove_unless_held(&entry.path())?;
        }
    }
    Ok(())
}

/// True for the name of a file that is being written, or was when its process was killed.
pub(crate) fn is_part(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

fn remove_unless_held(path: &Path) -> Result<(), IoError> {
    // Locked for writing, since some file systems give no lock otherwise. What may not be opened is
    // another user's.
    let Ok(file) = File::options().write(true).open(path) else { return Ok(()) };
    let is_free = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => is_abandoned(&file),
    };
    // Removed while it is locked: who made it an instant ago sees that and makes another.
    match if is_free { fs::remove_file(path) } else { Ok(()) } {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(IoError::os(path, "removed", e)),
        _ => Ok(()),
    }
}

fn is_abandoned(file: &File) -> bool {
    let modified = file.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED))
}

/// Clears a folder the first time that this process writes there. Leftovers that stay do not keep it from
/// writing.
fn clear_once(folder: &Path) {
    let Ok(place) = folder.canonicalize() else { return };
    if CLEARED.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
        let _ = remove_leftovers(folder);
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Temporary files are private; a result is not.
#[cfg(unix)]
fn allow_others_to_read(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_others_to_read(_: &File) -> io::Result<()> {
    Ok(())
}

/// A rename is only durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), IoError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| IoError::os(folder, "written", e))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), IoError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_file_that_is_not_committed_leaves_the_old_one_and_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/x.txt");
        write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half of the n").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("live.txt")).unwrap();
        file.write_all(b"whole").unwrap();
        for name in [".curate-dead.part", ".curate-mine.txt", "x.part"] {
            fs::write(folder.path().join(name), b"half").unwrap();
        }
        fs::create_dir(folder.path().join(".curate-folder.part")).unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert!(!folder.path().join(".curate-dead.part").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "the others are no leftovers");
        file.commit().unwrap();
        assert_eq!(fs::read(folder.path().join("live.txt")).unwrap(), b"whole");
    }

    #[test]
    fn the_first_file_that_is_written_into_a_folder_clears_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".curate-dead.part"), b"half").unwrap();
        write(&folder.path().join("x.txt"), b"x").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Threads that write and clear at once: nothing that is being written is lost.
    #[test]
    fn clearing_while_others_begin_to_write_costs_them_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let folder = folder.path();
                scope.spawn(move || {
                    for i in 0..100 {
                        write(&folder.join(format!("{thread}-{i}")), b"x").unwrap();
                        remove_leftovers(folder).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 300);
    }

    #[test]
    fn a_full_disk_is_called_so() {
        let error = IoError::os("x", "written", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.kind, Kind::DiskFull);
        assert!(error.to_string().contains("the disk is full; free space"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn writing_to_a_device_without_space_is_a_disk_full_error() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = IoError::os("/dev/full", "written", full.write_all(b"x").unwrap_err());
        assert_eq!(error.kind, Kind::DiskFull);
    }
}
