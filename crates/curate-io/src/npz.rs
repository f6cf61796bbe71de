//! Arrays in npz files: read where they lie, and written as `numpy.savez` writes them.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crc32fast::Hasher;
use curate_core::Progress;
use ndarray::ArrayView2;
use zip::{
    CompressionMethod, ZipArchive, ZipWriter, read::ZipFile, result::ZipError,
    write::SimpleFileOptions,
};

use crate::{
    atomic::AtomicFile,
    checksum::{Checksum, Summed},
    error::{IoError, Kind},
    files,
    npy::{self, Header, Precision},
    vectors::{Expect, StoredArray, check_table, list},
};

/// The arrays of an npz file.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<File>,
}

impl Npz {
    /// Opens an npz file and reads its list of members.
    ///
    /// # Errors
    /// When it is not a zip file, or is cut off.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let archive = ZipArchive::new(files::open(path)?).map_err(|e| {
            let problem = "is not an npz file, or is cut off: its list of members cannot be read";
            IoError::malformed(path, problem).caused_by(e)
        })?;
        Ok(Self { path: path.to_owned(), archive })
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        let mut names: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect();
        names.sort_unstable();
        names
    }

    /// Whether each of the arrays is a table of numbers, by name, sorted: files hold single values,
    /// lists and texts beside the tables.
    pub(crate) fn tables(&mut self) -> Vec<(String, bool)> {
        let names = self.names().into_iter();
        let is_table = |name: &str, archive: &mut ZipArchive<File>| {
            let header = archive.by_name(&format!("{name}.npy")).ok().map(Header::read);
            // What is damaged is an error for those who ask for it.
            header.and_then(Result::ok).is_none_or(|header| header.is_table())
        };
        names.map(|name| (is_table(&name, &mut self.archive), name)).map(|(t, n)| (n, t)).collect()
    }

    /// The array `name`. A stored member is read in place; a deflated one is unpacked into a
    /// temporary file first.
    ///
    /// The checksum of a deflated one is compared while it is unpacked, that of a stored one as soon as
    /// all its rows were read once, in any order: the read that completes them, and every later one,
    /// fails where a byte was changed. Who reads some rows only does not learn of others; see
    /// [`Npz::verify`].
    ///
    /// # Errors
    /// When there is not such an array, or it is not a table of numbers, or is cut off.
    pub fn array(&mut self, name: &str) -> Result<StoredArray, IoError> {
        self.array_where(name, &|_| Ok(()))
    }

    /// [`Npz::array`], if its rows are as expected: which is asked before anything is unpacked.
    pub(crate) fn array_where(
        &mut self,
        name: &str,
        expect: Expect<'_>,
    ) -> Result<StoredArray, IoError> {
        let path = self.path.clone();
        let names = self.names();
        let what = format!("array `{name}`");
        let unreadable =
            |e| IoError::malformed(&path, format!("{what} cannot be unpacked")).caused_by(e);
        let member = match self.archive.by_name(&format!("{name}.npy")) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => {
                let problem = format!("has no array `{name}`; it has {}", list(&names));
                return Err(IoError::new(Kind::NotFound, &path, problem, "name one of those"));
            }
            Err(e) => return Err(unreadable(e)),
        };
        let mut member = Summed { inner: member, sum: Hasher::new() };
        let header = Header::read(&mut member)
            .map_err(|e| IoError::malformed(&path, format!("{what} {e}")))?;
        let Summed { inner: member, sum } = member;
        expect(check_table(&path, member.size(), &header, &what)?[0])?;
        if member.compression() != CompressionMethod::Stored {
            return unpack(&path, member, &header, &what);
        }
        // The member's own header says where its data starts: its name and extra field may differ in
        // length from those in the list of members.
        let (start, length) = (member.data_start(), member.size());
        let data = length - header.len as u64;
        // What follows an array in its member belongs to the sum, and nobody reads it.
        let is_whole = header.data_len().is_some_and(|promised| promised as u64 == data);
        let checksum = is_whole.then(|| Checksum::new(what.clone(), member.crc32(), sum, data));
        drop(member);
        let start =
            start.ok_or_else(|| unreadable(io::Error::from(io::ErrorKind::InvalidData).into()))?;
        let file = files::open(&path)?;
        let end = file.metadata().map_err(|e| IoError::os(&path, "read", e))?.len();
        // The list of members is at the end of the file and may promise what was cut out before it.
        let there = length.min(end.saturating_sub(start));
        StoredArray::summed(&path, Arc::new(file), start..start + there, &header, &what, checksum)
    }

    /// Reads every member to its end and compares the checksums.
    ///
    /// # Errors
    /// When a member cannot be read or does not match its checksum, or the caller cancels.
    pub fn verify(&mut self, progress: &dyn Progress) -> Result<(), IoError> {
        let mut buffer = vec![0; 1 << 16];
        for at in 0..self.archive.len() {
            let name = self.archive.name_for_index(at).map_or_else(String::new, |name| {
                name.map_or_else(|_| format!("number {at}"), |name| name.into_owned())
            });
            let damaged = |e| {
                let what = format!("member `{name}` does not have the bytes of its checksum");
                IoError::malformed(&self.path, what).caused_by(e)
            };
            let mut member = self.archive.by_index(at).map_err(damaged)?;
            loop {
                progress.check().map_err(|_| IoError::cancelled(&self.path))?;
                match member.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => return Err(damaged(e.into())),
                }
            }
        }
        Ok(())
    }
}

