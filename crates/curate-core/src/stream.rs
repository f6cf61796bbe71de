//! Decisions over rows that are too many to hold, in passes: the same as if all were held.
//!
//! - [`StreamedCut`]: what a [`Cut`] keeps, ties by id.
//! - [`score_at`]: the score at a place from the top, ties not told apart, in parallel.
//! - [`Guess`]: where that score probably lies, so that one pass suffices.
//!
//! All three stand on keys that are ordered as their scores ([`Score`]) and one search, which counts
//! keys digit by digit.

mod guess;
mod key;
mod search;

pub use guess::{Guess, Side};
pub use search::score_at;

use std::cmp::Ordering;

use crate::{
    SampleId,
    rank::{Cut, CutError, Direction, fraction_of, similarity_threshold},
    score::Score,
};

use key::{Digits, Row, SCORE_DIGITS};
use search::Search;

/// Which rows a [`Cut`] keeps, found without holding them.
///
/// ```
/// use curate_core::{Cut, CutError, SampleId, rank::Direction, stream::StreamedCut};
///
/// let rows = || [0.2, 0.9, f32::NAN, 0.5].into_iter().zip([7_u64, 8, 9, 3].map(SampleId::from));
/// let mut cut = StreamedCut::find(Cut::Top(2), Direction::HigherIsBetter, |each| {
///     rows().for_each(|(score, id)| each(score, id));
///     Ok::<(), CutError>(())
/// })?;
/// assert_eq!(cut.threshold, Some(0.5));
/// let kept: Vec<bool> = rows().map(|(score, id)| cut.keeps(score, id)).collect();
/// assert_eq!(kept, [false, true, false, true]);
/// # Ok::<(), CutError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StreamedCut {
    direction: Direction,
    rule: Rule,
    /// The value of the worst row kept, or the threshold itself; `None` when a count kept nothing.
    pub threshold: Option<f32>,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Nothing,
    Scored,
    Threshold(f32),
    /// Rows whose first digits are greater, and the first `equal` of those where they are the same.
    Digits {
        known: Row,
        digits: usize,
        equal: u64,
    },
}

