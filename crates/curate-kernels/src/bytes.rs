//! Images' bytes in fixed point: weighted sums of rows, which resampling comes down to, and colors.

use crate::dispatch::{self, dispatched};

/// `out[i]` is the sum over `k` of `weights[k] * rows[k * stride + i]`, rounded: half of `1 << bits`
/// is added, `bits` bits are dropped, and the result is clamped to a byte. Sums of 32-bit integers
/// have no order, so the bytes are the same on every machine. Runs on the calling thread.
///
/// # Panics
/// When a sum does not fit 32 bits, in builds that check for overflow; when a row is shorter than `out`, or `bits` is 0 or above 31.
pub fn weighted_bytes(rows: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8]) {
    assert!((1..32).contains(&bits), "bits of a 32-bit integer");
    let last = weights.len().saturating_sub(1) * stride;
    assert!(weights.is_empty() || rows.len() >= last + out.len(), "rows as long as the result");
    sums(dispatch::instructions(), rows, stride.max(1), weights, bits, out);
}

dispatched! {
    /// [`weighted_bytes`].
    fn sums = sums_any(rows: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8])
}

#[inline(always)]
fn sums_any(rows: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8]) {
    let (wide, rest) = out.as_chunks_mut::<64>();
    for (c, out) in wide.iter_mut().enumerate() {
        chunk(&rows[64 * c..], stride, weights, bits, out);
    }
    let start = 64 * wide.len();
    let (narrow, rest) = rest.as_chunks_mut::<16>();
    for (c, out) in narrow.iter_mut().enumerate() {
        chunk(&rows[start + 16 * c..], stride, weights, bits, out);
    }
    let start = start + 16 * narrow.len();
    for (c, out) in rest.iter_mut().enumerate() {
        chunk(&rows[start + c..], stride, weights, bits, std::array::from_mut(out));
    }
}

#[inline(always)]
fn chunk<const N: usize>(
    rows: &[u8],
    stride: usize,
    weights: &[i32],
    bits: u32,
    out: &mut [u8; N],
) {
    let mut sums = [1_i32 << (bits - 1); N];
    for (row, &weight) in rows.chunks(stride).zip(weights) {
        let Some(row) = row.first_chunk::<N>() else { return };
        for (sum, &byte) in sums.iter_mut().zip(row) {
            *sum += i32::from(byte) * weight;
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = (sum >> bits).clamp(0, 255) as u8;
    }
}

/// Pixels of luma, blue and red difference, a byte each, become red, green and blue in place: JFIF's
/// formula in 16 fractional bits and with libjpeg's rounding, to the bit. Of what is no whole pixel at
/// the end nothing changes. Runs on the calling thread.
pub fn rgb_of_ycc(pixels: &mut [u8]) {
    colors(dispatch::instructions(), pixels);
}

dispatched! {
    /// [`rgb_of_ycc`].
    fn colors = colors_any(pixels: &mut [u8])
}

#[inline(always)]
fn colors_any(pixels: &mut [u8]) {
    let (blocks, rest) = pixels.as_chunks_mut::<{ 3 * TOGETHER }>();
    for block in blocks {
        rgb(block);
    }
    let whole = rest.len() - rest.len() % 3;
    let mut block = [0; 3 * TOGETHER];
    block[..whole].copy_from_slice(&rest[..whole]);
    rgb(&mut block);
    rest[..whole].copy_from_slice(&block[..whole]);
}

/// Pixels that are converted together.
const TOGETHER: usize = 32;

/// Red and blue round their part of the sum, green the sum of both of its parts. Factors are taken
/// apart so that they and all but green's sum fit 16 bits, of which a vector holds twice as many.
#[inline(always)]
fn rgb(pixels: &mut [u8; 3 * TOGETHER]) {
    let [mut y, mut cb, mut cr] = [[0_i16; TOGETHER]; 3];
    for (i, &[luma, blue, red]) in pixels.as_chunks::<3>().0.iter().enumerate() {
        (y[i], cb[i], cr[i]) = (luma.into(), blue.into(), red.into());
    }
    let [mut r, mut g, mut b] = [[0_u8; TOGETHER]; 3];
    for i in 0..TOGETHER {
        let (y, cb, cr) = (y[i], cb[i] - 128, cr[i] - 128);
        let byte = |color: i16| color.clamp(0, 255) as u8;
        r[i] = byte(y + cr + rounded(cr, const { fixed(0.402) as i16 }));
        b[i] = byte(y + 2 * cb + rounded(cb, const { -fixed(0.228) as i16 }));
        let parts = const { -fixed(0.34414) } * i32::from(cb)
            + const { 65_536 - fixed(0.71414) } * i32::from(cr);
        g[i] = byte(y - cr + ((parts + 32_768) >> 16) as i16);
    }
    for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [r[i], g[i], b[i]];
    }
}

/// In 16 fractional bits.
const fn fixed(factor: f64) -> i32 {
    (factor * 65_536.0 + 0.5) as i32
}

/// `a` times a factor below a half, to the nearest; the high half of a product is one instruction.
#[inline(always)]
fn rounded(a: i16, factor: i16) -> i16 {
    (((i32::from(2 * a) * i32::from(factor)) >> 16) as i16 + 1) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::available;

    #[test]
    fn every_instruction_set_has_the_bytes_of_the_sum() {
        for (columns, stride, taps) in [(1, 1, 1), (37, 40, 3), (200, 200, 9), (48, 48, 7)] {
            let rows: Vec<u8> = (0..stride * taps).map(|i| (i * i % 251) as u8).collect();
            let weights: Vec<i32> = (0_i32..).map(|k| (k * 37 % 11 - 3) << 18).take(taps).collect();
            let expected: Vec<u8> = (0..columns)
                .map(|i| {
                    let of = |k: usize| i64::from(rows[k * stride + i]) * i64::from(weights[k]);
                    let sum: i64 = (0..taps).map(of).sum();
                    ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8
                })
                .collect();
            for with in available() {
                let mut out = vec![0; columns];
                sums(with, &rows, stride, &weights, 22, &mut out);
                assert_eq!(out, expected, "{with:?}, {columns} columns");
            }
        }
    }

    #[test]
    fn colors_are_the_nearest_to_those_of_the_formula() {
        let bytes = (0..=255_u8).step_by(5);
        let ycc: Vec<[u8; 3]> = bytes
            .clone()
            .flat_map(|y| bytes.clone().map(move |cb| (y, cb)))
            .flat_map(|(y, cb)| bytes.clone().map(move |cr| [y, cb, cr]))
            .collect();
        for with in available() {
            // With a byte that is no pixel.
            let mut pixels = [ycc.as_flattened(), &[9]].concat();
            colors(with, &mut pixels);
            assert_eq!(pixels.pop(), Some(9));
            for (&[y, cb, cr], rgb) in ycc.iter().zip(pixels.as_chunks::<3>().0) {
                let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
                let exact = [1.402 * cr, -0.34414 * cb - 0.71414 * cr, 1.772 * cb];
                for (exact, &found) in exact.iter().zip(rgb) {
                    let off = f64::from(found) - (y + exact).clamp(0.0, 255.0);
                    // The factors have 16 bits: at 128 they are off by 1/512 at most.
                    assert!(off.abs() <= 0.5 + 2.0 / 512.0, "{with:?} {y} {cb} {cr}: {off}");
                }
            }
        }
    }

    #[test]
    fn no_weights_give_zero() {
        let mut out = [7];
        weighted_bytes(&[], 1, &[], 22, &mut out);
        assert_eq!(out, [0]);
    }
}
