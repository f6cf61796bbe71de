//! Runs of recipes, and looks at finished ones.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate::{
    core::{Progress, Removal, SampleId, Selection},
    io::subset::{self, SubsetFormat},
    pipeline::{
        RunOptions,
        compare::compare as compare_selections,
        evidence,
        explain::{Explanation, explain as explain_sample},
        reselect::{Reselection, reselect},
        run::Run,
    },
};
use numpy::PyArray1;
use pyo3::{IntoPyObjectExt, prelude::*, types::PyDict};

use crate::{
    errors::Failure,
    input::cut,
    json,
    recipe::PyRecipe,
    selected::numbers,
    subset as subsets,
    table::{Table, doubles, optional_texts, texts, wholes},
    watch::{released, watched},
};

/// Carries out a recipe and writes everything to a folder, as `curate run` does. A run that stopped goes on
/// at the stage that it had not finished.
///
/// Parameters
/// ----------
/// recipe : Recipe, path of a TOML file, or dict
/// out : folder to write to
/// pool : path, optional
///     Another pool than the recipe's.
/// overwrite : bool
///     Replaces results of other settings in the folder.
/// progress : bool or callable, optional
///
/// Returns
/// -------
/// Run
#[pyfunction]
#[pyo3(signature = (recipe, out, *, pool = None, overwrite = false, progress = None))]
pub(crate) fn run(
    py: Python<'_>,
    recipe: &Bound<'_, PyAny>,
    out: PathBuf,
    pool: Option<PathBuf>,
    overwrite: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<PyRun, Failure> {
    let recipe = PyRecipe::of(recipe)?;
    let recipe = match pool {
        Some(pool) => with_pool(recipe, pool),
        None => recipe,
    };
    recipe.recipe.check_no_training()?;
    watched(py, progress, |progress| {
        let options = RunOptions { overwrite };
        let summary = curate::pipeline::run(&recipe.recipe, &out, options, progress)?;
        PyRun::read(out, summary.reused, progress)
    })
}

fn with_pool(recipe: PyRecipe, pool: PathBuf) -> PyRecipe {
    let mut recipe = recipe.recipe;
    recipe.pool.path = pool;
    PyRecipe { recipe }
}

/// A finished run.
///
/// Parameters
/// ----------
/// folder : path
///     The folder that `run`, or the program, wrote.
/// progress : bool or callable, optional
#[pyclass(frozen, module = "curate", name = "Run")]
pub(crate) struct PyRun {
    folder: PathBuf,
    reused: Vec<String>,
    run: Run,
}

impl PyRun {
    fn read(
        folder: PathBuf,
        reused: Vec<String>,
        progress: &dyn Progress,
    ) -> Result<Self, Failure> {
        let run = Run::open(&folder, progress)?;
        Ok(Self { folder, reused, run })
    }
}

#[pymethods]
impl PyRun {
    #[new]
    #[pyo3(signature = (folder, *, progress = None))]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<Self, Failure> {
        watched(py, progress, |progress| Self::read(folder, Vec::new(), progress))
    }

    /// The folder.
    #[getter]
    fn folder(&self) -> &Path {
        &self.folder
    }

    /// Rows of the pool.
    #[getter]
    fn rows(&self) -> usize {
        self.run.pool.len()
    }

    /// The rows of the pool that stay: int64.
    #[getter]
    fn selected<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, &self.run.kept)
    }

    /// Their ids: an array of pairs `u8,u8`.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        subsets::pairs(py, self.run.kept.iter().map(|row| self.run.pool.ids()[row]))
    }

    /// How many rows were set aside when the pool was read.
    #[getter]
    fn quarantined(&self) -> usize {
        self.run.pool.faults().len()
    }

    /// What a person should know of the pool's files although their rows can be used.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.run.pool.notes().to_vec()
    }

    /// Names of stages that were read instead of computed, by the call that made this object.
    #[getter]
    fn reused(&self) -> Vec<String> {
        self.reused.clone()
    }

    /// The recipe with every default.
    #[getter]
    fn recipe(&self) -> PyRecipe {
        PyRecipe { recipe: self.run.recipe.clone() }
    }

    /// The stages, a row each: `name`, `kind`, `rows_in`, `rows_out`, `seconds`.
    #[getter]
    fn stages(&self) -> Result<Table, Failure> {
        let records = &self.run.records;
        Table::new(vec![
            ("name", texts(records.iter().map(|record| record.name.clone()))),
            ("kind", texts(records.iter().map(|record| record.kind.clone()))),
            ("rows_in", wholes(records.iter().map(|record| Some(record.rows_in as u64)))),
            ("rows_out", wholes(records.iter().map(|record| Some(record.rows_out as u64)))),
            ("seconds", doubles(records.iter().map(|record| Some(record.seconds)))),
        ])
    }

    /// How many rows each rule removed, by stage: a dictionary of dictionaries.
    #[getter]
    fn removed(&self) -> BTreeMap<String, BTreeMap<String, usize>> {
        let records = self.run.records.iter();
        records.map(|record| (record.name.clone(), record.removed.clone())).collect()
    }

    /// Why each row that does not stay went: the table of `evidence.parquet`.
    #[getter]
    fn evidence(&self, py: Python<'_>) -> Result<Table, Failure> {
        watched(py, None, |progress| evidence_of(&self.run, progress))
    }

    /// What each stage said of a sample, by its id (32 hexadecimal digits) or its key.
    fn explain(&self, py: Python<'_>, id: String) -> Result<PyExplanation, Failure> {
        explain(py, self.folder.clone(), id)
    }

    /// Another cut of a finished stage, without computing it again: one of `epsilon`, `threshold`,
    /// `fraction` and `count`. Without a stage's name, of the last stage that has such numbers.
    #[pyo3(signature = (stage = None, *, epsilon = None, threshold = None, fraction = None,
        count = None))]
    fn select(
        &self,
        py: Python<'_>,
        stage: Option<String>,
        epsilon: Option<f64>,
        threshold: Option<f64>,
        fraction: Option<f64>,
        count: Option<usize>,
    ) -> Result<PyReselection, Failure> {
        let wanted = cut::one(epsilon, threshold, fraction, count)?;
        let wanted = wanted.ok_or_else(|| {
            Failure::input("epsilon", "give an epsilon, a threshold, a fraction or a count")
        })?;
        let folder = self.folder.clone();
        let reselected = move || Ok(reselect(&folder, stage.as_deref(), wanted)?);
        Ok(PyReselection { found: released(py, reselected)? })
    }

    fn __len__(&self) -> usize {
        self.run.kept.len()
    }

    fn __repr__(&self) -> String {
        let (kept, rows) = (self.run.kept.len(), self.run.pool.len());
        format!("<curate.Run {}: {kept} of {rows} rows stay>", self.folder.display())
    }

    fn _repr_html_(slf: Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("curate._show")?.getattr("run_html")?.call1((slf,))?.extract()
    }
}

