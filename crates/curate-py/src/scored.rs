//! Cuts of scores that somebody has.

use std::sync::Arc;

use curate::core::{Cut, Removal, SampleId, ScoreColumn, Selection, fault::Fault, rank::Direction};
use numpy::PyArray1;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    errors::Failure,
    input::{
        cut::{self, Saved},
        ids::Ids,
        numbers,
        words::word,
    },
    pickle::{Reduced, reduced, restored},
    selected::{Reasons, Selected},
};

/// Keeps rows by a score of each.
///
/// Parameters
/// ----------
/// scores : numbers of shape (n,)
///     Compared in their own precision. A NaN is a row without a score, which never stays.
/// threshold : float, optional
///     Keeps rows of at least this score. Give one of `threshold`, `fraction` and `count`.
/// fraction : float, optional
///     Keeps the best `floor(fraction * n)` rows; ties go to the smaller id.
/// count : int, optional
///     Keeps so many of the best rows.
/// better : "higher-is-better" (default) or "lower-is-better"
/// ids : ids of the rows, optional
/// rows : row numbers or a mask, optional
///     The rows to choose among.
///
/// Returns
/// -------
/// Scored
///
/// Examples
/// --------
/// >>> import curate
/// >>> curate.select([0.31, float("nan"), 0.12, 0.4], count=2).selected.tolist()
/// [0, 3]
#[pyfunction]
#[pyo3(signature = (scores, *, threshold = None, fraction = None, count = None,
    better = "higher-is-better", ids = None, rows = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn select<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
    threshold: Option<f64>,
    fraction: Option<f64>,
    count: Option<usize>,
    better: &str,
    ids: Option<&Bound<'py, PyAny>>,
    rows: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, Scored>, Failure> {
    let cut = cut::one(None, threshold, fraction, count)?;
    let cut = cut.ok_or_else(|| {
        Failure::input("threshold", "give a threshold, a fraction or a count of rows to keep")
    })?;
    let better = word("better", better)?;
    let scores = numbers::scores("scores", scores)?;
    let all = scores.len();
    let given = numbers::rows("rows", rows, all)?.unwrap_or_else(|| Selection::all(all));
    let scores = Numbers::from(scores);
    State { scores: Arc::new(scores), given, better, ids: Ids::of(ids, all)? }.cut(py, cut)
}

/// Scores that can be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Numbers {
    Single(Vec<f32>),
    Double(Vec<f64>),
    /// Behind those that earlier versions wrote.
    Half(Vec<f32>),
}

impl From<ScoreColumn> for Numbers {
    fn from(scores: ScoreColumn) -> Self {
        match scores {
            ScoreColumn::Half(numbers) => Self::Half(numbers),
            ScoreColumn::Single(numbers) => Self::Single(numbers),
            ScoreColumn::Double(numbers) => Self::Double(numbers),
        }
    }
}

impl Numbers {
    fn get(&self, row: usize) -> f64 {
        match self {
            Self::Half(numbers) | Self::Single(numbers) => f64::from(numbers[row]),
            Self::Double(numbers) => numbers[row],
        }
    }

    /// Those of some rows.
    fn of(&self, rows: &Selection) -> ScoreColumn {
        match self {
            Self::Half(numbers) => ScoreColumn::Half(rows.iter().map(|row| numbers[row]).collect()),
            Self::Single(numbers) => {
                ScoreColumn::Single(rows.iter().map(|row| numbers[row]).collect())
            }
            Self::Double(numbers) => {
                ScoreColumn::Double(rows.iter().map(|row| numbers[row]).collect())
            }
        }
    }
}

/// Everything but the cut.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) scores: Arc<Numbers>,
    pub(crate) given: Selection,
    pub(crate) better: Direction,
    pub(crate) ids: Option<Arc<Ids>>,
}

impl State {
    pub(crate) fn cut(self, py: Python<'_>, cut: Cut) -> Result<Bound<'_, Scored>, Failure> {
        let id = |row: usize| self.ids.as_ref().map_or(SampleId(row as u128), |ids| ids.ids[row]);
        let ids: Vec<SampleId> = self.given.iter().map(id).collect();
        let outcome = self.scores.of(&self.given).cut(cut, &ids, self.better)?;
        let rows = self.given.rows();
        let kept: Selection = outcome.kept.iter().map(|place| rows[place]).collect();
        let why = Why {
            scores: Arc::clone(&self.scores),
            gone: self.given.minus(&kept),
            threshold: outcome.threshold,
            rule: cut_rule(cut),
        };
        let given = self.given.clone();
        let selected =
            Selected::new(given, kept, outcome.threshold, self.ids.clone(), Box::new(why));
        let class = PyClassInitializer::from(selected);
        Ok(Bound::new(py, class.add_subclass(Scored { state: self, cut }))?)
    }
}

/// The rule under which a recipe's stage of this cut removes rows.
fn cut_rule(cut: Cut) -> &'static str {
    match cut {
        Cut::Threshold(_) => "threshold",
        Cut::Fraction(_) => "fraction",
        Cut::Top(_) => "top",
        Cut::Epsilon(_) => "epsilon",
    }
}

struct Why {
    scores: Arc<Numbers>,
    gone: Selection,
    threshold: Option<f64>,
    rule: &'static str,
}

impl Reasons for Why {
    fn removals(&self) -> Result<Vec<Removal>, Failure> {
        let removal = |row: usize| {
            let score = Some(self.scores.get(row)).filter(|score| !score.is_nan());
            let rule = if score.is_some() { self.rule } else { Fault::ScoreMissing.name() };
            Removal { value: score, threshold: self.threshold, ..Removal::new(row, rule) }
        };
        Ok(self.gone.iter().map(removal).collect())
    }
}

/// What a cut of scores keeps. Another cut of the same scores is a view.
#[pyclass(frozen, extends = Selected, module = "curate")]
pub(crate) struct Scored {
    state: State,
    cut: Cut,
}

#[pymethods]
impl Scored {
    /// The scores: float32 or float64 of shape (n,), as they came.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &*self.state.scores {
            Numbers::Half(numbers) | Numbers::Single(numbers) => {
                PyArray1::from_slice(py, numbers).into_any()
            }
            Numbers::Double(numbers) => PyArray1::from_slice(py, numbers).into_any(),
        }
    }

    /// The same scores at another threshold: a new result.
    fn rethreshold<'py>(
        &self,
        py: Python<'py>,
        threshold: f64,
    ) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Threshold(threshold))
    }

    /// The same scores with so many rows kept: a new result.
    fn count<'py>(&self, py: Python<'py>, n: usize) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Top(n))
    }

    /// The same scores with a share of the rows kept: a new result.
    fn fraction<'py>(&self, py: Python<'py>, fraction: f64) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Fraction(fraction))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        reduced::<Self>(py, &(&self.state, Saved::from(self.cut)))
    }

    #[staticmethod]
    fn _restore<'py>(py: Python<'py>, state: &[u8]) -> Result<Bound<'py, Self>, Failure> {
        let (state, cut): (State, Saved) = restored(state)?;
        state.cut(py, cut.into())
    }
}
