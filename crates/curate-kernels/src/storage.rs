//! Vectors stored in 16 bits, computed with in f32.

use half::{bf16, f16, slice::HalfFloatSliceExt};
use rayon::prelude::*;

use crate::{Centroids, Earlier, Nearest, max_earlier};

/// Rows that are widened at a time.
const TASK: usize = 768;

/// Numbers as they are stored. Every one of them is an f32 too, so answers are those of the widened
/// numbers to the bit.
pub trait Stored: Copy + Send + Sync {
    /// Writes the numbers as f32.
    ///
    /// # Panics
    /// When the lengths differ.
    fn widen(stored: &[Self], out: &mut [f32]);
}

impl Stored for f32 {
    fn widen(stored: &[Self], out: &mut [f32]) {
        out.copy_from_slice(stored);
    }
}

impl Stored for f16 {
    fn widen(stored: &[Self], out: &mut [f32]) {
        stored.convert_to_f32_slice(out);
    }
}

impl Stored for bf16 {
    fn widen(stored: &[Self], out: &mut [f32]) {
        stored.convert_to_f32_slice(out);
    }
}

impl Centroids {
    /// [`Self::nearest_parallel`] for rows in f16, bf16 or f32, widened a few at a time.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn nearest_stored<T: Stored>(&self, rows: &[T], out: &mut [Nearest]) {
        assert_eq!(rows.len(), out.len() * self.dim, "one answer for each row");
        out.par_chunks_mut(TASK).zip(rows.par_chunks((TASK * self.dim).max(1))).for_each_init(
            Vec::new,
            |wide, (out, rows)| {
                wide.resize(rows.len(), 0.0);
                T::widen(rows, wide);
                self.nearest(wide, out);
            },
        );
    }
}

/// [`max_earlier`] for rows in f16, bf16 or f32, which are widened together.
///
/// # Panics
/// When `rows` is not a whole number of vectors.
pub fn max_earlier_stored<T: Stored>(rows: &[T], dim: usize) -> Vec<Earlier> {
    let mut wide = vec![0.0; rows.len()];
    T::widen(rows, &mut wide);
    max_earlier(&wide, dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    fn check<T: Stored>(rows: &[T], wide: &[f32], dim: usize) {
        let centroids = Centroids::new(&numbers(70 * dim, 5), dim, None);
        let n = rows.len() / dim;
        let (mut stored, mut expected) = (vec![Nearest::default(); n], vec![Nearest::default(); n]);
        centroids.nearest_stored(rows, &mut stored);
        centroids.nearest(wide, &mut expected);
        assert_eq!(stored, expected);
        assert_eq!(max_earlier_stored(rows, dim), max_earlier(wide, dim));
    }

    #[test]
    fn sixteen_bits_give_the_answers_of_their_widened_numbers() {
        let (n, dim) = (900, 40);
        let exact = numbers(n * dim, 1);
        check(&exact, &exact, dim);
        let halves: Vec<f16> = exact.iter().map(|&x| f16::from_f32(x)).collect();
        check(&halves, &halves.iter().map(|x| x.to_f32()).collect::<Vec<_>>(), dim);
        let brains: Vec<bf16> = exact.iter().map(|&x| bf16::from_f32(x)).collect();
        check(&brains, &brains.iter().map(|x| x.to_f32()).collect::<Vec<_>>(), dim);
    }
}
