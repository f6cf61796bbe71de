//! The n-gram rows that survived `quantize -cutoff`.

use super::source::{FormatError, Source};
use std::io::BufRead;

/// Where the row of an n-gram's bucket lies.
pub(super) enum Buckets {
    /// Nothing was pruned: a row for each bucket.
    All,
    /// Only these buckets have rows.
    Kept(Kept),
}

/// A sorted list behind a small bit filter: nearly every n-gram asked for was pruned, and the
/// filter answers those without a search.
pub(super) struct Kept {
    filter: Vec<u64>,
    buckets: Vec<i32>,
    rows: Vec<i32>,
}

impl Buckets {
    /// Reads `pruneidx`, whose declared size stands in the dictionary's head (negative: not pruned).
    pub(super) fn read<R: BufRead>(
        source: &mut Source<R>,
        declared: i64,
    ) -> Result<Self, FormatError> {
        let Ok(count) = usize::try_from(declared) else { return Ok(Self::All) };
        source.expect_room("dictionary.pruneidx_size", count as u64, 8)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let pair = (source.i32("dictionary.pruneidx")?, source.i32("dictionary.pruneidx")?);
            pairs.push(pair);
        }
        Ok(Self::Kept(Kept::new(pairs)))
    }

    /// The row among the n-gram rows, if the bucket has one.
    pub(super) fn row(&self, bucket: i32) -> Option<i32> {
        match self {
            Self::All => (bucket >= 0).then_some(bucket),
            Self::Kept(kept) => kept.row(bucket),
        }
    }

    /// The number of n-gram rows that the input matrix must have.
    pub(super) fn rows_needed(&self, declared_buckets: usize) -> Result<usize, FormatError> {
        let Self::Kept(kept) = self else { return Ok(declared_buckets) };
        match (kept.rows.iter().min(), kept.rows.iter().max()) {
            (Some(&least), _) if least < 0 => Err(FormatError::new(
                "dictionary.pruneidx",
                format!("must map to rows 0 or more, found {least}"),
            )),
            (_, Some(&greatest)) => Ok(greatest.unsigned_abs() as usize + 1),
            _ => Ok(0),
        }
    }
}

impl Kept {
    fn new(mut pairs: Vec<(i32, i32)>) -> Self {
        // Of two entries for one bucket the later counts.
        pairs.reverse();
        pairs.sort_by_key(|pair| pair.0);
        pairs.dedup_by_key(|pair| pair.0);
        let words = (pairs.len() / 4).next_power_of_two();
        let mut filter = vec![0_u64; words];
        for &(bucket, _) in &pairs {
            let (word, bit) = place(bucket, words);
            filter[word] |= bit;
        }
        let (buckets, rows) = pairs.into_iter().unzip();
        Self { filter, buckets, rows }
    }

    fn row(&self, bucket: i32) -> Option<i32> {
        let (word, bit) = place(bucket, self.filter.len());
        if self.filter[word] & bit == 0 {
            return None;
        }
        self.buckets.binary_search(&bucket).ok().map(|at| self.rows[at])
    }
}

/// The word and the bit of the filter for a bucket; `words` is a power of two.
fn place(bucket: i32, words: usize) -> (usize, u64) {
    let number = bucket.cast_unsigned() as usize;
    ((number >> 6) & (words - 1), 1 << (number & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_buckets_are_found_and_the_last_of_two_counts() {
        let kept = Kept::new(vec![(7, 1), (90, 2), (7, 3), (-5, 9), (i32::MAX, 4)]);
        assert_eq!(kept.row(7), Some(3));
        assert_eq!(kept.row(90), Some(2));
        assert_eq!(kept.row(i32::MAX), Some(4));
        assert_eq!(kept.row(71), None);
        assert_eq!(Kept::new(vec![]).row(0), None);
    }
}
