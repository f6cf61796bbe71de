//! Cuts on a score: what `threshold`, `fraction` and `top` resolve to.

use curate_core::{
    Cut,
    fault::Fault,
    rank::{Direction, fraction_of},
};
use curate_io::Pool;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::StageError,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{Context, Cost, Method, Numbers, told},
};

/// Keeps the rows whose score passes a cut.
pub(crate) struct ScoreCut {
    /// The score stage.
    pub(crate) score: String,
    pub(crate) cut: Cut,
    pub(crate) better: Direction,
    /// The rule under which rows go.
    pub(crate) rule: &'static str,
    /// The rule for people.
    pub(crate) words: String,
}

/// What a cut tells.
#[derive(Serialize, Deserialize)]
struct CutTold {
    /// The score of the worst row that stays, or the threshold itself.
    threshold: Option<f64>,
}

impl Method for ScoreCut {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut rows = StageRows::new(context.input);
        rows.value = context.score(&self.score)?;
        let decided = rows.value.cut(self.cut, &context.ids(), self.better)?;
        rows.threshold = rows.value.filled(decided.threshold.unwrap_or(f64::NAN));
        let mut kept = decided.kept.iter().peekable();
        for position in 0..rows.rows.len() {
            if kept.next_if_eq(&position).is_none() {
                let missing = rows.value.get(position).is_nan();
                rows.remove(position, if missing { Fault::ScoreMissing.name() } else { self.rule });
            }
        }
        Ok(Outcome::new(rows).telling(&CutTold { threshold: decided.threshold }))
    }

    fn in_words(&self) -> String {
        self.words.clone()
    }

    fn leaves(&self, rows: usize) -> usize {
        match self.cut {
            Cut::Fraction(fraction) => fraction_of(rows, fraction),
            Cut::Top(count) => count.min(rows),
            Cut::Threshold(_) | Cut::Epsilon(_) => rows,
        }
    }

    fn cost(&self, rows: usize, _: &Pool) -> Result<Cost, Error> {
        // The ids that settle ties.
        Ok(Cost { memory: 16 * rows as u64, ..Cost::default() })
    }

    fn explain(&self, value: Option<f64>, threshold: Option<f64>) -> Option<String> {
        Some(format!("score {}, threshold {}", told(value), told(threshold)))
    }

    fn numbers(&self) -> Option<Numbers> {
        Some(Numbers::Scores(self.better))
    }

    fn threshold_on(&self, score: &str, record: &StageRecord) -> Result<Option<f64>, Error> {
        if score != self.score {
            return Ok(None);
        }
        Ok(record.told::<CutTold>()?.and_then(|told| told.threshold))
    }
}
