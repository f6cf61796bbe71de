//! The front door: k-means over [`Rows`], answered in rows of their source.

use curate_core::{ParamsError, Progress, Rows, Selection, random};
use curate_kernels::Engine;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{Assignment, ClusterError, Clustering, KMeans, KMeansParams, Metric};

/// Rows of a source and the clusters they are in.
///
/// ```
/// use curate_cluster::KMeansParams;
/// use curate_core::{NoProgress, Rows, Selection};
/// use ndarray::array;
///
/// let vectors = array![[1.0, 0.0], [0.8, 0.6], [f32::NAN, 0.0], [0.0, 1.0], [-0.6, 0.8]];
/// let rows = Rows::new(&vectors)?;
/// let clusters = KMeansParams::new(2).seed(1).check()?.run(&rows, &NoProgress)?;
/// assert_eq!(clusters.sizes(), [2, 2]);
/// assert_eq!(clusters.cluster(2), None, "a bad row is in no cluster");
/// let two = clusters.only(&Selection::from_unsorted(vec![0, 4]))?;
/// assert_eq!((two.k(), two.rows().len()), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    rows: Selection,
    clustering: Clustering,
}

impl KMeans {
    /// Clusters the usable rows: their vectors scaled to length 1 when [`Metric::Spherical`], as the
    /// source has them when Euclidean.
    ///
    /// # Errors
    /// As [`KMeans::fit`].
    pub fn run(&self, rows: &Rows<'_>, progress: &dyn Progress) -> Result<Clusters, ClusterError> {
        self.run_on(None, rows, progress)
    }

    /// [`Self::run`] with nearest centroids searched on `engine`; on the native kernels when there
    /// is none.
    ///
    /// # Errors
    /// As [`KMeans::fit_on`].
    pub fn run_on(
        &self,
        engine: Option<&dyn Engine>,
        rows: &Rows<'_>,
        progress: &dyn Progress,
    ) -> Result<Clusters, ClusterError> {
        let vectors = match self.metric() {
            Metric::Spherical => rows.unit(),
            Metric::Euclidean => rows.as_stored(),
        };
        let clustering = self.fit_on(engine, &vectors, &rows.usable_ids(), progress)?;
        Ok(Clusters { rows: rows.usable().clone(), clustering })
    }
}

impl KMeansParams {
    /// Clusters the usable rows for a method that works inside clusters: into this many clusters, or one
    /// for each row where there are fewer; no row at all is no trouble. `seed` is the method's, whose
    /// other draws do not depend on those of the clustering.
    ///
    /// # Errors
    /// When a parameter is out of range, and as [`KMeans::run_on`].
    pub fn run_inside(
        self,
        clusters: usize,
        seed: u64,
        rows: &Rows<'_>,
        engine: Option<&dyn Engine>,
        progress: &dyn Progress,
    ) -> Result<Clusters, ClusterError> {
        let usable = rows.usable().len();
        if usable == 0 {
            return Ok(Clusters::none(rows.dim()));
        }
        self.inside(clusters, seed, usable)?.run_on(engine, rows, progress)
    }

    /// The k-means of [`Self::run_inside`], for so many usable rows.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn inside(self, clusters: usize, seed: u64, usable: usize) -> Result<KMeans, ParamsError> {
        self.clusters(clusters.min(usable)).seed(random::derive(seed, "k-means")).check()
    }
}

impl Clusters {
    /// A clustering of these rows, the first of its assignment being the first of `rows`.
    ///
    /// # Errors
    /// When it assigns another number of rows.
    pub fn new(rows: Selection, clustering: Clustering) -> Result<Self, ClusterError> {
        let assigned = clustering.assignment.rows();
        if assigned != rows.len() {
            return Err(ClusterError::RowsMismatch { assigned, rows: rows.len() });
        }
        Ok(Self { rows, clustering })
    }

