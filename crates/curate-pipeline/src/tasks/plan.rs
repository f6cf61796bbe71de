//! A plan: what is fixed before any task runs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use curate_core::{EmbeddingSource, Progress, params::Checker};
use curate_io::{
    IoError, Kind, Pool, atomic, digest, lock::FolderLock, url::is_url, watched::Watched,
};
use serde::{Deserialize, Serialize};

use super::{
    artefact::Place,
    graph::{self, Planned, Step, Task},
};
use crate::{
    Error, Recipe, execute, folder,
    manifest::{FileRecord, PoolRecord},
    plan::{fixed_memory, given},
    stage::Work,
};

/// The format of plans.
const FORMAT: u32 = 1;
/// Rows of a part where nothing is said.
const ROWS_PER_PART: usize = 1 << 20;

/// What is fixed before any task runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskPlan {
    /// The format of the folder.
    pub format: u32,
    /// The version of this program: others may write other bytes.
    pub version: String,
    /// A digest of everything below, of the recipe and of the pool.
    pub fingerprint: String,
    /// The run folder, from the plan's.
    pub run: PathBuf,
    /// Rows of the pool.
    pub rows: usize,
    /// Ranges of rows.
    pub parts: Vec<Part>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The digest of the pool; `pool.json` has those of its files.
    pub pool: String,
    /// The digest of `pool.listing`, by which tasks open the pool without reading every shard. None of a pool
    /// behind a URL, which every machine fetches for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Files that stages read beside the pool.
    pub files: Vec<FileRecord>,
}

/// A range of rows of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its first row.
    pub from: usize,
    /// The row after its last.
    pub to: usize,
    /// The shard of its first row.
    pub shard: PathBuf,
    /// The place of its first row in that shard.
    pub row_in_shard: usize,
}

/// Plans a run in tasks and writes the plan to a folder. `tasks` is into how many ranges the rows are
/// cut; left out, ranges of a million rows. `run` is where the run folder lies, from the plan's folder.
///
/// The same plan in the same folder is left as it is, with the artefacts of its tasks.
///
/// # Errors
/// When there are to be no tasks, the recipe is not valid or asks for trainings, the pool cannot be read, or the
/// folder holds another plan.
pub fn plan(
    recipe: &Recipe,
    out: &Path,
    tasks: Option<usize>,
    progress: &dyn Progress,
) -> Result<TaskPlan, Error> {
    check_tasks(tasks)?;
    recipe.check_no_training()?;
    // The tasks read the recipe from the plan's folder.
    let recipe = &recipe.clone().anchored(Path::new(""))?;
    let pool = execute::open(recipe, out, progress)?;
    folder::check_no_run(out)?;
    let _lock = FolderLock::take(out)?;
    let at = RunAt { run: PathBuf::from("run"), replace: false };
    plan_at(recipe, &pool, out, tasks, &at, progress)
}

pub(super) fn check_tasks(tasks: Option<usize>) -> Result<(), Error> {
    let mut check = Checker::default();
    check.that(tasks != Some(0), "tasks", 0, "at least 1");
    Ok(check.finish()?)
}

/// Where the run folder of a plan lies, and what becomes of another plan.
pub(super) struct RunAt {
    /// The run folder, from the plan's.
    pub(super) run: PathBuf,
    /// Whether another plan in the folder goes.
    pub(super) replace: bool,
}

