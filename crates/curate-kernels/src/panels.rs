//! Vectors packed for the micro-kernel.

use crate::tile::PANEL;

/// Vectors in panels of [`PANEL`]: for each panel, for each element, that element of all its
/// vectors. The last panel is filled up with zero vectors.
pub(crate) struct Panels {
    data: Vec<f32>,
    dim: usize,
    count: usize,
}

impl Panels {
    /// Packs `count` vectors of length `dim`, row after row in `vectors`.
    pub(crate) fn pack(vectors: &[f32], dim: usize) -> Self {
        let count = vectors.len().checked_div(dim).unwrap_or(0);
        assert_eq!(vectors.len(), count * dim, "whole vectors");
        let mut data = vec![0.0; count.div_ceil(PANEL) * PANEL * dim];
        for (i, vector) in vectors.chunks_exact(dim.max(1)).enumerate() {
            let panel = &mut data[i / PANEL * PANEL * dim..];
            for (t, &x) in vector.iter().enumerate() {
                panel[t * PANEL + i % PANEL] = x;
            }
        }
        Self { data, dim, count }
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The panels in order, each with the index of its first vector and how many are real.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let size = (PANEL * self.dim).max(1);
        self.data.chunks_exact(size).enumerate().map(|(p, panel)| {
            let first = p * PANEL;
            (first, PANEL.min(self.count - first), panel)
        })
    }
}
