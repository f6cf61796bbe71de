//! PIL's resampling of 8-bit images, byte for byte.
//!
//! Two passes, horizontal then vertical, each rounded to bytes. The filter widens with the
//! reduction (antialias); its weights are fixed-point numbers of 22 bits.

use std::ops::Range;

use curate_kernels::weighted_bytes;

use crate::{config::Interpolation, image::types::ImageError};

/// Fraction bits of a weight: 32 less 8 for the pixel and 2 for the sign and the overshoot.
const PRECISION: u32 = 32 - 8 - 2;

/// A part of the resized image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Resizes an image of `C` bytes a pixel from `from` (width, height) to `to`, and returns the bytes
/// of a region of the result. Only that region is computed.
///
/// # Errors
/// When `pixels` is not `width * height * C` bytes, a size is 0, or the region lies outside.
pub fn resize<const C: usize>(
    pixels: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    region: Region,
    how: Interpolation,
) -> Result<Vec<u8>, ImageError> {
    check::<C>(pixels, from, to, region)?;
    let Region { left, top, width, height } = region;
    let columns = (from.0 != to.0).then(|| Weights::new(from.0, to.0, left, width, how));
    let rows = (from.1 != to.1).then(|| Weights::new(from.1, to.1, top, height, how));
    let rows_of = |first: usize, last: usize| &pixels[first * from.0 * C..last * from.0 * C];
    if let (Some(rows), true) = (&rows, vertical_first(from, to)) {
        let low = vertical(pixels, from.0 * C, 0, rows);
        return Ok(narrow::<C>(&low, from.0, columns.as_ref(), left, width));
    }
    // Only the rows of the source that the result needs.
    let (first, last) = rows.as_ref().map_or((top, top + height), Weights::span);
    let narrow = narrow::<C>(rows_of(first, last), from.0, columns.as_ref(), left, width);
    Ok(match &rows {
        Some(rows) => vertical(&narrow, width * C, first, rows),
        None => narrow,
    })
}

fn check<const C: usize>(
    pixels: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    region: Region,
) -> Result<(), ImageError> {
    let wrong = |argument, problem| Err(ImageError::Argument { argument, problem });
    if from.0 == 0 || from.1 == 0 || to.0 == 0 || to.1 == 0 {
        let (from, to) = (sides(from), sides(to));
        return wrong("to", format!("{from} pixels cannot become {to}: an image has pixels"));
    }
    let bytes = from.0.checked_mul(from.1).and_then(|count| count.checked_mul(C));
    if bytes != Some(pixels.len()) {
        let problem = format!("{} bytes are not {} pixels of {C}", pixels.len(), sides(from));
        return wrong("pixels", problem);
    }
    let ends = (region.left.checked_add(region.width), region.top.checked_add(region.height));
    match ends {
        (Some(right), Some(bottom)) if right <= to.0 && bottom <= to.1 => Ok(()),
        _ => {
            let Region { left, top, width, height } = region;
            let at = format!("{width} x {height} pixels from {left}, {top}");
            wrong("region", format!("{at} lie outside {} pixels", sides(to)))
        }
    }
}

fn sides((width, height): (usize, usize)) -> String {
    format!("{width} x {height}")
}

/// Since Pillow 12 the vertical pass comes first where the height loses more than twice the pixels
/// that the width does. The order shows in the rounding.
fn vertical_first(from: (usize, usize), to: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i128 - to as i128;
    let (width, height) = (lost(from.0, to.0), lost(from.1, to.1));
    height > 0 && height > 2 * width
}

/// Rows that the horizontal pass works on side by side, where there are so many.
const TOGETHER: usize = 16;

/// The horizontal pass over rows of `from` pixels; without weights only a cut.
fn narrow<const C: usize>(
    rows: &[u8],
    from: usize,
    columns: Option<&Weights>,
    left: usize,
    width: usize,
) -> Vec<u8> {
    let Some(columns) = columns else {
        let rows = rows.chunks_exact(from * C);
        return rows.flat_map(|row| &row[left * C..(left + width) * C]).copied().collect();
    };
    let mut out = vec![0; rows.len() / from * width];
    let mut block = vec![0; from * TOGETHER * C];
    let mut small = vec![0; width * TOGETHER * C];
    let blocks = rows.chunks(TOGETHER * from * C).zip(out.chunks_mut(TOGETHER * width * C));
    for (rows, out) in blocks {
        // The same pixel of all rows side by side: then a pixel's weight is that of all of them.
        gather::<C>(rows, from, &mut block);
        for ((first, weights), small) in columns.each().zip(small.chunks_exact_mut(TOGETHER * C)) {
            let stride = TOGETHER * C;
            weighted_bytes(&block[first * stride..], stride, weights, PRECISION, small);
        }
        scatter::<C>(&small, width, out);
    }
    out
}

/// Pixels gathered or scattered before the next row's, so that they stay in the cache.
const STRETCH: usize = 128;

/// Puts pixel `x` of row `r` to place `x * TOGETHER + r`.
fn gather<const C: usize>(rows: &[u8], width: usize, block: &mut [u8]) {
    for (s, block) in block.chunks_mut(STRETCH * TOGETHER * C).enumerate() {
        for (r, row) in rows.chunks_exact(width * C).enumerate() {
            let pixels = row[s * STRETCH * C..].as_chunks::<C>().0;
            for (pixel, places) in pixels.iter().zip(block.chunks_exact_mut(TOGETHER * C)) {
                places[r * C..(r + 1) * C].copy_from_slice(pixel);
            }
        }
    }
}

