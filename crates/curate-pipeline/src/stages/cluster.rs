//! What stages that cluster have in common.

use curate_cluster::{Clustering, KMeansParams, Metric};
use serde_json::json;

use crate::{recipe::KMeansRecipe, stage::Outcome};

/// The recipe's settings as the methods take them, which add the number of clusters and the seed.
pub(super) fn params(recipe: &KMeansRecipe) -> KMeansParams {
    KMeansParams::new(1)
        .metric(Metric::Spherical)
        .iterations(recipe.iterations)
        .tolerance(recipe.tolerance)
        .init(recipe.init)
        .train_rows_per_cluster(recipe.train_rows_per_cluster)
        .batch_rows(recipe.batch_rows)
        .empty_clusters(recipe.empty_clusters)
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
