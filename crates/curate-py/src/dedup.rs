//! Semantic deduplication.

use std::sync::Arc;

use curate::{
    cluster::{EmptyClusters, Init, KMeansParams, Preference},
    core::{Cut, Removal, Selection, fault::NormPolicy},
    dedup::{Duplicates, ExactCopies, Inputs, Mode, SemanticDedupParams},
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
        numbers,
        words::{word, word_if},
    },
    pickle::{Reduced, reduced, restored},
    selected::{Reasons, Selected, numbers as row_numbers},
};

/// What is kept unless somebody says how much.
const EPSILON: f64 = 0.05;

/// Semantic deduplication (SemDeDup, arXiv 2303.09540): inside clusters, a row goes when its cosine to a
/// row that is preferred to it is above `1 - epsilon`.
///
/// Parameters
/// ----------
/// epsilon : float
///     From 0 to 1; a larger one removes more. 0.05 unless `fraction` or `count` is given.
/// fraction : float, optional
///     Keeps this share of the rows, the least duplicated ones.
/// count : int, optional
///     Keeps so many rows.
/// mode : "reference" (default) or "greedy"
///     Whether a row is compared with all rows preferred to it, or with those that stay. Greedy needs an
///     epsilon, and its result holds for that epsilon alone.
/// preference : "hard" (default), "easy" or "random"
///     Which of two duplicates stays: the one farther from its centroid, the nearer one, or one drawn by
///     a hash of its id.
/// exact_copies : "search" (default) or "collapse"
///     "collapse" removes copies to the bit before anything is clustered.
/// probes : int
///     Compares each row also with so many of the nearest other clusters.
/// clusters : int, optional
///     Number of clusters; half the square root of the number of rows unless given.
/// iterations, tolerance, init, train_rows_per_cluster, batch_rows, empty_clusters
///     As in `kmeans`.
/// seed : int
///
/// Examples
/// --------
/// >>> import numpy, curate
/// >>> X = numpy.array([[1, 0], [0.9998, 0.02], [0, 1]], numpy.float32)
/// >>> result = curate.SemanticDedup(epsilon=0.05, clusters=1).run(X)
/// >>> result.selected.tolist(), str(result.cause(1))
/// ([0, 2], 'row 1: semantic-duplicate, 0.9998 against 0.95, because of row 0, in cluster 0')
#[pyclass(frozen, eq, module = "curate")]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SemanticDedup {
    params: SemanticDedupParams,
    cut: Saved,
}

