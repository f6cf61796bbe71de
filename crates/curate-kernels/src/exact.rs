//! A sum of f32 that loses nothing.

use crate::fixed::power_of_two;

/// Every exponent an f32 can have, as its bits count it.
const EXPONENTS: usize = 256;

/// The exact sum of f32: the same for any order and any split, whatever their sizes.
///
/// One integer for each exponent (a small relative of Kulisch's long accumulator), 4 KiB in all: right
/// for one number a row, such as an objective, whose range nobody knows beforehand. For sums of whole
/// vectors see [`crate::FixedPoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactSum {
    /// By exponent, the sum of the significands; for infinities and NaNs, their number.
    significands: Box<[i128; EXPONENTS]>,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self { significands: Box::new([0; EXPONENTS]) }
    }
}

impl ExactSum {
    /// Adds a number.
    pub fn add(&mut self, x: f32) {
        let bits = x.to_bits();
        let exponent = (bits >> 23) as usize % EXPONENTS;
        // Subnormal numbers have no leading one.
        let leading = if exponent > 0 { 1 << 23 } else { 0 };
        let significand = i128::from(bits & 0x7f_ffff | leading);
        // Below 2^24, so it takes 2^103 of them to overflow.
        self.significands[exponent] += match (x.is_finite(), x.is_sign_negative()) {
            (false, _) => 1,
            (true, false) => significand,
            (true, true) => -significand,
        };
    }

    /// Adds all that another sum has.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.significands.iter_mut().zip(other.significands.iter());
        pairs.for_each(|(own, other)| *own += other);
    }

    /// The sums of significands by exponent, to be written down.
    pub fn significands(&self) -> &[i128] {
        &self.significands[..]
    }

    /// A sum that was written down; `None` when it is not of one number for each exponent.
    pub fn from_significands(significands: &[i128]) -> Option<Self> {
        Some(Self { significands: Box::new(significands.try_into().ok()?) })
    }

    /// The sum, rounded to f64: within 2^-50 of the sum of the absolute values. A NaN when one of the
    /// numbers was infinite or a NaN.
    pub fn value(&self) -> f64 {
        let (not_finite, finite) = self.significands.split_last().unwrap_or((&0, &[]));
        if *not_finite != 0 {
            return f64::NAN;
        }
        // From the smallest exponent on, so that many small numbers are not lost on a large one. A
        // subnormal counts the steps of the smallest normal numbers.
        let step = |exponent: i32| power_of_two(exponent.max(1) - 150);
        (0..).zip(finite).map(|(exponent, &sum)| sum as f64 * step(exponent)).sum()
    }
}

impl Extend<f32> for ExactSum {
    fn extend<I: IntoIterator<Item = f32>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|x| self.add(x));
    }
}

impl FromIterator<f32> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f32>>(numbers: I) -> Self {
        let mut sum = Self::default();
        sum.extend(numbers);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    #[test]
    fn a_sum_survives_being_written_down() {
        let sum: ExactSum = [1.5, -3e-20, 7e30].into_iter().collect();
        assert_eq!(ExactSum::from_significands(sum.significands()), Some(sum));
        assert_eq!(ExactSum::from_significands(&[1, 2]), None);
    }

    #[test]
    fn a_small_number_is_not_lost_on_large_ones_that_cancel() {
        let sum: ExactSum = [1e30, 1.5, -1e30, f32::MIN_POSITIVE / 4.0].into_iter().collect();
        let tiny = f64::from(f32::MIN_POSITIVE) / 4.0;
        assert_eq!(sum.value(), 1.5);
        let mut rest = sum;
        rest.add(-1.5);
        assert_eq!(rest.value(), tiny);
    }

    #[test]
    fn any_order_and_any_split_give_the_same_sum() {
        let some: Vec<f32> =
            numbers(999, 4).iter().zip(1..).map(|(x, i)| x * 2_f32.powi(i % 90 - 45)).collect();
        let whole: ExactSum = some.iter().copied().collect();
        let mut backwards = ExactSum::default();
        for part in some.rchunks(37) {
            backwards.merge(&part.iter().rev().copied().collect());
        }
        assert_eq!(whole, backwards);
        let plain: f64 = some.iter().map(|&x| f64::from(x)).sum();
        let most: f64 = some.iter().map(|&x| f64::from(x.abs())).sum();
        assert!((whole.value() - plain).abs() <= 1e-13 * most);
    }

    #[test]
    fn what_is_not_finite_shows() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let sum: ExactSum = [1.0, bad, -bad].into_iter().collect();
            assert!(sum.value().is_nan(), "{bad}");
        }
        assert_eq!(ExactSum::default().value(), 0.0);
    }
}
