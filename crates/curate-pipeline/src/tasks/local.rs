//! All tasks of a plan, one after the other, in one process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use curate_core::Progress;
use curate_io::IoError;

use super::{
    Done, TaskPlan, Worker,
    graph::Task,
    plan::{RunAt, plan_at},
};
use crate::{
    Error, Recipe, RunOptions,
    execute::{RunSummary, run},
};

/// The folder of the plan inside a run folder, while the run goes on.
const INSIDE: &str = "tasks";

/// Carries out all tasks of a plan that are not done yet; returns how many that were.
///
/// # Errors
/// As [`Worker::run`], at the first task that fails.
pub fn resume(folder: &Path, progress: &dyn Progress) -> Result<usize, Error> {
    let worker = Worker::open(folder, progress)?;
    let mut computed = 0;
    for step in &worker.plan().steps {
        for index in 0..step.tasks {
            progress.check()?;
            computed += usize::from(worker.run(&step.name, index, progress)? == Done::Computed);
        }
    }
    Ok(computed)
}

/// [`crate::run()`] in so many tasks a step, one after the other: the same bytes, and less memory at a
/// time. A run that stopped goes on at the task that it had not finished.
///
/// # Errors
/// As [`crate::run()`].
pub fn run_in_tasks(
    recipe: &Recipe,
    out: &Path,
    tasks: usize,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<RunSummary, Error> {
    let folder = out.join(INSIDE);
    let at = RunAt { run: PathBuf::from(".."), replace: true };
    let plan: TaskPlan = plan_at(recipe, &folder, Some(tasks), &at, progress)?;
    let worker = Worker::of(&folder, plan, recipe.clone(), options, progress)?;
    for step in worker.plan().steps.iter().filter(|step| step.task != Task::Finish) {
        for index in 0..step.tasks {
            progress.check()?;
            worker.run(&step.name, index, progress)?;
        }
    }
    let summary = run(recipe, out, options, progress)?;
    fs::remove_dir_all(&folder).map_err(|e| IoError::os(&folder, "removed", e))?;
    Ok(RunSummary { reused: vec![], ..summary })
}
