//! Rows with known groups, for the tests.

use curate_core::{SampleId, embedding, random};
use ndarray::Array2;

/// `n` rows around `k` well separated directions.
pub(crate) fn mixture(n: usize, k: usize, dim: usize) -> Array2<f32> {
    let mut rows = Array2::from_shape_fn((n, dim), |(i, t)| {
        let noise = random::unit(3, SampleId((i * dim + t) as u128)) as f32 - 0.5;
        if t == i % k { 1.0 + 0.1 * noise } else { 0.1 * noise }
    });
    rows.rows_mut()
        .into_iter()
        .for_each(|mut r| embedding::normalize(r.as_slice_mut().expect("rows are contiguous")));
    rows
}
