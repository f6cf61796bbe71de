//! Properties of whole sets: the distance of two sets of embeddings, and how sure and varied answers are.

use curate_core::{EmbeddingSource, Progress, embedding};
use curate_kernels::inner_products;
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::SelectError;

/// The width of CMMD's kernel.
pub const CMMD_SIGMA: f64 = 10.0;
/// What CMMD is multiplied by.
pub const CMMD_SCALE: f64 = 1000.0;
/// Rows that are compared with each other at a time.
const BLOCK: usize = 512;

/// CMMD of two sets of embeddings: 1000 times the squared maximum mean discrepancy of a Gaussian kernel of width 10,
/// $$ \mathrm{MMD}^2 = \overline{k(x, x')} + \overline{k(y, y')} - 2\,\overline{k(x, y)},
/// \qquad k(x, y) = e^{-\lVert x - y \rVert^2 / (2 \cdot 10^2)}, $$
/// with means over all pairs, a row with itself among them, as the published code has it. Embeddings are taken as they
/// are: give those of length 1.
///
/// ```
/// use curate_core::NoProgress;
/// use ndarray::array;
///
/// let a = array![[1.0_f32, 0.0], [0.0, 1.0]];
/// let b = array![[-1.0_f32, 0.0], [0.0, -1.0]];
/// assert!(curate_select::cmmd(&a, &a, &NoProgress)?.abs() < 1e-9);
/// assert!((curate_select::cmmd(&a, &b, &NoProgress)? - 19.80).abs() < 0.01);
/// # Ok::<(), curate_select::SelectError>(())
/// ```
///
/// # Errors
/// When a set is empty, the widths differ, vectors cannot be read, or the caller cancels.
pub fn cmmd(
    a: &dyn EmbeddingSource,
    b: &dyn EmbeddingSource,
    progress: &dyn Progress,
) -> Result<f64, SelectError> {
    cmmd_with(a, b, CMMD_SIGMA, CMMD_SCALE, progress)
}

/// [`cmmd`] of a kernel of another width, and another scale.
///
/// # Errors
/// As [`cmmd`].
pub fn cmmd_with(
    a: &dyn EmbeddingSource,
    b: &dyn EmbeddingSource,
    sigma: f64,
    scale: f64,
    progress: &dyn Progress,
) -> Result<f64, SelectError> {
    for (what, source) in [("a", a), ("b", b)] {
        if source.rows() == 0 {
            return Err(SelectError::Empty { what, least: 1 });
        }
    }
    if a.dim() != b.dim() {
        return Err(SelectError::Width { what: "b", found: b.dim(), expected: a.dim() });
    }
    let (a, b) = (read(a)?, read(b)?);
    progress.start("CMMD", (2 * a.blocks() + b.blocks()) as u64, "blocks");
    let gamma = 0.5 / (sigma * sigma);
    let (aa, bb) = (mean_kernel(&a, &a, gamma, progress)?, mean_kernel(&b, &b, gamma, progress)?);
    let ab = mean_kernel(&a, &b, gamma, progress)?;
    progress.finish();
    Ok(scale * (aa + bb - 2.0 * ab))
}

/// A set of vectors in memory, with their squared lengths.
struct Set {
    vectors: Vec<f32>,
    squares: Vec<f64>,
    dim: usize,
}

impl Set {
    fn blocks(&self) -> usize {
        self.squares.len().div_ceil(BLOCK)
    }
}

fn read(source: &dyn EmbeddingSource) -> Result<Set, SelectError> {
    let (rows, dim) = (source.rows(), source.dim());
    let mut vectors = vec![0.0; rows * dim];
    source.read(0..rows, &mut vectors)?;
    let squares = vectors.chunks_exact(dim.max(1)).map(|v| embedding::dot(v, v)).collect();
    Ok(Set { vectors, squares, dim })
}

fn mean_kernel(a: &Set, b: &Set, gamma: f64, progress: &dyn Progress) -> Result<f64, SelectError> {
    let size = (BLOCK * a.dim).max(1);
    let sums: Result<Vec<f64>, SelectError> = a
        .vectors
        .par_chunks(size)
        .zip(a.squares.par_chunks(BLOCK))
        .map(|(rows, squares)| {
            progress.check()?;
            let mut sum = 0.0;
            for (others, of_others) in b.vectors.chunks(size).zip(b.squares.chunks(BLOCK)) {
                let products = inner_products(rows, others, a.dim);
                for (products, square) in products.chunks_exact(of_others.len()).zip(squares) {
                    let distances = products.iter().zip(of_others);
                    let kernel =
                        |(&p, &o): (&f32, &f64)| (-gamma * (square + o - 2.0 * f64::from(p))).exp();
                    sum += distances.map(kernel).sum::<f64>();
                }
            }
            progress.advance(1);
            Ok(sum)
        })
        .collect();
    // In the order of blocks, whatever thread had them.
    let pairs = a.squares.len() as f64 * b.squares.len() as f64;
    Ok(sums?.iter().sum::<f64>() / pairs)
}

/// Inception Score of class probabilities, one row a sample: $\exp$ of the mean Kullback-Leibler divergence of a
/// sample's distribution from that of all samples. From 1 to the number of classes.
///
/// ```
/// use ndarray::array;
///
/// // Two samples that are surely of two classes.
/// let score = curate_select::inception_score(array![[1.0, 0.0], [0.0, 1.0]].view())?;
/// assert!((score - 2.0).abs() < 1e-12);
/// # Ok::<(), curate_select::SelectError>(())
/// ```
///
/// # Errors
/// When there is no row, or a row is no distribution: negative, not finite, or its sum further than 0.001 from 1.
pub fn inception_score(probabilities: ArrayView2<'_, f64>) -> Result<f64, SelectError> {
    if probabilities.is_empty() {
        return Err(SelectError::Empty { what: "probabilities", least: 1 });
    }
    for (row, of_row) in probabilities.rows().into_iter().enumerate() {
        let sum = of_row.sum();
        let problem = if of_row.iter().any(|p| !p.is_finite() || *p < 0.0) {
            "holds a number that is negative or not finite".to_owned()
        } else if (sum - 1.0).abs() > 1e-3 {
            format!("adds up to {sum}")
        } else {
            continue;
        };
        return Err(SelectError::NoDistribution { row, problem });
    }
    let rows = probabilities.nrows() as f64;
    let marginal = probabilities.sum_axis(ndarray::Axis(0)) / rows;
    let divergences = probabilities.rows().into_iter().map(|row| {
        let terms = row.iter().zip(&marginal).filter(|(p, _)| **p > 0.0);
        terms.map(|(p, q)| p * (p / q).ln()).sum::<f64>()
    });
    Ok((divergences.sum::<f64>() / rows).exp())
}
