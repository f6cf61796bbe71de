//! Sums of rows in fixed point: the same in any order.
//!
//! A sum of floating-point numbers depends on their order, because every addition rounds. Here each
//! number is rounded once, to a whole multiple of a step that is the same for all, and what is added
//! up are integers: any order, any split into parts and any number of retries give the same bits, and
//! to subtract a row leaves what there would be had it never been added.
//!
//! Rounding to the step `2^-s` costs one addition. Where `x + 1.5 * 2^(52 - s)` is computed in f64,
//! the result lies between `2^(52 - s)` and `2^(53 - s)`, where neighboring f64 are `2^-s` apart: the
//! addition itself rounds, and the bits of the result count up from those of `1.5 * 2^(52 - s)` in
//! steps of `2^-s`. So the loop is a conversion, an addition in f64 and one of integers, on every
//! instruction set; AVX-512 alone has an instruction that converts to 64-bit integers, and it would
//! need a product with `2^s` before. What all the bits have too much is a multiple of the number of
//! rows and is taken off once a sum, not once a number. Integers wrap around on the way, which is
//! harmless: what comes out fits.

use crate::dispatch::{self, dispatched};

/// Numbers that are added up side by side, in registers: four of AVX-512, eight of AVX2.
const STRIP: usize = 32;
/// Rows that are added to a strip before it is written back: with 512 numbers each they stay in the
/// first-level cache while strip after strip passes over them, and a sum is read and written an eighth
/// as often as there are rows.
const GROUP: usize = 8;
/// Lanes of a search for the largest number.
const LANES: usize = 64;

/// The step of sums in fixed point: `2^-s`, chosen for the largest number that is ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedPoint {
    /// `s`.
    exponent: i32,
}

impl FixedPoint {
    /// `s` for numbers that are at most 1.
    const UNIT_EXPONENT: i32 = 40;
    /// No number comes to more steps than this: twice what the largest number allowed for comes to,
    /// so that rows whose length is 1 only up to rounding count as of length 1.
    pub const MOST_STEPS: u64 = 1 << 41;
    /// So many rows can be added to or subtracted from a sum of `i64` that was 0, whatever they hold:
    /// `(2^22 - 1) * 2^41 < 2^63`.
    pub const MOST_ROWS: usize = (1 << 22) - 1;

    /// Steps of `2^-40`, about `10^-12`, for rows of length 1. An f32 of at least `2^-17` is a whole
    /// number of them, so of such numbers the sum is exact.
    pub const UNIT: Self = Self { exponent: Self::UNIT_EXPONENT };

    /// Steps for numbers that are at most `largest`, below `2^-39` of it; `None` when `largest` is
    /// negative, infinite or a NaN.
    pub fn up_to(largest: f32) -> Option<Self> {
        if !(largest.is_finite() && largest >= 0.0) {
            return None;
        }
        if largest == 0.0 {
            return Some(Self::UNIT);
        }
        // Every positive f32 is a normal f64, whose exponent can be read off. The smallest power of
        // two that is not below it: the next one, unless it is one itself.
        let bits = f64::from(largest).to_bits();
        let below = (bits >> 52) as i32 - 1023;
        let above = if bits << 12 == 0 { below } else { below + 1 };
        Some(Self { exponent: Self::UNIT_EXPONENT - above })
    }

    /// The steps with this `s`, if there is an f32 to which they belong.
    pub fn from_exponent(exponent: i32) -> Option<Self> {
        let most = Self::UNIT_EXPONENT + 149;
        let least = Self::UNIT_EXPONENT - 128;
        (least..=most).contains(&exponent).then_some(Self { exponent })
    }

    /// `s`, where a step is `2^-s`.
    pub fn exponent(self) -> i32 {
        self.exponent
    }

    /// The largest number that may be added.
    pub fn limit(self) -> f32 {
        (Self::MOST_STEPS as f64 * self.step()).min(f64::from(f32::MAX)) as f32
    }

    /// `2^-s`.
    pub fn step(self) -> f64 {
        power_of_two(-self.exponent)
    }

    /// How many steps a number comes to, halves to the even one: what [`Self::add`] adds for it.
    pub fn steps(self, x: f32) -> i64 {
        let magic = self.magic();
        (f64::from(x) + magic).to_bits().wrapping_sub(magic.to_bits()).cast_signed()
    }

