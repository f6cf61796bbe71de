//! The micro-kernel: inner products of a few rows with one panel of vectors.

use std::borrow::{Borrow, BorrowMut};

/// Vectors in a panel: two AVX-512 registers, four AVX2 registers, eight NEON registers.
pub(crate) const PANEL: usize = 32;

/// Rows in a tile. With `PANEL` columns the 24 accumulators, two panel registers and one broadcast
/// fit the 32 registers of AVX-512.
pub(crate) const ROWS: usize = 12;

/// Inner products of [`ROWS`] rows with [`PANEL`] vectors.
pub(crate) type Tile = [[f32; PANEL]; ROWS];

/// One element of all vectors of a panel. Aligned to a cache line: a vector load that crosses two
/// costs two.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes<E = f32>(pub(crate) [E; PANEL]);

impl<E> Borrow<[E; PANEL]> for Lanes<E> {
    fn borrow(&self) -> &[E; PANEL] {
        &self.0
    }
}

impl<E> BorrowMut<[E; PANEL]> for Lanes<E> {
    fn borrow_mut(&mut self) -> &mut [E; PANEL] {
        &mut self.0
    }
}

/// Carries on a part of a tile, `M` rows and `N` columns from `first` (row, column) on: the chains
/// of fused multiply-adds go on from `out`, in element order. `rows` holds for each element that
/// element of all rows of the tile, `panel` that element of all vectors of the panel. `each` is
/// called with the number of every element.
///
/// `M` and `N` only say how many chains run side by side; they never change a chain.
#[inline(always)]
pub(crate) fn part<const M: usize, const N: usize>(
    rows: &[[f32; ROWS]],
    panel: &[Lanes],
    first: (usize, usize),
    each: impl Fn(usize),
    out: &mut Tile,
) {
    let columns = "columns lie inside the panel";
    let mut acc: [[f32; N]; M] =
        std::array::from_fn(|r| *out[first.0 + r][first.1..].first_chunk().expect(columns));
    for (k, (row, vector)) in rows.iter().zip(panel).enumerate() {
        each(k);
        let row: &[f32; M] = row[first.0..].first_chunk().expect("rows lie inside the tile");
        let vector: &[f32; N] = vector.0[first.1..].first_chunk().expect(columns);
        for r in 0..M {
            for c in 0..N {
                acc[r][c] = row[r].mul_add(vector[c], acc[r][c]);
            }
        }
    }
    for r in 0..M {
        out[first.0 + r][first.1..first.1 + N].copy_from_slice(&acc[r]);
    }
}

/// What lies behind a chunk of a panel, to be fetched into the second-level cache while the chunk
/// is multiplied with some tiles.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    next: *const u8,
    /// A cache line is fetched for every `1 << spread` elements.
    spread: u32,
}

impl Ahead {
    /// Bytes of a cache line; [`Lanes`] are two.
    const LINE: usize = 64;

    /// As many bytes as `chunk` has, spread over so many tiles.
    pub(crate) fn of<E>(chunk: &[Lanes<E>], tiles: usize) -> Self {
        let spread = tiles.next_power_of_two().ilog2().saturating_sub(1);
        Self { next: chunk.as_ptr_range().end.cast(), spread }
    }

    /// Goes on behind what a tile of so many elements fetched.
    pub(crate) fn advance(&mut self, elements: usize) {
        self.next = self.next.wrapping_add((elements >> self.spread) * Self::LINE);
    }

    /// Fetches the line of element `k`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) fn fetch(self, k: usize) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let line = self.next.wrapping_add((k >> self.spread) * Self::LINE);
        // SAFETY: a hint. It reads nothing into the program and never faults, wherever it points:
        // behind the last panel it points behind the allocation.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

/// Rows packed for the micro-kernel, tile after tile; the last tile is filled up with zero rows.
#[derive(Default)]
pub(crate) struct PackedRows<E = f32> {
    data: Vec<[E; ROWS]>,
    dim: usize,
}

impl<E: Copy + Default> PackedRows<E> {
    /// Packs rows of length `dim`, in place of those packed before.
    pub(crate) fn pack(&mut self, rows: &[E], dim: usize) {
        self.pack_strided(rows, dim.max(1), dim);
    }

