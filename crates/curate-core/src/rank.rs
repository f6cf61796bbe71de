//! From values to decisions: thresholds, fractions and exact counts with a total order.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    ParamsError, SampleId, ScoreColumn, Selection, SourceError,
    params::Checker,
    score::{Score, nearest_half},
};

/// Which end of a score is the good one.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A larger value is a better row.
    #[default]
    HigherIsBetter,
    /// A smaller value is a better row.
    LowerIsBetter,
}

/// How many rows of a judged set to keep: the one vocabulary of every method, stage and command.
///
/// ```
/// use curate_core::Cut;
///
/// assert!(Cut::Fraction(0.3).check().is_ok());
/// let error = Cut::Epsilon(2.5).check().unwrap_err();
/// assert_eq!(error.to_string(), "`epsilon` is 2.5, but must be a number from 0 to 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Rows whose value is at least this good; an equal value is kept. Compared in the precision of the
    /// scores, to which the threshold is rounded.
    Threshold(f64),
    /// The best `floor(fraction * n)` of all `n` rows, rows without a score included in `n`.
    Fraction(f64),
    /// This many of the best rows.
    Top(usize),
    /// Rows whose similarity to a preferred row is at most `1 - epsilon` (SemDeDup, arXiv
    /// 2303.09540). Fits only similarities, of which the lower is the better. At most 1: a row that
    /// nothing is preferred to has the similarity 0, and would go for nothing.
    Epsilon(f64),
}

/// What a [`Cut`] decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The places of the scores that stay.
    pub kept: Selection,
    /// The value of the worst row kept, or the threshold itself; `None` when a count kept nothing.
    pub threshold: Option<f64>,
}

/// A cut could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The cut itself is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The number of ids is not the number of scores.
    #[error("{ids} ids for {scores} scores: give one id for each score")]
    IdsMismatch {
        /// Ids given.
        ids: usize,
        /// Scores given.
        scores: usize,
    },
    /// An epsilon bounds a similarity to a preferred row; other numbers have none.
    #[error(
        "`epsilon` = {epsilon} bounds the similarity to a preferred row, which these rows do not \
         have: give a threshold, a fraction or a count"
    )]
    NoSimilarity {
        /// The epsilon asked for.
        epsilon: f64,
    },
}

impl From<CutError> for SourceError {
    fn from(error: CutError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold(threshold) => write!(f, "threshold {threshold}"),
            Self::Fraction(fraction) => write!(f, "fraction {fraction}"),
            Self::Top(count) => write!(f, "top {count}"),
            Self::Epsilon(epsilon) => write!(f, "epsilon {epsilon}"),
        }
    }
}

impl Cut {
    /// The same cut, when its number is in range.
    ///
    /// # Errors
    /// When a threshold is NaN, a fraction lies outside `[0, 1]`, or an epsilon outside `[0, 1]`.
    pub fn check(self) -> Result<Self, ParamsError> {
        let mut check = Checker::default();
        match self {
            Self::Threshold(t) => check.that(!t.is_nan(), "threshold", t, "a number"),
            Self::Fraction(f) => {
                check.that((0.0..=1.0).contains(&f), "fraction", f, "a number from 0 to 1");
            }
            Self::Epsilon(e) => {
                check.that((0.0..=1.0).contains(&e), "epsilon", e, "a number from 0 to 1");
            }
            Self::Top(_) => {}
        }
        check.finish().map(|()| self)
    }

    /// Decides on `scores`, one for each row, with ids for the ties.
    ///
    /// The order is total: better value first, then the smaller id, then the earlier row; a NaN is
    /// never kept. A count larger than the number of scored rows keeps all of them.
    ///
    /// # Errors
    /// When the cut is out of range or does not fit the scores, or there is not one id for each.
    pub fn apply<S: Score>(
        self,
        scores: &[S],
        ids: &[SampleId],
        direction: Direction,
    ) -> Result<Outcome, CutError> {
        if scores.len() != ids.len() {
            return Err(CutError::IdsMismatch { ids: ids.len(), scores: scores.len() });
        }
        Ok(match self.check()? {
            Self::Threshold(threshold) => at_least(scores, S::nearest(threshold), direction),
            Self::Fraction(fraction) => {
                best(scores, ids, fraction_of(scores.len(), fraction), direction)
            }
            Self::Top(count) => best(scores, ids, count, direction),
            Self::Epsilon(epsilon) if direction == Direction::HigherIsBetter => {
                return Err(CutError::NoSimilarity { epsilon });
            }
            Self::Epsilon(epsilon) => {
                let threshold = S::nearest(similarity_threshold(epsilon).into());
                at_least(scores, threshold, direction)
            }
        })
    }
}

