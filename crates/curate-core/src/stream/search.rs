//! The key at a place from the top, found by counting digits in passes over keys that nobody holds.
//!
//! A pass counts the keys that share all digits found so far by their next digit; the place falls into
//! one of the counters, and that is the next digit.

use rayon::prelude::*;

use crate::{Progress, score::Score};

use super::key::{BITS, Digits};

/// A search in progress.
pub(super) struct Search<K> {
    /// The digits found, zeros behind them.
    known: K,
    digits: usize,
    /// Keys above the one wanted, among those that share the digits found.
    above: u64,
}

impl<K: Digits> Search<K> {
    /// Looks for the key that has `place` keys above it.
    pub(super) fn of(place: u64) -> Self {
        Self { known: K::default(), digits: 0, above: place }
    }

    /// Counters for the next pass. Those of parts of the rows can be added.
    pub(super) fn counts(&self) -> Counts<K> {
        Counts { known: self.known, digits: self.digits, counts: vec![0; 1 << BITS] }
    }

    /// Finds the next digit, and how many keys share all digits found now. `None` when there are not
    /// as many keys as the place.
    pub(super) fn settle(&mut self, counts: &Counts<K>) -> Option<u64> {
        let mut above = self.above;
        for digit in (0..=u16::MAX).rev() {
            let here = counts.counts[usize::from(digit)];
            if above < here {
                self.known = self.known.with(self.digits, digit);
                self.digits += 1;
                self.above = above;
                return Some(here);
            }
            above -= here;
        }
        None
    }

    pub(super) fn is_done(&self) -> bool {
        self.digits == K::COUNT
    }

    /// The digits found, zeros behind them.
    pub(super) fn known(&self) -> K {
        self.known
    }

    /// How many digits are found.
    pub(super) fn digits(&self) -> usize {
        self.digits
    }

    /// How many keys lie above the one wanted among those that share the digits found.
    pub(super) fn above(&self) -> u64 {
        self.above
    }
}

/// How many keys that share the digits found have each value of the next digit.
pub(super) struct Counts<K> {
    known: K,
    digits: usize,
    counts: Vec<u64>,
}

impl<K: Digits> Counts<K> {
    #[inline]
    pub(super) fn add(&mut self, keys: impl Iterator<Item = K>) {
        // Copies, since the compiler cannot know that counting leaves the fields as they are.
        let (known, mask, place) = (self.known, K::mask(self.digits), self.digits);
        for key in keys {
            if key.and(mask) == known {
                self.counts[usize::from(key.digit(place))] += 1;
            }
        }
    }

