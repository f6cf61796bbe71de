//! Several scores as one.

use curate_core::{
    ParamsError, SampleId,
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

/// Scores of the same samples that lie in different orders: the ids of the first table, and for each
/// table the score of each of them; NaN where a table does not have the id. Of a repeated id the first
/// score counts.
///
/// # Panics
/// When ids and scores of a table differ in length.
pub fn join(tables: Vec<(Vec<SampleId>, Vec<f32>)>) -> (Vec<SampleId>, Vec<Vec<f32>>) {
    let ids = tables.first().map_or_else(Vec::new, |(ids, _)| ids.clone());
    let columns = tables.into_iter().map(|(there, scores)| {
        assert_eq!(there.len(), scores.len(), "one id for each score");
        if there == ids {
            return scores;
        }
        let mut order: Vec<usize> = (0..there.len()).collect();
        order.sort_by_key(|&row| there[row]);
        let find = |id: &SampleId| {
            let at = order.partition_point(|&row| there[row] < *id);
            order.get(at).filter(|&&row| there[row] == *id).map_or(f32::NAN, |&row| scores[row])
        };
        ids.iter().map(find).collect()
    });
    let columns = columns.collect();
    (ids, columns)
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
    #[test]
    fn tables_in_other_orders_are_joined_by_id() {
        let ids = |ids: &[u128]| ids.iter().copied().map(SampleId).collect::<Vec<_>>();
        let (found, columns) = join(vec![
            (ids(&[5, 1, 9]), vec![0.5, 0.1, 0.9]),
            (ids(&[9, 5, 9, 7]), vec![9.0, 5.0, 8.0, 7.0]),
        ]);
        assert_eq!(found, ids(&[5, 1, 9]));
        assert_eq!(columns[0], [0.5, 0.1, 0.9]);
        assert_eq!((columns[1][0], columns[1][2]), (5.0, 9.0));
        assert!(columns[1][1].is_nan());
        assert!(join(vec![]).0.is_empty());
    }
}
