//! The micro-kernel: inner products of a few rows with one panel of vectors.

/// Vectors in a panel: two AVX-512 registers, four AVX2 registers, eight NEON registers.
pub(crate) const PANEL: usize = 32;

/// Rows in a tile. With `PANEL` columns the 24 accumulators, two panel registers and one broadcast
/// fit the 32 registers of AVX-512.
pub(crate) const ROWS: usize = 12;

/// Inner products of [`ROWS`] rows with [`PANEL`] vectors.
pub(crate) type Tile = [[f32; PANEL]; ROWS];

/// Computes `N` columns of a tile, from column `from`, as chains of fused multiply-adds in element
/// order. `rows` holds `ROWS * dim` numbers, `panel` `dim` groups of `PANEL`.
///
/// `M` and `N` only say how many chains run side by side; they never change a chain.
#[inline(always)]
pub(crate) fn columns<const M: usize, const N: usize>(
    rows: &[f32],
    panel: &[f32],
    dim: usize,
    first_row: usize,
    from: usize,
    out: &mut Tile,
) {
    let mut acc = [[0.0_f32; N]; M];
    let lines: [&[f32]; M] = std::array::from_fn(|r| &rows[(first_row + r) * dim..][..dim]);
    let (groups, _) = panel.as_chunks::<PANEL>();
    for (t, group) in groups[..dim].iter().enumerate() {
        let group: &[f32; N] = group[from..].first_chunk().expect("columns lie inside the panel");
        for r in 0..M {
            let x = lines[r][t];
            for c in 0..N {
                acc[r][c] = x.mul_add(group[c], acc[r][c]);
            }
        }
    }
    for r in 0..M {
        out[first_row + r][from..from + N].copy_from_slice(&acc[r]);
    }
}
