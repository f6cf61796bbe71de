//! Runs in tasks, for many processes or machines.

use std::path::PathBuf;

use curate::pipeline::tasks::{self, Done, Status, Task, TaskPlan, Worker};
use pyo3::prelude::*;

use crate::{
    errors::Failure,
    json,
    recipe::PyRecipe,
    watch::{released, watched},
};

/// Cuts a run into tasks and writes the plan to a folder, as `curate tasks plan` does: fixes ranges of
/// rows and the steps of every stage. The same plan in the same folder is left as it is, with what its
/// tasks have left.
///
/// Parameters
/// ----------
/// recipe : Recipe, path of a TOML file, or dict
/// out : folder to write the plan to
///     Every process that works on it has to see it, and the pool.
/// tasks : int, optional
///     Into how many ranges the rows are cut; by default into ranges of a million. The result does not
///     depend on it.
/// progress : bool or callable, optional
///
/// Returns
/// -------
/// Plan
///
/// Examples
/// --------
/// >>> import curate, numpy
/// >>> X = numpy.random.default_rng(0).normal(size=(500, 16)).astype("float32")
/// >>> numpy.save("rows.npy", X / numpy.linalg.norm(X, axis=1, keepdims=True))
/// >>> stage = {"kind": "semantic-dedup", "embedding": "embedding", "clusters": 5}
/// >>> plan = curate.tasks.plan({"pool": {"path": "rows.npy"}, "stage": [stage]}, "plan", tasks=3)
/// >>> worker = curate.tasks.Worker("plan")
/// >>> for step in plan.steps:
/// ...     done = [worker.run(step.name, index) for index in range(step.tasks)]
/// >>> plan.status().is_done
/// True
/// >>> len(curate.Run(plan.run_folder)) > 0
/// True
#[pyfunction(name = "plan")]
#[pyo3(signature = (recipe, out, tasks = None, *, progress = None))]
pub(crate) fn plan_tasks(
    py: Python<'_>,
    recipe: &Bound<'_, PyAny>,
    out: PathBuf,
    tasks: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<PyPlan, Failure> {
    if tasks == Some(0) {
        return Err(Failure::input("tasks", "0 tasks carry out nothing: give at least 1"));
    }
    let recipe = PyRecipe::of(recipe)?.recipe;
    watched(py, progress, |progress| {
        let plan = tasks::plan(&recipe, &out, tasks, progress)?;
        Ok(PyPlan { folder: out, plan })
    })
}

/// A run that is cut into tasks: steps, each after the one before, of tasks that do not wait for each
/// other. `Plan.open` opens one, `curate.tasks.plan` makes one.
#[pyclass(frozen, module = "curate.tasks", name = "Plan")]
pub(crate) struct PyPlan {
    folder: PathBuf,
    plan: TaskPlan,
}

#[pymethods]
impl PyPlan {
    /// Opens the plan in a folder.
    #[staticmethod]
    fn open(folder: PathBuf) -> Result<Self, Failure> {
        Ok(Self { plan: TaskPlan::open(&folder)?, folder })
    }

    /// The plan's folder.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// The run folder: `curate.Run(plan.run_folder)` once the last step is done.
    #[getter]
    fn run_folder(&self) -> PathBuf {
        self.plan.run_folder(&self.folder)
    }

    /// Rows of the pool.
    #[getter]
    fn rows(&self) -> usize {
        self.plan.rows
    }

    /// The steps, in order.
    #[getter]
    fn steps(&self) -> Vec<PyStep> {
        self.plan.steps.iter().map(PyStep::of).collect()
    }

    /// What tells this plan from any other: a digest of the recipe, the pool, the ranges and the steps.
    #[getter]
    fn fingerprint(&self) -> &str {
        &self.plan.fingerprint
    }

    /// Which tasks are done, running, failed or missing, by what their receipts say.
    fn status(&self, py: Python<'_>) -> Result<PyStatus, Failure> {
        let folder = self.folder.clone();
        Ok(PyStatus { found: released(py, move || Ok(tasks::status(&folder)?))? })
    }

    /// Reads every artefact and what finished stages left: a dictionary, as `curate tasks verify --json`
    /// tells it. `whole` is how many artefacts are what was written, `damaged` says what is wrong with
    /// the others, `foreign` are files that no task writes.
    #[pyo3(signature = (*, progress = None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>, Failure> {
        let verify =
            |progress: &dyn curate::core::Progress| Ok(tasks::verify(&self.folder, progress)?);
        json::to_python(py, &watched(py, progress, verify)?)
    }

    /// Carries out all tasks that are not done, one after the other; returns how many that were.
    #[pyo3(signature = (*, progress = None))]
    fn resume(
        &self,
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<usize, Failure> {
        watched(py, progress, |progress| Ok(tasks::resume(&self.folder, progress)?))
    }

    /// Removes what nobody needs any more: artefacts of stages that are put together, and what killed
    /// processes left. With `everything`, all artefacts of a finished run; its run folder stays.
    /// Returns a dictionary: how many `files`, of how many `bytes`.
    #[pyo3(signature = (everything = false))]
    fn collect<'py>(
        &self,
        py: Python<'py>,
        everything: bool,
    ) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &py.detach(|| tasks::collect(&self.folder, everything))?)
    }

    fn __repr__(&self) -> String {
        let tasks: usize = self.plan.steps.iter().map(|step| step.tasks).sum();
        let (folder, steps, rows) = (self.folder.display(), self.plan.steps.len(), self.plan.rows);
        format!("<curate.tasks.Plan {folder}: {rows} rows, {steps} steps, {tasks} tasks>")
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PathBuf,))> {
        Ok((py.get_type::<Self>().getattr("open")?, (self.folder.clone(),)))
    }
}

