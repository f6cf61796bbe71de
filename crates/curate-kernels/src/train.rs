//! What training asks: layers of networks, functions of many numbers, and their derivatives.
//!
//! All threads share a call; the bytes do not depend on how many they are.

mod attend;
mod linear;
mod norm;

pub use attend::{Sequences, attention, attention_backward};
pub use linear::{column_sums, linear, linear_backward_weight, linear_backward_x};
pub use norm::{layer_norm, layer_norm_backward};
use rayon::prelude::*;

use crate::{
    Instructions,
    dispatch::{dispatched, instructions},
    elementwise::{self, exp, half_tail},
};

/// Numbers that a thread takes at a time.
const PART: usize = 1 << 13;
/// Rows of a square matrix that a thread takes at a time.
const ROWS: usize = 32;

/// The exact GELU of every number, `x Phi(x)`.
///
/// # Panics
/// When `out` has another length.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "one answer a number");
    let with = instructions();
    out.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(out, x)| forward(with, x, out));
}

/// What flows back through [`gelu`]: `out` gets each number of `gradient` times `Phi(x) + x phi(x)`.
///
/// # Panics
/// When they have different lengths.
pub fn gelu_backward(x: &[f32], gradient: &[f32], out: &mut [f32]) {
    assert_eq!((x.len(), x.len()), (gradient.len(), out.len()), "one gradient a number");
    let with = instructions();
    let parts = out.par_chunks_mut(PART).zip(x.par_chunks(PART).zip(gradient.par_chunks(PART)));
    parts.for_each(|(out, (x, gradient))| backward(with, x, gradient, out));
}

dispatched! {
    fn forward = forward_any(x: &[f32], out: &mut [f32])
}

#[inline(always)]
fn forward_any(x: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = elementwise::gelu(*x));
}

dispatched! {
    fn backward = backward_any(x: &[f32], gradient: &[f32], out: &mut [f32])
}

#[inline(always)]
fn backward_any(x: &[f32], gradient: &[f32], out: &mut [f32]) {
    for ((out, gradient), &x) in out.iter_mut().zip(gradient).zip(x) {
        let tail = half_tail(x);
        let below = if x < 0.0 { tail } else { 1.0 - tail };
        // 1 / sqrt(2 pi).
        let density = 0.398_942_3 * exp(-0.5 * x * x);
        *out = gradient * x.mul_add(density, below);
    }
}

/// The sum of all squares, in double precision.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let of_part = |part: &[f32]| part.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    // In the order of the parts, whoever summed them.
    x.par_chunks(PART).map(of_part).collect::<Vec<_>>().iter().sum()
}

/// The loss of a batch of pairs whose `n x n` logits have the right pairs on the diagonal: the mean of the
/// cross-entropies of rows and of columns (CLIP, arXiv 2103.00020). `gradient` gets the derivative by every
/// logit.
///
/// # Panics
/// When either is not `n x n`.
pub fn contrastive(logits: &[f32], n: usize, gradient: &mut [f32]) -> f64 {
    assert_eq!((logits.len(), gradient.len()), (n * n, n * n), "a square matrix");
    if n == 0 {
        return 0.0;
    }
    let with = instructions();
    let block = ROWS * n;
    let highest =
        columns(logits.par_chunks(block).map(|rows| tops(with, rows, n)).collect(), f32::max);
    let mut stats = vec![[0.0_f32; 2]; n];
    let parts = gradient.par_chunks_mut(block).zip(logits.par_chunks(block));
    let parts = parts.zip(stats.par_chunks_mut(ROWS));
    let sums = parts.map(|((out, rows), stats)| exps(with, rows, &highest, out, stats)).collect();
    // In the order of the blocks, whoever summed them.
    let sums = columns(sums, |a, b| a + b);
    let loss: f64 = (0..n)
        .map(|i| {
            let [top, sum] = stats[i].map(f64::from);
            let (column, of_column) = (f64::from(highest[i]), f64::from(sums[i]));
            0.5 * (top + sum.ln() + column + of_column.ln()) - f64::from(logits[i * n + i])
        })
        .sum();
    let share = 1.0 / (2 * n) as f32;
    let shares: Vec<f32> = sums.iter().map(|sum| share / sum).collect();
    let parts = gradient.par_chunks_mut(block).zip(logits.par_chunks(block));
    let parts = parts.zip(stats.par_chunks(ROWS)).enumerate();
    parts.for_each(|(at, ((out, rows), stats))| {
        derive(with, rows, (&highest, &shares), stats, out);
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            row[at * ROWS + i] -= 2.0 * share;
        }
    });
    loss / n as f64
}