impl Cut {
    /// A threshold as numpy compares it with halves. Epsilons are compared as with singles.
    fn rounded_to_half(self) -> Self {
        match self {
            Self::Threshold(threshold) => Self::Threshold(nearest_half(threshold).into()),
            other => other,
        }
    }
}

impl ScoreColumn {
    /// What a cut keeps of these scores, compared in their own precision, with an id for each.
    ///
    /// # Errors
    /// As [`Cut::apply`].
    pub fn cut(
        &self,
        cut: Cut,
        ids: &[SampleId],
        direction: Direction,
    ) -> Result<Outcome, CutError> {
        match self {
            Self::Half(numbers) => cut.rounded_to_half().apply(numbers, ids, direction),
            Self::Single(numbers) => cut.apply(numbers, ids, direction),
            Self::Double(numbers) => cut.apply(numbers, ids, direction),
        }
    }
}

/// The similarity above which `epsilon` removes a row: `1 - epsilon` in f64, rounded to f32 as
/// SemDeDup's published code compares it.
pub fn similarity_threshold(epsilon: f64) -> f32 {
    (1.0 - epsilon) as f32
}

/// `floor(fraction * n)`, where a product within rounding of a whole number counts as that number
/// (0.29 of 100 is 29, although the product in binary is 28.999…).
pub fn fraction_of(n: usize, fraction: f64) -> usize {
    let exact = fraction * n as f64;
    let nearest = exact.round();
    let count =
        if (exact - nearest).abs() <= 1e-9 * nearest.max(1.0) { nearest } else { exact.floor() };
    (count.max(0.0) as usize).min(n)
}

fn at_least<S: Score>(scores: &[S], threshold: S, direction: Direction) -> Outcome {
    let keeps = |score: &S| match direction {
        Direction::HigherIsBetter => *score >= threshold,
        Direction::LowerIsBetter => *score <= threshold,
    };
    let kept = (0..scores.len()).filter(|&row| keeps(&scores[row])).collect();
    Outcome { kept, threshold: Some(threshold.into()) }
}

fn best<S: Score>(scores: &[S], ids: &[SampleId], count: usize, direction: Direction) -> Outcome {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| !scores[i].is_missing()).collect();
    let count = count.min(order.len());
    let Some(last) = count.checked_sub(1) else {
        return Outcome { kept: Selection::default(), threshold: None };
    };
    order.select_nth_unstable_by(last, |&a, &b| {
        better_first(scores[a], scores[b], direction)
            .then_with(|| ids[a].cmp(&ids[b]))
            .then(a.cmp(&b))
    });
    let threshold = Some(scores[order[last]].into());
    order.truncate(count);
    Outcome { kept: Selection::from_unsorted(order), threshold }
}

