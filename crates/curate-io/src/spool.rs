//! Vectors unpacked into a temporary file, and read there.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use crate::{
    error::IoError,
    npy::{Dtype, Header},
    vectors::{StoredArray, check_width},
};

/// Vectors that come one after the other, and lie in a temporary file from then on.
pub(crate) struct Spool {
    file: BufWriter<File>,
    rows: usize,
    /// Those of them that are in the file.
    written: usize,
    dim: Option<usize>,
}

impl Spool {
    pub(crate) fn new() -> Result<Self, IoError> {
        let file =
            BufWriter::with_capacity(1 << 20, tempfile::tempfile().map_err(IoError::no_room)?);
        Ok(Self { file, rows: 0, written: 0, dim: None })
    }

    /// Numbers in a vector, once that is known.
    pub(crate) fn dim(&self) -> Option<usize> {
        self.dim
    }

    /// Settles the width by the next vectors' lengths, unless it is known: the most frequent one, and
    /// of equals the first. Gaps have the length 0.
    pub(crate) fn expect_width(&mut self, lengths: impl Iterator<Item = usize>) {
        if self.dim.is_some() {
            return;
        }
        let mut counts: Vec<(usize, usize)> = Vec::new();
        for length in lengths.filter(|&length| length > 0) {
            match counts.iter_mut().find(|(other, _)| *other == length) {
                Some((_, count)) => *count += 1,
                None => counts.push((length, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max();
        self.dim = counts.iter().find(|(_, count)| Some(*count) == most).map(|(length, _)| *length);
    }

    /// Adds a vector; a gap becomes a vector of NaN, which is a fault of its row.
    pub(crate) fn push(
        &mut self,
        path: &Path,
        what: &str,
        vector: Option<&[f32]>,
    ) -> Result<(), IoError> {
        let row = self.rows;
        self.rows += 1;
        if let Some(vector) = vector {
            self.dim.get_or_insert(vector.len());
        }
        if let Some(dim) = self.dim {
            check_width(path, dim, what)?;
        }
        if let Some(dim) = self.dim {
            // Gaps before the first vector: until then nobody knew their width.
            for _ in self.written..row {
                self.write(&vec![f32::NAN; dim])?;
            }
            self.written = row + 1;
        }
        match (vector, self.dim) {
            (Some(vector), Some(dim)) if vector.len() != dim => {
                let problem = format!(
                    "{what} holds a vector of {} numbers in row {row}, but of {dim} before",
                    vector.len()
                );
                Err(IoError::malformed(path, problem))
            }
            (Some(vector), Some(_)) => self.write(vector),
            (None, Some(dim)) => self.write(&vec![f32::NAN; dim]),
            (_, None) => Ok(()),
        }
    }

    fn write(&mut self, vector: &[f32]) -> Result<(), IoError> {
        vector
            .iter()
            .try_for_each(|x| self.file.write_all(&x.to_le_bytes()))
            .map_err(IoError::no_room)
    }

    pub(crate) fn finish(self, path: &Path, what: &str) -> Result<StoredArray, IoError> {
        let file = self.file.into_inner().map_err(|e| IoError::no_room(e.into_error()))?;
        let dim = match self.dim {
            None => return Ok(StoredArray::gaps(path, Arc::new(file), self.rows)),
            Some(dim) => dim,
        };
        let header =
            Header { dtype: Dtype::F32, fortran_order: false, shape: vec![self.rows, dim], len: 0 };
        let bytes = 4 * (self.rows * dim) as u64;
        StoredArray::within(path, Arc::new(file), 0..bytes, &header, what)
    }
}