/// One number a column from those of blocks of rows.
fn columns(blocks: Vec<Vec<f32>>, with: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut blocks = blocks.into_iter();
    let mut all = blocks.next().unwrap_or_default();
    for block in blocks {
        all.iter_mut().zip(&block).for_each(|(all, one)| *all = with(*all, *one));
    }
    all
}

/// The largest number of each column of some rows.
fn tops(with: Instructions, rows: &[f32], n: usize) -> Vec<f32> {
    let mut tops = vec![f32::NEG_INFINITY; n];
    raise(with, rows, &mut tops);
    tops
}

dispatched! {
    fn raise = raise_any(rows: &[f32], tops: &mut [f32])
}

#[inline(always)]
fn raise_any(rows: &[f32], tops: &mut [f32]) {
    for row in rows.chunks_exact(tops.len()) {
        for (top, &x) in tops.iter_mut().zip(row) {
            *top = if x > *top { x } else { *top };
        }
    }
}

/// Powers of some rows less their largest number, in `out`; that number and the sum of each row; the sums of
/// each column's powers less the column's largest number.
fn exps(
    with: Instructions,
    rows: &[f32],
    highest: &[f32],
    out: &mut [f32],
    stats: &mut [[f32; 2]],
) -> Vec<f32> {
    let mut sums = vec![0.0; highest.len()];
    sum_up(with, rows, highest, out, stats, &mut sums);
    sums
}

dispatched! {
    fn sum_up = sum_up_any(rows: &[f32], highest: &[f32], out: &mut [f32], stats: &mut [[f32; 2]], sums: &mut [f32])
}

#[inline(always)]
fn sum_up_any(
    rows: &[f32],
    highest: &[f32],
    out: &mut [f32],
    stats: &mut [[f32; 2]],
    sums: &mut [f32],
) {
    let n = highest.len();
    let rows = rows.chunks_exact(n).zip(out.chunks_exact_mut(n)).zip(stats);
    for ((row, out), stats) in rows {
        let top = elementwise::largest(row);
        for (((out, &x), sum), high) in out.iter_mut().zip(row).zip(&mut *sums).zip(highest) {
            *out = exp(x - top);
            *sum += exp(x - high);
        }
        *stats = [top, elementwise::sum(out, |x| x)];
    }
}

dispatched! {
    fn derive = derive_any(rows: &[f32], columns: (&[f32], &[f32]), stats: &[[f32; 2]], out: &mut [f32])
}

/// `out` holds each row's powers.
#[inline(always)]
fn derive_any(rows: &[f32], columns: (&[f32], &[f32]), stats: &[[f32; 2]], out: &mut [f32]) {
    let (highest, shares) = columns;
    let n = highest.len();
    let rows = rows.chunks_exact(n).zip(out.chunks_exact_mut(n)).zip(stats);
    for ((row, out), [_, sum]) in rows {
        let of_row = 1.0 / ((2 * n) as f32 * sum);
        for (((out, &x), high), share) in out.iter_mut().zip(row).zip(highest).zip(shares) {
            *out = out.mul_add(of_row, exp(x - high) * share);
        }
    }
}

