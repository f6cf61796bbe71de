//! Baselines that a method has to beat.

use curate_cluster::{Assignment, Clustering, Ordered, Preference};
use curate_core::{SampleId, random};
use serde::{Deserialize, Serialize};

use crate::{AllocationError, Pick, PruneError, allocate, farthest_first, lower_bounds, select};

/// A selection to compare concept-complexity pruning with.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The rows farthest from their own centroids, over all clusters (self-supervised prototypes,
    /// Sorscher et al. 2022, arXiv 2206.14486).
    Ssp,
    /// The same, but every cluster keeps at least half of an even share (their class balance of 50
    /// %), farthest first.
    SspBalanced,
    /// The same number of rows of every cluster, as far as it has them, farthest first.
    Uniform,
    /// Rows of every cluster in proportion to its size, farthest first.
    Proportional,
    /// Rows drawn by a hash of the seed and the id.
    Random,
    /// Rows evenly spaced in the order of their distances to their centroids, over all clusters
    /// (coverage of easy and hard rows alike).
    Stratified,
}

impl Control {
    /// Every control.
    pub const ALL: [Self; 6] = [
        Self::Ssp,
        Self::SspBalanced,
        Self::Uniform,
        Self::Proportional,
        Self::Random,
        Self::Stratified,
    ];

    /// The control in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Ssp => "those farthest from their centroids",
            Self::SspBalanced => "those farthest from their centroids, balanced over concepts",
            Self::Uniform => "as many of every concept",
            Self::Proportional => "as many of every concept as its size says",
            Self::Random => "at random",
            Self::Stratified => "evenly over easy and hard ones",
        }
    }

    /// Exactly `count` rows, ascending. Ties go to the smaller id.
    ///
    /// # Errors
    /// When `count` is more than there are rows, or there is not one id for each row.
    pub fn keep(
        self,
        clustering: &Clustering,
        ids: &[SampleId],
        count: usize,
        seed: u64,
    ) -> Result<Vec<usize>, PruneError> {
        let (assignment, metric) = (&clustering.assignment, clustering.metric);
        let clusters = clustering.k();
        let n = assignment.rows();
        if ids.len() != n {
            let (given, expected) = (ids.len(), n);
            return Err(PruneError::Mismatch { what: "ids", given, of: "rows", expected });
        }
        if count > n {
            return Err(AllocationError::TooMany { wanted: count, most: n }.into());
        }
        let hard =
            |assignment: &Assignment| Ordered::new(assignment, metric, ids, Preference::Hard, seed);
        let sizes = assignment.sizes();
        let by_share = |share: &[f64]| {
            let quotas = allocate(share, count, &vec![0; clusters], &sizes)?;
            select(&hard(assignment)?, &quotas.counts, Pick::First)
        };
        match self {
            Self::Ssp => farthest_first(&assignment.distances(metric), ids, count),
            Self::SspBalanced => {
                let least = lower_bounds(count, 0.5, &sizes);
                let mut distances = assignment.distances(metric);
                // A guaranteed row is farther than all others.
                for row in select(&hard(assignment)?, &least, Pick::First)? {
                    distances[row] = f32::INFINITY;
                }
                farthest_first(&distances, ids, count)
            }
            Self::Uniform => by_share(&vec![1.0 / clusters.max(1) as f64; clusters]),
            Self::Proportional => {
                let share = |&size: &usize| size as f64 / n.max(1) as f64;
                by_share(&sizes.iter().map(share).collect::<Vec<_>>())
            }
            Self::Random => {
                let seed = random::derive(seed, "random control");
                let draw: Vec<u64> = ids.iter().map(|&id| random::hash(seed, id)).collect();
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_unstable_by_key(|&row| (draw[row], ids[row], row));
                order.truncate(count);
                order.sort_unstable();
                Ok(order)
            }
            Self::Stratified => select(&hard(&assignment.together())?, &[count], Pick::Stratified),
        }
    }
}

