//! What is kept of rows from pass to pass: their integers, and what these lose.

use crate::{axes::Head, quant::Parts, vnni::PAIR};

/// Integers of rows, as many of each, one row after the other, and what is known of each row.
pub(crate) struct Table<T> {
    q: Vec<i8>,
    /// `None` for a row whose integers have not been computed.
    known: Vec<Option<T>>,
}

/// Some rows of a table; empty where none are kept.
pub(crate) type Rows<'a, T> = (&'a mut [i8], &'a mut [Option<T>]);

/// A row's place in a table.
pub(crate) type Place<'a, T> = (&'a mut [i8], &'a mut Option<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { q: Vec::new(), known: Vec::new() }
    }
}

impl<T: Copy> Table<T> {
    fn bytes(rows: usize, count: usize) -> usize {
        rows.saturating_mul(count + size_of::<Option<T>>())
    }

    fn new(rows: usize, count: usize) -> Self {
        Self { q: vec![0; rows * count], known: vec![None; rows] }
    }

    fn part(&mut self, first: usize, count: usize) -> Rows<'_, T> {
        if self.known.is_empty() {
            return Default::default();
        }
        let size = self.q.len() / self.known.len();
        (&mut self.q[first * size..][..count * size], &mut self.known[first..][..count])
    }
}

/// A row's place among some rows; `None` where none are kept.
pub(crate) fn place<'a, T>((q, known): &'a mut Rows<'_, T>, row: usize) -> Option<Place<'a, T>> {
    let size = q.len().checked_div(known.len())?;
    Some((&mut q[row * size..][..size], &mut known[row]))
}

/// Rows as they are kept: by their heads, and whole.
#[derive(Default)]
pub(crate) struct KeptRows {
    heads: Table<Head>,
    whole: Table<Parts>,
}

/// The same of some rows.
#[derive(Default)]
pub(crate) struct Kept<'a> {
    pub(crate) heads: Rows<'a, Head>,
    pub(crate) whole: Rows<'a, Parts>,
}

impl KeptRows {
    /// The most bytes that rows are kept in. Where whole ones do not fit beside their heads, only heads are
    /// kept, and where these do not fit either, nothing is: what a pass needs is computed again.
    const MOST: usize = 1 << 28;

    /// The most bytes that so many rows of length `dim` are kept in, with heads of so many numbers or fewer.
    pub(crate) fn bytes(rows: usize, heads: usize, dim: usize) -> usize {
        let heads = Table::<Head>::bytes(rows, heads);
        heads.saturating_add(Table::<Parts>::bytes(rows, stride(dim))).min(Self::MOST)
    }

    /// Whether heads of so many rows are kept.
    pub(crate) fn keeps(rows: usize, heads: usize) -> bool {
        Table::<Head>::bytes(rows, heads) <= Self::MOST
    }

    /// Room for so many rows, if they are to be kept.
    pub(crate) fn new(rows: usize, heads: usize, dim: usize) -> Self {
        let left = Self::MOST.checked_sub(Table::<Head>::bytes(rows, heads));
        let Some(left) = left else { return Self::default() };
        let whole = match Table::<Parts>::bytes(rows, stride(dim)) <= left {
            true => Table::new(rows, stride(dim)),
            false => Table::default(),
        };
        Self { heads: Table::new(rows, heads), whole }
    }

    /// `count` rows from `first` on.
    pub(crate) fn part(&mut self, first: usize, count: usize) -> Kept<'_> {
        Kept { heads: self.heads.part(first, count), whole: self.whole.part(first, count) }
    }
}

/// Integers of a whole row: filled up to what the kernel for pairs takes at a time.
fn stride(dim: usize) -> usize {
    dim.next_multiple_of(PAIR)
}

impl<'a> Kept<'a> {
    /// The same rows in `tasks` parts of `rows` rows each, the last one perhaps shorter.
    pub(crate) fn parts(self, rows: usize, tasks: usize) -> Vec<Self> {
        let (mut heads, mut whole) = (parts(self.heads, rows), parts(self.whole, rows));
        let part = |_| Self {
            heads: heads.next().unwrap_or_default(),
            whole: whole.next().unwrap_or_default(),
        };
        (0..tasks).map(part).collect()
    }
}

fn parts<'a, T>((q, known): Rows<'a, T>, rows: usize) -> impl Iterator<Item = Rows<'a, T>> {
    let size = q.len().checked_div(known.len()).unwrap_or(0);
    q.chunks_mut((rows * size).max(1)).zip(known.chunks_mut(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_rows_are_kept_where_they_fit_beside_their_heads_and_heads_where_they_fit() {
        let most = KeptRows::MOST;
        for (rows, has_heads, has_whole) in
            [(1_000, true, true), (most / 600, true, false), (most / 80, false, false)]
        {
            let mut kept = KeptRows::new(rows, 64, 512);
            let Kept { heads, whole } = kept.part(10, 5);
            assert_eq!(
                (heads.1.len(), heads.0.len()),
                if has_heads { (5, 5 * 64) } else { (0, 0) }
            );
            assert_eq!(
                (whole.1.len(), whole.0.len()),
                if has_whole { (5, 5 * 512) } else { (0, 0) }
            );
            let held = kept.heads.q.len() + kept.whole.q.len();
            assert!(held <= KeptRows::bytes(rows, 64, 512) && held <= most, "{rows}");
            assert_eq!(KeptRows::keeps(rows, 64), has_heads);
        }
    }

    #[test]
    fn parts_are_the_rows_one_after_the_other() {
        let mut kept = KeptRows::new(10, 4, 65);
        let mut parts = kept.part(1, 9).parts(4, 3);
        let lengths: Vec<_> = parts.iter().map(|part| part.whole.1.len()).collect();
        assert_eq!(lengths, [4, 4, 1]);
        let (q, known) = place(&mut parts[1].whole, 2).unwrap();
        assert_eq!((q.len(), known.is_none()), (128, true));
        q[3] = 9;
        assert_eq!(kept.whole.q[(1 + 4 + 2) * 128 + 3], 9);
        let none = Kept::default().parts(4, 3);
        assert_eq!(none.len(), 3);
        assert!(none.into_iter().all(|mut part| place(&mut part.heads, 0).is_none()));
    }
}
