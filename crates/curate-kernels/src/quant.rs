//! Vectors as 8-bit integers, with a bound on what that loses: a first look that costs a quarter of
//! the arithmetic and decides most pairs; the rest is computed in f32.
//!
//! With a center `m`, a vector is `m + s q + e`: a scale `s`, integers `q` from -127 to 127 and what
//! is left, `e`. Then
//!
//! ```text
//! <x, c> = s_x s_c <q_x, q_c>  +  <m, c>  +  <x - m, m>  +  rest,
//! |rest| <= |e_x| |c - m| + |s_x q_x| |e_c|
//! ```
//!
//! by Cauchy and Schwarz. The lengths are measured, not assumed, so the bound holds for any data;
//! the center only makes it small. All of it is rounded up, and [`Row::eta`] bounds what the f32
//! chain itself loses, so a pair that is ruled out here cannot be the best in f32 either.

use crate::{dispatch::Instructions, lanes};

/// Elements that one instruction multiplies and adds up.
pub(crate) const GROUP: usize = 4;
/// Vectors in a panel.
pub(crate) const PANEL: usize = 32;
/// Rows in a tile.
pub(crate) const ROWS: usize = 12;
/// The longest vectors whose integer products fit 32 bits with room to spare.
pub(crate) const MAX_DIM: usize = 32_768;
/// Lengths beyond this are left to f32: their bounds could overflow.
const MAX_LENGTH: f32 = 1e15;
/// Below this a vector counts as its center: its scale would be too small to divide by.
const MIN_LARGEST: f32 = 1e-30;
/// Relative rounding of an f32 operation.
pub(crate) const UNIT: f32 = 1.0 / 16_777_216.0;
/// Makes up for the rounding of sums of squares in f32 lanes.
pub(crate) const UP: f32 = 1.001;
/// Makes up for squares too small for f32: [`MAX_DIM`] of those lost are shorter together.
pub(crate) const TINY: f32 = 1e-16;

/// Integer inner products of a tile.
pub(crate) type Tile = [[i32; PANEL]; ROWS];

/// What is known of one vector besides its integers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    /// `s`.
    pub(crate) scale: f32,
    /// At least `|x - m|`.
    pub(crate) length: f32,
    /// At least `|e|`.
    pub(crate) rest: f32,
    /// The sum of `q`.
    pub(crate) sum: i32,
    /// `<x - m, m>`, up to rounding.
    pub(crate) shift: f32,
}

impl Parts {
    /// Whether the bounds hold: the vector is finite and not absurdly long.
    pub(crate) fn usable(&self) -> bool {
        self.length.is_finite()
    }
}

/// Splits `x` into its integers, written to `q`, and the rest. `y` is room for `x - m`.
pub(crate) fn split(
    with: Instructions,
    x: &[f32],
    center: &[f32],
    y: &mut [f32],
    q: &mut [i8],
) -> Parts {
    let (largest, square, shift) = lanes::center(with, x, center, y);
    let length = length(square);
    if !length.is_finite() {
        // No bound holds: nothing that follows is used.
        q.fill(0);
        return Parts { length: f32::INFINITY, ..Parts::default() };
    }
    let (scale, inverse) = scale(largest);
    let (rest, sum) = lanes::quantize(with, y, scale, inverse, q);
    // What `x - m` itself and the product with the scale lost, element by element.
    let rest = rest.sqrt() * UP + 4.0 * UNIT * length + TINY;
    Parts { scale, length, rest, sum, shift }
}

/// At least the length of a vector, from its square as lanes sum it up; infinite when no bound would
/// hold.
pub(crate) fn length(square: f32) -> f32 {
    let length = square.sqrt() * UP + TINY;
    if length.is_nan() || length >= MAX_LENGTH { f32::INFINITY } else { length }
}

/// The scale of a vector whose largest number is given, and the inverse of it; 0 for both where
/// there is no scale.
pub(crate) fn scale(largest: f32) -> (f32, f32) {
    let scale = if largest > MIN_LARGEST { largest / 127.0 } else { 0.0 };
    (scale, if scale > 0.0 { 1.0 / scale } else { 0.0 })
}