    /// `1.5 * 2^(52 - s)`.
    fn magic(self) -> f64 {
        1.5 * power_of_two(52 - self.exponent)
    }

    /// Adds to `sum`, which has one number for each element, those rows of `vectors` that `rows` names,
    /// and keeps each within [`Self::limit`]: see [`largest`]. Runs on the calling thread.
    ///
    /// # Panics
    /// When a row is not there. Numbers beyond the limit give a wrong sum.
    pub fn add(self, sum: &mut [i64], vectors: &[f32], rows: &[u32]) {
        add_rows(dispatch::instructions(), sum, vectors, rows, self.magic());
    }

    /// Takes rows off again: [`Self::add`] backwards, to the bit.
    ///
    /// # Panics
    /// As [`Self::add`].
    pub fn subtract(self, sum: &mut [i64], vectors: &[f32], rows: &[u32]) {
        subtract_rows(dispatch::instructions(), sum, vectors, rows, self.magic());
    }
}

/// `2^exponent`, for exponents of normal numbers.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

dispatched! {
    /// [`FixedPoint::add`].
    fn add_rows = add_body(sum: &mut [i64], vectors: &[f32], rows: &[u32], magic: f64)
}

dispatched! {
    /// [`FixedPoint::subtract`].
    fn subtract_rows = subtract_body(sum: &mut [i64], vectors: &[f32], rows: &[u32], magic: f64)
}

#[inline(always)]
fn add_body(sum: &mut [i64], vectors: &[f32], rows: &[u32], magic: f64) {
    each_strip(sum, vectors, rows, magic, i64::wrapping_add);
}

#[inline(always)]
fn subtract_body(sum: &mut [i64], vectors: &[f32], rows: &[u32], magic: f64) {
    each_strip(sum, vectors, rows, magic, i64::wrapping_sub);
}

#[inline(always)]
fn each_strip(
    sum: &mut [i64],
    vectors: &[f32],
    rows: &[u32],
    magic: f64,
    apply: impl Fn(i64, i64) -> i64 + Copy,
) {
    let dim = sum.len();
    for rows in rows.chunks(GROUP) {
        let some = Rows { vectors, rows, dim, magic };
        let (strips, rest) = sum.as_chunks_mut::<STRIP>();
        for (s, strip) in strips.iter_mut().enumerate() {
            some.onto(strip, s * STRIP, apply);
        }
        let first = strips.len() * STRIP;
        for (t, one) in rest.iter_mut().enumerate() {
            some.onto(std::array::from_mut(one), first + t, apply);
        }
    }
}

/// A few rows that go to the same sum.
struct Rows<'a> {
    vectors: &'a [f32],
    rows: &'a [u32],
    dim: usize,
    magic: f64,
}

impl Rows<'_> {
    /// Applies elements `first..first + N` of the rows to as many sums.
    #[inline(always)]
    fn onto<const N: usize>(
        &self,
        sum: &mut [i64; N],
        first: usize,
        apply: impl Fn(i64, i64) -> i64,
    ) {
        // Once a group instead of once a number: what the bits of all its rows have too much.
        let bits = self.magic.to_bits().wrapping_mul(self.rows.len() as u64);
        let excess = apply(0, bits.cast_signed());
        let mut sums = sum.map(|sum| sum.wrapping_sub(excess));
        for &row in self.rows {
            let x: &[f32; N] = self.vectors[row as usize * self.dim + first..]
                .first_chunk()
                .expect("a strip lies in its row");
            for t in 0..N {
                let shifted = f64::from(x[t]) + self.magic;
                sums[t] = apply(sums[t], shifted.to_bits().cast_signed());
            }
        }
        *sum = sums;
    }
}

/// The largest absolute value among some numbers, 0 when there are none; infinite where one is
/// infinite, a NaN where one is a NaN. Runs on the calling thread.
pub fn largest(numbers: &[f32]) -> f32 {
    f32::from_bits(largest_bits(dispatch::instructions(), numbers))
}

dispatched! {
    /// The bits of the largest absolute value. Without their sign the bits of f32 are ordered as the
    /// numbers are, with infinity above all and NaNs above infinity, so that one comparison of integers
    /// finds both what is too large and what is not a number.
    fn largest_bits = largest_body(numbers: &[f32]) -> u32
}

