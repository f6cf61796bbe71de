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

/// Eight elements of both sides of all pairs are turned, so that one element of all rows lies beside the
/// same of all vectors.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
fn fused(a: &[&[f32]; SIDE], b: &[&[f32]; SIDE]) -> [f32; SIDE] {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_setzero_ps, _mm256_storeu_ps};
    let dim = a.iter().chain(b).map(|x| x.len()).min().unwrap_or(0);
    let whole = dim / SIDE * SIDE;
    let mut sums = _mm256_setzero_ps();
    for start in (0..whole).step_by(SIDE) {
        // SAFETY: eight elements from `start` on lie inside every row and vector.
        let (a, b) = unsafe { (turned(a, start), turned(b, start)) };
        for t in 0..SIDE {
            sums = _mm256_fmadd_ps(a[t], b[t], sums);
        }
    }
    let mut out = [0.0; SIDE];
    // SAFETY: `out` has eight numbers.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) };
    for t in whole..dim {
        for s in 0..SIDE {
            out[s] = a[s][t].mul_add(b[s][t], out[s]);
        }
    }
    out
}

/// Eight elements from `start` on of eight vectors: number `t` of what it returns holds element `t` of
/// each.
///
/// # Safety
/// All vectors have to be that long.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
#[allow(unsafe_code)]
unsafe fn turned(vectors: &[&[f32]; SIDE], start: usize) -> [std::arch::x86_64::__m256; SIDE] {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm256_castps128_ps256, _mm256_insertf128_ps, _mm256_setzero_ps,
        _mm256_shuffle_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };
    let mut out = [_mm256_setzero_ps(); SIDE];
    for half in 0..2 {
        // Four elements of vector `v` and of vector `v + 4` side by side: each half turns by itself.
        let mut rows = [_mm256_setzero_ps(); 4];
        for v in 0..4 {
            // SAFETY: elements `start + 4 half` to `start + 4 half + 3` lie inside both vectors.
            let (low, high) = unsafe {
                let at = start + 4 * half;
                (
                    _mm_loadu_ps(vectors[v].as_ptr().add(at)),
                    _mm_loadu_ps(vectors[v + 4].as_ptr().add(at)),
                )
            };
            rows[v] = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
        }
        let (a, b) = (_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[0], rows[1]));
        let (c, d) = (_mm256_unpacklo_ps(rows[2], rows[3]), _mm256_unpackhi_ps(rows[2], rows[3]));
        out[4 * half] = _mm256_shuffle_ps::<0x44>(a, c);
        out[4 * half + 1] = _mm256_shuffle_ps::<0xee>(a, c);
        out[4 * half + 2] = _mm256_shuffle_ps::<0x44>(b, d);
        out[4 * half + 3] = _mm256_shuffle_ps::<0xee>(b, d);
    }
    out
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

/// Vectors that are multiplied with one row side by side.
#[cfg(target_arch = "x86_64")]
const MANY: usize = 16;
/// With fewer vectors a row is better off among other pairs.
#[cfg(target_arch = "x86_64")]
const FEW: usize = 6;

/// [`pairs`] where a row often comes with several vectors, one pair after the other: pair `p` is row
/// `of(p)` with `vector(p)`.
pub(crate) fn grouped<'a>(
    with: Instructions,
    count: usize,
    of: impl Fn(usize) -> (usize, &'a [f32]),
    vector: impl Fn(usize) -> &'a [f32],
    out: &mut Vec<f32>,
) {
    out.clear();
    out.resize(count, 0.0);
    let (mut single, mut values) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < count {
        let (row, x) = of(first);
        let end = (first + 1..count).find(|&p| of(p).0 != row).unwrap_or(count);
        first += many(with, x, &vector, first, &mut out[first..end]);
        single.extend(first..end);
        first = end;
    }
    pairs(with, single.len(), |s| (of(single[s]).1, vector(single[s])), &mut values);
    single.into_iter().zip(&values).for_each(|(p, &value)| out[p] = value);
}

/// Computes the first products of a row with vectors from `first` on, as many as are worth it;
/// returns how many.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn many<'a>(
    with: Instructions,
    x: &'a [f32],
    vector: &impl Fn(usize) -> &'a [f32],
    first: usize,
    out: &mut [f32],
) -> usize {
    if with != Instructions::Avx512 {
        return 0;
    }
    let mut done = 0;
    while out.len() - done >= FEW {
        let real = MANY.min(out.len() - done);
        let vectors: [&[f32]; MANY] =
            std::array::from_fn(|v| &vector(first + done + v.min(real - 1))[..x.len()]);
        // SAFETY: `with` says that this machine was found to have the instructions; the vectors are
        // as long as the row.
        let products = unsafe { many_wide(x, &vectors) };
        out[done..done + real].copy_from_slice(&products[..real]);
        done += real;
    }
    done
}

