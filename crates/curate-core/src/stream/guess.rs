//! Where a threshold probably lies, so that one pass over the rows can find it.

use super::search::nth_from_top;

/// Between which keys the one at a place from the top probably lies.
///
/// Rows whose keys are [above](Side::ABOVE) are kept as they come and those [below](Side::BELOW) are
/// dropped; only rows that are [near](Side::NEAR) have to be held until all are counted. Then
/// [`Guess::settle`] finds the key among them, or says that the guess was wrong.
///
/// ```
/// use curate_core::{score::Score, stream::{Guess, Side}};
///
/// let mut sample: Vec<u64> = (0..1000).map(|i| f64::from(i).key()).collect();
/// let guess = Guess::from_sample(&mut sample, 0.3).expect("there is a sample");
/// assert_eq!(guess.side(700.0_f64.key()), Side::NEAR);
/// assert_eq!(guess.side(900.0_f64.key()), Side::ABOVE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess<K> {
    low: K,
    high: K,
}

/// Where a key lies by a [`Guess`]: a number and not an enum, since a loop over scores that adds two
/// comparisons becomes vector instructions, and one that chooses a variant is a quarter slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side(u8);

impl Side {
    /// Below the place, if the guess is right.
    pub const BELOW: Self = Self(0);
    /// Where the place may be.
    pub const NEAR: Self = Self(1);
    /// Above the place, if the guess is right.
    pub const ABOVE: Self = Self(2);
}

impl<K: Copy + Ord> Guess<K> {
    /// The keys around the place at which a sample has the fraction, as far as four standard deviations
    /// of a random sample's share. `None` without a sample. Reorders the sample.
    pub fn from_sample(sample: &mut [K], fraction: f64) -> Option<Self> {
        let count = sample.len() as f64;
        let margin = 4.0 * (fraction * (1.0 - fraction) / count).sqrt() + 1.0 / count;
        let last = sample.len().checked_sub(1)?;
        let mut at = |share: f64| {
            let place = ((share * count).max(0.0) as usize).min(last);
            nth_from_top(sample, place)
        };
        Some(Self { high: at(fraction - margin)?, low: at(fraction + margin)? })
    }

    /// Where a key lies.
    #[inline]
    pub fn side(self, key: K) -> Side {
        Side(u8::from(key >= self.low) + u8::from(key > self.high))
    }

    /// The key that has `place` keys above it, once all rows are seen: `above` of them were above and
    /// `near` are the keys of those near. `None` when it is not among them, so that the guess was wrong.
    pub fn settle(self, place: usize, above: usize, near: &mut [K]) -> Option<K> {
        nth_from_top(near, place.checked_sub(above)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_settled_or_known_to_be_wrong() {
        let mut sample: Vec<u64> = (0..1000).collect();
        let guess = Guess::from_sample(&mut sample, 0.5).expect("a sample");
        let all: Vec<u64> = (0..4000).map(|i| i / 4).collect();
        let of = |side| all.iter().copied().filter(move |&key| guess.side(key) == side);
        let mut near: Vec<u64> = of(Side::NEAR).collect();
        let above = of(Side::ABOVE).count();
        assert_eq!(above + near.len() + of(Side::BELOW).count(), 4000);
        assert_eq!(guess.settle(2000, above, &mut near), Some(499));
        assert_eq!(guess.settle(above - 1, above, &mut near), None);
        assert_eq!(guess.settle(above + near.len(), above, &mut near), None);
        assert_eq!(Guess::<u64>::from_sample(&mut [], 0.5), None);
    }
}