    /// No rows in no clusters, for vectors of length `dim`.
    pub fn none(dim: usize) -> Self {
        let clustering = Clustering {
            centroids: Array2::zeros((0, dim)),
            metric: Metric::default(),
            assignment: Assignment::default(),
            objective: Vec::new(),
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        };
        Self { rows: Selection::default(), clustering }
    }

    /// The rows of the source that are in a cluster.
    pub fn rows(&self) -> &Selection {
        &self.rows
    }

    /// The clustering; row `i` of its assignment is the `i`-th of [`Self::rows`].
    pub fn clustering(&self) -> &Clustering {
        &self.clustering
    }

    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.clustering.k()
    }

    /// Rows in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        self.clustering.sizes()
    }

    /// The cluster of a row of the source; `None` for a row that is in none.
    pub fn cluster(&self, row: usize) -> Option<u32> {
        self.rows.position(row).map(|place| self.clustering.assignment.cluster()[place])
    }

    /// The same centroids with some of the rows, for a method that is given what another one left.
    ///
    /// # Errors
    /// When a row is in no cluster.
    pub fn only(&self, rows: &Selection) -> Result<Self, ClusterError> {
        if let Some(row) = rows.minus(&self.rows).iter().next() {
            return Err(ClusterError::NotClustered { row });
        }
        let places: Vec<usize> = rows.iter().filter_map(|row| self.rows.position(row)).collect();
        let assignment = self.clustering.assignment.of(&places);
        let clustering = Clustering { assignment, ..self.clustering.clone() };
        Ok(Self { rows: rows.clone(), clustering })
    }
}

#[cfg(test)]
mod tests {
    use curate_core::{Given, NoProgress, fault::NormPolicy};
    use ndarray::array;

    use super::*;
    #[test]
    fn the_metric_decides_whether_vectors_are_scaled() {
        let vectors = array![[1.0, 0.0], [9.0, 0.0], [0.0, 1.0], [0.0, 2.0]];
        let given = Given { norm: NormPolicy::Any, ..Given::default() };
        let rows = Rows::read(&vectors, given, &NoProgress).unwrap();
        let run = |metric| {
            let params = KMeansParams::new(2).metric(metric).seed(3).init(crate::Init::PlusPlus);
            params.check().unwrap().run(&rows, &NoProgress).unwrap()
        };
        let spherical = run(Metric::Spherical);
        assert_eq!(spherical.cluster(0), spherical.cluster(1));
        assert_ne!(spherical.cluster(0), spherical.cluster(2));
        let euclidean = run(Metric::Euclidean);
        assert_eq!(euclidean.cluster(0), euclidean.cluster(2));
        assert_ne!(euclidean.cluster(0), euclidean.cluster(1));
    }

    #[test]
    fn a_method_gets_at_most_one_cluster_for_each_usable_row() {
        let vectors = array![[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
        let rows = Rows::new(&vectors).unwrap();
        let run = |params: KMeansParams, rows: &Rows<'_>| {
            params.run_inside(50, 1, rows, None, &NoProgress)
        };
        assert_eq!(run(KMeansParams::default(), &rows).unwrap().sizes(), [1, 1]);
        let bad = rows.only(&Selection::from_unsorted(vec![2])).unwrap();
        assert_eq!(run(KMeansParams::default(), &bad).unwrap().k(), 0);
        let error = run(KMeansParams::default().iterations(0), &rows).unwrap_err();
        assert!(matches!(error, ClusterError::Params(_)), "{error}");
    }

    #[test]
    fn rows_that_are_in_no_cluster_are_named() {
        let vectors = array![[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
        let rows = Rows::new(&vectors).unwrap();
        let clusters = KMeansParams::new(1).check().unwrap().run(&rows, &NoProgress).unwrap();
        let error = clusters.only(&Selection::all(3)).unwrap_err();
        assert!(matches!(error, ClusterError::NotClustered { row: 2 }), "{error}");
        let error = Clusters::new(Selection::all(3), clusters.clustering).unwrap_err();
        assert!(matches!(error, ClusterError::RowsMismatch { assigned: 2, rows: 3 }), "{error}");
    }
}
