//! What stages that cluster have in common.

use curate_cluster::{Clustering, KMeansParams, Metric};
use curate_core::{EmbeddingSource, SampleId, random};
use serde_json::json;

use super::Context;
use crate::{error::StageError, recipe::KMeansRecipe, stage::Outcome};

/// Clusters rows of length 1 with spherical k-means.
pub(super) fn fit(
    source: &dyn EmbeddingSource,
    ids: &[SampleId],
    clusters: usize,
    recipe: &KMeansRecipe,
    context: &Context<'_>,
) -> Result<Clustering, StageError> {
    let kmeans = KMeansParams::new(clusters)
        .metric(Metric::Spherical)
        .iterations(recipe.iterations)
        .tolerance(recipe.tolerance)
        .init(recipe.init)
        .train_rows_per_cluster(recipe.train_rows_per_cluster)
        .batch_rows(recipe.batch_rows)
        .empty_clusters(recipe.empty_clusters)
        .seed(random::derive(context.seed, "k-means"))
        .check()?;
    let engine = recipe.device.engine()?;
    Ok(kmeans.fit_on(engine.as_deref(), source, ids, context.progress)?)
}

/// Tells how the clustering went.
pub(super) fn tell(outcome: &mut Outcome, clustering: &Clustering) {
    let sizes = clustering.sizes();
    outcome.tell(
        "k-means",
        json!({
            "clusters": clustering.k(),
            "empty": sizes.iter().filter(|&&size| size == 0).count(),
            "largest": sizes.iter().max(),
            "iterations": clustering.objective.len(),
            "converged": clustering.converged,
            "objective": clustering.objective.last(),
            "imbalance": clustering.imbalance(),
            "reseeded": clustering.reseeded,
        }),
    );
    outcome.centroids = Some(clustering.centroids.clone());
}
