//! The kinds of stages.

mod baseline;
mod cluster;
mod combine;
mod cut;
mod dedup;
mod prune;
mod score;

use std::collections::BTreeMap;

use curate_core::{
    EmbeddingSource, Given, Progress, Rows, RowsError, SampleId, Selection, embedding, fault,
    fault::NormPolicy,
};
use curate_io::Pool;

use crate::{
    error::StageError,
    recipe::{Op, Stage},
    stage::{Outcome, StageRows},
};

/// What a stage may look at.
pub(crate) struct Context<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) seed: u64,
    /// The rows it is given.
    pub(crate) input: &'a Selection,
    /// The rows that each earlier stage left, and the whole pool.
    pub(crate) sets: &'a BTreeMap<String, Selection>,
    /// The results of earlier score stages.
    pub(crate) scores: &'a BTreeMap<String, StageRows>,
    pub(crate) progress: &'a dyn Progress,
}

impl Context<'_> {
    /// The ids of the given rows.
    fn ids(&self) -> Vec<SampleId> {
        self.input.rows().iter().map(|&row| self.pool.ids()[row]).collect()
    }

    /// The given rows, with the vectors of an embedding.
    fn rows<'s>(
        &'s self,
        embedding: &'s dyn EmbeddingSource,
        name: &str,
        norm: NormPolicy,
    ) -> Result<Rows<'s>, StageError> {
        let rows = Some(self.input.clone());
        let given = Given { ids: Some(self.pool.ids()), rows, norm };
        Rows::read(embedding, given, self.progress).map_err(|error| match error {
            RowsError::NotUnit { count, rows, median } => StageError::Problem(format!(
                "{count} of {rows} vectors of `{name}` do not have length 1 (median {median:.3}); set \
                 `norm = \"any\"` to scale them"
            )),
            other => other.into(),
        })
    }

    /// A score of every row of the pool; NaN for a row that the score stage was not given or set aside.
    fn score_of_pool(&self, name: &str) -> Vec<f32> {
        let mut scores = vec![f32::NAN; self.pool.len()];
        let scored = &self.scores[name];
        for (position, &row) in scored.rows.iter().enumerate().filter(|(p, _)| scored.keeps(*p)) {
            scores[row] = scored.value[position];
        }
        scores
    }

    /// A score of the given rows; NaN for a row that the score stage was not given or set aside.
    fn score(&self, name: &str) -> Vec<f32> {
        let scored = &self.scores[name];
        let position = |row| scored.position(row).filter(|&position| scored.keeps(position));
        let value = |&row: &usize| position(row).map_or(f32::NAN, |i| scored.value[i]);
        self.input.rows().iter().map(value).collect()
    }
}

/// Fills in what the recipe left open, now that the number of rows is known.
pub(crate) fn resolve(stage: &Stage, rows: usize) -> Stage {
    let mut stage = stage.clone();
    if let Some(k_means) = stage.k_means() {
        stage.set_device(k_means.device.resolve());
    }
    match &mut stage {
        Stage::SemanticDedup(s) => {
            if s.epsilon.is_none() && s.fraction.is_none() && s.count.is_none() {
                s.epsilon = Some(0.05);
            }
            s.clusters.get_or_insert(curate_dedup::suggested_clusters(rows));
        }
        Stage::ConceptPrune(s) => {
            s.temperature.get_or_insert(s.preset.temperature());
            s.balance.get_or_insert(s.preset.balance());
            s.clusters.get_or_insert(curate_prune::suggested_clusters(rows));
        }
        _ => {}
    }
    stage
}

/// Carries out a resolved stage.
pub(crate) fn execute(stage: &Stage, context: &Context<'_>) -> Result<Outcome, StageError> {
    match stage {
        Stage::Score(s) => score::execute(s, context),
        Stage::Threshold(s) => cut::threshold(s, context),
        Stage::Fraction(s) => cut::fraction(s, context),
        Stage::Top(s) => cut::top(s, context),
        Stage::SemanticDedup(s) => dedup::execute(s, context),
        Stage::ConceptPrune(s) => prune::execute(s, context),
        Stage::Combine(s) => combine::execute(s, context),
        Stage::Baseline(s) => baseline::execute(s, context),
    }
}

