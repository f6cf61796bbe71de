//! Rows whose vectors cannot be used.

use curate_core::{
    EmbeddingSource, Progress,
    embedding::RowsOf,
    fault::{self, Fault, NormPolicy},
};

use crate::{error::StageError, rows::StageRows};

/// Sets rows aside whose vectors cannot be used; returns the positions of the others.
pub(crate) fn quarantine(
    embedding: &dyn EmbeddingSource,
    name: &str,
    norm: NormPolicy,
    rows: &mut StageRows,
    progress: &dyn Progress,
) -> Result<Vec<usize>, StageError> {
    progress.start(&format!("check {name}"), rows.rows.len() as u64, "rows");
    let faulty = fault::check(&RowsOf::new(embedding, &rows.rows), norm, progress)?;
    progress.finish();
    let given = rows.rows.len();
    let unnormalized = faulty.iter().filter(|f| f.fault == Fault::EmbeddingNotUnit);
    let count = unnormalized.clone().count();
    if 2 * count > given {
        let mut norms: Vec<f64> = unnormalized.map(|f| f.norm).collect();
        norms.sort_unstable_by(f64::total_cmp);
        return Err(StageError::Problem(format!(
            "{count} of {given} vectors of `{name}` do not have length 1 (median {:.3}); set `norm = \"any\"` \
             to scale them",
            norms[norms.len() / 2]
        )));
    }
    for bad in &faulty {
        rows.remove(bad.row, bad.fault.name());
        rows.value[bad.row] = bad.norm as f32;
    }
    Ok((0..given).filter(|&i| rows.keeps(i)).collect())
}
