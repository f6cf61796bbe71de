//! The best of many centroids for each row.

use rayon::prelude::*;

use crate::{
    Nearest,
    dispatch::{self, Instructions},
    heads::HeadPanels,
    integer::{self, Query, Vectors, Workspace},
    kept::Kept,
    lanes,
    packed::{FloatPanels, How, Packed, packed},
    partial,
    products::{Matrix, Then},
    quant::{self, QuantPanels},
    tile::{PANEL, PackedRows, ROWS},
    vnni::{self, Integers},
};

/// Rows that share a panel while it is hot: with 512 dimensions 192 KiB of rows beside a panel of
/// 64 KiB, in the second-level cache of current cores.
pub(crate) const BLOCK: usize = 8 * ROWS;
/// The same for rows of bytes.
pub(crate) const INTEGER_BLOCK: usize = 16 * quant::ROWS;
/// Rows that one thread takes at a time.
const TASK: usize = 4 * INTEGER_BLOCK;

/// Centroids packed for the search.
pub struct Centroids {
    pub(crate) dim: usize,
    /// As they were given, by index.
    pub(crate) vectors: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// What is taken off vectors to make their bounds small; it changes no answer.
    pub(crate) center: Vec<f32>,
    /// The index of the centroid at each packed position; empty when they are the same.
    pub(crate) order: Vec<u32>,
    /// The other way round.
    place: Vec<u32>,
    /// By position, descending: how much a row's value of that centroid can have grown since the
    /// centroids that these were moved from.
    pub(crate) growth: Vec<f32>,
    /// By index: whether a centroid is what it was before it was moved, to the bit; empty when none was.
    pub(crate) still: Vec<bool>,
    /// At least the error of a value in f32, for a row of length 1 or less; for a longer row so many
    /// times as much.
    pub(crate) eta: f32,
    /// At least the length of every row of which something is known.
    pub(crate) norm: f32,
    pub(crate) packed: Packed,
}

