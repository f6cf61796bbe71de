//! The most similar earlier row, for each row of a cluster.

use std::ops::Range;

use rayon::prelude::*;

use crate::{
    Centroids, Nearest,
    dispatch::{self, Instructions},
    integer::{self, Query, Vectors, Workspace},
    nearest::{INTEGER_BLOCK, inner_products, mean},
    packed::INTEGER_DIM,
    panels::Panels,
    quant::{self, QuantPanels},
    tile::{PANEL, PackedRows, ROWS},
    vnni::{self, Integers},
};

/// Rows that one task works on.
const TASK: usize = 16 * ROWS;
/// With fewer rows the look in integers costs more than it saves.
const INTEGER_ROWS: usize = 64;

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
    let with = dispatch::instructions();
    vnni::integers()
        .and_then(|kind| max_earlier_in_integers(with, kind, rows, dim))
        .unwrap_or_else(|| max_earlier_with(with, rows, dim))
}

/// Rows packed as integers, and their center; `None` when f32 is better or a row is not finite.
fn pack_integers(with: Instructions, rows: &[f32], dim: usize) -> Option<(Vec<f32>, QuantPanels)> {
    let count = rows.len().checked_div(dim)?;
    assert_eq!(rows.len(), count * dim, "whole vectors");
    if count < INTEGER_ROWS || !(INTEGER_DIM..=quant::MAX_DIM).contains(&dim) {
        return None;
    }
    let center = mean(rows, dim);
    let panels = QuantPanels::pack(with, count, |i| (&rows[i * dim..][..dim], 0.0), &center)?;
    Some((center, panels))
}

fn earlier_vectors<'a>(
    with: Instructions,
    kind: Integers,
    panels: &'a QuantPanels,
    center: &'a [f32],
    rows: &'a [f32],
) -> Vectors<'a> {
    Vectors { with, kind, panels, center, vectors: rows, biases: &[], order: &[] }
}

/// Row `j` looking at the rows before it.
fn earlier<'a>(vectors: &Vectors<'a>, j: usize, above: f32) -> Query<'a> {
    let dim = vectors.center.len();
    Query { above, strict: true, ..Query::all(&vectors.vectors[j * dim..][..dim], j) }
}

fn max_earlier_in_integers(
    with: Instructions,
    kind: Integers,
    rows: &[f32],
    dim: usize,
) -> Option<Vec<Earlier>> {
    let (center, panels) = pack_integers(with, rows, dim)?;
    let vectors = earlier_vectors(with, kind, &panels, &center, rows);
    let mut out = vec![Earlier::default(); panels.count()];
    // Later blocks have more panels to visit; handing them out one by one keeps threads busy.
    out.par_chunks_mut(INTEGER_BLOCK).with_max_len(1).enumerate().for_each(|(block, out)| {
        let first = block * INTEGER_BLOCK;
        let rows = first..first + out.len();
        let queries: Vec<Query<'_>> = rows.map(|j| earlier(&vectors, j, 0.0)).collect();
        let mut answers = Vec::new();
        integer::search(&vectors, &mut Workspace::default(), &queries, &mut answers);
        for (out, answer) in out.iter_mut().zip(answers) {
            let Nearest { index, value } = answer.best;
            if value > 0.0 {
                *out = Earlier { similarity: value, position: Some(index) };
            }
        }
    });
    Some(out)
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
    let range = first..first + out.len();
    each_earlier(with, panels, rows, range, |row, start, products| {
        improve(&mut out[row], products, start);
    });
}