impl StreamedCut {
    /// Finds what a cut keeps of rows that `read` hands out, in the same order each time it is
    /// called: at most eleven times, three where no two rows at the limit have the same score. Memory:
    /// 65,536 counters.
    ///
    /// # Errors
    /// When the cut is out of range or does not fit the scores, and those of `read`.
    pub fn find<E: From<CutError>>(
        cut: Cut,
        direction: Direction,
        mut read: impl FnMut(&mut dyn FnMut(f32, SampleId)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (mut rows, mut scored) = (0_usize, 0_usize);
        let keep = |rule, threshold| Self { direction, rule, threshold };
        match cut.check().map_err(CutError::from)? {
            Cut::Threshold(threshold) => {
                let threshold = threshold as f32;
                return Ok(keep(Rule::Threshold(threshold), Some(threshold)));
            }
            Cut::Epsilon(epsilon) if direction == Direction::HigherIsBetter => {
                return Err(CutError::NoSimilarity { epsilon }.into());
            }
            Cut::Epsilon(epsilon) => {
                let threshold = similarity_threshold(epsilon);
                return Ok(keep(Rule::Threshold(threshold), Some(threshold)));
            }
            Cut::Fraction(_) | Cut::Top(_) => {}
        }
        let mut worst: Option<f32> = None;
        read(&mut |score, _| {
            rows += 1;
            if !score.is_nan() {
                scored += 1;
                let worse = worst.is_none_or(|w| key(score, direction) < key(w, direction));
                worst = if worse { Some(score) } else { worst };
            }
        })?;
        let count = match cut {
            Cut::Fraction(fraction) => fraction_of(rows, fraction),
            Cut::Top(count) => count,
            Cut::Threshold(_) | Cut::Epsilon(_) => unreachable!("answered above"),
        };
        if count == 0 || scored == 0 {
            return Ok(keep(Rule::Nothing, None));
        }
        if count >= scored {
            return Ok(keep(Rule::Scored, worst));
        }
        let Some((rule, threshold)) = place(count as u64 - 1, direction, &mut read)? else {
            return Ok(keep(Rule::Scored, worst));
        };
        Ok(keep(rule, threshold))
    }

    /// Whether a row is kept. Rows must come in the order of [`StreamedCut::find`], each once: of rows with
    /// one id and one score the earlier are kept.
    pub fn keeps(&mut self, score: f32, id: SampleId) -> bool {
        if score.is_nan() {
            return false;
        }
        match &mut self.rule {
            Rule::Nothing => false,
            Rule::Scored => true,
            Rule::Threshold(threshold) => match self.direction {
                Direction::HigherIsBetter => score >= *threshold,
                Direction::LowerIsBetter => score <= *threshold,
            },
            Rule::Digits { known, digits, equal } => {
                let row = Row::new(key(score, self.direction), id);
                match row.first(*digits).cmp(known) {
                    Ordering::Greater => true,
                    Ordering::Less => false,
                    Ordering::Equal => {
                        let left = *equal > 0;
                        *equal = equal.saturating_sub(1);
                        left
                    }
                }
            }
        }
    }
}

/// The rule that keeps the row with `above` rows before it, and all of those; with the row's score.
/// `None` beyond the last row, as when `read` gave fewer rows than before.
fn place<E>(
    above: u64,
    direction: Direction,
    read: &mut impl FnMut(&mut dyn FnMut(f32, SampleId)) -> Result<(), E>,
) -> Result<Option<(Rule, Option<f32>)>, E> {
    let mut search = Search::<Row>::of(above);
    while !search.is_done() {
        let mut counts = search.counts();
        read(&mut |score, id| {
            let row = (!score.is_nan()).then(|| Row::new(key(score, direction), id));
            counts.add(row.into_iter());
        })?;
        let Some(sharing) = search.settle(&counts) else { return Ok(None) };
        // Where all rows that share the digits stay, no further digit can tell them apart.
        if search.digits() >= SCORE_DIGITS && sharing == search.above() + 1 {
            break;
        }
    }
    let (known, digits, equal) = (search.known(), search.digits(), search.above() + 1);
    Ok(Some((Rule::Digits { known, digits, equal }, score_of(known.score, direction))))
}

/// A number that is larger for a better score.
fn key(score: f32, direction: Direction) -> u32 {
    match direction {
        Direction::HigherIsBetter => score.key(),
        Direction::LowerIsBetter => !score.key(),
    }
}

fn score_of(key: u32, direction: Direction) -> Option<f32> {
    f32::of_key(match direction {
        Direction::HigherIsBetter => key,
        Direction::LowerIsBetter => !key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use Direction::{HigherIsBetter, LowerIsBetter};

    fn streamed(
        cut: Cut,
        scores: &[f32],
        ids: &[SampleId],
        direction: Direction,
    ) -> (Vec<bool>, Option<f32>, usize) {
        let mut passes = 0;
        let mut keep = StreamedCut::find(cut, direction, |each| {
            passes += 1;
            scores.iter().zip(ids).for_each(|(&score, &id)| each(score, id));
            Ok::<(), CutError>(())
        })
        .unwrap();
        let kept = scores.iter().zip(ids).map(|(&s, &id)| keep.keeps(s, id)).collect();
        (kept, keep.threshold, passes)
    }

    /// Many ties, repeated ids, gaps: the decision of [`Cut::apply`] for every count.
    #[test]
    fn a_streamed_cut_decides_as_one_in_memory() {
        for (levels, ids) in [(1000, 1_u64 << 60), (4, 1 << 60), (4, 3), (1, 2)] {
            let draw = |name: &str, i: u128, n: u64| {
                random::hash(random::derive(9, name), SampleId(i)) % n
            };
            let scores: Vec<f32> = (0..300)
                .map(|i| match draw("score", i, levels + 1) {
                    0 => f32::NAN,
                    level => (level as f32 - levels as f32 / 2.0) * 0.1,
                })
                .collect();
            let ids: Vec<SampleId> =
                (0..300).map(|i| SampleId::from_halves(draw("id", i, ids), 7)).collect();
            let tops = [0, 1, 2, 150, 297, 300, 999].map(Cut::Top);
            let cuts = tops.into_iter().chain([Cut::Fraction(0.15), Cut::Threshold(0.1)]);
            for cut in cuts {
                for direction in [HigherIsBetter, LowerIsBetter] {
                    let expected = cut.apply(&scores, &ids, direction).unwrap();
                    let expected_kept: Vec<bool> =
                        (0..scores.len()).map(|row| expected.kept.contains(row)).collect();
                    let (kept, threshold, _) = streamed(cut, &scores, &ids, direction);
                    assert_eq!(kept, expected_kept, "{cut:?} {direction:?} {levels}");
                    assert_eq!(
                        threshold.map(f64::from),
                        expected.threshold,
                        "{cut:?} {direction:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn different_scores_take_three_passes_and_equal_ones_a_few_more() {
        let ids: Vec<SampleId> = (0..1000).map(SampleId).collect();
        let scores: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        assert_eq!(streamed(Cut::Top(10), &scores, &ids, HigherIsBetter).2, 3);
        let equal = [0.5; 1000];
        let (kept, _, passes) = streamed(Cut::Top(10), &equal, &ids, HigherIsBetter);
        assert_eq!((kept.iter().filter(|kept| **kept).count(), passes), (10, 11));
        assert!(kept[..10].iter().all(|kept| *kept), "the smaller ids");
    }

    #[test]
    fn zeros_of_either_sign_are_equal_and_nothing_is_no_trouble() {
        let ids = [SampleId(2), SampleId(1)];
        let (kept, threshold, _) = streamed(Cut::Top(1), &[0.0, -0.0], &ids, HigherIsBetter);
        assert_eq!((kept, threshold), (vec![false, true], Some(0.0)));
        assert_eq!(streamed(Cut::Top(3), &[], &[], LowerIsBetter), (vec![], None, 1));
    }
}
