//! Vectors that scores are made of: those of the pool, and those of a file.

use std::path::Path;

use curate_core::{EmbeddingSource, embedding, fault::NormPolicy};
use curate_io::{Embedding, IoError, Kind, vectors::StoredArray};

use super::quarantine::quarantine;
use crate::{error::StageError, rows::StageRows, stage::Context};

/// Embeddings of the rows that can be scored.
pub(crate) struct Vectors {
    /// One for each name asked for, of all rows of the pool.
    pub(crate) embeddings: Vec<Embedding>,
    /// Positions of the rows that have usable vectors in all of them.
    pub(crate) good: Vec<usize>,
    /// Their rows in the pool.
    pub(crate) rows: Vec<usize>,
}

impl Vectors {
    /// Opens embeddings, and sets rows aside that lack a usable vector in one of them. The lengths of
    /// vectors do not count: scores scale them to 1.
    pub(crate) fn open(
        names: &[&str],
        context: &Context<'_>,
        rows: &mut StageRows,
    ) -> Result<Self, StageError> {
        let (mut embeddings, mut good) = (Vec::new(), (0..rows.rows.len()).collect());
        for name in names {
            let embedding = context.pool.embedding(name)?;
            // A later check sees the rows again that an earlier one set aside, and its verdict replaces
            // the other's: either way the row is out.
            good = quarantine(&embedding, name, NormPolicy::Any, rows, context)?;
            embeddings.push(embedding);
        }
        let chosen = good.iter().map(|&position| rows.row(position)).collect();
        Ok(Self { embeddings, good, rows: chosen })
    }

    /// An error unless the first two embeddings are of one width.
    pub(crate) fn of_one_space(&self, names: [&str; 2]) -> Result<(), StageError> {
        let [a, b] = [self.embeddings[0].dim(), self.embeddings[1].dim()];
        if a == b {
            return Ok(());
        }
        let [first, second] = names;
        Err(StageError::Problem(format!(
            "`{first}` has {a} dimensions and `{second}` has {b}: a cosine needs two embeddings of one space"
        )))
    }
}

/// The vectors of an npy file, one after the other.
pub(crate) fn of_file(path: &Path, dim: usize) -> Result<Vec<f32>, StageError> {
    let part = StoredArray::open_npy(path)?;
    if part.dim() != dim {
        let problem = format!("holds vectors of {} numbers, the pool's have {dim}", part.dim());
        let remedy = "embed both with one network";
        return Err(IoError::new(Kind::Disagree, path, problem, remedy).into());
    }
    let all = Embedding::new(vec![part])?;
    let mut values = vec![0.0; all.rows() * dim];
    all.read(0..all.rows(), &mut values)?;
    let bad = values.chunks_exact(dim.max(1)).position(|v| v.iter().any(|x| !x.is_finite()));
    if let Some(row) = bad {
        return Err(
            IoError::malformed(path, format!("row {row} holds a NaN or an infinity")).into()
        );
    }
    if values.is_empty() {
        return Err(IoError::malformed(path, "holds no vector").into());
    }
    Ok(values)
}

/// Scales each vector to length 1.
pub(crate) fn normalized(mut values: Vec<f32>, dim: usize) -> Vec<f32> {
    values.chunks_exact_mut(dim.max(1)).for_each(embedding::normalize);
    values
}
