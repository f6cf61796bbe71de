//! Scores: a column, the cosine of two embeddings, or what a network thinks of a pair.

use std::path::Path;

use curate_core::{
    EmbeddingSource,
    embedding::{self, RowsOf},
    fault::{Fault, NormPolicy},
};
use curate_dfn::{Network, filter::score_pairs};

use super::{Context, quarantine};
use crate::{
    error::StageError,
    recipe::ScoreStage,
    stage::{Outcome, StageRows},
};

pub(super) fn execute(stage: &ScoreStage, context: &Context<'_>) -> Result<Outcome, StageError> {
    let mut rows = StageRows::new(context.input);
    match (&stage.column, &stage.cosine, &stage.network) {
        (Some(column), ..) => by_column(column, context, &mut rows)?,
        (_, Some([a, b]), _) => by_cosine(a, b, context, &mut rows)?,
        (.., Some(folder)) => by_network(folder, context, &mut rows)?,
        _ => {
            let problem = "give one of `column`, `cosine` and `network`".to_owned();
            return Err(StageError::Problem(problem));
        }
    }
    Ok(Outcome::new(rows))
}

fn by_column(column: &str, context: &Context<'_>, rows: &mut StageRows) -> Result<(), StageError> {
    let values = context.pool.column(column)?;
    for position in 0..rows.rows.len() {
        rows.value[position] = values[rows.rows[position]];
        if rows.value[position].is_nan() {
            rows.remove(position, Fault::ScoreMissing.name());
        }
    }
    Ok(())
}

/// The cosine in f64, whatever the lengths of the vectors.
fn by_cosine(
    a: &str,
    b: &str,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<(), StageError> {
    let (first, second) = (context.pool.embedding(a)?, context.pool.embedding(b)?);
    if first.dim() != second.dim() {
        return Err(StageError::Problem(format!(
            "`{a}` has {} dimensions and `{b}` has {}: a cosine needs two embeddings of one space",
            first.dim(),
            second.dim()
        )));
    }
    quarantine(&first, a, NormPolicy::Any, rows, context.progress)?;
    // The second check sees the rows that the first set aside again, and its verdict replaces theirs:
    // either way the row is out.
    let good = quarantine(&second, b, NormPolicy::Any, rows, context.progress)?;
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let (first, second) = (RowsOf::new(&first, &pool_rows), RowsOf::new(&second, &pool_rows));
    context.progress.start("score", pool_rows.len() as u64, "rows");
    let dim = first.dim();
    let cosines = embedding::map_blocks(&first, context.progress, |block, vectors| {
        let mut others = vec![0.0; vectors.len()];
        second.read(block, &mut others)?;
        let pairs = vectors.chunks_exact(dim.max(1)).zip(others.chunks_exact(dim.max(1)));
        Ok::<_, curate_core::SourceError>(pairs.map(|(a, b)| cosine(a, b)).collect::<Vec<_>>())
    })?;
    context.progress.finish();
    let mut cosines = cosines.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    for position in good {
        rows.value[position] = cosines.next().expect("one cosine for each good row");
    }
    Ok(())
}

/// A pair that cannot be read is set aside; the others' scores do not depend on it.
fn by_network(
    folder: &Path,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<(), StageError> {
    let network = Network::open(folder)?;
    network.config().takes_captions(folder)?;
    let scored = score_pairs(&network, context.pool, context.input, context.progress)?;
    rows.value.copy_from_slice(scored.scores());
    for pair in scored.bad() {
        let position = scored.rows().position(pair.row);
        rows.remove(position.expect("a bad pair is one of the rows"), pair.bad.kind.rule());
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    (embedding::dot(a, b) / (embedding::norm(a) * embedding::norm(b))) as f32
}