/// A step of a plan: tasks that do not wait for each other, numbered from 0.
#[pyclass(frozen, get_all, module = "curate.tasks", name = "Step")]
pub(crate) struct PyStep {
    /// Its name: `02-dedup.pass-07`.
    name: String,
    /// The number of its stage, from 0; None for the last step.
    stage: Option<usize>,
    /// What its tasks do: rows, examine, usable, begin, train, pass, move, assign, search, stage, finish.
    work: String,
    /// How many tasks it has.
    tasks: usize,
    /// The step that has to be done before; None for the first.
    after: Option<String>,
    /// Seconds that one of its tasks needs on one slow processor core, at most.
    seconds: f64,
    /// Bytes of memory that one of its tasks needs, at most.
    memory: u64,
    /// Bytes that one of its tasks leaves, at most.
    disk: u64,
}

impl PyStep {
    fn of(step: &tasks::Step) -> Self {
        Self {
            name: step.name.clone(),
            stage: step.stage,
            work: work(step.task).to_owned(),
            tasks: step.tasks,
            after: step.after.clone(),
            seconds: step.estimate.seconds,
            memory: step.estimate.memory,
            disk: step.estimate.disk,
        }
    }
}

#[pymethods]
impl PyStep {
    fn __repr__(&self) -> String {
        format!("<curate.tasks.Step {}: {} tasks>", self.name, self.tasks)
    }
}

/// What a task does, in a word.
fn work(task: Task) -> &'static str {
    match task {
        Task::Rows => "rows",
        Task::Examine => "examine",
        Task::Usable => "usable",
        Task::Begin => "begin",
        Task::Train => "train",
        Task::Pass(_) => "pass",
        Task::Move(_) => "move",
        Task::Assign => "assign",
        Task::Search => "search",
        Task::Stage => "stage",
        Task::Finish => "finish",
        _ => "other",
    }
}

/// What is done of a plan; its text is what `curate tasks status` prints.
#[pyclass(frozen, module = "curate.tasks", name = "Status")]
pub(crate) struct PyStatus {
    found: Status,
}

#[pymethods]
impl PyStatus {
    /// Whether every task is done.
    #[getter]
    fn is_done(&self) -> bool {
        self.found.is_done()
    }

    /// The steps, in order: dictionaries of `step`, `tasks`, `done`, and `open`, which lists the number
    /// of each task that is not done with its `state` (missing, running, stopped, failed, damaged) and
    /// the `reason`.
    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &self.found.steps)
    }

    fn __str__(&self) -> String {
        self.found.to_string()
    }

    fn __repr__(&self) -> String {
        let steps = self.found.steps.iter();
        let (done, tasks) = steps.fold((0, 0), |(d, t), step| (d + step.done, t + step.tasks));
        format!("<curate.tasks.Status: {done} of {tasks} tasks are done>")
    }
}

/// A process that carries out tasks of a plan. It opens the pool once, so one for many tasks is better
/// than one for each. Calls from several threads work side by side.
///
/// Parameters
/// ----------
/// folder : path
///     The plan's.
/// progress : bool or callable, optional
#[pyclass(frozen, module = "curate.tasks", name = "Worker")]
pub(crate) struct PyWorker {
    folder: PathBuf,
    worker: Worker,
}

#[pymethods]
impl PyWorker {
    #[new]
    #[pyo3(signature = (folder, *, progress = None))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<Self, Failure> {
        watched(py, progress, |progress| {
            let worker = Worker::open(&folder, progress)?;
            Ok(Self { folder, worker })
        })
    }

    /// The plan, as it was when this was made.
    #[getter]
    fn plan(&self) -> PyPlan {
        PyPlan { folder: self.folder.clone(), plan: self.worker.plan().clone() }
    }

    /// Carries out a task, unless what it leaves is there. Any process may, any number of times: a task
    /// always leaves the same bytes.
    ///
    /// Parameters
    /// ----------
    /// step : str
    ///     The step's name.
    /// index : int
    ///     The task's number, from 0.
    /// progress : bool or callable, optional
    ///
    /// Returns
    /// -------
    /// str
    ///     "computed"; "present", when its artefact was there; "not-needed", when k-means had converged
    ///     before.
    ///
    /// Raises
    /// ------
    /// NotReady
    ///     An earlier step is not done, or what it left is damaged.
    #[pyo3(signature = (step, index = 0, *, progress = None))]
    fn run(
        &self,
        py: Python<'_>,
        step: &str,
        index: usize,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<&'static str, Failure> {
        let done = watched(py, progress, |told| Ok(self.worker.run(step, index, told)?))?;
        Ok(match done {
            Done::Computed => "computed",
            Done::Present => "present",
            Done::NotNeeded => "not-needed",
        })
    }

    fn __repr__(&self) -> String {
        format!("<curate.tasks.Worker {}>", self.folder.display())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PathBuf,))> {
        Ok((py.get_type::<Self>().into_any(), (self.folder.clone(),)))
    }
}
