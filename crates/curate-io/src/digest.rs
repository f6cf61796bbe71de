//! SHA-256 digests of files.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{error::IoError, files};

/// The SHA-256 of bytes, in lower-case hexadecimal, as `sha256sum` prints it.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file.
///
/// # Errors
/// When the file cannot be read.
pub fn of_file(path: &Path) -> Result<String, IoError> {
    let mut file = files::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(|e| IoError::os(path, "read", e))?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
    }
}

/// The SHA-256 of each file, in order.
///
/// # Errors
/// The first error in order.
pub fn of_files<P: AsRef<Path> + Sync>(paths: &[P]) -> Result<Vec<String>, IoError> {
    let digests: Vec<_> = paths.par_iter().map(|path| of_file(path.as_ref())).collect();
    digests.into_iter().collect()
}

/// Takes the digest of all that passes to a writer or from a reader.
pub(crate) struct Digesting<T> {
    pub(crate) inner: T,
    hasher: Sha256,
}

impl<T> Digesting<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new() }
    }

    pub(crate) fn finish(self) -> (T, String) {
        (self.inner, hex(&self.hasher.finalize()))
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(of_files(&[file.path()]).unwrap(), [abc]);
    }
}