impl Centroids {
    /// Packs centroids of length `dim`, one after the other in `centroids`. A `bias`, one number a
    /// centroid, is added to its inner products: with `-|c|^2 / 2` the largest value belongs to
    /// the smallest Euclidean distance.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn new(centroids: &[f32], dim: usize, bias: Option<&[f32]>) -> Self {
        Self::with(vnni::integers(), centroids, dim, bias)
    }

    /// [`Self::new`] with these integer instructions, or none.
    pub(crate) fn with(
        kind: Option<Integers>,
        centroids: &[f32],
        dim: usize,
        bias: Option<&[f32]>,
    ) -> Self {
        let count = centroids.len().checked_div(dim).unwrap_or(0);
        assert_eq!(centroids.len(), count * dim, "whole vectors");
        let bias = bias.map_or_else(|| vec![0.0; count], <[f32]>::to_vec);
        assert_eq!(bias.len(), count, "one bias for each centroid");
        let center = mean(centroids, dim);
        Self::pack((kind, None), centroids.to_vec(), bias, center, Vec::new(), Vec::new())
    }

    pub(crate) fn pack(
        how: How<'_>,
        vectors: Vec<f32>,
        bias: Vec<f32>,
        center: Vec<f32>,
        order: Vec<u32>,
        growth: Vec<f32>,
    ) -> Self {
        let dim = center.len();
        let packed = packed(how, &vectors, &bias, &center, &order);
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(position, &i)| place[i as usize] = position as u32);
        let eta = eta(&vectors, &bias, dim);
        let (still, norm) = (Vec::new(), 0.0);
        Self { dim, vectors, bias, center, order, place, growth, still, eta, norm, packed }
    }

    /// Packs them in another way.
    pub(crate) fn pack_again(&mut self, how: How<'_>) {
        self.packed = packed(how, &self.vectors, &self.bias, &self.center, &self.order);
    }

    /// Where a centroid is packed.
    pub(crate) fn position(&self, index: u32) -> u32 {
        self.place.get(index as usize).copied().unwrap_or(index)
    }

    /// Writes the best centroid of each row into `out`; `rows` holds `out.len() * dim` numbers.
    /// Runs on the calling thread.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn nearest(&self, rows: &[f32], out: &mut [Nearest]) {
        self.nearest_with(dispatch::instructions(), rows, out);
    }

    /// [`Self::nearest`] on all threads of the current pool, with the same answer.
    pub fn nearest_parallel(&self, rows: &[f32], out: &mut [Nearest]) {
        let dim = self.dim.max(1);
        out.par_chunks_mut(TASK)
            .zip(rows.par_chunks(TASK * dim))
            .for_each(|(out, rows)| self.nearest(rows, out));
    }

    pub(crate) fn nearest_with(&self, with: Instructions, rows: &[f32], out: &mut [Nearest]) {
        assert_eq!(rows.len(), out.len() * self.dim, "one answer for each row");
        match &self.packed {
            Packed::Float(floats) => self.nearest_float(with, floats, rows, out),
            Packed::Integer(kind, panels) => {
                self.nearest_integer(&self.searched(with, *kind, panels), rows, out);
            }
            Packed::Heads(panels) => self.nearest_by_heads(with, panels, rows, out),
        }
    }

    fn nearest_float(
        &self,
        with: Instructions,
        floats: &FloatPanels,
        rows: &[f32],
        out: &mut [Nearest],
    ) {
        let mut packed = PackedRows::default();
        for (rows, out) in rows.chunks(BLOCK * self.dim.max(1)).zip(out.chunks_mut(BLOCK)) {
            packed.pack(rows, self.dim);
            out.fill(Nearest { index: 0, value: f32::NEG_INFINITY });
            let mut tiles = dispatch::room(&packed);
            for (first, _, panel) in floats.panels.iter() {
                let bias = floats.bias(first);
                dispatch::tiles(with, panel, &packed, 0, &mut tiles);
                for (products, best) in tiles.as_flattened_mut().iter_mut().zip(&mut *out) {
                    improve(best, products, bias, first);
                }
            }
        }
    }

    fn nearest_integer(&self, vectors: &Vectors<'_>, rows: &[f32], out: &mut [Nearest]) {
        let (mut work, mut answers) = (Workspace::default(), Vec::new());
        let blocks = rows.chunks(INTEGER_BLOCK * self.dim);
        for (rows, out) in blocks.zip(out.chunks_mut(INTEGER_BLOCK)) {
            let queries: Vec<Query<'_>> =
                rows.chunks_exact(self.dim).map(|row| Query::all(row, usize::MAX)).collect();
            integer::search(vectors, &mut work, &queries, &mut answers);
            for (out, answer) in out.iter_mut().zip(&answers) {
                *out = answer.best;
            }
        }
    }

    fn nearest_by_heads(
        &self,
        with: Instructions,
        panels: &HeadPanels,
        rows: &[f32],
        out: &mut [Nearest],
    ) {
        let of = self.searched_by_heads(with, panels);
        let (mut work, mut answers) = (partial::Workspace::default(), Vec::new());
        let blocks = rows.chunks(INTEGER_BLOCK * self.dim);
        for (rows, out) in blocks.zip(out.chunks_mut(INTEGER_BLOCK)) {
            let row = |i: usize| &rows[i * self.dim..][..self.dim];
            let Kept { mut heads, mut whole } = Kept::default();
            let place = |i| i;
            work.block.take(with, &panels.rotation, out.len(), row, place, &mut heads);
            let queries: Vec<Query<'_>> =
                (0..out.len()).map(|i| Query::all(row(i), usize::MAX)).collect();
            partial::search(&of, &mut work, &queries, (&mut whole, &place), &mut answers);
            for (out, answer) in out.iter_mut().zip(&answers) {
                *out = answer.best;
            }
        }
    }

    pub(crate) fn searched_by_heads<'a>(
        &'a self,
        with: Instructions,
        panels: &'a HeadPanels,
    ) -> partial::Vectors<'a> {
        partial::Vectors {
            with,
            panels,
            vectors: &self.vectors,
            biases: &self.bias,
            order: &self.order,
        }
    }

    pub(crate) fn searched<'a>(
        &'a self,
        with: Instructions,
        kind: Integers,
        panels: &'a QuantPanels,
    ) -> Vectors<'a> {
        Vectors {
            with,
            kind,
            panels,
            center: &self.center,
            vectors: &self.vectors,
            biases: &self.bias,
            order: &self.order,
        }
    }
}

