//! The npy format: headers of versions 1 to 3, and tables written as numpy writes them.

mod dtype;

use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
};

use half::f16;
use ndarray::{Array2, ArrayView2, ShapeBuilder, ShapeError};
use serde::{Deserialize, Serialize};

use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
    files,
};

pub use dtype::{Dtype, Number, UID_PAIR};

use dtype::shown;

/// What an npy header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The element type.
    pub dtype: Dtype,
    /// True when the first index varies fastest.
    pub fortran_order: bool,
    /// The lengths of the axes.
    pub shape: Vec<usize>,
    /// Bytes before the data.
    pub len: usize,
}

/// The magic bytes at the start of an npy file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Headers are a few dozen bytes; a longer one is an attack or garbage.
const LONGEST_HEADER: usize = 1 << 20;

/// numpy has no array of more axes.
const MOST_AXES: usize = 64;

impl Header {
    /// Reads a header. The error says what is wrong with it.
    ///
    /// # Errors
    /// When the bytes are no npy header, or end too early.
    pub fn read(mut from: impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        from.read_exact(&mut start).map_err(|_| "ends within its npy header".to_owned())?;
        if start[..6] != *MAGIC {
            return Err("is not an npy array: it does not start with \\x93NUMPY".to_owned());
        }
        let (prefix, length) = match start[6] {
            1 => (2, little_endian(&mut from, 2)?),
            2 | 3 => (4, little_endian(&mut from, 4)?),
            other => return Err(format!("has npy version {other}; versions 1 to 3 are read")),
        };
        if length > LONGEST_HEADER {
            return Err(format!("declares an npy header of {length} bytes"));
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text).map_err(|_| "ends within its npy header".to_owned())?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text, 8 + prefix + length)
            .ok_or_else(|| format!("has an npy header that is no dictionary: {}", shown(&text)))
    }

    /// Reads the header of an npy file.
    ///
    /// # Errors
    /// When it has none; a file of another format is named, with how its array becomes npy.
    pub(crate) fn of_file(path: &Path, mut from: impl Read) -> Result<Self, IoError> {
        let mut start = Vec::new();
        let taken = from.by_ref().take(8).read_to_end(&mut start);
        taken.map_err(|e| IoError::os(path, "read", e))?;
        if let Some((format, remedy)) = other_format(&start) {
            let problem = format!("is {format}, not an npy array");
            return Err(IoError::new(Kind::Malformed, path, problem, remedy));
        }
        Self::read(start.chain(from)).map_err(|e| IoError::malformed(path, e))
    }

    fn parse(text: &str, len: usize) -> Option<Self> {
        let dtype = Dtype::parse(value_of(text, "descr")?);
        let fortran_order = match value_of(text, "fortran_order")?.trim() {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        let shape = value_of(text, "shape")?.trim().strip_prefix('(')?.strip_suffix(')')?;
        let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape: Vec<usize> =
            axes.map(|axis| axis.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?;
        (shape.len() <= MOST_AXES).then_some(Self { dtype, fortran_order, shape, len })
    }

    /// Whether this is a table of numbers.
    pub(crate) fn is_table(&self) -> bool {
        self.shape.len() == 2 && !matches!(self.dtype, Dtype::UidPair | Dtype::Other(_))
    }

    /// Bytes of data that the header promises; `None` when the number overflows.
    pub fn data_len(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.dtype.size(), |len, &axis| len.checked_mul(axis))
    }
}

/// Formats that arrays come in too, by their first bytes, and how theirs become npy.
fn other_format(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const TORCH: &str =
        "write the array in it as npy: numpy.save(\"a.npy\", torch.load(\"a.pt\").numpy())";
    const ALONE: &str = "write the array in it as npy, with numpy.save";
    let formats: [(&[u8], _, _); 7] = [
        (b"PK\x03\x04", "a zip archive, such as torch.save and numpy.savez write", TORCH),
        (b"\x80\x02", "a pickle, such as early versions of torch.save write", TORCH),
        (b"\x80\x03", "a pickle", ALONE),
        (b"\x80\x04", "a pickle", ALONE),
        (b"\x80\x05", "a pickle", ALONE),
        (b"\x89HDF", "an HDF5 file", ALONE),
        (b"PAR1", "a Parquet file", ALONE),
    ];
    let found = formats.into_iter().find(|(magic, ..)| start.starts_with(magic));
    found.map(|(_, format, remedy)| (format, remedy))
}

fn little_endian(from: &mut impl Read, bytes: usize) -> Result<usize, String> {
    let mut buffer = [0; 8];
    from.read_exact(&mut buffer[..bytes]).map_err(|_| "ends within its npy header".to_owned())?;
    usize::try_from(u64::from_le_bytes(buffer)).map_err(|e| e.to_string())
}

