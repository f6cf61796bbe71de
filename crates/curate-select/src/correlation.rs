//! How two numbers of classes go together.

use crate::{SelectError, error::check_lengths};

/// Pearson's correlation of two numbers a class; classes where one of them is NaN do not count. `None` where fewer
/// than two are left, or one of the numbers is the same for all.
///
/// ```
/// use curate_select::pearson;
///
/// assert_eq!(pearson(&[1.0, 2.0, f64::NAN, 4.0], &[3.0, 2.0, 9.0, 0.0])?, Some(-1.0));
/// assert_eq!(pearson(&[1.0, 1.0], &[3.0, 2.0])?, None);
/// # Ok::<(), curate_select::SelectError>(())
/// ```
///
/// # Errors
/// When the two differ in length.
pub fn pearson(a: &[f64], b: &[f64]) -> Result<Option<f64>, SelectError> {
    check_lengths("a", a.len(), "b", b.len())?;
    let pairs: Vec<(f64, f64)> = a
        .iter()
        .copied()
        .zip(b.iter().copied())
        .filter(|(a, b)| !a.is_nan() && !b.is_nan())
        .collect();
    if pairs.len() < 2 {
        return Ok(None);
    }
    let n = pairs.len() as f64;
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let (mean_a, mean_b) = (sum(&|p| p.0) / n, sum(&|p| p.1) / n);
    let both = sum(&|p| (p.0 - mean_a) * (p.1 - mean_b));
    let (of_a, of_b) = (sum(&|p| (p.0 - mean_a).powi(2)), sum(&|p| (p.1 - mean_b).powi(2)));
    // One root rounds once; the product of very large or small numbers needs two.
    let product = of_a * of_b;
    let spread = if product.is_normal() { product.sqrt() } else { of_a.sqrt() * of_b.sqrt() };
    // Rounding can lift what is exactly in line above 1.
    Ok((spread > 0.0).then(|| (both / spread).clamp(-1.0, 1.0)))
}

/// Spearman's correlation: [`pearson`] of ranks, ties at their mean rank.
///
/// ```
/// assert_eq!(curate_select::spearman(&[1.0, 2.0, 3.0], &[1.0, 10.0, 1000.0])?, Some(1.0));
/// # Ok::<(), curate_select::SelectError>(())
/// ```
///
/// # Errors
/// When the two differ in length.
pub fn spearman(a: &[f64], b: &[f64]) -> Result<Option<f64>, SelectError> {
    check_lengths("a", a.len(), "b", b.len())?;
    let (a, b): (Vec<f64>, Vec<f64>) =
        a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan()).unzip();
    pearson(&ranks(&a), &ranks(&b))
}

fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&i, &j| numbers[i].total_cmp(&numbers[j]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&i, &j| numbers[i] == numbers[j]) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        before += tied.len();
    }
    ranks
}
