//! The features of a pool, and which rows have them.

use curate_core::{EmbeddingSource, Progress, SourceError, embedding::map_blocks};
use curate_io::digest;
use ndarray::Array2;

/// Features that take no more than this many bytes are read once; of others, each step reads its rows.
const IN_MEMORY: usize = 1 << 29;

/// A table of features that was read once.
pub(crate) struct Features {
    table: Box<dyn EmbeddingSource + Send>,
    /// True for rows that hold a number that is not finite, or only zeros.
    bad: Vec<bool>,
    digest: String,
}

impl Features {
    pub(crate) fn read(
        source: impl EmbeddingSource + Send + 'static,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        if bytes_of(&source) <= IN_MEMORY {
            return Self::read_whole(&source, progress);
        }
        let (bad, digest, _) = look(&source, |_| Vec::new(), progress)?;
        Ok(Self { table: Box::new(source), bad, digest })
    }

    /// Reads a table into memory, however large it is.
    pub(crate) fn read_whole(
        source: &impl EmbeddingSource,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        let (bad, digest, values) = look(source, <[f32]>::to_vec, progress)?;
        let table = Array2::from_shape_vec((source.rows(), source.dim()), values);
        Ok(Self { table: Box::new(table.expect("every block was read")), bad, digest })
    }

    pub(crate) fn table(&self) -> &dyn EmbeddingSource {
        &*self.table
    }

    /// What all its numbers are.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn is_bad(&self, row: usize) -> bool {
        self.bad[row]
    }

    /// Some rows, in the order given.
    pub(crate) fn rows(&self, rows: &[usize]) -> Result<Array2<f32>, SourceError> {
        let mut values = vec![0.0; rows.len() * self.table.dim()];
        self.table.gather(rows, &mut values)?;
        let table = Array2::from_shape_vec((rows.len(), self.table.dim()), values);
        Ok(table.expect("as many numbers as were asked for"))
    }
}

/// What a table takes in memory.
pub(crate) fn bytes_of(source: &impl EmbeddingSource) -> usize {
    source.rows().saturating_mul(source.dim()).saturating_mul(size_of::<f32>())
}

/// Which rows are bad, what all numbers are, and what is kept of them.
fn look(
    source: &impl EmbeddingSource,
    keep: impl Fn(&[f32]) -> Vec<f32> + Sync,
    progress: &dyn Progress,
) -> Result<(Vec<bool>, String, Vec<f32>), SourceError> {
    let (rows, dim) = (source.rows(), source.dim());
    progress.start("read", rows as u64, "rows");
    let blocks = map_blocks(source, progress, |_, block| Block {
        bad: block.chunks_exact(dim.max(1)).map(is_bad).collect(),
        digest: digest::of_bytes(bytemuck::cast_slice(block)),
        values: keep(block),
    });
    progress.finish();
    let (mut bad, mut values, mut digests) =
        (Vec::with_capacity(rows), Vec::new(), dim.to_string());
    for block in blocks? {
        bad.extend(block.bad);
        values.extend(block.values);
        digests += &block.digest;
    }
    Ok((bad, digest::of_bytes(digests.as_bytes()), values))
}

struct Block {
    bad: Vec<bool>,
    digest: String,
    values: Vec<f32>,
}

fn is_bad(row: &[f32]) -> bool {
    row.iter().any(|x| !x.is_finite()) || row.iter().all(|x| *x == 0.0)
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_without_features_are_known() {
        let table = array![[1.0_f32, 0.0], [f32::NAN, 1.0], [0.0, 0.0], [f32::INFINITY, 0.0]];
        let features = Features::read(table, &NoProgress).unwrap();
        let bad: Vec<bool> = (0..4).map(|row| features.is_bad(row)).collect();
        assert_eq!(bad, [false, true, true, true]);
        assert_eq!(features.rows(&[0, 0]).unwrap(), array![[1.0, 0.0], [1.0, 0.0]]);
    }
}