/// The most that any vector of a set has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Most {
    /// `|c - m|`.
    pub(crate) length: f32,
    /// `|e_c|`.
    pub(crate) rest: f32,
    /// `|c|`.
    pub(crate) norm: f32,
    /// `|<m, c> + bias|`, `|bias|` and `|m|^2`.
    pub(crate) offset: f32,
    /// `|m|`.
    pub(crate) center: f32,
}

impl Most {
    /// Takes in a vector of length `norm`, where `square` is that of the center; returns `<m, c> + bias`.
    pub(crate) fn take(&mut self, parts: &Parts, norm: f32, square: f64, bias: f32) -> f32 {
        // <m, c> = <c - m, m> + <m, m>.
        let offset = (f64::from(parts.shift) + square + f64::from(bias)) as f32;
        self.length = self.length.max(parts.length);
        self.rest = self.rest.max(parts.rest);
        self.norm = self.norm.max(norm);
        self.offset = self.offset.max(offset.abs()).max(bias.abs()).max(square as f32);
        offset
    }
}

/// Vectors in panels of [`PANEL`], four elements of each side by side, as unsigned `q + 128`.
pub(crate) struct QuantPanels {
    data: Vec<[[u8; GROUP]; PANEL]>,
    groups: usize,
    /// The scale of each vector, 0 beyond the last.
    pub(crate) scale: Vec<f32>,
    /// `<m, c> + bias` of each vector, `-inf` beyond the last.
    pub(crate) offset: Vec<f32>,
    /// What bounds a row's error.
    pub(crate) most: Most,
    count: usize,
}

impl QuantPanels {
    /// Packs `count` vectors given by `vector`, with a bias each; `None` when one of them is not
    /// usable.
    pub(crate) fn pack<'a>(
        with: Instructions,
        count: usize,
        vector: impl Fn(usize) -> (&'a [f32], f32),
        center: &[f32],
    ) -> Option<Self> {
        let dim = center.len();
        let groups = dim.div_ceil(GROUP);
        let panels = count.div_ceil(PANEL);
        let mut packed = Self {
            data: vec![[[128; GROUP]; PANEL]; panels * groups],
            groups,
            scale: vec![0.0; panels * PANEL],
            offset: vec![f32::NEG_INFINITY; panels * PANEL],
            most: Most { center: lanes::square(with, center).sqrt() * UP, ..Most::default() },
            count,
        };
        let (mut y, mut q) = (vec![0.0; dim], vec![0; dim]);
        let square: f64 = center.iter().map(|&m| f64::from(m) * f64::from(m)).sum();
        for i in 0..count {
            let (vector, bias) = vector(i);
            let parts = split(with, vector, center, &mut y, &mut q);
            if !parts.usable() || !bias.is_finite() {
                return None;
            }
            packed.put(i, &q);
            let norm = lanes::square(with, vector).sqrt() * UP;
            packed.scale[i] = parts.scale;
            packed.offset[i] = packed.most.take(&parts, norm, square, bias);
        }
        Some(packed)
    }

    fn put(&mut self, i: usize, q: &[i8]) {
        let panel = &mut self.data[i / PANEL * self.groups..];
        each_group(q, panel, |packed, q| packed[i % PANEL] = q.map(|q| q.cast_unsigned() ^ 128));
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The panels in order, each with the position of its first vector.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[[[u8; GROUP]; PANEL]])> {
        self.data.chunks_exact(self.groups.max(1)).enumerate().map(|(p, panel)| (p * PANEL, panel))
    }
}

/// Hands every group of `q`, the last filled up with zeros, to its place among `packed`.
#[inline]
pub(crate) fn each_group<T>(q: &[i8], packed: &mut [T], put: impl Fn(&mut T, [i8; GROUP])) {
    let (groups, rest) = q.as_chunks::<GROUP>();
    for (packed, &group) in packed.iter_mut().zip(groups) {
        put(packed, group);
    }
    if !rest.is_empty() {
        let mut last = [0; GROUP];
        last[..rest.len()].copy_from_slice(rest);
        put(&mut packed[groups.len()], last);
    }
}