    /// Packs the first `dim` numbers of rows that begin every `stride` numbers.
    pub(crate) fn pack_strided(&mut self, rows: &[E], stride: usize, dim: usize) {
        self.dim = dim;
        self.data.resize(rows.len().div_ceil(ROWS * stride) * dim, [E::default(); ROWS]);
        transpose(rows, stride, dim, &mut self.data);
    }

    /// Packs the first `count` columns of a matrix whose rows begin every `stride` numbers; a packed
    /// row is a column.
    pub(crate) fn pack_columns(&mut self, matrix: &[E], stride: usize, count: usize) {
        self.dim = matrix.len().div_ceil(stride);
        self.data.clear();
        for first in (0..count).step_by(ROWS) {
            let columns = ROWS.min(count - first);
            self.data.extend(matrix.chunks(stride).map(|row| {
                if let (ROWS, Some(whole)) = (columns, row[first..].first_chunk()) {
                    return *whole;
                }
                let mut packed = [E::default(); ROWS];
                packed[..columns].copy_from_slice(&row[first..first + columns]);
                packed
            }));
        }
    }

    /// The tiles in row order.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = &[[E; ROWS]]> {
        self.data.chunks_exact(self.dim.max(1))
    }
}

/// Packs the first `dim` numbers of vectors that begin every `stride` numbers: for each `N` vectors,
/// for each element, that element of all of them. Where vectors are missing there are zeros.
pub(crate) fn transpose<const N: usize, E: Copy + Default, T: BorrowMut<[E; N]>>(
    vectors: &[E],
    stride: usize,
    dim: usize,
    out: &mut [T],
) {
    /// Elements that are written for all vectors before the next ones: a part that stays in the
    /// first-level cache.
    const PART: usize = 64;
    for (vectors, out) in vectors.chunks(N * stride).zip(out.chunks_mut(dim.max(1))) {
        for (p, out) in out.chunks_mut(PART).enumerate() {
            let mut vectors = vectors.chunks(stride).map(|vector| &vector[p * PART..dim]);
            for lane in (0..N).step_by(4) {
                let four: [&[E]; 4] = std::array::from_fn(|_| vectors.next().unwrap_or(&[]));
                transpose_four(four, lane, out);
            }
        }
    }
}

/// Four lanes from `lane` on, four elements at a time: a square that turns in registers.
fn transpose_four<const N: usize, E: Copy + Default, T: BorrowMut<[E; N]>>(
    vectors: [&[E]; 4],
    lane: usize,
    out: &mut [T],
) {
    let squares = vectors.map(|vector| vector.as_chunks::<4>().0);
    let whole = squares.iter().map(|s| s.len()).min().unwrap_or(0).min(out.len() / 4);
    let [a, b, c, d] = squares.map(|s| &s[..whole]);
    let (turned, rest) = out.split_at_mut(4 * whole);
    let rows = a.iter().zip(b).zip(c.iter().zip(d));
    for (((a, b), (c, d)), out) in rows.zip(turned.chunks_exact_mut(4)) {
        for (k, out) in out.iter_mut().enumerate() {
            if let Some(out) = out.borrow_mut()[lane..].first_chunk_mut::<4>() {
                *out = [a[k], b[k], c[k], d[k]];
            }
        }
    }
    for (i, vector) in vectors.into_iter().enumerate() {
        let elements =
            vector.iter().skip(4 * whole).copied().chain(std::iter::repeat(E::default()));
        for (out, x) in rest.iter_mut().zip(elements) {
            out.borrow_mut()[lane + i] = x;
        }
    }
}
