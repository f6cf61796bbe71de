//! What a look at every vector finds.

use serde::{Deserialize, Serialize};

use crate::{
    EmbeddingSource, Progress, Selection, SourceError, embedding,
    fault::{self, Fault, Faulty, NormPolicy},
    vectors::{Scale, Vectors},
};

/// What a look at every given vector found: which cannot be used, and whether the others have to be
/// scaled. Parts of the rows can be looked at by different processes and put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Examined {
    faults: Vec<Faulty>,
    scale: Scale,
}

impl Default for Examined {
    /// No rows.
    fn default() -> Self {
        Self { faults: Vec::new(), scale: Scale::Done }
    }
}

impl Examined {
    /// Reads the vectors of the given rows once.
    ///
    /// # Errors
    /// When vectors cannot be read, or the caller cancels.
    pub fn examine(
        source: &dyn EmbeddingSource,
        given: &Selection,
        norm: NormPolicy,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        let dim = source.dim().max(1);
        progress.start("check vectors", given.len() as u64, "rows");
        let vectors = Vectors::new(source, given, Scale::Done);
        let blocks = embedding::map_blocks(&vectors, progress, |places, block| {
            let mut found = Self::default();
            for (place, vector) in places.zip(block.chunks_exact(dim)) {
                found.look(given.rows()[place], vector, norm);
            }
            found
        });
        progress.finish();
        let mut all = Self::default();
        blocks?.into_iter().for_each(|block| all.append(block));
        Ok(all)
    }

    fn look(&mut self, row: usize, vector: &[f32], norm: NormPolicy) {
        let length = embedding::norm(vector);
        match fault::fault_of(vector, length, norm) {
            Some(fault) => self.faults.push(Faulty { row, fault, norm: length }),
            None if (length - 1.0).abs() > embedding::UNIT_TO_THE_BIT => self.scale = Scale::Needed,
            None => {}
        }
    }

    fn append(&mut self, mut other: Self) {
        self.faults.append(&mut other.faults);
        if other.scale == Scale::Needed {
            self.scale = Scale::Needed;
        }
    }

    /// Adds what was found of other rows, in any order.
    pub fn merge(&mut self, other: Self) {
        self.append(other);
        self.faults.sort_by_key(|faulty| faulty.row);
    }

    /// The same of rows that can all be used.
    #[must_use]
    pub fn without_faults(&self) -> Self {
        Self { faults: Vec::new(), scale: self.scale }
    }

    /// The rows that cannot be used, in row order.
    pub fn faults(&self) -> &[Faulty] {
        &self.faults
    }

    pub(crate) fn into_parts(self) -> (Vec<Faulty>, Scale) {
        (self.faults, self.scale)
    }

    /// How many vectors do not have length 1 and the median of their lengths, where these are more than
    /// half of `rows`. A few vectors of another length are bad rows; when it is most of them, the
    /// embedding was never normalized, and setting it aside row by row would leave an arbitrary rest.
    pub(crate) fn unscaled(&self, rows: usize) -> Option<(usize, f64)> {
        let unscaled = self.faults.iter().filter(|faulty| faulty.fault == Fault::EmbeddingNotUnit);
        let mut lengths: Vec<f64> = unscaled.map(|faulty| faulty.norm).collect();
        if 2 * lengths.len() <= rows {
            return None;
        }
        lengths.sort_unstable_by(f64::total_cmp);
        Some((lengths.len(), lengths[lengths.len() / 2]))
    }
}