/// What a chain of `dim` multiply-adds and a bias can lose: each rounds once, by at most 2^-24 of
/// what it holds, or by less than the smallest normal number together.
fn eta(vectors: &[f32], bias: &[f32], dim: usize) -> f32 {
    let with = dispatch::instructions();
    let squares = vectors.chunks_exact(dim.max(1)).map(|vector| lanes::square(with, vector));
    let longest = 1.001 * squares.fold(0.0, f32::max).sqrt();
    let bias = bias.iter().fold(0.0_f32, |max, bias| max.max(bias.abs()));
    ((dim + 16) as f32 * longest + 8.0 * bias) * (1.001 / 16_777_216.0) + f32::MIN_POSITIVE
}

/// The mean of vectors; zeros when there are none, or when it is not finite.
pub(crate) fn mean(vectors: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0; dim];
    let rows = vectors.chunks_exact(dim.max(1));
    let count = rows.len().max(1) as f64;
    rows.for_each(|row| lanes::add(dispatch::instructions(), &mut sums, row));
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
    if mean.iter().all(|x| x.is_finite()) { mean } else { vec![0.0; dim] }
}

/// Replaces `best` where a column of the panel is strictly better; columns in index order.
#[inline]
fn improve(best: &mut Nearest, products: &mut [f32; PANEL], bias: &[f32; PANEL], first: usize) {
    let max = add_bias(products, bias);
    // The largest of a panel first, in lanes; where it is only matters when it wins, which after the
    // first panels is rare.
    if max > best.value {
        let column = products.iter().position(|&p| p == max).unwrap_or(0);
        *best = Nearest { index: (first + column) as u32, value: max };
    }
}

/// Adds the biases and returns the largest value.
#[inline]
pub(crate) fn add_bias(products: &mut [f32; PANEL], bias: &[f32; PANEL]) -> f32 {
    let mut max = f32::NEG_INFINITY;
    for (product, bias) in products.iter_mut().zip(bias) {
        *product += bias;
        max = max.max(*product);
    }
    max
}