/// The text of a dictionary entry, up to the comma that ends it outside all brackets.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let quoted = ["'", "\""].iter().find_map(|q| {
        let key = format!("{q}{key}{q}");
        text.find(&key).map(|at| at + key.len())
    })?;
    let rest = text[quoted..].trim_start().strip_prefix(':')?;
    let mut depth = 0_i32;
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' | '}' if depth == 0 => return Some(rest[..at].trim()),
            _ => {}
        }
    }
    None
}

/// How floats are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half precision, as DataComp's embeddings.
    F16,
}

impl Precision {
    fn descr(self) -> &'static str {
        match self {
            Self::F32 => "'<f4'",
            Self::F16 => "'<f2'",
        }
    }
}

/// The header that `np.save` writes for an array of this type and shape in C order: version 1.0,
/// padded so that the data starts at a multiple of 64 bytes, with room for the first axis to grow;
/// version 2.0 where that is too short for it.
///
/// `descr` is written as numpy prints it, for example `'<f4'` with its quotes.
pub fn header_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let tuple = shape_of(shape);
    let mut text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {tuple}, }}");
    // numpy reserves 21 digits for the axis that may grow.
    let growth = shape.first().map_or(0, |first| 21 - first.to_string().len());
    text.extend(std::iter::repeat_n(' ', growth));
    let padded = |prefix: usize| {
        let unpadded = MAGIC.len() + 2 + prefix + text.len() + 1;
        text.len() + unpadded.next_multiple_of(64) - unpadded
    };
    let (version, length) = match u16::try_from(padded(2) + 1) {
        Ok(length) => (1, length.to_le_bytes().to_vec()),
        Err(_) => (2, ((padded(4) + 1) as u32).to_le_bytes().to_vec()),
    };
    let spaces = padded(length.len()) - text.len();
    text.extend(std::iter::repeat_n(' ', spaces));
    text.push('\n');
    [MAGIC.as_slice(), &[version, 0], &length, text.as_bytes()].concat()
}

/// Writes a table of vectors as `np.save` does, one per row, in C order. The file appears whole or not
/// at all.
///
/// ```
/// use curate_core::EmbeddingSource;
/// use curate_io::{Embedding, npy::{self, Precision}, vectors::StoredArray};
/// use ndarray::array;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.npy");
/// npy::write(&path, array![[1.0, 2.0], [3.0, 4.0]].view(), Precision::F32)?;
/// let rows = Embedding::new(vec![StoredArray::open_npy(&path)?])?;
/// assert_eq!((rows.rows(), rows.dim()), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write(path: &Path, table: ArrayView2<'_, f32>, precision: Precision) -> Result<(), IoError> {
    let mut file = AtomicFile::create(path)?;
    write_table(&mut file, table, precision).map_err(|e| IoError::os(path, "written", e))?;
    file.commit()
}

/// A whole npy file in memory: a table of f32 in C order.
///
/// # Errors
/// When `values` is not `rows * columns` numbers.
pub fn f32_table(values: &[f32], rows: usize, columns: usize) -> Result<Vec<u8>, ShapeError> {
    let table = ArrayView2::from_shape((rows, columns), values)?;
    let mut bytes = Vec::new();
    write_table(&mut bytes, table, Precision::F32).expect("memory takes every byte");
    Ok(bytes)
}

/// Bytes that are written at once.
const AT_ONCE: usize = 1 << 16;

