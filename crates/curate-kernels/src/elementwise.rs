//! What networks compute between their matrix products, with the same bytes on every instruction
//! set: every operation is rounded as written, sums have a fixed number of lanes.

use crate::{
    dispatch::{self, dispatched},
    tile::PANEL,
};

/// Lanes of a sum: four AVX-512 registers, so that additions do not wait for each other.
const LANES: usize = 64;

const EPSILON: f32 = 1e-5;

/// `2^x` for `x` in `[-0.5, 0.5]`: least-squares Chebyshev fit of degree 6, reweighted towards
/// equal relative error (2e-9).
const EXP2: [f32; 7] = [
    1.0,
    std::f32::consts::LN_2,
    0.240_226_47,
    0.055_503_29,
    0.009_618_489,
    0.001_339_993_1,
    0.000_153_458_1,
];

/// `ln(erfc(z) exp(z^2) / t)` as a polynomial in `t = 1 / (1 + z / 2)` for `z` in `[0, 6.5]`,
/// fitted in the same way (absolute error 2.3e-8, which is erfc's relative error).
const ERFC: [f32; 10] = [
    -1.265_195_2,
    0.993_960_4,
    0.423_618_73,
    -0.130_082_82,
    0.456_860_33,
    -0.893_783_6,
    0.243_305_77,
    0.478_456_7,
    -0.402_522_76,
    0.095_382_44,
];

/// Beyond this `erfc` is below 1e-19.
const ERFC_END: f32 = 6.5;

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, c| f32::mul_add(sum, x, *c))
}

/// `e^x`, within 2e-7 of the true value; 0 below -87, the largest power of two above 88.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, in one instruction on every machine.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > 88.0 { 88.0 } else { x };
    let clamped = if clamped < -87.0 { -87.0 } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    // The two parts of ln 2 keep the remainder exact.
    let rest = whole.mul_add(2.121_944_4e-4, whole.mul_add(-0.693_359_4, clamped));
    let power = polynomial(&EXP2, rest * std::f32::consts::LOG2_E);
    // The low bits of the shifted number are the integer: the exponent of its power of two.
    let bits = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    let value = power * f32::from_bits(bits);
    if x < -87.0 { 0.0 } else { value }
}

/// The exact GELU, `x Phi(x)`.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let tail = half_tail(x);
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

/// The normal distribution beyond a number's absolute value, `Phi(-|x|)`.
#[inline(always)]
pub(crate) fn half_tail(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let z = if z > ERFC_END { ERFC_END } else { z };
    let t = 1.0 / z.mul_add(0.5, 1.0);
    0.5 * t * exp(z.mul_add(-z, polynomial(&ERFC, t)))
}

/// OpenAI's approximation of it, `x sigmoid(1.702 x)`.
#[inline(always)]
pub(crate) fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}

/// LayerNorm of each row: mean 0 and variance 1 (biased, plus 1e-5), then weight and bias. A row's
/// bytes depend on nothing but the row. Runs on the calling thread.
///
/// # Panics
/// When `weight` and `bias` have other lengths, or `rows` and `out`.
pub fn layer_norm(rows: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    assert_eq!((weight.len(), rows.len()), (bias.len(), out.len()), "one number each");
    norm_rows(dispatch::instructions(), rows, weight, bias, out);
}

dispatched! {
    /// [`layer_norm`].
    fn norm_rows = norm_rows_any(rows: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32])
}

