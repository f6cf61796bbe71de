//! What k-means needs to know.

use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::Metric;

/// Where the centroids start.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Rows drawn at random.
    #[default]
    Random,
    /// Rows drawn one after the other, each with probability proportional to its squared distance
    /// to the nearest one drawn before (Arthur and Vassilvitskii 2007).
    PlusPlus,
    /// The centroids of a clustering by levels: about the square root of `k` coarse clusters, each divided
    /// on its own. For many clusters, where time matters more than the last percent of inertia. With no
    /// iteration (0) the centroids stay there.
    Levels,
}

/// What becomes of a cluster that no row is nearest to.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyClusters {
    /// It takes the row that fits its own centroid worst, ties to the smaller id, as long as that
    /// leaves no other cluster empty.
    #[default]
    WorstRow,
    /// It becomes half of a large cluster, drawn with probability proportional to its size minus
    /// one: both get its centroid, moved apart by 1/1024 of each element (faiss's rule).
    Split,
}

/// Parameters of k-means; [`KMeansParams::check`] makes them usable.
///
/// As text every parameter has a default, but for `clusters`, without which `check` fails:
///
/// ```
/// # use curate_cluster::KMeansParams;
/// let params: KMeansParams =
///     serde_json::from_str(r#"{"clusters": 8, "train-rows-per-cluster": 256}"#)?;
/// assert_eq!(params, KMeansParams::new(8).train_rows_per_cluster(Some(256)));
/// assert!(KMeansParams::default().check().is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct KMeansParams {
    /// Number of clusters.
    #[serde(skip_serializing_if = "is_default")]
    clusters: usize,
    /// At most so many iterations.
    iterations: usize,
    /// Stop when the objective improves by less than this share of itself.
    tolerance: f64,
    /// What "near" means.
    #[serde(skip_serializing_if = "is_default")]
    metric: Metric,
    /// Where the centroids start.
    init: Init,
    /// The seed of all random draws.
    #[serde(skip_serializing_if = "is_default")]
    seed: u64,
    /// Train on this many random rows per cluster (faiss: 256); on all rows if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    train_rows_per_cluster: Option<usize>,
    /// Mini-batch k-means: move the centroids after this many rows; `iterations` counts passes. Left
    /// out, Lloyd's iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_rows: Option<usize>,
    /// What becomes of a cluster that no row is nearest to.
    #[serde(skip_serializing_if = "is_default")]
    empty_clusters: EmptyClusters,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for KMeansParams {
    /// Spherical k-means from a random start, at most 50 iterations, on all rows. `clusters` is 0,
    /// which has to be changed.
    fn default() -> Self {
        Self {
            clusters: 0,
            iterations: 50,
            tolerance: 1e-5,
            metric: Metric::default(),
            init: Init::default(),
            seed: 0,
            train_rows_per_cluster: None,
            batch_rows: None,
            empty_clusters: EmptyClusters::default(),
        }
    }
}

impl KMeansParams {
    /// Spherical k-means with `clusters` clusters from a random start, at most 50 iterations, on all
    /// rows.
    pub fn new(clusters: usize) -> Self {
        Self::default().clusters(clusters)
    }

    /// What `faiss.Kmeans` does unless told otherwise, which is what SemDeDup and density-based
    /// pruning ran: training on a random 256 rows a cluster, random start, 25 iterations unless
    /// no row moves any more, empty clusters split a large one. The metric stays spherical, as in those two; faiss's own
    /// default is Euclidean. The random numbers are ours, so centroids are alike, not equal.
    pub fn faiss(clusters: usize) -> Self {
        Self::new(clusters)
            .iterations(25)
            .tolerance(0.0)
            .train_rows_per_cluster(Some(256))
            .empty_clusters(EmptyClusters::Split)
    }

    /// At most so many iterations; 0, which leaves centroids where they start, only with [`Init::Levels`].
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// Stop when the objective improves by less than this share of itself; 0 stops only when no
    /// row changes its cluster.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// What "near" means.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// Where the centroids start.
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The seed of all random draws.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Train on this many random rows per cluster and assign all rows in the end; `None` trains on
    /// all rows. faiss trains on 256.
    pub fn train_rows_per_cluster(mut self, rows: Option<usize>) -> Self {
        self.train_rows_per_cluster = rows;
        self
    }

