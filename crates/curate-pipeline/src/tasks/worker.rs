//! Carrying out one task.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use curate_core::{Progress, Selection};
use curate_io::{Kind, Pool, digest, lock::FolderLock, table, watched::Watched};

use super::{
    artefact::{self, Place},
    clustered::Clustered,
    graph::{Step, Task},
    known::Known,
    plan::TaskPlan,
};
use crate::{
    Error, Recipe,
    advance::{Next, Reached, RunOptions, Stages},
    ahead::Ahead,
    execute, folder,
    manifest::{FileRecord, Manifest, PoolNow, PoolRecord},
    plan::bytes,
    record,
    rows::StageRows,
    stage::{Context, Method},
};

/// What became of a task that was to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was carried out.
    Computed,
    /// Its artefact was there.
    Present,
    /// There was nothing to do: k-means had converged before.
    NotNeeded,
}

/// A process that carries out tasks of a plan. It opens the pool once and remembers the stage that it
/// works at, so one for many tasks is better than one for each.
pub struct Worker {
    pub(super) folder: PathBuf,
    pub(super) plan: TaskPlan,
    pub(super) recipe: Recipe,
    pub(super) pool: Pool,
    record: PoolRecord,
    lock: Lock,
    /// Whether it gets ready for more tasks of a stage than one.
    pub(super) remembers: bool,
    at: Mutex<Option<Arc<AtStage>>>,
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
    reached: Reached,
    pub(super) next: Next,
    /// What tasks of the stage that came before in this process have worked out.
    pub(super) known: Known,
}