    fn plus(mut self, more: &Self) -> Self {
        self.counts.iter_mut().zip(&more.counts).for_each(|(sum, more)| *sum += more);
        self
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Once as few keys as this share the digits found, they are gathered: 32 MiB.
const GATHERED: u64 = 1 << 22;

/// The score at a place from the top of all rows, NaN below every number. `place` is told how many rows
/// there are and says how many scores lie above the one wanted. `None` when the score there is a NaN, or
/// the place is beyond the last row.
///
/// Rows come in parts, which `read` hands out in blocks; parts are read in parallel, each once a pass.
/// Two passes for millions of rows, never more than four, with 65,536 counters a thread. The answer does
/// not depend on the parts or the threads.
///
/// # Errors
/// The first of `read`, which is also where a caller stops the work.
///
/// ```
/// use curate_core::{NoProgress, stream::score_at};
///
/// let parts = [vec![0.1, 0.4, f64::NAN], vec![0.3, 0.2]];
/// let read = |part: &Vec<f64>, each: &mut dyn FnMut(&[f64])| {
///     each(part);
///     Ok::<(), std::convert::Infallible>(())
/// };
/// assert_eq!(score_at(&parts, |rows| rows / 5, read, &NoProgress)?, Some(0.3));
/// assert_eq!(score_at(&parts, |rows| rows - 1, read, &NoProgress)?, None, "the NaN");
/// # Ok::<(), std::convert::Infallible>(())
/// ```
pub fn score_at<P: Sync, E: Send>(
    parts: &[P],
    place: impl FnOnce(u64) -> u64,
    read: impl Fn(&P, &mut dyn FnMut(&[f64])) -> Result<(), E> + Sync,
    progress: &dyn Progress,
) -> Result<Option<f64>, E> {
    score_gathering(parts, place, read, GATHERED, progress)
}

/// As [`score_at`], gathering at most `gathered` keys.
fn score_gathering<P: Sync, E: Send>(
    parts: &[P],
    place: impl FnOnce(u64) -> u64,
    read: impl Fn(&P, &mut dyn FnMut(&[f64])) -> Result<(), E> + Sync,
    gathered: u64,
    progress: &dyn Progress,
) -> Result<Option<f64>, E> {
    let pass = Pass { parts, read: &read, progress };
    // The counters of the first pass say how many rows there are, and so which place is wanted.
    let counts = pass.count(&Search::<u64>::of(0))?;
    let mut search = Search::of(place(counts.total()));
    let Some(mut sharing) = search.settle(&counts) else { return Ok(None) };
    while !search.is_done() {
        if sharing <= gathered {
            let mut keys = pass.gather(&search)?;
            let at = usize::try_from(search.above()).unwrap_or(usize::MAX);
            return Ok(nth_from_top(&mut keys, at).and_then(f64::of_key));
        }
        match search.settle(&pass.count(&search)?) {
            Some(count) => sharing = count,
            None => return Ok(None),
        }
    }
    Ok(f64::of_key(search.known()))
}

/// The key that has `place` keys above it; `None` beyond the last. Reorders the keys.
pub(super) fn nth_from_top<K: Copy + Ord>(keys: &mut [K], place: usize) -> Option<K> {
    (place < keys.len()).then(|| *keys.select_nth_unstable_by(place, |a, b| b.cmp(a)).1)
}

/// Looks at all rows.
struct Pass<'a, P, R> {
    parts: &'a [P],
    read: &'a R,
    progress: &'a dyn Progress,
}

impl<P, R, E> Pass<'_, P, R>
where
    P: Sync,
    R: Fn(&P, &mut dyn FnMut(&[f64])) -> Result<(), E> + Sync,
    E: Send,
{
    fn count(&self, search: &Search<u64>) -> Result<Counts<u64>, E> {
        self.look(
            || search.counts(),
            |counts, scores| counts.add(scores.iter().map(|score| score.key())),
            |sum, more| sum.plus(&more),
        )
    }

    /// The keys that share the digits found, in no order.
    fn gather(&self, search: &Search<u64>) -> Result<Vec<u64>, E> {
        let (known, mask) = (search.known(), u64::mask(search.digits()));
        let holds = |key: &u64| key.and(mask) == known;
        self.look(
            Vec::new,
            |keys, scores| keys.extend(scores.iter().map(|score| score.key()).filter(holds)),
            |mut keys, more| {
                keys.extend(more);
                keys
            },
        )
    }

    /// One look at every part, in parallel.
    fn look<T: Send>(
        &self,
        nothing: impl Fn() -> T + Sync + Send,
        see: impl Fn(&mut T, &[f64]) + Sync + Send,
        join: impl Fn(T, T) -> T + Sync + Send,
    ) -> Result<T, E> {
        self.progress.start("find the threshold", self.parts.len() as u64, "parts");
        let of_part = |part: &P| {
            let mut found = nothing();
            (self.read)(part, &mut |scores| see(&mut found, scores))?;
            self.progress.advance(1);
            Ok(found)
        };
        let found = self.parts.par_iter().map(of_part).try_reduce(&nothing, |a, b| Ok(join(a, b)));
        self.progress.finish();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoProgress, SampleId, random};

    /// The rule as DataComp's code has it: sort descending, NaN last, take place `int(n f)`.
    fn by_sorting(mut scores: Vec<f64>, fraction: f64) -> Option<f64> {
        scores.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
            (false, false) => b.total_cmp(a),
            (a, b) => a.cmp(&b),
        });
        let score = scores.get((fraction * scores.len() as f64) as usize).copied()?;
        (!score.is_nan()).then_some(score)
    }

    fn found(parts: &[&[f64]], fraction: f64, gathered: u64) -> Option<f64> {
        let place = |rows: u64| (fraction * rows as f64) as u64;
        let read = |part: &&[f64], each: &mut dyn FnMut(&[f64])| {
            part.chunks(7).for_each(each);
            Ok::<(), std::convert::Infallible>(())
        };
        score_gathering(parts, place, read, gathered, &NoProgress).unwrap()
    }

    #[test]
    fn counting_finds_what_sorting_finds() {
        for case in 0..200_u64 {
            let draw = |name: &str, i: usize, n: u64| {
                random::hash(random::derive(case, name), SampleId(i as u128)) % n
            };
            let rows = 1 + draw("rows", 0, 80) as usize;
            let scores: Vec<f64> = (0..rows)
                .map(|i| match draw("cell", i, 40) as f64 {
                    0.0 => f64::NAN,
                    cell if draw("odd", i, 2) == 0 => cell / 7.0 - 2.5,
                    cell => cell / 8.0 - 2.5,
                })
                .collect();
            let fraction = draw("percent", 0, 100) as f64 / 100.0;
            let expected = by_sorting(scores.clone(), fraction);
            let parts: Vec<&[f64]> = scores.chunks(30).collect();
            // Gathering early, late, and never.
            for gathered in [GATHERED, 3, 0] {
                assert_eq!(found(&parts, fraction, gathered), expected, "case {case}");
            }
        }
    }

    #[test]
    fn a_place_beyond_the_rows_has_no_score() {
        assert_eq!(found(&[], 0.5, 0), None);
        assert_eq!(found(&[&[]], 0.5, GATHERED), None);
        assert_eq!(found(&[&[1.0, 2.0]], 1.0, GATHERED), None);
        assert_eq!(found(&[&[1.0, 2.0]], 1.0, 0), None);
    }
}
