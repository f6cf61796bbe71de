//! Embeddings in npy arrays, alone or inside npz files, read where they lie.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use curate_core::{EmbeddingSource, SourceError};
use half::slice::HalfFloatSliceExt;
use zip::result::ZipError;

use crate::{
    IoError, Kind,
    npy::{Dtype, Header},
};

/// A table of vectors on disk: arrays of one width, one after the other. Implements
/// [`EmbeddingSource`]; only the rows asked for are read.
#[derive(Clone, Debug)]
pub struct Embedding {
    parts: Vec<Part>,
    /// The first row of each part, and the number of rows at the end.
    starts: Vec<usize>,
    dim: usize,
}

/// One two-dimensional array of f16, f32 or f64 in a file.
#[derive(Clone, Debug)]
pub struct Part {
    path: PathBuf,
    file: Arc<File>,
    /// Where the data begins.
    offset: u64,
    dtype: Dtype,
    rows: usize,
    dim: usize,
}

impl Embedding {
    /// Arrays one after the other.
    ///
    /// # Errors
    /// When the arrays differ in width.
    pub fn new(parts: Vec<Part>) -> Result<Self, IoError> {
        let dim = parts.first().map_or(0, |part| part.dim);
        if let Some(other) = parts.iter().find(|part| part.dim != dim) {
            let problem = format!(
                "holds vectors of {} numbers, but {} holds {dim}",
                other.dim,
                parts[0].path.display()
            );
            return Err(IoError::new(
                Kind::Disagree,
                &other.path,
                problem,
                "embed all shards with one model",
            ));
        }
        let mut starts = vec![0];
        starts.extend(parts.iter().scan(0, |row, part| {
            *row += part.rows;
            Some(*row)
        }));
        Ok(Self { parts, starts, dim })
    }

    fn part_of(&self, row: usize) -> usize {
        self.starts.partition_point(|&start| start <= row) - 1
    }
}

impl EmbeddingSource for Embedding {
    fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let mut row = rows.start;
        let mut out = out;
        while row < rows.end {
            let part = self.part_of(row);
            let end = rows.end.min(self.starts[part + 1]);
            let (now, later) = out.split_at_mut((end - row) * self.dim);
            let first = row - self.starts[part];
            self.parts[part].read(first..first + (end - row), now)?;
            (row, out) = (end, later);
        }
        Ok(())
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let mut done = 0;
        // Neighbours in the pool are read together.
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            let out = &mut out[done * self.dim..][..run.len() * self.dim];
            self.read(run[0]..run[0] + run.len(), out)?;
            done += run.len();
        }
        Ok(())
    }
}

impl Part {
    /// The array in an npy file.
    ///
    /// # Errors
    /// When it is no two-dimensional array of floats in C order, or is cut off.
    pub fn open_npy(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
        let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
        let header = Header::read(&file).map_err(|e| IoError::malformed(path, e))?;
        Self::new(path, Arc::new(file), 0, length, &header, "the array")
    }

    /// An array whose data lies in a file as it is.
    #[cfg(feature = "hdf5")]
    pub(crate) fn in_place(
        path: &Path,
        offset: u64,
        dtype: Dtype,
        [rows, dim]: [usize; 2],
        what: &str,
    ) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
        let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
        let header = Header { dtype, fortran_order: false, shape: vec![rows, dim], len: 0 };
        Self::new(path, Arc::new(file), offset, length.saturating_sub(offset), &header, what)
    }

    /// Rows of the array.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    fn new(
        path: &Path,
        file: Arc<File>,
        start: u64,
        length: u64,
        header: &Header,
        what: &str,
    ) -> Result<Self, IoError> {
        let [rows, dim] = check_table(path, length, header, what)?;
        let offset = start + header.len as u64;
        Ok(Self { path: path.to_owned(), file, offset, dtype: header.dtype.clone(), rows, dim })
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), IoError> {
        let width = self.dim * self.dtype.size();
        let at = self.offset + (rows.start * width) as u64;
        let fill = |bytes: &mut [u8]| {
            read_exact_at(&self.file, bytes, at).map_err(|e| IoError::os(&self.path, "read", e))
        };
        match self.dtype {
            Dtype::F16 => {
                let mut numbers = vec![0_u16; out.len()];
                fill(bytemuck::cast_slice_mut(&mut numbers))?;
                numbers.iter_mut().for_each(|n| *n = u16::from_le(*n));
                bytemuck::cast_slice::<u16, half::f16>(&numbers).convert_to_f32_slice(out);
            }
            Dtype::F64 => {
                let mut numbers = vec![0_u64; out.len()];
                fill(bytemuck::cast_slice_mut(&mut numbers))?;
                for (out, bits) in out.iter_mut().zip(numbers) {
                    *out = f64::from_bits(u64::from_le(bits)) as f32;
                }
            }
            _ => {
                fill(bytemuck::cast_slice_mut(out))?;
                out.iter_mut().for_each(|x| *x = f32::from_bits(u32::from_le(x.to_bits())));
            }
        }
        Ok(())
    }
}

