//! Axes along which vectors vary most, and lengths that bound what the other axes hold.
//!
//! With `m` a center, `P` orthonormal rows and `y = P (x - m)` the **head** of a vector,
//!
//! ```text
//! <x, c> = <x - m, c - m> + <m, c> + <x - m, m>,
//! <x - m, c - m> <= <y_x, y_c> + |tail of x| |tail of c|
//! ```
//!
//! by Cauchy and Schwarz, where the square of a tail's length is `|x - m|^2 - |y|^2`. Nothing depends on
//! which axes these are: they decide how much the bound rules out, never whether it holds. So a few
//! turns of orthogonal iteration on a sample do, and no eigenvectors are needed.
//!
//! # Rounding
//! `P` is what is stored, in f32, and not quite orthonormal. With `|P P' - I| <= skew` the inner
//! product of heads is off by at most `skew / (1 - skew)` of the lengths, and the part of a vector
//! along the axes is at least `|y| / sqrt(1 + skew)` long. A number of a head is a chain of `dim`
//! multiply-adds, each of which rounds by at most `2^-24` of what it holds. Both go into
//! [`Rotation::head`]'s lengths, which are rounded up.

use rayon::prelude::*;

use crate::{
    Matrix, Then,
    dispatch::{self, Instructions, dispatched},
    lanes,
    quant::{self, Parts, TINY, UNIT, UP},
};

/// Turns of the iteration: each moves the axes closer to the widest ones by the square of the ratio of
/// widths, and the first two do nearly all.
const TURNS: usize = 2;
/// Vectors that one task rotates.
const TASK: usize = 96;
/// Rows that are transposed together: a line of what is written.
const TURNED: usize = 16;

/// Orthonormal axes, the widest first.
pub(crate) struct Axes {
    rows: Vec<f32>,
    dim: usize,
}

impl Axes {
    /// `count` axes of the sample, whose center has been taken off.
    pub(crate) fn fit(sample: &[f32], dim: usize, count: usize) -> Self {
        let vectors = sample.len() / dim.max(1);
        let columns = transposed(sample, dim);
        // Along the elements of vectors, not random directions: any start that is not orthogonal to the
        // widest axes does, and sums of the sample's own vectors lie where it is wide.
        let mut rows = combined(sample, dim, count);
        for _ in 0..TURNS {
            orthonormalize(&mut rows, dim, 1);
            let along = products(sample, &rows, dim);
            rows = products(&transposed(&along, count), &columns, vectors);
        }
        orthonormalize(&mut rows, dim, 2);
        Self { rows, dim }
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len() / self.dim.max(1)
    }

    /// Vectors along all axes, the center taken off before.
    pub(crate) fn along(&self, centered: &[f32]) -> Vec<f32> {
        products(centered, &self.rows, self.dim)
    }

    /// The first `count` axes, turned among themselves so that each holds about as much: 8-bit integers
    /// lose least where no number stands out.
    pub(crate) fn rotation(&self, count: usize, center: &[f32]) -> Rotation {
        let mut turn = combined(&noise(count * count), count, count);
        orthonormalize(&mut turn, count, 2);
        let first = transposed(&self.rows[..count * self.dim], self.dim);
        Rotation::new(products(&turn, &first, count), count, center)
    }
}

/// A head, but for its numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    /// As of a vector; `rest` takes in what the projection rounds, `length` is that of all of `x - m`.
    pub(crate) parts: Parts,
    /// At least the length of what the head leaves out.
    pub(crate) tail: f32,
}

impl Head {
    /// Writes the numbers of this head to `q` as integers and takes in what that loses.
    pub(crate) fn quantize(&mut self, with: Instructions, along: &[f32], q: &mut [i8]) {
        let largest = along.iter().fold(0.0_f32, |max, y| max.max(y.abs()));
        let (scale, inverse) = quant::scale(largest);
        let (rest, sum) = lanes::quantize(with, along, scale, inverse, q);
        self.parts.rest += rest.sqrt() * UP;
        (self.parts.scale, self.parts.sum) = (scale, sum);
    }
}

