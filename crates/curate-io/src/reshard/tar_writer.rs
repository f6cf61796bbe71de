//! Tar files with the bytes that the Python package webdataset writes.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use crate::{atomic::AtomicFile, error::IoError, positioned::read_exact_at, tar_samples::Member};

/// Tar files are padded to blocks of this size.
const TAR_RECORD: u64 = 10_240;

/// Writes tar files as the Python package webdataset does.
pub(super) struct TarWriter<'a, W> {
    out: W,
    path: &'a Path,
    length: u64,
    /// What is on its way from one file to the other.
    buffer: Vec<u8>,
}

/// Bytes that are copied at once.
const AT_ONCE: u64 = 1 << 20;

impl<'a> TarWriter<'a, AtomicFile> {
    pub(super) fn create(path: &'a Path) -> Result<Self, IoError> {
        Ok(Self { out: AtomicFile::create(path)?, path, length: 0, buffer: Vec::new() })
    }
}

impl<'a> TarWriter<'a, Compared> {
    /// Writes nothing: compares with the file that is there.
    pub(super) fn compare(path: &'a Path) -> Result<Self, IoError> {
        Ok(Self { out: Compared::open(path)?, path, length: 0, buffer: Vec::new() })
    }
}

impl<W: Write> TarWriter<'_, W> {
    pub(super) fn append(
        &mut self,
        name: &str,
        tar: &Path,
        file: &File,
        member: &Member,
    ) -> Result<(), IoError> {
        let failed = |e| IoError::os(self.path, "written", e);
        let header = headers(name, member.size).map_err(failed)?;
        self.out.write_all(&header).map_err(failed)?;
        let (mut at, end) = (member.offset, member.offset + member.size);
        while at < end {
            let n = usize::try_from(AT_ONCE.min(end - at)).expect("at most 1 MiB");
            self.buffer.resize(n, 0);
            read_exact_at(file, &mut self.buffer, at).map_err(|e| IoError::os(tar, "read", e))?;
            self.out.write_all(&self.buffer).map_err(failed)?;
            at += n as u64;
        }
        self.length += header.len() as u64 + member.size;
        self.pad(512)
    }

    fn pad(&mut self, block: u64) -> Result<(), IoError> {
        let more = self.length.next_multiple_of(block) - self.length;
        let zeros = vec![0; usize::try_from(more).expect("less than a block")];
        self.length += more;
        self.out.write_all(&zeros).map_err(|e| IoError::os(self.path, "written", e))
    }

    /// The whole file, which is not in its place yet. Two empty blocks end a tar file.
    pub(super) fn finish(mut self) -> Result<W, IoError> {
        self.out.write_all(&[0; 1024]).map_err(|e| IoError::os(self.path, "written", e))?;
        self.length += 1024;
        self.pad(TAR_RECORD)?;
        Ok(self.out)
    }
}

/// A file that is compared with what would be written in its place.
pub(super) struct Compared {
    file: BufReader<File>,
    there: Vec<u8>,
    differs: bool,
}

impl Compared {
    fn open(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
        let file = BufReader::with_capacity(AT_ONCE as usize, file);
        Ok(Self { file, there: Vec::new(), differs: false })
    }

    /// True when the file holds what was written, and no more.
    pub(super) fn was_same(mut self) -> bool {
        !self.differs && self.file.read(&mut [0]).is_ok_and(|more| more == 0)
    }
}

impl Write for Compared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.differs {
            self.there.resize(bytes.len(), 0);
            // What ends too early or cannot be read is not the same.
            let read = self.file.read_exact(&mut self.there);
            self.differs = read.is_err() || self.there != bytes;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The header of a member, with one before it for a name of more than 100 bytes.
fn headers(name: &str, size: u64) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o444);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_username("bigdata")?;
    header.set_groupname("bigdata")?;
    if name.len() <= 100 {
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        set_checksum(&mut header);
        return Ok(header.as_bytes().to_vec());
    }
    let mut long = tar::Builder::new(Vec::new());
    long.append_pax_extensions([("path", name.as_bytes())])?;
    let mut bytes = long.get_ref().clone();
    header.as_old_mut().name.copy_from_slice(&name.as_bytes()[..100]);
    set_checksum(&mut header);
    bytes.extend(header.as_bytes());
    Ok(bytes)
}

/// Six digits, a zero, a space: one of the ways to write a checksum, and Python's.
fn set_checksum(header: &mut tar::Header) {
    header.set_cksum();
    let sum = header.cksum().expect("the checksum was just set");
    let text = format!("{sum:06o}\0 ");
    header.as_old_mut().cksum.copy_from_slice(text.as_bytes());
}
