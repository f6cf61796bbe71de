//! Cuts: keep rows by their score.

use curate_core::{Cut, Selection, fault::Fault, rank::Direction};

use super::Context;
use crate::{
    error::StageError,
    recipe::{FractionStage, ThresholdStage, TopStage},
    stage::{Outcome, StageRows},
};

pub(super) fn threshold(
    stage: &ThresholdStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let (threshold, direction) = match (stage.at_least, stage.at_most) {
        (None, Some(most)) => (most, Direction::LowerIsBetter),
        (least, _) => (least.unwrap_or(f32::NEG_INFINITY), Direction::HigherIsBetter),
    };
    cut(Cut::Threshold(threshold), &stage.score, direction, "threshold", context)
}

pub(super) fn fraction(
    stage: &FractionStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    cut(Cut::Fraction(stage.fraction), &stage.score, stage.better, "fraction", context)
}

pub(super) fn top(stage: &TopStage, context: &Context<'_>) -> Result<Outcome, StageError> {
    cut(Cut::Top(stage.count), &stage.score, stage.better, "top", context)
}

fn cut(
    cut: Cut,
    score: &str,
    direction: Direction,
    rule: &str,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let mut rows = StageRows::new(context.input);
    rows.value = context.score(score);
    let decided = cut.apply(&rows.value, &context.ids(), direction)?;
    rows.threshold.fill(decided.threshold.unwrap_or(f32::NAN));
    for position in Selection::all(rows.rows.len()).minus(&decided.kept).iter() {
        let missing = rows.value[position].is_nan();
        rows.remove(position, if missing { Fault::ScoreMissing.name() } else { rule });
    }
    let mut outcome = Outcome::new(rows);
    outcome.tell("threshold", decided.threshold.map(f64::from));
    Ok(outcome)
}
