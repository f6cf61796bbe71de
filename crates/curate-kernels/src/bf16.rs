//! Many rows times one matrix in bfloat16: the linear layers of a network at less precision.
//!
//! A number keeps the sign, the exponent and 8 significant bits of its f32. Products of two such numbers are exact in
//! f32. They are added in f32, one chain for each output, in the order of the instruction `vdpbf16ps`: of
//! every two elements the second comes first. On other processors the kernel for f32 multiplies the rounded
//! numbers in that order, so the bytes of finite rows are the same everywhere.

use std::borrow::Cow;

use crate::{
    Matrix, Then,
    dispatch::{self, Instructions, dispatched},
    panels::Panels,
    products::{finish, rows_together},
    tile::{Ahead, Lanes, PANEL, PackedRows, ROWS, Tile},
};

/// A matrix in bfloat16, packed once for products with many rows.
pub struct Bf16Matrix {
    packed: Packed,
    inputs: usize,
}

enum Packed {
    /// For instructions that multiply pairs.
    Pairs(Panels<Pair>),
    /// Rounded, and the elements of every pair the other way round.
    Numbers(Matrix),
}

/// Two numbers in bfloat16; the first is in the lower half.
type Pair = u32;

impl Bf16Matrix {
    /// The numbers in bfloat16 nearest to a matrix, ties to even. One below 2^-50 becomes 0: so no sum of
    /// products is ever subnormal, which some instructions would flush and others not.
    pub fn new(matrix: &Matrix) -> Self {
        Self::packed(matrix, multiplies_pairs())
    }

    fn packed(matrix: &Matrix, pairs: bool) -> Self {
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        let with = dispatch::instructions();
        let mut weight = vec![0.0; inputs * outputs];
        for (output, weight) in weight.chunks_exact_mut(inputs.max(1)).enumerate() {
            matrix.output(output, weight);
        }
        let packed = match pairs {
            true => {
                Packed::Pairs(Panels::pack(&in_pairs(with, &weight, inputs), inputs.div_ceil(2)))
            }
            false => Packed::Numbers(Matrix::linear(
                &turned(with, &weight, inputs),
                2 * inputs.div_ceil(2),
            )),
        };
        Self { packed, inputs }
    }

    /// Numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        match &self.packed {
            Packed::Pairs(panels) => panels.count(),
            Packed::Numbers(matrix) => matrix.outputs(),
        }
    }

    /// `out[r] = rows[r] * matrix`, then `then`, as [`Matrix::multiply`], with rows and matrix in bfloat16.
    /// A row's numbers depend on nothing but the row. Runs on the calling thread.
    ///
    /// Rounding changes a number by at most a 256th of it, and an output before `then` by at most
    /// `|row| |output| / 120`, apart from numbers below 2^-50; usually by a hundredth of that. A number that
    /// is not finite, or above 3.396e38, makes every output that it is part of an infinity or NaN.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn multiply(&self, rows: &[f32], then: Then<'_>, out: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs());
        let n = rows.len().checked_div(inputs).unwrap_or(0);
        assert_eq!((rows.len(), out.len()), (n * inputs, n * outputs), "whole rows");
        let with = dispatch::instructions();
        let panels = match &self.packed {
            Packed::Pairs(panels) => panels,
            Packed::Numbers(matrix) => {
                return matrix.multiply(&turned(with, rows, inputs), then, out);
            }
        };
        let pairs = inputs.div_ceil(2);
        let block = rows_together(n, pairs, 1);
        let mut packed = PackedRows::default();
        let blocks = rows.chunks(block * inputs.max(1)).zip(out.chunks_mut(block * outputs.max(1)));
        for (rows, out) in blocks {
            packed.pack(&in_pairs(with, rows, inputs), pairs);
            let mut room = vec![[[0.0; PANEL]; ROWS]; packed.tiles().count()];
            for (first, real, panel) in panels.iter() {
                tiles(panel, &packed, &mut room);
                finish(with, room.as_flattened(), then, first, real, outputs, out);
            }
        }
    }
}

