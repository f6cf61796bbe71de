//! The front door: a verdict on every row.

use curate_core::{
    Cut, Progress, Removal, SampleId, ScoreColumn, Selection,
    rank::{Direction, Outcome},
    stream::score_at,
};
use curate_io::{IoError, table::Precision};
use rayon::prelude::*;

use crate::{
    Baseline, BaselineError, Inputs, Rule, ScoreFloor,
    judge::each_verdict,
    rows::{MetadataRows, ids_of, watched},
    verdict::Verdict,
};

impl Baseline {
    /// A verdict on every row of the parts, which are judged in parallel. Reads the files that the
    /// parameters name.
    ///
    /// # Errors
    /// When rows lack what the rule reads or cannot be read, a file of the parameters cannot be read, the
    /// rule needs one that no parameter names, or the caller asks to stop.
    pub fn run<R: MetadataRows>(
        &self,
        parts: &[R],
        progress: &dyn Progress,
    ) -> Result<Verdicts, BaselineError> {
        self.run_with(parts, &self.read_inputs()?.inputs(), progress)
    }

    /// [`Self::run`] with inputs of one's own.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with<R: MetadataRows>(
        &self,
        parts: &[R],
        inputs: &Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Verdicts, BaselineError> {
        self.check_inputs(inputs)?;
        self.run_from(parts, self.floor(parts, progress)?, inputs, progress)
    }

    /// [`Self::run_with`] from a score that was found on other rows, as DataComp's fraction is one of the
    /// whole pool, whichever rows are judged. `floor` counts for rules that cut a score.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_from<R: MetadataRows>(
        &self,
        parts: &[R],
        floor: Option<f64>,
        inputs: &Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Verdicts, BaselineError> {
        self.check_inputs(inputs)?;
        let rule = self.rule();
        let cut_by_id = matches!(rule, Rule::RandomSubset { .. } | Rule::ClipScore { .. });
        progress.start("filter", parts.len() as u64, "shards");
        let look = watched(progress, |part: &R| -> Result<_, BaselineError> {
            let ids = if cut_by_id { ids_of(part)? } else { Vec::new() };
            let mut verdicts = Vec::with_capacity(part.len());
            each_verdict(rule, part, &ids, inputs, floor, |verdict| verdicts.push(verdict))?;
            Ok((ids, verdicts))
        });
        let found: Result<Vec<_>, BaselineError> = parts.par_iter().map(look).collect();
        progress.finish();
        let (ids, verdicts): (Vec<_>, Vec<_>) = found?.into_iter().unzip();
        let (ids, verdicts) = (ids.concat(), verdicts.concat());
        let precision = match rule.floor() {
            Some((arch, _)) => common_precision(parts, arch.score_column())?,
            None => Precision::Double,
        };
        Ok(Verdicts { rule: rule.clone(), floor, precision, ids, verdicts })
    }

    /// The score from which the rule keeps rows, of which `parts` are all: what
    /// [`ScoreFloor::Threshold`] says, or the score at the place of [`ScoreFloor::Fraction`]. `None` for a
    /// rule that cuts no score, and where that place has no score, so that no row stays.
    ///
    /// # Errors
    /// When the scores cannot be read, or the caller asks to stop.
    pub fn floor<R: MetadataRows>(
        &self,
        parts: &[R],
        progress: &dyn Progress,
    ) -> Result<Option<f64>, BaselineError> {
        let Some((arch, floor)) = self.rule().floor() else { return Ok(None) };
        let fraction = match floor {
            ScoreFloor::Threshold(threshold) => return Ok(Some(threshold)),
            ScoreFloor::Fraction(fraction) => fraction,
        };
        let place = |rows: u64| (fraction * rows as f64) as u64;
        let read = |part: &R, each: &mut dyn FnMut(&[f64])| {
            if progress.is_cancelled() {
                return Err(IoError::cancelled(part.path()));
            }
            part.each_block(arch.score_column(), each)
        };
        Ok(score_at(parts, place, read, progress)?)
    }
}

/// The least precision that holds the scores of all parts.
fn common_precision<R: MetadataRows>(parts: &[R], column: &str) -> Result<Precision, IoError> {
    let mut all = parts.iter().map(|part| part.precision(column));
    let Some(first) = all.next() else { return Ok(Precision::Single) };
    all.try_fold(first?, |all, part| {
        Ok(match (all, part?) {
            (Precision::Double, _) | (_, Precision::Double) => Precision::Double,
            (Precision::Half, Precision::Half) => Precision::Half,
            _ => Precision::Single,
        })
    })
}

/// A verdict on every row. Rows are counted over all parts, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdicts {
    rule: Rule,
    floor: Option<f64>,
    /// The precision of the scores, in which a cut is compared.
    precision: Precision,
    /// The ids, for rules that can be cut anew.
    ids: Vec<SampleId>,
    verdicts: Vec<Verdict>,
}

impl Verdicts {
    /// The verdict on each row.
    pub fn rows(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The score from which rows stay, for rules that cut a score; `None` where none is good enough.
    pub fn floor(&self) -> Option<f64> {
        self.floor
    }

    /// The rows that stay.
    pub fn kept(&self) -> Selection {
        (0..self.verdicts.len()).filter(|&row| self.verdicts[row].dropped.is_none()).collect()
    }

    /// Why each row that does not stay goes, in row order.
    pub fn removals(&self) -> impl Iterator<Item = Removal> + '_ {
        let rows = self.verdicts.iter().enumerate();
        rows.filter_map(|(row, verdict)| verdict.removal(row))
    }

    /// The rows that would stay by another cut of the same numbers, without reading them again: an exact
    /// count or fraction, ties by id, where DataComp's [`ScoreFloor`] keeps all ties. Of `clip_score` the
    /// highest scores stay, of `random_subset` the smallest draws.
    ///
    /// # Errors
    /// When the cut is out of range, or the rule does not keep rows by one number alone.
    pub fn select(&self, cut: Cut) -> Result<Selection, BaselineError> {
        Ok(self.outcome(cut)?.kept)
    }

    /// [`Self::select`] with the number of the last row that stays.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn outcome(&self, cut: Cut) -> Result<Outcome, BaselineError> {
        let direction = match self.rule {
            Rule::ClipScore { .. } => Direction::HigherIsBetter,
            Rule::RandomSubset { .. } => Direction::LowerIsBetter,
            _ => return Err(BaselineError::NothingToCut { rule: self.rule.name() }),
        };
        let values = self.verdicts.iter().map(|verdict| verdict.value.unwrap_or(f64::NAN));
        let scores = match self.precision {
            Precision::Half => ScoreColumn::Half(values.map(|value| value as f32).collect()),
            Precision::Single => ScoreColumn::Single(values.map(|value| value as f32).collect()),
            Precision::Double => ScoreColumn::Double(values.collect()),
        };
        Ok(scores.cut(cut, &self.ids, direction)?)
    }
}
