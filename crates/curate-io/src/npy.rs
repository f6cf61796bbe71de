//! The npy format: headers of versions 1 to 3, and the exact header that numpy writes.

use std::io::Read;

/// The element type of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Little-endian half precision, `<f2`.
    F16,
    /// Little-endian single precision, `<f4`.
    F32,
    /// Little-endian double precision, `<f8`.
    F64,
    /// Two little-endian 64-bit numbers: a DataComp subset.
    UidPair,
    /// Anything else, as written in the header.
    Other(String),
}

impl Dtype {
    /// Bytes of an element; 0 for [`Dtype::Other`].
    pub fn size(&self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::UidPair => 16,
            Self::Other(_) => 0,
        }
    }

    fn parse(text: &str) -> Self {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match compact.as_str() {
            "'<f2'" => Self::F16,
            "'<f4'" => Self::F32,
            "'<f8'" => Self::F64,
            "[('f0','<u8'),('f1','<u8')]" => Self::UidPair,
            _ => Self::Other(shown(text)),
        }
    }
}

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

/// Characters of a header that an error repeats.
const SHOWN: usize = 200;

impl Header {
    /// Reads a header. The error says what is wrong with it.
    ///
    /// # Errors
    /// When the bytes are no npy header, or end too early.
    pub fn read(mut from: impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        from.read_exact(&mut start).map_err(|_| "ends within its npy header".to_owned())?;
        if start[..6] != *MAGIC {
            return Err("is no npy array: it does not start with \\x93NUMPY".to_owned());
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

    /// Bytes of data that the header promises; `None` when the number overflows.
    pub fn data_len(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.dtype.size(), |len, &axis| len.checked_mul(axis))
    }
}

/// As much of a text as a person wants to see.
fn shown(text: &str) -> String {
    text.trim().chars().take(SHOWN).collect()
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

/// The header that `np.save` writes for an array of this type and shape in C order: version 1.0,
/// padded so that the data starts at a multiple of 64 bytes, with room for the first axis to grow.
///
/// `descr` is written as numpy prints it, for example `'<f4'` with its quotes.
pub fn header_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let tuple = match axes.as_slice() {
        [one] => format!("({one},)"),
        _ => format!("({})", axes.join(", ")),
    };
    let mut text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {tuple}, }}");
    // numpy reserves 21 digits for the axis that may grow.
    let growth = shape.first().map_or(0, |first| 21 - first.to_string().len());
    text.extend(std::iter::repeat_n(' ', growth));
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("the header of a few axes fits 64 KiB");
    [MAGIC.as_slice(), &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat()
}

/// A whole npy file: a table of f32 in C order.
///
/// # Panics
/// When `values` is not `rows * columns` numbers.
pub fn f32_table(values: &[f32], rows: usize, columns: usize) -> Vec<u8> {
    assert_eq!(values.len(), rows * columns, "one number for each cell");
    let mut bytes = header_bytes("'<f4'", &[rows, columns]);
    bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

/// The `descr` of a DataComp subset.
pub const UID_PAIR: &str = "[('f0', '<u8'), ('f1', '<u8')]";

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