/// Square pictures, one after the other, each row by row, the channels of a pixel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// How many.
    pub count: usize,
    /// Pixels of a row, and rows.
    pub side: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Pictures {
    /// The side of what a convolution of 3 x 3 pixels makes of them that looks at every second pixel, with a
    /// rim of zeros.
    pub fn halved(self) -> usize {
        self.side.div_ceil(2)
    }

    /// Numbers of all pictures.
    pub fn numbers(self) -> usize {
        self.count * self.of_one()
    }

    fn of_one(self) -> usize {
        self.side * self.side * self.channels
    }

    /// Numbers of all patches.
    pub fn of_patches(self) -> usize {
        self.count * self.of_one_patches()
    }

    fn of_one_patches(self) -> usize {
        self.halved().pow(2) * 9 * self.channels
    }

    /// Calls `pair` with the place of each run of numbers in a picture and in its patches, and their length.
    /// What lies beyond the rim is in no picture.
    fn runs(self, mut pair: impl FnMut(usize, usize, usize)) {
        let (side, channels, halved) = (self.side, self.channels, self.halved());
        for (y, x) in (0..halved * halved).map(|at| (at / halved, at % halved)) {
            let patch = (y * halved + x) * 9;
            // The pixels of a patch's row lie side by side, but for those beyond the rim.
            let first = usize::from(x == 0);
            let end = 3.min(side + 1 - 2 * x);
            for down in 0..3 {
                let Some(row) = (2 * y + down).checked_sub(1).filter(|row| *row < side) else {
                    continue;
                };
                let from = (row * side + 2 * x + first - 1) * channels;
                pair(from, (patch + 3 * down + first) * channels, (end - first) * channels);
            }
        }
    }
}

/// The patches of 3 x 3 pixels that a convolution looks at which halves both sides, a row of `9 x channels`
/// numbers each, picture by picture: its product with a matrix is the convolution.
///
/// # Panics
/// When `pictures` has another length.
pub fn patches(pictures: &[f32], of: Pictures) -> Vec<f32> {
    assert_eq!(pictures.len(), of.numbers(), "all numbers");
    // The rim stays zero.
    let mut out = vec![0.0; of.of_patches()];
    let parts = out.par_chunks_mut(of.of_one_patches().max(1));
    parts.zip(pictures.par_chunks(of.of_one().max(1))).for_each(|(out, picture)| {
        of.runs(|from, to, n| out[to..to + n].copy_from_slice(&picture[from..from + n]));
    });
    out
}

