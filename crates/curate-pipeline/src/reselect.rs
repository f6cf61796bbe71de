//! Another threshold on a finished stage, without computing the stage again.

use std::path::Path;

use curate_core::{Cut, NoProgress, SampleId, Selection, rank::Direction};

use crate::{
    Error, StageRows,
    error::StageError,
    recipe::{DedupMode, Stage},
    run::Run,
};

/// A selection made from a finished stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Reselection {
    /// The stage whose numbers decided.
    pub stage: String,
    /// The rows that the stage was given.
    pub given: usize,
    /// The rows that stay.
    pub kept: Selection,
    /// Their ids.
    pub ids: Vec<SampleId>,
    /// The number of the worst row that stays.
    pub threshold: Option<f32>,
}

/// Applies another cut to the numbers of a finished stage: scores, or similarities of a semantic
/// dedup. Without a stage's name, to the last stage that has such numbers.
///
/// The result is what that stage would have left, had its recipe said so; later stages do not take
/// part. Rows that the stage set aside stay out.
///
/// # Errors
/// When there is no finished run in the folder, no such stage, or the cut does not fit its numbers.
pub fn reselect(folder: &Path, stage: Option<&str>, wanted: Cut) -> Result<Reselection, Error> {
    let run = Run::open(folder, &NoProgress)?;
    let index = find(&run, folder, stage, wanted)?;
    let rows = &run.rows[index];
    let written = &run.recipe.stages[index];
    let ids: Vec<SampleId> = rows.rows.iter().map(|&row| run.pool.ids()[row]).collect();
    let outcome = wanted
        .apply(&numbers(rows), &ids, direction(written))
        .map_err(|e| StageError::from(e).in_stage(written.name()))?;
    let kept: Selection = outcome.kept.iter().map(|position| rows.rows[position]).collect();
    Ok(Reselection {
        stage: written.name().to_owned(),
        given: rows.rows.len(),
        ids: kept.rows().iter().map(|&row| run.pool.ids()[row]).collect(),
        kept,
        threshold: outcome.threshold,
    })
}

fn find(run: &Run, folder: &Path, name: Option<&str>, wanted: Cut) -> Result<usize, Error> {
    let epsilon = matches!(wanted, Cut::Epsilon(_));
    let fits = |stage: &Stage| match stage {
        // Numbers of a greedy search hold for its own epsilon alone.
        Stage::SemanticDedup(s) => s.mode == DedupMode::Reference,
        Stage::Score(_) | Stage::Threshold(_) | Stage::Fraction(_) | Stage::Top(_) => !epsilon,
        Stage::ConceptPrune(_) | Stage::Combine(_) | Stage::Baseline(_) => false,
    };
    let stages = &run.recipe.stages;
    let found = match name {
        Some(name) => stages.iter().position(|stage| stage.name() == name && fits(stage)),
        None => stages.iter().rposition(fits),
    };
    found.ok_or_else(|| {
        let usable: Vec<_> =
            stages.iter().filter(|s| fits(s)).map(|s| format!("`{}`", s.name())).collect();
        let asked = name.map_or("a stage".to_owned(), |name| format!("stage `{name}`"));
        let problem =
            format!("{asked} has no numbers for this cut; usable here: {}", usable.join(", "));
        Error::Run { folder: folder.to_owned(), problem }
    })
}

/// Rows that were set aside have a norm, not a score: they count as rows without a number.
fn numbers(rows: &StageRows) -> Vec<f32> {
    let quarantined = |position| {
        rows.rule(position).is_some_and(|rule| curate_core::fault::Fault::named(rule).is_some())
    };
    (0..rows.rows.len()).map(|i| if quarantined(i) { f32::NAN } else { rows.value[i] }).collect()
}

fn direction(stage: &Stage) -> Direction {
    match stage {
        Stage::SemanticDedup(_) => Direction::LowerIsBetter,
        Stage::Fraction(s) => s.better,
        Stage::Top(s) => s.better,
        Stage::Threshold(s) if s.at_most.is_some() => Direction::LowerIsBetter,
        _ => Direction::HigherIsBetter,
    }
}
