//! The steps of a run, each of them one or several tasks.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Recipe,
    stage::{Cost, InClusters, Origin, Work},
};

/// What the tasks of a step do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// Judge the rows of a range.
    Rows,
    /// Look at the vectors of a range.
    Examine,
    /// Put together which rows can be used.
    Usable,
    /// Choose the centroids that k-means starts from.
    Begin,
    /// Train k-means at once: on a sample of the rows, or by mini-batches.
    Train,
    /// A pass of k-means over a range, from 1.
    Pass(usize),
    /// Move the centroids after a pass.
    Move(usize),
    /// Assign the rows of a range to the centroids.
    Assign,
    /// Search a range of clusters.
    Search,
    /// Put the stage together and write what it says of every row.
    Stage,
    /// Write the subset, the evidence and the report.
    Finish,
}

/// A step: tasks that do not wait for each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name: `02-dedup.pass-07`.
    pub name: String,
    /// The number of its stage, from 0; none for the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<usize>,
    /// What its tasks do.
    pub task: Task,
    /// How many tasks it has, numbered from 0.
    pub tasks: usize,
    /// The step that has to be done before, but for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What one of its tasks needs, at most.
    pub estimate: Estimate,
}

/// What a task needs, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Seconds of one processor core at [`Estimate::OPERATIONS`] and [`Estimate::BYTES`] per second, to open the
    /// pool and write rows included.
    pub seconds: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of its artefact.
    pub disk: u64,
}

impl Estimate {
    /// Floating-point operations of a core in a second: what slow ones reach.
    pub const OPERATIONS: f64 = 1e10;
    /// Bytes that a task reads in a second: what a shared file system gives.
    pub const BYTES: f64 = 1e8;
    /// Rows of a pool that a task opens in a second, whatever its part of them: an id of 16 bytes each from a
    /// shared file system, and the sets of rows that stages left.
    pub const OPENED: f64 = 2.5e6;
    /// Rows that a task puts together, judges for the report and writes in a second.
    pub const WRITTEN: f64 = 1e5;

    /// A share of a stage's work.
    fn of(cost: Cost, share: f64, memory: u64, disk: u64) -> Self {
        let seconds = cost.operations / Self::OPERATIONS + cost.reads as f64 / Self::BYTES;
        Self { seconds: 1.0 + seconds * share, memory: memory + cost.memory, disk }
    }

    /// The same for a task that opens a pool of so many rows and writes some.
    fn with_rows(self, opened: usize, written: usize) -> Self {
        let rows = opened as f64 / Self::OPENED + written as f64 / Self::WRITTEN;
        Self { seconds: self.seconds + rows, ..self }
    }
}

/// A stage as far as its steps depend on it.
pub(crate) struct Planned<'a> {
    pub(crate) name: &'a str,
    pub(crate) work: Work<'a>,
    /// What all of it needs.
    pub(crate) cost: Cost,
    /// Rows that it is given, at most.
    pub(crate) rows: usize,
    /// Bytes of memory of any task, whatever it does.
    pub(crate) fixed: u64,
    /// Length of a vector.
    pub(crate) dim: usize,
}

/// A step before it is named.
struct Draft {
    word: String,
    task: Task,
    tasks: usize,
    /// The share of the stage's work that one of its tasks has.
    share: f64,
    disk: u64,
}

/// The steps of a recipe whose pool of so many rows is cut into so many parts.
pub(crate) fn steps(
    recipe: &Recipe,
    planned: &[Planned<'_>],
    pool: usize,
    parts: usize,
) -> Result<Vec<Step>, Error> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, stage) in planned.iter().enumerate() {
        let drafts = match &stage.work {
            Work::Whole => vec![],
            Work::RowByRow => vec![each("rows", Task::Rows, parts, 12 * stage.rows)],
            Work::InClusters(work) => in_clusters(recipe, stage, work, parts)?,
        };
        let share = if drafts.is_empty() { 1.0 } else { 0.0 };
        let last = Draft { share, ..one("stage", Task::Stage, 24 * stage.rows) };
        for draft in drafts.into_iter().chain([last]) {
            let name = format!("{:02}-{}.{}", index + 1, stage.name, draft.word);
            let estimate = Estimate::of(stage.cost, draft.share, stage.fixed, draft.disk);
            let estimate = estimate.with_rows(pool, stage.rows / draft.tasks.max(1));
            push(&mut steps, name, Some(index), &draft, estimate);
        }
    }
    let fixed = planned.iter().map(|stage| stage.fixed).max().unwrap_or(0);
    let estimate = Estimate::of(Cost::default(), 1.0, fixed, 0).with_rows(pool, pool);
    push(&mut steps, "finish".to_owned(), None, &one("finish", Task::Finish, 0), estimate);
    Ok(steps)
}

fn push(
    steps: &mut Vec<Step>,
    name: String,
    stage: Option<usize>,
    draft: &Draft,
    estimate: Estimate,
) {
    let after = steps.last().map(|step| step.name.clone());
    steps.push(Step { name, stage, task: draft.task, tasks: draft.tasks, after, estimate });
}

/// A step with a task for each part; `disk` is that of all of them.
fn each(word: &str, task: Task, parts: usize, disk: usize) -> Draft {
    let share = 1.0 / parts.max(1) as f64;
    let disk = (disk / parts.max(1)) as u64;
    Draft { word: word.to_owned(), task, tasks: parts, share, disk }
}

/// A step of one task.
fn one(word: &str, task: Task, disk: usize) -> Draft {
    Draft { word: word.to_owned(), task, tasks: 1, share: 0.0, disk: disk as u64 }
}

fn in_clusters(
    recipe: &Recipe,
    stage: &Planned<'_>,
    work: &InClusters<'_>,
    parts: usize,
) -> Result<Vec<Draft>, Error> {
    let mut drafts = vec![each("examine", Task::Examine, parts, 0), one("usable", Task::Usable, 0)];
    let mut clusters = parts;
    if let Origin::Fit(wanted, params) = &work.origin {
        clusters = *wanted;
        let k_means = params.as_ref().clone().inside(*wanted, recipe.seed, stage.rows.max(1));
        let k_means =
            k_means.map_err(|e| crate::error::StageError::from(e).in_stage(stage.name))?;
        let centroids = 4 * wanted * stage.dim;
        if k_means.is_in_parts() {
            drafts.push(one("begin", Task::Begin, centroids));
            for pass in 1..=k_means.iterations() {
                let (sums, placed) = (8 * wanted * stage.dim, 4 * stage.rows);
                let passed = each(&format!("pass-{pass:02}"), Task::Pass(pass), parts, placed);
                let share = passed.share / k_means.iterations() as f64;
                drafts.push(Draft { disk: passed.disk + sums as u64, share, ..passed });
                drafts.push(one(&format!("move-{pass:02}"), Task::Move(pass), centroids));
            }
        } else {
            drafts.push(Draft { share: 1.0, ..one("train", Task::Train, centroids) });
        }
        drafts.push(each("assign", Task::Assign, parts, 8 * stage.rows));
    }
    if work.search.is_some() {
        let tasks = parts.min(clusters.max(1));
        drafts.push(each("search", Task::Search, tasks, 16 * stage.rows));
    }
    Ok(drafts)
}
