//! Exact duplicates, collapsed before anything is compared.

use std::collections::HashMap;

use curate_core::{EmbeddingSource, Progress, embedding};
use sha2::{Digest, Sha256};

use crate::DedupError;

/// The first 16 bytes of a SHA-256 digest: two of 2^40 different rows agree with a probability of
/// 2^-49.
pub type ContentHash = [u8; 16];

/// Rows whose content occurs more than once. One row of each group stays, so which copy survives a
/// later search does not depend on rounding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExactDuplicates {
    /// For each row, the row that stays in its place plus one; 0 for a row that stays itself.
    cause: Vec<u64>,
}

impl ExactDuplicates {
    /// Groups rows whose vectors have the same bytes (0 and -0 differ). A row with a NaN or an
    /// infinity is nobody's copy. The row with the smallest key of each group stays: give ids, or
    /// places in an order of preference.
    ///
    /// Reads every row once; needs 16 bytes per row and the table of groups.
    ///
    /// # Errors
    /// When there is not one key for each row, rows cannot be read, or the caller cancels.
    pub fn of_vectors<S: EmbeddingSource + ?Sized, K: Ord>(
        source: &S,
        keys: &[K],
        progress: &dyn Progress,
    ) -> Result<Self, DedupError> {
        progress.start("exact duplicates", source.rows() as u64, "rows");
        let dim = source.dim().max(1);
        let hash = |row: &[f32]| -> Option<ContentHash> {
            row.iter().all(|x| x.is_finite()).then(|| hash_vector(row))
        };
        let blocks = embedding::map_blocks(source, progress, |_, block| {
            block.chunks_exact(dim).map(hash).collect::<Vec<_>>()
        });
        progress.finish();
        Self::group(blocks?.into_iter().flatten(), keys)
    }

    /// Groups rows of equal content, for example by the SHA-256 of the image or of the caption;
    /// `None` is nobody's copy. The row with the smallest key of each group stays.
    ///
    /// # Errors
    /// When there is not one key for each content.
    pub fn of_contents<'a, K: Ord>(
        contents: impl IntoIterator<Item = Option<&'a [u8]>>,
        keys: &[K],
    ) -> Result<Self, DedupError> {
        Self::group(contents.into_iter().map(|content| content.map(hash_bytes)), keys)
    }

    fn group<K: Ord>(
        hashes: impl Iterator<Item = Option<ContentHash>>,
        keys: &[K],
    ) -> Result<Self, DedupError> {
        let hashes: Vec<Option<ContentHash>> = hashes.collect();
        if hashes.len() != keys.len() {
            let (given, rows) = (keys.len(), hashes.len());
            return Err(DedupError::Mismatch { what: "keys", given, rows });
        }
        let mut first: HashMap<ContentHash, usize> = HashMap::with_capacity(keys.len());
        for (row, hash) in hashes.iter().enumerate() {
            let Some(hash) = hash else { continue };
            let stays = first.entry(*hash).or_insert(row);
            if keys[row] < keys[*stays] {
                *stays = row;
            }
        }
        let cause = |(row, hash): (usize, &Option<ContentHash>)| {
            let stays = hash.map_or(row, |hash| first[&hash]);
            if stays == row { 0 } else { stays as u64 + 1 }
        };
        Ok(Self { cause: hashes.iter().enumerate().map(cause).collect() })
    }

    /// The row that stays in place of `row`; `None` when it stays itself.
    pub fn cause(&self, row: usize) -> Option<usize> {
        self.cause.get(row)?.checked_sub(1).map(|row| row as usize)
    }

    /// The rows that stay, ascending.
    pub fn kept(&self) -> Vec<usize> {
        (0..self.cause.len()).filter(|&row| self.cause[row] == 0).collect()
    }

    /// How many rows go.
    pub fn removed(&self) -> usize {
        self.cause.iter().filter(|&&cause| cause > 0).count()
    }
}

fn hash_bytes(bytes: &[u8]) -> ContentHash {
    let digest = Sha256::digest(bytes);
    let mut hash = ContentHash::default();
    hash.copy_from_slice(&digest[..16]);
    hash
}

fn hash_vector(row: &[f32]) -> ContentHash {
    hash_bytes(&row.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use curate_core::{NoProgress, SampleId};
    use ndarray::{Axis, array};

    use super::*;

    #[test]
    fn the_smallest_id_of_each_group_stays_whatever_the_order_of_rows() {
        let nan = f32::NAN;
        let rows = array![
            [0.5, 1.0],
            [0.0, 1.0],
            [0.5, 1.0],
            [-0.0, 1.0],
            [nan, 1.0],
            [nan, 1.0],
            [0.5, 1.0]
        ];
        let ids = [9, 8, 7, 6, 5, 4, 11].map(SampleId);
        let found = ExactDuplicates::of_vectors(&rows.view(), &ids, &NoProgress).unwrap();
        let causes: Vec<_> = (0..7).map(|row| found.cause(row)).collect();
        assert_eq!(causes, [Some(2), None, None, None, None, None, Some(2)]);
        assert_eq!((found.kept(), found.removed()), (vec![1, 2, 3, 4, 5], 2));

        let turned = rows.select(Axis(0), &[6, 5, 4, 3, 2, 1, 0]);
        let turned_ids: Vec<SampleId> = ids.iter().rev().copied().collect();
        let again = ExactDuplicates::of_vectors(&turned, &turned_ids, &NoProgress).unwrap();
        assert_eq!(again.kept(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn contents_are_compared_and_missing_ones_are_not() {
        let contents: [Option<&[u8]>; 5] = [Some(b"a"), None, Some(b"b"), None, Some(b"a")];
        let found = ExactDuplicates::of_contents(contents, &[3, 4, 5, 6, 2].map(SampleId)).unwrap();
        assert_eq!(found.kept(), [1, 2, 3, 4]);
        assert_eq!(found.cause(0), Some(4));
        assert_eq!(ExactDuplicates::of_contents([], &[0; 0]).unwrap().removed(), 0);
        let error = ExactDuplicates::of_contents(contents, &[1, 2]).unwrap_err();
        assert_eq!(error.to_string(), "2 keys for 5 rows: give one for each row");
    }
}