#[inline(always)]
fn largest_body(numbers: &[f32]) -> u32 {
    let mut lanes = [0_u32; LANES];
    let bits = |x: f32| x.to_bits() & 0x7fff_ffff;
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for t in 0..LANES {
            lanes[t] = lanes[t].max(bits(chunk[t]));
        }
    }
    rest.iter().map(|&x| bits(x)).chain(lanes).fold(0, u32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    /// Rounded by exact arithmetic: halves to even.
    fn rounded(x: f32, exponent: i32) -> i64 {
        let scaled = f64::from(x) * 2_f64.powi(exponent);
        scaled.round_ties_even() as i64
    }

    #[test]
    fn a_number_comes_to_the_nearest_whole_number_of_steps() {
        for largest in [1.0_f32, 0.3, 1e-30, 1e30, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
            let grid = FixedPoint::up_to(largest).unwrap();
            assert!(grid.limit() >= largest, "{largest}");
            assert!(rounded(largest, grid.exponent()).unsigned_abs() <= FixedPoint::MOST_STEPS / 2);
            assert!(rounded(largest, grid.exponent()) >= 1 << 39, "no coarser than 2^-39 of it");
            for x in numbers(1_000, 7).into_iter().chain([0.0, -0.0, 1.0, -1.0]) {
                let x = x * largest;
                assert_eq!(grid.steps(x), rounded(x, grid.exponent()), "{x} of {largest}");
            }
            assert_eq!(FixedPoint::from_exponent(grid.exponent()), Some(grid));
        }
        let half = 2_f32.powi(-41);
        let steps = [half, 3.0 * half, -half, -3.0 * half].map(|x| FixedPoint::UNIT.steps(x));
        assert_eq!(steps, [0, 2, 0, -2], "halves go to the even step");
        assert_eq!(FixedPoint::UNIT.limit(), 2.0);
        assert_eq!(FixedPoint::up_to(0.0), Some(FixedPoint::UNIT));
        for wrong in [f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(FixedPoint::up_to(wrong), None);
        }
        assert_eq!(FixedPoint::from_exponent(-89), None);
        assert_eq!(FixedPoint::from_exponent(190), None);
    }

    #[test]
    fn every_instruction_set_adds_what_a_plain_loop_adds_and_subtracts_it_again() {
        for (n, dim) in [(1, 1), (9, 31), (20, 32), (30, 67), (3, 200)] {
            let vectors = numbers(n * dim, 1);
            let rows: Vec<u32> = (0..n as u32).filter(|row| row % 3 != 1).collect();
            let start: Vec<i64> = (0..).map(|t: i64| t * 1_000_003 - 77).take(dim).collect();
            let mut expected = start.clone();
            for &row in &rows {
                let row = &vectors[row as usize * dim..][..dim];
                expected.iter_mut().zip(row).for_each(|(s, &x)| *s += rounded(x, 40));
            }
            for with in available() {
                let mut sum = start.clone();
                add_rows(with, &mut sum, &vectors, &rows, FixedPoint::UNIT.magic());
                assert_eq!(sum, expected, "{with:?} {n} x {dim}");
                subtract_rows(with, &mut sum, &vectors, &rows, FixedPoint::UNIT.magic());
                assert_eq!(sum, start, "{with:?} {n} x {dim}");
            }
        }
    }

    #[test]
    fn the_most_rows_of_the_largest_number_fit() {
        let grid = FixedPoint::UNIT;
        let steps = i128::from(grid.steps(grid.limit())) * FixedPoint::MOST_ROWS as i128;
        assert!(steps <= i128::from(i64::MAX), "{steps}");
        assert_eq!(grid.steps(-grid.limit()), -grid.steps(grid.limit()));
    }

    #[test]
    fn the_largest_number_is_found_among_any_and_what_is_no_number_too() {
        for with in available() {
            for n in [0, 1, 63, 64, 200] {
                let mut some = numbers(n, 5);
                let expected = some.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
                assert_eq!(f32::from_bits(largest_bits(with, &some)), expected);
                for bad in [f32::NAN, -f32::NAN, f32::NEG_INFINITY] {
                    let Some(last) = some.last_mut() else { continue };
                    *last = bad;
                    assert_eq!(f32::from_bits(largest_bits(with, &some)).is_nan(), bad.is_nan());
                    assert!(!f32::from_bits(largest_bits(with, &some)).is_finite());
                }
            }
        }
        assert_eq!(largest(&[-3.0, 2.0]), 3.0);
    }
}
