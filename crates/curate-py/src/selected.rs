//! What every decision on rows answers.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use curate::{
    core::{Removal, SampleId, Selection},
    io::subset::{self, SubsetFormat},
};
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::{
    errors::Failure,
    input::ids::Ids,
    pickle::{Reduced, reduced, restored},
    table::{Table, evidence},
};

/// Why rows went, found when somebody asks.
pub(crate) trait Reasons: Send + Sync {
    /// A reason for each row that was given and does not stay, in row order.
    fn removals(&self) -> Result<Vec<Removal>, Failure>;
}

/// Reasons that are there already.
pub(crate) struct Known(pub(crate) Vec<Removal>);

impl Reasons for Known {
    fn removals(&self) -> Result<Vec<Removal>, Failure> {
        Ok(self.0.clone())
    }
}

/// A decision as a pickle holds it.
type Saved = (Selection, Selection, Option<f64>, Option<Arc<Ids>>, Vec<Removal>);

/// Which of the rows that were given stay, and why the others went.
///
/// All rows are numbers of rows of the array that was given, from 0.
#[pyclass(frozen, subclass, module = "curate")]
pub(crate) struct Selected {
    given: Selection,
    kept: Selection,
    threshold: Option<f64>,
    ids: Option<Arc<Ids>>,
    reasons: Box<dyn Reasons>,
    removals: OnceLock<Vec<Removal>>,
}

impl Selected {
    pub(crate) fn new(
        given: Selection,
        kept: Selection,
        threshold: Option<f64>,
        ids: Option<Arc<Ids>>,
        reasons: Box<dyn Reasons>,
    ) -> Self {
        Self { given, kept, threshold, ids, reasons, removals: OnceLock::new() }
    }

    pub(crate) fn kept(&self) -> &Selection {
        &self.kept
    }

    pub(crate) fn reasons(&self) -> Result<&[Removal], Failure> {
        if let Some(removals) = self.removals.get() {
            return Ok(removals);
        }
        let removals = self.reasons.removals()?;
        Ok(self.removals.get_or_init(|| removals))
    }

    fn sample_ids(&self) -> Vec<SampleId> {
        let id = |row: usize| self.ids.as_ref().map_or(SampleId(row as u128), |ids| ids.ids[row]);
        self.kept.iter().map(id).collect()
    }

    fn ids_of<'py>(&self, py: Python<'py>, rows: &Selection) -> PyResult<Bound<'py, PyAny>> {
        match &self.ids {
            Some(ids) => ids.take(py, rows),
            None => Ok(numbers(py, rows).into_any()),
        }
    }
}

/// Rows as an array of int64.
pub(crate) fn numbers<'py>(py: Python<'py>, rows: &Selection) -> Bound<'py, PyArray1<i64>> {
    // No array has 2^63 rows.
    PyArray1::from_iter(py, rows.iter().map(|row| i64::try_from(row).unwrap_or(i64::MAX)))
}

