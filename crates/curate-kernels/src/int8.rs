//! Many rows times one matrix in 8-bit integers: the linear layers of a network at less precision.
//!
//! A vector is `s q + e`: a scale `s`, integers `q` from -127 to 127, and `e`, which is dropped. So an
//! output is `s_row s_out <q_row, q_out>`: the inner product is exact, and its bytes are the same with
//! every instruction set, in any block.

mod rows;

use crate::{
    Matrix, Then,
    dispatch::{self, Instructions, dispatched},
    products::{finish, rows_together},
    quant::{self, GROUP, PANEL, ROWS, Tile},
    tile,
};
use rows::Rows;

/// A matrix in 8-bit integers, one scale an output, packed once for products with many rows.
pub struct Int8Matrix {
    /// [`PANEL`] outputs side by side, as unsigned `q + 128`.
    panels: Vec<[[u8; GROUP]; PANEL]>,
    /// The scale of each output, filled up to whole panels.
    scales: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Int8Matrix {
    /// The most inputs whose products fit 32 bits.
    pub const MAX_INPUTS: usize = quant::MAX_DIM;

    /// The integers nearest to a matrix, each output by its largest number. An output that is not finite
    /// becomes NaN for every row.
    ///
    /// # Panics
    /// When the matrix has more than [`Self::MAX_INPUTS`] inputs.
    pub fn new(matrix: &Matrix) -> Self {
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        assert!(inputs <= Self::MAX_INPUTS, "{inputs} inputs overflow sums of 32 bits");
        let (groups, panels) = (inputs.div_ceil(GROUP), outputs.div_ceil(PANEL));
        let mut packed = vec![[[128; GROUP]; PANEL]; panels * groups];
        let mut scales = vec![0.0; panels * PANEL];
        let mut quantizer = Quantizer::new(inputs);
        let mut column = vec![0.0; inputs];
        for output in 0..outputs {
            matrix.output(output, &mut column);
            let (scale, _) = quantizer.split(dispatch::instructions(), &column);
            scales[output] = scale;
            let panel = &mut packed[output / PANEL * groups..];
            let put = |place: &mut [[u8; GROUP]; PANEL], q: [i8; GROUP]| {
                place[output % PANEL] = q.map(|q| q.cast_unsigned() ^ 128);
            };
            quant::each_group(&quantizer.q, panel, put);
        }
        Self { panels: packed, scales, inputs, outputs }
    }

    /// Numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out[r] = rows[r] * matrix`, then `then`, as [`Matrix::multiply`], with rows and matrix in 8-bit
    /// integers. A row's numbers depend on nothing but the row. Runs on the calling thread.
    ///
    /// The error of an output before `then` is at most
    /// `sqrt(inputs) / 2 * (s_out |row| + s_row |output|)` and terms of second order, where a scale is the
    /// largest absolute number of row or output by 127; usually it is a tenth of that. A row that is not
    /// finite, or longer than 1e15, becomes NaN.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn multiply(&self, rows: &[f32], then: Then<'_>, out: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let n = rows.len().checked_div(inputs).unwrap_or(0);
        assert_eq!((rows.len(), out.len()), (n * inputs, n * outputs), "whole rows");
        let block = rows_together(n, inputs, 1);
        let mut room = Room::new(self, block / ROWS);
        let blocks = rows.chunks(block * inputs.max(1)).zip(out.chunks_mut(block * outputs.max(1)));
        for (rows, out) in blocks {
            room.pack(rows);
            self.block(&mut room, then, out);
        }
    }

    fn block(&self, room: &mut Room, then: Then<'_>, out: &mut [f32]) {
        let with = dispatch::instructions();
        let groups = self.inputs.div_ceil(GROUP);
        let tiles = room.scales.len() / ROWS;
        for (p, scales) in self.scales.as_chunks::<PANEL>().0.iter().enumerate() {
            let panel = &self.panels[p * groups..(p + 1) * groups];
            room.rows.multiply(panel, &room.starts, &mut room.integers[..tiles]);
            let integers = room.integers[..tiles].as_flattened();
            rescale(with, integers, &room.scales, scales, room.values[..tiles].as_flattened_mut());
            let real = PANEL.min(self.outputs - p * PANEL);
            let values = room.values[..tiles].as_flattened();
            finish(with, values, then, p * PANEL, real, self.outputs, out);
        }
    }
}

