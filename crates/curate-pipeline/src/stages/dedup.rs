//! Semantic deduplication.

use curate_cluster::{Assignment, Clustering, Metric, Ordered};
use curate_core::{
    EmbeddingSource, SampleId,
    embedding::{RowsOf, UnitRows},
    random,
    rank::{Direction, better_first, fraction_of},
};
use curate_dedup::{Duplicates, ExactDuplicates, Keep, Probe, nearest_clusters};
use serde_json::json;

use super::{Context, cluster, quarantine};
use crate::{
    error::StageError,
    recipe::{DedupMode, SemanticDedupStage},
    stage::{Outcome, StageRows},
};

/// The rule under which duplicates go.
pub(crate) const RULE: &str = "semantic-duplicate";
/// The rule under which copies to the bit go.
pub(crate) const EXACT_RULE: &str = "exact-duplicate";
/// Rows that recall is measured on.
const RECALL_ROWS: usize = 1_000;

pub(super) fn execute(
    stage: &SemanticDedupStage,
    context: &Context<'_>,
) -> Result<Outcome, StageError> {
    let embedding = context.pool.embedding(&stage.embedding)?;
    let mut rows = StageRows::new(context.input);
    let mut good =
        quarantine(&embedding, &stage.embedding, stage.norm, &mut rows, context.progress)?;
    if good.is_empty() {
        return Ok(Outcome::new(rows));
    }
    rows.related = vec![None; rows.rows.len()];
    let scores = stage.prefer_score.as_ref().map(|score| context.score(score));
    let given = good.len();
    if stage.exact_duplicates {
        good = collapse(&embedding, scores.as_deref(), &good, &mut rows, context)?;
    }
    let copies = given - good.len();

    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let ids: Vec<SampleId> = pool_rows.iter().map(|&row| context.pool.ids()[row]).collect();
    let source = RowsOf::new(&embedding, &pool_rows);
    let source = UnitRows(&source);
    let wanted = stage.clusters.unwrap_or(1).min(good.len());
    let clustering = cluster::fit(&source, &ids, wanted, &stage.k_means, context)?;
    let scores: Option<Vec<f32>> =
        scores.map(|scores| good.iter().map(|&position| scores[position]).collect());
    let in_order = |assignment: &Assignment| match &scores {
        Some(scores) => Ordered::by_score(assignment, &ids, scores, Direction::HigherIsBetter),
        None => {
            let seed = random::derive(context.seed, "dedup");
            Ordered::new(assignment, Metric::Spherical, &ids, stage.preference, seed)
        }
    };
    let order = in_order(&clustering.assignment)?;
    let mut found = match (stage.mode, stage.epsilon) {
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
    let probed = match stage.probes {
        0 => None,
        _ => {
            let parts = (&clustering, &order, &in_order(&clustering.assignment.together())?);
            Some(probe(stage, &source, parts, &mut found, (keep, &ids), context)?)
        }
    };
    let decided = found.keep(keep, &ids);

    rows.cluster = vec![None; rows.rows.len()];
    for (local, &position) in good.iter().enumerate() {
        rows.value[position] = found.similarity[local];
        rows.threshold[position] = decided.threshold.unwrap_or(f32::NAN);
        rows.cluster[position] = Some(clustering.assignment.cluster()[local]);
        rows.related[position] = found.cause(local).map(|other| pool_rows[other]);
        if !decided.kept[local] {
            rows.remove(position, RULE);
        }
    }
    let mut outcome = Outcome::new(rows);
    outcome.tell("threshold", decided.threshold.map(f64::from));
    outcome.tell("epsilon", decided.threshold.map(|t| 1.0 - f64::from(t)));
    if stage.exact_duplicates {
        outcome.tell("exact-duplicates", copies);
    }
    if let Some(probed) = probed {
        outcome.tell("probing", probed);
    }
    cluster::tell(&mut outcome, &clustering);
    Ok(outcome)
}

/// Removes all but one of the rows with the same vector; returns the positions of the others.
fn collapse(
    embedding: &dyn EmbeddingSource,
    scores: Option<&[f32]>,
    good: &[usize],
    rows: &mut StageRows,
    context: &Context<'_>,
) -> Result<Vec<usize>, StageError> {
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let id = |local: usize| context.pool.ids()[pool_rows[local]];
    let mut order: Vec<usize> = (0..good.len()).collect();
    order.sort_by(|&a, &b| {
        let score = |local: usize| scores.map_or(0.0, |scores| scores[good[local]]);
        better_first(score(a), score(b), Direction::HigherIsBetter).then_with(|| id(a).cmp(&id(b)))
    });
    let mut place = vec![0_usize; good.len()];
    order.iter().enumerate().for_each(|(rank, &local)| place[local] = rank);
    // The vectors as the search would compare them.
    let source = RowsOf::new(embedding, &pool_rows);
    let found = ExactDuplicates::of_vectors(&UnitRows(&source), &place, context.progress)?;
    for (local, &position) in good.iter().enumerate() {
        if let Some(stays) = found.cause(local) {
            // A copy's cosine, so that a later cut of another epsilon or count removes it first.
            rows.value[position] = 1.0;
            rows.related[position] = Some(pool_rows[stays]);
            rows.remove(position, EXACT_RULE);
        }
    }
    Ok(found.kept().into_iter().map(|local| good[local]).collect())
}

/// Looks into neighbouring clusters as well; tells what that found.
fn probe<S: EmbeddingSource>(
    stage: &SemanticDedupStage,
    source: &S,
    (clustering, order, preferred): (&Clustering, &Ordered, &Ordered),
    found: &mut Duplicates,
    (keep, ids): (Keep, &[SampleId]),
    context: &Context<'_>,
) -> Result<serde_json::Value, StageError> {
    let near = nearest_clusters(
        source,
        clustering.centroids.view(),
        Metric::Spherical,
        &clustering.assignment,
        stage.probes,
        context.progress,
    )?;
    let probe = Probe::new(preferred, &near, clustering.k());
    let probed = probe.search(source, order, found, context.progress)?;
    let threshold = probed.duplicates.keep(keep, ids).threshold;
    let epsilon = 1.0 - f64::from(threshold.unwrap_or(1.0));
    let sample = (RECALL_ROWS, context.seed);
    let recall =
        |found: &Duplicates| probe.recall(source, ids, found, epsilon, sample, context.progress);
    let (before, after) = (recall(found)?, recall(&probed.duplicates)?);
    *found = probed.duplicates;
    Ok(json!({
        "pairs": probed.pairs,
        "rows-with-a-nearer-match": probed.improved,
        "recall-sample": after.sampled,
        "duplicates-in-sample": after.duplicates,
        "recall-without": before.share(),
        "recall": after.share(),
    }))
}