/// Projects vectors to their heads.
pub(crate) struct Rotation {
    matrix: Matrix,
    pub(crate) center: Vec<f32>,
    /// Numbers of a head.
    pub(crate) count: usize,
    /// At least `|P P' - I|`.
    skew: f32,
    /// At least the error of a head, for a vector of length 1.
    error: f32,
}

/// Room to rotate some vectors.
#[derive(Default)]
pub(crate) struct Room {
    centered: Vec<f32>,
    /// The heads in f32, one after the other.
    pub(crate) along: Vec<f32>,
    /// The squares and shifts of the vectors.
    sums: Vec<(f32, f32)>,
}

impl Rotation {
    fn new(axes: Vec<f32>, count: usize, center: &[f32]) -> Self {
        let dim = center.len();
        let error = (count as f32).sqrt() * (dim + 16) as f32 * UNIT * UP;
        let (skew, center) = (skew(dispatch::instructions(), &axes, dim), center.to_vec());
        Self { matrix: Matrix::linear(&axes, dim), center, count, skew, error }
    }

    /// Whether its bounds are worth anything: the axes are finite and nearly orthonormal.
    pub(crate) fn usable(&self) -> bool {
        self.skew < 0.01 && self.error < 0.1
    }

    /// Rotates vectors into `room`.
    pub(crate) fn rotate<'a>(
        &self,
        with: Instructions,
        vectors: impl Iterator<Item = &'a [f32]>,
        room: &mut Room,
    ) {
        let dim = self.center.len();
        room.sums.clear();
        let mut filled = 0;
        for vector in vectors {
            room.centered.resize(room.centered.len().max(filled + dim), 0.0);
            let y = &mut room.centered[filled..filled + dim];
            let (_, square, shift) = lanes::center(with, vector, &self.center, y);
            room.sums.push((square, shift));
            filled += dim;
        }
        room.along.resize(room.sums.len() * self.count, 0.0);
        self.matrix.multiply(&room.centered[..filled], Then::Store, &mut room.along);
    }

    /// What is known of the `i`-th vector in `room`; its numbers are written to `q` as integers.
    pub(crate) fn head(&self, with: Instructions, room: &Room, i: usize, q: &mut [i8]) -> Head {
        let along = &room.along[i * self.count..][..self.count];
        let (square, shift) = room.sums[i];
        let mut head = self.float_head(with, along, square, shift);
        if !head.parts.usable() {
            q.fill(0);
            return head;
        }
        head.quantize(with, along, q);
        head
    }

    /// [`Self::head`] of a vector whose numbers stay as they are.
    pub(crate) fn float_head(
        &self,
        with: Instructions,
        along: &[f32],
        square: f32,
        shift: f32,
    ) -> Head {
        let length = quant::length(square);
        // Squares of numbers within reach of the largest f32 would say nothing of the others.
        let held = lanes::square(with, along);
        if !length.is_finite() || !held.is_finite() {
            let parts = Parts { length: f32::INFINITY, ..Parts::default() };
            return Head { parts, tail: f32::INFINITY };
        }
        let relative = |n: usize| f64::from(UNIT) * (n / 8 + 32) as f64;
        let (whole, error) = (f64::from(length), f64::from(self.error) * f64::from(length));
        let square = f64::from(square) * (1.0 + relative(self.center.len()));
        let held = f64::from(held).sqrt() * (1.0 - relative(self.count)) - error;
        let held = held.max(0.0).powi(2) / (1.0 + f64::from(self.skew));
        let tail = (square - held).max(0.0).sqrt() + 4.0 * f64::from(UNIT) * whole;
        let rest = error + whole * f64::from(2.0 * self.skew + 4.0 * UNIT);
        let parts = Parts { scale: 1.0, length, rest: rest as f32 * UP + TINY, sum: 0, shift };
        Head { parts, tail: tail as f32 * UP + TINY }
    }

    /// Heads of many vectors in f32, one after the other, and what is known of them; on all threads.
    pub(crate) fn float_heads(&self, with: Instructions, vectors: &[f32]) -> (Vec<f32>, Vec<Head>) {
        let dim = self.center.len();
        let some = |vectors: &[f32]| {
            let mut room = Room::default();
            self.rotate(with, vectors.chunks_exact(dim), &mut room);
            let heads = room.along.chunks_exact(self.count).zip(&room.sums);
            let heads = heads.map(|(y, &(square, shift))| self.float_head(with, y, square, shift));
            let heads: Vec<Head> = heads.collect();
            (room.along, heads)
        };
        let parts: Vec<_> = vectors.par_chunks(TASK * dim).map(some).collect();
        let (along, heads): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (along.concat(), heads.concat())
    }
}

