//! Statistics of a list of numbers that the claims are stated in.

/// Median of the values that are known; NaN for none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut known: Vec<f64> = values.into_iter().filter(|x| !x.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    let (Some(last), middle) = (known.len().checked_sub(1), known.len() / 2) else {
        return f64::NAN;
    };
    let (low, high) = (known[last / 2], known[middle]);
    low + (high - low) * 0.5
}

/// Root of the mean square.
pub(super) fn root_mean_square(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().map(|x| x * x).sum();
    (sum / values.len() as f64).sqrt()
}

/// Ranks from 0, ties sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let mean = before as f64 + 0.5 * (tied.len() - 1) as f64;
        tied.iter().for_each(|&i| ranks[i] = mean);
        before += tied.len();
    }
    ranks
}

/// Spearman's rank correlation; NaN if either side has no spread.
pub(super) fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = 0.5 * (a.len() as f64 - 1.0);
    let dot = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(p, q)| (p - mean) * (q - mean)).sum()
    };
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearman_by_hand_with_ties() {
        assert!((spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 40.0, 30.0]) - 0.8).abs() < 1e-15);
        assert!((spearman(&[1.0, 1.0, 2.0], &[1.0, 1.0, 5.0]) - 1.0).abs() < 1e-15);
        assert!(spearman(&[1.0, 1.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn medians_and_roots_by_hand() {
        assert_eq!(median([f64::NAN, 3.0, 1.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
        assert_eq!(root_mean_square(&[3.0, -3.0]), 3.0);
    }
}
