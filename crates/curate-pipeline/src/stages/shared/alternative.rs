//! Other clusterers than k-means, by linfa: feature `linfa`.

use curate_cluster::Clustering;
use curate_core::EmbeddingSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::StageError,
    stage::{Context, Cost, Problems},
};

/// How rows are clustered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterMethod {
    /// Spherical k-means.
    #[default]
    KMeans,
    /// Clusters of any shape, by density (DBSCAN). For thousands of rows, and in programs built with
    /// the feature `linfa`. Rows of noise go to the nearest cluster.
    Dbscan,
    /// A mixture of Gaussians. For thousands of rows, and in programs built with the feature `linfa`.
    GaussianMixture,
}

/// A clusterer with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Alternative {
    Dbscan { cosine: f32, min_points: usize },
    GaussianMixture { clusters: usize },
}

impl Alternative {
    /// What is wrong with the settings, or that the program was built without the method.
    #[cfg(not(feature = "linfa"))]
    pub(crate) fn check(self, wrong: &mut Problems) {
        wrong.must(false, NOT_BUILT);
    }

    #[cfg(not(feature = "linfa"))]
    pub(crate) fn fit(
        self,
        _: &dyn EmbeddingSource,
        _: &Context<'_>,
    ) -> Result<Clustering, StageError> {
        Err(StageError::Problem(NOT_BUILT.to_owned()))
    }

    /// Asks the method what is wrong with the settings.
    #[cfg(feature = "linfa")]
    pub(crate) fn check(self, wrong: &mut Problems) {
        let checked = match self {
            Self::Dbscan { cosine, min_points } => {
                let holds = (-1.0..1.0).contains(&cosine);
                wrong.must(holds, "`cosine` must be from -1 to below 1");
                // The radius follows from the cosine, of which more was said.
                dbscan(if holds { cosine } else { 0.0 }, min_points).map(drop)
            }
            Self::GaussianMixture { clusters } => gaussians(clusters.max(1), 0).map(drop),
        };
        if let Err(error) = checked {
            wrong.violations(&error, str::to_owned);
        }
    }

    /// Clusters rows of length 1, all in memory at once.
    #[cfg(feature = "linfa")]
    pub(crate) fn fit(
        self,
        source: &dyn EmbeddingSource,
        context: &Context<'_>,
    ) -> Result<Clustering, StageError> {
        let failed = |e: curate_cluster::alternative::AlternativeError| match e {
            curate_cluster::alternative::AlternativeError::Rows(e) => StageError::Cluster(e),
            other => StageError::Problem(other.to_string()),
        };
        match self {
            Self::Dbscan { cosine, min_points } => {
                let found = dbscan(cosine, min_points)?.fit(source, context.progress);
                Ok(found.map_err(failed)?.clustering)
            }
            Self::GaussianMixture { clusters } => {
                let seed = curate_core::random::derive(context.seed, "gaussian-mixture");
                let clusters = clusters.min(source.rows());
                let found = gaussians(clusters, seed)?.fit(source, context.progress);
                // Its means are Euclidean; later stages take directions.
                let labels = found.map_err(failed)?.clustering.assignment.cluster().to_vec();
                super::given_clusters::of_labels(labels, source, context.progress)
            }
        }
    }

    pub(crate) fn in_words(self, embedding: &str) -> String {
        match self {
            Self::Dbscan { cosine, min_points } => format!(
                "put rows into the clusters of {embedding} in which {min_points} rows have a cosine above {cosine}"
            ),
            Self::GaussianMixture { clusters } => {
                format!("put rows into {clusters} Gaussians of {embedding}")
            }
        }
    }

    pub(crate) fn cost(self, rows: usize, dim: u64) -> Cost {
        let (n, d) = (rows as f64, dim as f64);
        let bytes = 4 * rows as u64 * dim;
        match self {
            Self::Dbscan { .. } => {
                Cost { reads: 2 * bytes, memory: bytes, operations: 2.0 * n * n * d }
            }
            // The rows again in f64, responsibilities twice, and covariances; 100 iterations.
            Self::GaussianMixture { clusters } => {
                let k = clusters as u64;
                let doubles = rows as u64 * (dim + 2 * k) + 3 * k * dim * dim;
                let operations = 100.0 * n * k as f64 * d * d;
                Cost { reads: 2 * bytes, memory: bytes + 8 * doubles, operations }
            }
        }
    }
}

#[cfg(not(feature = "linfa"))]
const NOT_BUILT: &str = "this program was built without `dbscan` and `gaussian-mixture`: build it with the feature `linfa`";

#[cfg(feature = "linfa")]
fn dbscan(
    cosine: f32,
    min_points: usize,
) -> Result<curate_cluster::alternative::Dbscan, curate_core::ParamsError> {
    use curate_cluster::alternative::DbscanParams;
    DbscanParams::new(min_points, DbscanParams::radius_of_cosine(cosine)).check()
}

#[cfg(feature = "linfa")]
fn gaussians(
    clusters: usize,
    seed: u64,
) -> Result<curate_cluster::alternative::GaussianMixture, curate_core::ParamsError> {
    curate_cluster::alternative::GaussianMixtureParams::new(clusters).seed(seed).check()
}
