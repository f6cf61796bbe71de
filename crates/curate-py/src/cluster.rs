//! k-means.

use std::path::PathBuf;

use curate::{
    cluster::{Assignment, Clustering, Clusters, EmptyClusters, Init, KMeansParams, Metric},
    core::{Progress, Rows, Selection, fault::NormPolicy},
    io::centroids,
};
use ndarray::{Array2, ArrayView2};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::{
    asked::Asked,
    errors::Failure,
    input::{
        vectors::Vectors,
        words::{word, word_if},
    },
    pickle::{Reduced, reduced, restored},
    selected::numbers,
};

/// Rows in clusters, and the centroids.
#[pyclass(frozen, module = "curate", name = "Clusters")]
pub(crate) struct PyClusters {
    pub(crate) clusters: Clusters,
    /// Rows of the array that was given.
    rows: usize,
}

impl PyClusters {
    pub(crate) fn new(clusters: Clusters, rows: usize) -> Self {
        Self { clusters, rows }
    }
}

/// Clusters vectors with k-means: the same clusters for any number of threads and on every machine.
///
/// Parameters
/// ----------
/// X : vectors of shape (n, d)
///     NumPy (float32, float16, float64, in any memory order), an Arrow column of lists, anything with
///     `__dlpack__` on the CPU, an embedding of a `Pool`, or the path of an npy file. float32 is read
///     where it lies; others are converted block by block.
/// k : int
///     Number of clusters.
/// ids : ids of the rows, optional
///     Whole numbers, or texts of up to 32 hexadecimal digits; they settle ties and random draws. Row
///     numbers unless given.
/// metric : "spherical" (default) or "euclidean"
///     Spherical k-means scales vectors to length 1.
/// iterations : int
///     At most so many; 50 unless given.
/// tolerance : float
///     Stop when the objective improves by less than this share of itself; 1e-5 unless given, and 0
///     stops only when no row moves.
/// init : "random" (default), "plus-plus" or "levels"
/// seed : int
/// train_rows_per_cluster : int, optional
///     Train on so many random rows a cluster (faiss: 256); on all rows unless given.
/// batch_rows : int, optional
///     Mini-batch k-means with batches of so many rows.
/// empty_clusters : "worst-row" (default) or "split"
/// rows : row numbers or a mask, optional
///     The rows to cluster; all unless given.
/// norm : "require-unit" or "any"
///     Whether vectors of another length than 1 are set aside; "any" for Euclidean, else
///     "require-unit".
/// progress : bool or callable, optional
///     True shows bars (of tqdm where installed); a callable hears (task, done, total, unit).
///
/// Returns
/// -------
/// Clusters
///
/// Examples
/// --------
/// >>> import numpy, curate
/// >>> X = numpy.array([[1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8]], numpy.float32)
/// >>> curate.kmeans(X, 2, seed=1).sizes.tolist()
/// [2, 2]
#[pyfunction]
#[pyo3(signature = (X, k, *, ids = None, metric = "spherical", iterations = None, tolerance = None,
    init = None, seed = 0, train_rows_per_cluster = None, batch_rows = None, empty_clusters = None,
    rows = None, norm = None, progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
