//! Exact inner products of chosen pairs: the chain of the tile kernel, several side by side.

use crate::dispatch::Instructions;

/// Pairs side by side: enough chains to hide the latency of a fused multiply-add.
const SIDE: usize = 8;

/// Writes the inner product of every pair into `out`: one chain of fused multiply-adds in element
/// order each, the same bytes as [`crate::reference::dot`].
pub(crate) fn pairs<'a>(
    with: Instructions,
    count: usize,
    pair: impl Fn(usize) -> (&'a [f32], &'a [f32]),
    out: &mut Vec<f32>,
) {
    out.clear();
    let mut first = 0;
    while first < count {
        let real = SIDE.min(count - first);
        // A last group that is not full repeats its last pair.
        let some: [_; SIDE] = std::array::from_fn(|s| pair(first + s.min(real - 1)));
        let (a, b) = (some.map(|(a, _)| a), some.map(|(_, b)| b));
        out.extend_from_slice(&side_by_side(with, &a, &b)[..real]);
        first += real;
    }
}

#[inline]
#[allow(unsafe_code)]
fn side_by_side(with: Instructions, a: &[&[f32]; SIDE], b: &[&[f32]; SIDE]) -> [f32; SIDE] {
    match with {
        // SAFETY: `with` names instructions that this machine was found to have; both sets have
        // fused multiply-add.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 | Instructions::Avx2 => unsafe { fused(a, b) },
        _ => chains(a, b),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused(a: &[&[f32]; SIDE], b: &[&[f32]; SIDE]) -> [f32; SIDE] {
    chains(a, b)
}

#[inline(always)]
fn chains(a: &[&[f32]; SIDE], b: &[&[f32]; SIDE]) -> [f32; SIDE] {
    let dim = a[0].len();
    let (a, b) = (a.map(|a| &a[..dim]), b.map(|b| &b[..dim]));
    let mut sum = [0.0_f32; SIDE];
    for t in 0..dim {
        for s in 0..SIDE {
            sum[s] = a[s][t].mul_add(b[s][t], sum[s]);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers, reference};

    #[test]
    fn pairs_equal_the_reference_to_the_bit() {
        for (count, dim) in [(0, 3), (1, 1), (7, 5), (8, 64), (19, 33)] {
            let (a, b) = (numbers(count * dim, 1), numbers(count * dim, 2));
            let pair = |i: usize| (&a[i * dim..][..dim], &b[i * dim..][..dim]);
            let expected: Vec<f32> =
                (0..count).map(|i| reference::dot(pair(i).0, pair(i).1)).collect();
            for with in available() {
                let mut out = vec![9.0];
                pairs(with, count, pair, &mut out);
                assert_eq!(out, expected, "{with:?}");
            }
        }
    }
}
