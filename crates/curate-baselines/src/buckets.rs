//! Sorting ids that come from many threads.

use curate_core::SampleId;
use rayon::prelude::*;

/// Lists of ids, or groups of a list: as many as eight bits tell apart.
const COUNT: usize = 256;

/// Groups that one thread sorts.
const SMALL: usize = 1 << 16;

/// Ids in lists by their highest eight bits. DataComp's ids are digests, so that the lists are about
/// as long as each other; other ids are sorted too, with less help.
pub(crate) struct Buckets(Vec<Vec<SampleId>>);

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![Vec::new(); COUNT])
    }
}

impl Buckets {
    pub(crate) fn push(&mut self, id: SampleId) {
        self.0[byte(id.0, 0)].push(id);
    }
}

/// A byte of an id, the highest first.
fn byte(id: u128, place: u32) -> usize {
    (id >> (120 - 8 * place)) as usize & (COUNT - 1)
}

/// All ids, sorted, repeats included.
pub(crate) fn sorted(parts: &[Buckets]) -> Vec<SampleId> {
    let length = |bucket: usize| parts.iter().map(|part| part.0[bucket].len()).sum::<usize>();
    let lengths: Vec<usize> = (0..COUNT).map(length).collect();
    // Numbers, since memory of zeros is had without writing it.
    let mut all = vec![0_u128; lengths.iter().sum()];
    let mut left = &mut all[..];
    let ranges: Vec<&mut [u128]> = lengths
        .into_iter()
        .map(|length| left.split_off_mut(..length).expect("room for every id"))
        .collect();
    ranges.into_par_iter().enumerate().for_each(|(bucket, range)| {
        let ids = parts.iter().flat_map(|part| &part.0[bucket]);
        sort_into(range, ids.map(|id| id.0));
    });
    all.into_iter().map(SampleId).collect()
}

/// Writes the ids of a bucket to `range`, sorted: first by their second byte, then each group.
fn sort_into(range: &mut [u128], ids: impl Iterator<Item = u128> + Clone) {
    let mut ends = [0; COUNT];
    ids.clone().for_each(|id| ends[byte(id, 1)] += 1);
    let mut before = 0;
    for end in &mut ends {
        before += std::mem::replace(end, before);
    }
    // Where groups start; each is at its group's end when all ids are in place.
    for id in ids {
        let place = &mut ends[byte(id, 1)];
        range[*place] = id;
        *place += 1;
    }
    let mut start = 0;
    for end in ends {
        match &mut range[start..end] {
            group if group.len() > SMALL => group.par_sort_unstable(),
            group => group.sort_unstable(),
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curate_core::random;

    fn check(parts: &[Vec<SampleId>]) {
        let bucketed = |part: &Vec<SampleId>| {
            let mut buckets = Buckets::default();
            part.iter().for_each(|id| buckets.push(*id));
            buckets
        };
        let found = sorted(&parts.iter().map(bucketed).collect::<Vec<_>>());
        let mut expected = parts.concat();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn ids_of_every_kind_are_sorted_with_their_repeats() {
        let digest = |i: u64| {
            let half = |seed| (random::unit(seed, SampleId(i.into())) * 2_f64.powi(64)) as u64;
            SampleId::from_halves(half(1), half(2))
        };
        let digests: Vec<SampleId> = (0..20_000).map(digest).collect();
        check(&[]);
        check(&[Vec::new(), Vec::new()]);
        check(&[digests[..9_000].to_vec(), digests[5_000..].to_vec(), digests[..100].to_vec()]);
        let counted =
            |step: u128| (0..90_000).rev().map(|i| SampleId(i * step)).collect::<Vec<_>>();
        check(&[counted(1), counted(3)]);
        check(&[vec![SampleId(u128::MAX), SampleId(0)], vec![SampleId(u128::MAX)]]);
    }
}
