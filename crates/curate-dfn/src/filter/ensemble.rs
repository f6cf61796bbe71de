//! Several scores as one.

use curate_core::{
    ParamsError, SampleId,
    params::Checker,
    rank::{Direction, better_first},
    score::Score,
};

use crate::filter::{FilterError, ScoreTable};

/// The rank of each score as a share: 1 for the best, 0 for the worst, equal scores the mean of
/// their ranks. A NaN stays a NaN.
pub fn ranks<S: Score>(scores: &[S], direction: Direction) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| !scores[i].is_missing()).collect();
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

/// A score in an ensemble.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member<'a, S> {
    /// The score of each row; NaN where there is none.
    pub scores: &'a [S],
    /// Which end is the good one.
    pub direction: Direction,
    /// How much it counts, beside the weights of the others.
    pub weight: f64,
}

impl<'a, S: Score> Member<'a, S> {
    /// A score of which the higher is the better, of weight 1.
    pub fn new(scores: &'a [S]) -> Self {
        Self { scores, direction: Direction::HigherIsBetter, weight: 1.0 }
    }
}

/// The weighted mean of the ranks of several scores of the same rows; NaN where one of them is.
///
/// Ranks and not values: the scores of two networks have different spreads, and the wider one would
/// decide alone.
///
/// # Errors
/// When there is no score, the scores differ in length, or a weight is not above 0.
pub fn by_rank<S: Score>(members: &[Member<'_, S>]) -> Result<Vec<f64>, ParamsError> {
    let mut check = Checker::default();
    check.that(!members.is_empty(), "members", members.len(), "at least one");
    let rows = members.first().map_or(0, |member| member.scores.len());
    for Member { scores, weight, .. } in members {
        check.that(scores.len() == rows, "scores", scores.len(), "as long as the first");
        check.that(weight.is_finite() && *weight > 0.0, "weight", weight, "a number above 0");
    }
    check.finish()?;
    let total: f64 = members.iter().map(|member| member.weight).sum();
    let mut sums = vec![0.0_f64; rows];
    for member in members {
        let ranks = ranks(member.scores, member.direction);
        sums.iter_mut().zip(ranks).for_each(|(sum, rank)| *sum += member.weight / total * rank);
    }
    Ok(sums)
}

/// Several scores of the same samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// The ids, in the order of the first table.
    pub ids: Vec<SampleId>,
    /// For each table the score of each id; NaN where the table does not have it.
    pub scores: Vec<Vec<f64>>,
}

/// Scores of the same samples that lie in different orders, by the ids of the first table. Of a
/// repeated id the first score counts.
///
/// # Errors
/// When ids and scores of a table differ in length.
pub fn join(tables: Vec<ScoreTable<f64>>) -> Result<Joined, FilterError> {
    for ScoreTable { ids, scores } in &tables {
        FilterError::unless_rows("scores", scores.len(), ids.len())?;
    }
    let ids = tables.first().map_or_else(Vec::new, |table| table.ids.clone());
    let scores = tables.into_iter().map(|ScoreTable { ids: there, scores }| {
        if there == ids {
            return scores;
        }
        let mut order: Vec<usize> = (0..there.len()).collect();
        order.sort_by_key(|&row| there[row]);
        let find = |id: &SampleId| {
            let at = order.partition_point(|&row| there[row] < *id);
            order.get(at).filter(|&&row| there[row] == *id).map_or(f64::NAN, |&row| scores[row])
        };
        ids.iter().map(find).collect()
    });
    let scores = scores.collect();
    Ok(Joined { ids, scores })
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
        let (a, b) = (Member::new(&a), Member::new(&b));
        assert_eq!(by_rank(&[a, b]).unwrap(), [0.5; 3]);
        let first = by_rank(&[Member { weight: 3.0, ..a }, b]).unwrap();
        assert!(first[2] > first[1] && first[1] > first[0]);
        assert!(by_rank::<f32>(&[]).is_err());
        let short = Member { scores: &b.scores[..2], ..b };
        let error = by_rank(&[Member { weight: 0.0, ..a }, short]).unwrap_err();
        assert_eq!(error.violations.len(), 2, "{error}");
    }

    #[test]
    fn tables_in_other_orders_are_joined_by_id() {
        let ids = |ids: &[u128]| ids.iter().copied().map(SampleId).collect::<Vec<_>>();
        let table =
            |all: &[u128], scores: &[f64]| ScoreTable { ids: ids(all), scores: scores.to_vec() };
        let first = table(&[5, 1, 9], &[0.5, 0.1, 0.9]);
        let second = table(&[9, 5, 9, 7], &[9.0, 5.0, 8.0, 7.0]);
        let Joined { ids: found, scores } = join(vec![first, second]).unwrap();
        assert_eq!(found, ids(&[5, 1, 9]));
        assert_eq!(scores[0], [0.5, 0.1, 0.9]);
        assert_eq!((scores[1][0], scores[1][2]), (5.0, 9.0));
        assert!(scores[1][1].is_nan());
        assert!(join(vec![]).unwrap().ids.is_empty());
        assert!(join(vec![table(&[1, 2], &[0.5])]).is_err());
    }
}
