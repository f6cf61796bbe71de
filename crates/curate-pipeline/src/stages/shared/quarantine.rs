//! Rows whose vectors cannot be used.

use curate_core::{EmbeddingSource, fault::NormPolicy};

use crate::{error::StageError, rows::StageRows, stage::Context};

/// Sets rows aside whose vectors cannot be used; returns the positions of the others.
pub(crate) fn quarantine(
    embedding: &dyn EmbeddingSource,
    name: &str,
    norm: NormPolicy,
    rows: &mut StageRows,
    context: &Context<'_>,
) -> Result<Vec<usize>, StageError> {
    rows.set_aside(context.rows(embedding, name, norm)?.faults());
    Ok((0..rows.rows.len()).filter(|&i| rows.keeps(i)).collect())
}