/// Header and numbers of a table, row by row whatever its layout in memory.
pub(crate) fn write_table(
    out: &mut impl Write,
    table: ArrayView2<'_, f32>,
    precision: Precision,
) -> io::Result<()> {
    out.write_all(&header_bytes(precision.descr(), table.shape()))?;
    let mut bytes = Vec::with_capacity(AT_ONCE);
    for row in table.rows() {
        match precision {
            Precision::F32 => row.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
            Precision::F16 => {
                row.iter().for_each(|x| bytes.extend(f16::from_f32(*x).to_le_bytes()))
            }
        }
        if bytes.len() >= AT_ONCE {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)
}

/// Numbers of one axis, such as labels or a score of each row, in single precision.
///
/// # Errors
/// When the file holds something else, or cannot be read.
pub fn read_column(path: &Path) -> Result<Vec<f32>, IoError> {
    let remedy = "write it with numpy.save as an array of numbers of shape [n]";
    Ok(read_axes(path, 1, remedy)?.1)
}

/// A table of numbers that is held in memory, whichever of its axes varies fastest.
pub(crate) fn read_f32(path: &Path) -> Result<Array2<f32>, IoError> {
    let remedy = "write it with numpy.save as a float32 array of shape [k, d]";
    let (header, numbers) = read_axes(path, 2, remedy)?;
    let shape = (header.shape[0], header.shape[1]).set_f(header.fortran_order);
    Ok(Array2::from_shape_vec(shape, numbers).expect("as many numbers as the shape says"))
}

/// The numbers of an array of so many axes, one or two, as they lie in the file.
fn read_axes(path: &Path, axes: usize, remedy: &str) -> Result<(Header, Vec<f32>), IoError> {
    let failed = |e| IoError::os(path, "read", e);
    let file = files::open(path)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let mut file = BufReader::new(file);
    let wrong = |kind, problem: String| Err(IoError::new(kind, path, problem, remedy));
    let header = Header::of_file(path, &mut file)?;
    if header.shape.len() != axes {
        let (shape, wanted) =
            (shape_of(&header.shape), if axes == 1 { "one axis" } else { "two axes" });
        let problem = format!("is an array of the shape {shape}, not of {wanted}");
        return wrong(Kind::Malformed, problem);
    }
    if matches!(header.dtype, Dtype::UidPair | Dtype::Other(_)) {
        let problem = format!("is an array of the element type {}, not of numbers", header.dtype);
        return wrong(Kind::Malformed, problem);
    }
    // Before anything is made as large as the header says.
    let data = usize::try_from(bytes.saturating_sub(header.len as u64)).ok();
    if data.is_none() || header.data_len() != data {
        let held = bytes.saturating_sub(header.len as u64);
        let promised: Vec<String> = header.shape.iter().map(usize::to_string).collect();
        let problem = format!("promises {} numbers, but holds {held} bytes", promised.join(" x "));
        return wrong(Kind::Truncated, problem);
    }
    let count = header.shape.iter().product();
    let numbers = read_numbers(&mut file, &header.dtype, count).map_err(failed)?;
    Ok((header, numbers))
}

/// Numbers block by block, so that a file is never held beside its array.
fn read_numbers(from: &mut impl Read, dtype: &Dtype, count: usize) -> io::Result<Vec<f32>> {
    let mut numbers = vec![0.0; count];
    let at_once = AT_ONCE / dtype.size();
    let mut block = vec![0; dtype.size() * at_once.min(count)];
    for numbers in numbers.chunks_mut(at_once) {
        let block = &mut block[..dtype.size() * numbers.len()];
        from.read_exact(block)?;
        dtype.decode(block, numbers);
    }
    Ok(numbers)
}

/// A shape as numpy prints it.
pub(crate) fn shape_of(axes: &[usize]) -> String {
    let axes: Vec<String> = axes.iter().map(usize::to_string).collect();
    match axes.as_slice() {
        [one] => format!("({one},)"),
        _ => format!("({})", axes.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_version(version: u8, text: &str) -> Vec<u8> {
        let length = (text.len() as u32).to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length };
        [MAGIC.as_slice(), &[version, 0], length, text.as_bytes()].concat()
    }

    #[test]
    fn every_version_is_read() {
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 4), }\n";
        for version in 1..=3 {
            let header = Header::read(&with_version(version, text)[..]).unwrap();
            assert_eq!((header.dtype.clone(), header.shape.as_slice()), (Dtype::F16, &[3, 4][..]));
            assert_eq!(header.len, text.len() + if version == 1 { 10 } else { 12 });
            assert_eq!(header.data_len(), Some(24));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = header_bytes(UID_PAIR, &[1234]);
        assert_eq!(bytes.len(), 128);
        let header = Header::read(&bytes[..]).unwrap();
        assert_eq!((header.dtype, header.shape, header.len), (Dtype::UidPair, vec![1234], 128));
        let scalar = Header::read(&header_bytes("'<f8'", &[])[..]).unwrap();
        assert_eq!((scalar.shape.len(), scalar.data_len()), (0, Some(8)));
    }

    #[test]
    fn a_header_too_long_for_version_one_is_of_version_two() {
        let shape = vec![1; 30_000];
        let bytes = header_bytes("'<f4'", &shape);
        assert_eq!((bytes[6], bytes.len() % 64), (2, 0));
        // Nobody reads an array of so many axes, this crate included.
        assert!(Header::read(&bytes[..]).is_err());
        let many = header_bytes("'<f4'", &shape[..64]);
        assert_eq!((many[6], Header::read(&many[..]).unwrap().shape.len()), (1, 64));
        let largest = header_bytes("'<f4'", &[usize::MAX, 8]);
        assert_eq!(Header::read(&largest[..]).unwrap().shape, [usize::MAX, 8]);
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        let overflow =
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }";
        assert_eq!(Header::read(&with_version(1, overflow)[..]).unwrap().data_len(), None);
        for text in ["", "{'descr': '<f2'}", "{'descr': '<f2', 'fortran_order': 1, 'shape': (), }"]
        {
            assert!(Header::read(&with_version(1, text)[..]).is_err(), "{text}");
        }
        assert!(Header::read(&b"\x93NUM"[..]).is_err());
        assert!(Header::read(&b"\x93NUMPY\x09\x00\x00\x00"[..]).is_err());
        let huge = [MAGIC.as_slice(), &[2, 0], &u32::MAX.to_le_bytes()].concat();
        assert!(Header::read(&huge[..]).unwrap_err().contains("declares"));
        let object = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }";
        let header = Header::read(&with_version(1, object)[..]).unwrap();
        assert_eq!(header.dtype, Dtype::Other("'|O'".to_owned()));
    }
}
