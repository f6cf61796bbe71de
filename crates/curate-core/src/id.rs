//! Sample ids: 128-bit numbers, written as 32 hexadecimal digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The id of a sample: DataComp's `uid`, a 128-bit number.
///
/// Text of 1 to 32 hexadecimal digits is read as a number, so an id whose leading zeros were
/// stripped on its way through another tool is still the same id. (Slicing the text at its 16th
/// digit, as some scripts do, swaps the halves of such an id.)
///
/// ```
/// use curate_core::SampleId;
///
/// let id: SampleId = "00ff".parse()?;
/// assert_eq!(id.to_string(), "000000000000000000000000000000ff");
/// assert_eq!(id.halves(), (0, 255));
/// # Ok::<(), curate_core::IdError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SampleId(pub u128);

/// Digits of an id.
const DIGITS: usize = 32;

/// Text that is not a sample id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a sample id: expected 1 to 32 hexadecimal digits")]
pub struct IdError {
    /// The offending text, cut to 64 characters.
    pub text: String,
}

impl SampleId {
    /// The high and the low 64 bits: the two fields of a DataComp subset row (`u8,u8`).
    pub fn halves(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// The id with these high and low 64 bits.
    pub fn from_halves(high: u64, low: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

impl From<u128> for SampleId {
    fn from(value: u128) -> Self {
        Self(value)
    }
}

impl From<u64> for SampleId {
    fn from(value: u64) -> Self {
        Self(u128::from(value))
    }
}

impl FromStr for SampleId {
    type Err = IdError;

    #[inline]
    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = parse(text.as_bytes());
        id.ok_or_else(|| IdError { text: text.chars().take(64).collect() })
    }
}

/// Pools have billions of ids: without a branch or a look-up a digit, in loops that become vector
/// instructions, this takes a tenth of `u128::from_str_radix`, which also takes a sign.
#[inline]
fn parse(text: &[u8]) -> Option<SampleId> {
    let mut digits = match <[u8; DIGITS]>::try_from(text) {
        Ok(digits) => digits,
        Err(_) => padded(text)?,
    };
    let mut all = 0;
    for digit in &mut digits {
        *digit = value(*digit);
        all |= *digit;
    }
    let mut bytes = [0; DIGITS / 2];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = pair[0] << 4 | pair[1];
    }
    (all < 16).then(|| SampleId(u128::from_be_bytes(bytes)))
}

/// Fewer digits, with the zeros that are missing before them.
fn padded(text: &[u8]) -> Option<[u8; DIGITS]> {
    let mut digits = [b'0'; DIGITS];
    let start = DIGITS.checked_sub(text.len()).filter(|_| !text.is_empty())?;
    digits[start..].copy_from_slice(text);
    Some(digits)
}

/// The value of a digit of either case, and something above 15 for a byte that is none.
#[inline]
fn value(byte: u8) -> u8 {
    let digit = byte.wrapping_sub(b'0');
    let letter = (byte | 0x20).wrapping_sub(b'a').saturating_add(10);
    if digit < 10 { digit } else { letter }
}

impl TryFrom<String> for SampleId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SampleId> for String {
    fn from(id: SampleId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The same digits as [`fmt::Display`]: an id in a failed assertion can be searched for in a file.
impl fmt::Debug for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SampleId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_the_same_wherever_it_is_printed() {
        let id = SampleId::from(255_u64);
        assert_eq!(format!("{id:?}"), format!("SampleId({id})"));
        assert_eq!(id, SampleId::from(255_u128));
    }

    #[test]
    fn stripped_leading_zeros_do_not_swap_the_halves() {
        let full: SampleId = "000000000000000f00000000000000a1".parse().unwrap();
        let short: SampleId = "f00000000000000a1".parse().unwrap();
        assert_eq!(full, short);
        assert_eq!(full.halves(), (0xf, 0xa1));
        assert_eq!(SampleId::from_halves(0xf, 0xa1), full);
    }

    #[test]
    fn what_is_no_number_of_32_digits_is_refused() {
        for bad in ["", "+1", "-1", "0x12", "12 ", "g", &"0".repeat(33), "é"] {
            assert!(bad.parse::<SampleId>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!("F".repeat(32).parse(), Ok(SampleId(u128::MAX)));
    }

    #[test]
    fn every_digit_counts_at_every_place() {
        for place in 0..DIGITS {
            for (value, digit) in "0123456789abcdefABCDEF".chars().enumerate() {
                let value = if value > 15 { value - 6 } else { value } as u128;
                let mut text = "0".repeat(DIGITS);
                text.replace_range(place..=place, &digit.to_string());
                assert_eq!(text.parse(), Ok(SampleId(value << (4 * (DIGITS - 1 - place)))));
                let stripped = &text[place..];
                assert_eq!(stripped.parse(), text.parse::<SampleId>(), "{stripped}");
            }
        }
    }

    #[test]
    fn every_other_byte_is_refused_at_every_place() {
        for byte in (0..128_u8).filter(|byte| !byte.is_ascii_hexdigit()) {
            for place in [0, 7, 8, 15, 16, 31] {
                let mut text = "f".repeat(DIGITS);
                text.replace_range(place..=place, &char::from(byte).to_string());
                assert!(text.parse::<SampleId>().is_err(), "{text:?} was accepted");
            }
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_huge_text() {
        let error = "z".repeat(10_000).parse::<SampleId>().unwrap_err();
        assert_eq!(error.text.len(), 64);
    }
}
