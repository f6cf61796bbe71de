//! The best of many centroids for each row.

use rayon::prelude::*;

use crate::{
    dispatch::{self, Instructions},
    panels::Panels,
    products::{Matrix, Then},
    tile::{PANEL, PackedRows, ROWS},
};

/// Rows that share a panel while it is hot: with 512 dimensions 192 KiB of rows beside a panel of
/// 64 KiB, in the second-level cache of current cores.
const BLOCK: usize = 8 * ROWS;

/// A row's best centroid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearest {
    /// Its index; ties go to the lowest.
    pub index: u32,
    /// The row's inner product with it, plus its bias; `-inf` when there is no centroid or the row
    /// has a NaN.
    pub value: f32,
}

/// Centroids packed for the search.
pub struct Centroids {
    panels: Panels,
    bias: Vec<f32>,
}

impl Centroids {
    /// Packs centroids of length `dim`, one after the other in `centroids`. A `bias`, one number a
    /// centroid, is added to its inner products: with `-|c|^2 / 2` the largest value belongs to
    /// the smallest Euclidean distance.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn new(centroids: &[f32], dim: usize, bias: Option<&[f32]>) -> Self {
        let panels = Panels::pack(centroids, dim);
        let mut padded = vec![f32::NEG_INFINITY; panels.count().div_ceil(PANEL) * PANEL];
        match bias {
            Some(bias) => padded[..panels.count()].copy_from_slice(bias),
            None => padded[..panels.count()].fill(0.0),
        }
        Self { panels, bias: padded }
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
        let dim = self.panels.dim().max(1);
        out.par_chunks_mut(BLOCK)
            .zip(rows.par_chunks(BLOCK * dim))
            .for_each(|(out, rows)| self.nearest(rows, out));
    }

    pub(crate) fn nearest_with(&self, with: Instructions, rows: &[f32], out: &mut [Nearest]) {
        let dim = self.panels.dim();
        assert_eq!(rows.len(), out.len() * dim, "one answer for each row");
        let mut packed = PackedRows::default();
        for (rows, out) in rows.chunks(BLOCK * dim.max(1)).zip(out.chunks_mut(BLOCK)) {
            packed.pack(rows, dim);
            self.nearest_in_block(with, &packed, out);
        }
    }

    fn nearest_in_block(&self, with: Instructions, rows: &PackedRows, out: &mut [Nearest]) {
        out.fill(Nearest { index: 0, value: f32::NEG_INFINITY });
        let mut tiles = dispatch::room(rows);
        for (first, _, panel) in self.panels.iter() {
            let bias =
                self.bias[first..].first_chunk().expect("the bias is padded to whole panels");
            dispatch::tiles(with, panel, rows, 0, &mut tiles);
            for (products, best) in tiles.as_flattened_mut().iter_mut().zip(&mut *out) {
                improve(best, products, bias, first);
            }
        }
    }
}

/// Replaces `best` where a column of the panel is strictly better; columns in index order.
#[inline]
fn improve(best: &mut Nearest, products: &mut [f32; PANEL], bias: &[f32; PANEL], first: usize) {
    let mut max = f32::NEG_INFINITY;
    for (product, bias) in products.iter_mut().zip(bias) {
        *product += bias;
        max = max.max(*product);
    }
    if max > best.value {
        let column = products.iter().position(|&p| p == max).unwrap_or(0);
        *best = Nearest { index: (first + column) as u32, value: max };
    }
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
                for with in available() {
                    let mut out = vec![Nearest::default(); n];
                    Centroids::new(&centroids, dim, bias).nearest_with(with, &rows, &mut out);
                    assert_eq!(out, expected, "{with:?} {n} x {k} x {dim}");
                }
            }
        }
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