/// A rule in words, for people.
pub(crate) fn in_words(stage: &Stage) -> String {
    match stage {
        Stage::Score(s) => match (&s.column, &s.cosine, &s.network) {
            (Some(column), ..) => format!("score each row by column {column}"),
            (_, Some([a, b]), _) => format!("score each row by the cosine of {a} and {b}"),
            (.., Some(network)) => {
                let name = network.file_name().unwrap_or(network.as_os_str()).display();
                format!("score each row by how well picture and caption agree for network {name}")
            }
            _ => "score each row".to_owned(),
        },
        Stage::Threshold(s) => match (s.at_least, s.at_most) {
            (Some(least), _) => format!("keep rows whose {} is at least {least}", s.score),
            (_, most) => {
                format!("keep rows whose {} is at most {}", s.score, most.unwrap_or_default())
            }
        },
        Stage::Fraction(s) => {
            format!("keep the best {} % of rows by {}", percent(s.fraction), s.score)
        }
        Stage::Top(s) => format!("keep the best {} rows by {}", s.count, s.score),
        Stage::SemanticDedup(s) => match (s.epsilon, s.fraction, s.count) {
            (Some(epsilon), ..) => format!(
                "remove rows whose cosine in {} to a preferred row of their cluster is above {}",
                s.embedding,
                curate_core::rank::similarity_threshold(epsilon)
            ),
            (_, Some(fraction), _) => {
                format!(
                    "keep the {} % of rows that are least duplicated in {}",
                    percent(fraction),
                    s.embedding
                )
            }
            (.., count) => {
                let count = count.unwrap_or_default();
                format!("keep the {count} rows that are least duplicated in {}", s.embedding)
            }
        },
        Stage::ConceptPrune(s) => {
            let wanted = match (s.fraction, s.count) {
                (Some(fraction), _) => format!("{} %", percent(fraction)),
                (_, count) => count.unwrap_or_default().to_string(),
            };
            match s.control {
                None => {
                    format!(
                        "keep {wanted} of the rows, more of complex concepts in {}",
                        s.embedding
                    )
                }
                Some(control) => {
                    format!("keep {wanted} of the rows, {}, in {}", control.in_words(), s.embedding)
                }
            }
        }
        Stage::Baseline(s) => baseline::in_words(s),
        Stage::Combine(s) => {
            let all = s.of.join(", ");
            match s.op {
                Op::Union => format!("keep rows in any of {all}"),
                Op::Intersect => format!("keep rows in all of {all}"),
                Op::Minus => format!("keep rows of the first but of none of the others of {all}"),
            }
        }
    }
}

fn percent(share: f64) -> f64 {
    (share * 100_000.0).round() / 1_000.0
}

/// Quarantines rows whose vectors cannot be used; returns the positions of the others.
fn quarantine(
    embedding: &dyn EmbeddingSource,
    name: &str,
    norm: NormPolicy,
    rows: &mut StageRows,
    progress: &dyn Progress,
) -> Result<Vec<usize>, StageError> {
    progress.start(&format!("check {name}"), rows.rows.len() as u64, "rows");
    let given = rows.rows.clone();
    let source = embedding::RowsOf::new(embedding, &given);
    let faulty = fault::check(&source, norm, progress)?;
    progress.finish();
    let unnormalised = faulty.iter().filter(|f| f.fault == fault::Fault::EmbeddingNotUnit);
    let count = unnormalised.clone().count();
    if 2 * count > given.len() {
        let mut norms: Vec<f64> = unnormalised.map(|f| f.norm).collect();
        norms.sort_unstable_by(f64::total_cmp);
        return Err(StageError::Problem(format!(
            "{count} of {} vectors of `{name}` do not have length 1 (median {:.3}); set `norm = \"any\"` to \
             scale them",
            given.len(),
            norms[norms.len() / 2]
        )));
    }
    for bad in &faulty {
        rows.remove(bad.row, bad.fault.name());
        rows.value[bad.row] = bad.norm as f32;
    }
    Ok((0..given.len()).filter(|&i| rows.keeps(i)).collect())
}