/// What flows back through [`patches`]: each number of a picture gets the sum of its patches' gradients.
///
/// # Panics
/// When `gradient` has another length.
pub fn patches_backward(gradient: &[f32], of: Pictures) -> Vec<f32> {
    assert_eq!(gradient.len(), of.of_patches(), "all numbers");
    let mut out = vec![0.0; of.numbers()];
    let parts = out.par_chunks_mut(of.of_one().max(1));
    parts.zip(gradient.par_chunks(of.of_one_patches().max(1))).for_each(|(out, gradient)| {
        of.runs(|to, from, n| {
            out[to..to + n].iter_mut().zip(&gradient[from..from + n]).for_each(|(o, g)| *o += g);
        });
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    #[test]
    fn patches_hold_the_neighborhoods_and_their_gradient_is_the_adjoint() {
        for (side, channels) in [(1, 1), (2, 3), (5, 2), (8, 3)] {
            let of = Pictures { count: 2, side, channels };
            let pictures = numbers(of.numbers(), 5);
            let found = patches(&pictures, of);
            let halved = of.halved();
            let pixel = |picture: usize, y: isize, x: isize, channel: usize| {
                let inside = |at: isize| usize::try_from(at).ok().filter(|at| *at < side);
                let (Some(y), Some(x)) = (inside(y), inside(x)) else { return 0.0 };
                pictures[((picture * side + y) * side + x) * channels + channel]
            };
            for (at, number) in found.iter().enumerate() {
                let (channel, place) = (at % channels, at / channels);
                let (kernel, place) = (place % 9, place / 9);
                let (x, y) = (place % halved, place / halved % halved);
                let shift = |at: usize, by: usize| (2 * at + by).cast_signed() - 1;
                let picture = place / (halved * halved);
                let expected = pixel(picture, shift(y, kernel / 3), shift(x, kernel % 3), channel);
                assert_eq!(*number, expected, "{side} {channels}: {at}");
            }
            // <patches(x), g> = <x, patches_backward(g)>.
            let gradient = numbers(of.of_patches(), 9);
            let back = patches_backward(&gradient, of);
            let dot = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            let (left, right) = (dot(&found, &gradient), dot(&pictures, &back));
            assert!((left - right).abs() < 1e-4, "{side} {channels}: {left} {right}");
        }
    }

    #[test]
    fn gelu_and_its_derivative_are_those_of_the_definition() {
        let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 2e-3).collect();
        let mut y = vec![0.0; x.len()];
        gelu(&x, &mut y);
        let mut slope = vec![0.0; x.len()];
        gelu_backward(&x, &vec![2.0; x.len()], &mut slope);
        let step = 1e-2_f32;
        let shifted = |by: f32| -> Vec<f32> {
            let moved: Vec<f32> = x.iter().map(|x| x + by).collect();
            let mut y = vec![0.0; x.len()];
            gelu(&moved, &mut y);
            y
        };
        let (above, below) = (shifted(step), shifted(-step));
        for i in 0..x.len() {
            assert_eq!(y[i], elementwise::gelu(x[i]));
            let expected = (above[i] - below[i]) / step;
            assert!((slope[i] - expected).abs() < 5e-4, "{}: {} {expected}", x[i], slope[i]);
        }
    }

    /// By the definition, in double precision: the loss and its derivatives.
    fn by_hand(logits: &[f32], n: usize) -> (f64, Vec<f64>) {
        let x = |i: usize, j: usize| f64::from(logits[i * n + j]);
        let row = |i: usize| (0..n).map(|j| x(i, j).exp()).sum::<f64>();
        let column = |j: usize| (0..n).map(|i| x(i, j).exp()).sum::<f64>();
        let loss: f64 =
            (0..n).map(|i| 0.5 * (row(i).ln() + column(i).ln()) - x(i, i)).sum::<f64>() / n as f64;
        let slope = |i: usize, j: usize| {
            let right = if i == j { 1.0 } else { 0.0 };
            (0.5 * x(i, j).exp() * (1.0 / row(i) + 1.0 / column(j)) - right) / n as f64
        };
        (loss, (0..n * n).map(|at| slope(at / n, at % n)).collect())
    }

    #[test]
    fn the_contrastive_loss_and_its_gradient_are_those_of_the_definition() {
        for n in [1, 2, 7, 33, 100] {
            let logits: Vec<f32> = numbers(n * n, n as u32).iter().map(|x| 8.0 * x).collect();
            let mut gradient = vec![0.0; n * n];
            let loss = contrastive(&logits, n, &mut gradient);
            let (expected, slopes) = by_hand(&logits, n);
            assert!(
                (loss - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{n}: {loss} {expected}"
            );
            for (found, expected) in gradient.iter().zip(&slopes) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{n}: {found} {expected}");
            }
        }
        assert_eq!(contrastive(&[], 0, &mut []), 0.0);
        // Logits as far apart as a scale of 100 makes them.
        let mut gradient = [0.0; 4];
        let loss = contrastive(&[-100.0, 100.0, 100.0, -100.0], 2, &mut gradient);
        assert!((loss - 200.0).abs() < 1e-3 && gradient == [-0.5, 0.5, 0.5, -0.5], "{gradient:?}");
        assert!(contrastive(&[f32::NAN; 4], 2, &mut gradient).is_nan());
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let n = 150;
        let logits = numbers(n * n, 3);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut gradient = vec![0.0; n * n];
            let loss = pool.install(|| contrastive(&logits, n, &mut gradient));
            (loss, gradient)
        };
        assert_eq!(of(1), of(3));
    }
}
