//! Tar headers read from part of a file, with a bound on what a name may take.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use crate::positioned::read_exact_at;

/// No name of a member is longer; one that is would be held in memory.
const LONGEST_NAME: u64 = 1 << 20;

/// Some bytes of a file, read without moving the file's own position: many threads read samples of one
/// shard through one descriptor. To the tar reader it is a file that begins with the sample.
pub(super) struct Window<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
    pub(super) bytes: Range<u64>,
}

impl Read for Window<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.bytes.end.saturating_sub(self.at);
        let n = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(self.file, &mut out[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => self.bytes.start.checked_add(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(n) => self.bytes.end.checked_add_signed(n),
        };
        let target = target.filter(|&target| target >= self.bytes.start);
        self.at = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.bytes.start)
    }
}

/// A tar file of which only headers are read: between two of them comes a seek, so that more bytes in
/// one go are a name or an extension without an end.
pub(super) struct Headers<T> {
    pub(super) inner: T,
    /// Bytes since the last seek.
    pub(super) read: u64,
}

impl<T: Read> Read for Headers<T> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.read > LONGEST_NAME {
            let problem = format!("a name is longer than {} MiB", LONGEST_NAME >> 20);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
        }
        let n = self.inner.read(out)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<T: Seek> Seek for Headers<T> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.read = 0;
        self.inner.seek(to)
    }
}
