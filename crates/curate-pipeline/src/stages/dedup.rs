//! Semantic deduplication.

use curate_cluster::{Metric, Ordered};
use curate_core::{
    SampleId,
    embedding::{RowsOf, UnitRows},
    random,
    rank::{Direction, fraction_of},
};
use curate_dedup::{Duplicates, Keep};

use super::{Context, cluster, quarantine};
use crate::{
    error::StageError,
    recipe::{DedupMode, SemanticDedupStage},
    stage::{Outcome, StageRows},
};

/// The rule under which duplicates go.
pub(crate) const RULE: &str = "semantic-duplicate";

pub(super) fn execute(
    stage: &SemanticDedupStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let embedding = context.pool.embedding(&stage.embedding)?;
    let mut rows = StageRows::new(context.input);
    let good = quarantine(&embedding, &stage.embedding, stage.norm, &mut rows, context.progress)?;
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let ids: Vec<SampleId> = pool_rows.iter().map(|&row| context.pool.ids()[row]).collect();
    let source = RowsOf::new(&embedding, &pool_rows);
    let source = UnitRows(&source);

    let wanted = stage.clusters.unwrap_or(1).min(good.len().max(1));
    if good.is_empty() {
        return Ok(Outcome::new(rows));
    }
    let clustering = cluster::fit(&source, &ids, wanted, &stage.k_means, context)?;
    let k = clustering.k();
    let assignment = &clustering.assignment;
    let order = match &stage.prefer_score {
        Some(score) => {
            let scores = context.score(score);
            let scores: Vec<f32> = good.iter().map(|&position| scores[position]).collect();
            Ordered::by_score(assignment, k, &ids, &scores, Direction::HigherIsBetter)
        }
        None => {
            let seed = random::derive(context.seed, "dedup");
            Ordered::new(assignment, k, Metric::Spherical, &ids, stage.preference, seed)
        }
    };
    let found = match (stage.mode, stage.epsilon) {
        (DedupMode::Greedy, Some(epsilon)) => {
            Duplicates::find_greedy(&source, &order, epsilon, context.progress)?
        }
        _ => Duplicates::find(&source, &order, context.progress)?,
    };
    let keep = match (stage.epsilon, stage.fraction, stage.count) {
        // A fraction is one of all rows given, so that a quarantined row does not shrink the result.
        (_, Some(fraction), _) => Keep::Count(fraction_of(context.input.len(), fraction)),
        (.., Some(count)) => Keep::Count(count),
        (epsilon, ..) => Keep::Epsilon(epsilon.unwrap_or(0.05)),
    };
    let decided = found.keep(keep, &ids);

    rows.cluster = vec![None; rows.rows.len()];
    rows.related = vec![None; rows.rows.len()];
    for (local, &position) in good.iter().enumerate() {
        rows.value[position] = found.similarity[local];
        rows.threshold[position] = decided.threshold.unwrap_or(f32::NAN);
        rows.cluster[position] = Some(assignment.cluster[local]);
        rows.related[position] = found.cause(local).map(|other| pool_rows[other]);
        if !decided.kept[local] {
            rows.remove(position, RULE);
        }
    }
    let mut outcome = Outcome::new(rows);
    outcome.tell("threshold", decided.threshold.map(f64::from));
    outcome.tell("epsilon", decided.threshold.map(|t| 1.0 - f64::from(t)));
    cluster::tell(&mut outcome, &clustering);
    Ok(outcome)
}
