//! Concept-complexity pruning.

use std::sync::Arc;

use curate::{
    cluster::{KMeansParams, Preference},
    core::{Cut, Removal, fault::NormPolicy},
    prune::{AllocationReport, ConceptPruneParams, Concepts, Control, Inputs, Pick, Preset, Share},
};
use numpy::PyArray1;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    asked::Asked,
    cluster::{KMeansKnobs, PyClusters},
    errors::Failure,
    input::{
        cut::{self, Saved},
        ids::Ids,
        words::{word, word_if},
    },
    pickle::{Reduced, reduced, restored},
    selected::{Reasons, Selected},
    table::{Table, doubles, wholes},
};

/// Concept-complexity pruning (density-based pruning, arXiv 2401.04578): clusters that are spread out and
/// far from others keep more of their rows.
///
/// Parameters
/// ----------
/// fraction : float
///     Keeps this share of the rows given. Either this or `count`.
/// count : int
///     Keeps exactly so many rows.
/// preset : "paper" (default) or "code"
///     Temperature and balance as the paper reports them (0.1, 0) or as its code has them (0.5, 0.5).
/// temperature : float, optional
///     Of the softmax over complexities; the lower, the more complex clusters keep.
/// balance : float, optional
///     The share of an even quota that every cluster is guaranteed, from 0 to 1.
/// neighbors : int, optional
///     Nearest other centroids that count for a cluster's distance to its neighbors; 20 unless given.
/// share : "complexity" (default), "uniform" or "size"
/// preference : "hard" (default), "easy" or "random"
///     Which rows of a cluster stay first: those far from its centroid, near it, or by a hash.
/// pick : "first" (default) or "stratified"
/// control : str, optional
///     A baseline on the same clusters instead: "ssp", "ssp-balanced", "uniform", "proportional",
///     "random" or "stratified".
/// clusters : int, optional
///     Number of clusters; the cube root of the number of rows unless given.
/// iterations, tolerance, train_rows_per_cluster, batch_rows
///     As in `kmeans`.
/// seed : int
///
/// Examples
/// --------
/// >>> import numpy, curate
/// >>> X = numpy.random.default_rng(0).normal(size=(400, 8)).astype(numpy.float32)
/// >>> len(curate.ConceptPrune(fraction=0.6).run(X, norm="any"))
/// 240
#[pyclass(frozen, eq, module = "curate")]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConceptPrune {
    params: ConceptPruneParams,
    cut: Saved,
}

#[pymethods]
impl ConceptPrune {
    #[new]
    #[pyo3(signature = (*, fraction = None, count = None, preset = "paper", temperature = None,
        balance = None, neighbors = None, share = "complexity", preference = "hard",
        pick = "first", control = None, clusters = None, iterations = None, tolerance = None,
        train_rows_per_cluster = None, batch_rows = None, seed = 0))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        fraction: Option<f64>,
        count: Option<usize>,
        preset: &str,
        temperature: Option<f64>,
        balance: Option<f64>,
        neighbors: Option<usize>,
        share: &str,
        preference: &str,
        pick: &str,
        control: Option<&str>,
        clusters: Option<usize>,
        iterations: Option<usize>,
        tolerance: Option<f64>,
        train_rows_per_cluster: Option<usize>,
        batch_rows: Option<usize>,
        seed: u64,
    ) -> Result<Self, Failure> {
        let cut = cut::one(None, None, fraction, count)?;
        let cut = cut.ok_or_else(|| Failure::input("fraction", "give a fraction or a count"))?;
        let knobs = KMeansKnobs { iterations, tolerance, train_rows_per_cluster, batch_rows };
        let mut params = ConceptPruneParams::preset(word::<Preset>("preset", preset)?)
            .share(word::<Share>("share", share)?)
            .preference(word::<Preference>("preference", preference)?)
            .pick(word::<Pick>("pick", pick)?)
            .k_means(knobs.set(KMeansParams::default()))
            .seed(seed);
        if let Some(temperature) = temperature {
            params = params.temperature(temperature);
        }
        if let Some(balance) = balance {
            params = params.balance(balance);
        }
        if let Some(neighbors) = neighbors {
            params = params.neighbors(neighbors);
        }
        if let Some(control) = word_if::<Control>("control", control)? {
            params = params.control(control);
        }
        if let Some(clusters) = clusters {
            params = params.clusters(clusters);
        }
        params.clone().check()?;
        Ok(Self { params, cut: cut.into() })
    }

    /// Clusters vectors into concepts and keeps rows of each.
    ///
    /// Parameters
    /// ----------
    /// X : vectors of shape (n, d)
    ///     As in `kmeans`.
    /// ids : ids of the rows, optional
    /// clusters : Clusters, optional
    ///     Clusters that are there already, for example those of a deduplication.
    /// rows : row numbers or a mask, optional
    ///     The rows to look at, for example what a deduplication selected.
    /// norm : "require-unit" (default) or "any"
    /// progress : bool or callable, optional
    ///
    /// Returns
    /// -------
    /// Pruned
    #[pyo3(signature = (X, *, ids = None, clusters = None, rows = None, norm = "require-unit",
        progress = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[allow(non_snake_case, reason = "Python writes a matrix so")]
    fn run<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        ids: Option<&Bound<'py, PyAny>>,
        clusters: Option<&Bound<'py, PyClusters>>,
        rows: Option<&Bound<'py, PyAny>>,
        norm: &str,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, Pruned>, Failure> {
        let norm: NormPolicy = word("norm", norm)?;
        let method = self.params.clone().check()?;
        let clusters = clusters.map(|clusters| &clusters.get().clusters);
        let asked = Asked { vectors: X, ids, rows, norm, progress };
        let (found, told) = asked.carry_out(py, |rows, progress| {
            Ok(method.run_with(rows, Inputs { clusters, engine: None }, progress)?)
        })?;
        State { found: Arc::new(found), ids: told.ids, rows: told.rows }.cut(py, self.cut.into())
    }

    fn __repr__(&self) -> String {
        let fields = ["temperature", "balance", "clusters", "seed"];
        cut::shown_method("ConceptPrune", self.cut.into(), &self.params, &fields)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        reduced::<Self>(py, self)
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        restored(state)
    }
}

