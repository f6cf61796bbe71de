//! Rows of 8-bit integers, and their exact products with panels of a matrix on every instruction set.

use crate::{
    dispatch::{self, Instructions},
    quant::{self, GROUP, PANEL, QuantRows, ROWS, Tile},
    vnni,
};

/// Rows of integers as the kernel of this machine reads them, tile after tile.
pub(super) enum Rows {
    /// In 8 bits.
    Narrow(vnni::Integers, QuantRows),
    /// In 16 bits, where no instruction multiplies 8 bits and adds up to 32.
    Wide { data: Vec<[[i16; GROUP]; ROWS]>, groups: usize },
}

impl Rows {
    pub(super) fn new() -> Self {
        match vnni::integers() {
            Some(kind) => Self::Narrow(kind, QuantRows::default()),
            None => Self::Wide { data: Vec::new(), groups: 0 },
        }
    }

    pub(super) fn clear(&mut self, count: usize, dim: usize) {
        match self {
            Self::Narrow(_, rows) => rows.clear(count, dim),
            Self::Wide { data, groups } => {
                *groups = dim.div_ceil(GROUP);
                data.clear();
                data.resize(count.div_ceil(ROWS) * *groups, [[0; GROUP]; ROWS]);
            }
        }
    }

    pub(super) fn put(&mut self, i: usize, q: &[i8]) {
        match self {
            Self::Narrow(_, rows) => rows.put_integers(i, q),
            Self::Wide { data, groups } => {
                let tile = &mut data[i / ROWS * *groups..];
                quant::each_group(q, tile, |place, q| place[i % ROWS] = q.map(i16::from));
            }
        }
    }

    /// The inner products of all rows with a panel.
    pub(super) fn multiply(
        &self,
        panel: &[[[u8; GROUP]; PANEL]],
        starts: &[[i32; ROWS]],
        out: &mut [Tile],
    ) {
        match self {
            Self::Narrow(kind, rows) => {
                for ((rows, start), out) in rows.tiles().zip(starts).zip(out) {
                    vnni::tile(*kind, rows, panel, start, out);
                }
            }
            Self::Wide { data, groups } => {
                let rows = data.chunks_exact((*groups).max(1));
                wide_tiles(dispatch::instructions(), rows, panel, starts, out);
            }
        }
    }
}

/// Groups of a panel that are multiplied with all tiles before the next ones: 12 KiB of the panel and
/// 9 KiB of a tile stay in the first-level cache.
const CHUNK: usize = 96;

fn wide_tiles<'a>(
    with: Instructions,
    rows: impl Iterator<Item = &'a [[[i16; GROUP]; ROWS]]> + Clone,
    panel: &[[[u8; GROUP]; PANEL]],
    starts: &[[i32; ROWS]],
    out: &mut [Tile],
) {
    for (out, start) in out.iter_mut().zip(starts) {
        out.iter_mut().zip(start).for_each(|(out, &start)| out.fill(start));
    }
    for (c, panel) in panel.chunks(CHUNK).enumerate() {
        for (rows, out) in rows.clone().zip(&mut *out) {
            wide_tile(with, &rows[c * CHUNK..][..panel.len()], panel, out);
        }
    }
}