/// The inner products of every row of `a` with every row of `b`, row after row; both hold vectors
/// of length `dim`. Runs on the calling thread.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn inner_products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
    let matrix = Matrix::linear(b, dim);
    let n = a.len().checked_div(dim).unwrap_or(0);
    let mut out = vec![0.0; n * matrix.outputs()];
    matrix.multiply(a, Then::Store, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers, reference};

    #[test]
    fn every_instruction_set_equals_the_scalar_reference_to_the_bit() {
        for (n, k, dim) in [(1, 1, 1), (13, 33, 7), (100, 64, 64), (25, 70, 130), (30, 40, 385)] {
            let (rows, centroids) = (numbers(n * dim, 1), numbers(k * dim, 2));
            let bias = numbers(k, 3);
            for bias in [None, Some(&bias[..])] {
                let expected = reference::nearest(&rows, &centroids, dim, bias);
                for (with, kind) in kinds() {
                    let mut out = vec![Nearest::default(); n];
                    let search = Centroids::with(kind, &centroids, dim, bias);
                    search.nearest_with(with, &rows, &mut out);
                    assert_eq!(out, expected, "{with:?} {kind:?} {n} x {k} x {dim}");
                }
            }
        }
    }

    /// Every instruction set in f32, and every integer kind.
    fn kinds() -> impl Iterator<Item = (Instructions, Option<Integers>)> {
        let float = available().into_iter().map(|with| (with, None));
        let integer =
            vnni::available().into_iter().map(|kind| (dispatch::instructions(), Some(kind)));
        float.chain(integer)
    }

    #[test]
    fn integers_decide_nothing_wrong_on_close_far_huge_tiny_and_broken_rows() {
        let (k, dim) = (100, 40);
        let mut centroids = numbers(k * dim, 1);
        // Two that differ in the last place of one element, two that are equal, one zero.
        centroids.copy_within(0..dim, dim);
        centroids[dim] = f32::from_bits(centroids[dim].to_bits() + 1);
        centroids.copy_within(0..dim, 7 * dim);
        centroids[9 * dim..10 * dim].fill(0.0);
        let mut rows = numbers(12 * dim, 2);
        let scales = [1e-38, 1e-30, 1e-12, 1.0, 1e6, 1e14, 1e16, 1e30];
        for (row, scale) in rows.chunks_mut(dim).zip(scales) {
            row.iter_mut().for_each(|x| *x *= scale);
        }
        rows[8 * dim..9 * dim].copy_from_slice(&centroids[..dim]);
        rows[9 * dim..10 * dim].fill(0.0);
        rows[10 * dim + 3] = f32::NAN;
        rows[11 * dim + 3] = f32::NEG_INFINITY;
        for offset in [0.0, 50.0] {
            let shifted: Vec<f32> = centroids.iter().map(|x| x + offset).collect();
            let expected = reference::nearest(&rows, &shifted, dim, None);
            for kind in vnni::available() {
                let mut out = vec![Nearest::default(); 12];
                let search = Centroids::with(Some(kind), &shifted, dim, None);
                assert!(matches!(search.packed, Packed::Integer(..)));
                search.nearest(&rows, &mut out);
                assert_eq!(out, expected, "{kind:?} {offset}");
            }
        }
        centroids[5] = f32::INFINITY;
        let search = Centroids::with(Some(Integers::Plain), &centroids, dim, None);
        assert!(matches!(search.packed, Packed::Float(..)), "bounds need finite centroids");
    }

    #[test]
    fn ties_go_to_the_lowest_index_also_across_panels() {
        let dim = 3;
        let centroids = numbers(dim, 9).repeat(70);
        let mut out = [Nearest::default(); 1];
        Centroids::new(&centroids, dim, None).nearest(&numbers(dim, 4), &mut out);
        assert_eq!(out[0].index, 0);
    }

    #[test]
    fn a_rows_answer_depends_on_nothing_but_the_row() {
        let (n, k, dim) = (200, 50, 48);
        let (rows, centroids) = (numbers(n * dim, 5), numbers(k * dim, 6));
        let search = Centroids::new(&centroids, dim, None);
        let mut together = vec![Nearest::default(); n];
        search.nearest_parallel(&rows, &mut together);
        for (i, row) in rows.chunks(dim).enumerate() {
            let mut alone = [Nearest::default()];
            search.nearest(row, &mut alone);
            assert_eq!(alone[0], together[i]);
        }
    }

    #[test]
    fn a_nan_row_has_no_nearest_and_leaves_the_others_alone() {
        let mut out = [Nearest::default(); 2];
        Centroids::new(&[1.0, 0.0], 2, None).nearest(&[f32::NAN, 0.0, 0.5, 0.0], &mut out);
        assert_eq!(out[0].value, f32::NEG_INFINITY);
        assert_eq!(out[1], Nearest { index: 0, value: 0.5 });
    }

    #[test]
    fn inner_products_equal_the_reference() {
        let (n, k, dim) = (14, 35, 9);
        let (a, b) = (numbers(n * dim, 7), numbers(k * dim, 8));
        let out = inner_products(&a, &b, dim);
        for i in 0..n {
            for j in 0..k {
                let expected = reference::dot(&a[i * dim..][..dim], &b[j * dim..][..dim]);
                assert_eq!(out[i * k + j], expected);
            }
        }
        assert!(inner_products(&[], &b, dim).is_empty());
    }
}
