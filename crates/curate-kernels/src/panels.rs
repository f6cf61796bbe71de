//! Vectors packed for the micro-kernel.

use crate::tile::{Lanes, PANEL, transpose};

/// Vectors in panels of [`PANEL`]: for each panel, for each element, that element of all its
/// vectors. The last panel is filled up with zero vectors.
#[derive(Default)]
pub(crate) struct Panels<E = f32> {
    data: Vec<Lanes<E>>,
    dim: usize,
    count: usize,
}

impl<E: Copy + Default> Panels<E> {
    /// Packs `count` vectors of length `dim`, row after row in `vectors`.
    pub(crate) fn pack(vectors: &[E], dim: usize) -> Self {
        let count = vectors.len().checked_div(dim).unwrap_or(0);
        assert_eq!(vectors.len(), count * dim, "whole vectors");
        let mut packed = Self::default();
        packed.pack_strided(vectors, dim.max(1), dim);
        packed
    }

    /// Packs the first `dim` numbers of vectors that begin every `stride` numbers, in place of what
    /// was packed before.
    pub(crate) fn pack_strided(&mut self, vectors: &[E], stride: usize, dim: usize) {
        (self.dim, self.count) = (dim, vectors.len().div_ceil(stride));
        self.data.resize(self.count.div_ceil(PANEL) * dim, Lanes([E::default(); PANEL]));
        transpose(vectors, stride, dim, &mut self.data);
    }

    /// Packs columns `first..first + count` of a matrix whose rows have `stride` numbers; a packed
    /// vector is a column.
    pub(crate) fn pack_columns(matrix: &[E], stride: usize, first: usize, count: usize) -> Self {
        let dim = matrix.len().checked_div(stride).unwrap_or(0);
        assert_eq!(matrix.len(), dim * stride, "whole rows");
        let mut data = vec![Lanes([E::default(); PANEL]); count.div_ceil(PANEL) * dim];
        for (i, row) in matrix.chunks_exact(stride.max(1)).enumerate() {
            for (p, columns) in row[first..first + count].chunks(PANEL).enumerate() {
                data[p * dim + i].0[..columns.len()].copy_from_slice(columns);
            }
        }
        Self { data, dim, count }
    }

    /// Writes vector `i` as it was before it was packed.
    pub(crate) fn vector(&self, i: usize, out: &mut [E]) {
        let panel = &self.data[i / PANEL * self.dim..];
        out.iter_mut().zip(panel).for_each(|(out, lanes)| *out = lanes.0[i % PANEL]);
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The panels in order, each with the index of its first vector and how many are real.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, &[Lanes<E>])> {
        self.data.chunks_exact(self.dim.max(1)).enumerate().map(|(p, panel)| {
            let first = p * PANEL;
            (first, PANEL.min(self.count - first), panel)
        })
    }
}