/// Unpacks a deflated array, of which the header is read already, into a temporary file: rows of it
/// could not be read where they lie, since deflate has no places to start at.
fn unpack(
    path: &Path,
    mut member: ZipFile<'_, File>,
    header: &Header,
    what: &str,
) -> Result<StoredArray, IoError> {
    let mut spool = tempfile::tempfile().map_err(IoError::no_room)?;
    // A gap in place of the header, so that offsets are those of an npy file.
    spool.seek(SeekFrom::Start(header.len as u64)).map_err(IoError::no_room)?;
    // What a hostile member unpacks to beyond its promise is not taken.
    let mut left = header.data_len().unwrap_or(0);
    let (mut buffer, mut length) = (vec![0; 1 << 16], header.len as u64);
    loop {
        let read = member.read(&mut buffer).map_err(|e| {
            IoError::malformed(path, format!("{what} cannot be unpacked"))
                .caused_by(ZipError::from(e))
        });
        let n = read?.min(left);
        if n == 0 {
            return StoredArray::within(path, Arc::new(spool), 0..length, header, what);
        }
        spool.write_all(&buffer[..n]).map_err(IoError::no_room)?;
        (left, length) = (left - n, length + n as u64);
    }
}

/// An npz file in the writing, with the bytes of `numpy.savez`: members are stored as they are, so that
/// their rows can be read where they lie, and have no dates. The file appears whole or not at all.
///
/// ```
/// use curate_core::EmbeddingSource;
/// use curate_io::{Embedding, npy::Precision, npz::{Npz, NpzWriter}};
/// use ndarray::array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("00000.npz");
/// let mut npz = NpzWriter::create(&path)?;
/// npz.add("b32_img", array![[1.0, 0.0], [0.6, 0.8]].view(), Precision::F16)?;
/// npz.finish()?;
///
/// let rows = Embedding::new(vec![Npz::open(&path)?.array("b32_img")?])?;
/// let mut second = [0.0; 2];
/// rows.read(1..2, &mut second)?;
/// assert!((second[0] - 0.6).abs() < 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NpzWriter {
    path: PathBuf,
    zip: ZipWriter<UntilFailed>,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl NpzWriter {
    /// Starts a file that will be `path`.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn create(path: &Path) -> Result<Self, IoError> {
        let (file, error) = (AtomicFile::create(path)?, Arc::default());
        let until_failed =
            UntilFailed { file, error: Arc::clone(&error), failed: false, position: 0, end: 0 };
        Ok(Self { path: path.to_owned(), zip: ZipWriter::new(until_failed), error })
    }

    /// Adds a table of vectors, one per row.
    ///
    /// # Errors
    /// When the bytes cannot be written, or there is an array of that name already.
    pub fn add(
        &mut self,
        name: &str,
        table: ArrayView2<'_, f32>,
        precision: Precision,
    ) -> Result<(), IoError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            // The lengths are known only afterwards, and their room in the header is kept before.
            .large_file(true);
        self.zip
            .start_file(format!("{name}.npy"), options)
            .map_err(|e| not_written(&self.path, e))?;
        npy::write_table(&mut self.zip, table, precision)
            .map_err(|e| IoError::os(&self.path, "written", e))?;
        written(&self.path, &self.error)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn finish(self) -> Result<(), IoError> {
        let done = self.zip.finish().map_err(|e| not_written(&self.path, e))?;
        written(&self.path, &self.error)?;
        done.file.commit()
    }
}

/// A file that takes everything and writes nothing once it has failed, and keeps the error for
/// [`NpzWriter`]. [`ZipWriter`] must not meet it: it ends its archive when it is dropped, and prints what
/// that runs into, or stops the program where its counts do not agree.
struct UntilFailed {
    file: AtomicFile,
    error: Arc<Mutex<Option<io::Error>>>,
    failed: bool,
    /// Where it is, and where it would be.
    position: u64,
    end: u64,
}

impl UntilFailed {
    /// What was done, or what stands for it once the file has failed.
    fn or<T>(&mut self, instead: T, done: impl FnOnce(&mut AtomicFile) -> io::Result<T>) -> T {
        if !self.failed {
            match done(&mut self.file) {
                Ok(done) => return done,
                Err(error) => {
                    self.failed = true;
                    *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        }
        instead
    }
}

impl Write for UntilFailed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.or(bytes.len(), |file| file.write(bytes));
        self.position += written as u64;
        self.end = self.end.max(self.position);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.or((), Write::flush);
        Ok(())
    }
}

impl Seek for UntilFailed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let virtually = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.end.saturating_add_signed(by),
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
        };
        self.position = self.or(virtually, |file| file.seek(to));
        Ok(self.position)
    }
}

/// The error that [`UntilFailed`] kept.
fn written(path: &Path, error: &Mutex<Option<io::Error>>) -> Result<(), IoError> {
    match error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(IoError::os(path, "written", error)),
        None => Ok(()),
    }
}

fn not_written(path: &Path, error: ZipError) -> IoError {
    match error {
        ZipError::Io(e) => IoError::os(path, "written", e),
        other => IoError::new(Kind::Os, path, format!("could not be written: {other}"), ""),
    }
}
