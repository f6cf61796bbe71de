//! Many rows times one matrix: the linear layers of a network.

use crate::{
    dispatch,
    panels::Panels,
    tile::{PANEL, PackedRows, ROWS, Tile},
};

/// A matrix packed once for products with many rows.
pub struct Matrix {
    panels: Panels,
    bias: Vec<f32>,
}

impl Matrix {
    /// Packs a matrix of `weights.len() / dim` rows of `dim` elements: a linear layer's weight as
    /// PyTorch lays it out, `[out, in]`. A `bias`, one number a row, is added to the products.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn new(weights: &[f32], dim: usize, bias: Option<&[f32]>) -> Self {
        let panels = Panels::pack(weights, dim);
        let bias = bias.map_or_else(|| vec![0.0; panels.count()], <[f32]>::to_vec);
        assert_eq!(bias.len(), panels.count(), "one bias for each row of the matrix");
        Self { panels, bias }
    }

    /// Elements of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.panels.dim()
    }

    /// Elements of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.panels.count()
    }

    /// Writes each row's inner products with the matrix, plus the bias, into `out`: `rows` holds
    /// `n * inputs` numbers, `out` `n * outputs`. Runs on the calling thread. A row's answer has the
    /// same bytes whatever other rows are beside it.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn apply(&self, rows: &[f32], out: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let n = rows.len().checked_div(inputs).unwrap_or(0);
        assert_eq!((rows.len(), out.len()), (n * inputs, n * outputs), "whole rows");
        let with = dispatch::instructions();
        let mut packed = PackedRows::default();
        packed.pack(rows, inputs);
        let mut tile: Tile = [[0.0; PANEL]; ROWS];
        for (first, real, panel) in self.panels.iter() {
            let bias = &self.bias[first..first + real];
            for (tile_rows, out) in packed.tiles().zip(out.chunks_mut(ROWS * outputs)) {
                dispatch::tile(with, tile_rows, panel, &mut tile);
                for (products, out) in tile.iter().zip(out.chunks_exact_mut(outputs)) {
                    let out = &mut out[first..first + real];
                    for ((out, product), bias) in out.iter_mut().zip(products).zip(bias) {
                        *out = product + bias;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let step = |s: &mut u32| {
            *s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*s >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        std::iter::repeat_n((), n).scan(seed, |s, ()| step(s)).collect()
    }

    #[test]
    fn products_equal_the_reference_to_the_bit_and_do_not_depend_on_other_rows() {
        for (n, k, dim) in [(1, 1, 1), (14, 35, 9), (25, 64, 70)] {
            let (rows, weights, bias) =
                (numbers(n * dim, 1), numbers(k * dim, 2), numbers(k, 3));
            let matrix = Matrix::new(&weights, dim, Some(&bias));
            assert_eq!((matrix.inputs(), matrix.outputs()), (dim, k));
            let mut together = vec![0.0; n * k];
            matrix.apply(&rows, &mut together);
            for (i, row) in rows.chunks(dim).enumerate() {
                let mut alone = vec![0.0; k];
                matrix.apply(row, &mut alone);
                assert_eq!(alone, together[i * k..][..k]);
                for (j, weight) in weights.chunks(dim).enumerate() {
                    assert_eq!(alone[j], reference::dot(row, weight) + bias[j]);
                }
            }
        }
        Matrix::new(&[1.0, 2.0], 2, None).apply(&[], &mut []);
    }
}