#[pymethods]
impl Selected {
    /// The rows that stay, ascending: int64 of shape (n,).
    #[getter]
    fn selected<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, &self.kept)
    }

    /// The rows that were given and do not stay, ascending: int64 of shape (m,).
    #[getter]
    fn removed<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, &self.given.minus(&self.kept))
    }

    /// The rows that were given, ascending: int64 of shape (n + m,).
    #[getter]
    fn given<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, &self.given)
    }

    /// The ids of the rows that stay: an array of uint64 where ids were given as whole numbers, a list of
    /// 32 hexadecimal digits each where they were texts, the row numbers where none were given.
    #[getter]
    fn selected_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.ids_of(py, &self.kept)
    }

    /// The ids of the rows that do not stay, written as `selected_ids`.
    #[getter]
    fn removed_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.ids_of(py, &self.given.minus(&self.kept))
    }

    /// The number of the worst row that stays, or the threshold itself; `None` where no number decided.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// Why each row that does not stay went, a row of the table each, in row order: a `Table` with the
    /// columns `uid`, `row`, `rule`, `value`, `threshold`, `cause_uid`, `cause_row`, `cluster`, as in a
    /// run's `evidence.parquet`.
    #[getter]
    fn evidence(&self) -> Result<Table, Failure> {
        evidence(self.reasons()?, self.ids.as_deref())
    }

    /// Why a row went; `None` for a row that stays.
    ///
    /// Raises `InputError` for a row that was not given.
    fn cause(&self, row: usize) -> Result<Option<Reason>, Failure> {
        if !self.given.contains(row) {
            let given = self.given.len();
            let problem = format!("row {row} is not among the {given} rows that were given");
            return Err(Failure::input("row", problem));
        }
        let removals = self.reasons()?;
        let found = removals.binary_search_by_key(&row, |removal| removal.row);
        Ok(found.ok().map(|at| {
            let removal = removals[at].clone();
            let id = |row: usize| self.ids.as_ref().map(|ids| ids.text(row));
            Reason { id: id(row), cause_id: removal.cause.and_then(id), removal }
        }))
    }

    /// How many rows each rule removed: a dictionary.
    #[getter]
    fn rules(&self) -> Result<std::collections::BTreeMap<String, usize>, Failure> {
        let mut rules = std::collections::BTreeMap::new();
        for removal in self.reasons()? {
            *rules.entry(removal.rule.clone()).or_default() += 1;
        }
        Ok(rules)
    }

    /// Writes the ids of the rows that stay as a subset file, as the program writes it: `.npy`
    /// (DataComp's), `.memmap`, `.parquet`, `.jsonl` or `.txt` by the path's ending.
    fn write(&self, py: Python<'_>, path: PathBuf) -> Result<(), Failure> {
        let format = SubsetFormat::of_path(&path)?;
        Ok(py.detach(|| subset::write(&path, format, &self.sample_ids()))?)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        let reasons = self.reasons()?;
        let state = (&self.given, &self.kept, self.threshold, &self.ids, reasons);
        reduced::<Self>(py, &state)
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        let (given, kept, threshold, ids, removals): Saved = restored(state)?;
        Ok(Self::new(given, kept, threshold, ids, Box::new(Known(removals))))
    }

    fn __len__(&self) -> usize {
        self.kept.len()
    }

    fn __contains__(&self, row: usize) -> bool {
        self.kept.contains(row)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, this) = (slf.get_type().name()?, slf.get());
        Ok(format!("<curate.{class}: {} of {} rows stay>", this.kept.len(), this.given.len()))
    }

    fn _repr_html_(slf: Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("curate._show")?.getattr("selected_html")?.call1((slf,))?.extract()
    }
}

/// Why one row went.
#[pyclass(frozen, module = "curate")]
pub(crate) struct Reason {
    id: Option<String>,
    cause_id: Option<String>,
    removal: Removal,
}

#[pymethods]
impl Reason {
    /// The row.
    #[getter]
    fn row(&self) -> usize {
        self.removal.row
    }

    /// Its id, where ids were given.
    #[getter]
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The rule, for example `semantic-duplicate`.
    #[getter]
    fn rule(&self) -> &str {
        &self.removal.rule
    }

    /// The row's number under the rule, for example a cosine.
    #[getter]
    fn value(&self) -> Option<f64> {
        self.removal.value
    }

    /// What the number was compared with.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        self.removal.threshold
    }

    /// The row that caused the removal, for example the duplicate that is preferred.
    #[getter]
    fn cause(&self) -> Option<usize> {
        self.removal.cause
    }

    /// The id of that row, where ids were given.
    #[getter]
    fn cause_id(&self) -> Option<&str> {
        self.cause_id.as_deref()
    }

    /// The cluster in which the row was judged.
    #[getter]
    fn cluster(&self) -> Option<u32> {
        self.removal.cluster
    }

    fn __str__(&self) -> String {
        self.removal.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<curate.Reason {}>", self.removal)
    }
}
