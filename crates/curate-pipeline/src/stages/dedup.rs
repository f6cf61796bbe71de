//! Semantic deduplication.

use curate_core::{Cut, rank::Outcome as Decided};
use curate_dedup::{
    Duplicates, EXACT_DUPLICATE, ExactCopies, Inputs, Mode, SEMANTIC_DUPLICATE, SemanticDedupParams,
};
use serde_json::json;

use super::{Context, cluster};
use crate::{
    error::StageError,
    recipe::{DedupMode, SemanticDedupStage},
    stage::{Outcome, StageRows},
};

pub(super) fn execute(
    stage: &SemanticDedupStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let embedding = context.pool.embedding(&stage.embedding)?;
    let rows = context.rows(&embedding, &stage.embedding, stage.norm)?;
    if rows.usable().is_empty() {
        return Ok(Outcome::new(StageRows::with_faults(context.input, rows.faults())));
    }
    let scores = stage.prefer_score.as_ref().map(|score| context.score_of_pool(score));
    let engine = stage.k_means.device.engine()?;
    let inputs = Inputs { clusters: None, scores: scores.as_deref(), engine: engine.as_deref() };
    let dedup = params(stage, context.seed).check()?;
    let found = dedup.run_with(&rows, inputs, context.progress)?;
    let decided = found.outcome(cut(stage))?;
    let mut outcome = Outcome::new(verdicts(&found, &decided, context));
    outcome.tell("threshold", decided.threshold.map(f64::from));
    outcome.tell("epsilon", decided.threshold.map(|t| 1.0 - f64::from(t)));
    if stage.exact_duplicates {
        outcome.tell("exact-duplicates", found.copies().len());
    }
    if let Some(probing) = probing(&found, decided.threshold) {
        outcome.tell("probing", probing);
    }
    cluster::tell(&mut outcome, found.clusters().clustering());
    Ok(outcome)
}

/// The stage's settings as the method takes them.
pub(crate) fn params(stage: &SemanticDedupStage, seed: u64) -> SemanticDedupParams {
    let mode = match (stage.mode, stage.epsilon) {
        (DedupMode::Greedy, Some(epsilon)) => Mode::Greedy(epsilon),
        _ => Mode::Reference,
    };
    let copies = if stage.exact_duplicates { ExactCopies::Collapse } else { ExactCopies::Search };
    let params = SemanticDedupParams::new()
        .mode(mode)
        .preference(stage.preference)
        .exact_copies(copies)
        .probes(stage.probes)
        .k_means(cluster::params(&stage.k_means))
        .seed(seed);
    match stage.clusters {
        Some(clusters) => params.clusters(clusters),
        None => params,
    }
}

fn cut(stage: &SemanticDedupStage) -> Cut {
    match (stage.epsilon, stage.fraction, stage.count) {
        (_, Some(fraction), _) => Cut::Fraction(fraction),
        (.., Some(count)) => Cut::Top(count),
        (epsilon, ..) => Cut::Epsilon(epsilon.unwrap_or(0.05)),
    }
}

fn verdicts(found: &Duplicates, decided: &Decided, context: &Context<'_>) -> StageRows {
    let mut rows = StageRows::with_faults(context.input, found.faults());
    rows.related = vec![None; rows.rows.len()];
    rows.cluster = vec![None; rows.rows.len()];
    let position = |row| context.input.position(row).expect("a row that was given");
    for copy in found.copies() {
        let position = position(copy.row);
        // A copy's cosine, so that a later cut of another epsilon or count removes it first.
        rows.value[position] = 1.0;
        rows.related[position] = Some(copy.stays);
        rows.remove(position, EXACT_DUPLICATE);
    }
    let clusters = found.clusters().clustering().assignment.cluster();
    let compared = found.clusters().rows().iter().zip(found.similarities().iter().zip(clusters));
    for (row, (&similarity, &cluster)) in compared {
        let position = position(row);
        rows.value[position] = similarity;
        rows.threshold[position] = decided.threshold.unwrap_or(f32::NAN);
        rows.cluster[position] = Some(cluster);
        rows.related[position] = found.cause(row);
        if !decided.kept.contains(row) {
            rows.remove(position, SEMANTIC_DUPLICATE);
        }
    }
    rows
}

/// What probing found, with recall at the threshold that decided.
fn probing(found: &Duplicates, threshold: Option<f32>) -> Option<serde_json::Value> {
    let probing = found.probing()?;
    let recall = found.recall(1.0 - f64::from(threshold.unwrap_or(1.0)))?;
    Some(json!({
        "pairs": probing.pairs,
        "rows-with-a-nearer-match": probing.improved,
        "recall-sample": recall.sampled,
        "duplicates-in-sample": recall.duplicates,
        "recall-without": recall.share_without_probing(),
        "recall": recall.share(),
    }))
}
