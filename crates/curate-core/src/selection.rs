//! A set of rows of a pool.

use std::{cmp::Ordering, sync::Arc};

use serde::{Deserialize, Serialize};

/// A set of rows of a pool, as ascending row numbers without repeats. A clone shares them: pools have
/// millions of rows, and the set that one stage leaves is the one that the next is given.
///
/// ```
/// use curate_core::Selection;
///
/// let scored = Selection::from_unsorted(vec![5, 1, 3]);
/// let kept = scored.retain(|row| row != 3);
/// assert_eq!(kept.rows(), [1, 5]);
/// assert_eq!(scored.minus(&kept).rows(), [3]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<usize>", into = "Vec<usize>")]
pub struct Selection {
    rows: Arc<Vec<usize>>,
}

impl Selection {
    /// All rows of a pool of `n`.
    pub fn all(n: usize) -> Self {
        Self::ascending((0..n).collect())
    }

    /// The set of these rows, in any order and with repeats.
    pub fn from_unsorted(mut rows: Vec<usize>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self::ascending(rows)
    }

    fn ascending(mut rows: Vec<usize>) -> Self {
        rows.shrink_to_fit();
        Self { rows: Arc::new(rows) }
    }

    /// The rows of `self` for which `keep` holds.
    pub fn retain(&self, keep: impl FnMut(usize) -> bool) -> Self {
        let mut keep = keep;
        Self::ascending(self.rows.iter().copied().filter(|&row| keep(row)).collect())
    }

    /// The rows, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + Clone + '_ {
        self.rows.iter().copied()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// True when `row` is in the set. Logarithmic.
    pub fn contains(&self, row: usize) -> bool {
        self.position(row).is_some()
    }

    /// The place of `row` among the rows of the set, if it is in the set. Logarithmic.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    /// Rows in either set.
    pub fn union(&self, other: &Self) -> Self {
        match self.is_empty() || self.is_shared_with(other) {
            true => other.clone(),
            false => self.merge(other, |_| true),
        }
    }

    /// Rows in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        if self.is_shared_with(other) {
            return self.clone();
        }
        self.merge(other, |side| side == Ordering::Equal)
    }

    /// Rows of `self` that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.merge(other, |side| side == Ordering::Less)
    }

    /// True when both are one set in memory.
    fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// Walks both sets at once. `keep` is asked with `Less` for a row of `self` alone, `Greater` for
    /// a row of `other` alone, and `Equal` for a row of both.
    fn merge(&self, other: &Self, keep: impl Fn(Ordering) -> bool) -> Self {
        let (mut a, mut b) = (self.rows.as_slice(), other.rows.as_slice());
        let mut rows = Vec::with_capacity(a.len().max(b.len()));
        while let Some(&row) = [a.first(), b.first()].into_iter().flatten().min() {
            let (in_a, in_b) = (a.first() == Some(&row), b.first() == Some(&row));
            a = &a[usize::from(in_a)..];
            b = &b[usize::from(in_b)..];
            if keep(in_b.cmp(&in_a)) {
                rows.push(row);
            }
        }
        Self::ascending(rows)
    }
}

impl From<Vec<usize>> for Selection {
    fn from(rows: Vec<usize>) -> Self {
        Self::from_unsorted(rows)
    }
}

impl From<Selection> for Vec<usize> {
    fn from(selection: Selection) -> Self {
        Arc::unwrap_or_clone(selection.rows)
    }
}

impl FromIterator<usize> for Selection {
    fn from_iter<T: IntoIterator<Item = usize>>(rows: T) -> Self {
        Self::from_unsorted(rows.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: &[usize]) -> Selection {
        rows.iter().copied().collect()
    }

    #[test]
    fn algebra_agrees_with_the_textbook() {
        let (a, b) = (set(&[5, 1, 3, 3]), set(&[3, 4]));
        assert_eq!(a.union(&b), set(&[1, 3, 4, 5]));
        let (none, same) = (set(&[]), a.clone());
        assert_eq!(
            (a.minus(&none), none.union(&a), a.union(&none)),
            (a.clone(), a.clone(), a.clone())
        );
        assert_eq!(
            (a.minus(&same), a.intersect(&same), a.union(&same)),
            (none, a.clone(), a.clone())
        );
        assert_eq!(a.intersect(&b), set(&[3]));
        assert_eq!(a.minus(&b), set(&[1, 5]));
        assert_eq!(b.minus(&a), set(&[4]));
        assert_eq!(a.minus(&set(&[])), a);
        assert_eq!(a.union(&set(&[])), set(&[]).union(&a));
        assert_eq!(a.retain(|row| row > 1), set(&[3, 5]));
        assert!(set(&[]).is_empty() && Selection::all(3).contains(2));
        assert_eq!((a.position(3), a.position(4)), (Some(1), None));
    }
}