#[allow(non_snake_case, reason = "Python writes a matrix so")]
pub(crate) fn kmeans(
    py: Python<'_>,
    X: &Bound<'_, PyAny>,
    k: usize,
    ids: Option<&Bound<'_, PyAny>>,
    metric: &str,
    iterations: Option<usize>,
    tolerance: Option<f64>,
    init: Option<&str>,
    seed: u64,
    train_rows_per_cluster: Option<usize>,
    batch_rows: Option<usize>,
    empty_clusters: Option<&str>,
    rows: Option<&Bound<'_, PyAny>>,
    norm: Option<&str>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<PyClusters, Failure> {
    let metric: Metric = word("metric", metric)?;
    let mut params = KMeansParams::new(k).metric(metric).seed(seed);
    params = KMeansKnobs { iterations, tolerance, train_rows_per_cluster, batch_rows }.set(params);
    if let Some(init) = word_if::<Init>("init", init)? {
        params = params.init(init);
    }
    if let Some(rule) = word_if::<EmptyClusters>("empty_clusters", empty_clusters)? {
        params = params.empty_clusters(rule);
    }
    let method = params.check()?;
    let norm = word_if("norm", norm)?.unwrap_or(usual_norm(metric));
    let asked = Asked { vectors: X, ids, rows, norm, progress };
    let (clusters, told) = asked.carry_out(py, |rows, progress| Ok(method.run(rows, progress)?))?;
    Ok(PyClusters::new(clusters, told.rows))
}

/// Puts vectors into clusters whose centroids are there already, for example those of faiss.
///
/// Parameters
/// ----------
/// X : vectors of shape (n, d)
///     As in `kmeans`.
/// centroids : vectors of shape (k, d)
///     Of length 1 when spherical.
/// metric : "spherical" (default) or "euclidean"
/// ids, rows, norm, progress
///     As in `kmeans`.
///
/// Returns
/// -------
/// Clusters
#[pyfunction]
#[pyo3(signature = (X, centroids, *, metric = "spherical", ids = None, rows = None, norm = None,
    progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
#[allow(non_snake_case, reason = "Python writes a matrix so")]
pub(crate) fn assign(
    py: Python<'_>,
    X: &Bound<'_, PyAny>,
    centroids: &Bound<'_, PyAny>,
    metric: &str,
    ids: Option<&Bound<'_, PyAny>>,
    rows: Option<&Bound<'_, PyAny>>,
    norm: Option<&str>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<PyClusters, Failure> {
    let metric: Metric = word("metric", metric)?;
    let norm = word_if("norm", norm)?.unwrap_or(usual_norm(metric));
    let centroids = held(&Vectors::of("centroids", centroids)?)?;
    let asked = Asked { vectors: X, ids, rows, norm, progress };
    let ((rows, assignment), told) =
        asked.carry_out(py, |rows, progress| nearest(rows, centroids.view(), metric, progress))?;
    let (objective, converged, reseeded) = (Vec::new(), true, 0);
    let ruled = Default::default();
    let clustering =
        Clustering { centroids, metric, assignment, objective, converged, reseeded, ruled };
    Ok(PyClusters::new(Clusters::new(rows, clustering)?, told.rows))
}

/// Euclidean distances take vectors of any length.
fn usual_norm(metric: Metric) -> NormPolicy {
    match metric {
        Metric::Euclidean => NormPolicy::Any,
        Metric::Spherical => NormPolicy::RequireUnit,
    }
}

/// Vectors as a table of their own.
fn held(vectors: &Vectors<'_>) -> Result<Array2<f32>, Failure> {
    let source = vectors.source();
    let mut table = Array2::zeros((source.rows(), source.dim()));
    let all = 0..source.rows();
    source.read(all, table.as_slice_mut().unwrap_or_default())?;
    Ok(table)
}

/// The usable rows, and the nearest centroid of each.
fn nearest(
    rows: &Rows<'_>,
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    progress: &dyn Progress,
) -> Result<(Selection, Assignment), Failure> {
    let vectors = match metric {
        Metric::Spherical => rows.unit(),
        Metric::Euclidean => rows.as_stored(),
    };
    let found = curate::cluster::assign(centroids, metric, &vectors, progress)?;
    Ok((rows.usable().clone(), found))
}

/// Numbers of k-means that have defaults.
pub(crate) struct KMeansKnobs {
    pub(crate) iterations: Option<usize>,
    pub(crate) tolerance: Option<f64>,
    pub(crate) train_rows_per_cluster: Option<usize>,
    pub(crate) batch_rows: Option<usize>,
}

impl KMeansKnobs {
    pub(crate) fn set(&self, mut params: KMeansParams) -> KMeansParams {
        if let Some(iterations) = self.iterations {
            params = params.iterations(iterations);
        }
        if let Some(tolerance) = self.tolerance {
            params = params.tolerance(tolerance);
        }
        params.train_rows_per_cluster(self.train_rows_per_cluster).batch_rows(self.batch_rows)
    }
}

#[pymethods]
impl PyClusters {
    /// Number of clusters.
    #[getter]
    fn k(&self) -> usize {
        self.clusters.k()
    }

    /// The centroids: float32 of shape (k, d); of length 1 when spherical.
    #[getter]
    fn centroids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        PyArray2::from_array(py, &self.clusters.clustering().centroids)
    }

    /// The cluster of each row: int64 of shape (n,), -1 for a row that is in none.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let assignment = &self.clusters.clustering().assignment;
        labels(py, self.rows, self.clusters.rows(), assignment)
    }

    /// The rows that are in a cluster, ascending: int64.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        numbers(py, self.clusters.rows())
    }

    /// How far each of `rows` is from its centroid: float32; 1 - cosine when spherical, the squared
    /// distance when Euclidean.
    #[getter]
    fn distances<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.clusters.clustering().distances())
    }

    /// Rows in each cluster: int64 of shape (k,).
    #[getter]
    fn sizes<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let sizes = self.clusters.sizes().into_iter();
        PyArray1::from_iter(py, sizes.map(|size| i64::try_from(size).unwrap_or(i64::MAX)))
    }

    /// The sum of `distances`: scikit-learn's inertia and faiss's objective when Euclidean.
    #[getter]
    fn inertia(&self) -> f64 {
        self.clusters.clustering().inertia()
    }

    /// The mean distance of the training rows before each iteration.
    #[getter]
    fn objective(&self) -> Vec<f64> {
        self.clusters.clustering().objective.clone()
    }

    /// True when the iterations stopped by themselves.
    #[getter]
    fn converged(&self) -> bool {
        self.clusters.clustering().converged
    }

    /// How often an empty cluster took a row of another one.
    #[getter]
    fn reseeded(&self) -> usize {
        self.clusters.clustering().reseeded
    }

    /// How uneven the clusters are: `k * sum(sizes ** 2) / n ** 2`, 1 when all have one size.
    #[getter]
    fn imbalance(&self) -> f64 {
        self.clusters.clustering().imbalance()
    }

    /// "spherical" or "euclidean".
    #[getter]
    fn metric(&self) -> &'static str {
        match self.clusters.clustering().metric {
            Metric::Spherical => "spherical",
            Metric::Euclidean => "euclidean",
        }
    }

    /// The nearest centroid of other vectors: int64 of shape (n,), -1 for vectors that cannot be used
    /// (NaN, infinite, zero when spherical).
    #[pyo3(signature = (X, *, progress = None))]
    #[allow(non_snake_case, reason = "Python writes a matrix so")]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyArray1<i64>>, Failure> {
        let clustering = self.clusters.clustering();
        let norm = NormPolicy::Any;
        let asked = Asked { vectors: X, ids: None, rows: None, norm, progress };
        let ((usable, assignment), told) = asked.carry_out(py, |rows, progress| {
            nearest(rows, clustering.centroids.view(), clustering.metric, progress)
        })?;
        Ok(labels(py, told.rows, &usable, &assignment))
    }

    /// Writes the centroids by the path's ending (`.npy`), as a run's `centroids.npy`.
    fn save(&self, path: PathBuf) -> Result<(), Failure> {
        Ok(centroids::save(&path, self.clusters.clustering().centroids.view())?)
    }

    fn __len__(&self) -> usize {
        self.clusters.k()
    }

    fn __repr__(&self) -> String {
        let (k, rows) = (self.clusters.k(), self.clusters.rows().len());
        format!("<curate.Clusters: {rows} rows in {k} clusters, inertia {:.6}>", self.inertia())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        reduced::<Self>(py, &(&self.clusters, self.rows))
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        let (clusters, rows) = restored(state)?;
        Ok(Self { clusters, rows })
    }
}

/// The cluster of each of `all` rows, of which some are assigned.
fn labels<'py>(
    py: Python<'py>,
    all: usize,
    rows: &Selection,
    assignment: &Assignment,
) -> Bound<'py, PyArray1<i64>> {
    let mut labels = vec![-1_i64; all];
    for (row, &cluster) in rows.iter().zip(assignment.cluster()) {
        labels[row] = i64::from(cluster);
    }
    PyArray1::from_vec(py, labels)
}
