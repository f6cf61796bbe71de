//! Many rows times one matrix in 8-bit integers: the linear layers of a network at less precision.
//!
//! A vector is `s q + e`: a scale `s`, integers `q` from -127 to 127, and `e`, which is dropped. So an
//! output is `s_row s_out <q_row, q_out>`: the inner product is exact, and its bytes are the same with
//! every instruction set, in any block.

use crate::{
    Matrix, Then,
    dispatch::{self, Instructions, dispatched},
    products::{finish, rows_together},
    quant::{self, GROUP, PANEL, QuantRows, ROWS, Tile},
    tile, vnni,
};

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

/// Rows of integers as the kernel of this machine reads them, tile after tile.
enum Rows {
    /// In 8 bits.
    Narrow(vnni::Integers, QuantRows),
    /// In 16 bits, where no instruction multiplies 8 bits and adds up to 32.
    Wide { data: Vec<[[i16; GROUP]; ROWS]>, groups: usize },
}

impl Rows {
    fn new() -> Self {
        match vnni::integers() {
            Some(kind) => Self::Narrow(kind, QuantRows::default()),
            None => Self::Wide { data: Vec::new(), groups: 0 },
        }
    }

    fn clear(&mut self, count: usize, dim: usize) {
        match self {
            Self::Narrow(_, rows) => rows.clear(count, dim),
            Self::Wide { data, groups } => {
                *groups = dim.div_ceil(GROUP);
                data.clear();
                data.resize(count.div_ceil(ROWS) * *groups, [[0; GROUP]; ROWS]);
            }
        }
    }

    fn put(&mut self, i: usize, q: &[i8]) {
        match self {
            Self::Narrow(_, rows) => rows.put_integers(i, q),
            Self::Wide { data, groups } => {
                let tile = &mut data[i / ROWS * *groups..];
                quant::each_group(q, tile, |place, q| place[i % ROWS] = q.map(i16::from));
            }
        }
    }

    /// The inner products of all rows with a panel.
    fn multiply(&self, panel: &[[[u8; GROUP]; PANEL]], starts: &[[i32; ROWS]], out: &mut [Tile]) {
        match self {
            Self::Narrow(kind, rows) => {
                for ((rows, start), out) in rows.tiles().zip(starts).zip(out) {
                    vnni::tile(*kind, rows, panel, start, out);
                }
            }
            Self::Wide { data, groups } => {
                let rows = data.chunks_exact((*groups).max(1));
                wide_tiles(dispatch::instructions(), rows, panel, starts, out);
            }
        }
    }
}

/// Groups of a panel that are multiplied with all tiles before the next ones: 12 KiB of the panel and
/// 9 KiB of a tile stay in the first-level cache.
const CHUNK: usize = 96;

fn wide_tiles<'a>(
    with: Instructions,
    rows: impl Iterator<Item = &'a [[[i16; GROUP]; ROWS]]> + Clone,
    panel: &[[[u8; GROUP]; PANEL]],
    starts: &[[i32; ROWS]],
    out: &mut [Tile],
) {
    for (out, start) in out.iter_mut().zip(starts) {
        out.iter_mut().zip(start).for_each(|(out, &start)| out.fill(start));
    }
    for (c, panel) in panel.chunks(CHUNK).enumerate() {
        for (rows, out) in rows.clone().zip(&mut *out) {
            wide_tile(with, &rows[c * CHUNK..][..panel.len()], panel, out);
        }
    }
}