/// Room for a block of rows.
struct Room {
    quantizer: Quantizer,
    rows: Rows,
    /// The scale of each row, and `-128` times the sum of its integers.
    scales: Vec<f32>,
    starts: Vec<[i32; ROWS]>,
    integers: Vec<Tile>,
    values: Vec<tile::Tile>,
}

impl Room {
    fn new(matrix: &Int8Matrix, tiles: usize) -> Self {
        Self {
            quantizer: Quantizer::new(matrix.inputs),
            rows: Rows::new(),
            scales: Vec::new(),
            starts: Vec::new(),
            integers: vec![[[0; PANEL]; ROWS]; tiles],
            values: vec![[[0.0; PANEL]; ROWS]; tiles],
        }
    }

    fn pack(&mut self, rows: &[f32]) {
        let inputs = self.quantizer.q.len();
        let count = rows.len().checked_div(inputs).unwrap_or(0);
        let tiles = count.div_ceil(ROWS);
        self.rows.clear(count, inputs);
        self.scales.clear();
        self.scales.resize(tiles * ROWS, 0.0);
        self.starts.clear();
        self.starts.resize(tiles, [0; ROWS]);
        let with = dispatch::instructions();
        for (i, row) in rows.chunks_exact(inputs.max(1)).enumerate() {
            let (scale, sum) = self.quantizer.split(with, row);
            self.scales[i] = scale;
            self.starts[i / ROWS][i % ROWS] = -128 * sum;
            self.rows.put(i, &self.quantizer.q);
        }
    }
}

/// Turns vectors into integers.
struct Quantizer {
    /// What [`quant::split`] takes off: nothing.
    center: Vec<f32>,
    y: Vec<f32>,
    q: Vec<i8>,
}

impl Quantizer {
    fn new(dim: usize) -> Self {
        Self { center: vec![0.0; dim], y: vec![0.0; dim], q: vec![0; dim] }
    }

    /// Writes a vector's integers to `q`; returns its scale, NaN where it has none, and their sum.
    fn split(&mut self, with: Instructions, vector: &[f32]) -> (f32, i32) {
        let parts = quant::split(with, vector, &self.center, &mut self.y, &mut self.q);
        if parts.usable() { (parts.scale, parts.sum) } else { (f32::NAN, 0) }
    }
}

dispatched! {
    /// Integers to numbers, by the scales of their rows and columns.
    fn rescale = rescale_any(
        integers: &[[i32; PANEL]],
        rows: &[f32],
        columns: &[f32; PANEL],
        out: &mut [[f32; PANEL]],
    )
}