pub(super) fn plan_at(
    recipe: &Recipe,
    pool: &Pool,
    out: &Path,
    tasks: Option<usize>,
    at: &RunAt,
    progress: &dyn Progress,
) -> Result<TaskPlan, Error> {
    let known = PoolRecord::known(out);
    let record = PoolRecord::new(pool, known.as_ref(), progress)?;
    let parts = parts(pool, tasks);
    let mut plan = TaskPlan {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        fingerprint: String::new(),
        run: at.run.clone(),
        rows: pool.len(),
        steps: steps(recipe, pool, parts.len())?,
        parts,
        pool: record.digest.clone(),
        listing: None,
        files: files(recipe)?,
    };
    plan.fingerprint = plan.digest(recipe);
    let is_it = |there: TaskPlan| there.fingerprint == plan.fingerprint;
    if at.replace && !TaskPlan::find(out).is_ok_and(|there| there.is_some_and(is_it)) {
        folder::remove_all(out)?;
    }
    let there = TaskPlan::find(out)?;
    if there.as_ref().is_some_and(|there| there.fingerprint != plan.fingerprint) {
        let problem = "holds another plan; choose another folder, or remove this one".to_owned();
        return Err(Error::Run { folder: out.to_owned(), problem });
    }
    if !is_url(pool.path()) {
        // Of a plan that is there too, in place of what may have been lost.
        plan.listing = Some(pool.save_listing(&out.join(folder::LISTING))?);
    }
    let plan = match there {
        // Notes on files that are passed over may differ, which change nothing that tasks leave.
        Some(there) if there.listing != plan.listing => TaskPlan { listing: plan.listing, ..there },
        Some(there) => return Ok(there),
        None => {
            atomic::write(&out.join(folder::RECIPE), recipe.to_toml().as_bytes())?;
            record.save(out)?;
            plan
        }
    };
    atomic::write(&out.join(folder::PLAN), plan.to_json().as_bytes())?;
    Ok(plan)
}

impl TaskPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// When there is none in the folder, it is damaged, or another version made it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::find(folder)?.ok_or_else(|| {
            let problem = "holds no plan of tasks: it has no plan.json".to_owned();
            Error::Run { folder: folder.to_owned(), problem }
        })
    }

    fn find(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(folder::PLAN);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IoError::os(&path, "read", e).into()),
        };
        let plan: Self = serde_json::from_slice(&text)
            .map_err(|e| unusable(&path, Kind::Malformed, "is not a plan of tasks").caused_by(e))?;
        if (plan.format, &*plan.version) != (FORMAT, env!("CARGO_PKG_VERSION")) {
            let problem = format!("was made by curate {}, not by this version", plan.version);
            return Err(unusable(&path, Kind::Unsupported, problem).into());
        }
        Ok(Some(plan))
    }

    /// The run folder of a plan in this folder.
    pub fn run_folder(&self, folder: &Path) -> PathBuf {
        folder.join(&self.run).components().collect()
    }

    /// A step by name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn step(&self, name: &str) -> Result<&Step, Error> {
        self.steps.iter().find(|step| step.name == name).ok_or_else(|| {
            // Of k-means the first pass stands for all.
            let is_later =
                |step: &&Step| matches!(step.task, Task::Pass(n) | Task::Move(n) if n > 1);
            let named = self.steps.iter().filter(|step| !is_later(step));
            let names: Vec<&str> = named.map(|step| &*step.name).collect();
            Error::NoSuchStep { step: name.to_owned(), steps: names.join(", ") }
        })
    }

    /// As JSON, as it lies in the folder.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan is JSON") + "\n"
    }

    /// An error unless the recipe is the one that was planned, and nobody changed the plan.
    pub(super) fn check(&self, folder: &Path, recipe: &Recipe) -> Result<(), Error> {
        if self.digest(recipe) == self.fingerprint {
            return Ok(());
        }
        let problem = "has another recipe.toml or plan.json than was planned";
        Err(unusable(folder, Kind::Disagree, problem).into())
    }

    fn digest(&self, recipe: &Recipe) -> String {
        let mut unnamed = Self { fingerprint: String::new(), ..self.clone() };
        // Estimates depend on the threads of whoever plans, what tasks leave does not.
        unnamed.steps.iter_mut().for_each(|step| step.estimate = graph::Estimate::default());
        let files: BTreeMap<_, _> =
            unnamed.files.iter().map(|file| (&file.path, &file.sha256)).collect();
        let told = serde_json::json!({
            "format": unnamed.format, "version": unnamed.version, "recipe": recipe.to_toml(),
            "pool": unnamed.pool, "parts": unnamed.parts, "steps": unnamed.steps, "files": files,
        });
        digest::of_bytes(told.to_string().as_bytes())
    }

    /// The pass of k-means after which a stage's centroids stay, as far as its tasks have come: 0 where
    /// there is nothing to cluster.
    pub(super) fn converged(&self, folder: &Path, stage: usize) -> Option<usize> {
        let is_last = |step: &Step| {
            let place = Place { folder, step: &step.name, index: 0 };
            place.receipt(&self.fingerprint).ok().flatten().map(|receipt| receipt.last)
        };
        if is_last(self.of_stage(stage, Task::Begin)?)? {
            return Some(0);
        }
        for pass in 1.. {
            if is_last(self.of_stage(stage, Task::Move(pass))?)? {
                return Some(pass);
            }
        }
        None
    }

    /// Whether a step has nothing to do, since k-means converged before.
    pub(super) fn is_idle(&self, folder: &Path, step: &Step) -> bool {
        match (step.task, step.stage) {
            (Task::Pass(pass) | Task::Move(pass), Some(stage)) => {
                self.converged(folder, stage).is_some_and(|last| last < pass)
            }
            _ => false,
        }
    }

    /// The step of a stage that does something.
    pub(super) fn of_stage(&self, stage: usize, task: Task) -> Option<&Step> {
        self.steps.iter().find(|step| step.stage == Some(stage) && step.task == task)
    }
}

