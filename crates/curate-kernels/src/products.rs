//! Many rows times one matrix: the linear layers of a network.

use crate::{
    dispatch::{self, dispatched},
    elementwise::{gelu, quick_gelu},
    panels::Panels,
    tile::{PANEL, PackedRows, ROWS, Tile},
};

/// A matrix packed once for products with many rows.
pub struct Matrix {
    panels: Panels,
}

/// What happens to a product before it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Then<'a> {
    /// Nothing.
    Store,
    /// A bias, one number an output, is added.
    Bias(&'a [f32]),
    /// A bias and what lay in the output are added: a residual connection.
    BiasAndAdd(&'a [f32]),
    /// A bias is added, then the GELU is taken, `x Phi(x)`, within 4e-7 of its true value.
    BiasAndGelu(&'a [f32]),
    /// A bias is added, then `x sigmoid(1.702 x)` is taken, the GELU of OpenAI's networks.
    BiasAndQuickGelu(&'a [f32]),
}

impl Matrix {
    /// Packs a matrix of `outputs x inputs`, as PyTorch's `Linear` stores its weight.
    ///
    /// # Panics
    /// When `weight` is not a whole number of rows.
    pub fn linear(weight: &[f32], inputs: usize) -> Self {
        Self { panels: Panels::pack(weight, inputs) }
    }

    /// Packs columns `first..first + outputs` of a matrix whose rows have `stride` numbers, as
    /// `row * matrix` reads them.
    ///
    /// # Panics
    /// When `matrix` is not a whole number of rows, or has no such columns.
    pub fn columns(matrix: &[f32], stride: usize, first: usize, outputs: usize) -> Self {
        Self { panels: Panels::pack_columns(matrix, stride, first, outputs) }
    }

    /// Numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.panels.dim()
    }

    /// Numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.panels.count()
    }

    /// Writes what an output multiplies the inputs with.
    pub(crate) fn output(&self, output: usize, column: &mut [f32]) {
        self.panels.vector(output, column);
    }

    /// `out[r] = rows[r] * matrix`, then `then`; `rows` holds `n x inputs` numbers, `out`
    /// `n x outputs`. Runs on the calling thread. A row's numbers depend on nothing but the row: not
    /// on the number of rows, their order, or the instruction set.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn multiply(&self, rows: &[f32], then: Then<'_>, out: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let n = rows.len().checked_div(inputs).unwrap_or(0);
        assert_eq!((rows.len(), out.len()), (n * inputs, n * outputs), "whole rows");
        let block = rows_together(n, inputs, 1);
        let mut packed = PackedRows::default();
        let blocks = rows.chunks(block * inputs.max(1)).zip(out.chunks_mut(block * outputs.max(1)));
        for (rows, out) in blocks {
            packed.pack(rows, inputs);
            self.block(&packed, then, (0, outputs), &mut dispatch::room(&packed), out);
        }
    }

    /// The products of a block of rows. In `out` a row has `width` numbers, of which this matrix makes
    /// those from column `at` on; `then` has one number a column of `out`.
    pub(crate) fn block(
        &self,
        rows: &PackedRows,
        then: Then<'_>,
        (at, width): (usize, usize),
        tiles: &mut [Tile],
        out: &mut [f32],
    ) {
        let with = dispatch::instructions();
        for (first, real, panel) in self.panels.iter() {
            dispatch::tiles(with, panel, rows, 0, tiles);
            finish(with, tiles.as_flattened(), then, at + first, real, width, out);
        }
    }
}

/// Rows that share a panel while it is hot. The more, the less often the panels come from far; but
/// the rows should lie in the second-level cache. All blocks of `n` rows are about as large: one of
/// a few rows would cost as much fetching. Every one of `threads` gets as many.
pub(crate) fn rows_together(n: usize, inputs: usize, threads: usize) -> usize {
    const BYTES: usize = 5 << 18;
    let most = (BYTES / (size_of::<[f32; ROWS]>() * inputs.max(1))).clamp(8, 64);
    let tiles = n.div_ceil(ROWS).max(1);
    tiles.div_ceil(tiles.div_ceil(most).next_multiple_of(threads)) * ROWS
}

dispatched! {
    /// Stores the first `real` products of each row from column `first` of `out` on.
    fn finish = finish_any(
        products: &[[f32; PANEL]],
        then: Then<'_>,
        first: usize,
        real: usize,
        outputs: usize,
        out: &mut [f32],
    )
}

