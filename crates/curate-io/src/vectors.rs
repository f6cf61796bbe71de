//! Embeddings in arrays on disk, read where they lie.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crc32fast::Hasher;
use curate_core::{EmbeddingSource, SourceError};
use half::slice::HalfFloatSliceExt;

use crate::{
    checksum::Checksum,
    error::{IoError, Kind},
    files,
    npy::{Dtype, Header, shape_of},
    positioned::read_exact_at,
};

/// Bytes of an array that are turned from columns into rows at once.
const BY_ROWS_AT_ONCE: usize = 1 << 26;

/// Numbers of a vector that is read at most; more is a slip of axes, or an attack on memory.
pub const LONGEST_VECTOR: usize = 1 << 16;

/// An error unless an array has the rows that it should have: asked before anything is unpacked.
pub(crate) type Expect<'a> = &'a dyn Fn(usize) -> Result<(), IoError>;

/// Bytes that are read, summed and converted at once: they stay in a core's cache.
const BYTES_AT_ONCE: usize = 1 << 17;

/// A table of vectors on disk: arrays of one width, one after the other. Implements
/// [`EmbeddingSource`]; only the rows asked for are read. A clone shares the open files.
#[derive(Clone, Debug)]
pub struct Embedding {
    arrays: Arc<[StoredArray]>,
    /// The first row of each array, and the number of rows at the end.
    starts: Arc<[usize]>,
    dim: usize,
}

/// One two-dimensional array of numbers in a file, read in single precision.
#[derive(Clone, Debug)]
pub struct StoredArray {
    path: PathBuf,
    file: Arc<File>,
    /// Where the data begins.
    offset: u64,
    dtype: Dtype,
    rows: usize,
    /// 0 where no row has a vector.
    dim: usize,
    /// What its file says of its bytes.
    checksum: Option<Arc<Checksum>>,
}

impl Embedding {
    /// Arrays one after the other.
    ///
    /// # Errors
    /// When the arrays differ in width, or there are rows but not one vector.
    pub fn new(arrays: Vec<StoredArray>) -> Result<Self, IoError> {
        let first = arrays.iter().find(|array| array.dim > 0);
        let dim = first.map_or(0, |array| array.dim);
        let of_width = |array: &&StoredArray| array.dim > 0 && array.dim != dim;
        if let (Some(first), Some(other)) = (first, arrays.iter().find(of_width)) {
            let problem = format!(
                "holds vectors of {} numbers, but {} holds {dim}",
                other.dim,
                first.path.display()
            );
            return Err(IoError::new(
                Kind::Disagree,
                &other.path,
                problem,
                "embed all shards with one model",
            ));
        }
        if let (None, Some(gaps)) = (first, arrays.iter().find(|array| array.rows > 0)) {
            let problem = format!("has {} rows and not one vector", gaps.rows);
            return Err(IoError::malformed(&gaps.path, problem));
        }
        let mut starts = vec![0];
        starts.extend(arrays.iter().scan(0, |row, array| {
            *row += array.rows;
            Some(*row)
        }));
        Ok(Self { arrays: arrays.into(), starts: starts.into(), dim })
    }

    fn array_of(&self, row: usize) -> usize {
        self.starts.partition_point(|&start| start <= row) - 1
    }

    /// An error unless there are rows up to `end`, and `out` has room for `rows` of them.
    fn check(&self, end: usize, rows: usize, out: &[f32]) -> Result<(), SourceError> {
        let there = self.rows();
        if end > there {
            let row = end - 1;
            return Err(WrongRead(format!("row {row} is asked for, but there are {there}")).into());
        }
        if rows.checked_mul(self.dim) != Some(out.len()) {
            let (room, dim) = (out.len(), self.dim);
            let problem = format!("`out` holds {room} numbers, but {rows} rows have {dim} each");
            return Err(WrongRead(problem).into());
        }
        Ok(())
    }
}

/// Rows that are not there, or too little room for them.
#[derive(Debug, thiserror::Error)]
#[error("{0}: check the rows that are read")]
struct WrongRead(String);

impl From<WrongRead> for SourceError {
    fn from(error: WrongRead) -> Self {
        Self::Read(Box::new(error))
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
        self.check(rows.end, rows.len(), out)?;
        let mut row = rows.start;
        let mut out = out;
        while row < rows.end {
            let at = self.array_of(row);
            let end = rows.end.min(self.starts[at + 1]);
            let (now, later) = out.split_at_mut((end - row) * self.dim);
            let first = row - self.starts[at];
            self.arrays[at].read(first..first + (end - row), now)?;
            (row, out) = (end, later);
        }
        Ok(())
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let end = rows.iter().max().map_or(0, |row| row.saturating_add(1));
        self.check(end, rows.len(), out)?;
        let (mut done, mut room) = (0, Vec::new());
        let gap = SKIPPED_BYTES / (4 * self.dim.max(1));
        // Neighbors in the pool are read together, with the few rows between them that nobody asked for: a
        // stage that kept most rows would else ask the system for each of its rows.
        for near in rows.chunk_by(|&a, &b| b > a && b - a - 1 <= gap) {
            for run in near.chunks(READ_TOGETHER) {
                let out = &mut out[done * self.dim..][..run.len() * self.dim];
                let span = run[0]..run[run.len() - 1] + 1;
                done += run.len();
                if span.len() == run.len() {
                    self.read(span, out)?;
                    continue;
                }
                room.resize(span.len() * self.dim, 0.0);
                self.read(span.clone(), &mut room)?;
                for (&row, out) in run.iter().zip(out.chunks_exact_mut(self.dim.max(1))) {
                    out.copy_from_slice(&room[(row - span.start) * self.dim..][..self.dim]);
                }
            }
        }
        Ok(())
    }
}