/// Adds the inner products of a tile's rows with a panel to `out`.
#[inline]
#[allow(unsafe_code)]
fn wide_tile(
    with: Instructions,
    rows: &[[[i16; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    out: &mut Tile,
) {
    match with {
        // SAFETY: `with` names instructions that this machine was found to have; both sets have AVX2.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 | Instructions::Avx2 => unsafe {
            for (row, column) in
                [(0, 0), (6, 0), (0, 8), (6, 8), (0, 16), (6, 16), (0, 24), (6, 24)]
            {
                wide_part(rows, panel, (row, column), out);
            }
        },
        _ => wide_plain(rows, panel, out),
    }
}

fn wide_plain(rows: &[[[i16; GROUP]; ROWS]], panel: &[[[u8; GROUP]; PANEL]], out: &mut Tile) {
    for (rows, columns) in rows.iter().zip(panel) {
        for (out, row) in out.iter_mut().zip(rows) {
            for (out, column) in out.iter_mut().zip(columns) {
                let products = row.iter().zip(column).map(|(&r, &c)| i32::from(r) * i32::from(c));
                *out += products.sum::<i32>();
            }
        }
    }
}

/// Six rows and eight columns of [`wide_tile`], from `first` on. One instruction multiplies the four
/// elements of four columns and adds them in pairs; the pairs are added at the end.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn wide_part(
    rows: &[[[i16; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    first: (usize, usize),
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepu8_epi16, _mm256_hadd_epi32,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi64x,
        _mm256_setzero_si256, _mm256_storeu_si256,
    };
    const SIDE: usize = 6;
    const HALF: usize = 4;
    let (row, column) = first;
    assert!(row + SIDE <= ROWS && column + 2 * HALF <= PANEL, "inside the tile");
    let mut sums = [[_mm256_setzero_si256(); 2]; SIDE];
    for (rows, columns) in rows.iter().zip(panel) {
        let columns = columns[column..].as_ptr();
        // SAFETY: `columns` points to at least 8 groups of 4 bytes.
        let columns =
            unsafe { [_mm_loadu_si128(columns.cast()), _mm_loadu_si128(columns.add(HALF).cast())] };
        let columns = columns.map(|half| _mm256_cvtepu8_epi16(half));
        for r in 0..SIDE {
            let [a, b, c, d] = rows[row + r].map(|x| u64::from(x.cast_unsigned()));
            let four = _mm256_set1_epi64x((a | b << 16 | c << 32 | d << 48).cast_signed());
            for h in 0..2 {
                sums[r][h] = _mm256_add_epi32(sums[r][h], _mm256_madd_epi16(columns[h], four));
            }
        }
    }
    for (out, [low, high]) in out[row..].iter_mut().zip(sums) {
        let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high));
        let out = out[column..].as_mut_ptr();
        // SAFETY: `out` points to at least 8 integers of 4 bytes.
        unsafe {
            let sum = _mm256_add_epi32(_mm256_loadu_si256(out.cast()), sum);
            _mm256_storeu_si256(out.cast(), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    #[test]
    fn every_instruction_set_adds_up_the_same() {
        for groups in [1, CHUNK, 2 * CHUNK + 5] {
            let bytes: Vec<u8> = numbers(groups * GROUP * PANEL, 6)
                .iter()
                .map(|x| ((x + 1.0) * 127.5) as u8)
                .collect();
            let panel: Vec<[[u8; GROUP]; PANEL]> = (0..groups)
                .map(|g| {
                    std::array::from_fn(|c| {
                        std::array::from_fn(|t| bytes[(g * PANEL + c) * GROUP + t])
                    })
                })
                .collect();
            // The largest products there are, and others.
            let rows: Vec<[[i16; GROUP]; ROWS]> = (0..2 * groups)
                .map(|g| {
                    std::array::from_fn(|r| {
                        [127, -127, i16::from((g % 255) as u8) - 127, i16::from(r as u8)]
                    })
                })
                .collect();
            let starts = [[-5; ROWS], [9; ROWS]];
            let of = |with| {
                let mut out = [[[1; PANEL]; ROWS]; 2];
                wide_tiles(with, rows.chunks_exact(groups), &panel, &starts, &mut out);
                out
            };
            for with in available() {
                assert!(of(with) == of(Instructions::Portable), "{with:?} {groups}");
            }
            let by_hand: i32 = (0..groups)
                .flat_map(|g| (0..GROUP).map(move |t| (g, t)))
                .map(|(g, t)| i32::from(rows[groups + g][7][t]) * i32::from(panel[g][30][t]))
                .sum();
            assert_eq!(of(dispatch::instructions())[1][7][30], 9 + by_hand);
        }
    }
}
