//! What is done of a plan, and what is not.

use std::{fmt, path::Path};

use serde::Serialize;

use super::{
    artefact::Place,
    graph::{Step, Task},
    plan::TaskPlan,
};
use crate::Error;

/// What is done of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The steps, in order.
    pub steps: Vec<StepStatus>,
}

/// What is done of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepStatus {
    /// Its name.
    pub step: String,
    /// Its tasks, with what is known of each that is not done.
    pub tasks: usize,
    /// Tasks that are done, those included that had nothing to do.
    pub done: usize,
    /// The others, by number.
    pub open: Vec<(usize, State)>,
}

/// What is known of a task that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reason")]
pub enum State {
    /// Nobody has begun it.
    Missing,
    /// A process works on it: its machine and number.
    Running(String),
    /// A process worked on it and was killed: its machine and number.
    Stopped(String),
    /// It failed, and why.
    Failed(String),
    /// What it left is not what it wrote: gone, cut off, of another plan.
    Damaged(String),
}

/// What is done of the plan in a folder. Looks at receipts and lengths, not at contents: for these see
/// [`super::verify`].
///
/// # Errors
/// When there is no plan.
pub fn status(folder: &Path) -> Result<Status, Error> {
    let plan = TaskPlan::open(folder)?;
    let steps = plan.steps.iter().map(|step| of_step(folder, &plan, step)).collect();
    Ok(Status { steps })
}

fn of_step(folder: &Path, plan: &TaskPlan, step: &Step) -> StepStatus {
    let name = step.name.clone();
    let place = |index| Place { folder, step: &step.name, index };
    let is_over = step.task != Task::Stage && is_put_together(folder, plan, step);
    if is_over || plan.is_idle(folder, step) {
        return StepStatus { step: name, tasks: step.tasks, done: step.tasks, open: vec![] };
    }
    let state = |index| Some((index, of_task(place(index), plan)?));
    let open: Vec<(usize, State)> = (0..step.tasks).filter_map(state).collect();
    StepStatus { step: name, tasks: step.tasks, done: step.tasks - open.len(), open }
}

/// Whether the stage of a step is put together, so that nobody needs what its tasks left.
pub(super) fn is_put_together(folder: &Path, plan: &TaskPlan, step: &Step) -> bool {
    let last = step.stage.and_then(|stage| plan.of_stage(stage, Task::Stage));
    last.is_some_and(|last| {
        let place = Place { folder, step: &last.name, index: 0 };
        matches!(place.receipt(&plan.fingerprint), Ok(Some(_)))
    })
}

/// What is known of a task; `None` when it is done.
fn of_task(place: Place<'_>, plan: &TaskPlan) -> Option<State> {
    match place.receipt(&plan.fingerprint) {
        Ok(Some(_)) => return None,
        Err(error) => return Some(State::Damaged(error.to_string())),
        Ok(None) => {}
    }
    let by = |at: &super::artefact::At| format!("process {} on {}", at.process, at.host);
    Some(match (place.worked_on(), place.failure()) {
        (Some((at, true)), _) => State::Running(by(&at)),
        (_, Some(why)) => State::Failed(why),
        (Some((at, false)), None) => State::Stopped(by(&at)),
        (None, None) => State::Missing,
    })
}

impl Status {
    /// Whether every task is done.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| step.open.is_empty())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.step.len()).max().unwrap_or(0);
        let first_open = self.steps.iter().position(|step| !step.open.is_empty());
        for (number, step) in self.steps.iter().enumerate() {
            // Steps that nobody can begin yet say nothing.
            if first_open.is_some_and(|first| number > first) && step.done == 0 {
                let untouched = step.open.iter().all(|(_, state)| *state == State::Missing);
                if untouched {
                    continue;
                }
            }
            writeln!(f, "{:width$}  {} of {} done", step.step, step.done, step.tasks)?;
            let told = step.open.iter().filter(|(_, state)| *state != State::Missing);
            for (index, state) in told {
                writeln!(f, "{:width$}  task {index} {state}", "")?;
            }
        }
        let waiting = self.steps.iter().filter(|step| step.done < step.tasks).count();
        match waiting {
            0 => writeln!(f, "all steps are done"),
            count => writeln!(f, "{count} of {} steps are not done", self.steps.len()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "has not begun"),
            Self::Running(by) => write!(f, "is being worked on by {by}"),
            Self::Stopped(by) => write!(f, "was begun by {by}, which is gone"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Damaged(why) => write!(f, "is damaged: {why}"),
        }
    }
}