#[cfg(test)]
mod tests {
    use curate_cluster::Metric;
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(|i| SampleId(i * 3 + 1)).collect()
    }

    fn clustering(k: usize, cluster: Vec<u32>, nearness: Vec<f32>) -> Clustering {
        Clustering {
            centroids: Array2::zeros((k, 2)),
            metric: Metric::Spherical,
            assignment: Assignment::new(k, cluster, nearness).unwrap(),
            objective: vec![],
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        }
    }

    fn keep(control: Control, cluster: &[u32], similarity: &[f32], count: usize) -> Vec<usize> {
        let rows = clustering(4, cluster.to_vec(), similarity.to_vec());
        control.keep(&rows, &ids(cluster.len()), count, 5).unwrap()
    }

    #[test]
    fn a_hand_computed_case_of_each() {
        // Cluster 0 holds the far rows, cluster 1 the near ones, cluster 2 is a singleton, 3 empty.
        let cluster = [0, 0, 0, 0, 1, 1, 1, 2];
        let similarity = [0.1, 0.2, 0.3, 0.4, 0.9, 0.8, 0.7, 1.0];
        let keep = |control, count| keep(control, &cluster, &similarity, count);
        assert_eq!(keep(Control::Ssp, 4), [0, 1, 2, 3]);
        assert_eq!(keep(Control::Uniform, 5), [0, 1, 5, 6, 7]);
        assert_eq!(keep(Control::Proportional, 4), [0, 1, 5, 6]);
        assert_eq!(keep(Control::Stratified, 4), [1, 3, 5, 7]);
        assert_eq!(keep(Control::Random, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn balance_keeps_half_an_even_share_of_a_cluster_that_is_near() {
        // Eight far rows, four near ones; an even share of 8 rows over 4 clusters is 2.
        let cluster = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let similarity = [0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.9, 0.8, 0.95, 0.99];
        let keep = |control| keep(control, &cluster, &similarity, 8);
        assert_eq!(keep(Control::Ssp), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(keep(Control::SspBalanced), [0, 1, 2, 3, 4, 5, 6, 9]);
    }

    #[test]
    fn random_depends_on_ids_not_on_places() {
        let rows = clustering(1, vec![0; 60], vec![0.5; 60]);
        let kept = |ids: &[SampleId], seed| {
            let kept = Control::Random.keep(&rows, ids, 20, seed).unwrap();
            let mut kept: Vec<SampleId> = kept.into_iter().map(|row| ids[row]).collect();
            kept.sort_unstable();
            kept
        };
        let reversed: Vec<SampleId> = ids(60).into_iter().rev().collect();
        assert_eq!(kept(&ids(60), 1), kept(&reversed, 1));
        assert_ne!(kept(&ids(60), 1), kept(&ids(60), 2));
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        let rows = clustering(1, vec![0], vec![0.5]);
        for control in Control::ALL {
            let error = control.keep(&rows, &ids(1), 2, 0).unwrap_err();
            let expected = AllocationError::TooMany { wanted: 2, most: 1 };
            assert!(matches!(&error, PruneError::Allocation(e) if *e == expected), "{error}");
            let error = control.keep(&rows, &ids(2), 1, 0).unwrap_err();
            assert_eq!(error.to_string(), "2 ids for 1 rows: give one for each");
        }
    }

    proptest! {
        #[test]
        fn every_control_keeps_exactly_the_count_and_the_same_rows_in_any_order(
            rows in prop::collection::vec((0_u32..4, 0_u8..20), 0..80),
            share in 0.0_f64..=1.0,
        ) {
            let n = rows.len();
            let count = (share * n as f64) as usize;
            let names = ids(n);
            let kept = |places: &[usize], control: Control| {
                let cluster = places.iter().map(|&i| rows[i].0).collect();
                let nearness = places.iter().map(|&i| f32::from(rows[i].1) / 20.0).collect();
                let ids: Vec<SampleId> = places.iter().map(|&i| names[i]).collect();
                let kept = control.keep(&clustering(4, cluster, nearness), &ids, count, 9).unwrap();
                assert!(kept.windows(2).all(|w| w[0] < w[1]));
                let mut kept: Vec<SampleId> = kept.into_iter().map(|row| ids[row]).collect();
                kept.sort_unstable();
                kept
            };
            let forward: Vec<usize> = (0..n).collect();
            let backward: Vec<usize> = (0..n).rev().collect();
            for control in Control::ALL {
                let found = kept(&forward, control);
                prop_assert_eq!(found.len(), count);
                prop_assert_eq!(found, kept(&backward, control));
            }
        }
    }
}
