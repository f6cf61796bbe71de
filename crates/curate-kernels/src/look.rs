//! The looks at a tile of products: which columns could be the best, and which looks best.
//!
//! A product becomes a bound, `scale_r * s_c * product + tail_r * t_c + offset_c`; without the tails it is
//! an approximate value.

use crate::{
    dispatch::{Instructions, dispatched},
    quant::{PANEL, ROWS},
};

/// What belongs to the columns of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) scales: &'a [f32; PANEL],
    pub(crate) tails: &'a [f32; PANEL],
    /// `-inf` where there is no vector.
    pub(crate) offsets: &'a [f32; PANEL],
}

/// What belongs to the rows of a tile.
#[derive(Clone)]
pub(crate) struct Rows {
    pub(crate) scale: [f32; ROWS],
    pub(crate) tail: [f32; ROWS],
    /// A column matters whose bound reaches this; infinite where there is no row.
    pub(crate) threshold: [f32; ROWS],
    /// The largest bounds that did not, by column.
    pub(crate) passed: [[f32; PANEL]; ROWS],
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            scale: [0.0; ROWS],
            tail: [0.0; ROWS],
            threshold: [f32::INFINITY; ROWS],
            passed: [[f32::NEG_INFINITY; PANEL]; ROWS],
        }
    }
}

/// The largest approximate values of the rows of a tile, by column, and the panels they are in.
#[derive(Clone)]
pub(crate) struct Largest {
    value: [[f32; PANEL]; ROWS],
    panel: [[u32; PANEL]; ROWS],
}

impl Default for Largest {
    fn default() -> Self {
        Self { value: [[f32::NEG_INFINITY; PANEL]; ROWS], panel: [[0; PANEL]; ROWS] }
    }
}

impl Largest {
    /// The position of a row's largest value; `None` when it saw none.
    pub(crate) fn position(&self, row: usize) -> Option<u32> {
        let (mut best, mut found) = (f32::NEG_INFINITY, None);
        for column in 0..PANEL {
            let value = self.value[row][column];
            if value > best {
                best = value;
                found = Some(self.panel[row][column] * PANEL as u32 + column as u32);
            }
        }
        found
    }
}

