//! From values to decisions: thresholds, fractions and exact counts with a total order.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::SampleId;

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

/// How many rows of a scored set to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Rows whose value is at least this good; an equal value is kept. Compared in f32.
    Threshold(f32),
    /// The best `floor(fraction * n)` of all `n` rows, rows without a score included in `n`.
    Fraction(f64),
    /// The best so many rows.
    Top(usize),
}

/// What a [`Cut`] decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// One flag for each row.
    pub kept: Vec<bool>,
    /// The value of the worst row kept, or the threshold itself; `None` when a count kept nothing.
    pub threshold: Option<f32>,
}

impl Cut {
    /// Decides on `scores`, one for each row, with ids for the ties.
    ///
    /// The order is total: better value first, then the smaller id, then the earlier row; a NaN is
    /// never kept. A count larger than the number of scored rows keeps all of them.
    ///
    /// # Panics
    /// When `scores` and `ids` differ in length.
    pub fn apply(self, scores: &[f32], ids: &[SampleId], direction: Direction) -> Outcome {
        assert_eq!(scores.len(), ids.len(), "one id for each score");
        match self {
            Self::Threshold(threshold) => at_least(scores, threshold, direction),
            Self::Fraction(fraction) => {
                best(scores, ids, fraction_of(scores.len(), fraction), direction)
            }
            Self::Top(count) => best(scores, ids, count, direction),
        }
    }
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

fn at_least(scores: &[f32], threshold: f32, direction: Direction) -> Outcome {
    let keeps = |score: &f32| match direction {
        Direction::HigherIsBetter => *score >= threshold,
        Direction::LowerIsBetter => *score <= threshold,
    };
    Outcome { kept: scores.iter().map(keeps).collect(), threshold: Some(threshold) }
}

fn best(scores: &[f32], ids: &[SampleId], count: usize, direction: Direction) -> Outcome {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| !scores[i].is_nan()).collect();
    let count = count.min(order.len());
    let mut kept = vec![false; scores.len()];
    let Some(last) = count.checked_sub(1) else {
        return Outcome { kept, threshold: None };
    };
    order.select_nth_unstable_by(last, |&a, &b| {
        better_first(scores[a], scores[b], direction)
            .then_with(|| ids[a].cmp(&ids[b]))
            .then(a.cmp(&b))
    });
    for &row in &order[..count] {
        kept[row] = true;
    }
    Outcome { kept, threshold: Some(scores[order[last]]) }
}

/// Orders two values, the better one first; -0 and 0 are equal, NaN sorts last.
pub fn better_first(a: f32, b: f32, direction: Direction) -> Ordering {
    let ascending = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    match direction {
        Direction::HigherIsBetter if !a.is_nan() && !b.is_nan() => ascending.reverse(),
        _ => ascending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).rev().map(SampleId).collect()
    }

    #[test]
    fn ties_go_to_the_smaller_id_and_nan_is_never_kept() {
        let scores = [1.0, f32::NAN, 2.0, 1.0];
        let top = |k| Cut::Top(k).apply(&scores, &ids(4), Direction::HigherIsBetter);
        assert_eq!(top(2).kept, [false, false, true, true]);
        assert_eq!(top(2).threshold, Some(1.0));
        assert_eq!(top(9).kept, [true, false, true, true]);
        assert_eq!(top(0), Outcome { kept: vec![false; 4], threshold: None });
    }

    #[test]
    fn a_fraction_counts_unscored_rows_and_lower_can_be_better() {
        let scores = [0.1, 0.2, f32::NAN, 0.4];
        let half = Cut::Fraction(0.5).apply(&scores, &ids(4), Direction::LowerIsBetter);
        assert_eq!(half.kept, [true, true, false, false]);
        assert_eq!(fraction_of(100, 0.29), 29);
        assert_eq!(fraction_of(10, 0.35), 3);
        assert_eq!(fraction_of(3, 1.0), 3);
    }

    #[test]
    fn a_threshold_keeps_equal_values_compared_in_f32() {
        let out = Cut::Threshold(0.28).apply(
            &[0.28, 0.279_999_9, f32::NAN],
            &ids(3),
            Direction::HigherIsBetter,
        );
        assert_eq!(out.kept, [true, false, false]);
        let out =
            Cut::Threshold(0.28).apply(&[0.28, 0.279, 0.3], &ids(3), Direction::LowerIsBetter);
        assert_eq!(out.kept, [true, true, false]);
    }

    #[test]
    fn no_rows_and_nothing_scored_are_no_trouble() {
        for cut in [Cut::Top(3), Cut::Fraction(0.5), Cut::Threshold(0.0)] {
            assert!(cut.apply(&[], &[], Direction::HigherIsBetter).kept.is_empty());
            assert_eq!(cut.apply(&[f32::NAN], &ids(1), Direction::HigherIsBetter).kept, [false]);
        }
    }
}
