//! A set of rows of a pool.

/// A set of rows of a pool, as ascending row numbers without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    rows: Vec<usize>,
}

impl Selection {
    /// All rows of a pool of `n`.
    pub fn all(n: usize) -> Self {
        Self { rows: (0..n).collect() }
    }

    /// The set of these rows, in any order and with repeats.
    pub fn from_unsorted(mut rows: Vec<usize>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self { rows }
    }

    /// The rows of `self` whose flag is set; `keep` has one flag for each row of `self`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn filter(&self, keep: &[bool]) -> Self {
        assert_eq!(keep.len(), self.rows.len(), "one flag for each row of the selection");
        let rows = self.rows.iter().zip(keep).filter_map(|(&row, &keep)| keep.then_some(row));
        Self { rows: rows.collect() }
    }

    /// The rows, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
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
        self.rows.binary_search(&row).is_ok()
    }

    /// Rows in either set.
    pub fn union(&self, other: &Self) -> Self {
        Self::from_unsorted([self.rows(), other.rows()].concat())
    }

    /// Rows in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        self.retain(|row| other.contains(row))
    }

    /// Rows of `self` that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        self.retain(|row| !other.contains(row))
    }

    fn retain(&self, keep: impl Fn(usize) -> bool) -> Self {
        Self { rows: self.rows.iter().copied().filter(|&row| keep(row)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: &[usize]) -> Selection {
        Selection::from_unsorted(rows.to_vec())
    }

    #[test]
    fn algebra_agrees_with_the_textbook() {
        let (a, b) = (set(&[5, 1, 3, 3]), set(&[3, 4]));
        assert_eq!(a.union(&b), set(&[1, 3, 4, 5]));
        assert_eq!(a.intersect(&b), set(&[3]));
        assert_eq!(a.minus(&b), set(&[1, 5]));
        assert_eq!(a.filter(&[true, false, true]).rows(), [1, 5]);
        assert!(set(&[]).is_empty() && Selection::all(3).contains(2));
    }
}
