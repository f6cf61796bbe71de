//! The rows that fill the quotas.

use curate_cluster::Ordered;
use curate_core::{Cut, SampleId, rank::Direction};
use serde::{Deserialize, Serialize};

/// Which rows of a cluster's preference order fill its quota.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// The first ones.
    #[default]
    First,
    /// Evenly spaced ones, so that easy and hard rows are both covered.
    Stratified,
}

/// The rows kept, ascending: `counts[c]` rows of each cluster `c`.
///
/// # Panics
/// When there is not one count for each cluster, or a count exceeds its cluster.
pub fn select(order: &Ordered, counts: &[usize], pick: Pick) -> Vec<usize> {
    assert_eq!(order.k(), counts.len(), "one count for each cluster");
    let mut kept: Vec<usize> = Vec::with_capacity(counts.iter().sum());
    for (rows, &count) in order.clusters().iter().zip(counts) {
        match pick {
            Pick::First => kept.extend(&rows[..count]),
            Pick::Stratified => {
                kept.extend((0..count).map(|i| rows[(2 * i + 1) * rows.len() / (2 * count)]))
            }
        }
    }
    kept.sort_unstable();
    kept
}

/// The self-supervised prototype baseline (Sorscher et al. 2022, arXiv 2206.14486): the `count`
/// rows farthest from their own centroids, over all clusters; equal distances by ascending id.
/// Returns rows, ascending.
///
/// # Panics
/// When `ids` has not one id for each distance.
pub fn farthest_first(distances: &[f32], ids: &[SampleId], count: usize) -> Vec<usize> {
    let kept = Cut::Top(count).apply(distances, ids, Direction::HigherIsBetter).kept;
    (0..distances.len()).filter(|&row| kept[row]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_takes_the_preferred_and_stratified_spreads_without_repeats() {
        let order =
            Ordered::from_clusters(vec![vec![9, 8, 7, 6, 5, 4], vec![1], vec![]], 10).unwrap();
        assert_eq!(select(&order, &[2, 1, 0], Pick::First), [1, 8, 9]);
        assert_eq!(select(&order, &[3, 0, 0], Pick::Stratified), [4, 6, 8]);
        for count in 0..=6 {
            let mut kept = select(&order, &[count, 0, 0], Pick::Stratified);
            kept.dedup();
            assert_eq!(kept.len(), count);
        }
    }

    #[test]
    fn farthest_first_breaks_ties_by_id() {
        let ids = [5, 4, 3].map(SampleId);
        assert_eq!(farthest_first(&[0.2, 0.9, 0.2], &ids, 2), [1, 2]);
    }
}