/// Adds the inner products of a tile's rows with a panel to `out`.
#[inline]
#[allow(unsafe_code)]
fn wide_tile(
    with: Instructions,
    rows: &[[[i16; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    out: &mut Tile,
) {
    match with {
        // SAFETY: `with` names instructions that this machine was found to have; both sets have AVX2.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 | Instructions::Avx2 => unsafe {
            for (row, column) in
                [(0, 0), (6, 0), (0, 8), (6, 8), (0, 16), (6, 16), (0, 24), (6, 24)]
            {
                wide_part(rows, panel, (row, column), out);
            }
        },
        _ => wide_plain(rows, panel, out),
    }
}

fn wide_plain(rows: &[[[i16; GROUP]; ROWS]], panel: &[[[u8; GROUP]; PANEL]], out: &mut Tile) {
    for (rows, columns) in rows.iter().zip(panel) {
        for (out, row) in out.iter_mut().zip(rows) {
            for (out, column) in out.iter_mut().zip(columns) {
                let products = row.iter().zip(column).map(|(&r, &c)| i32::from(r) * i32::from(c));
                *out += products.sum::<i32>();
            }
        }
    }
}

/// Six rows and eight columns of [`wide_tile`], from `first` on. One instruction multiplies the four
/// elements of four columns and adds them in pairs; the pairs are added at the end.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn wide_part(
    rows: &[[[i16; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    first: (usize, usize),
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepu8_epi16, _mm256_hadd_epi32,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi64x,
        _mm256_setzero_si256, _mm256_storeu_si256,
    };
    const SIDE: usize = 6;
    const HALF: usize = 4;
    let (row, column) = first;
    assert!(row + SIDE <= ROWS && column + 2 * HALF <= PANEL, "inside the tile");
    let mut sums = [[_mm256_setzero_si256(); 2]; SIDE];
    for (rows, columns) in rows.iter().zip(panel) {
        let columns = columns[column..].as_ptr();
        // SAFETY: `columns` points to at least 8 groups of 4 bytes.
        let columns =
            unsafe { [_mm_loadu_si128(columns.cast()), _mm_loadu_si128(columns.add(HALF).cast())] };
        let columns = columns.map(|half| _mm256_cvtepu8_epi16(half));
        for r in 0..SIDE {
            let [a, b, c, d] = rows[row + r].map(|x| u64::from(x.cast_unsigned()));
            let four = _mm256_set1_epi64x((a | b << 16 | c << 32 | d << 48).cast_signed());
            for h in 0..2 {
                sums[r][h] = _mm256_add_epi32(sums[r][h], _mm256_madd_epi16(columns[h], four));
            }
        }
    }
    for (out, [low, high]) in out[row..].iter_mut().zip(sums) {
        let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high));
        let out = out[column..].as_mut_ptr();
        // SAFETY: `out` points to at least 8 integers of 4 bytes.
        unsafe {
            let sum = _mm256_add_epi32(_mm256_loadu_si256(out.cast()), sum);
            _mm256_storeu_si256(out.cast(), sum);
        }
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
    use crate::{dispatch::available, elementwise::gelu, numbers::numbers, reference};

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
    fn every_instruction_set_adds_up_the_same() {
        for groups in [1, CHUNK, 2 * CHUNK + 5] {
            let bytes: Vec<u8> = numbers(groups * GROUP * PANEL, 6)
                .iter()
                .map(|x| ((x + 1.0) * 127.5) as u8)
                .collect();
            let panel: Vec<[[u8; GROUP]; PANEL]> = (0..groups)
                .map(|g| {
                    std::array::from_fn(|c| {
                        std::array::from_fn(|t| bytes[(g * PANEL + c) * GROUP + t])
                    })
                })
                .collect();
            // The largest products there are, and others.
            let rows: Vec<[[i16; GROUP]; ROWS]> = (0..2 * groups)
                .map(|g| {
                    std::array::from_fn(|r| {
                        [127, -127, i16::from((g % 255) as u8) - 127, i16::from(r as u8)]
                    })
                })
                .collect();
            let starts = [[-5; ROWS], [9; ROWS]];
            let of = |with| {
                let mut out = [[[1; PANEL]; ROWS]; 2];
                wide_tiles(with, rows.chunks_exact(groups), &panel, &starts, &mut out);
                out
            };
            for with in available() {
                assert!(of(with) == of(Instructions::Portable), "{with:?} {groups}");
            }
            let by_hand: i32 = (0..groups)
                .flat_map(|g| (0..GROUP).map(move |t| (g, t)))
                .map(|(g, t)| i32::from(rows[groups + g][7][t]) * i32::from(panel[g][30][t]))
                .sum();
            assert_eq!(of(dispatch::instructions())[1][7][30], 9 + by_hand);
        }
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
