//! Carrying out one task.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use curate_core::Progress;
use curate_io::{Kind, Pool, digest, lock::FolderLock, table, watched::Watched};

use super::{
    clustered::Clustered,
    graph::{Step, Task},
    plan::TaskPlan,
    site::{AtStage, Lock, Site},
    status,
};
use crate::{
    Error, Recipe,
    ahead::Ahead,
    execute, folder,
    manifest::{FileRecord, Manifest, PoolNow, PoolRecord},
    plan::bytes,
    record,
    rows::StageRows,
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
    pub(super) site: Site,
}

impl Worker {
    /// Opens a plan and its pool.
    ///
    /// # Errors
    /// When there is no plan, or the pool or a file that a stage reads has changed since it was made.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let plan = TaskPlan::open(folder)?;
        let recipe = Recipe::read(&folder.join(folder::RECIPE))?;
        plan.check(folder, &recipe)?;
        let pool = match &plan.listing {
            Some(digest) => open_listed(&folder.join(folder::LISTING), digest)?,
            None => recipe.open_pool(progress)?,
        };
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
        let (folder, at) = (folder.to_owned(), Mutex::default());
        let site = Site { folder, plan, recipe, pool, record, lock, remembers: true, at };
        let worker = Self { site };
        worker.check_files()?;
        Ok(worker)
    }

    /// The same for a process that carries out one task: it does not get ready for others.
    #[must_use]
    pub fn for_one_task(self) -> Self {
        Self { site: Site { remembers: false, ..self.site } }
    }

    /// The plan.
    pub fn plan(&self) -> &TaskPlan {
        &self.site.plan
    }

    /// The run folder.
    pub fn run_folder(&self) -> PathBuf {
        self.site.run_folder()
    }

    /// Carries out a task, unless its artefact is there and has its digest.
    ///
    /// # Errors
    /// [`Error::NotReady`] when an earlier step is not done; when there is no such task, the pool or a
    /// file has changed, the stage cannot do what it was asked, or the caller cancels.
    pub fn run(&self, step: &str, index: usize, progress: &dyn Progress) -> Result<Done, Error> {
        let step = self.site.plan.step(step)?;
        if index >= step.tasks {
            let (step, tasks) = (step.name.clone(), step.tasks);
            return Err(Error::NoSuchTask { step, index, tasks });
        }
        if self.is_put_together(step)? {
            return Ok(Done::Present);
        }
        if self.site.plan.is_idle(&self.site.folder, step) {
            return Ok(Done::NotNeeded);
        }
        let place = self.site.place(step, index);
        // A damaged artefact is replaced.
        if let Ok(Some(_)) = place.checked(&self.site.plan.fingerprint) {
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
            self.site.pool.watched().iter().try_for_each(Watched::check)?;
            self.check_files()?;
            Ok(last)
        });
        match last {
            Ok(last) => {
                place.count(&self.site.plan.fingerprint, last)?;
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
        if !status::is_put_together(&self.site.folder, &self.site.plan, step) {
            return Ok(false);
        }
        let folder =
            folder::of_stage(&self.site.run_folder(), stage, self.site.recipe.stages[stage].name());
        match record::read(&folder)? {
            Some(record) => Ok(record::check(&folder, &record).is_ok()),
            None => Ok(false),
        }
    }

    /// Whether the run folder has the outputs that its manifest names.
    fn is_finished(&self) -> bool {
        let run = self.site.run_folder();
        Manifest::read(&run.join(folder::MANIFEST)).is_ok_and(|manifest| {
            manifest.outputs.iter().all(|(name, digest)| {
                digest::of_file(&run.join(name)).is_ok_and(|found| found == *digest)
            })
        })
    }

    fn check_files(&self) -> Result<(), Error> {
        Ok(self.site.plan.files.iter().try_for_each(FileRecord::check)?)
    }

    /// Computes a task and writes its artefact; true where k-means is done with it.
    fn compute(&self, step: &Step, index: usize, progress: &dyn Progress) -> Result<bool, Error> {
        let place = self.site.place(step, index);
        let Some(stage) = step.stage else {
            self.finish(&place.part(), progress)?;
            return Ok(false);
        };
        let at = self.site.at(stage)?;
        match step.task {
            Task::Rows => self.judge(&at, index, &place.part(), progress)?,
            Task::Stage => self.put_together(&at, &place.part(), progress)?,
            Task::Finish => {}
            task => {
                return Clustered::new(&self.site, &at, progress)?.compute(
                    task,
                    index,
                    &place.part(),
                );
            }
        }
        Ok(false)
    }

    fn judge(
        &self,
        at: &AtStage,
        index: usize,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let input = self.site.in_part(&at.next.input, index);
        let ahead = Ahead::default();
        let context = self.site.context(at, &input, &ahead, progress);
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
        let run = self.site.run_folder();
        let _lock = match self.site.lock {
            Lock::Taken => Some(FolderLock::take(&run)?),
            Lock::Held(_) => None,
        };
        let now = PoolNow::of(self.site.record.clone(), &run)?;
        let stages = self.site.stages(at.index, Some(at.reached.clone()), &run, &now)?;
        let (record, _) = match found(stages.find(&at.next))? {
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
        let run = self.site.run_folder();
        let now = PoolNow::of(self.site.record.clone(), &run)?;
        let at = self.site.at(stage)?;
        let stages = self.site.stages(stage, Some(at.reached.clone()), &run, &now)?;
        Ok(found(stages.find(&at.next))?.is_some())
    }

    fn ahead(&self, at: &AtStage, progress: &dyn Progress) -> Result<Ahead, Error> {
        if let Some(step) = self.site.plan.of_stage(at.index, Task::Rows) {
            let mut parts = Vec::with_capacity(step.tasks);
            for place in self.site.inputs(step)? {
                parts.push(StageRows::read(&place, &table::Reader::open(&place)?)?);
            }
            return Ok(Ahead { rows: Some(StageRows::concat(parts)), ..Ahead::default() });
        }
        match self.site.plan.of_stage(at.index, Task::Usable) {
            Some(_) => Clustered::new(&self.site, at, progress)?.ahead(),
            None => Ok(Ahead::default()),
        }
    }

    fn finish(&self, path: &Path, progress: &dyn Progress) -> Result<(), Error> {
        let run = self.site.run_folder();
        let now = PoolNow::of(self.site.record.clone(), &run)?;
        self.site.stages(self.site.recipe.stages.len(), None, &run, &now)?;
        let done = execute::run(&self.site.recipe, &run, self.site.options(), progress)?;
        let text = serde_json::to_vec(&done.kept).expect("a number is JSON");
        Ok(curate_io::atomic::write(path, &text)?)
    }

    /// Refuses a task that may need more memory than this process can have.
    ///
    /// # Errors
    /// [`Error::TooLittleMemory`].
    pub fn check_memory(&self, step: &str, limit: u64) -> Result<(), Error> {
        let step = self.site.plan.step(step)?;
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

/// The pool as it was when the plan was made.
fn open_listed(listing: &Path, digest: &str) -> Result<Pool, Error> {
    Pool::open_listed(listing, digest).map_err(|mut error| {
        let remedy = match (error.path == listing, error.kind) {
            (true, Kind::NotFound | Kind::Disagree) => {
                "plan again in this folder, which keeps what is done"
            }
            (false, Kind::Disagree) => "plan again in another folder",
            _ => return error.into(),
        };
        remedy.clone_into(&mut error.remedy);
        error.into()
    })
}

/// A result that is damaged counts as none: its tasks are carried out again.
fn found<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Damaged(_)) => Ok(None),
        found => found,
    }
}

/// Whether an error says nothing against the task: it was stopped, or others were not done.
fn may_go_well_later(error: &Error) -> bool {
    let is_busy = matches!(error, Error::Io(error) if error.kind == Kind::Busy);
    error.is_cancelled() || is_busy || matches!(error, Error::NotReady { .. })
}
