//! The score at a place from the top, without all scores in memory.
//!
//! Scores become 64-bit keys in the same order. A pass over the rows counts them by their highest
//! 16 bits not yet known; the place falls into one bucket, which gives those bits. Once a bucket has
//! few enough keys, one more pass gathers them and finds the one at the place. That makes two passes
//! for millions of rows, and never more than four, with 65,536 counters a thread.

use curate_core::Progress;
use curate_io::IoError;
use rayon::prelude::*;

use crate::rows::{Rows, watched};

const BITS: u32 = 16;

/// Keys that are gathered: 32 MiB of them.
const GATHERED: u64 = 1 << 22;

/// A key that is larger for a larger score; NaN is below everything, as the last place is.
pub(crate) fn key(score: f64) -> u64 {
    if score.is_nan() {
        return 0;
    }
    // Zeros of either sign are equal scores.
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn score_of(key: u64) -> f64 {
    match key {
        0 => f64::NAN,
        key if key >> 63 == 1 => f64::from_bits(key & !(1 << 63)),
        key => f64::from_bits(!key),
    }
}

/// The score of a key, if it is a number.
pub(crate) fn number(key: u64) -> Option<f64> {
    Some(score_of(key)).filter(|score| !score.is_nan())
}

/// The score at place `floor(fraction * n)` from the top, counted from 0, of all `n` rows; `None`
/// when it is no number, so that nothing is good enough, or when there are no rows.
pub(crate) fn threshold_of_fraction<R: Rows>(
    parts: &[R],
    column: &str,
    fraction: f64,
    progress: &dyn Progress,
) -> Result<Option<f64>, IoError> {
    threshold_gathering(parts, column, fraction, GATHERED, progress)
}

/// As [`threshold_of_fraction`], gathering at most so many keys.
fn threshold_gathering<R: Rows>(
    parts: &[R],
    column: &str,
    fraction: f64,
    gathered: u64,
    progress: &dyn Progress,
) -> Result<Option<f64>, IoError> {
    let mut known = Known { key: 0, shift: 64 };
    let mut place: Option<u64> = None;
    while known.shift > 0 {
        let counts = count(parts, column, known, progress)?;
        let total: u64 = counts.iter().sum();
        let mut left = *place.get_or_insert((fraction * total as f64) as u64);
        if total == 0 {
            return Ok(None);
        }
        let mut bucket = counts.len() - 1;
        while left >= counts[bucket] {
            left -= counts[bucket];
            bucket -= 1;
        }
        place = Some(left);
        known = known.with(bucket);
        if known.shift > 0 && counts[bucket] <= gathered {
            let mut keys = gather(parts, column, known, progress)?;
            let at = usize::try_from(left).expect("a place among keys in memory");
            let (_, key, _) = keys.select_nth_unstable_by(at, |a, b| b.cmp(a));
            known = Known { key: *key, shift: 0 };
        }
    }
    Ok(number(known.key))
}

/// The bits of a key from `shift` on.
#[derive(Clone, Copy)]
struct Known {
    key: u64,
    shift: u32,
}

impl Known {
    fn holds(self, key: u64) -> bool {
        let above = |key: u64| key.checked_shr(self.shift).unwrap_or(0);
        above(key) == above(self.key)
    }

    /// The bits below, of which `bucket` is the number.
    fn with(self, bucket: usize) -> Self {
        let shift = self.shift - BITS;
        Self { key: self.key | (bucket as u64) << shift, shift }
    }
}

/// How many scores with the known bits have each value of the 16 bits below.
fn count<R: Rows>(
    parts: &[R],
    column: &str,
    known: Known,
    progress: &dyn Progress,
) -> Result<Vec<u64>, IoError> {
    let shift = known.shift - BITS;
    let of_part = |part: &R| {
        let mut counts = vec![0_u64; 1 << BITS];
        part.each_block(column, &mut |scores| {
            for key in scores.iter().map(|&score| key(score)).filter(|&key| known.holds(key)) {
                counts[(key >> shift) as usize & ((1 << BITS) - 1)] += 1;
            }
        })?;
        Ok(counts)
    };
    let add = |mut sum: Vec<u64>, more: Vec<u64>| {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sum
    };
    pass(parts, progress, of_part, || vec![0; 1 << BITS], add)
}

/// The keys with the known bits, in no order.
fn gather<R: Rows>(
    parts: &[R],
    column: &str,
    known: Known,
    progress: &dyn Progress,
) -> Result<Vec<u64>, IoError> {
    let of_part = |part: &R| {
        let mut keys = Vec::new();
        part.each_block(column, &mut |scores| {
            keys.extend(scores.iter().map(|&score| key(score)).filter(|&key| known.holds(key)));
        })?;
        Ok(keys)
    };
    let join = |mut keys: Vec<u64>, more: Vec<u64>| {
        keys.extend(more);
        keys
    };
    pass(parts, progress, of_part, Vec::new, join)
}

/// One look at every part, in parallel.
fn pass<R: Rows, T: Send>(
    parts: &[R],
    progress: &dyn Progress,
    of_part: impl Fn(&R) -> Result<T, IoError> + Sync + Send,
    nothing: impl Fn() -> T + Sync + Send,
    join: impl Fn(T, T) -> T + Sync + Send,
) -> Result<T, IoError> {
    progress.start("find the threshold", parts.len() as u64, "shards");
    let look = watched(progress, of_part);
    let found = parts.par_iter().map(look).try_reduce(nothing, |a, b| Ok(join(a, b)));
    progress.finish();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use curate_core::NoProgress;
    use curate_io::table::{self, Column};
    use proptest::prelude::*;

    #[test]
    fn keys_keep_the_order_and_come_back() {
        let scores = [f64::NEG_INFINITY, -2.0, -1e-300, 0.0, 1e-300, 0.25, 1.0, f64::INFINITY];
        assert!(scores.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(scores.iter().all(|&score| score_of(key(score)) == score));
        assert_eq!(key(-0.0), key(0.0));
        assert!(key(f64::NAN) < key(f64::NEG_INFINITY) && score_of(0).is_nan());
    }

    /// A table with a column of scores.
    fn table(folder: &std::path::Path, name: usize, column: Column) -> crate::rows::Table {
        let path = folder.join(format!("{name}.parquet"));
        table::write(&path, vec![("s", column)]).expect("a table");
        crate::rows::Table::open(&path).expect("a table")
    }

    /// The rule as DataComp's code has it: sort descending, NaN last, take place `int(n f)`.
    fn by_sorting(mut scores: Vec<f64>, fraction: f64) -> Option<f64> {
        scores.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
            (false, false) => b.total_cmp(a),
            (a, b) => a.cmp(&b),
        });
        let score = scores[(fraction * scores.len() as f64) as usize];
        (!score.is_nan()).then_some(score)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn counting_finds_what_sorting_finds(
            cells in proptest::collection::vec((0_u8..40, any::<bool>()), 1..80),
            percent in 0_u32..100,
            single in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let score = |&(cell, odd): &(u8, bool)| match cell {
                0 => f64::NAN,
                cell if odd => f64::from(cell) / 7.0 - 2.5,
                cell => f64::from(cell) / 8.0 - 2.5,
            };
            let mut parts = Vec::new();
            let mut all = Vec::new();
            for (i, part) in cells.chunks(30).enumerate() {
                let scores: Vec<f64> = part.iter().map(score).collect();
                let column = if single {
                    Column::F32(scores.iter().map(|&s| s as f32).collect())
                } else {
                    Column::OptF64(scores.iter().map(|&s| Some(s)).collect())
                };
                all.extend(scores.iter().map(|&s| if single { f64::from(s as f32) } else { s }));
                parts.push(table(folder.path(), i, column));
            }
            let fraction = f64::from(percent) / 100.0;
            let expected = by_sorting(all, fraction);
            // Gathering early, late, and never.
            for gathered in [GATHERED, 3, 0] {
                let found = threshold_gathering(&parts, "s", fraction, gathered, &NoProgress);
                prop_assert_eq!(found.expect("the tables can be read"), expected);
            }
        }
    }
}
