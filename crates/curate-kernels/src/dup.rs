//! The most similar earlier row, for each row of a cluster.

use rayon::prelude::*;

use crate::{
    dispatch::{self, Instructions},
    panels::Panels,
    tile::{PANEL, PackedRows, ROWS, Tile},
};

/// Rows that one task works on.
const TASK: usize = 16 * ROWS;

/// The most similar earlier row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Earlier {
    /// The largest inner product with an earlier row, and at least 0.
    pub similarity: f32,
    /// The position of that row, the earliest of equals; `None` where no earlier row has a
    /// positive inner product.
    pub position: Option<u32>,
}

/// For each row the largest inner product with a row before it: `max(0, max over i < j of
/// <r_i, r_j>)`, the quantity that SemDeDup compares with `1 - epsilon` (arXiv 2303.09540,
/// section 3). `rows` holds vectors of length `dim` in order of preference.
///
/// Uses all threads of the current pool; needs a packed copy of `rows` and no `m x m` matrix. A
/// row with a NaN matches nothing and is matched by nothing.
///
/// # Panics
/// When `rows` is not a whole number of vectors.
pub fn max_earlier(rows: &[f32], dim: usize) -> Vec<Earlier> {
    max_earlier_with(dispatch::instructions(), rows, dim)
}

fn max_earlier_with(with: Instructions, rows: &[f32], dim: usize) -> Vec<Earlier> {
    let panels = Panels::pack(rows, dim);
    let mut out = vec![Earlier::default(); panels.count()];
    // Later tasks have more panels to visit; handing tasks out one by one keeps threads busy.
    out.par_chunks_mut(TASK).with_max_len(1).enumerate().for_each(|(task, out)| {
        let first = task * TASK;
        let mut packed = PackedRows::default();
        packed.pack(&rows[first * dim..(first + out.len()) * dim], dim);
        search(with, &panels, &packed, first, out);
    });
    out
}

fn search(
    with: Instructions,
    panels: &Panels,
    rows: &PackedRows,
    first: usize,
    out: &mut [Earlier],
) {
    let end = first + out.len();
    let mut tile: Tile = [[0.0; PANEL]; ROWS];
    for (start, _, panel) in panels.iter().take_while(|(start, ..)| *start < end) {
        let tiles = rows.tiles().zip(out.chunks_mut(ROWS));
        for (t, (rows, out)) in tiles.enumerate() {
            let first = first + t * ROWS;
            // The last row of the tile has the most earlier rows.
            if start >= first + out.len() - 1 {
                continue;
            }
            dispatch::tile(with, rows, panel, &mut tile);
            for (r, best) in out.iter_mut().enumerate() {
                let earlier = (first + r).saturating_sub(start).min(PANEL);
                improve(best, &tile[r][..earlier], start);
            }
        }
    }
}

#[inline]
fn improve(best: &mut Earlier, similarities: &[f32], start: usize) {
    let max = similarities.iter().fold(f32::NEG_INFINITY, |max, &s| max.max(s));
    if max > best.similarity {
        let column = similarities.iter().position(|&s| s == max).unwrap_or(0);
        *best = Earlier { similarity: max, position: Some((start + column) as u32) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, reference};

    fn rows(n: usize, dim: usize) -> Vec<f32> {
        // A low-entropy generator, so that exact ties occur.
        (0..n * dim).map(|i| ((i * i + 3 * i) % 11) as f32 / 8.0 - 0.6).collect()
    }

    #[test]
    fn every_instruction_set_equals_the_scalar_reference_to_the_bit() {
        for (n, dim) in [(1, 4), (2, 1), (33, 5), (400, 16), (205, 67)] {
            let rows = rows(n, dim);
            let expected = reference::max_earlier(&rows, dim);
            for with in available() {
                assert_eq!(max_earlier_with(with, &rows, dim), expected, "{with:?} {n} x {dim}");
            }
        }
    }

    #[test]
    fn the_first_row_matches_nothing_and_a_copy_matches_its_original() {
        let out = max_earlier(&[0.6, 0.8, -1.0, 0.0, 0.6, 0.8], 2);
        assert_eq!(out[0], Earlier::default());
        assert_eq!(out[1], Earlier::default(), "a negative similarity counts as none");
        assert_eq!(out[2].position, Some(0));
        assert!(max_earlier(&[], 8).is_empty());
    }

    #[test]
    fn a_nan_row_does_not_change_the_others() {
        let out = max_earlier(&[f32::NAN, 0.0, 1.0, 0.0, 1.0, 0.0], 2);
        assert_eq!(out[1], Earlier::default());
        assert_eq!(out[2], Earlier { similarity: 1.0, position: Some(1) });
    }
}
