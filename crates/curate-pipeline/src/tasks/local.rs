//! All tasks of a plan, one after the other, in one process.

use std::path::{Path, PathBuf};

use curate_core::{Progress, StageOf};
use curate_io::lock::FolderLock;

use super::{
    Done, Worker,
    graph::Task,
    plan::{RunAt, check_tasks, plan_at},
    site::Lock,
    upkeep,
};
use crate::{
    Error, Recipe, RunOptions,
    execute::{self, RunSummary},
    folder,
};

/// Carries out all tasks of a plan that are not done yet; returns how many that were.
///
/// # Errors
/// As [`Worker::run`], at the first task that fails.
pub fn resume(folder: &Path, progress: &dyn Progress) -> Result<usize, Error> {
    let worker = Worker::open(folder, progress)?;
    upkeep::tidy(folder, worker.plan())?;
    let computed = stages(&worker, progress)?;
    let last = worker.plan().steps.iter().rfind(|step| step.task == Task::Finish);
    let Some(last) = last else { return Ok(computed) };
    let finished = worker.run(&last.name, 0, progress)?;
    Ok(computed + usize::from(finished == Done::Computed))
}

/// Carries out all tasks of all stages; returns how many had to be computed.
fn stages(worker: &Worker, progress: &dyn Progress) -> Result<usize, Error> {
    let mut computed = 0;
    let of = worker.site.recipe.stages.len();
    for (stage, written) in worker.site.recipe.stages.iter().enumerate() {
        let name = written.name();
        progress.stage(Some(StageOf { number: stage + 1, of, name }));
        let has_result = worker.has_result(stage)?;
        for step in worker.plan().steps.iter().filter(|step| step.stage == Some(stage)) {
            if has_result && step.task != Task::Stage {
                continue;
            }
            for index in 0..step.tasks {
                progress.check()?;
                computed += usize::from(worker.run(&step.name, index, progress)? == Done::Computed);
            }
        }
    }
    progress.stage(None);
    Ok(computed)
}

/// [`crate::run()`] in so many tasks a step, one after the other: the same bytes. A run that stopped goes
/// on at the task that it had not finished.
///
/// # Errors
/// As [`crate::run()`], and when there are to be no tasks.
pub fn run_in_tasks(
    recipe: &Recipe,
    out: &Path,
    tasks: usize,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<RunSummary, Error> {
    check_tasks(Some(tasks))?;
    let pool = execute::open(recipe, out, progress)?;
    folder::check_ours(out)?;
    let _lock = FolderLock::take(out)?;
    let folder = out.join(folder::TASKS);
    let at = RunAt { run: PathBuf::from(".."), replace: true };
    let plan = plan_at(recipe, &pool, &folder, Some(tasks), &at, progress)?;
    let worker = Worker::of(&folder, plan, recipe.clone(), pool, Lock::Held(options))?;
    upkeep::tidy(&folder, worker.plan())?;
    let done = stages(&worker, progress);
    if let Err(Error::Conflict { .. }) = &done {
        // The folder is another run's, which is to stay as it is.
        folder::remove_all(&folder)?;
    }
    done?;
    let summary = execute::run_opened(recipe, worker.site.pool, out, options, progress)?;
    Ok(RunSummary { reused: vec![], ..summary })
}
