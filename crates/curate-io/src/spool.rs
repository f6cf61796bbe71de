//! Vectors unpacked into a temporary file, and read there.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use crate::{
    error::{IoError, Kind},
    npy::{Dtype, Header},
    vectors::StoredArray,
};

/// Vectors that come one after the other, and lie in a temporary file from then on.
pub(crate) struct Spool {
    file: BufWriter<File>,
    rows: usize,
    dim: Option<usize>,
}

impl Spool {
    pub(crate) fn new() -> Result<Self, IoError> {
        let file = BufWriter::with_capacity(1 << 20, tempfile::tempfile().map_err(no_room)?);
        Ok(Self { file, rows: 0, dim: None })
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
        match (vector, self.dim) {
            (Some(vector), None) => {
                self.dim = Some(vector.len());
                (0..row).try_for_each(|_| self.write(&vec![f32::NAN; vector.len()]))?;
                self.write(vector)
            }
            (Some(vector), Some(dim)) if vector.len() != dim => {
                let problem = format!(
                    "{what} holds a vector of {} numbers in row {row}, but of {dim} before",
                    vector.len()
                );
                Err(IoError::malformed(path, problem))
            }
            (Some(vector), Some(_)) => self.write(vector),
            (None, Some(dim)) => self.write(&vec![f32::NAN; dim]),
            // A gap before the first vector: it is written once the width is known, above.
            (None, None) => Ok(()),
        }
    }

    fn write(&mut self, vector: &[f32]) -> Result<(), IoError> {
        vector.iter().try_for_each(|x| self.file.write_all(&x.to_le_bytes())).map_err(no_room)
    }

    pub(crate) fn finish(self, path: &Path, what: &str) -> Result<StoredArray, IoError> {
        let file = self.file.into_inner().map_err(|e| no_room(e.into_error()))?;
        let Some(dim) = self.dim.filter(|&dim| dim > 0) else {
            return Err(IoError::malformed(path, format!("{what} holds no vector")));
        };
        let header =
            Header { dtype: Dtype::F32, fortran_order: false, shape: vec![self.rows, dim], len: 0 };
        let bytes = 4 * (self.rows * dim) as u64;
        StoredArray::within(path, Arc::new(file), 0..bytes, &header, what)
    }
}

/// Temporary files take arrays that were deflated.
pub(crate) fn no_room(error: io::Error) -> IoError {
    let mut error = IoError::os(std::env::temp_dir(), "written", error);
    if error.kind == Kind::DiskFull {
        error.remedy = "free space there, or name a larger folder in TMPDIR".to_owned();
    }
    error
}
