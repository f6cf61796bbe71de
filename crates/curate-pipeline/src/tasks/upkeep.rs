//! Whether a plan's artefacts are what was written, and which of them nobody needs any more.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use curate_core::Progress;
use curate_io::{IoError, atomic};
use serde::Serialize;

use super::{
    artefact::Place,
    graph::{Step, Task},
    plan::TaskPlan,
    status::is_put_together,
    worker::Worker,
};
use crate::{Error, folder, manifest::Manifest, record};

/// What a look at every artefact found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Artefacts with the digest that was written.
    pub whole: usize,
    /// What is wrong: files that are gone, cut off, changed, or of another plan.
    pub damaged: Vec<String>,
    /// Files that no task of the plan writes.
    pub foreign: Vec<PathBuf>,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Collected {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads every artefact of the plan in a folder, the pool's files where their time or length differ, and
/// what the finished stages left.
///
/// # Errors
/// When there is no plan, or a folder cannot be read.
pub fn verify(folder: &Path, progress: &dyn Progress) -> Result<Verdict, Error> {
    let plan = TaskPlan::open(folder)?;
    let mut found = Verdict::default();
    if let Err(error) = Worker::open(folder, progress) {
        if error.is_cancelled() {
            return Err(error);
        }
        found.damaged.push(error.to_string());
    }
    let tasks: usize = plan.steps.iter().map(|step| step.tasks).sum();
    progress.start("verify", tasks as u64, "tasks");
    for step in &plan.steps {
        for index in 0..step.tasks {
            progress.check()?;
            match (Place { folder, step: &step.name, index }).checked(&plan.fingerprint) {
                Ok(Some(_)) => found.whole += 1,
                Ok(None) => {}
                Err(error) => found.damaged.push(error.to_string()),
            }
            progress.advance(1);
        }
        if let (Task::Stage, Some(stage)) = (step.task, step.stage) {
            found.damaged.extend(of_stage(folder, &plan, step, stage));
        }
    }
    progress.finish();
    found.foreign = foreign(folder, &plan)?;
    Ok(found)
}

/// What is wrong with the result of a stage that was put together.
fn of_stage(folder: &Path, plan: &TaskPlan, step: &Step, stage: usize) -> Option<String> {
    if !is_put_together(folder, plan, step) {
        return None;
    }
    let name = step.name.strip_suffix(".stage")?.split_once('-')?.1;
    let of_run = folder::of_stage(&plan.run_folder(folder), stage, name);
    match record::read(&of_run) {
        Ok(Some(record)) => record::check(&of_run, &record).err().map(|e| e.to_string()),
        Ok(None) => Some(format!("{}: the stage's result is gone", of_run.display())),
        Err(error) => Some(error.to_string()),
    }
}

/// The files under `parts/` that no task writes.
fn foreign(folder: &Path, plan: &TaskPlan) -> Result<Vec<PathBuf>, Error> {
    let mut ours = BTreeSet::new();
    for step in &plan.steps {
        for index in 0..step.tasks {
            let place = Place { folder, step: &step.name, index };
            ours.extend([
                place.part(),
                place.receipt_path(),
                place.failure_path(),
                place.working_path(),
            ]);
        }
    }
    let mut found = Vec::new();
    for step in listed(&folder.join("parts"))? {
        if step.is_dir() {
            found.extend(listed(&step)?.into_iter().filter(|path| !ours.contains(path)));
        } else {
            found.push(step);
        }
    }
    Ok(found)
}

/// What lies in a folder, sorted; nothing where there is none.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries = fs::read_dir(folder).map_err(|e| IoError::os(folder, "read", e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Removes what nobody needs any more: the artefacts of stages that are put together, what killed
/// processes had not finished, and notes of failures that were made good. With `everything` all
/// artefacts, once the run is finished.
///
/// # Errors
/// When there is no plan, or a file cannot be removed; with `everything` when the run is not finished.
pub fn collect(folder: &Path, everything: bool) -> Result<Collected, Error> {
    let plan = TaskPlan::open(folder)?;
    let mut gone = Collected::default();
    if everything {
        // Artefacts may be made again from the pool, but only a finished run does not need them.
        Manifest::read(&plan.run_folder(folder).join(folder::MANIFEST))?;
    }
    tidy_into(folder, &plan, &mut gone)?;
    for step in &plan.steps {
        let is_last = matches!(step.task, Task::Stage | Task::Finish);
        if is_last || !(everything || is_put_together(folder, &plan, step)) {
            continue;
        }
        for index in 0..step.tasks {
            let place = Place { folder, step: &step.name, index };
            // The receipt first: without it the artefact does not count.
            gone.remove(&place.receipt_path())?;
            gone.remove(&place.part())?;
            gone.remove(&place.failure_path())?;
        }
        // A process that works on one of its tasks in vain keeps the folder.
        let _ = fs::remove_dir(Place { folder, step: &step.name, index: 0 }.parts());
    }
    Ok(gone)
}

/// Removes what killed processes had not finished, and notes of failures that were made good.
pub(super) fn tidy(folder: &Path, plan: &TaskPlan) -> Result<(), Error> {
    tidy_into(folder, plan, &mut Collected::default())
}

fn tidy_into(folder: &Path, plan: &TaskPlan, gone: &mut Collected) -> Result<(), Error> {
    atomic::remove_leftovers(folder)?;
    for step in &plan.steps {
        let parts = Place { folder, step: &step.name, index: 0 }.parts();
        if !parts.exists() {
            continue;
        }
        atomic::remove_leftovers(&parts)?;
        for index in 0..step.tasks {
            let place = Place { folder, step: &step.name, index };
            if place.worked_on().is_some_and(|(_, lives)| !lives) {
                gone.remove(&place.working_path())?;
            }
            if matches!(place.receipt(&plan.fingerprint), Ok(Some(_))) {
                gone.remove(&place.failure_path())?;
            }
        }
    }
    Ok(())
}

impl Collected {
    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        let Ok(found) = fs::metadata(path) else { return Ok(()) };
        fs::remove_file(path).map_err(|e| IoError::os(path, "removed", e))?;
        self.files += 1;
        self.bytes += found.len();
        Ok(())
    }
}
