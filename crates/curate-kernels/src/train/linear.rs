//! A linear layer, and what flows back through it, on all threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Matrix, Then, dispatch,
    products::rows_together,
    tile::{PANEL, PackedRows},
};

/// Outputs of a matrix that a thread packs at a time.
const PART: usize = 4 * PANEL;
/// Rows that are summed together.
const ROWS: usize = 64;

/// `x W^T + bias`, as PyTorch's `Linear`: `x` is `n x inputs`, the weight `outputs x inputs`, the bias has
/// a number an output.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let inputs = columns_of(weight, bias.len());
    let n = rows_of(x, inputs);
    let parts = weight.par_chunks(PART * inputs).map(|part| Matrix::linear(part, inputs)).collect();
    multiply(n, |rows, out| out.pack(of_rows(x, rows, inputs), inputs), parts, Then::Bias(bias))
}

/// The gradient of [`linear`] by `x`: `gradient W`, where the gradient is `n x outputs`.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn linear_backward_x(gradient: &[f32], weight: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = columns_of(weight, outputs);
    let n = rows_of(gradient, outputs);
    let pack = |rows, out: &mut PackedRows| out.pack(of_rows(gradient, rows, outputs), outputs);
    multiply(n, pack, in_columns(weight, inputs), Then::Store)
}

/// The gradient of [`linear`] by the weight: `gradient^T x`.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn linear_backward_weight(gradient: &[f32], x: &[f32], outputs: usize) -> Vec<f32> {
    let n = rows_of(gradient, outputs);
    let inputs = columns_of(x, n);
    let pack = |rows: Range<usize>, out: &mut PackedRows| {
        out.pack_columns(&gradient[rows.start..], outputs, rows.len());
    };
    multiply(outputs, pack, in_columns(x, inputs), Then::Store)
}

/// The sum of each column, the gradient of [`linear`] by the bias.
///
/// # Panics
/// When there are no whole rows.
pub fn column_sums(gradient: &[f32], columns: usize) -> Vec<f32> {
    rows_of(gradient, columns);
    in_order(gradient.par_chunks(ROWS * columns), columns, |rows, sums| {
        for row in rows.chunks_exact(columns) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    })
}

/// Sums of blocks of rows, added in the order of the blocks whoever made them.
pub(super) fn in_order<T: Send>(
    blocks: impl IndexedParallelIterator<Item = T>,
    columns: usize,
    add: impl Fn(T, &mut [f32]) + Sync,
) -> Vec<f32> {
    let of_block = |block| {
        let mut sums = vec![0.0; columns];
        add(block, &mut sums);
        sums
    };
    let mut all = vec![0.0; columns];
    for sums in blocks.map(of_block).collect::<Vec<_>>() {
        all.iter_mut().zip(&sums).for_each(|(all, sum)| *all += sum);
    }
    all
}

/// The rows of a matrix with so many columns.
fn rows_of(matrix: &[f32], columns: usize) -> usize {
    let rows = matrix.len().checked_div(columns).unwrap_or(0);
    assert!(rows > 0 && matrix.len() == rows * columns, "whole rows");
    rows
}

/// The columns of a matrix with so many rows.
fn columns_of(matrix: &[f32], rows: usize) -> usize {
    rows_of(matrix, rows)
}

fn of_rows(matrix: &[f32], rows: Range<usize>, columns: usize) -> &[f32] {
    &matrix[rows.start * columns..rows.end * columns]
}

/// A matrix by whose columns rows are multiplied, packed in parts.
fn in_columns(matrix: &[f32], columns: usize) -> Vec<Matrix> {
    let firsts: Vec<usize> = (0..columns).step_by(PART).collect();
    let part = |first: usize| Matrix::columns(matrix, columns, first, PART.min(columns - first));
    firsts.into_par_iter().map(part).collect()
}

/// The products of `n` rows, packed as they are asked for, with a matrix in parts. A number of the answer is
/// one chain of multiply-adds in the order of the elements, whatever thread has it.
fn multiply(
    n: usize,
    pack: impl Fn(Range<usize>, &mut PackedRows) + Sync,
    parts: Vec<Matrix>,
    then: Then<'_>,
) -> Vec<f32> {
    let width: usize = parts.iter().map(Matrix::outputs).sum();
    let inputs = parts.first().map_or(0, Matrix::inputs);
    let block = rows_together(n, inputs, rayon::current_num_threads());
    let mut out = vec![0.0; n * width];
    out.par_chunks_mut(block * width).enumerate().for_each(|(b, out)| {
        let mut packed = PackedRows::default();
        pack(b * block..b * block + out.len() / width, &mut packed);
        let mut tiles = dispatch::room(&packed);
        let mut at = 0;
        for part in &parts {
            part.block(&packed, then, (at, width), &mut tiles, out);
            at += part.outputs();
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    /// `sum over k of a(i, k) b(k, j)`, in double precision.
    fn product(
        (rows, columns, terms): (usize, usize, usize),
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let at = |i: usize| (i / columns, i % columns);
        let sum = |(i, j)| (0..terms).map(|k| f64::from(a(i, k)) * f64::from(b(k, j))).sum();
        (0..rows * columns).map(at).map(sum).collect()
    }

    fn assert_close(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-4, "{found} {expected}");
        }
    }

    #[test]
    fn products_and_gradients_are_those_of_the_definition() {
        for (n, inputs, outputs) in [(1, 1, 1), (5, 3, 2), (70, 33, 150), (300, 140, 37)] {
            let (x, weight) = (numbers(n * inputs, 1), numbers(outputs * inputs, 2));
            let (bias, up) = (numbers(outputs, 3), numbers(n * outputs, 4));
            let x_at = |i: usize, k: usize| x[i * inputs + k];
            let weight_at = |o: usize, k: usize| weight[o * inputs + k];
            let up_at = |i: usize, o: usize| up[i * outputs + o];
            let mut expected = product((n, outputs, inputs), x_at, |k, o| weight_at(o, k));
            expected.iter_mut().enumerate().for_each(|(i, y)| *y += f64::from(bias[i % outputs]));
            assert_close(&linear(&x, &weight, &bias), &expected);
            let by_x = product((n, inputs, outputs), up_at, weight_at);
            assert_close(&linear_backward_x(&up, &weight, outputs), &by_x);
            let by_weight = product((outputs, inputs, n), |o, i| up_at(i, o), x_at);
            assert_close(&linear_backward_weight(&up, &x, outputs), &by_weight);
            let by_bias = product((1, outputs, n), |_, _| 1.0, up_at);
            assert_close(&column_sums(&up, outputs), &by_bias);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let (n, inputs, outputs) = (1500, 70, 90);
        let (x, weight) = (numbers(n * inputs, 1), numbers(outputs * inputs, 2));
        let (bias, up) = (numbers(outputs, 3), numbers(n * outputs, 4));
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let y = linear(&x, &weight, &bias);
                let by_x = linear_backward_x(&up, &weight, outputs);
                let by_weight = linear_backward_weight(&up, &x, outputs);
                [y, by_x, by_weight, column_sums(&up, outputs)]
            })
        };
        assert_eq!(of(1), of(3));
    }
}