#[pymethods]
impl SemanticDedup {
    #[new]
    #[pyo3(signature = (*, epsilon = None, fraction = None, count = None, mode = "reference",
        preference = "hard", exact_copies = "search", probes = 0, clusters = None,
        iterations = None, tolerance = None, init = None, train_rows_per_cluster = None,
        batch_rows = None, empty_clusters = None, seed = 0))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        epsilon: Option<f64>,
        fraction: Option<f64>,
        count: Option<usize>,
        mode: &str,
        preference: &str,
        exact_copies: &str,
        probes: usize,
        clusters: Option<usize>,
        iterations: Option<usize>,
        tolerance: Option<f64>,
        init: Option<&str>,
        train_rows_per_cluster: Option<usize>,
        batch_rows: Option<usize>,
        empty_clusters: Option<&str>,
        seed: u64,
    ) -> Result<Self, Failure> {
        let cut = cut::one(epsilon, None, fraction, count)?.unwrap_or(Cut::Epsilon(EPSILON));
        let knobs = KMeansKnobs { iterations, tolerance, train_rows_per_cluster, batch_rows };
        let mut k_means = knobs.set(KMeansParams::default());
        if let Some(init) = word_if::<Init>("init", init)? {
            k_means = k_means.init(init);
        }
        if let Some(rule) = word_if::<EmptyClusters>("empty_clusters", empty_clusters)? {
            k_means = k_means.empty_clusters(rule);
        }
        let mut params = SemanticDedupParams::new()
            .mode(self::mode(mode, cut)?)
            .preference(word::<Preference>("preference", preference)?)
            .exact_copies(word::<ExactCopies>("exact_copies", exact_copies)?)
            .probes(probes)
            .k_means(k_means)
            .seed(seed);
        if let Some(clusters) = clusters {
            params = params.clusters(clusters);
        }
        params.clone().check()?;
        Ok(Self { params, cut: cut.into() })
    }

    /// Finds the duplicates among vectors.
    ///
    /// Parameters
    /// ----------
    /// X : vectors of shape (n, d)
    ///     As in `kmeans`.
    /// ids : ids of the rows, optional
    /// scores : numbers of shape (n,), optional
    ///     Of two duplicates the one with the higher score stays, whatever the preference says.
    /// clusters : Clusters, optional
    ///     Clusters that are there already; the rows are not clustered again.
    /// rows : row numbers or a mask, optional
    ///     The rows to look at, for example what another method selected.
    /// norm : "require-unit" (default) or "any"
    /// progress : bool or callable, optional
    ///
    /// Returns
    /// -------
    /// Deduplicated
    #[pyo3(signature = (X, *, ids = None, scores = None, clusters = None, rows = None,
        norm = "require-unit", progress = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[allow(non_snake_case, reason = "Python writes a matrix so")]
    fn run<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        ids: Option<&Bound<'py, PyAny>>,
        scores: Option<&Bound<'py, PyAny>>,
        clusters: Option<&Bound<'py, PyClusters>>,
        rows: Option<&Bound<'py, PyAny>>,
        norm: &str,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, Deduplicated>, Failure> {
        let norm: NormPolicy = word("norm", norm)?;
        let method = self.params.clone().check()?;
        let scores = scores.map(|scores| numbers::scores("scores", scores)).transpose()?;
        let clusters = clusters.map(|clusters| &clusters.get().clusters);
        let asked = Asked { vectors: X, ids, rows, norm, progress };
        let (found, told) = asked.carry_out(py, |rows, progress| {
            let inputs = Inputs { clusters, scores: scores.as_ref(), ..Inputs::default() };
            Ok(method.run_with(rows, inputs, progress)?)
        })?;
        State { found: Arc::new(found), ids: told.ids, rows: told.rows }.cut(py, self.cut.into())
    }

    fn __repr__(&self) -> String {
        let fields = ["preference", "clusters", "probes", "seed"];
        cut::shown_method("SemanticDedup", self.cut.into(), &self.params, &fields)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        reduced::<Self>(py, self)
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        restored(state)
    }
}

fn mode(name: &str, cut: Cut) -> Result<Mode, Failure> {
    match (name, cut) {
        ("reference", _) => Ok(Mode::Reference),
        ("greedy", Cut::Epsilon(epsilon)) => Ok(Mode::Greedy(epsilon)),
        ("greedy", _) => Err(Failure::input("mode", "\"greedy\" needs an epsilon")),
        _ => Err(Failure::input("mode", format!("{name} is none: give reference or greedy"))),
    }
}

/// Everything but the cut.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    found: Arc<Duplicates>,
    ids: Option<Arc<Ids>>,
    rows: usize,
}

impl State {
    fn cut(self, py: Python<'_>, cut: Cut) -> Result<Bound<'_, Deduplicated>, Failure> {
        let outcome = self.found.outcome(cut)?;
        let why = Why { found: Arc::clone(&self.found), cut };
        let selected = Selected::new(
            self.found.given().clone(),
            outcome.kept,
            outcome.threshold,
            self.ids.clone(),
            Box::new(why),
        );
        let class = PyClassInitializer::from(selected);
        Ok(Bound::new(py, class.add_subclass(Deduplicated { state: self, cut }))?)
    }
}

struct Why {
    found: Arc<Duplicates>,
    cut: Cut,
}

impl Reasons for Why {
    fn removals(&self) -> Result<Vec<Removal>, Failure> {
        Ok(self.found.removals(self.cut)?)
    }
}

/// What semantic deduplication keeps at one threshold. Another threshold is a view on the same search
/// and costs one comparison a row.
#[pyclass(frozen, extends = Selected, module = "curate")]
pub(crate) struct Deduplicated {
    state: State,
    cut: Cut,
}

/// Rows that are duplicates of one that stays.
#[pyclass(frozen, get_all, module = "curate")]
pub(crate) struct Group {
    /// The row that stays.
    kept: usize,
    /// The rows that went for it, directly or for a row that went for it, ascending.
    duplicates: Vec<usize>,
}

#[pymethods]
impl Group {
    fn __len__(&self) -> usize {
        self.duplicates.len() + 1
    }