impl Worker {
    /// Opens a plan and its pool.
    ///
    /// # Errors
    /// When there is no plan, or the pool or a file that a stage reads has changed since it was made.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let plan = TaskPlan::open(folder)?;
        let recipe = Recipe::read(&folder.join(folder::RECIPE))?;
        let pool = recipe.open_pool(progress)?;
        Self::of(folder, plan, recipe, pool, Lock::Taken)
    }

    pub(super) fn of(
        folder: &Path,
        plan: TaskPlan,
        recipe: Recipe,
        pool: Pool,
        lock: Lock,
    ) -> Result<Self, Error> {
        let record = PoolRecord::known(folder).filter(|record| record.digest == plan.pool);
        let Some(record) = record else {
            let problem = "has lost its pool.json, or has that of another plan".to_owned();
            return Err(Error::Run { folder: folder.to_owned(), problem });
        };
        record.check(&pool)?;
        let folder = folder.to_owned();
        let at = Mutex::default();
        let worker = Self { folder, plan, recipe, pool, record, lock, remembers: true, at };
        worker.check_files()?;
        Ok(worker)
    }

    /// The same for a process that carries out one task: it does not get ready for others.
    #[must_use]
    pub fn for_one_task(self) -> Self {
        Self { remembers: false, ..self }
    }

    /// The plan.
    pub fn plan(&self) -> &TaskPlan {
        &self.plan
    }

    /// The run folder.
    pub fn run_folder(&self) -> PathBuf {
        self.plan.run_folder(&self.folder)
    }

    /// Carries out a task, unless its artefact is there and has its digest.
    ///
    /// # Errors
    /// [`Error::NotReady`] when an earlier step is not done; when there is no such task, the pool or a
    /// file has changed, the stage cannot do what it was asked, or the caller cancels.
    pub fn run(&self, step: &str, index: usize, progress: &dyn Progress) -> Result<Done, Error> {
        let step = self.plan.step(step)?;
        if index >= step.tasks {
            let (step, tasks) = (step.name.clone(), step.tasks);
            return Err(Error::NoSuchTask { step, index, tasks });
        }
        if self.is_put_together(step)? {
            return Ok(Done::Present);
        }
        if self.plan.is_idle(&self.folder, step) {
            return Ok(Done::NotNeeded);
        }
        let place = self.place(step, index);
        // A damaged artefact is replaced.
        if let Ok(Some(_)) = place.checked(&self.plan.fingerprint) {
            match step.task {
                // What it left lies in the run folder, and is gone.
                Task::Stage => {}
                Task::Finish if !self.is_finished() => {}
                _ => return Ok(Done::Present),
            }
        }
        self.check_files()?;
        let _working = place.work()?;
        let last = self.compute(step, index, progress).and_then(|last| {
            self.pool.watched().iter().try_for_each(Watched::check)?;
            self.check_files()?;
            Ok(last)
        });
        match last {
            Ok(last) => {
                place.count(&self.plan.fingerprint, last)?;
                Ok(Done::Computed)
            }
            Err(error) => {
                if !may_go_well_later(&error) {
                    place.fail(&error.to_string());
                }
                Err(error)
            }
        }
    }

    /// Whether the stage that the step works at has left its result.
    pub(super) fn is_put_together(&self, step: &Step) -> Result<bool, Error> {
        let Some(stage) = step.stage else { return Ok(false) };
        let Some(last) = self.plan.of_stage(stage, Task::Stage) else { return Ok(false) };
        let Ok(Some(_)) = self.place(last, 0).receipt(&self.plan.fingerprint) else {
            return Ok(false);
        };
        let folder = folder::of_stage(&self.run_folder(), stage, self.recipe.stages[stage].name());
        match record::read(&folder)? {
            Some(record) => Ok(record::check(&folder, &record).is_ok()),
            None => Ok(false),
        }
    }

    /// Whether the run folder has the outputs that its manifest names.
    fn is_finished(&self) -> bool {
        let run = self.run_folder();
        Manifest::read(&run.join(folder::MANIFEST)).is_ok_and(|manifest| {
            manifest.outputs.iter().all(|(name, digest)| {
                digest::of_file(&run.join(name)).is_ok_and(|found| found == *digest)
            })
        })
    }

    pub(super) fn place<'p>(&'p self, step: &'p Step, index: usize) -> Place<'p> {
        Place { folder: &self.folder, step: &step.name, index }
    }

    fn check_files(&self) -> Result<(), Error> {
        Ok(self.plan.files.iter().try_for_each(FileRecord::check)?)
    }

    /// Computes a task and writes its artefact; true where k-means is done with it.
    fn compute(&self, step: &Step, index: usize, progress: &dyn Progress) -> Result<bool, Error> {
        let place = self.place(step, index);
        let Some(stage) = step.stage else {
            self.finish(&place.part(), progress)?;
            return Ok(false);
        };
        let at = self.at(stage)?;
        match step.task {
            Task::Rows => self.judge(&at, index, &place.part(), progress)?,
            Task::Stage => self.put_together(&at, &place.part(), progress)?,
            Task::Finish => {}
            task => {
                return Clustered::new(self, &at, progress)?.compute(task, index, &place.part());
            }
        }
        Ok(true)
    }

    fn options(&self) -> RunOptions {
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
    fn stages<'s>(
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

    fn judge(
        &self,
        at: &AtStage,
        index: usize,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let input = self.in_part(&at.next.input, index);
        let ahead = Ahead::default();
        let context = self.context(at, &input, &ahead, progress);
        let outcome = at.method()?.execute(&context).map_err(|e| at.failed(e))?;
        Ok(outcome.rows.write(path)?)
    }

    /// Puts a stage together from what its tasks left.
    fn put_together(
        &self,
        at: &AtStage,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let run = self.run_folder();
        let _lock = match self.lock {
            Lock::Taken => Some(FolderLock::take(&run)?),
            Lock::Held(_) => None,
        };
        let now = PoolNow::of(self.record.clone(), &run)?;
        let stages = self.stages(at.index, Some(at.reached.clone()), &run, &now)?;
        let (record, _) = match stages.find(&at.next)? {
            Some(found) => found,
            None => stages.compute(&at.next, &self.ahead(at, progress)?, progress)?,
        };
        // Not the record itself, which says how long it took.
        let left = (&record.fingerprint, &record.files);
        let text = serde_json::to_vec(&left).expect("names and digests are JSON");
        Ok(curate_io::atomic::write(path, &text)?)
    }

    /// Whether the result of a stage is in the run folder, whoever put it there.
    pub(super) fn has_result(&self, stage: usize) -> Result<bool, Error> {
        let run = self.run_folder();
        let now = PoolNow::of(self.record.clone(), &run)?;
        let at = self.at(stage)?;
        let stages = self.stages(stage, Some(at.reached.clone()), &run, &now)?;
        Ok(stages.find(&at.next)?.is_some())
    }

    fn ahead(&self, at: &AtStage, progress: &dyn Progress) -> Result<Ahead, Error> {
        if let Some(step) = self.plan.of_stage(at.index, Task::Rows) {
            let mut parts = Vec::with_capacity(step.tasks);
            for place in self.inputs(step)? {
                parts.push(StageRows::read(&place, &table::Reader::open(&place)?)?);
            }
            return Ok(Ahead { rows: Some(StageRows::concat(parts)), ..Ahead::default() });
        }
        match self.plan.of_stage(at.index, Task::Usable) {
            Some(_) => Clustered::new(self, at, progress)?.ahead(),
            None => Ok(Ahead::default()),
        }
    }

    fn finish(&self, path: &Path, progress: &dyn Progress) -> Result<(), Error> {
        let run = self.run_folder();
        let now = PoolNow::of(self.record.clone(), &run)?;
        self.stages(self.recipe.stages.len(), None, &run, &now)?;
        let done = execute::run(&self.recipe, &run, self.options(), progress)?;
        let text = serde_json::to_vec(&done.kept).expect("a number is JSON");
        Ok(curate_io::atomic::write(path, &text)?)
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

    /// Refuses a task that may need more memory than this process can have.
    ///
    /// # Errors
    /// [`Error::TooLittleMemory`].
    pub fn check_memory(&self, step: &str, limit: u64) -> Result<(), Error> {
        let step = self.plan.step(step)?;
        if step.estimate.memory <= limit {
            return Ok(());
        }
        Err(Error::TooLittleMemory {
            step: step.name.clone(),
            needed: bytes(step.estimate.memory),
            there: bytes(limit),
        })
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

/// Whether an error says nothing against the task: it was stopped, or others were not done.
fn may_go_well_later(error: &Error) -> bool {
    let is_busy = matches!(error, Error::Io(error) if error.kind == Kind::Busy);
    error.is_cancelled() || is_busy || matches!(error, Error::NotReady { .. })
}

/// Reads the artefact of a step that has one task.
pub(super) fn only<T: serde::de::DeserializeOwned>(
    worker: &Worker,
    step: &Step,
) -> Result<T, Error> {
    let paths = worker.inputs(step)?;
    let path = paths.first().expect("a step has a task");
    Ok(artefact::read(path)?)
}
