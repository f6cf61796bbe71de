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
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct SampleId(pub u128);

/// Text that is no sample id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no sample id: expected 1 to 32 hexadecimal digits")]
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

impl FromStr for SampleId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = parse(text.as_bytes());
        id.ok_or_else(|| IdError { text: text.chars().take(64).collect() })
    }
}

/// Pools have billions of ids: a look-up a digit takes a tenth of `u128::from_str_radix`, which also
/// takes a sign.
fn parse(text: &[u8]) -> Option<SampleId> {
    if !(1..=32).contains(&text.len()) {
        return None;
    }
    let (high, low) = text.split_at(text.len().saturating_sub(16));
    let ((high, a), (low, b)) = (number(high), number(low));
    (a | b < 16).then(|| SampleId::from_halves(high, low))
}

/// The number of up to 16 digits, and something above 15 when one of them is none.
fn number(digits: &[u8]) -> (u64, u8) {
    digits.iter().fold((0, 0), |(number, all), &digit| {
        let value = VALUES[usize::from(digit)];
        (number << 4 | u64::from(value & 15), all | value)
    })
}

/// The value of each hexadecimal digit, and 255 for bytes that are none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_error_does_not_repeat_a_huge_text() {
        let error = "z".repeat(10_000).parse::<SampleId>().unwrap_err();
        assert_eq!(error.text.len(), 64);
    }
}
