//! Elementwise functions that the compiler can vectorise, with the same bytes everywhere: plain
//! multiplications and additions in a fixed order, never fused ones.

/// Lanes of the sums; fixed, so that a sum does not depend on the instruction set.
const LANES: usize = 16;

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
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// `e^x`, within 2e-7 of the true value; 0 below -87, the largest power of two above 88.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer, in one instruction on every machine.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > 88.0 { 88.0 } else { x };
    let clamped = if clamped < -87.0 { -87.0 } else { clamped };
    let scaled = clamped * std::f32::consts::LOG2_E;
    let shifted = scaled + ROUND;
    let whole = shifted - ROUND;
    // The two parts of ln 2 keep the remainder exact.
    let rest = (clamped - whole * 0.693_359_4) - whole * -2.121_944_4e-4;
    let power = polynomial(&EXP2, rest * std::f32::consts::LOG2_E);
    // The low bits of the shifted number are the integer: the exponent of its power of two.
    let bits = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    let value = power * f32::from_bits(bits);
    if x < -87.0 { 0.0 } else { value }
}

/// The exact GELU, `x Phi(x)`.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let z = if z > ERFC_END { ERFC_END } else { z };
    let t = 1.0 / (1.0 + 0.5 * z);
    let tail = 0.5 * t * exp(polynomial(&ERFC, t) - z * z);
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

/// OpenAI's approximation, `x sigmoid(1.702 x)`.
#[inline(always)]
fn quick_gelu_of(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}

/// The exact GELU, `x Phi(x)`, of every value.
pub(crate) fn gelu(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = gelu_of(*x));
}

/// `x sigmoid(1.702 x)`, the GELU of OpenAI's networks, of every value.
pub(crate) fn quick_gelu(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = quick_gelu_of(*x));
}

/// Divides each of `e^(scale * (x - max))` by their sum.
pub(crate) fn softmax(row: &mut [f32], scale: f32) {
    let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    for x in row.iter_mut() {
        *x = exp((*x - max) * scale);
    }
    let share = 1.0 / sum(row, |x| x);
    for x in row.iter_mut() {
        *x *= share;
    }
}

/// LayerNorm of each row: mean 0 and variance 1 (biased, plus 1e-5), then weight and bias.
pub(crate) fn layer_norm(rows: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len();
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(row, |x| x) / width as f32;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        for (((out, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *out = (x - mean) * scale * w + b;
        }
    }
}

/// Brings a row to length 1; a shorter row than 1e-12 keeps its direction and gets shorter still.
pub(crate) fn normalize(row: &mut [f32]) {
    let length = sum(row, |x| x * x).sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x /= length);
}

#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += of(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += of(x);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-4000..=4000).map(|i| i as f32 / 400.0)
    }

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
            let error = (f64::from(gelu_of(x as f32)) - x * phi).abs();
            assert!(error < 4e-7 * x.abs().max(0.1), "gelu({x}): {error}");
        }
        assert!(gelu_of(f32::NAN).is_nan());
    }

    #[test]
    fn quick_gelu_is_x_times_a_sigmoid() {
        let mut values: Vec<f32> = grid().collect();
        quick_gelu(&mut values);
        for (x, y) in grid().zip(values) {
            let exact = f64::from(x) / (1.0 + (-1.702 * f64::from(x)).exp());
            assert!((f64::from(y) - exact).abs() < 2e-6, "{x}: {y} for {exact}");
        }
    }

    #[test]
    fn softmax_and_norms_of_hand_computed_rows() {
        let mut row = [0.0, 2.0_f32.ln(), f32::NEG_INFINITY];
        softmax(&mut row, 1.0);
        assert!((row[0] - 1.0 / 3.0).abs() < 1e-7 && (row[1] - 2.0 / 3.0).abs() < 1e-7);
        assert_eq!(row[2], 0.0);
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
}
