//! Elementwise functions that the compiler can vectorise, with the same bytes everywhere.

use pulp::Arch;

/// Lanes of the sums; fixed, so that a sum does not depend on the instruction set.
const LANES: usize = 16;

const EPSILON: f32 = 1e-5;

/// `e^x` for `x <= 0`, within 2 units in the last place; 0 below -87.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Nearest multiple of ln 2 by the rounding of a large number, the rest by Taylor's series.
    const ROUND: f32 = 12_582_912.0;
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-0.693_145_75, x);
    let r = n.mul_add(-1.428_606_8e-6, r);
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let p = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits(((n.clamp(-126.0, 127.0) as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { p * scale }
}

/// The error function within 5e-7 (Abramowitz and Stegun 1964, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / a.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4_f32;
    for c in [-1.453_152_1, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        p = p.mul_add(t, c);
    }
    let y = (-(p * t)).mul_add(exp(-a * a), 1.0);
    y.copysign(x)
}

/// The exact GELU, `x (1 + erf(x / sqrt 2)) / 2`.
pub(crate) fn gelu(values: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for x in values {
                *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            }
        },
    );
}

/// `x sigmoid(1.702 x)`, the GELU of OpenAI's networks.
pub(crate) fn quick_gelu(values: &mut [f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for x in values {
                let e = exp(-(1.702 * *x).abs());
                let share = if *x >= 0.0 { 1.0 } else { e };
                *x = *x * share / (1.0 + e);
            }
        },
    );
}

/// Divides each of `e^(scale * (x - max))` by their sum.
pub(crate) fn softmax(row: &mut [f32], scale: f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
            for x in row.iter_mut() {
                *x = exp((*x - max) * scale);
            }
            let share = 1.0 / sum(row, |x| x);
            for x in row.iter_mut() {
                *x *= share;
            }
        },
    );
}

/// LayerNorm of each row: mean 0 and variance 1 (biased, plus 1e-5), then weight and bias.
pub(crate) fn layer_norm(rows: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let mean = sum(row, |x| x) / width as f32;
                let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
                let scale = 1.0 / (variance + EPSILON).sqrt();
                for (((out, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                    *out = ((x - mean) * scale).mul_add(*w, *b);
                }
            }
        },
    );
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
    fn exp_and_erf_are_as_close_as_they_say() {
        for x in grid().map(|x| -x.abs() * 8.7) {
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact + 1e-38, "{x}");
        }
        assert_eq!((exp(0.0), exp(-100.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert!(exp(f32::NAN).is_nan());
        // erf by its series, in double precision.
        for x in grid().filter(|x| x.abs() < 3.0) {
            let (x, mut term, mut sum) = (f64::from(x), f64::from(x), f64::from(x));
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let exact = sum * std::f64::consts::FRAC_2_SQRT_PI;
            assert!((f64::from(erf(x as f32)) - exact).abs() < 5e-7, "{x}");
        }
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