#[cfg(not(target_arch = "x86_64"))]
fn many<'a>(
    _: Instructions,
    _: &'a [f32],
    _: &impl Fn(usize) -> &'a [f32],
    _: usize,
    _: &mut [f32],
) -> usize {
    0
}

/// The chains of sixteen vectors with one row: sixteen elements of each are turned so that one
/// element of all vectors lies side by side.
///
/// # Safety
/// Every vector has to be as long as `x`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn many_wide(x: &[f32], vectors: &[&[f32]; MANY]) -> [f32; MANY] {
    use std::arch::x86_64::{
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };
    let mut sum = _mm512_setzero_ps();
    for start in (0..x.len()).step_by(MANY) {
        let count = MANY.min(x.len() - start);
        let mut block = [_mm512_setzero_ps(); MANY];
        for v in 0..MANY {
            // SAFETY: `count` elements from `start` on lie inside every vector; no others are read.
            block[v] = unsafe {
                let from = vectors[v].as_ptr().add(start);
                match count {
                    MANY => _mm512_loadu_ps(from),
                    _ => _mm512_maskz_loadu_ps((1 << count) - 1, from),
                }
            };
        }
        transpose(&mut block);
        for (&x, column) in x[start..start + count].iter().zip(&block) {
            sum = _mm512_fmadd_ps(*column, _mm512_set1_ps(x), sum);
        }
    }
    let mut out = [0.0; MANY];
    // SAFETY: `out` has sixteen numbers.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    out
}

/// Turns sixteen vectors of sixteen numbers: afterwards vector `t` holds element `t` of each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn transpose(block: &mut [std::arch::x86_64::__m512; MANY]) {
    use std::arch::x86_64::{
        _mm512_castpd_ps, _mm512_castps_pd, _mm512_shuffle_f32x4, _mm512_unpackhi_pd,
        _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };
    // Pairs of elements inside every quarter, of two vectors.
    let mut pairs = *block;
    for i in 0..MANY / 2 {
        pairs[2 * i] = _mm512_unpacklo_ps(block[2 * i], block[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(block[2 * i], block[2 * i + 1]);
    }
    // Quarter `q` of `fours[4 g + e]` holds element `4 q + e` of vectors `4 g` to `4 g + 3`.
    let mut fours = pairs;
    for g in 0..MANY / 4 {
        for h in 0..2 {
            let (a, b) =
                (_mm512_castps_pd(pairs[4 * g + h]), _mm512_castps_pd(pairs[4 * g + 2 + h]));
            fours[4 * g + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[4 * g + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    for e in 0..MANY / 4 {
        let low = _mm512_shuffle_f32x4::<0x88>(fours[e], fours[4 + e]);
        let high = _mm512_shuffle_f32x4::<0xdd>(fours[e], fours[4 + e]);
        let low_of_last = _mm512_shuffle_f32x4::<0x88>(fours[8 + e], fours[12 + e]);
        let high_of_last = _mm512_shuffle_f32x4::<0xdd>(fours[8 + e], fours[12 + e]);
        block[e] = _mm512_shuffle_f32x4::<0x88>(low, low_of_last);
        block[8 + e] = _mm512_shuffle_f32x4::<0xdd>(low, low_of_last);
        block[4 + e] = _mm512_shuffle_f32x4::<0x88>(high, high_of_last);
        block[12 + e] = _mm512_shuffle_f32x4::<0xdd>(high, high_of_last);
    }
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
    #[test]
    fn a_row_with_many_vectors_equals_the_reference_to_the_bit() {
        for dim in [1, 15, 16, 33, 64] {
            let (rows, vectors) = (numbers(9 * dim, 1), numbers(70 * dim, 2));
            // Groups of 1, 5, 6, 16, 17 and 25 pairs.
            let sizes = [1, 5, 6, 16, 17, 25];
            let of: Vec<usize> =
                sizes.iter().enumerate().flat_map(|(row, &n)| [row].repeat(n)).collect();
            let row = |r: usize| &rows[r * dim..][..dim];
            let vector = |p: usize| &vectors[p * dim..][..dim];
            let expected: Vec<f32> =
                (0..of.len()).map(|p| reference::dot(row(of[p]), vector(p))).collect();
            for with in available() {
                let mut out = vec![9.0];
                grouped(with, of.len(), |p| (of[p], row(of[p])), vector, &mut out);
                assert_eq!(out, expected, "{with:?} {dim}");
            }
        }
    }
}
