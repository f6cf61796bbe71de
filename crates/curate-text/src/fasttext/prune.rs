//! The n-gram rows that survived `quantize -cutoff`.

use super::source::{FormatError, Source};
use std::io::BufRead;

/// Which row an n-gram's bucket has.
pub(super) enum Buckets {
    /// Nothing was pruned: every bucket has a row.
    All,
    /// Only these buckets have rows.
    Kept(Kept),
}

/// A sorted list of buckets with a directory over it. The directory cuts the list into spans by the
/// upper bits of the bucket, and a binary search runs within a span. Most n-grams of a text were
/// pruned; a filter of a few bits per entry answers for those without touching the list.
///
/// A hash map was not used, because a file chooses the buckets: it could make them collide. Here an
/// uneven list only makes spans longer, and the binary search keeps them fast.
pub(super) struct Kept {
    filter: Vec<u64>,
    /// Where the pairs with these upper bits of the bucket begin; a last entry marks the end.
    spans: Vec<u32>,
    shift: u32,
    /// Buckets and their rows.
    pairs: Vec<(u32, i32)>,
}

impl Buckets {
    /// Reads `pruneidx`. Its size comes from the head of the dictionary; a negative one means that
    /// nothing was pruned.
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
        Ok(Self::Kept(Kept::new(&pairs)))
    }

    /// The bucket's row among the n-gram rows, if it has one.
    pub(super) fn row(&self, bucket: u32) -> Option<i32> {
        match self {
            Self::All => i32::try_from(bucket).ok(),
            Self::Kept(kept) => kept.row(bucket),
        }
    }

    /// The number of n-gram rows that the input matrix must have.
    pub(super) fn rows_needed(&self, declared_buckets: usize) -> Result<usize, FormatError> {
        let Self::Kept(kept) = self else { return Ok(declared_buckets) };
        match (kept.rows().min(), kept.rows().max()) {
            (Some(least), _) if least < 0 => Err(FormatError::new(
                "dictionary.pruneidx",
                format!("must map to rows 0 or more, found {least}"),
            )),
            (_, Some(greatest)) => Ok(greatest.unsigned_abs() as usize + 1),
            _ => Ok(0),
        }
    }
}

impl Kept {
    fn new(pairs: &[(i32, i32)]) -> Self {
        // No n-gram has a negative bucket.
        let asked = pairs.iter().filter_map(|&(bucket, row)| Some((bucket.try_into().ok()?, row)));
        let mut pairs: Vec<(u32, i32)> = asked.collect();
        // Of two entries for one bucket the later one counts, as in fastText's map. The sort is
        // stable, so after the reversal it comes first, and `dedup` keeps it.
        pairs.reverse();
        pairs.sort_by_key(|pair| pair.0);
        pairs.dedup_by_key(|pair| pair.0);

        let mut filter = vec![0_u64; (pairs.len() / 4).next_power_of_two()];
        for &(bucket, _) in &pairs {
            let (word, bit) = place(bucket, filter.len());
            filter[word] |= bit;
        }
        let greatest = pairs.last().map_or(0, |pair| pair.0);
        let bits = u32::BITS - greatest.leading_zeros();
        let shift = bits.saturating_sub(pairs.len().next_power_of_two().ilog2());
        let spans = (0..=(greatest >> shift) + 1)
            .map(|upper| pairs.partition_point(|pair| pair.0 >> shift < upper) as u32)
            .collect();
        Self { filter, spans, shift, pairs }
    }

    fn rows(&self) -> impl Iterator<Item = i32> {
        self.pairs.iter().map(|pair| pair.1)
    }

    fn row(&self, bucket: u32) -> Option<i32> {
        let (word, bit) = place(bucket, self.filter.len());
        if self.filter[word] & bit == 0 {
            return None;
        }
        let upper = (bucket >> self.shift) as usize;
        let (start, end) = (*self.spans.get(upper)?, *self.spans.get(upper + 1)?);
        let span = &self.pairs[start as usize..end as usize];
        span.binary_search_by_key(&bucket, |pair| pair.0).ok().map(|at| span[at].1)
    }
}

/// The word and the bit of the filter for a bucket. `words` is a power of two.
fn place(bucket: u32, words: usize) -> (usize, u64) {
    let number = bucket as usize;
    ((number >> 6) & (words - 1), 1 << (number & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_buckets_are_found_and_the_last_of_two_counts() {
        let kept = Kept::new(&[(7, 1), (90, 2), (7, 3), (-5, 9), (i32::MAX, 4)]);
        assert_eq!(kept.row(7), Some(3));
        assert_eq!(kept.row(90), Some(2));
        assert_eq!(kept.row(i32::MAX.cast_unsigned()), Some(4));
        assert_eq!((kept.row(71), kept.row(u32::MAX)), (None, None));
        assert_eq!(kept.rows().max(), Some(4));
    }

    #[test]
    fn lists_of_any_shape_are_searched() {
        let none = Kept::new(&[]);
        assert_eq!((none.row(0), none.row(u32::MAX)), (None, None));
        assert_eq!(Kept::new(&[(0, 5)]).row(0), Some(5));
        let uneven: Vec<_> = (0..1000).map(|i| (i, i)).chain([(i32::MAX, -1)]).collect();
        let kept = Kept::new(&uneven);
        for &(bucket, row) in &uneven {
            assert_eq!(kept.row(bucket.cast_unsigned()), Some(row));
        }
        assert!((1000..9000).all(|bucket| kept.row(bucket).is_none()));
    }
}