/// The other way round.
fn scatter<const C: usize>(block: &[u8], width: usize, rows: &mut [u8]) {
    for (r, row) in rows.chunks_exact_mut(width * C).enumerate() {
        let places = block.chunks_exact(TOGETHER * C);
        for (pixel, places) in row.as_chunks_mut::<C>().0.iter_mut().zip(places) {
            pixel.copy_from_slice(&places[r * C..(r + 1) * C]);
        }
    }
}

/// For each of these output positions the first input position and the normalized weights from there
/// on, when `from` positions become `to`.
pub(crate) fn kernel_weights(
    from: usize,
    to: usize,
    wanted: Range<usize>,
    how: Interpolation,
) -> Vec<(usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let support = reach(how) * widened;
    let position = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let last = ((centre + support + 0.5) as usize).min(from);
        let mut weights: Vec<f64> = (first..last)
            .map(|x| filter(how, (x as f64 - centre + 0.5) * (1.0 / widened)))
            .collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        (first, weights)
    };
    wanted.map(position).collect()
}

/// [`kernel_weights`] in fixed point.
struct Weights {
    first: Vec<usize>,
    /// `stride` weights for each position, zeros behind the last.
    weights: Vec<i32>,
    counts: Vec<usize>,
    stride: usize,
}

impl Weights {
    fn new(from: usize, to: usize, start: usize, count: usize, how: Interpolation) -> Self {
        let positions = kernel_weights(from, to, start..start + count, how);
        let stride = positions.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let mut fixed = vec![0; stride * count];
        for ((_, weights), out) in positions.iter().zip(fixed.chunks_exact_mut(stride)) {
            for (out, weight) in out.iter_mut().zip(weights) {
                let half = if *weight < 0.0 { -0.5 } else { 0.5 };
                *out = (weight * f64::from(1_u32 << PRECISION) + half) as i32;
            }
        }
        Self {
            first: positions.iter().map(|(first, _)| *first).collect(),
            counts: positions.iter().map(|(_, weights)| weights.len()).collect(),
            weights: fixed,
            stride,
        }
    }

    /// The input positions that any output position needs.
    fn span(&self) -> (usize, usize) {
        let last = self.first.iter().zip(&self.counts).map(|(first, count)| first + count).max();
        (self.first.first().copied().unwrap_or(0), last.unwrap_or(0))
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.stride).zip(&self.counts);
        self.first.iter().zip(weights).map(|(&first, (weights, &count))| (first, &weights[..count]))
    }
}

fn reach(how: Interpolation) -> f64 {
    match how {
        Interpolation::Bicubic => 2.0,
        Interpolation::Bilinear => 1.0,
    }
}

fn filter(how: Interpolation, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match how {
        Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Interpolation::Bilinear if x < 1.0 => 1.0 - x,
        _ => 0.0,
    }
}

/// `rows` holds the input from row `above` on, `width` bytes each.
fn vertical(rows: &[u8], width: usize, above: usize, weights: &Weights) -> Vec<u8> {
    let mut out = vec![0; weights.first.len() * width];
    for ((first, weights), out) in weights.each().zip(out.chunks_exact_mut(width)) {
        weighted_bytes(&rows[(first - above) * width..], width, weights, PRECISION, out);
    }
    out
}

/// PIL's NEAREST: for `count` output positions the input position.
pub(crate) fn nearest(from: usize, to: usize, start: usize, count: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    // PIL adds the step again and again; a product would round differently.
    let positions = std::iter::successors(Some(step * 0.5), |x| Some(x + step));
    positions.skip(start).take(count).map(|x| (x as usize).min(from - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(to: (usize, usize)) -> Region {
        Region { left: 0, top: 0, width: to.0, height: to.1 }
    }

    #[test]
    fn a_flat_image_stays_flat_and_the_same_size_is_a_copy() {
        let flat = vec![77; 30 * 20 * 3];
        for to in [(7, 5), (30, 20), (61, 90), (1, 1)] {
            let out = resize::<3>(&flat, (30, 20), to, whole(to), Interpolation::Bicubic).unwrap();
            assert_eq!(out, vec![77; to.0 * to.1 * 3]);
        }
        let noise: Vec<u8> = (0..30 * 20 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let same = resize::<3>(&noise, (30, 20), (30, 20), whole((30, 20)), Interpolation::Bicubic)
            .unwrap();
        assert_eq!(same, noise);
    }

    #[test]
    fn a_region_has_the_bytes_that_the_whole_has_there() {
        let noise: Vec<u8> = (0..53 * 41 * 3).map(|i| (i * i % 253) as u8).collect();
        let to = (23, 60);
        let all = resize::<3>(&noise, (53, 41), to, whole(to), Interpolation::Bicubic).unwrap();
        let region = Region { left: 5, top: 11, width: 9, height: 30 };
        let part = resize::<3>(&noise, (53, 41), to, region, Interpolation::Bicubic).unwrap();
        let expected: Vec<u8> =
            (11..41).flat_map(|y| all[(y * 23 + 5) * 3..(y * 23 + 14) * 3].to_vec()).collect();
        assert_eq!(part, expected);
    }

    #[test]
    fn the_middle_of_two_pixels_is_their_mean() {
        let out =
            resize::<1>(&[10, 20], (2, 1), (1, 1), whole((1, 1)), Interpolation::Bilinear).unwrap();
        assert_eq!(out, [15]);
        assert_eq!(nearest(4, 2, 0, 2), [1, 3]);
        assert_eq!(nearest(2, 4, 0, 4), [0, 0, 1, 1]);
        assert_eq!(nearest(2, 4, 1, 2), [0, 1]);
    }
}
