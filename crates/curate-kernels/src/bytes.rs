//! Weighted sums of rows of bytes in fixed point: what resampling an image comes down to.

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
    fn no_weights_give_zero() {
        let mut out = [7];
        weighted_bytes(&[], 1, &[], 22, &mut out);
        assert_eq!(out, [0]);
    }
}
