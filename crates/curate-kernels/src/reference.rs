//! The kernels as plain loops: what the fast ones must equal to the bit. Slow; for tests and for
//! reading.

use crate::{Earlier, Nearest};

/// The inner product of two vectors: one chain of fused multiply-adds in element order.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| x.mul_add(*y, sum))
}

/// What [`crate::Centroids::nearest`] computes.
pub fn nearest(rows: &[f32], centroids: &[f32], dim: usize, bias: Option<&[f32]>) -> Vec<Nearest> {
    let best = |row: &[f32]| {
        let mut best = Nearest { index: 0, value: f32::NEG_INFINITY };
        for (j, centroid) in centroids.chunks_exact(dim).enumerate() {
            let value = dot(row, centroid) + bias.map_or(0.0, |bias| bias[j]);
            if value > best.value {
                best = Nearest { index: j as u32, value };
            }
        }
        best
    };
    rows.chunks_exact(dim).map(best).collect()
}

/// What [`crate::max_earlier`] computes.
pub fn max_earlier(rows: &[f32], dim: usize) -> Vec<Earlier> {
    let rows: Vec<&[f32]> = rows.chunks_exact(dim).collect();
    let best = |j: usize| {
        let mut best = Earlier::default();
        for i in 0..j {
            let similarity = dot(rows[j], rows[i]);
            if similarity > best.similarity {
                best = Earlier { similarity, position: Some(i as u32) };
            }
        }
        best
    };
    (0..rows.len()).map(best).collect()
}

/// What [`crate::survivors`] computes.
pub fn survivors(rows: &[f32], dim: usize, threshold: f32) -> Vec<Earlier> {
    let rows: Vec<&[f32]> = rows.chunks_exact(dim).collect();
    let mut found: Vec<Earlier> = Vec::with_capacity(rows.len());
    for j in 0..rows.len() {
        let mut best = Earlier::default();
        for i in (0..j).filter(|&i| found[i].similarity <= threshold) {
            let similarity = dot(rows[j], rows[i]);
            if similarity > best.similarity {
                best = Earlier { similarity, position: Some(i as u32) };
            }
        }
        found.push(best);
    }
    found
}