/// The rows and the width of a table of floats in C order; an error for any other array, and for one
/// that promises more than `length` bytes, header included.
fn check_table(
    path: &Path,
    length: u64,
    header: &Header,
    what: &str,
) -> Result<[usize; 2], IoError> {
    let &[rows, dim] = header.shape.as_slice() else {
        let problem =
            format!("{what} has the shape {:?}; a table of vectors has two axes", header.shape);
        return Err(IoError::malformed(path, problem));
    };
    if let Dtype::Other(descr) = &header.dtype {
        let problem = format!("{what} has the element type {descr}");
        let remedy = "save it as little-endian float16, float32 or float64";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy));
    }
    if header.dtype == Dtype::UidPair {
        let problem = format!("{what} is a subset file, no table of vectors");
        return Err(IoError::malformed(path, problem));
    }
    if header.fortran_order {
        let problem = format!("{what} is in Fortran order");
        let remedy = "save it with numpy.ascontiguousarray";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy));
    }
    if dim == 0 {
        return Err(IoError::malformed(path, format!("{what} holds vectors of 0 numbers")));
    }
    let promised = header.data_len().and_then(|data| data.checked_add(header.len));
    if promised.is_some_and(|promised| promised as u64 <= length) {
        return Ok([rows, dim]);
    }
    let problem = format!("{what} promises {rows} x {dim} numbers, but the file ends before");
    Err(IoError::new(Kind::Truncated, path, problem, "fetch or write the file again"))
}

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
            // Written once the width is known.
            (None, None) => Ok(()),
        }
    }

    fn write(&mut self, vector: &[f32]) -> Result<(), IoError> {
        vector.iter().try_for_each(|x| self.file.write_all(&x.to_le_bytes())).map_err(no_room)
    }

    pub(crate) fn finish(self, path: &Path, what: &str) -> Result<Part, IoError> {
        let file = self.file.into_inner().map_err(|e| no_room(e.into_error()))?;
        let Some(dim) = self.dim.filter(|&dim| dim > 0) else {
            return Err(IoError::malformed(path, format!("{what} holds no vector")));
        };
        let (path, file) = (path.to_owned(), Arc::new(file));
        Ok(Part { path, file, offset: 0, dtype: Dtype::F32, rows: self.rows, dim })
    }
}

#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (bytes, at) = (&mut bytes[n..], at + n as u64);
    }
    Ok(())
}

/// The arrays of an npz file.
pub struct Npz {
    path: PathBuf,
    archive: zip::ZipArchive<File>,
}

impl Npz {
    /// Opens an npz file and reads its list of members.
    ///
    /// # Errors
    /// When it is no zip file, or is cut off.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
        let archive = zip::ZipArchive::new(file).map_err(|e| {
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
    pub fn array(&mut self, name: &str) -> Result<Part, IoError> {
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
        if member.compression() == zip::CompressionMethod::Stored {
            let (start, length) = (member.data_start(), member.size());
            drop(member);
            let start = start
                .ok_or_else(|| unreadable(io::Error::from(io::ErrorKind::InvalidData).into()))?;
            let file = File::open(&path).map_err(|e| IoError::os(&path, "read", e))?;
            let end = file.metadata().map_err(|e| IoError::os(&path, "read", e))?.len();
            let there = length.min(end.saturating_sub(start));
            return Part::new(&path, Arc::new(file), start, there, &header, &what);
        }
        // Before room on the disk is taken for what is not there.
        check_table(&path, member.size(), &header, &what)?;
        let mut spool = tempfile::tempfile().map_err(no_room)?;
        spool.seek(SeekFrom::Start(header.len as u64)).map_err(no_room)?;
        // What a hostile member unpacks to beyond its promise is not taken.
        let mut left = header.data_len().unwrap_or(0);
        let (mut buffer, mut length) = (vec![0; 1 << 16], header.len as u64);
        loop {
            let n = member.read(&mut buffer).map_err(|e| unreadable(e.into()))?.min(left);
            if n == 0 {
                return Part::new(&path, Arc::new(spool), 0, length, &header, &what);
            }
            spool.write_all(&buffer[..n]).map_err(no_room)?;
            (left, length) = (left - n, length + n as u64);
        }
    }
}

/// Temporary files take arrays that were deflated.
fn no_room(error: io::Error) -> IoError {
    let mut error = IoError::os(std::env::temp_dir(), "written", error);
    if error.kind == Kind::DiskFull {
        error.remedy = "free space there, or name a larger folder in TMPDIR".to_owned();
    }
    error
}

/// Names in backquotes, separated by commas.
pub(crate) fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
