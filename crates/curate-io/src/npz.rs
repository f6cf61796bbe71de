//! Arrays in npz files: read where they lie, and written as `numpy.savez` writes them.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use zip::{ZipArchive, read::ZipFile, result::ZipError};

use crate::{
    error::{IoError, Kind},
    npy::Header,
    spool::no_room,
    vectors::{StoredArray, check_table, list},
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
    /// When it is no zip file, or is cut off.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
        let archive = ZipArchive::new(file).map_err(|e| {
            let problem = "is no npz file, or is cut off: its list of members cannot be read";
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

    /// The array `name`. A stored member is read in place; a deflated one is unpacked into a
    /// temporary file first.
    ///
    /// # Errors
    /// When there is no such array, or it is no table of floats, or is cut off.
    pub fn array(&mut self, name: &str) -> Result<StoredArray, IoError> {
        let path = self.path.clone();
        let names = self.names();
        let what = format!("array `{name}`");
        let unreadable =
            |e| IoError::malformed(&path, format!("{what} cannot be unpacked")).caused_by(e);
        let mut member = match self.archive.by_name(&format!("{name}.npy")) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => {
                let problem = format!("has no array `{name}`; it has {}", list(&names));
                return Err(IoError::new(Kind::NotFound, &path, problem, "name one of those"));
            }
            Err(e) => return Err(unreadable(e)),
        };
        let header = Header::read(&mut member)
            .map_err(|e| IoError::malformed(&path, format!("{what} {e}")))?;
        if member.compression() != zip::CompressionMethod::Stored {
            return unpack(&path, member, &header, &what);
        }
        let (start, length) = (member.data_start(), member.size());
        drop(member);
        let start =
            start.ok_or_else(|| unreadable(io::Error::from(io::ErrorKind::InvalidData).into()))?;
        let file = File::open(&path).map_err(|e| IoError::os(&path, "read", e))?;
        let end = file.metadata().map_err(|e| IoError::os(&path, "read", e))?.len();
        // The list of members is at the end of the file and may promise what was cut out before it.
        let there = length.min(end.saturating_sub(start));
        StoredArray::within(&path, Arc::new(file), start..start + there, &header, &what)
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
    // Before room on the disk is taken for what is not there.
    check_table(path, member.size(), header, what)?;
    let mut spool = tempfile::tempfile().map_err(no_room)?;
    // A gap in place of the header, so that offsets are those of an npy file.
    spool.seek(SeekFrom::Start(header.len as u64)).map_err(no_room)?;
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
        spool.write_all(&buffer[..n]).map_err(no_room)?;
        (left, length) = (left - n, length + n as u64);
    }
}
