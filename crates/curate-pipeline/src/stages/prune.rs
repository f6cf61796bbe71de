//! Concept-complexity pruning.

use curate_core::Cut;
use curate_prune::{CONCEPT_QUOTA, CONTROL, ConceptPruneParams, Concepts, Inputs, Pruned};
use serde_json::json;

use super::{Context, cluster};
use crate::{
    error::StageError,
    recipe::ConceptPruneStage,
    stage::{Outcome, StageRows},
};

pub(super) fn execute(
    stage: &ConceptPruneStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let embedding = context.pool.embedding(&stage.embedding)?;
    let rows = context.rows(&embedding, &stage.embedding, stage.norm)?;
    if rows.usable().is_empty() {
        return Ok(Outcome::new(StageRows::with_faults(context.input, rows.faults())));
    }
    let engine = stage.k_means.device.engine()?;
    let inputs = Inputs { clusters: None, engine: engine.as_deref() };
    let prune = params(stage, context.seed).check()?;
    let concepts = prune.run_with(&rows, inputs, context.progress)?;
    let pruned = concepts.prune(cut(stage))?;
    let mut outcome = Outcome::new(verdicts(&concepts, &pruned, context));
    tell(&mut outcome, &concepts, &pruned);
    cluster::tell(&mut outcome, concepts.clusters().clustering());
    Ok(outcome)
}

/// The stage's settings as the method takes them.
pub(crate) fn params(stage: &ConceptPruneStage, seed: u64) -> ConceptPruneParams {
    let preset = ConceptPruneParams::preset(stage.preset);
    let mut params = preset
        .share(stage.share)
        .neighbors(stage.neighbours)
        .preference(stage.preference)
        .pick(stage.pick)
        .k_means(cluster::params(&stage.k_means))
        .seed(seed);
    if let Some(temperature) = stage.temperature {
        params = params.temperature(temperature);
    }
    if let Some(balance) = stage.balance {
        params = params.balance(balance);
    }
    if let Some(control) = stage.control {
        params = params.control(control);
    }
    match stage.clusters {
        Some(clusters) => params.clusters(clusters),
        None => params,
    }
}

fn cut(stage: &ConceptPruneStage) -> Cut {
    match stage.fraction {
        Some(fraction) => Cut::Fraction(fraction),
        None => Cut::Top(stage.count.unwrap_or(0)),
    }
}

/// The number of a row is its rank in its concept, compared with the quota; where a control decides,
/// its distance to its centroid, compared with nothing.
fn verdicts(concepts: &Concepts, pruned: &Pruned, context: &Context<'_>) -> StageRows {
    let mut rows = StageRows::with_faults(context.input, concepts.faults());
    rows.cluster = vec![None; rows.rows.len()];
    let (ranks, distances) = (concepts.ranks(), concepts.distances());
    let clusters = concepts.clusters().clustering().assignment.cluster();
    let by_quota = pruned.report.is_some();
    for (place, row) in concepts.clusters().rows().iter().enumerate() {
        let position = context.input.position(row).expect("a row that was given");
        let cluster = clusters[place];
        rows.cluster[position] = Some(cluster);
        if by_quota {
            rows.value[position] = ranks[place] as f32;
            rows.threshold[position] = pruned.counts[cluster as usize] as f32;
        } else {
            rows.value[position] = distances[place];
        }
        if !pruned.kept.contains(row) {
            rows.remove(position, if by_quota { CONCEPT_QUOTA } else { CONTROL });
        }
    }
    rows
}

fn tell(outcome: &mut Outcome, concepts: &Concepts, pruned: &Pruned) {
    let Some(report) = &pruned.report else {
        let sizes = concepts.clusters().sizes();
        let clusters = sizes.iter().zip(&pruned.counts);
        let clusters = clusters.map(|(size, quota)| json!({"size": size, "quota": quota}));
        outcome.tell("clusters", clusters.collect::<Vec<_>>());
        return;
    };
    let complexity = concepts.complexity();
    let clusters = report.clusters.iter().enumerate().map(|(c, cluster)| {
        json!({
            "size": cluster.size,
            "quota": cluster.quota,
            "share": cluster.share,
            "complexity": complexity.complexity[c],
            "intra": complexity.intra[c],
            "inter": complexity.inter[c],
        })
    });
    outcome.tell("clusters", clusters.collect::<Vec<_>>());
    outcome.tell("clusters-at-minimum", report.at_least);
    outcome.tell("clusters-kept-whole", report.at_most);
    outcome.tell("moved-by-bounds", report.moved);
    outcome.tell("share-spread", report.spread);
}