/// Orders two values, the better one first; -0 and 0 are equal, NaN sorts last.
pub fn better_first<S: Score>(a: S, b: S, direction: Direction) -> Ordering {
    let (a_missing, b_missing) = (a.is_missing(), b.is_missing());
    let ascending = a.partial_cmp(&b).unwrap_or_else(|| a_missing.cmp(&b_missing));
    match direction {
        Direction::HigherIsBetter if !a_missing && !b_missing => ascending.reverse(),
        _ => ascending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).rev().map(SampleId).collect()
    }

    fn cut<S: Score>(cut: Cut, scores: &[S], direction: Direction) -> (Vec<usize>, Option<f64>) {
        let outcome = cut.apply(scores, &ids(scores.len()), direction).unwrap();
        (outcome.kept.rows().to_vec(), outcome.threshold)
    }

    #[test]
    fn ties_go_to_the_smaller_id_and_nan_is_never_kept() {
        let top = |k| cut(Cut::Top(k), &[1.0, f32::NAN, 2.0, 1.0], Direction::HigherIsBetter);
        assert_eq!(top(2), (vec![2, 3], Some(1.0)));
        assert_eq!(top(9).0, [0, 2, 3]);
        assert_eq!(top(0), (vec![], None));
    }

    #[test]
    fn a_fraction_counts_unscored_rows_and_lower_can_be_better() {
        let scores = [0.1, 0.2, f32::NAN, 0.4];
        assert_eq!(cut(Cut::Fraction(0.5), &scores, Direction::LowerIsBetter).0, [0, 1]);
        assert_eq!(fraction_of(100, 0.29), 29);
        assert_eq!(fraction_of(10, 0.35), 3);
        assert_eq!(fraction_of(3, 1.0), 3);
    }

    #[test]
    fn a_threshold_keeps_equal_values_compared_as_the_scores_are() {
        let scores = [0.28_f32, 0.279_999_9, f32::NAN];
        assert_eq!(cut(Cut::Threshold(0.28), &scores, Direction::HigherIsBetter).0, [0]);
        let scores = [0.28, 0.279, 0.3];
        assert_eq!(cut(Cut::Threshold(0.28), &scores, Direction::LowerIsBetter).0, [0, 1]);
        // 0.1 in half precision is a little less than 0.1, and numpy keeps it.
        let halves = ScoreColumn::Half(vec![0.099_975_586, 0.099_914_55]);
        let ids = [1, 2].map(SampleId);
        let kept = |cut| halves.cut(cut, &ids, Direction::HigherIsBetter).unwrap().kept;
        assert_eq!(kept(Cut::Threshold(0.1)).rows(), [0]);
        assert_eq!(kept(Cut::Threshold(0.09993)).rows(), [0, 1]);
        assert_eq!(kept(Cut::Top(1)).rows(), [0]);
        // 0.7 in single precision is a little less than 0.7.
        assert_eq!(cut(Cut::Threshold(0.7), &[0.7_f32], Direction::HigherIsBetter).0, [0]);
        let widened = [f64::from(0.7_f32), 0.7, 0.7 + 1e-9];
        assert_eq!(cut(Cut::Threshold(0.7), &widened, Direction::HigherIsBetter).0, [1, 2]);
        assert_eq!(cut(Cut::Top(1), &widened, Direction::HigherIsBetter).0, [2]);
    }

    #[test]
    fn an_epsilon_bounds_similarities_and_nothing_else() {
        let similarity = [0.96_f32, 0.95, 0.0];
        let (kept, threshold) = cut(Cut::Epsilon(0.05), &similarity, Direction::LowerIsBetter);
        assert_eq!((kept, threshold), (vec![1, 2], Some(f64::from(0.95_f32))));
        let error = Cut::Epsilon(0.05).apply(&[0.5], &ids(1), Direction::HigherIsBetter);
        assert_eq!(error, Err(CutError::NoSimilarity { epsilon: 0.05 }));
    }

    #[test]
    fn what_is_out_of_range_is_an_error_that_names_it() {
        let bad = [
            (Cut::Threshold(f64::NAN), "threshold"),
            (Cut::Fraction(-1.0), "fraction"),
            (Cut::Fraction(1.5), "fraction"),
            (Cut::Fraction(f64::NAN), "fraction"),
            (Cut::Epsilon(f64::NAN), "epsilon"),
            (Cut::Epsilon(1.1), "epsilon"),
            (Cut::Epsilon(-1.0), "epsilon"),
        ];
        for (cut, field) in bad {
            let error = cut.apply(&[0.5], &ids(1), Direction::LowerIsBetter).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{field}` is ")), "{cut:?}: {error}");
        }
        let error = Cut::Top(1).apply(&[0.5], &[], Direction::LowerIsBetter).unwrap_err();
        assert_eq!(error, CutError::IdsMismatch { ids: 0, scores: 1 });
    }

    #[test]
    fn no_rows_and_nothing_scored_are_no_trouble() {
        for some in [Cut::Top(3), Cut::Fraction(0.5), Cut::Threshold(0.0)] {
            assert!(cut::<f64>(some, &[], Direction::HigherIsBetter).0.is_empty());
            assert!(cut(some, &[f32::NAN], Direction::HigherIsBetter).0.is_empty());
        }
    }
}
