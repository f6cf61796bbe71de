//! Rows times a packed matrix, each product one chain of fused multiply-adds.

use pulp::Arch;

/// Columns of a panel: two AVX-512 registers, four AVX2 registers.
const PANEL: usize = 32;
/// Rows of a tile.
const ROWS: usize = 12;
/// Rows that share a panel while it is hot in the cache.
const BLOCK: usize = 8 * ROWS;

/// A matrix packed for [`Packed::multiply`]: in panels of 32 outputs, for each input the weights of
/// all outputs of the panel. The last panel is filled up with zeros.
pub(crate) struct Packed {
    data: Vec<[f32; PANEL]>,
    inputs: usize,
    outputs: usize,
}

/// What happens to a product before it is stored.
#[derive(Clone, Copy)]
pub(crate) enum Then<'a> {
    /// Nothing.
    Store,
    /// A bias is added.
    Bias(&'a [f32]),
    /// A bias and what lay in the output are added: a residual connection.
    BiasAndAdd(&'a [f32]),
}

impl Packed {
    /// Packs a matrix of `outputs x inputs`, as PyTorch's `Linear` stores it.
    pub(crate) fn linear(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut packed = Self::zeros(inputs, outputs);
        for (o, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut packed.data[o / PANEL * inputs..];
            for (packed, &x) in panel.iter_mut().zip(row) {
                packed[o % PANEL] = x;
            }
        }
        packed
    }

    /// Packs a matrix of `inputs x outputs`, as `x @ weight` reads it.
    pub(crate) fn matrix(weight: &[f32], outputs: usize) -> Self {
        let inputs = weight.len() / outputs;
        let mut packed = Self::zeros(inputs, outputs);
        packed.fill(weight, outputs, 0, outputs);
        packed
    }

    /// Packs columns `first..first + outputs` of a matrix with rows of `stride`.
    pub(crate) fn columns(matrix: &[f32], stride: usize, first: usize, outputs: usize) -> Self {
        let mut packed = Self::zeros(matrix.len() / stride, outputs);
        packed.fill(matrix, stride, first, outputs);
        packed
    }

    fn zeros(inputs: usize, outputs: usize) -> Self {
        Self { data: vec![[0.0; PANEL]; outputs.div_ceil(PANEL) * inputs], inputs, outputs }
    }

    fn fill(&mut self, matrix: &[f32], stride: usize, first: usize, outputs: usize) {
        for (i, row) in matrix.chunks_exact(stride).enumerate() {
            let row = &row[first..first + outputs];
            for (p, columns) in row.chunks(PANEL).enumerate() {
                self.data[p * self.inputs + i][..columns.len()].copy_from_slice(columns);
            }
        }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `out[r] = rows[r] * matrix`, then `then`. A row's numbers depend on nothing but the row: not
    /// on the number of rows, their order, or the instruction set.
    pub(crate) fn multiply(&self, rows: &[f32], then: Then<'_>, out: &mut [f32]) {
        debug_assert_eq!(rows.len() / self.inputs, out.len() / self.outputs);
        let mut packed = vec![[0.0_f32; ROWS]; BLOCK / ROWS * self.inputs];
        let blocks = rows.chunks(BLOCK * self.inputs).zip(out.chunks_mut(BLOCK * self.outputs));
        let arch = Arch::new();
        for (rows, out) in blocks {
            arch.dispatch(
                #[inline(always)]
                || self.block(rows, then, &mut packed, out),
            );
        }
    }

    #[inline(always)]
    fn block(&self, rows: &[f32], then: Then<'_>, packed: &mut [[f32; ROWS]], out: &mut [f32]) {
        let tile = ROWS * self.inputs;
        for (rows, packed) in rows.chunks(tile).zip(packed.chunks_exact_mut(self.inputs)) {
            if rows.len() < tile {
                packed.fill([0.0; ROWS]);
            }
            for (r, row) in rows.chunks_exact(self.inputs).enumerate() {
                for (packed, &x) in packed.iter_mut().zip(row) {
                    packed[r] = x;
                }
            }
        }
        for (p, panel) in self.data.chunks_exact(self.inputs).enumerate() {
            let first = p * PANEL;
            let width = PANEL.min(self.outputs - first);
            let tiles = packed.chunks_exact(self.inputs).zip(out.chunks_mut(ROWS * self.outputs));
            for (rows, out) in tiles {
                let products = products(rows, panel);
                for (out, products) in out.chunks_exact_mut(self.outputs).zip(&products) {
                    finish(then, first, &products[..width], &mut out[first..first + width]);
                }
            }
        }
    }
}

/// The micro-kernel: 12 x 32 chains side by side, each in element order with one accumulator.
#[inline(always)]
fn products(rows: &[[f32; ROWS]], panel: &[[f32; PANEL]]) -> [[f32; PANEL]; ROWS] {
    let mut acc = [[0.0_f32; PANEL]; ROWS];
    for (row, weights) in rows.iter().zip(panel) {
        for r in 0..ROWS {
            for c in 0..PANEL {
                acc[r][c] = row[r].mul_add(weights[c], acc[r][c]);
            }
        }
    }
    acc
}

#[inline(always)]
fn finish(then: Then<'_>, first: usize, products: &[f32], out: &mut [f32]) {
    match then {
        Then::Store => out.copy_from_slice(products),
        Then::Bias(bias) => {
            let bias = &bias[first..first + out.len()];
            for ((out, product), bias) in out.iter_mut().zip(products).zip(bias) {
                *out = product + bias;
            }
        }
        Then::BiasAndAdd(bias) => {
            let bias = &bias[first..first + out.len()];
            for ((out, product), bias) in out.iter_mut().zip(products).zip(bias) {
                *out += product + bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        crate::random::normal(seed, "gemm", n, 1.0)
    }

    /// One chain of fused multiply-adds in element order.
    fn chain(a: &[f32], b: impl Iterator<Item = f32>) -> f32 {
        a.iter().zip(b).fold(0.0, |sum, (a, b)| a.mul_add(b, sum))
    }

    #[test]
    fn products_equal_a_scalar_chain_to_the_bit() {
        for (n, inputs, outputs) in [(1, 1, 1), (13, 7, 33), (100, 40, 70), (97, 64, 32)] {
            let (rows, weight) = (numbers(n * inputs, 1), numbers(inputs * outputs, 2));
            let bias = numbers(outputs, 3);
            let packed = Packed::linear(&weight, inputs);
            let mut out = vec![0.5; n * outputs];
            packed.multiply(&rows, Then::BiasAndAdd(&bias), &mut out);
            for (r, row) in rows.chunks(inputs).enumerate() {
                for o in 0..outputs {
                    let product = chain(row, weight[o * inputs..][..inputs].iter().copied());
                    assert_eq!(out[r * outputs + o], 0.5 + (product + bias[o]));
                }
            }
            let matrix = Packed::matrix(&weight, outputs);
            matrix.multiply(&rows, Then::Store, &mut out);
            let column = (0..inputs).map(|i| weight[i * outputs]);
            assert_eq!(out[0], chain(&rows[..inputs], column));
        }
    }

    #[test]
    fn some_columns_are_a_matrix_too() {
        let matrix = numbers(5 * 40, 4);
        let packed = Packed::columns(&matrix, 40, 3, 35);
        let row = numbers(5, 5);
        let mut out = vec![0.0; 35];
        packed.multiply(&row, Then::Store, &mut out);
        assert_eq!(out[34], chain(&row, (0..5).map(|i| matrix[i * 40 + 37])));
    }
}
