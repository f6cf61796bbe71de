//! Concept-complexity pruning.

use curate_cluster::{Clustering, Metric};
use curate_core::{
    SampleId,
    embedding::{RowsOf, UnitRows},
    random,
    rank::fraction_of,
};
use curate_prune::{
    AllocationReport, Clusters, Complexity, Quotas, allocate, lower_bounds, select, softmax,
};
use serde_json::json;

use super::{Context, cluster, quarantine};
use crate::{
    error::StageError,
    recipe::{ConceptPruneStage, Share},
    stage::{Outcome, StageRows},
};

/// The rule under which rows beyond their concept's quota go.
pub(crate) const RULE: &str = "concept-quota";
/// The rule under which rows go that a control does not keep.
pub(crate) const CONTROL: &str = "control";

pub(super) fn execute(
    stage: &ConceptPruneStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let embedding = context.pool.embedding(&stage.embedding)?;
    let mut rows = StageRows::new(context.input);
    let good = quarantine(&embedding, &stage.embedding, stage.norm, &mut rows, context.progress)?;
    if good.is_empty() {
        return Ok(Outcome::new(rows));
    }
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let ids: Vec<SampleId> = pool_rows.iter().map(|&row| context.pool.ids()[row]).collect();
    let source = RowsOf::new(&embedding, &pool_rows);
    let wanted_clusters = stage.clusters.unwrap_or(1).min(good.len());
    let clustering =
        cluster::fit(&UnitRows(&source), &ids, wanted_clusters, &stage.k_means, context)?;

    // A fraction is one of all rows given, so that a quarantined row does not shrink the result.
    let wanted = match stage.fraction {
        Some(fraction) => fraction_of(context.input.len(), fraction).min(good.len()),
        None => stage.count.unwrap_or(0),
    };
    let seed = random::derive(context.seed, "prune");
    let k = clustering.k();
    let assignment = &clustering.assignment;
    if let Some(control) = stage.control {
        let clusters = Clusters { assignment, clusters: k, metric: Metric::Spherical, ids: &ids };
        let kept = control.keep(clusters, wanted, seed)?;
        return Ok(controlled(rows, &good, &kept, &clustering));
    }
    let concepts = Concepts::new(stage, &clustering, wanted)?;
    let order = clustering.order(stage.preference, &ids, seed)?;
    let kept = select(&order, &concepts.quotas.counts, stage.pick);

    rows.cluster = vec![None; rows.rows.len()];
    for (c, cluster) in order.clusters().iter().enumerate() {
        for (rank, &local) in cluster.iter().enumerate() {
            let position = good[local];
            rows.value[position] = (rank + 1) as f32;
            rows.threshold[position] = concepts.quotas.counts[c] as f32;
            rows.cluster[position] = Some(assignment.cluster()[local]);
            if kept.binary_search(&local).is_err() {
                rows.remove(position, RULE);
            }
        }
    }
    let mut outcome = Outcome::new(rows);
    concepts.tell(&mut outcome);
    cluster::tell(&mut outcome, &clustering);
    Ok(outcome)
}

/// The rows that a control keeps. Their number is the distance to their centroid; it is compared
/// with nothing.
fn controlled(
    mut rows: StageRows,
    good: &[usize],
    kept: &[usize],
    clustering: &Clustering,
) -> Outcome {
    let mut clusters = clustering.sizes().iter().map(|&size| (size, 0_usize)).collect::<Vec<_>>();
    let distances = clustering.distances();
    rows.cluster = vec![None; rows.rows.len()];
    for (local, &position) in good.iter().enumerate() {
        let cluster = clustering.assignment.cluster()[local];
        rows.value[position] = distances[local];
        rows.cluster[position] = Some(cluster);
        match kept.binary_search(&local) {
            Ok(_) => clusters[cluster as usize].1 += 1,
            Err(_) => rows.remove(position, CONTROL),
        }
    }
    let mut outcome = Outcome::new(rows);
    let clusters = clusters.iter().map(|(size, quota)| json!({"size": size, "quota": quota}));
    outcome.tell("clusters", clusters.collect::<Vec<_>>());
    cluster::tell(&mut outcome, clustering);
    outcome
}

/// What is known of each concept.
struct Concepts {
    complexity: Complexity,
    share: Vec<f64>,
    sizes: Vec<usize>,
    least: Vec<usize>,
    quotas: Quotas,
}

impl Concepts {
    fn new(
        stage: &ConceptPruneStage,
        clustering: &Clustering,
        wanted: usize,
    ) -> Result<Self, StageError> {
        let complexity =
            Complexity::new(clustering.centroids.view(), &clustering.assignment, stage.neighbours)?;
        let sizes = clustering.sizes();
        let total = sizes.iter().sum::<usize>() as f64;
        let share = match stage.share {
            Share::Complexity => {
                let temperature = stage.temperature.unwrap_or_else(|| stage.preset.temperature());
                softmax(&complexity.complexity, temperature)
            }
            Share::Uniform => vec![1.0 / sizes.len() as f64; sizes.len()],
            Share::Size => sizes.iter().map(|&size| size as f64 / total).collect(),
        };
        let balance = stage.balance.unwrap_or_else(|| stage.preset.balance());
        let least = lower_bounds(wanted, balance, &sizes);
        let quotas = allocate(&share, wanted, &least, &sizes)?;
        Ok(Self { complexity, share, sizes, least, quotas })
    }

    fn tell(&self, outcome: &mut Outcome) {
        let clusters: Vec<_> = (0..self.sizes.len())
            .map(|c| {
                json!({
                    "size": self.sizes[c],
                    "quota": self.quotas.counts[c],
                    "share": self.share[c],
                    "complexity": self.complexity.complexity[c],
                    "intra": self.complexity.intra[c],
                    "inter": self.complexity.inter[c],
                })
            })
            .collect();
        outcome.tell("clusters", clusters);
        let report = AllocationReport::new(&self.quotas, &self.share, &self.least, &self.sizes);
        outcome.tell("clusters-at-minimum", report.at_least);
        outcome.tell("clusters-kept-whole", report.at_most);
        outcome.tell("moved-by-bounds", report.moved);
        outcome.tell("share-spread", report.spread);
    }
}