    /// Mini-batch k-means (Sculley 2010): the centroids move after each batch of this many rows, which come in
    /// random order, and [`Self::iterations`] counts passes over the training rows. `None` for
    /// Lloyd's iterations.
    pub fn batch_rows(mut self, rows: Option<usize>) -> Self {
        self.batch_rows = rows;
        self
    }

    /// What becomes of a cluster that no row is nearest to. Mini-batch k-means always moves it to
    /// the worst-fitting row of its last batch.
    pub fn empty_clusters(mut self, rule: EmptyClusters) -> Self {
        self.empty_clusters = rule;
        self
    }

    /// So many clusters.
    pub fn clusters(mut self, clusters: usize) -> Self {
        self.clusters = clusters;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<KMeans, ParamsError> {
        let mut check = Checker::default();
        let clusters = self.clusters;
        check.that(
            (1..=u32::MAX as usize).contains(&clusters),
            "clusters",
            clusters,
            "from 1 to 2^32 - 1",
        );
        let least = if self.init == Init::Levels { 0 } else { 1 };
        check.that(self.iterations >= least, "iterations", self.iterations, "at least 1");
        let tolerance = self.tolerance;
        check.that((0.0..1.0).contains(&tolerance), "tolerance", tolerance, "from 0 to below 1");
        let train = self.train_rows_per_cluster;
        check.that(
            train != Some(0),
            "train_rows_per_cluster",
            0,
            "at least 1, or absent for all rows",
        );
        check.that(
            self.batch_rows != Some(0),
            "batch_rows",
            0,
            "at least 1, or absent for Lloyd's iterations",
        );
        check.finish()?;
        Ok(KMeans(self))
    }
}

/// k-means with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans(KMeansParams);

impl KMeans {
    /// Clusters asked for.
    pub fn clusters(&self) -> usize {
        self.0.clusters
    }

    /// What "near" means.
    pub fn metric(&self) -> Metric {
        self.0.metric
    }

    /// Iterations, at most.
    pub fn iterations(&self) -> usize {
        self.0.iterations
    }

    pub(crate) fn tolerance(&self) -> f64 {
        self.0.tolerance
    }

    pub(crate) fn init(&self) -> Init {
        self.0.init
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.seed
    }

    pub(crate) fn train_rows_per_cluster(&self) -> Option<usize> {
        self.0.train_rows_per_cluster
    }

    pub(crate) fn batch_rows(&self) -> Option<usize> {
        self.0.batch_rows
    }

    pub(crate) fn empty_clusters(&self) -> EmptyClusters {
        self.0.empty_clusters
    }

    /// The parameters.
    pub fn params(&self) -> &KMeansParams {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_named_at_once() {
        let params = KMeansParams::new(0)
            .iterations(0)
            .tolerance(1.0)
            .train_rows_per_cluster(Some(0))
            .batch_rows(Some(0));
        let fields: Vec<_> =
            params.check().unwrap_err().violations.into_iter().map(|v| v.field).collect();
        let expected =
            ["clusters", "iterations", "tolerance", "train_rows_per_cluster", "batch_rows"];
        assert_eq!(fields, expected);
        assert!(KMeansParams::new(1).tolerance(f64::NAN).check().is_err());
    }

    #[test]
    fn as_text_only_what_differs_is_needed_and_nothing_unknown_is_taken() {
        let params = KMeansParams::faiss(7).metric(Metric::Euclidean).batch_rows(Some(9)).seed(3);
        let text = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<KMeansParams>(&text).unwrap(), params);
        let text = serde_json::to_string(&KMeansParams::new(4)).unwrap();
        let expected = r#"{"clusters":4,"iterations":50,"tolerance":0.00001,"init":"random"}"#;
        assert_eq!(text, expected);
        let unknown = serde_json::from_str::<KMeansParams>(r#"{"iteration": 3}"#).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `iteration`"), "{unknown}");
    }
}