#[inline(always)]
fn finish_any(
    products: &[[f32; PANEL]],
    then: Then<'_>,
    first: usize,
    real: usize,
    outputs: usize,
    out: &mut [f32],
) {
    let mut bias = [0.0; PANEL];
    match then {
        Then::Store => {}
        Then::Bias(b) | Then::BiasAndAdd(b) | Then::BiasAndGelu(b) | Then::BiasAndQuickGelu(b) => {
            bias[..real].copy_from_slice(&b[first..first + real]);
        }
    }
    for (products, out) in products.iter().zip(out.chunks_exact_mut(outputs)) {
        let out = &mut out[first..first + real];
        match out.first_chunk_mut::<PANEL>() {
            Some(out) => finish_row(products, then, &bias, out),
            None => {
                let mut whole = [0.0; PANEL];
                whole[..real].copy_from_slice(out);
                finish_row(products, then, &bias, &mut whole);
                out.copy_from_slice(&whole[..real]);
            }
        }
    }
}

#[inline(always)]
fn finish_row(
    products: &[f32; PANEL],
    then: Then<'_>,
    bias: &[f32; PANEL],
    out: &mut [f32; PANEL],
) {
    // Plain loops: a closure handed to `map` would be compiled for the baseline.
    let columns = out.iter_mut().zip(products.iter().zip(bias));
    match then {
        Then::Store => *out = *products,
        Then::Bias(_) => columns.for_each(|(out, (x, b))| *out = x + b),
        Then::BiasAndAdd(_) => columns.for_each(|(out, (x, b))| *out += x + b),
        Then::BiasAndGelu(_) => columns.for_each(|(out, (x, b))| *out = gelu(x + b)),
        Then::BiasAndQuickGelu(_) => columns.for_each(|(out, (x, b))| *out = quick_gelu(x + b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numbers::numbers, reference};

    #[test]
    fn products_equal_the_reference_to_the_bit_and_do_not_depend_on_other_rows() {
        for (n, k, dim) in [(1, 1, 1), (14, 35, 9), (100, 64, 70), (26, 40, 577), (800, 3, 9)] {
            let (rows, weights, bias) = (numbers(n * dim, 1), numbers(k * dim, 2), numbers(k, 3));
            let matrix = Matrix::linear(&weights, dim);
            assert_eq!((matrix.inputs(), matrix.outputs()), (dim, k));
            let mut together = vec![0.5; n * k];
            matrix.multiply(&rows, Then::BiasAndAdd(&bias), &mut together);
            for (i, row) in rows.chunks(dim).enumerate() {
                let (mut plain, mut biased) = (vec![0.0; k], vec![0.0; k]);
                let (mut smooth, mut quick) = (vec![0.0; k], vec![0.0; k]);
                matrix.multiply(row, Then::BiasAndGelu(&bias), &mut smooth);
                matrix.multiply(row, Then::BiasAndQuickGelu(&bias), &mut quick);
                matrix.multiply(row, Then::Store, &mut plain);
                matrix.multiply(row, Then::Bias(&bias), &mut biased);
                for (j, weight) in weights.chunks(dim).enumerate() {
                    assert_eq!(plain[j], reference::dot(row, weight));
                    assert_eq!(biased[j], plain[j] + bias[j]);
                    assert_eq!((smooth[j], quick[j]), (gelu(biased[j]), quick_gelu(biased[j])));
                    assert_eq!(together[i * k + j], 0.5 + (plain[j] + bias[j]));
                }
            }
        }
        Matrix::linear(&[1.0, 2.0], 2).multiply(&[], Then::Store, &mut []);
    }

    #[test]
    fn some_columns_are_a_matrix_too() {
        let (stride, first, outputs) = (40, 3, 35);
        let (matrix, row) = (numbers(5 * stride, 4), numbers(5, 5));
        let packed = Matrix::columns(&matrix, stride, first, outputs);
        assert_eq!((packed.inputs(), packed.outputs()), (5, outputs));
        let mut out = vec![0.0; outputs];
        packed.multiply(&row, Then::Store, &mut out);
        for (c, &found) in out.iter().enumerate() {
            let column: Vec<f32> = (0..5).map(|i| matrix[i * stride + first + c]).collect();
            assert_eq!(found, reference::dot(&row, &column));
        }
    }
}