/// Says, as bits, which columns matter for each row of a tile.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn look<T: Product>(
    with: Instructions,
    products: &[[T; PANEL]; ROWS],
    columns: Columns<'_>,
    rows: &mut Rows,
    hits: &mut [u32; ROWS],
) {
    match with {
        // SAFETY: `with` names instructions that this machine was found to have.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { look_wide(products, columns, rows, hits) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { look_avx2(products, columns, rows, hits) },
        _ => look_body(products, columns, rows, hits),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
fn look_avx2<T: Product>(
    products: &[[T; PANEL]; ROWS],
    columns: Columns<'_>,
    rows: &mut Rows,
    hits: &mut [u32; ROWS],
) {
    use std::arch::x86_64::{
        _CMP_GE_OQ, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_max_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
    };
    const LANES: usize = 8;
    let none = _mm256_set1_ps(f32::NEG_INFINITY);
    hits.fill(0);
    for at in (0..PANEL).step_by(LANES) {
        // SAFETY: all lists have 32 numbers, of which eight begin at `at`.
        let (scales, tails, offsets) = unsafe {
            (
                _mm256_loadu_ps(columns.scales.as_ptr().add(at)),
                _mm256_loadu_ps(columns.tails.as_ptr().add(at)),
                _mm256_loadu_ps(columns.offsets.as_ptr().add(at)),
            )
        };
        for r in 0..ROWS {
            let product = T::eight(&products[r], at);
            let factor = _mm256_mul_ps(_mm256_set1_ps(rows.scale[r]), scales);
            let rest = _mm256_fmadd_ps(_mm256_set1_ps(rows.tail[r]), tails, offsets);
            let bound = _mm256_fmadd_ps(factor, product, rest);
            let hit = _mm256_cmp_ps::<_CMP_GE_OQ>(bound, _mm256_set1_ps(rows.threshold[r]));
            let under = _mm256_blendv_ps(bound, none, hit);
            // SAFETY: as above.
            unsafe {
                let passed = rows.passed[r].as_mut_ptr().add(at);
                // Of a NaN and a number the maximum is the second.
                _mm256_storeu_ps(passed, _mm256_max_ps(under, _mm256_loadu_ps(passed)));
            }
            hits[r] |= _mm256_movemask_ps(hit).cast_unsigned() << at;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[allow(unsafe_code)]
fn look_wide<T: Product>(
    products: &[[T; PANEL]; ROWS],
    columns: Columns<'_>,
    rows: &mut Rows,
    hits: &mut [u32; ROWS],
) {
    use std::arch::x86_64::{
        _CMP_GE_OQ, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_max_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };
    const HALF: usize = PANEL / 2;
    hits.fill(0);
    for half in 0..2 {
        let at = half * HALF;
        // SAFETY: all lists have 32 numbers; `at` is 0 or 16.
        let (scales, tails, offsets) = unsafe {
            (
                _mm512_loadu_ps(columns.scales.as_ptr().add(at)),
                _mm512_loadu_ps(columns.tails.as_ptr().add(at)),
                _mm512_loadu_ps(columns.offsets.as_ptr().add(at)),
            )
        };
        for r in 0..ROWS {
            let product = T::sixteen(&products[r], half);
            let factor = _mm512_mul_ps(_mm512_set1_ps(rows.scale[r]), scales);
            let rest = _mm512_fmadd_ps(_mm512_set1_ps(rows.tail[r]), tails, offsets);
            let bound = _mm512_fmadd_ps(factor, product, rest);
            let threshold = _mm512_set1_ps(rows.threshold[r]);
            let hit = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(bound, threshold);
            // SAFETY: as above.
            unsafe {
                let passed = rows.passed[r].as_mut_ptr().add(at);
                let old = _mm512_loadu_ps(passed);
                _mm512_storeu_ps(passed, _mm512_mask_max_ps(old, !hit, old, bound));
            }
            hits[r] |= u32::from(hit) << at;
        }
    }
}

dispatched! {
    /// Takes the approximate values of a tile of integer products in.
    fn largest_integers = largest_body(
        products: &[[i32; PANEL]; ROWS],
        columns: Columns<'_>,
        rows: &Rows,
        panel: u32,
        largest: &mut Largest,
    )
}

dispatched! {
    /// [`largest_integers`] for products in f32.
    fn largest_floats = largest_body(
        products: &[[f32; PANEL]; ROWS],
        columns: Columns<'_>,
        rows: &Rows,
        panel: u32,
        largest: &mut Largest,
    )
}

/// A product.
pub(crate) trait Product: Copy {
    /// As f32; integers are rounded.
    fn float(self) -> f32;

    /// The first or the second half of a row's products, as f32.
    #[cfg(target_arch = "x86_64")]
    fn sixteen(products: &[Self; PANEL], half: usize) -> std::arch::x86_64::__m512;

    /// Eight of a row's products from `at` on, as f32.
    #[cfg(target_arch = "x86_64")]
    fn eight(products: &[Self; PANEL], at: usize) -> std::arch::x86_64::__m256;
}

impl Product for i32 {
    #[inline(always)]
    fn float(self) -> f32 {
        self as f32
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    fn sixteen(products: &[Self; PANEL], half: usize) -> std::arch::x86_64::__m512 {
        use std::arch::x86_64::{_mm512_cvtepi32_ps, _mm512_loadu_si512};
        let half = &products[half * PANEL / 2..][..PANEL / 2];
        // SAFETY: called where the machine was found to have the instructions; `half` has 16 numbers.
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(half.as_ptr().cast())) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    fn eight(products: &[Self; PANEL], at: usize) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::{_mm256_cvtepi32_ps, _mm256_loadu_si256};
        let some = &products[at..][..8];
        // SAFETY: called where the machine was found to have the instructions; `some` has 8 numbers.
        unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(some.as_ptr().cast())) }
    }
}

impl Product for f32 {
    #[inline(always)]
    fn float(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    fn sixteen(products: &[Self; PANEL], half: usize) -> std::arch::x86_64::__m512 {
        let half = &products[half * PANEL / 2..][..PANEL / 2];
        // SAFETY: called where the machine was found to have the instructions; `half` has 16 numbers.
        unsafe { std::arch::x86_64::_mm512_loadu_ps(half.as_ptr()) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    fn eight(products: &[Self; PANEL], at: usize) -> std::arch::x86_64::__m256 {
        let some = &products[at..][..8];
        // SAFETY: called where the machine was found to have the instructions; `some` has 8 numbers.
        unsafe { std::arch::x86_64::_mm256_loadu_ps(some.as_ptr()) }
    }
}

#[inline(always)]
fn look_body<T: Product>(
    products: &[[T; PANEL]; ROWS],
    columns: Columns<'_>,
    rows: &mut Rows,
    hits: &mut [u32; ROWS],
) {
    for r in 0..ROWS {
        let (scale, tail, threshold) = (rows.scale[r], rows.tail[r], rows.threshold[r]);
        let (products, passed) = (&products[r], &mut rows.passed[r]);
        let mut reached = [0_u32; PANEL];
        for c in 0..PANEL {
            let bound = scale * columns.scales[c] * products[c].float()
                + tail * columns.tails[c]
                + columns.offsets[c];
            reached[c] = u32::from(bound >= threshold);
            let under = if bound >= threshold { f32::NEG_INFINITY } else { bound };
            passed[c] = if under > passed[c] { under } else { passed[c] };
        }
        let any = reached.iter().fold(0, |any, &reached| any | reached);
        hits[r] = 0;
        if any != 0 {
            let bits = reached.iter().enumerate().map(|(c, reached)| reached << c);
            hits[r] = bits.fold(0, |hits, bit| hits | bit);
        }
    }
}

#[inline(always)]
fn largest_body<T: Product>(
    products: &[[T; PANEL]; ROWS],
    columns: Columns<'_>,
    rows: &Rows,
    panel: u32,
    largest: &mut Largest,
) {
    for (r, products) in products.iter().enumerate() {
        let scale = rows.scale[r];
        let (best, at) = (&mut largest.value[r], &mut largest.panel[r]);
        for c in 0..PANEL {
            let value = scale * columns.scales[c] * products[c].float() + columns.offsets[c];
            at[c] = if value > best[c] { panel } else { at[c] };
            best[c] = if value > best[c] { value } else { best[c] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers};

    #[test]
    fn every_instruction_set_sees_what_is_there() {
        let numbers = numbers(ROWS * PANEL + 3 * PANEL, 5);
        let (of_columns, products) = numbers.split_at(3 * PANEL);
        let part = |i: usize| of_columns[i * PANEL..].first_chunk().unwrap();
        let columns = Columns { scales: part(0), tails: part(1), offsets: part(2) };
        let floats: [[f32; PANEL]; ROWS] =
            std::array::from_fn(|r| std::array::from_fn(|c| products[r * PANEL + c]));
        let whole = floats.map(|row| row.map(|x| (100.0 * x) as i32));
        for with in available() {
            let mut rows = Rows {
                scale: std::array::from_fn(|r| 0.1 * r as f32),
                tail: std::array::from_fn(|r| 0.2 * r as f32),
                threshold: std::array::from_fn(|r| 0.3 - 0.01 * r as f32),
                ..Rows::default()
            };
            let (mut hits, mut hits_of_floats) = ([9; ROWS], [9; ROWS]);
            let mut other = rows.clone();
            look(with, &whole, columns, &mut rows, &mut hits);
            let as_floats = whole.map(|row| row.map(|x| x as f32));
            look(with, &as_floats, columns, &mut other, &mut hits_of_floats);
            assert_eq!(hits, hits_of_floats, "{with:?}");
            let mut largest = Largest::default();
            largest_integers(with, &whole, columns, &rows, 3, &mut largest);
            for r in 0..ROWS {
                let bound = |c: usize| {
                    rows.scale[r] * columns.scales[c] * whole[r][c] as f32
                        + rows.tail[r] * columns.tails[c]
                        + columns.offsets[c]
                };
                let mut best = (0, f32::NEG_INFINITY);
                for c in 0..PANEL {
                    let hit = hits[r] >> c & 1 == 1;
                    assert!(
                        (bound(c) - rows.threshold[r]).abs() < 1e-5
                            || hit == (bound(c) >= rows.threshold[r])
                    );
                    assert!(hit || (rows.passed[r][c] - bound(c)).abs() < 1e-5);
                    let value = bound(c) - rows.tail[r] * columns.tails[c];
                    best = if value > best.1 { (c as u32, value) } else { best };
                }
                assert_eq!(largest.position(r), Some(3 * PANEL as u32 + best.0), "{with:?}");
            }
        }
        assert_eq!(Largest::default().position(0), None);
    }
}
