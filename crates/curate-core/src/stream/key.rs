//! Numbers as keys whose order is that of unsigned integers, digit by digit.

use crate::SampleId;

/// Bits of a digit: what one pass over the rows settles, with a counter for each of its values.
pub(super) const BITS: u32 = 16;

/// A key as digits of [`BITS`] bits, the most significant first. The least key is all zeros.
pub(super) trait Digits: Copy + Default + Ord + Send + Sync {
    const COUNT: usize;

    /// The digit at a place below [`Self::COUNT`].
    fn digit(self, place: usize) -> u16;

    /// Ones in the first digits, zeros behind them.
    fn mask(digits: usize) -> Self;

    /// The bits that are in both.
    fn and(self, mask: Self) -> Self;

    /// The first digits of the key, zeros behind them.
    fn first(self, digits: usize) -> Self {
        self.and(Self::mask(digits))
    }

    /// The key with a digit put at a place where it has a zero.
    fn with(self, place: usize, digit: u16) -> Self;
}

impl Digits for u64 {
    const COUNT: usize = 4;

    #[inline]
    fn digit(self, place: usize) -> u16 {
        (self >> shift::<{ Self::BITS }>(place)) as u16
    }

    fn mask(digits: usize) -> Self {
        digits.checked_sub(1).map_or(0, |last| Self::MAX << shift::<{ Self::BITS }>(last))
    }

    #[inline]
    fn and(self, mask: Self) -> Self {
        self & mask
    }

    fn with(self, place: usize, digit: u16) -> Self {
        self | Self::from(digit) << shift::<{ Self::BITS }>(place)
    }
}

/// How far a digit lies from the lowest bit of a number of `WIDTH` bits.
#[inline]
fn shift<const WIDTH: u32>(place: usize) -> u32 {
    WIDTH - BITS * (place as u32 + 1)
}

/// A row in a total order: the better score, then the smaller id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) score: u32,
    id: u128,
}

/// Digits of a [`Row`] that are its score's.
pub(super) const SCORE_DIGITS: usize = (u32::BITS / BITS) as usize;

impl Row {
    /// The row of a score's key and an id, of which the smaller is the better.
    pub(super) fn new(score: u32, id: SampleId) -> Self {
        Self { score, id: !id.0 }
    }
}

impl Digits for Row {
    const COUNT: usize = SCORE_DIGITS + (u128::BITS / BITS) as usize;

    fn digit(self, place: usize) -> u16 {
        match place.checked_sub(SCORE_DIGITS) {
            None => (self.score >> shift::<{ u32::BITS }>(place)) as u16,
            Some(place) => (self.id >> shift::<{ u128::BITS }>(place)) as u16,
        }
    }

    fn mask(digits: usize) -> Self {
        let of_score = |last: usize| u32::MAX << shift::<{ u32::BITS }>(last);
        let of_id = |last: usize| u128::MAX << shift::<{ u128::BITS }>(last);
        match digits.checked_sub(SCORE_DIGITS) {
            None | Some(0) => Self { score: digits.checked_sub(1).map_or(0, of_score), id: 0 },
            Some(digits) => Self { score: u32::MAX, id: of_id(digits - 1) },
        }
    }

    #[inline]
    fn and(self, mask: Self) -> Self {
        Self { score: self.score & mask.score, id: self.id & mask.id }
    }

    fn with(self, place: usize, digit: u16) -> Self {
        match place.checked_sub(SCORE_DIGITS) {
            None => Self {
                score: self.score | u32::from(digit) << shift::<{ u32::BITS }>(place),
                ..self
            },
            Some(place) => {
                Self { id: self.id | u128::from(digit) << shift::<{ u128::BITS }>(place), ..self }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_make_the_key_again() {
        fn check<K: Digits + std::fmt::Debug>(key: K) {
            let mut made = K::default();
            for place in 0..K::COUNT {
                assert_eq!(key.first(place), made);
                made = made.with(place, key.digit(place));
            }
            assert_eq!((made, key.first(K::COUNT)), (key, key));
        }
        check(0x0123_4567_89ab_cdef_u64);
        check(Row::new(0x89ab_cdef, SampleId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210)));
    }
}