/// Everything but the cut.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    found: Arc<Concepts>,
    ids: Option<Arc<Ids>>,
    rows: usize,
}

impl State {
    fn cut(self, py: Python<'_>, cut: Cut) -> Result<Bound<'_, Pruned>, Failure> {
        let pruned = self.found.prune(cut)?;
        let why = Why { found: Arc::clone(&self.found), cut };
        let given = self.found.given().clone();
        let selected = Selected::new(given, pruned.kept, None, self.ids.clone(), Box::new(why));
        let class = PyClassInitializer::from(selected);
        let (counts, report) = (pruned.counts, pruned.report);
        Ok(Bound::new(py, class.add_subclass(Pruned { state: self, cut, counts, report }))?)
    }
}

struct Why {
    found: Arc<Concepts>,
    cut: Cut,
}

impl Reasons for Why {
    fn removals(&self) -> Result<Vec<Removal>, Failure> {
        Ok(self.found.removals(self.cut)?)
    }
}

/// What pruning keeps for one number of rows. Another number is a view on the same clusters.
#[pyclass(frozen, extends = Selected, module = "curate")]
pub(crate) struct Pruned {
    state: State,
    cut: Cut,
    counts: Vec<usize>,
    report: Option<AllocationReport>,
}

#[pymethods]
impl Pruned {
    /// The same clusters with exactly `n` rows kept: a new result.
    fn count<'py>(&self, py: Python<'py>, n: usize) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Top(n))
    }

    /// The same clusters with a share of all rows given kept: a new result.
    fn fraction<'py>(&self, py: Python<'py>, fraction: f64) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Fraction(fraction))
    }

    /// The concepts.
    #[getter]
    fn clusters(&self) -> PyClusters {
        PyClusters::new(self.state.found.clusters().clone(), self.state.rows)
    }

    /// How complex each concept is: float64 of shape (k,), its mean distance to its centroid times that of
    /// its centroid to the nearest others.
    #[getter]
    fn complexity<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        PyArray1::from_slice(py, &self.state.found.complexity().complexity)
    }

    /// Rows that each concept keeps: int64 of shape (k,).
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let counts = self.counts.iter().map(|&count| i64::try_from(count).unwrap_or(i64::MAX));
        PyArray1::from_iter(py, counts)
    }

    /// A row a concept: its `size`, the `least` it has to keep, the `share` asked for it, that share of
    /// the rows kept (`goal`), the optimum under the bounds (`exact`) and its `quota`. `None` for a
    /// control.
    #[getter]
    fn quotas(&self) -> Result<Option<Table>, Failure> {
        let Some(report) = &self.report else { return Ok(None) };
        let clusters = &report.clusters;
        let table = Table::new(vec![
            ("size", wholes(clusters.iter().map(|c| Some(c.size as u64)))),
            ("least", wholes(clusters.iter().map(|c| Some(c.least as u64)))),
            ("share", doubles(clusters.iter().map(|c| Some(c.share)))),
            ("goal", doubles(clusters.iter().map(|c| Some(c.goal)))),
            ("exact", doubles(clusters.iter().map(|c| Some(c.exact)))),
            ("quota", wholes(clusters.iter().map(|c| Some(c.quota as u64)))),
        ])?;
        Ok(Some(table))
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
