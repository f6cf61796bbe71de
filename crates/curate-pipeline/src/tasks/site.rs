//! What every task works with: the plan, the pool, and the stage whose turn it is.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use curate_core::{Progress, Selection};
use curate_io::Pool;

use super::{
    artefact::{self, Place},
    graph::{Step, Task},
    known::Known,
    plan::TaskPlan,
};
use crate::{
    Error, Recipe,
    advance::{Next, Reached, RunOptions, Stages},
    ahead::Ahead,
    manifest::{PoolNow, PoolRecord},
    stage::{Context, Method},
};

/// What every task of a process works with.
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) plan: TaskPlan,
    pub(super) recipe: Recipe,
    pub(super) pool: Pool,
    pub(super) record: PoolRecord,
    pub(super) lock: Lock,
    /// Whether it gets ready for more tasks of a stage than one.
    pub(super) remembers: bool,
    pub(super) at: Mutex<Option<Arc<AtStage>>>,
}

/// Who keeps the run folder from other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// A task that writes to it.
    Taken,
    /// The caller, for as long as the worker lives; results of other settings there may be replaced.
    Held(RunOptions),
}

/// A stage whose turn it is: what it is given.
pub(super) struct AtStage {
    pub(super) index: usize,
    pub(super) reached: Reached,
    pub(super) next: Next,
    /// What tasks of the stage that came before in this process have worked out.
    pub(super) known: Known,
}

impl Site {
    pub(super) fn run_folder(&self) -> PathBuf {
        self.plan.run_folder(&self.folder)
    }

    pub(super) fn place<'p>(&'p self, step: &'p Step, index: usize) -> Place<'p> {
        Place { folder: &self.folder, step: &step.name, index }
    }

    pub(super) fn options(&self) -> RunOptions {
        match self.lock {
            Lock::Taken => RunOptions::default(),
            Lock::Held(options) => options,
        }
    }

    /// The stage of that number, with what the stages before it left, which have to be put together.
    pub(super) fn at(&self, index: usize) -> Result<Arc<AtStage>, Error> {
        let mut last = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = last.as_ref().filter(|at| at.index == index) {
            return Ok(Arc::clone(at));
        }
        let run = self.run_folder();
        let now = PoolNow::of(self.record.clone(), &run)?;
        let before = last.take().filter(|at| at.index < index).map(|at| at.reached.clone());
        let stages = self.stages(index, before, &run, &now)?;
        let next = stages.next(&self.recipe.stages[index])?;
        let (reached, known) = (stages.reached(), Known::default());
        let at = Arc::new(AtStage { index, reached, next, known });
        *last = Some(Arc::clone(&at));
        Ok(at)
    }

    /// The stages before the one of that number, of which some were reached already.
    pub(super) fn stages<'s>(
        &'s self,
        index: usize,
        reached: Option<Reached>,
        run: &'s Path,
        now: &'s PoolNow,
    ) -> Result<Stages<'s>, Error> {
        let first = reached.as_ref().map_or(0, Reached::stages);
        let fresh = Stages::new(&self.recipe, &self.pool, run, self.options(), now);
        let mut stages = match reached {
            Some(reached) => fresh.from(reached),
            None => fresh,
        };
        for number in first..index {
            if stages.reuse(&self.recipe.stages[number])?.is_none() {
                let step = self.plan.of_stage(number, Task::Stage);
                let step = step.map_or_else(String::new, |step| step.name.clone());
                return Err(Error::NotReady { step, tasks: 1, missing: 1, first: 0 });
            }
        }
        Ok(stages)
    }

    /// What a stage may look at where it is given these rows.
    pub(super) fn context<'c>(
        &'c self,
        at: &'c AtStage,
        input: &'c Selection,
        ahead: &'c Ahead,
        progress: &'c dyn Progress,
    ) -> Context<'c> {
        let (pool, seed, earlier) = (&self.pool, self.recipe.seed, at.reached.earlier());
        Context { pool, seed, input, earlier, ahead, progress }
    }

    /// Those of the rows that lie in a part.
    pub(super) fn in_part(&self, rows: &Selection, index: usize) -> Selection {
        let part = &self.plan.parts[index];
        let rows = rows.rows();
        let from = rows.partition_point(|&row| row < part.from);
        let to = rows.partition_point(|&row| row < part.to);
        rows[from..to].iter().copied().collect()
    }

    /// The artefacts of a step, all of which have to be there, with their digests.
    pub(super) fn inputs(&self, step: &Step) -> Result<Vec<PathBuf>, Error> {
        let there = |&index: &usize| {
            matches!(self.place(step, index).checked(&self.plan.fingerprint), Ok(Some(_)))
        };
        let missing: Vec<usize> = (0..step.tasks).filter(|index| !there(index)).collect();
        match missing.first() {
            None => Ok((0..step.tasks).map(|index| self.place(step, index).part()).collect()),
            Some(&first) => Err(Error::NotReady {
                step: step.name.clone(),
                tasks: step.tasks,
                missing: missing.len(),
                first,
            }),
        }
    }

    /// Reads the artefact of a step that has one task.
    pub(super) fn only<T: serde::de::DeserializeOwned>(&self, step: &Step) -> Result<T, Error> {
        let paths = self.inputs(step)?;
        let path = paths.first().expect("a step has a task");
        Ok(artefact::read(path)?)
    }
}

impl AtStage {
    pub(super) fn method(&self) -> Result<Box<dyn Method>, Error> {
        self.next.stage.resolve()
    }

    pub(super) fn failed(&self, error: impl Into<crate::error::StageError>) -> Error {
        error.into().in_stage(self.next.stage.name())
    }
}
