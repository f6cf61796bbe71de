//! The integer micro-kernel and the look at its tile.

use std::sync::OnceLock;

use crate::{
    dispatch::{self, Instructions},
    quant::{GROUP, PANEL, ROWS, Tile},
};

/// Which integer instructions the kernel uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integers {
    /// x86-64 with `vpdpbusd` on 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// Plain loops, slower than f32.
    #[cfg(test)]
    Plain,
}

/// The integer instructions of this machine that beat f32, if it has any and uses its widest vectors.
/// With the environment variable `CURATE_INTEGERS=off` none: to measure what they bring.
pub(crate) fn integers() -> Option<Integers> {
    static FOUND: OnceLock<Option<Integers>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let off = std::env::var("CURATE_INTEGERS").is_ok_and(|asked| asked == "off");
        if off || dispatch::instructions() != Instructions::Avx512 { None } else { detect() }
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Option<Integers> {
    is_x86_feature_detected!("avx512vnni").then_some(Integers::Vnni)
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Option<Integers> {
    None
}

/// Every kind this machine can run, for tests that compare them.
#[cfg(test)]
pub(crate) fn available() -> Vec<Integers> {
    std::iter::once(Integers::Plain).chain(detect()).collect()
}

/// `start[r]` plus the integer inner products of the rows of a tile with a panel.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn tile(
    with: Integers,
    rows: &[[[i8; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    start: &[i32; ROWS],
    out: &mut Tile,
) {
    match with {
        // SAFETY: `Integers::Vnni` is only made where the CPU was found to have the instructions.
        #[cfg(target_arch = "x86_64")]
        Integers::Vnni => unsafe { tile_vnni(rows, panel, start, out) },
        #[cfg(test)]
        Integers::Plain => tile_plain(rows, panel, start, out),
    }
}

#[cfg(test)]
fn tile_plain(
    rows: &[[[i8; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    start: &[i32; ROWS],
    out: &mut Tile,
) {
    for (out, &start) in out.iter_mut().zip(start) {
        out.fill(start);
    }
    for (rows, columns) in rows.iter().zip(panel) {
        for (out, row) in out.iter_mut().zip(rows) {
            for (out, column) in out.iter_mut().zip(columns) {
                let products = row.iter().zip(column).map(|(&r, &c)| i32::from(r) * i32::from(c));
                *out += products.sum::<i32>();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[allow(unsafe_code)]
fn tile_vnni(
    rows: &[[[i8; GROUP]; ROWS]],
    panel: &[[[u8; GROUP]; PANEL]],
    start: &[i32; ROWS],
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512,
    };
    let mut acc = [[_mm512_set1_epi32(0); 2]; ROWS];
    for r in 0..ROWS {
        acc[r] = [_mm512_set1_epi32(start[r]); 2];
    }
    for (rows, columns) in rows.iter().zip(panel) {
        let columns = columns.as_ptr();
        // SAFETY: `columns` points to 32 groups of 4 bytes, two vectors of 64.
        let (low, high) = unsafe {
            (_mm512_loadu_si512(columns.cast()), _mm512_loadu_si512(columns.add(PANEL / 2).cast()))
        };
        for r in 0..ROWS {
            let row = rows[r].map(i8::cast_unsigned);
            let row = _mm512_set1_epi32(i32::from_le_bytes(row));
            acc[r][0] = _mm512_dpbusd_epi32(acc[r][0], low, row);
            acc[r][1] = _mm512_dpbusd_epi32(acc[r][1], high, row);
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        let out = out.as_mut_ptr();
        // SAFETY: `out` points to 32 integers of 4 bytes, two vectors of 64 bytes.
        unsafe {
            _mm512_storeu_si512(out.cast(), acc[0]);
            _mm512_storeu_si512(out.add(PANEL / 2).cast(), acc[1]);
        }
    }
}

/// Numbers that [`pairs`] takes at a time.
pub(crate) const PAIR: usize = 64;

/// Writes the integer inner products of a row with vectors whose numbers are `q + 128` to `out`; all are
/// as long, a multiple of [`PAIR`]. `start` is `-128` times the sum of the row's numbers.
///
/// Without a kind of integers, with those that every processor has: a pair costs less than its chain in
/// f32 even so.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn pairs<'a>(
    with: Instructions,
    kind: Option<Integers>,
    row: &[i8],
    start: i32,
    vectors: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<i32>,
) {
    match (kind, with) {
        // SAFETY: `Integers::Vnni` is only made where the CPU was found to have the instructions.
        #[cfg(target_arch = "x86_64")]
        (Some(Integers::Vnni), _) => unsafe { pairs_vnni(row, start, vectors, out) },
        // SAFETY: `with` names instructions that this machine was found to have; both sets have AVX2.
        #[cfg(target_arch = "x86_64")]
        (None, Instructions::Avx512 | Instructions::Avx2) => unsafe {
            pairs_avx2(row, start, vectors, out);
        },
        _ => {
            let product = |vector: &[u8]| {
                row.iter().zip(vector).map(|(&r, &v)| i32::from(r) * i32::from(v)).sum::<i32>()
            };
            out.clear();
            out.extend(vectors.map(|vector| start + product(vector)));
        }
    }
}

/// Vectors that share a load of the row's numbers.
#[cfg(target_arch = "x86_64")]
const SIDE: usize = 4;

/// Numbers are widened to 16 bits; one instruction multiplies 16 of them and adds them in pairs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn pairs_avx2<'a>(
    row: &[i8],
    start: i32,
    mut vectors: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<i32>,
) {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };
    const STEP: usize = 16;
    out.clear();
    let rows = row.as_chunks::<STEP>().0;
    while let Some(first) = vectors.next() {
        // A last group that is not full repeats its first vector.
        let mut some = [first.as_chunks::<STEP>().0; SIDE];
        let mut real = 1;
        for vector in vectors.by_ref().take(SIDE - 1) {
            some[real] = vector.as_chunks::<STEP>().0;
            real += 1;
        }
        let mut sums = [_mm256_setzero_si256(); SIDE];
        for (t, row) in rows.iter().enumerate() {
            // SAFETY: `row` points to 16 bytes.
            let row = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(row.as_ptr().cast()) });
            for (sum, vector) in sums.iter_mut().zip(some) {
                // SAFETY: a step of a vector has 16 bytes.
                let vector = unsafe { _mm_loadu_si128(vector[t].as_ptr().cast()) };
                let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(vector), row);
                *sum = _mm256_add_epi32(*sum, products);
            }
        }
        for sum in &sums[..real] {
            let mut lanes = [0_i32; 8];
            // SAFETY: `lanes` has 32 bytes.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *sum) };
            out.push(start + lanes.iter().sum::<i32>());
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[allow(unsafe_code)]
fn pairs_vnni<'a>(
    row: &[i8],
    start: i32,
    vectors: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<i32>,
) {
    use std::arch::x86_64::{
        _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32,
        _mm512_setzero_si512,
    };
    out.clear();
    let rows = row.as_chunks::<PAIR>().0;
    for vector in vectors {
        // Two sums: the latency of one addition to the next is as long as four of them take.
        let mut sums = [_mm512_setzero_si512(); 2];
        for (t, (row, vector)) in rows.iter().zip(vector.as_chunks::<PAIR>().0).enumerate() {
            // SAFETY: both point to 64 bytes.
            let (row, vector) = unsafe {
                (
                    _mm512_loadu_si512(row.as_ptr().cast()),
                    _mm512_loadu_si512(vector.as_ptr().cast()),
                )
            };
            sums[t % 2] = _mm512_dpbusd_epi32(sums[t % 2], vector, row);
        }
        let sum = _mm512_add_epi32(sums[0], sums[1]);
        out.push(start + _mm512_reduce_add_epi32(sum));
    }
}

/// How the products of a row with one panel become values, and which of them matter.
#[derive(Clone, Copy)]
pub(crate) struct Rule<'a> {
    /// The row's scale.
    pub(crate) scale: f32,
    /// Those of the panel's vectors, and what is added to their values.
    pub(crate) scales: &'a [f32; PANEL],
    pub(crate) offsets: &'a [f32; PANEL],
    /// A value matters that reaches this,
    pub(crate) threshold: f32,
    /// and that belongs to one of so many vectors.
    pub(crate) real: usize,
}

/// Turns a row of a tile into approximate values, `scale * s_j * product + offset_j`, and says which
/// matter, as bits. The largest value of those that do not is folded into `lanes`: what is passed over
/// bounds the value of everything that was not looked at again.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn look(
    with: Integers,
    products: &[i32; PANEL],
    rule: Rule<'_>,
    values: &mut [f32; PANEL],
    lanes: &mut [f32; PANEL],
) -> u32 {
    match with {
        // SAFETY: `Integers::Vnni` is only made where the CPU was found to have the instructions.
        #[cfg(target_arch = "x86_64")]
        Integers::Vnni => unsafe { look_wide(products, rule, values, lanes) },
        #[cfg(test)]
        Integers::Plain => look_body(products, rule, values, lanes),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[allow(unsafe_code)]
fn look_wide(
    products: &[i32; PANEL],
    rule: Rule<'_>,
    values: &mut [f32; PANEL],
    lanes: &mut [f32; PANEL],
) -> u32 {
    use std::arch::x86_64::{
        _CMP_GE_OQ, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mask_max_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };
    const HALF: usize = PANEL / 2;
    let Rule { scale, scales, offsets, threshold, real } = rule;
    let bound = _mm512_set1_ps(threshold);
    let scale = _mm512_set1_ps(scale);
    let real = u32::MAX.checked_shr((PANEL - real.min(PANEL)) as u32).unwrap_or(0);
    let mut found = 0;
    for half in 0..2 {
        let at = half * HALF;
        // SAFETY: all five arrays have 32 numbers of 4 bytes; `at` is 0 or 16.
        unsafe {
            let product = _mm512_loadu_si512(products.as_ptr().add(at).cast());
            let factor = _mm512_mul_ps(scale, _mm512_loadu_ps(scales.as_ptr().add(at)));
            let offset = _mm512_loadu_ps(offsets.as_ptr().add(at));
            let value = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(product), offset);
            let inside = (real >> at) as u16;
            let hit = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(value, bound) & inside;
            let lane = lanes.as_mut_ptr().add(at);
            let old = _mm512_loadu_ps(lane);
            _mm512_storeu_ps(lane, _mm512_mask_max_ps(old, inside & !hit, value, old));
            if hit != 0 {
                _mm512_storeu_ps(values.as_mut_ptr().add(at), value);
            }
            found |= u32::from(hit) << at;
        }
    }
    found
}

#[cfg(test)]
fn look_body(
    products: &[i32; PANEL],
    rule: Rule<'_>,
    values: &mut [f32; PANEL],
    lanes: &mut [f32; PANEL],
) -> u32 {
    let Rule { scale, scales, offsets, threshold, real } = rule;
    let mut found = 0;
    for c in 0..real.min(PANEL) {
        values[c] = (scale * scales[c]).mul_add(products[c] as f32, offsets[c]);
        if values[c] >= threshold {
            found |= 1 << c;
        } else {
            lanes[c] = lanes[c].max(values[c]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize, seed: u32) -> Vec<u8> {
        crate::numbers::numbers(n, seed).iter().map(|x| ((x + 1.0) * 127.0) as u8).collect()
    }

    #[test]
    fn every_kind_multiplies_the_same() {
        for groups in [1, 2, 17] {
            let rows: Vec<[[i8; GROUP]; ROWS]> = (0..groups)
                .map(|g| {
                    let b = bytes(GROUP * ROWS, g as u32 + 1);
                    std::array::from_fn(|r| std::array::from_fn(|t| b[r * GROUP + t].cast_signed()))
                })
                .collect();
            let panel: Vec<[[u8; GROUP]; PANEL]> = (0..groups)
                .map(|g| {
                    let b = bytes(GROUP * PANEL, g as u32 + 99);
                    std::array::from_fn(|c| std::array::from_fn(|t| b[c * GROUP + t]))
                })
                .collect();
            let start = [-3_000; ROWS].map(|start| start + 7);
            let mut expected = [[0; PANEL]; ROWS];
            tile(Integers::Plain, &rows, &panel, &start, &mut expected);
            let by_hand: i32 = (0..groups)
                .flat_map(|g| (0..GROUP).map(move |t| (g, t)))
                .map(|(g, t)| i32::from(rows[g][2][t]) * i32::from(panel[g][5][t]))
                .sum();
            assert_eq!(expected[2][5], start[2] + by_hand);
            for with in available() {
                let mut out = [[7; PANEL]; ROWS];
                tile(with, &rows, &panel, &start, &mut out);
                assert_eq!(out, expected, "{with:?}");
            }
        }
    }

    #[test]
    fn every_kind_multiplies_pairs_the_same() {
        for count in [PAIR, 3 * PAIR] {
            let row: Vec<i8> = bytes(count, 5).iter().map(|&b| b.cast_signed().max(-127)).collect();
            let vector = bytes(count, 6);
            let sum: i32 = row.iter().map(|&r| i32::from(r)).sum();
            let (mut expected, mut out) = (Vec::new(), vec![3]);
            let with = dispatch::instructions();
            let vectors = || std::iter::repeat_n(&vector[..], count / PAIR + 3);
            pairs(with, Some(Integers::Plain), &row, -128 * sum, vectors(), &mut expected);
            let by_hand: i32 =
                row.iter().zip(&vector).map(|(&r, &v)| i32::from(r) * (i32::from(v) - 128)).sum();
            assert_eq!(expected, vec![by_hand; count / PAIR + 3]);
            for kind in available().into_iter().map(Some).chain([None]) {
                for with in dispatch::available() {
                    pairs(with, kind, &row, -128 * sum, vectors(), &mut out);
                    assert_eq!(out, expected, "{kind:?} {with:?}");
                }
            }
        }
    }

    #[test]
    fn every_kind_looks_the_same() {
        let products: [i32; PANEL] = std::array::from_fn(|c| i32::from((c * 37 % 61) as u8) - 30);
        let scales = std::array::from_fn(|c| 0.5 + c as f32 / 64.0);
        let offsets = std::array::from_fn(|c| 0.25 * c as f32);
        for with in available() {
            for real in [0, 1, 16, 17, 32] {
                let (mut values, mut lanes) = ([0.0; PANEL], [-3.0; PANEL]);
                let (mut by_plain, mut plain_lanes) = (values, lanes);
                let (scales, offsets) = (&scales, &offsets);
                let rule = Rule { scale: 0.75, scales, offsets, threshold: 4.0, real };
                let found = look(with, &products, rule, &mut values, &mut lanes);
                let expected =
                    look(Integers::Plain, &products, rule, &mut by_plain, &mut plain_lanes);
                assert_eq!(found, expected, "{with:?} {real}");
                assert_eq!(lanes, plain_lanes);
                for c in (0..PANEL).filter(|c| found >> c & 1 == 1) {
                    assert!(c < real);
                    assert_eq!(values[c], by_plain[c]);
                    assert!(values[c] >= 4.0);
                }
            }
        }
    }
}
