//! Ids that several rows have.

use curate_core::{SampleId, random};
use rayon::prelude::*;

/// Rows that are sorted together: they lie in a cache.
const TOGETHER: usize = 1_024;
/// More buckets would each be written to from afar.
const MOST_BUCKETS: usize = 1 << 14;

/// The rows whose id another row has too; those of one id side by side, ascending.
///
/// One sort of all rows would jump through the ids at every comparison, and took half of the time that a
/// large pool needs to open. So rows go into buckets by a hash of their ids, and each bucket is sorted
/// alone. 8 bytes a row, and 32 for each row of a bucket while it is sorted; a set of the ids would take
/// more than they do. Where most rows have one id, one bucket has most rows, and this is the one sort again.
pub(crate) fn rows_of_repeated(ids: &[SampleId]) -> Vec<usize> {
    let (rows, ends) = by_bucket(ids);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let buckets: Vec<&[usize]> = starts.zip(&ends).map(|(start, &end)| &rows[start..end]).collect();
    let repeated = buckets.par_iter().map_init(Vec::new, |held, rows| {
        held.clear();
        held.extend(rows.iter().map(|&row| (ids[row], row)));
        held.sort_unstable();
        let same = held.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
        same.flatten().map(|&(_, row)| row).collect::<Vec<_>>()
    });
    repeated.flatten_iter().collect()
}

/// All rows, those of a bucket side by side, and where each bucket ends.
fn by_bucket(ids: &[SampleId]) -> (Vec<usize>, Vec<usize>) {
    let buckets = (ids.len() / TOGETHER).clamp(1, MOST_BUCKETS);
    let bucket = |id: SampleId| {
        let place = u128::from(random::hash(0, id)) * buckets as u128;
        (place >> 64) as usize
    };
    let mut counts = vec![0; buckets];
    ids.iter().for_each(|&id| counts[bucket(id)] += 1);
    let mut next = 0;
    // From here on where the next row of a bucket goes, and so in the end where it ends.
    let mut ends: Vec<usize> = counts
        .into_iter()
        .map(|count| {
            next += count;
            next - count
        })
        .collect();
    let mut rows = vec![0; ids.len()];
    for (row, &id) in ids.iter().enumerate() {
        let end = &mut ends[bucket(id)];
        rows[*end] = row;
        *end += 1;
    }
    (rows, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the documentation says, by counting.
    fn counted(ids: &[SampleId]) -> Vec<usize> {
        let mut of_id = std::collections::BTreeMap::<SampleId, Vec<usize>>::new();
        ids.iter().enumerate().for_each(|(row, &id)| of_id.entry(id).or_default().push(row));
        let mut rows: Vec<usize> =
            of_id.into_values().filter(|rows| rows.len() > 1).flatten().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn every_row_of_a_repeated_id_is_found_beside_its_like() {
        let spread = |row: u128| row.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        for rows in [0, 1, 2, 5, 3_000, 40_000_u128] {
            for distinct in [1, 7, 1_000, 20_011, u128::MAX] {
                let ids: Vec<SampleId> =
                    (0..rows).map(|row| SampleId(spread(row % distinct))).collect();
                let found = rows_of_repeated(&ids);
                for same in found.chunk_by(|&a, &b| ids[a] == ids[b]) {
                    assert!(same.len() > 1 && same.is_sorted(), "{rows} {distinct}");
                }
                let mut sorted = found.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, counted(&ids), "{rows} {distinct}");
            }
        }
    }
}