/// Inner products of every vector of `a` with every one of `b`, on all threads.
fn products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
    let matrix = Matrix::linear(b, dim);
    let mut out = vec![0.0; a.len() / dim.max(1) * matrix.outputs()];
    out.par_chunks_mut(TASK * matrix.outputs().max(1))
        .zip(a.par_chunks(TASK * dim.max(1)))
        .for_each(|(out, a)| matrix.multiply(a, Then::Store, out));
    out
}

fn transposed(rows: &[f32], columns: usize) -> Vec<f32> {
    let count = rows.len() / columns.max(1);
    let mut out = vec![0.0; rows.len()];
    // A few rows at a time: what is written beside each other is written soon after each other.
    for (b, some) in rows.chunks(TURNED * columns.max(1)).enumerate() {
        for c in 0..columns {
            let column = some.iter().skip(c).step_by(columns);
            out[c * count + b * TURNED..].iter_mut().zip(column).for_each(|(out, &x)| *out = x);
        }
    }
    out
}

/// Numbers of -1, 0 and 1 without a pattern, the same every time.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// `count` sums of vectors of the sample, each over its own share of them, with a little of everything
/// else so that none is zero or a copy of another.
fn combined(sample: &[f32], dim: usize, count: usize) -> Vec<f32> {
    let scale = sample.iter().fold(0.0_f32, |max, x| max.max(x.abs())).max(TINY) * 1e-3;
    let mut rows: Vec<f32> = noise(count * dim).iter().map(|x| x * scale).collect();
    for (v, vector) in sample.chunks_exact(dim.max(1)).enumerate() {
        let row = &mut rows[v % count * dim..][..dim];
        row.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    rows
}

/// Rows that are freed of all before them side by side, and then of each other.
const FREED: usize = 32;

/// Makes rows orthonormal, the first ones first; each is freed of the others `times`, of which the
/// second takes off what rounding hid from the first. On all threads.
fn orthonormalize(rows: &mut [f32], dim: usize, times: usize) {
    let with = dispatch::instructions();
    let dim = dim.max(1);
    let mut all: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
    for first in (0..all.len()).step_by(FREED * dim) {
        let (done, rest) = all.split_at_mut(first);
        let end = rest.len().min(FREED * dim);
        let some = &mut rest[..end];
        some.par_chunks_exact_mut(dim).for_each(|own| free_of(with, own, done, times));
        for at in (0..some.len()).step_by(dim) {
            let (done, rest) = some.split_at_mut(at);
            free_of(with, &mut rest[..dim], done, times);
        }
    }
    rows.iter_mut().zip(&all).for_each(|(x, &own)| *x = own as f32);
}

/// Frees a row of others, `times`, and makes it one long.
fn free_of(with: Instructions, own: &mut [f64], others: &[f64], times: usize) {
    scale_to_one(own);
    for _ in 0..times {
        free(with, own, others);
        scale_to_one(own);
    }
}

fn scale_to_one(row: &mut [f64]) {
    let length = dot(row, row).sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x /= length);
    }
}

dispatched! {
    /// Takes off a row what lies along the others.
    fn free = free_body(own: &mut [f64], others: &[f64])
}

#[inline(always)]
fn free_body(own: &mut [f64], others: &[f64]) {
    for other in others.chunks_exact(own.len().max(1)) {
        let along = dot(own, other);
        own.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
    }
}

/// An inner product in eight sums side by side.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for t in 0..8 {
            sums[t] += a[t] * b[t];
        }
    }
    sums.iter().sum::<f64>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f64>()
}

dispatched! {
    /// At least `|P P' - I|`: the root of the sum of squares of its elements.
    fn skew = skew_body(axes: &[f32], dim: usize) -> f32
}

