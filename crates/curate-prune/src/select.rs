//! The rows that fill the quotas.

use curate_cluster::Ordered;
use curate_core::{Cut, SampleId, rank::Direction};
use serde::{Deserialize, Serialize};

use crate::PruneError;

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
/// # Errors
/// When there is not one count for each cluster, or a count exceeds its cluster.
pub fn select(order: &Ordered, counts: &[usize], pick: Pick) -> Result<Vec<usize>, PruneError> {
    let (given, expected) = (counts.len(), order.k());
    if given != expected {
        return Err(PruneError::Mismatch { what: "counts", given, of: "clusters", expected });
    }
    let sizes = order.clusters().iter().map(Vec::len);
    let too_many = sizes.zip(counts).enumerate().find(|(_, (size, count))| *count > size);
    if let Some((cluster, (size, &count))) = too_many {
        return Err(PruneError::ClusterTooSmall { cluster, count, size });
    }
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
    Ok(kept)
}

/// The self-supervised prototype baseline (Sorscher et al. 2022, arXiv 2206.14486): the `count`
/// rows farthest from their own centroids, over all clusters; equal distances by ascending id.
/// Returns rows, ascending.
///
/// # Errors
/// When there is not one id for each distance.
pub fn farthest_first(
    distances: &[f32],
    ids: &[SampleId],
    count: usize,
) -> Result<Vec<usize>, PruneError> {
    let outcome = Cut::Top(count).apply(distances, ids, Direction::HigherIsBetter)?;
    Ok(outcome.kept.rows().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_takes_the_preferred_and_stratified_spreads_without_repeats() {
        let clusters = vec![vec![9, 8, 7, 6, 5, 4], vec![1], vec![]];
        let order = Ordered::from_clusters(clusters, 10).unwrap();
        assert_eq!(select(&order, &[2, 1, 0], Pick::First).unwrap(), [1, 8, 9]);
        assert_eq!(select(&order, &[3, 0, 0], Pick::Stratified).unwrap(), [4, 6, 8]);
        for count in 0..=6 {
            let mut kept = select(&order, &[count, 0, 0], Pick::Stratified).unwrap();
            kept.dedup();
            assert_eq!(kept.len(), count);
        }
    }

    #[test]
    fn counts_that_do_not_fit_the_clusters_are_named() {
        let order = Ordered::from_clusters(vec![vec![0, 1], vec![2]], 3).unwrap();
        let error = select(&order, &[1], Pick::First).unwrap_err().to_string();
        assert_eq!(error, "1 counts for 2 clusters: give one for each");
        let error = select(&order, &[1, 2], Pick::Stratified).unwrap_err().to_string();
        assert!(error.starts_with("2 rows were asked of cluster 1, which has 1"), "{error}");
    }

    #[test]
    fn farthest_first_breaks_ties_by_id() {
        let ids = [5, 4, 3].map(SampleId);
        assert_eq!(farthest_first(&[0.2, 0.9, 0.2], &ids, 2).unwrap(), [1, 2]);
        assert!(farthest_first(&[0.2], &ids, 1).is_err());
    }
}