/// The stage that gave a reason, the reason, and its cause outside the pool.
type Given = (String, Removal, Option<String>);

fn evidence_of(run: &Run, progress: &dyn Progress) -> Result<Table, Failure> {
    let mut reasons: Vec<Given> = Vec::new();
    evidence::each(run, |reason| {
        progress.check()?;
        reasons.push((reason.stage.to_owned(), reason.removal, reason.outside_cause));
        Ok(())
    })?;
    let id = |row: usize| run.pool.ids()[row].to_string();
    let removals = || reasons.iter().map(|(_, removal, _)| removal);
    let cause = |(_, removal, outside): &Given| removal.cause.map(id).or_else(|| outside.clone());
    Table::new(vec![
        ("uid", texts(removals().map(|removal| id(removal.row)))),
        ("row", wholes(removals().map(|removal| Some(removal.row as u64)))),
        ("stage", texts(reasons.iter().map(|(stage, ..)| stage.clone()))),
        ("rule", texts(removals().map(|removal| removal.rule.clone()))),
        ("value", doubles(removals().map(|removal| removal.value))),
        ("threshold", doubles(removals().map(|removal| removal.threshold))),
        ("cause_uid", optional_texts(reasons.iter().map(cause))),
        ("cause_row", wholes(removals().map(|removal| removal.cause.map(|row| row as u64)))),
        ("cluster", wholes(removals().map(|removal| removal.cluster.map(u64::from)))),
    ])
}

