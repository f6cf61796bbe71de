//! Cuts over rows that are too many to hold: the same decision as [`Cut::apply`], in passes.

use crate::{
    SampleId,
    rank::{Cut, CutError, Direction, fraction_of, similarity_threshold},
};

/// Bits that a pass settles.
const BITS: u32 = 16;
/// Passes that settle a score, and those that settle an id.
const SCORE_PASSES: usize = 32 / BITS as usize;
const PASSES: usize = SCORE_PASSES + 128 / BITS as usize;

/// Which rows a [`Cut`] keeps, found without holding them.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
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
    /// Rows whose first digits are greater, and so many of those where they are equal.
    Digits {
        digits: Vec<u16>,
        equal: u64,
    },
}

impl Keep {
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
        let (digits, equal) = place(count as u64, direction, &mut read)?;
        let threshold = score_of(&digits, direction);
        Ok(keep(Rule::Digits { digits, equal }, Some(threshold)))
    }

    /// Whether a row is kept. Rows must come in the order of [`Keep::find`], each once: of rows with
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
            Rule::Digits { digits, equal } => {
                let row = digits_of(score, id, self.direction);
                match row[..digits.len()].cmp(digits) {
                    std::cmp::Ordering::Greater => true,
                    std::cmp::Ordering::Less => false,
                    std::cmp::Ordering::Equal => {
                        let left = *equal > 0;
                        *equal = equal.saturating_sub(1);
                        left
                    }
                }
            }
        }
    }
}

/// The digits that the row at place `count` from the top shares with no row below it, and how many
/// rows that share them are among the first `count`.
fn place<E>(
    count: u64,
    direction: Direction,
    read: &mut impl FnMut(&mut dyn FnMut(f32, SampleId)) -> Result<(), E>,
) -> Result<(Vec<u16>, u64), E> {
    let mut digits: Vec<u16> = Vec::with_capacity(PASSES);
    let mut left = count;
    for pass in 0..PASSES {
        let mut counts = vec![0_u64; 1 << BITS];
        read(&mut |score, id| {
            if !score.is_nan() {
                let row = digits_of(score, id, direction);
                if row[..pass] == digits[..] {
                    counts[usize::from(row[pass])] += 1;
                }
            }
        })?;
        let mut bucket = u16::MAX;
        while counts[usize::from(bucket)] < left {
            left -= counts[usize::from(bucket)];
            bucket -= 1;
        }
        digits.push(bucket);
        if pass + 1 >= SCORE_PASSES && counts[usize::from(bucket)] == left {
            break;
        }
    }
    Ok((digits, left))
}

/// A number that is larger for a better score.
fn key(score: f32, direction: Direction) -> u32 {
    // Zeros of either sign are equal scores.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    match direction {
        Direction::HigherIsBetter => ascending,
        Direction::LowerIsBetter => !ascending,
    }
}

fn score_of(digits: &[u16], direction: Direction) -> f32 {
    let key = u32::from(digits[0]) << BITS | u32::from(digits[1]);
    let ascending = match direction {
        Direction::HigherIsBetter => key,
        Direction::LowerIsBetter => !key,
    };
    f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

/// A row as digits that are larger for a better row: a better score, then a smaller id.
fn digits_of(score: f32, id: SampleId, direction: Direction) -> [u16; PASSES] {
    let (key, id) = (key(score, direction), !id.0);
    std::array::from_fn(|i| match i.checked_sub(SCORE_PASSES) {
        None => (key >> (BITS as usize * (SCORE_PASSES - 1 - i))) as u16,
        Some(i) => (id >> (BITS as usize * (PASSES - SCORE_PASSES - 1 - i))) as u16,
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
        let mut keep = Keep::find(cut, direction, |each| {
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
                    assert_eq!(threshold, expected.threshold, "{cut:?} {direction:?}");
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
