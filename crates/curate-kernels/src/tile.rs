//! The micro-kernel: inner products of a few rows with one panel of vectors.

/// Vectors in a panel: two AVX-512 registers, four AVX2 registers, eight NEON registers.
pub(crate) const PANEL: usize = 32;

/// Rows in a tile. With `PANEL` columns the 24 accumulators, two panel registers and one broadcast
/// fit the 32 registers of AVX-512.
pub(crate) const ROWS: usize = 12;

/// Inner products of [`ROWS`] rows with [`PANEL`] vectors.
pub(crate) type Tile = [[f32; PANEL]; ROWS];

/// Computes a part of a tile, `M` rows from `first_row` and `N` columns from `first_column`, as
/// chains of fused multiply-adds in element order. `rows` holds for each element that element of
/// all rows of the tile, `panel` that element of all vectors of the panel.
///
/// `M` and `N` only say how many chains run side by side; they never change a chain.
#[inline(always)]
pub(crate) fn part<const M: usize, const N: usize>(
    rows: &[[f32; ROWS]],
    panel: &[[f32; PANEL]],
    first_row: usize,
    first_column: usize,
    out: &mut Tile,
) {
    let mut acc = [[0.0_f32; N]; M];
    for (row, vector) in rows.iter().zip(panel) {
        let row: &[f32; M] = row[first_row..].first_chunk().expect("rows lie inside the tile");
        let vector: &[f32; N] =
            vector[first_column..].first_chunk().expect("columns lie inside the panel");
        for r in 0..M {
            for c in 0..N {
                acc[r][c] = row[r].mul_add(vector[c], acc[r][c]);
            }
        }
    }
    for r in 0..M {
        out[first_row + r][first_column..first_column + N].copy_from_slice(&acc[r]);
    }
}

/// Rows packed for the micro-kernel, tile after tile; the last tile is filled up with zero rows.
#[derive(Default)]
pub(crate) struct PackedRows {
    data: Vec<[f32; ROWS]>,
    dim: usize,
}

impl PackedRows {
    /// Packs rows of length `dim`, in place of those packed before.
    pub(crate) fn pack(&mut self, rows: &[f32], dim: usize) {
        let tile = ROWS * dim.max(1);
        self.dim = dim;
        self.data.clear();
        self.data.resize(rows.len().div_ceil(tile) * dim, [0.0; ROWS]);
        for (tile, packed) in rows.chunks(tile).zip(self.data.chunks_exact_mut(dim.max(1))) {
            for (r, row) in tile.chunks_exact(dim).enumerate() {
                for (packed, &x) in packed.iter_mut().zip(row) {
                    packed[r] = x;
                }
            }
        }
    }

    /// The tiles in row order.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = &[[f32; ROWS]]> {
        self.data.chunks_exact(self.dim.max(1))
    }
}