/// Bytes that are read for nobody rather than asking the system again, in single precision.
const SKIPPED_BYTES: usize = 4096;

/// Rows that are read together, at most, where there are others between them.
const READ_TOGETHER: usize = 1024;

impl StoredArray {
    /// The array in an npy file.
    ///
    /// # Errors
    /// When it is not a two-dimensional array of numbers, or is cut off.
    pub fn open_npy(path: &Path) -> Result<Self, IoError> {
        Self::npy_where(path, &|_| Ok(()))
    }

    /// [`Self::open_npy`], if its rows are as expected: which is asked before anything is copied.
    pub(crate) fn npy_where(path: &Path, expect: Expect<'_>) -> Result<Self, IoError> {
        let file = files::open(path)?;
        let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
        let header = Header::of_file(path, &file)?;
        expect(check_table(path, length, &header, "the array")?[0])?;
        Self::within(path, Arc::new(file), 0..length, &header, "the array")
    }

    /// The rows of the array in an npy file, of which only the header is read.
    ///
    /// # Errors
    /// As [`Self::open_npy`].
    pub(crate) fn rows_of_npy(path: &Path) -> Result<usize, IoError> {
        let file = files::open(path)?;
        let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
        let header = Header::of_file(path, &file)?;
        Ok(check_table(path, length, &header, "the array")?[0])
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
        let file = files::open(path)?;
        let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
        let header = Header { dtype, fortran_order: false, shape: vec![rows, dim], len: 0 };
        Self::within(path, Arc::new(file), offset..length.max(offset), &header, what)
    }

    /// Rows of the array.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// An array of which header and data lie in these bytes of `file`, which is (part of) `path`.
    pub(crate) fn within(
        path: &Path,
        file: Arc<File>,
        bytes: Range<u64>,
        header: &Header,
        what: &str,
    ) -> Result<Self, IoError> {
        Self::summed(path, file, bytes, header, what, None)
    }

    /// The same, of which the file holds a checksum.
    pub(crate) fn summed(
        path: &Path,
        file: Arc<File>,
        bytes: Range<u64>,
        header: &Header,
        what: &str,
        checksum: Option<Checksum>,
    ) -> Result<Self, IoError> {
        let [rows, dim] = check_table(path, bytes.end - bytes.start, header, what)?;
        let offset = bytes.start + header.len as u64;
        let (dtype, checksum) = (header.dtype.clone(), checksum.map(Arc::new));
        let stored = Self { path: path.to_owned(), file, offset, dtype, rows, dim, checksum };
        if header.fortran_order && rows > 1 && dim > 1 { stored.by_rows() } else { Ok(stored) }
    }

    /// So many rows, none of which has a vector.
    pub(crate) fn gaps(path: &Path, file: Arc<File>, rows: usize) -> Self {
        let (offset, dtype, checksum) = (0, Dtype::F32, None);
        Self { path: path.to_owned(), file, offset, dtype, rows, dim: 0, checksum }
    }

    /// An array that lies column by column, written row by row into a temporary file: a row of it
    /// lies in as many places as it has numbers.
    fn by_rows(self) -> Result<Self, IoError> {
        let (rows, dim, size) = (self.rows, self.dim, self.dtype.size());
        self.sum_up()?;
        let mut spool =
            BufWriter::with_capacity(1 << 20, tempfile::tempfile().map_err(IoError::no_room)?);
        let at_once = (BY_ROWS_AT_ONCE / (dim * size)).clamp(1, rows);
        let mut columns = vec![0; at_once * dim * size];
        for start in (0..rows).step_by(at_once) {
            let height = at_once.min(rows - start);
            for (column, out) in columns.chunks_exact_mut(at_once * size).enumerate() {
                let at = self.offset + ((column * rows + start) * size) as u64;
                read_exact_at(&self.file, &mut out[..height * size], at)
                    .map_err(|e| IoError::os(&self.path, "read", e))?;
            }
            for row in 0..height {
                for column in columns.chunks_exact(at_once * size) {
                    spool.write_all(&column[row * size..][..size]).map_err(IoError::no_room)?;
                }
            }
        }
        let file = spool.into_inner().map_err(|e| IoError::no_room(e.into_error()))?;
        Ok(Self { file: Arc::new(file), offset: 0, checksum: None, ..self })
    }

