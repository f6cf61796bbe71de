//! Files that are whole or absent: written beside their place, flushed to disk, then renamed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::IoError;

/// How the name of a file begins and ends while it is written.
const PREFIX: &str = ".curate-";
const SUFFIX: &str = ".part";

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
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(folder)
            .map_err(|e| IoError::os(path, "created", e))?;
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), path: path.to_owned() })
    }

    /// Where the file lies while it is written, for libraries that open files by name.
    #[cfg(feature = "hdf5")]
    pub(crate) fn path(&self) -> &Path {
        self.file.get_ref().path()
    }

    /// Puts the file in its place; an existing file there is replaced at once.
    ///
    /// # Errors
    /// When the bytes do not reach the disk. The file that stood there before is then unharmed.
    pub fn commit(self) -> Result<(), IoError> {
        let Self { file, path } = self;
        // In this order: bytes that were not flushed before the rename could be missing after a crash
        // from a file that is there; a folder that was not flushed after it could lose the name.
        let file = file.into_inner().map_err(|e| IoError::os(&path, "written", e.into_error()))?;
        allow_others_to_read(file.as_file()).map_err(|e| IoError::os(&path, "written", e))?;
        file.as_file().sync_all().map_err(|e| IoError::os(&path, "written", e))?;
        file.persist(&path).map_err(|e| IoError::os(&path, "written", e.error))?;
        sync_folder(parent(&path))
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

/// Removes from a folder what a process that was killed left half written there.
///
/// # Errors
/// When the folder cannot be read, or a file not be removed.
pub fn remove_leftovers(folder: &Path) -> Result<(), IoError> {
    let entries = fs::read_dir(folder).map_err(|e| IoError::os(folder, "read", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| IoError::os(folder, "read", e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|e| IoError::os(&path, "removed", e))?;
        }
    }
    Ok(())
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
