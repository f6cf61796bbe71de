//! Another threshold on a finished stage, without computing the stage again.

use std::path::Path;

use curate_core::{Cut, NoProgress, SampleId, ScoreColumn, Selection, fault::Fault};

use crate::{Error, error::StageError, rows::StageRows, run::Run, stage::Numbers};

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
    pub threshold: Option<f64>,
    /// The same as shortly as the stage's precision can say it.
    pub threshold_text: Option<String>,
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
    let (index, numbers) = find(&run, folder, stage, wanted)?;
    let rows = run.stage_rows(index)?;
    let ids: Vec<SampleId> = rows.rows.iter().map(|row| run.pool.ids()[row]).collect();
    let values = values(&rows);
    let outcome = values
        .cut(wanted, &ids, numbers.better())
        .map_err(|e| StageError::from(e).in_stage(&run.records[index].name))?;
    let kept: Selection = outcome.kept.iter().map(|position| rows.row(position)).collect();
    Ok(Reselection {
        stage: run.records[index].name.clone(),
        given: rows.rows.len(),
        ids: kept.rows().iter().map(|&row| run.pool.ids()[row]).collect(),
        kept,
        threshold: outcome.threshold,
        threshold_text: outcome.threshold.map(|threshold| values.text(threshold)),
    })
}

/// The stage whose numbers are cut: its place and what its numbers are.
fn find(
    run: &Run,
    folder: &Path,
    name: Option<&str>,
    wanted: Cut,
) -> Result<(usize, Numbers), Error> {
    let mut usable = Vec::new();
    for (index, stage) in run.recipe.stages.iter().enumerate() {
        let numbers = stage.resolve()?.numbers();
        let fits = |numbers: &Numbers| match wanted {
            Cut::Epsilon(_) => *numbers == Numbers::Similarities,
            _ => true,
        };
        usable.extend(numbers.filter(fits).map(|numbers| (index, stage.name(), numbers)));
    }
    let asked = |(_, stage, _): &&(usize, &str, Numbers)| name.is_none_or(|name| name == *stage);
    if let Some(&(index, _, numbers)) = usable.iter().rfind(asked) {
        return Ok((index, numbers));
    }
    let usable: Vec<_> = usable.iter().map(|(_, stage, _)| format!("`{stage}`")).collect();
    let asked = name.map_or("a stage".to_owned(), |name| format!("stage `{name}`"));
    let problem =
        format!("{asked} has no numbers for this cut; usable here: {}", usable.join(", "));
    Err(Error::Run { folder: folder.to_owned(), problem })
}

/// Rows that were set aside have a norm, not a score: they count as rows without a number.
fn values(rows: &StageRows) -> ScoreColumn {
    let quarantined =
        |position| rows.rule(position).is_some_and(|rule| Fault::named(rule).is_some());
    let scored = |position| (!quarantined(position)).then_some(position);
    rows.value.gather((0..rows.rows.len()).map(scored))
}