#[inline(always)]
fn skew_body(axes: &[f32], dim: usize) -> f32 {
    let axes: Vec<f64> = axes.iter().map(|&x| f64::from(x)).collect();
    let rows = || axes.chunks_exact(dim.max(1)).enumerate();
    let mut sum = 0.0;
    for (i, row) in rows() {
        // Every pair is there twice, and counted once with twice the weight.
        for (j, other) in rows().take(i + 1) {
            let off = dot(row, other) - if i == j { 1.0 } else { 0.0 };
            sum += off * off * if i == j { 1.0 } else { 2.0 };
        }
    }
    sum.sqrt() as f32 * UP + 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    /// Vectors whose spectrum falls, around an offset.
    fn falling(n: usize, dim: usize, offset: f32) -> Vec<f32> {
        let turn = Axes::fit(&numbers(2 * dim * dim, 3), dim, dim).rows;
        let scaled: Vec<f32> = numbers(n * dim, 4)
            .chunks(dim)
            .flat_map(|row| row.iter().enumerate().map(|(t, x)| x / (1 + t) as f32))
            .collect();
        let rows = products(&scaled, &transposed(&turn, dim), dim);
        rows.iter().map(|x| x + offset).collect()
    }

    #[test]
    fn a_few_turns_find_axes_that_hold_nearly_what_the_best_ones_hold() {
        let (n, dim, count) = (400, 48, 8);
        let rows = falling(n, dim, 0.0);
        let axes = Axes::fit(&rows, dim, count);
        let square = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let held = square(&axes.along(&rows)) / square(&rows);
        let best: f64 = (0..count).map(|t| 1.0 / (1 + t).pow(2) as f64).sum();
        let all: f64 = (0..dim).map(|t| 1.0 / (1 + t).pow(2) as f64).sum();
        assert!(held > 0.97 * best / all, "{held} of {}", best / all);
        let rotation = axes.rotation(count, &vec![0.0; dim]);
        assert!(rotation.usable() && rotation.skew < 1e-5, "{}", rotation.skew);
        // Turned among themselves, the axes hold the same together, and none much more than another.
        let (along, _) = rotation.float_heads(dispatch::instructions(), &rows);
        assert!((square(&along) / square(&rows) - held).abs() < 1e-4);
    }

    #[test]
    fn heads_and_tails_bound_every_inner_product() {
        let (n, dim, count) = (60, 40, 12);
        let with = dispatch::instructions();
        for (offset, scale) in [(0.0, 1.0), (1e4, 1.0), (0.3, 1e-20), (0.0, 1e12), (0.0, 1e-30)] {
            let mut rows: Vec<f32> = falling(n, dim, offset).iter().map(|x| x * scale).collect();
            rows.copy_within(0..dim, dim);
            rows[2 * dim..3 * dim].fill(0.0);
            rows[3 * dim..4 * dim].iter_mut().for_each(|x| *x *= 1e-19);
            let center: Vec<f32> =
                (0..dim).map(|t| (0..20).map(|i| rows[i * dim + t]).sum::<f32>() / 20.0).collect();
            let centered: Vec<f32> =
                rows.chunks(dim).flat_map(|r| r.iter().zip(&center).map(|(x, m)| x - m)).collect();
            let rotation = Axes::fit(&centered, dim, count).rotation(count, &center);
            let mut room = Room::default();
            rotation.rotate(with, rows.chunks(dim), &mut room);
            let mut q = vec![vec![0; count]; n];
            let heads: Vec<Head> =
                q.iter_mut().enumerate().map(|(i, q)| rotation.head(with, &room, i, q)).collect();
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let product: f64 = (0..dim)
                    .map(|t| {
                        let m = f64::from(center[t]);
                        let of = |v: usize| f64::from(rows[v * dim + t]) - m;
                        of(i) * of(j)
                    })
                    .sum();
                let (a, b) = (heads[i], heads[j]);
                let head: i32 =
                    q[i].iter().zip(&q[j]).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                let head = f64::from(a.parts.scale) * f64::from(b.parts.scale) * f64::from(head);
                let lost = f64::from(a.parts.rest) * f64::from(b.parts.length + b.parts.rest)
                    + f64::from(a.parts.length) * f64::from(b.parts.rest);
                let tails = f64::from(a.tail) * f64::from(b.tail);
                assert!((product - head).abs() <= lost + tails, "{offset} {scale} {i} {j}");
            }
        }
    }
}