    fn __repr__(&self) -> String {
        format!("<curate.Group: row {} and {} duplicates>", self.kept, self.duplicates.len())
    }
}

#[pymethods]
impl Deduplicated {
    /// The share of the rows given that went.
    #[getter]
    fn duplicate_ratio(slf: PyRef<'_, Self>) -> f64 {
        let given = slf.state.found.given().len();
        let kept = slf.as_super().kept().len();
        (given - kept) as f64 / given.max(1) as f64
    }

    /// The share of the rows given that are copies to the bit; 0 unless they were collapsed.
    #[getter]
    fn exact_duplicate_ratio(&self) -> f64 {
        let found = &self.state.found;
        found.copies().len() as f64 / found.given().len().max(1) as f64
    }

    /// The epsilon of this view, if it is cut by one.
    #[getter]
    fn epsilon(&self) -> Option<f64> {
        match self.cut {
            Cut::Epsilon(epsilon) => Some(epsilon),
            _ => None,
        }
    }

    /// The same search at another epsilon, from 0 to 1: a new result.
    fn rethreshold<'py>(&self, py: Python<'py>, epsilon: f64) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Epsilon(epsilon))
    }

    /// The same search with exactly `n` rows kept, the least duplicated ones: a new result. Bad rows and
    /// collapsed copies stay out, so it may be fewer.
    fn count<'py>(&self, py: Python<'py>, n: usize) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Top(n))
    }

    /// The same search with a share of all rows given kept: a new result.
    fn fraction<'py>(&self, py: Python<'py>, fraction: f64) -> Result<Bound<'py, Self>, Failure> {
        self.state.clone().cut(py, Cut::Fraction(fraction))
    }

    /// Each row's largest cosine to a row preferred to it: float32 of shape (n,), at least 0; NaN for a
    /// row that was not compared.
    #[getter]
    fn similarities<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let found = &self.state.found;
        let rows = 0..self.state.rows;
        PyArray1::from_iter(py, rows.map(|row| found.similarity(row).unwrap_or(f32::NAN)))
    }

    /// Each row's most similar preferred row: int64 of shape (n,), -1 where there is none.
    #[getter]
    fn nearest<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let cause = |row| self.state.found.cause(row).and_then(|row| i64::try_from(row).ok());
        PyArray1::from_iter(py, (0..self.state.rows).map(|row| cause(row).unwrap_or(-1)))
    }

    /// The clusters in which rows were compared.
    #[getter]
    fn clusters(&self) -> PyClusters {
        PyClusters::new(self.state.found.clusters().clone(), self.state.rows)
    }

    /// Rows whose vectors could not be used, ascending: int64. `cause` says what is wrong with each.
    #[getter]
    fn faulty<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let rows: Selection = self.state.found.faults().iter().map(|faulty| faulty.row).collect();
        row_numbers(py, &rows)
    }

    /// The `n` largest groups of duplicates, the largest first: a list of `Group`.
    #[pyo3(signature = (n = 10))]
    fn groups(slf: PyRef<'_, Self>, n: usize) -> Vec<Group> {
        let kept = slf.as_super().kept();
        let found = &slf.state.found;
        let mut groups = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for row in found.given().minus(kept).iter() {
            let mut stays = found.cause(row);
            // Each is preferred to the one before, so this ends.
            while let Some(row) = stays.filter(|&row| !kept.contains(row)) {
                stays = found.cause(row);
            }
            if let Some(stays) = stays {
                groups.entry(stays).or_default().push(row);
            }
        }
        let groups = groups.into_iter().map(|(kept, duplicates)| Group { kept, duplicates });
        let mut groups: Vec<Group> = groups.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.duplicates.len()));
        groups.truncate(n);
        groups
    }

    /// How many of all duplicates at an epsilon the search found, measured on a sample of rows; `None`
    /// where no other clusters were probed.
    #[pyo3(signature = (epsilon = None))]
    fn recall(&self, epsilon: Option<f64>) -> Option<f64> {
        let epsilon = epsilon.or_else(|| self.epsilon()).unwrap_or(EPSILON);
        self.state.found.recall(epsilon).map(|recall| recall.share())
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