/// A plan that no task can be carried out of.
fn unusable(path: &Path, kind: Kind, problem: impl Into<String>) -> IoError {
    IoError::new(kind, path, problem, "plan again in another folder")
}

/// Ranges of equal size, but for one row.
fn parts(pool: &Pool, tasks: Option<usize>) -> Vec<Part> {
    let rows = pool.len();
    let wanted = tasks.unwrap_or_else(|| rows.div_ceil(ROWS_PER_PART));
    let wanted = wanted.clamp(1, rows.max(1));
    let shards = pool.shards();
    let part = |index: usize| {
        let from = rows * index / wanted;
        let shard = shards.iter().rfind(|shard| shard.rows.start <= from);
        Part {
            from,
            to: rows * (index + 1) / wanted,
            shard: shard.map_or_else(PathBuf::new, |shard| shard.files[0].clone()),
            row_in_shard: shard.map_or(0, |shard| from - shard.rows.start),
        }
    };
    (0..wanted).map(part).collect()
}

fn steps(recipe: &Recipe, pool: &Pool, parts: usize) -> Result<Vec<Step>, Error> {
    let usable = pool.len() - pool.faults().len();
    let mut left: Vec<usize> = Vec::new();
    let mut methods = Vec::new();
    for (index, stage) in recipe.stages.iter().enumerate() {
        let rows = given(recipe, &left, index, usable);
        let method = stage.completed(rows).resolve()?;
        left.push(method.leaves(rows));
        methods.push((rows, method));
    }
    let fixed = fixed_memory(pool.len(), recipe.stages.len());
    let mut planned = Vec::new();
    for (stage, (rows, method)) in recipe.stages.iter().zip(&methods) {
        let work = method.work();
        let dim = match &work {
            Work::InClusters(work) => pool.embedding(work.embedding)?.dim(),
            Work::Whole | Work::RowByRow => 0,
        };
        let cost = method.cost(*rows, pool)?;
        planned.push(Planned { name: stage.name(), work, cost, rows: *rows, fixed, dim });
    }
    graph::steps(recipe, &planned, pool.len(), parts)
}

/// The files that stages read beside the pool, with their digests.
fn files(recipe: &Recipe) -> Result<Vec<FileRecord>, Error> {
    let mut watched = Vec::new();
    for stage in &recipe.stages {
        let reads = stage.settings().reads();
        for path in reads.files.into_iter().chain(reads.networks) {
            watched.extend(Watched::of_all(path)?);
        }
    }
    watched.sort_unstable();
    watched.dedup();
    Ok(watched.iter().map(|file| FileRecord::new(file, None)).collect::<Result<_, _>>()?)
}