/// Whether the widest instructions in use multiply pairs of numbers in bfloat16.
#[cfg(target_arch = "x86_64")]
fn multiplies_pairs() -> bool {
    dispatch::instructions() == Instructions::Avx512 && is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn multiplies_pairs() -> bool {
    false
}

/// Rows of `dim` numbers, rounded, in pairs; an odd last one gets a zero.
fn in_pairs(with: Instructions, rows: &[f32], dim: usize) -> Vec<Pair> {
    let mut pairs = vec![0; rows.len().checked_div(dim).unwrap_or(0) * dim.div_ceil(2)];
    round_to_pairs(with, &even(rows, dim), &mut pairs);
    pairs
}

/// Rows of `dim` numbers, rounded, and the second of every two first; an odd last one gets a zero.
fn turned(with: Instructions, rows: &[f32], dim: usize) -> Vec<f32> {
    let rows = even(rows, dim);
    let mut out = vec![0.0; rows.len()];
    round_and_turn(with, &rows, &mut out);
    out
}

/// Rows with an even number of numbers: one more zero where there is an odd number.
fn even(rows: &[f32], dim: usize) -> Cow<'_, [f32]> {
    if dim.is_multiple_of(2) {
        return rows.into();
    }
    rows.chunks_exact(dim).flat_map(|row| row.iter().copied().chain([0.0])).collect()
}

/// The least number that is kept. Numbers in bfloat16 from here on are multiples of 2^-57, so a sum of their
/// products is a multiple of 2^-114 or 0, and never subnormal.
const LEAST: f32 = 1.0 / (1_u64 << 50) as f32;

/// The bits of the nearest number in bfloat16, ties to even; the lower half is 0.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    let kept = if x.abs() < LEAST { 0 } else { nearest };
    if x.is_nan() { 0x7fc0_0000 } else { kept }
}

dispatched! {
    fn round_to_pairs = round_to_pairs_any(numbers: &[f32], out: &mut [Pair])
}

#[inline(always)]
fn round_to_pairs_any(numbers: &[f32], out: &mut [Pair]) {
    for (&[first, second], out) in numbers.as_chunks::<2>().0.iter().zip(out) {
        *out = rounded(first) >> 16 | rounded(second);
    }
}

dispatched! {
    fn round_and_turn = round_and_turn_any(numbers: &[f32], out: &mut [f32])
}

#[inline(always)]
fn round_and_turn_any(numbers: &[f32], out: &mut [f32]) {
    for (&[first, second], out) in numbers.as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<2>().0)
    {
        *out = [second, first].map(|x| f32::from_bits(rounded(x)));
    }
}

/// Pairs of a panel that are multiplied with all tiles before the next ones: 24 KiB of the panel and 9 KiB
/// of a tile stay in the first-level cache.
const CHUNK: usize = 192;

/// The products of packed rows with one panel, as [`dispatch::tiles`].
fn tiles(panel: &[Lanes<Pair>], rows: &PackedRows<Pair>, out: &mut [Tile]) {
    out.fill([[0.0; PANEL]; ROWS]);
    let length = panel.len().div_ceil(panel.len().div_ceil(CHUNK).max(1)).max(1);
    for (c, chunk) in panel.chunks(length).enumerate() {
        let mut ahead = Ahead::of(chunk, out.len());
        for (rows, out) in rows.tiles().zip(&mut *out) {
            onto(&rows[c * length..][..chunk.len()], chunk, ahead, out);
            ahead.advance(chunk.len());
        }
    }
}

