//! Several scores as one.

use curate_core::{
    ParamsError,
    params::Checker,
    rank::{Direction, better_first},
};

/// The rank of each score as a share: 1 for the best, 0 for the worst, equal scores the mean of
/// their ranks. A NaN stays a NaN.
pub fn ranks(scores: &[f32], direction: Direction) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| !scores[i].is_nan()).collect();
    order.sort_by(|&a, &b| better_first(scores[a], scores[b], direction).then(a.cmp(&b)));
    let last = order.len().saturating_sub(1).max(1) as f64;
    let mut ranks = vec![f64::NAN; scores.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let middle = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&row| ranks[row] = 1.0 - middle / last);
        first += equal.len();
    }
    ranks
}

/// The weighted mean of the ranks of several scores of the same rows; NaN where one of them is.
///
/// Ranks and not values: the scores of two networks have different spreads, and the wider one would
/// decide alone.
///
/// # Errors
/// When there is no score, the scores differ in length, or a weight is not above 0.
pub fn by_rank(scores: &[(&[f32], Direction, f64)]) -> Result<Vec<f32>, ParamsError> {
    let mut check = Checker::default();
    check.that(!scores.is_empty(), "scores", scores.len(), "at least one");
    let rows = scores.first().map_or(0, |(values, ..)| values.len());
    for (values, _, weight) in scores {
        check.that(values.len() == rows, "scores", values.len(), "as long as the first");
        check.that(weight.is_finite() && *weight > 0.0, "weight", weight, "a number above 0");
    }
    check.finish()?;
    let total: f64 = scores.iter().map(|(.., weight)| weight).sum();
    let mut sums = vec![0.0_f64; rows];
    for (values, direction, weight) in scores {
        let ranks = ranks(values, *direction);
        sums.iter_mut().zip(ranks).for_each(|(sum, rank)| *sum += weight / total * rank);
    }
    Ok(sums.into_iter().map(|sum| sum as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{HigherIsBetter, LowerIsBetter};

    #[test]
    fn equal_scores_share_their_rank_and_nan_has_none() {
        let found = ranks(&[3.0, 1.0, f32::NAN, 3.0, 2.0], HigherIsBetter);
        assert_eq!((found[0], found[3]), (1.0 - 0.5 / 3.0, 1.0 - 0.5 / 3.0));
        assert_eq!((found[1], found[4]), (0.0, 1.0 - 2.0 / 3.0));
        assert!(found[2].is_nan());
        assert_eq!(ranks(&[1.0, 2.0], LowerIsBetter), [1.0, 0.0]);
        assert_eq!(ranks(&[5.0], HigherIsBetter), [1.0]);
    }

    #[test]
    fn an_ensemble_is_the_mean_of_ranks() {
        let (a, b) = ([1.0, 2.0, 3.0], [100.0, 0.0, -1.0]);
        let equal = by_rank(&[(&a, HigherIsBetter, 1.0), (&b, HigherIsBetter, 1.0)]).unwrap();
        assert_eq!(equal, [0.5; 3]);
        let first = by_rank(&[(&a, HigherIsBetter, 3.0), (&b, HigherIsBetter, 1.0)]).unwrap();
        assert!(first[2] > first[1] && first[1] > first[0]);
        assert!(by_rank(&[]).is_err());
        assert!(by_rank(&[(&a, HigherIsBetter, 0.0), (&b[..2], HigherIsBetter, 1.0)]).is_err());
    }
}
