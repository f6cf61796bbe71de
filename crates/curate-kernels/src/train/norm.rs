//! LayerNorm, and what flows back through it, on all threads.

use rayon::prelude::*;

use super::linear::in_order;
use crate::{
    dispatch::{dispatched, instructions},
    elementwise::{self, moments, sum},
};

/// Rows that are summed together.
const ROWS: usize = 64;

/// [`crate::layer_norm`] of each row.
///
/// # Panics
/// When `x` has no whole rows, or the bias has another length than the weight.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let block = whole_rows(x, weight);
    let mut out = vec![0.0; x.len()];
    let blocks = out.par_chunks_mut(block).zip(x.par_chunks(block));
    blocks.for_each(|(out, rows)| elementwise::layer_norm(rows, weight, bias, out));
    out
}

/// What flows back through [`layer_norm`]: the gradient by `x`; those by weight and bias, one after the other.
///
/// # Panics
/// When `x` has no whole rows, or `gradient` another length.
pub fn layer_norm_backward(x: &[f32], weight: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(x.len(), gradient.len(), "one gradient a number");
    let (with, block) = (instructions(), whole_rows(x, weight));
    let mut by_x = vec![0.0; x.len()];
    let ins = gradient.par_chunks(block).zip(x.par_chunks(block));
    let blocks = by_x.par_chunks_mut(block).zip(ins);
    let by_others = in_order(blocks, 2 * weight.len(), |(out, (gradient, rows)), sums| {
        let mut scratch = vec![0.0; 2 * weight.len()];
        back(with, rows, weight, gradient, out, sums, &mut scratch);
    });
    (by_x, by_others)
}

/// Numbers of [`ROWS`] rows.
fn whole_rows(x: &[f32], weight: &[f32]) -> usize {
    assert!(!weight.is_empty() && x.len().is_multiple_of(weight.len()), "whole rows");
    ROWS * weight.len()
}

dispatched! {
    /// With `h` the row at mean 0 and variance 1 and `g` its gradient times the weight, the gradient by the
    /// row is `(g - mean(g) - h mean(g h)) / deviation`.
    fn back = back_any(
        rows: &[f32],
        weight: &[f32],
        gradient: &[f32],
        out: &mut [f32],
        sums: &mut [f32],
        scratch: &mut [f32],
    )
}

#[inline(always)]
fn back_any(
    rows: &[f32],
    weight: &[f32],
    gradient: &[f32],
    out: &mut [f32],
    sums: &mut [f32],
    scratch: &mut [f32],
) {
    let width = weight.len();
    let (of_weight, of_bias) = sums.split_at_mut(width);
    let (standard, product) = scratch.split_at_mut(width);
    let rows = rows.chunks_exact(width).zip(gradient.chunks_exact(width));
    for ((row, gradient), out) in rows.zip(out.chunks_exact_mut(width)) {
        let (mean, scale) = moments(row);
        let scratch = standard.iter_mut().zip(&mut *product).zip(&mut *out);
        let sums = of_weight.iter_mut().zip(&mut *of_bias);
        let each = row.iter().zip(gradient).zip(weight).zip(scratch).zip(sums);
        for ((((x, gradient), w), ((h, gh), g)), (of_weight, of_bias)) in each {
            *h = (x - mean) * scale;
            *of_weight = gradient.mul_add(*h, *of_weight);
            *of_bias += gradient;
            *g = gradient * w;
            *gh = *g * *h;
        }
        let mean_g = sum(out, |g| g) / width as f32;
        let mean_gh = sum(product, |gh| gh) / width as f32;
        for (g, h) in out.iter_mut().zip(&*standard) {
            *g = (*g - h.mul_add(mean_gh, mean_g)) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    /// The norm of one row in double precision.
    fn by_hand(row: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = (variance + 1e-5).sqrt().recip();
        row.iter().zip(weight).zip(bias).map(|((x, w), b)| (x - mean) * scale * w + b).collect()
    }

    #[test]
    fn gradients_are_the_slopes_of_the_definition() {
        let (width, n) = (37, 130);
        let (x, up) = (numbers(n * width, 1), numbers(n * width, 2));
        let (weight, bias) = (numbers(width, 3), numbers(width, 4));
        let f64s = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        // What is differentiated: the norms times `up`, of one row.
        let value = |i: usize, row: &[f64], weight: &[f64], bias: &[f64]| -> f64 {
            let up = &up[i * width..][..width];
            by_hand(row, weight, bias).iter().zip(up).map(|(y, up)| y * f64::from(*up)).sum()
        };
        let (weight64, bias64) = (f64s(&weight), f64s(&bias));
        let (by_x, by_others) = layer_norm_backward(&x, &weight, &up);
        let normed = layer_norm(&x, &weight, &bias);
        let step = 1e-6;
        let slope = |numbers: &[f64], j: usize, value: &dyn Fn(&[f64]) -> f64| {
            let moved = |by: f64| {
                let mut moved = numbers.to_vec();
                moved[j] += by;
                value(&moved)
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        };
        let (mut by_weight, mut by_bias) = (vec![0.0; width], vec![0.0; width]);
        for (i, row) in x.chunks(width).map(f64s).enumerate() {
            let expected = by_hand(&row, &weight64, &bias64);
            for j in 0..width {
                assert!((f64::from(normed[i * width + j]) - expected[j]).abs() < 1e-5);
                let expected = slope(&row, j, &|row| value(i, row, &weight64, &bias64));
                let found = f64::from(by_x[i * width + j]);
                assert!((found - expected).abs() < 1e-5, "{i} {j}: {found} {expected}");
                by_weight[j] += slope(&weight64, j, &|weight| value(i, &row, weight, &bias64));
                by_bias[j] += slope(&bias64, j, &|bias| value(i, &row, &weight64, bias));
            }
        }
        for (found, expected) in by_others.iter().zip(by_weight.iter().chain(&by_bias)) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn every_instruction_set_has_the_same_bytes() {
        let (width, weight) = (131, numbers(131, 2));
        let (x, up) = (numbers(9 * width, 1), numbers(9 * width, 3));
        let of = |with| {
            let (mut out, mut sums) = (vec![0.0; up.len()], vec![0.0; 2 * width]);
            back(with, &x, &weight, &up, &mut out, &mut sums, &mut vec![0.0; 2 * width]);
            (out, sums)
        };
        for with in available() {
            assert_eq!(of(with), of(crate::Instructions::Portable), "{with:?}");
        }
    }
}