    /// Reads all bytes in their order, where the file has a checksum of them.
    fn sum_up(&self) -> Result<(), IoError> {
        let Some(checksum) = &self.checksum else { return Ok(()) };
        let length = self.rows * self.dim * self.dtype.size();
        let (mut sum, mut block) = (Hasher::new(), vec![0; length.min(1 << 20)]);
        for at in (0..length).step_by(1 << 20) {
            let block = &mut block[..(length - at).min(1 << 20)];
            self.fill(block, self.offset + at as u64)?;
            sum.update(block);
        }
        checksum.add(0, length, sum);
        self.check_sum()
    }

    fn fill(&self, bytes: &mut [u8], at: u64) -> Result<(), IoError> {
        read_exact_at(&self.file, bytes, at).map_err(|e| IoError::os(&self.path, "read", e))
    }

    /// An error once all rows were read and are not those that the file promises.
    fn check_sum(&self) -> Result<(), IoError> {
        let Some(checksum) = self.checksum.as_ref().filter(|checksum| checksum.is_wrong()) else {
            return Ok(());
        };
        let problem = format!("{} does not have the bytes of its checksum", checksum.what);
        Err(IoError::malformed(&self.path, problem))
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), IoError> {
        if self.dim == 0 {
            out.fill(f32::NAN);
            return Ok(());
        }
        let size = self.dtype.size();
        let start = (rows.start * self.dim * size) as u64;
        let length = out.len() * size;
        let mut sum = self.checksum.as_ref().and_then(|checksum| checksum.start(length));
        let mut at = self.offset + start;
        let mut halves = Vec::new();
        for out in out.chunks_mut((BYTES_AT_ONCE / size).max(1)) {
            let mut fill = |bytes: &mut [u8]| {
                self.fill(bytes, at)?;
                if let Some(sum) = &mut sum {
                    sum.update(bytes);
                }
                Ok(())
            };
            self.convert(&mut fill, &mut halves, out)?;
            at += (out.len() * size) as u64;
        }
        if let (Some(checksum), Some(sum)) = (&self.checksum, sum) {
            checksum.add(start, length, sum);
        }
        self.check_sum()
    }

    /// Numbers of the bytes that `fill` reads; `halves` is room that is used again.
    fn convert(
        &self,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), IoError>,
        halves: &mut Vec<u16>,
        out: &mut [f32],
    ) -> Result<(), IoError> {
        match self.dtype {
            Dtype::F16 => {
                halves.resize(out.len(), 0);
                fill(bytemuck::cast_slice_mut(halves))?;
                halves.iter_mut().for_each(|n| *n = u16::from_le(*n));
                bytemuck::cast_slice::<u16, half::f16>(halves).convert_to_f32_slice(out);
            }
            Dtype::F32 => {
                fill(bytemuck::cast_slice_mut(out))?;
                out.iter_mut().for_each(|x| *x = f32::from_bits(u32::from_le(x.to_bits())));
            }
            _ => {
                let mut bytes = vec![0; self.dtype.size() * out.len()];
                fill(&mut bytes)?;
                self.dtype.decode(&bytes, out);
            }
        }
        Ok(())
    }
}

/// The rows and the width of a table of numbers; an error for any other array, and for one
/// that promises more than `length` bytes, header included.
pub(crate) fn check_table(
    path: &Path,
    length: u64,
    header: &Header,
    what: &str,
) -> Result<[usize; 2], IoError> {
    let &[rows, dim] = header.shape.as_slice() else {
        let problem = format!(
            "{what} has the shape {}; a table of vectors has two axes",
            shape_of(&header.shape)
        );
        return Err(IoError::new(
            Kind::Malformed,
            path,
            problem,
            "name an array that has two axes",
        ));
    };
    if let Dtype::Other(descr) = &header.dtype {
        let problem = format!("{what} has the element type {descr}");
        let remedy = "save it as float16, float32, float64 or whole numbers";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy));
    }
    if header.dtype == Dtype::UidPair {
        let problem = format!("{what} is a subset file, no table of vectors");
        return Err(IoError::malformed(path, problem));
    }
    let promised = header.data_len().and_then(|data| data.checked_add(header.len));
    if dim == 0 || promised.is_some_and(|promised| promised as u64 <= length) {
        return check_width(path, dim, what).map(|()| [rows, dim]);
    }
    let problem = format!("{what} promises {rows} x {dim} numbers, but the file ends before");
    Err(IoError::new(Kind::Truncated, path, problem, "fetch or write the file again"))
}

/// An error for vectors of no numbers, and of more than anyone embeds with.
pub(crate) fn check_width(path: &Path, dim: usize, what: &str) -> Result<(), IoError> {
    match dim {
        0 => Err(IoError::malformed(path, format!("{what} holds vectors of 0 numbers"))),
        1..=LONGEST_VECTOR => Ok(()),
        _ => {
            let problem = format!(
                "{what} holds vectors of {dim} numbers, more than the limit of {LONGEST_VECTOR}"
            );
            let remedy = "write one vector a row: is the array the other way round?";
            Err(IoError::new(Kind::Unsupported, path, problem, remedy))
        }
    }
}

/// Names in backquotes, separated by commas.
pub(crate) fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