/// What is known of a row that looks for its best vector.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    /// The row's scale.
    pub(crate) scale: f32,
    /// `-128` times the sum of the row's integers: where the integer sums start.
    pub(crate) start: i32,
    /// `<x - m, m>`: what an approximate value lacks.
    pub(crate) shift: f32,
    /// At least the error of an approximate value.
    pub(crate) error: f32,
    /// At least the error of a value computed in f32.
    pub(crate) eta: f32,
}

impl Row {
    pub(crate) fn new(parts: &Parts, most: &Most, dim: usize) -> Self {
        let own = parts.length + parts.rest;
        let rounding = 16.0 * UNIT * (own * (most.length + most.rest) + most.offset);
        // What a sum of `dim` products can lose; the offsets hold one too.
        let chain = (dim + 8) as f32 * UNIT * UP;
        let offset = chain * most.length * most.center;
        let error = parts.rest * most.length + own * most.rest + rounding + offset;
        let norm = parts.length + most.center;
        let eta = chain * (norm * most.norm + parts.length * most.center)
            + 8.0 * UNIT * (norm * most.norm + most.offset);
        Self {
            scale: parts.scale,
            start: -128 * parts.sum,
            shift: parts.shift,
            // What is too small for f32 is rounded by less than its smallest normal number together.
            error: error * UP + f32::MIN_POSITIVE,
            eta: eta * UP + f32::MIN_POSITIVE,
        }
    }

    /// How far below the best approximate value a vector can be and still be the best in f32.
    pub(crate) fn margin(&self) -> f32 {
        2.0 * (self.error + self.eta)
    }
}

/// Rows packed for the tile kernel, tile after tile; the last tile is filled up with zeros.
#[derive(Default)]
pub(crate) struct QuantRows {
    data: Vec<[[i8; GROUP]; ROWS]>,
    groups: usize,
    y: Vec<f32>,
    q: Vec<i8>,
}

impl QuantRows {
    /// Makes room for `count` rows of length `dim`, in place of those packed before.
    pub(crate) fn clear(&mut self, count: usize, dim: usize) {
        self.groups = dim.div_ceil(GROUP);
        self.data.clear();
        self.data.resize(count.div_ceil(ROWS) * self.groups, [[0; GROUP]; ROWS]);
        self.y.resize(dim, 0.0);
        self.q.resize(dim, 0);
    }

    /// Packs a row at place `i`.
    pub(crate) fn put(
        &mut self,
        with: Instructions,
        i: usize,
        row: &[f32],
        center: &[f32],
    ) -> Parts {
        let parts = split(with, row, center, &mut self.y, &mut self.q);
        let tile = &mut self.data[i / ROWS * self.groups..];
        each_group(&self.q, tile, |packed, q| packed[i % ROWS] = q);
        parts
    }

    /// Packs a row that is integers already at place `i`.
    pub(crate) fn put_integers(&mut self, i: usize, q: &[i8]) {
        let tile = &mut self.data[i / ROWS * self.groups..];
        each_group(q, tile, |packed, q| packed[i % ROWS] = q);
    }

    /// Packs rows that are integers already, one after the other in `q`, in place of those before.
    pub(crate) fn put_all(&mut self, q: &[i8], dim: usize) {
        self.groups = dim.div_ceil(GROUP);
        let rows = q.chunks_exact(dim.max(1));
        self.data.clear();
        self.data.resize(rows.len().div_ceil(ROWS) * self.groups, [[0; GROUP]; ROWS]);
        rows.enumerate().for_each(|(i, row)| self.put_integers(i, row));
    }

    /// The tiles in order.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = &[[[i8; GROUP]; ROWS]]> {
        self.data.chunks_exact(self.groups.max(1))
    }
}
