//! K-means, as recipes ask for it.

use curate_cluster::{Clustering, Clusters, EmptyClusters, Init, KMeansParams, Metric};
use curate_core::{EmbeddingSource, Rows};
use curate_device::DeviceName;
use curate_io::Pool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::StageError,
    record::StageRecord,
    stage::{Context, Cost, is_default},
};

/// How rows are clustered: spherical k-means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KMeansRecipe {
    /// At most this many iterations.
    pub iterations: usize,
    /// Stop when the objective improves by less than this share of itself.
    pub tolerance: f64,
    /// Where the centroids start.
    pub init: Init,
    /// Train on this many random rows per cluster (faiss: 256); on all rows if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_rows_per_cluster: Option<usize>,
    /// Mini-batch k-means: move the centroids after this many rows; `iterations` counts passes. Left
    /// out, Lloyd's iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<usize>,
    /// What becomes of a cluster that no row is nearest to.
    #[serde(skip_serializing_if = "is_default")]
    pub empty_clusters: EmptyClusters,
    /// Where nearest centroids are searched: `cpu`, `wgpu`, `cuda`, `cuda:N`, or `auto` for the best
    /// that is there. Others than `cpu` may choose differently between centroids that are equally
    /// near but for rounding, and need a program built with them.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(with = "String")]
    pub device: DeviceName,
}

impl Default for KMeansRecipe {
    fn default() -> Self {
        Self {
            iterations: 50,
            tolerance: 1e-5,
            init: Init::default(),
            train_rows_per_cluster: None,
            batch_rows: None,
            empty_clusters: EmptyClusters::default(),
            device: DeviceName::default(),
        }
    }
}

impl KMeansRecipe {
    /// As the methods take it, which add the number of clusters and the seed.
    pub(crate) fn params(&self) -> KMeansParams {
        KMeansParams::new(1)
            .metric(Metric::Spherical)
            .iterations(self.iterations)
            .tolerance(self.tolerance)
            .init(self.init)
            .train_rows_per_cluster(self.train_rows_per_cluster)
            .batch_rows(self.batch_rows)
            .empty_clusters(self.empty_clusters)
    }

    /// Clusters the usable rows.
    pub(crate) fn fit(
        &self,
        rows: &Rows<'_>,
        clusters: usize,
        context: &Context<'_>,
    ) -> Result<Clusters, StageError> {
        if let Some(clusters) = &context.ahead.clusters {
            return Ok(clusters.clone());
        }
        let engine = self.device.engine()?;
        let (seed, progress) = (context.seed, context.progress);
        Ok(self.params().run_inside(clusters, seed, rows, engine.as_deref(), progress)?)
    }

    /// What clustering needs where every iteration is used.
    pub(crate) fn cost(
        &self,
        rows: usize,
        clusters: usize,
        embedding: &str,
        pool: &Pool,
    ) -> Result<Cost, Error> {
        let k_means = self.params().clusters(clusters).check().map_err(StageError::from);
        let k_means = k_means.map_err(|e| e.in_stage("k-means"))?;
        let cost = k_means.cost(rows, pool.embedding(embedding)?.dim());
        let (reads, memory) = (cost.reads as u64, cost.memory() as u64);
        Ok(Cost { reads, memory, operations: cost.operations })
    }
}

/// The key that a recipe has for a parameter of a method that clusters.
pub(crate) fn key(field: &str) -> String {
    match field {
        "iterations" | "tolerance" | "train-rows-per-cluster" | "batch-rows" => {
            format!("k-means.{field}")
        }
        _ => field.to_owned(),
    }
}

/// The width of an embedding.
pub(crate) fn dim(pool: &Pool, embedding: &str) -> Result<u64, Error> {
    Ok(pool.embedding(embedding)?.dim() as u64)
}

/// Bytes of the rows that are read at once: each thread holds one block.
pub(crate) fn block_bytes(rows: usize, dim: u64) -> u64 {
    let held = curate_core::BLOCK_ROWS * rayon::current_num_threads();
    4 * dim * held.min(rows) as u64
}

/// How a clustering went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KMeansTold {
    pub(crate) clusters: usize,
    /// Clusters without a row.
    pub(crate) empty: usize,
    /// Rows of the largest cluster.
    pub(crate) largest: Option<usize>,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
    pub(crate) objective: Option<f64>,
    pub(crate) imbalance: f64,
    pub(crate) reseeded: usize,
}

impl KMeansTold {
    pub(crate) fn of(clustering: &Clustering) -> Self {
        let sizes = clustering.sizes();
        Self {
            clusters: clustering.k(),
            empty: sizes.iter().filter(|&&size| size == 0).count(),
            largest: sizes.iter().max().copied(),
            iterations: clustering.objective.len(),
            converged: clustering.converged,
            objective: clustering.objective.last().copied(),
            imbalance: clustering.imbalance(),
            reseeded: clustering.reseeded,
        }
    }

    /// What a reader of the report should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        if self.converged {
            return vec![];
        }
        vec![
            "k-means stopped at its last iteration, before it converged; raise `k-means.iterations`"
                .to_owned(),
        ]
    }
}

/// What every stage that clusters tells.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Clustered {
    /// Not of a stage that shares the clusters of another.
    k_means: Option<KMeansTold>,
}

/// The notes of a stage that clusters.
pub(crate) fn notes(record: &StageRecord) -> Result<Vec<String>, Error> {
    let told: Option<Clustered> = record.told()?;
    Ok(told.and_then(|told| told.k_means).map_or(vec![], |told| told.notes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_have_the_defaults_of_the_method() {
        assert_eq!(KMeansRecipe::default().params(), KMeansParams::new(1));
    }
}
