//! Set algebra on selections, in which an id may occur several times.
//!
//! The number of copies of an id in the result follows from its numbers `a` and `b` in the two
//! selections:
//!
//! | | copies |
//! |---|---|
//! | [`union`] | max(a, b) |
//! | [`sum`] | a + b |
//! | [`intersect`] | min(a, b) |
//! | [`minus`] | a where b = 0, else 0 |
//! | [`subtract`] | a - b where a > b, else 0 |
//!
//! Without repeats these are the operations on sets, and `sum` is none of them.

use std::borrow::Cow;

use curate_core::SampleId;
use serde::Serialize;

/// The ids of either selection, sorted. Selections that are not sorted are sorted first.
pub fn union(a: &[SampleId], b: &[SampleId]) -> Vec<SampleId> {
    combine(a, b, usize::max)
}

/// The ids of both selections, each as often as in the two together.
pub fn sum(a: &[SampleId], b: &[SampleId]) -> Vec<SampleId> {
    combine(a, b, |a, b| a + b)
}

/// The ids that are in both selections.
pub fn intersect(a: &[SampleId], b: &[SampleId]) -> Vec<SampleId> {
    combine(a, b, usize::min)
}

/// The ids of `a` that are not in `b`: one occurrence in `b` removes every copy.
pub fn minus(a: &[SampleId], b: &[SampleId]) -> Vec<SampleId> {
    combine(a, b, |a, b| if b == 0 { a } else { 0 })
}

/// The ids of `a`, of each as many copies less as `b` has.
pub fn subtract(a: &[SampleId], b: &[SampleId]) -> Vec<SampleId> {
    combine(a, b, usize::saturating_sub)
}

/// Merges two selections; `copies` says how many copies of an id come of so many in each.
fn combine(
    a: &[SampleId],
    b: &[SampleId],
    copies: impl Fn(usize, usize) -> usize,
) -> Vec<SampleId> {
    let (a, b) = (in_order(a), in_order(b));
    let (mut a, mut b) = (&*a, &*b);
    let mut out = Vec::new();
    while let Some(&id) = a.first().into_iter().chain(b.first()).min() {
        let (in_a, in_b) = (take(&mut a, id), take(&mut b, id));
        out.extend(std::iter::repeat_n(id, copies(in_a, in_b)));
    }
    out
}

/// A selection that is sorted, as it is; another, sorted. Merging ids out of order would lose some.
fn in_order(ids: &[SampleId]) -> Cow<'_, [SampleId]> {
    let mut ids = Cow::Borrowed(ids);
    if !ids.is_sorted() {
        ids.to_mut().sort_unstable();
    }
    ids
}

/// Takes the copies of an id off the front.
fn take(ids: &mut &[SampleId], id: SampleId) -> usize {
    let copies = ids.iter().take_while(|&&other| other == id).count();
    *ids = &ids[copies..];
    copies
}

/// What a selection holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Ids, repeats included.
    pub ids: usize,
    /// Different ids.
    pub distinct: usize,
    /// Different ids that occur more than once.
    pub repeated: usize,
    /// Occurrences of the most frequent id.
    pub most_copies: usize,
    /// The smallest and the largest id; `None` without any.
    pub range: Option<[SampleId; 2]>,
}

/// What a selection holds, sorted or not.
pub fn info(ids: &[SampleId]) -> Info {
    let ids = &*in_order(ids);
    let runs = || ids.chunk_by(|a, b| a == b).map(<[SampleId]>::len);
    Info {
        ids: ids.len(),
        distinct: runs().count(),
        repeated: runs().filter(|&copies| copies > 1).count(),
        most_copies: runs().max().unwrap_or(0),
        range: ids.first().zip(ids.last()).map(|(&first, &last)| [first, last]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    fn ids(numbers: &[u128]) -> Vec<SampleId> {
        numbers.iter().copied().map(SampleId).collect()
    }

    #[test]
    fn copies_follow_the_stated_rules() {
        let a = ids(&[1, 1, 1, 2, 4, 4]);
        let b = ids(&[0, 1, 2, 2, 3, u128::MAX]);
        assert_eq!(union(&a, &b), ids(&[0, 1, 1, 1, 2, 2, 3, 4, 4, u128::MAX]));
        assert_eq!(sum(&a, &b), ids(&[0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 4, u128::MAX]));
        assert_eq!(intersect(&a, &b), ids(&[1, 2]));
        assert_eq!(minus(&a, &b), ids(&[4, 4]));
        assert_eq!(subtract(&a, &b), ids(&[1, 1, 4, 4]));
        let found = info(&a);
        assert_eq!((found.ids, found.distinct, found.repeated, found.most_copies), (6, 3, 2, 3));
        assert_eq!(found.range, Some([SampleId(1), SampleId(4)]));
        assert_eq!(info(&[]).range, None);
    }

    #[test]
    fn selections_that_are_not_sorted_lose_nothing() {
        let (a, b) = (ids(&[4, 1, 2, 1, 4, 1]), ids(&[3, 2, 2, 1]));
        assert_eq!(union(&a, &b), ids(&[1, 1, 1, 2, 2, 3, 4, 4]));
        assert_eq!(intersect(&a, &b), ids(&[1, 2]));
        assert_eq!((info(&a).distinct, info(&a).most_copies), (3, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default()
        })]

        #[test]
        fn parts_make_the_whole(
            mut a in proptest::collection::vec(0_u128..20, 0..40),
            mut b in proptest::collection::vec(0_u128..20, 0..40),
        ) {
            a.sort_unstable();
            b.sort_unstable();
            let (a, b) = (ids(&a), ids(&b));
            prop_assert_eq!(sum(&intersect(&a, &b), &subtract(&a, &b)), a.clone());
            prop_assert_eq!(sum(&union(&a, &b), &intersect(&a, &b)), sum(&a, &b));
            prop_assert_eq!(union(&a, &b), union(&b, &a));
            prop_assert!(intersect(&minus(&a, &b), &b).is_empty());
        }
    }
}