#[inline(always)]
fn norm_rows_any(rows: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len().max(1);
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let (mean, scale) = moments(row);
        for (((out, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = ((x - mean) * scale).mul_add(*w, *b);
        }
    }
}

/// A row's mean, and what brings its variance (biased, plus 1e-5) to 1.
#[inline(always)]
pub(crate) fn moments(row: &[f32]) -> (f32, f32) {
    let mean = sum(row, |x| x) / row.len() as f32;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / row.len() as f32;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

/// Brings a row to length 1; a shorter row than 1e-12 keeps its direction and gets shorter still.
pub fn normalize(row: &mut [f32]) {
    let length = sum(row, |x| x * x).sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x /= length);
}

/// The largest number of a row, in lanes; a NaN is no larger than others.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let raise = |lane: &mut f32, x: f32| *lane = if x > *lane { x } else { *lane };
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| raise(lane, *x));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| raise(lane, *x));
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// A sum in lanes, which are added in halves at the end.
#[inline(always)]
pub(crate) fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += of(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += of(x);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

dispatched! {
    /// Softmax of [`PANEL`] columns side by side: `e^(scale * (x - max))` over its sum, down a column.
    /// Column `c` has only its first `seen + c` rows; the others become 0.
    fn softmax_columns = softmax_columns_any(columns: &mut [[f32; PANEL]], seen: usize, scale: f32)
}

#[inline(always)]
fn softmax_columns_any(columns: &mut [[f32; PANEL]], seen: usize, scale: f32) {
    // Beyond the rows that all columns have, those of a column's own are let through.
    for (r, row) in columns.iter_mut().enumerate().skip(seen) {
        for (c, x) in row.iter_mut().enumerate() {
            *x = if r < seen + c { *x } else { f32::NEG_INFINITY };
        }
    }
    let mut max = [f32::NEG_INFINITY; PANEL];
    for row in columns.iter() {
        for (max, &x) in max.iter_mut().zip(row) {
            *max = if x > *max { x } else { *max };
        }
    }
    let mut sums = [0.0_f32; PANEL];
    for row in columns.iter_mut() {
        for ((x, max), sum) in row.iter_mut().zip(&max).zip(&mut sums) {
            *x = exp((*x - max) * scale);
            *sum += *x;
        }
    }
    for share in &mut sums {
        *share = 1.0 / *share;
    }
    for row in columns.iter_mut() {
        for (x, share) in row.iter_mut().zip(&sums) {
            *x *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    #[test]
    fn exp_is_close_everywhere() {
        for i in -8_700..=8_800 {
            let x = i as f32 * 0.01;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2e-7, "exp({x}): {error}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    /// `erfc` by its continued fraction or series, in double precision.
    fn erfc(z: f64) -> f64 {
        if z < 2.5 {
            let (mut term, mut sum) = (z, z);
            for n in 1..200 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum;
        }
        let fraction = (1..200).rev().fold(z, |f, n| z + f64::from(n) / 2.0 / f);
        (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())
    }

    #[test]
    fn gelu_is_close_everywhere() {
        for i in -1_000..=1_000 {
            let x = f64::from(i) * 0.01;
            let phi = if x < 0.0 {
                0.5 * erfc(-x / 2f64.sqrt())
            } else {
                1.0 - 0.5 * erfc(x / 2f64.sqrt())
            };
            let error = (f64::from(gelu(x as f32)) - x * phi).abs();
            assert!(error < 4e-7 * x.abs().max(0.1), "gelu({x}): {error}");
        }
        assert!(gelu(f32::NAN).is_nan());
    }

    #[test]
    fn quick_gelu_is_x_times_a_sigmoid() {
        for x in (-4000..=4000).map(|i| i as f32 / 400.0) {
            let exact = f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp());
            let y = quick_gelu(x);
            assert!((f64::from(y) - exact).abs() < 2e-6, "{x}: {y} for {exact}");
        }
    }

    #[test]
    fn norms_of_hand_computed_rows() {
        let mut out = [0.0; 2];
        layer_norm(&[1.0, 3.0], &[1.0, 2.0], &[0.0, 1.0], &mut out);
        assert!((out[0] + 0.999_995).abs() < 1e-6 && (out[1] - 2.999_99).abs() < 1e-5, "{out:?}");
        let mut row = [3.0, 4.0];
        normalize(&mut row);
        assert_eq!(row, [0.6, 0.8]);
        let mut zero = [0.0; 3];
        normalize(&mut zero);
        assert_eq!(zero, [0.0; 3]);
    }

    #[test]
    fn softmax_goes_down_the_columns_that_are_seen() {
        let mut columns = [[0.0; PANEL], [2.0_f32.ln(); PANEL], [9.0; PANEL]];
        softmax_columns(crate::instructions(), &mut columns, 1, 1.0);
        assert_eq!(columns.map(|row| row[0]), [1.0, 0.0, 0.0]);
        assert!((columns[0][1] - 1.0 / 3.0).abs() < 1e-7, "{:?}", columns[0]);
        assert_eq!(columns[2][1], 0.0);
        let sum: f32 = columns.iter().map(|row| row[2]).sum();
        assert!((sum - 1.0).abs() < 1e-6 && columns[2][2] > 0.99);
    }

    #[test]
    fn every_instruction_set_has_the_same_bytes() {
        let (width, rows) = (131, numbers(5 * 131, 1));
        let (weight, bias) = (numbers(width, 2), numbers(width, 3));
        let of = |with| {
            let mut normed = vec![0.0; rows.len()];
            norm_rows(with, &rows, &weight, &bias, &mut normed);
            let mut columns = rows.as_chunks::<PANEL>().0.to_vec();
            softmax_columns(with, &mut columns, 3, 0.7);
            (normed, columns)
        };
        for with in available() {
            assert_eq!(of(with), of(crate::Instructions::Portable), "{with:?}");
        }
    }
}