/// Computes the inner products of packed rows, which stand at `range`, with all rows before them;
/// hands `each` a row's place among them, a position and the products from there on.
#[inline]
fn each_earlier(
    with: Instructions,
    panels: &Panels,
    rows: &PackedRows,
    range: Range<usize>,
    mut each: impl FnMut(usize, usize, &[f32]),
) {
    let mut tiles = dispatch::room(rows);
    for (start, _, panel) in panels.iter().take_while(|(start, ..)| *start < range.end) {
        // The last row of a tile has the most earlier rows; the first tiles may have none.
        let skip = (start + 1).saturating_sub(range.start) / ROWS;
        dispatch::tiles(with, panel, rows, skip, &mut tiles);
        let products = tiles.as_flattened().iter().take(range.len()).enumerate();
        for (row, products) in products.skip(skip * ROWS) {
            let earlier = (range.start + row).saturating_sub(start).min(PANEL);
            each(row, start, &products[..earlier]);
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

/// For each row the largest inner product with a row before it that **survived**: a row survives
/// when that is at most `threshold`. So one row of each group of similar rows stays, and no row goes
/// for a row that went itself (the paper's text; the published code is [`max_earlier`]).
///
/// Runs on the calling thread; needs packed copies of the survivors and of one block.
///
/// # Panics
/// When `rows` is not a whole number of vectors.
pub fn survivors(rows: &[f32], dim: usize, threshold: f32) -> Vec<Earlier> {
    let count = rows.len().checked_div(dim).unwrap_or(0);
    assert_eq!(rows.len(), count * dim, "whole vectors");
    let mut out = Vec::with_capacity(count);
    // The survivors of earlier blocks and their positions.
    let (mut vectors, mut positions): (Vec<f32>, Vec<u32>) = (Vec::new(), Vec::new());
    for (b, block) in rows.chunks((TASK * dim).max(1)).enumerate() {
        let first = b * TASK;
        let mut best = best_survivors(block, &vectors, &positions, dim);
        let products = inner_products(block, block, dim);
        let n = best.len();
        for j in 0..n {
            for i in (0..j).filter(|&i| best[i].similarity <= threshold).collect::<Vec<_>>() {
                let similarity = products[j * n + i];
                if similarity > best[j].similarity {
                    best[j] = Earlier { similarity, position: Some((first + i) as u32) };
                }
            }
        }
        for (i, row) in block.chunks_exact(dim).enumerate() {
            if best[i].similarity <= threshold {
                vectors.extend_from_slice(row);
                positions.push((first + i) as u32);
            }
        }
        out.extend(best);
    }
    out
}

/// The most similar survivor of each row of a block.
fn best_survivors(block: &[f32], vectors: &[f32], positions: &[u32], dim: usize) -> Vec<Earlier> {
    let mut nearest = vec![Nearest::default(); block.len() / dim];
    Centroids::new(vectors, dim, None).nearest(block, &mut nearest);
    let earlier = |n: Nearest| match n.value > 0.0 {
        true => Earlier { similarity: n.value, position: Some(positions[n.index as usize]) },
        false => Earlier::default(),
    };
    nearest.into_iter().map(earlier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers, reference};

    fn rows(n: usize, dim: usize) -> Vec<f32> {
        // A low-entropy generator, so that exact ties occur.
        (0..n * dim).map(|i| ((i * i + 3 * i) % 11) as f32 / 8.0 - 0.6).collect()
    }

    #[test]
    fn every_instruction_set_equals_the_scalar_reference_to_the_bit() {
        for (n, dim) in [(1, 4), (2, 1), (33, 5), (400, 16), (205, 67), (60, 193)] {
            let rows = rows(n, dim);
            let expected = reference::max_earlier(&rows, dim);
            for with in available() {
                assert_eq!(max_earlier_with(with, &rows, dim), expected, "{with:?} {n} x {dim}");
            }
            assert_eq!(max_earlier(&rows, dim), expected);
        }
    }

    #[test]
    fn integers_find_what_f32_finds() {
        let with = dispatch::instructions();
        for (n, dim) in [(64, 32), (400, 40), (205, 67)] {
            for rows in [rows(n, dim), numbers(n * dim, 3)] {
                let expected = reference::max_earlier(&rows, dim);
                for kind in vnni::available() {
                    let found = max_earlier_in_integers(with, kind, &rows, dim);
                    assert_eq!(found.unwrap(), expected, "{kind:?} {n} x {dim}");
                }
            }
        }
        let mut rows = rows(64, 32);
        rows[70] = f32::NAN;
        assert_eq!(max_earlier_in_integers(with, Integers::Plain, &rows, 32), None);
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
    fn survivors_equal_the_scalar_reference_to_the_bit() {
        for (n, dim) in [(1, 4), (50, 3), (450, 16)] {
            for threshold in [0.2, 0.9, 2.0] {
                let rows = rows(n, dim);
                let found = survivors(&rows, dim, threshold);
                assert_eq!(found, reference::survivors(&rows, dim, threshold), "{n} x {dim}");
            }
        }
        assert!(survivors(&[], 4, 0.5).is_empty());
    }

    #[test]
    fn a_row_does_not_go_for_a_row_that_went() {
        // A chain: each is similar to the one before, the third not to the first.
        let rows = [1.0, 0.0, 0.97, 0.243_104_92, 0.8818, 0.471_623_54];
        let kept: Vec<bool> =
            survivors(&rows, 2, 0.95).iter().map(|e| e.similarity <= 0.95).collect();
        assert_eq!(kept, [true, false, true]);
        assert!(max_earlier(&rows, 2)[2].similarity > 0.95);
    }

    #[test]
    fn a_nan_row_does_not_change_the_others() {
        let out = max_earlier(&[f32::NAN, 0.0, 1.0, 0.0, 1.0, 0.0], 2);
        assert_eq!(out[1], Earlier::default());
        assert_eq!(out[2], Earlier { similarity: 1.0, position: Some(1) });
    }
}