#[inline(always)]
fn rescale_any(
    integers: &[[i32; PANEL]],
    rows: &[f32],
    columns: &[f32; PANEL],
    out: &mut [[f32; PANEL]],
) {
    for ((integers, row), out) in integers.iter().zip(rows).zip(out) {
        for ((out, &integer), column) in out.iter_mut().zip(integers).zip(columns) {
            *out = integer as f32 * (row * column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{elementwise::gelu, numbers::numbers, reference};

    /// The integers of a vector and its scale, as the module's documentation says.
    fn integers(vector: &[f32]) -> (f32, Vec<i32>) {
        let largest = vector.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        let scale = largest / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let q = |x: &f32| (x * inverse).clamp(-127.0, 127.0).round_ties_even() as i32;
        (scale, vector.iter().map(q).collect())
    }

    #[test]
    fn outputs_are_the_exact_products_of_integers() {
        for (n, k, dim) in [(1, 1, 1), (14, 35, 9), (100, 64, 70), (26, 40, 577), (40, 33, 1_030)] {
            let (rows, weights, bias) = (numbers(n * dim, 1), numbers(k * dim, 2), numbers(k, 3));
            let matrix = Int8Matrix::new(&Matrix::linear(&weights, dim));
            assert_eq!((matrix.inputs(), matrix.outputs()), (dim, k));
            let (mut added, mut smooth) = (vec![0.5; n * k], vec![0.0; n * k]);
            matrix.multiply(&rows, Then::BiasAndAdd(&bias), &mut added);
            matrix.multiply(&rows, Then::BiasAndGelu(&bias), &mut smooth);
            for (i, row) in rows.chunks(dim).enumerate() {
                let (row_scale, row_q) = integers(row);
                let mut alone = vec![0.0; k];
                matrix.multiply(row, Then::Store, &mut alone);
                for (j, weight) in weights.chunks(dim).enumerate() {
                    let (scale, q) = integers(weight);
                    let product: i32 = row_q.iter().zip(&q).map(|(a, b)| a * b).sum();
                    assert_eq!(alone[j], product as f32 * (row_scale * scale), "{i} {j}");
                    assert_eq!(added[i * k + j], 0.5 + (alone[j] + bias[j]));
                    assert_eq!(smooth[i * k + j], gelu(alone[j] + bias[j]));
                }
            }
        }
    }

    #[test]
    fn errors_stay_below_the_documented_bound() {
        let (n, k, dim) = (50, 60, 300);
        let (rows, weights) = (numbers(n * dim, 4), numbers(k * dim, 5));
        let mut out = vec![0.0; n * k];
        Int8Matrix::new(&Matrix::linear(&weights, dim)).multiply(&rows, Then::Store, &mut out);
        let length = |x: &[f32]| reference::dot(x, x).sqrt();
        let half = (dim as f32).sqrt() / 2.0;
        let mut sum = 0.0;
        for (i, row) in rows.chunks(dim).enumerate() {
            for (j, weight) in weights.chunks(dim).enumerate() {
                let (a, b) = (integers(row).0, integers(weight).0);
                let bound = half * (b * length(row) + a * length(weight)) + half * half * a * b;
                let error = (out[i * k + j] - reference::dot(row, weight)).abs();
                assert!(error <= bound, "{error} of {bound}");
                sum += error / bound;
            }
        }
        let usual = sum / (n * k) as f32;
        assert!(usual > 0.005 && usual < 0.1, "{usual}");
    }

    #[test]
    #[should_panic(expected = "32769 inputs overflow")]
    fn more_inputs_than_sums_hold_are_refused() {
        let inputs = Int8Matrix::MAX_INPUTS + 1;
        Int8Matrix::new(&Matrix::linear(&vec![1.0; inputs], inputs));
    }

    #[test]
    fn the_largest_sums_are_exact() {
        let inputs = Int8Matrix::MAX_INPUTS;
        let matrix = Int8Matrix::new(&Matrix::linear(&vec![127.0; inputs], inputs));
        for x in [127.0, -127.0] {
            let mut out = [0.0];
            matrix.multiply(&vec![x; inputs], Then::Store, &mut out);
            assert_eq!(out, [127.0 * x * inputs as f32]);
        }
    }

    #[test]
    fn nothing_finite_comes_of_what_is_not() {
        let weights = [1.0, 2.0, f32::NAN, 1.0, 3.0, 4.0];
        let matrix = Int8Matrix::new(&Matrix::linear(&weights, 2));
        let mut out = vec![0.0; 9];
        let rows = [1.0, 1.0, f32::INFINITY, 1.0, 0.0, 0.0];
        matrix.multiply(&rows, Then::Store, &mut out);
        assert!(out[0] > 2.9 && out[1].is_nan() && out[2] > 6.9, "{out:?}");
        assert!(out[3..6].iter().all(|x| x.is_nan()), "{out:?}");
        assert_eq!((out[6], out[7].is_nan(), out[8]), (0.0, true, 0.0));
        matrix.multiply(&[], Then::Store, &mut []);
    }
}
