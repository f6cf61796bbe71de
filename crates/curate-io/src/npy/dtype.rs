//! The element types of arrays, and the numbers of those that hold some.

use std::fmt;

use half::f16;

/// The `descr` of a DataComp subset.
pub const UID_PAIR: &str = "[('f0', '<u8'), ('f1', '<u8')]";

/// Characters of a header that an error repeats.
const SHOWN: usize = 200;

/// As much of a text as a person wants to see.
pub(super) fn shown(text: &str) -> String {
    text.trim().chars().take(SHOWN).collect()
}

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
    /// Other numbers: whole ones, flags, and floats whose bytes come in the other order.
    Number(Number),
    /// Anything else, as written in the header.
    Other(String),
}

/// How a number lies in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    kind: NumberKind,
    bytes: usize,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberKind {
    Float,
    Signed,
    Unsigned,
    Flag,
}

impl Number {
    /// The type of a `descr` such as `>f4` or `|u1`; `None` for what is no number of at most 64 bits.
    fn parse(descr: &str) -> Option<Self> {
        let mut characters = descr.chars();
        let (order, kind) = (characters.next()?, characters.next()?);
        let bytes: usize = characters.as_str().parse().ok()?;
        let (kind, sizes) = match kind {
            'f' => (NumberKind::Float, &[2, 4, 8][..]),
            'i' => (NumberKind::Signed, &[1, 2, 4, 8][..]),
            'u' => (NumberKind::Unsigned, &[1, 2, 4, 8][..]),
            'b' => (NumberKind::Flag, &[1][..]),
            _ => return None,
        };
        let known = "<>|=".contains(order) && sizes.contains(&bytes);
        let big_endian = order == '>' || (order == '=' && cfg!(target_endian = "big"));
        known.then_some(Self { kind, bytes, big_endian })
    }

    /// The numbers that these bytes are, in single precision as `numpy.astype` rounds them.
    fn decode(self, bytes: &[u8], out: &mut [f32]) {
        for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(self.bytes)) {
            *out = self.value(bytes);
        }
    }

    fn value(self, bytes: &[u8]) -> f32 {
        let place = |i: usize| if self.big_endian { bytes.len() - 1 - i } else { i };
        let bits = (0..bytes.len()).rev().fold(0, |bits, i| bits << 8 | u64::from(bytes[place(i)]));
        match (self.kind, self.bytes) {
            (NumberKind::Float, 2) => f16::from_bits(bits as u16).to_f32(),
            (NumberKind::Float, 4) => f32::from_bits(bits as u32),
            (NumberKind::Float, _) => f64::from_bits(bits) as f32,
            (NumberKind::Signed, bytes) => {
                let unused = 64 - 8 * bytes as u32;
                ((bits << unused).cast_signed() >> unused) as f32
            }
            (NumberKind::Unsigned, _) => bits as f32,
            (NumberKind::Flag, _) => f32::from(bits != 0),
        }
    }
}

impl Dtype {
    /// Bytes of an element; 0 for [`Dtype::Other`].
    pub fn size(&self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::UidPair => 16,
            Self::Number(number) => number.bytes,
            Self::Other(_) => 0,
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match compact.as_str() {
            "'<f2'" => Self::F16,
            "'<f4'" => Self::F32,
            "'<f8'" => Self::F64,
            "[('f0','<u8'),('f1','<u8')]" => Self::UidPair,
            other => match Number::parse(other.trim_matches(['\'', '"'])) {
                Some(number) => Self::Number(number),
                None => Self::Other(shown(text)),
            },
        }
    }

    /// The numbers that these bytes are, in single precision. Only numbers have some.
    pub(crate) fn decode(&self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F16 => {
                let halves = out.iter_mut().zip(bytes.as_chunks::<2>().0);
                halves.for_each(|(out, bytes)| *out = f16::from_le_bytes(*bytes).to_f32());
            }
            Self::F32 => {
                let singles = out.iter_mut().zip(bytes.as_chunks::<4>().0);
                singles.for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes));
            }
            Self::F64 => {
                let doubles = out.iter_mut().zip(bytes.as_chunks::<8>().0);
                doubles.for_each(|(out, bytes)| *out = f64::from_le_bytes(*bytes) as f32);
            }
            Self::Number(number) => number.decode(bytes, out),
            Self::UidPair | Self::Other(_) => out.fill(f32::NAN),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F16 => f.write_str("'<f2'"),
            Self::F32 => f.write_str("'<f4'"),
            Self::F64 => f.write_str("'<f8'"),
            Self::UidPair => f.write_str(UID_PAIR),
            Self::Number(Number { kind, bytes, big_endian }) => {
                let order = if *big_endian { '>' } else { '<' };
                let kind = match kind {
                    NumberKind::Float => 'f',
                    NumberKind::Signed => 'i',
                    NumberKind::Unsigned => 'u',
                    NumberKind::Flag => 'b',
                };
                write!(f, "'{order}{kind}{bytes}'")
            }
            Self::Other(descr) => f.write_str(descr),
        }
    }
}