/// Carries on the products in `out` with more pairs.
#[inline]
#[allow(unsafe_code)]
fn onto(rows: &[[Pair; ROWS]], panel: &[Lanes<Pair>], ahead: Ahead, out: &mut Tile) {
    // SAFETY: `Packed::Pairs` is only made where the processor was found to have the instructions.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        onto_pairs(rows, panel, ahead, out);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no instructions for {} pairs: {} {}", rows.len(), panel.len(), out.len());
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
#[allow(unsafe_code)]
fn onto_pairs(rows: &[[Pair; ROWS]], panel: &[Lanes<Pair>], ahead: Ahead, out: &mut Tile) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_set1_epi32,
        _mm512_storeu_ps,
    };
    const HALF: usize = PANEL / 2;
    // SAFETY: both are 512 bits without any that mean nothing.
    let pairs = |bits: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) };
    // SAFETY: a row of the tile has 32 numbers of 4 bytes, two vectors of 64 bytes.
    let mut sums = out.each_ref().map(|row| unsafe {
        [_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row.as_ptr().add(HALF))]
    });
    for (k, (row, columns)) in rows.iter().zip(panel).enumerate() {
        ahead.fetch(k);
        let columns = columns.0.as_ptr();
        // SAFETY: lanes are 32 pairs of 4 bytes, aligned to 64 bytes.
        let [low, high] = unsafe {
            [_mm512_load_si512(columns.cast()), _mm512_load_si512(columns.add(HALF).cast())]
        }
        .map(pairs);
        for r in 0..ROWS {
            let both = pairs(_mm512_set1_epi32(row[r].cast_signed()));
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], low, both);
            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], high, both);
        }
    }
    for (out, [low, high]) in out.iter_mut().zip(sums) {
        let out = out.as_mut_ptr();
        // SAFETY: as above.
        unsafe {
            _mm512_storeu_ps(out, low);
            _mm512_storeu_ps(out.add(HALF), high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{elementwise::gelu, numbers::numbers, reference};

    /// The nearest of all numbers in bfloat16, as the module's documentation says.
    fn nearest(x: f32) -> f32 {
        if x.abs() < 2.0_f32.powi(-50) {
            return 0.0;
        }
        let below = f32::from_bits(x.to_bits() & 0xffff_0000);
        let above = f32::from_bits((x.to_bits() & 0xffff_0000) + 0x1_0000);
        let (down, up) =
            ((f64::from(x) - f64::from(below)).abs(), (f64::from(above) - f64::from(x)).abs());
        let even = below.to_bits() >> 16 & 1 == 0;
        if down < up || down == up && even { below } else { above }
    }

    /// One chain, the second of every two elements first.
    fn product(row: &[f32], output: &[f32]) -> f32 {
        let mut sum = 0.0_f32;
        for (a, b) in row.chunks(2).zip(output.chunks(2)) {
            for (&a, &b) in a.iter().zip(b).rev() {
                sum = nearest(a).mul_add(nearest(b), sum);
            }
        }
        sum
    }

    /// The matrix for every kind of instructions that this machine has.
    fn kinds(weights: &[f32], inputs: usize) -> Vec<Bf16Matrix> {
        let matrix = Matrix::linear(weights, inputs);
        let kinds = if multiplies_pairs() { &[false, true][..] } else { &[false] };
        kinds.iter().map(|&pairs| Bf16Matrix::packed(&matrix, pairs)).collect()
    }

    #[test]
    fn outputs_are_chains_of_rounded_numbers_on_every_instruction_set() {
        for (n, k, dim) in [(1, 1, 1), (14, 35, 9), (100, 64, 70), (26, 40, 577), (40, 33, 1_030)] {
            let (rows, weights, bias) = (numbers(n * dim, 1), numbers(k * dim, 2), numbers(k, 3));
            for matrix in kinds(&weights, dim) {
                assert_eq!((matrix.inputs(), matrix.outputs()), (dim, k));
                let (mut added, mut smooth) = (vec![0.5; n * k], vec![0.0; n * k]);
                matrix.multiply(&rows, Then::BiasAndAdd(&bias), &mut added);
                matrix.multiply(&rows, Then::BiasAndGelu(&bias), &mut smooth);
                for (i, row) in rows.chunks(dim).enumerate() {
                    let mut alone = vec![0.0; k];
                    matrix.multiply(row, Then::Store, &mut alone);
                    for (j, weight) in weights.chunks(dim).enumerate() {
                        assert_eq!(alone[j].to_bits(), product(row, weight).to_bits(), "{i} {j}");
                        assert_eq!(added[i * k + j], 0.5 + (alone[j] + bias[j]));
                        assert_eq!(smooth[i * k + j], gelu(alone[j] + bias[j]));
                    }
                }
            }
        }
    }

    #[test]
    fn small_and_large_numbers_are_the_same_on_every_instruction_set() {
        let powers = |seed, n| -> Vec<f32> {
            let exponents = numbers(n, seed + 1);
            numbers(n, seed)
                .iter()
                .zip(exponents)
                .map(|(x, e)| x * 2.0_f32.powf(62.0 * e))
                .collect()
        };
        let (n, k, dim) = (30, 40, 50);
        let (rows, weights) = (powers(7, n * dim), powers(17, k * dim));
        for matrix in kinds(&weights, dim) {
            let mut out = vec![0.0; n * k];
            matrix.multiply(&rows, Then::Store, &mut out);
            let cells = rows.chunks(dim).flat_map(|row| weights.chunks(dim).map(move |w| (row, w)));
            for (found, (row, weight)) in out.iter().zip(cells) {
                assert_eq!(found.to_bits(), product(row, weight).to_bits());
            }
        }
        // Neither product nor sum of the smallest is subnormal, and what is smaller is 0.
        let least = 2.0_f32.powi(-50);
        for matrix in kinds(&[least, 0.9 * least], 2) {
            let mut out = [1.0];
            matrix.multiply(&[least, 1e30], Then::Store, &mut out);
            assert_eq!(out, [2.0_f32.powi(-100)]);
        }
    }

    #[test]
    fn errors_stay_below_the_documented_bound() {
        let (n, k, dim) = (50, 60, 300);
        let (rows, weights) = (numbers(n * dim, 4), numbers(k * dim, 5));
        let mut out = vec![0.0; n * k];
        Bf16Matrix::new(&Matrix::linear(&weights, dim)).multiply(&rows, Then::Store, &mut out);
        let length = |x: &[f32]| reference::dot(x, x).sqrt();
        let mut sum = 0.0;
        for (i, row) in rows.chunks(dim).enumerate() {
            for (j, weight) in weights.chunks(dim).enumerate() {
                let bound = length(row) * length(weight) / 120.0;
                let error = (out[i * k + j] - reference::dot(row, weight)).abs();
                assert!(error <= bound, "{error} of {bound}");
                sum += error / bound;
            }
        }
        let usual = sum / (n * k) as f32;
        assert!(usual > 0.002 && usual < 0.02, "{usual}");
    }

    #[test]
    fn no_number_is_farther_off_than_a_half_of_what_it_keeps() {
        // A tie goes to the even one, which is 1.
        let x = 1.0 + 2.0_f32.powi(-8);
        for matrix in kinds(&[x], 1) {
            let mut out = [0.0];
            matrix.multiply(&[x], Then::Store, &mut out);
            assert_eq!(out, [1.0]);
            assert!(x * x - out[0] <= x * x / 120.0);
        }
    }

    #[test]
    fn a_product_beyond_f32_is_no_infinity_where_the_sum_is_finite() {
        let (large, half) = (2.0_f32.powi(64), 2.0_f32.powi(63));
        for matrix in kinds(&[large, -large], 2) {
            let mut out = [0.0];
            matrix.multiply(&[large, half], Then::Store, &mut out);
            assert_eq!(out, [2.0_f32.powi(127)]);
        }
    }

    #[test]
    fn nothing_finite_comes_of_what_is_not() {
        for matrix in kinds(&[1.0, 2.0, f32::NAN, 1.0, 3.0, 4.0], 2) {
            let mut out = vec![0.0; 12];
            let rows = [1.0, 1.0, f32::INFINITY, 1.0, 0.0, 0.0, f32::MAX, 1.0];
            matrix.multiply(&rows, Then::Store, &mut out);
            assert!(out[0] == 3.0 && out[1].is_nan() && out[2] == 7.0, "{out:?}");
            assert!(out[3..6].iter().all(|x| !x.is_finite()), "{out:?}");
            assert_eq!((out[6], out[7].is_nan(), out[8]), (0.0, true, 0.0));
            assert!(out[9..].iter().all(|x| !x.is_finite()), "{out:?}");
            matrix.multiply(&[], Then::Store, &mut []);
        }
    }
}
