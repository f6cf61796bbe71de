//! Another threshold on a finished stage, without computing the stage again.

use std::{collections::BTreeMap, path::Path};

use curate_core::{Cut, NoProgress, Progress, SampleId, ScoreColumn, Selection, fault::Fault};
use curate_io::IoError;

use crate::{
    Error,
    advance::Stages,
    earlier::{Earlier, Left},
    error::StageError,
    manifest::{Manifest, PoolNow},
    rows::StageRows,
    run::Run,
    stage::Numbers,
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
    cut(&run, index, numbers, wanted)
}

/// What a run would have kept with another cut of one of its stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Rerun {
    /// What the stage itself leaves, from its stored numbers.
    pub cut: Reselection,
    /// The stages after it, which are carried out again: name, rows given and rows left.
    pub later: Vec<(String, usize, usize)>,
    /// The rows that stay in the end.
    pub kept: Selection,
    /// Their ids.
    pub ids: Vec<SampleId>,
    /// Rows that the run kept.
    pub before: usize,
    /// Of those the rows that go now, by the stage that removes them.
    pub lost: BTreeMap<String, usize>,
    /// Rows that the run did not keep and that stay now, by the stage that had removed them.
    pub gained: BTreeMap<String, usize>,
}

/// Applies another cut to the numbers of a finished stage, as [`reselect`] does, and carries out the
/// stages after it on what it leaves: the result is what the run would have kept with that cut and
/// otherwise the settings in its `recipe.toml`, numbers of clusters included. The run folder is not
/// changed.
///
/// # Errors
/// As [`reselect`], when a later stage cannot be carried out, and when the caller cancels.
pub fn rerun(
    folder: &Path,
    stage: Option<&str>,
    wanted: Cut,
    progress: &dyn Progress,
) -> Result<Rerun, Error> {
    let run = Run::open(folder, progress)?;
    let (index, numbers) = find(&run, folder, stage, wanted)?;
    let cut = cut(&run, index, numbers, wanted)?;
    let before = (0..run.records.len()).map(|at| left(&run, at)).collect::<Result<Vec<_>, _>>()?;
    let mut first: Vec<Left> = before[..=index].to_vec();
    first[index].kept = cut.kept.clone();
    let now = PoolNow::unchanged(Manifest::of_run(folder)?.pool);
    let scratch = tempfile::tempdir().map_err(|e| IoError::os(folder, "read", e))?;
    let mut stages = Stages::after(&run, first, scratch.path(), &now);
    for stage in &run.recipe.stages[index + 1..] {
        stages.advance(stage, progress)?;
    }
    let done = stages.finished();
    let later = done.records[index + 1..].iter();
    let kept = done.earlier.last().clone();
    Ok(Rerun {
        later: later.map(|r| (r.name.clone(), r.rows_in, r.rows_out)).collect(),
        ids: kept.iter().map(|row| run.pool.ids()[row]).collect(),
        before: run.kept.len(),
        lost: removed_by(run.kept.minus(&kept), after(&run, &done.earlier)),
        gained: removed_by(kept.minus(&run.kept), before.iter()),
        kept,
        cut,
    })
}

/// What a stage of a finished run left.
fn left(run: &Run, index: usize) -> Result<Left, IoError> {
    let rows = run.stage_rows(index)?;
    let (name, folder) = (run.records[index].name.clone(), run.stage_folder(index));
    Ok(Left { name, folder, kept: rows.kept(), given: rows.rows })
}

/// What all stages of a run left, in order.
fn after<'a>(run: &'a Run, earlier: &'a Earlier) -> impl Iterator<Item = &'a Left> {
    run.records.iter().filter_map(|record| earlier.find(&record.name))
}

/// How many of these rows each stage was the first to remove.
fn removed_by<'a>(
    mut rows: Selection,
    stages: impl Iterator<Item = &'a Left>,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for stage in stages {
        let gone = rows.intersect(&stage.given).minus(&stage.kept);
        rows = rows.minus(&gone);
        if !gone.is_empty() {
            counts.insert(stage.name.clone(), gone.len());
        }
    }
    counts
}

fn cut(run: &Run, index: usize, numbers: Numbers, wanted: Cut) -> Result<Reselection, Error> {
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