/// What another cut of a finished stage keeps.
#[pyclass(frozen, module = "curate", name = "Reselection")]
pub(crate) struct PyReselection {
    found: Reselection,
}

#[pymethods]
impl PyReselection {
    /// The stage whose numbers decided.
    #[getter]
    fn stage(&self) -> &str {
        &self.found.stage
    }

    /// Rows that the stage was given.
    #[getter]
    fn given(&self) -> usize {
        self.found.given
    }

    /// The rows of the pool that stay: int64.
    #[getter]
    fn selected<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, &self.found.kept)
    }

    /// Their ids: an array of pairs `u8,u8`.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        subsets::pairs(py, self.found.ids.iter().copied())
    }

    /// The number of the worst row that stays.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        self.found.threshold
    }

    /// Writes a subset file, in the form of the path's ending.
    fn write(&self, py: Python<'_>, path: PathBuf) -> Result<(), Failure> {
        let format = SubsetFormat::of_path(&path)?;
        let ids: &[SampleId] = &self.found.ids;
        Ok(py.detach(|| subset::write(&path, format, ids))?)
    }

    fn __len__(&self) -> usize {
        let kept: &Selection = &self.found.kept;
        kept.len()
    }

    fn __repr__(&self) -> String {
        let (stage, kept) = (&self.found.stage, self.found.kept.len());
        format!("<curate.Reselection of {stage}: {kept} of {} rows stay>", self.found.given)
    }
}

/// What each stage of a finished run said of a sample, by its id or its key.
#[pyfunction]
pub(crate) fn explain(py: Python<'_>, run: PathBuf, id: String) -> Result<PyExplanation, Failure> {
    Ok(PyExplanation { found: released(py, move || Ok(explain_sample(&run, &id)?))? })
}

/// What happened to a sample; its text is what `curate explain` prints.
#[pyclass(frozen, module = "curate", name = "Explanation")]
pub(crate) struct PyExplanation {
    found: Explanation,
}

#[pymethods]
impl PyExplanation {
    /// The sample's id.
    #[getter]
    fn id(&self) -> String {
        self.found.sample.id.to_string()
    }

    /// Its row in the pool.
    #[getter]
    fn row(&self) -> usize {
        self.found.row
    }

    /// Whether it stays.
    #[getter]
    fn kept(&self) -> bool {
        self.found.kept
    }

    /// The stages that saw it: dictionaries of `stage`, `kind`, `value`, `threshold`, `meaning`, `cluster`,
    /// `nearest` and `rule`, the rule being None where it stays.
    #[getter]
    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let step = |step: &curate::pipeline::explain::Step| {
            let told = PyDict::new(py);
            told.set_item("stage", &step.stage)?;
            told.set_item("kind", &step.kind)?;
            told.set_item("value", step.value)?;
            told.set_item("threshold", step.threshold)?;
            told.set_item("meaning", &step.meaning)?;
            told.set_item("cluster", step.cluster)?;
            let nearest =
                step.related.as_ref().map(|related| related.nearest.sample.id.to_string());
            told.set_item("nearest", nearest.or_else(|| step.reference.clone()))?;
            let rule = step.removal.as_ref().map(|removal| removal.rule.as_str());
            told.set_item("rule", rule.into_bound_py_any(py)?)?;
            Ok(told)
        };
        self.found.steps.iter().map(step).collect()
    }

    fn __str__(&self) -> String {
        self.found.to_string()
    }

    fn __repr__(&self) -> String {
        let verdict = if self.found.kept { "kept" } else { "removed" };
        format!("<curate.Explanation of {}: {verdict}>", self.found.sample.id)
    }
}

/// How two runs, or two subset files, overlap: a dictionary, as `curate compare --json` tells it.
#[pyfunction]
pub(crate) fn compare(
    py: Python<'_>,
    first: PathBuf,
    second: PathBuf,
) -> Result<Bound<'_, PyAny>, Failure> {
    json::to_python(py, &released(py, move || Ok(compare_selections(&first, &second)?))?)
}
