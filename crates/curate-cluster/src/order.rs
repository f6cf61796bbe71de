//! In which order the rows of a cluster are preferred.

use curate_core::{SampleId, random, rank, rank::Direction};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Assignment, Metric};

/// Which rows of a cluster come first: they stay when a duplicate goes, and they fill its quota.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// Farthest from the centroid first, the default of SemDeDup and of density-based pruning;
    /// equal distances by ascending id.
    #[default]
    Hard,
    /// Nearest to the centroid first: exactly the reverse of `hard`, so equal distances come by
    /// descending id, as in the published code.
    Easy,
    /// By a hash of the seed and the id.
    Random,
}

/// Rows in order of preference, for each cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// The rows of each cluster, the preferred one first.
    pub clusters: Vec<Vec<usize>>,
}

impl Ordered {
    /// Orders the rows of each of `k` clusters.
    ///
    /// The distance is `1 - similarity` computed in f32 when spherical, as the published code
    /// does: below a similarity of 0.5 the subtraction rounds, and rows can tie that their
    /// similarities alone would order.
    ///
    /// # Panics
    /// When `ids` has not one id for each assigned row.
    pub fn new(
        assignment: &Assignment,
        k: usize,
        metric: Metric,
        ids: &[SampleId],
        preference: Preference,
        seed: u64,
    ) -> Self {
        assert_eq!(ids.len(), assignment.cluster.len(), "one id for each assigned row");
        let seed = random::derive(seed, "preference");
        let distance = assignment.distances(metric);
        let mut clusters = assignment.members(k);
        clusters.par_iter_mut().for_each(|rows| match preference {
            Preference::Random => {
                rows.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row]))
            }
            Preference::Hard => sort_hard(rows, &distance, ids),
            Preference::Easy => {
                sort_hard(rows, &distance, ids);
                rows.reverse();
            }
        });
        Self { clusters }
    }

    /// Orders the rows of each of `k` clusters by a score of their own, the best first; equal
    /// scores by ascending id, rows without a score last.
    ///
    /// # Panics
    /// When `ids` or `scores` has not one entry for each assigned row.
    pub fn by_score(
        assignment: &Assignment,
        k: usize,
        ids: &[SampleId],
        scores: &[f32],
        direction: Direction,
    ) -> Self {
        assert_eq!(ids.len(), assignment.cluster.len(), "one id for each assigned row");
        assert_eq!(scores.len(), ids.len(), "one score for each assigned row");
        let mut clusters = assignment.members(k);
        clusters.par_iter_mut().for_each(|rows| {
            rows.sort_by(|&a, &b| {
                rank::better_first(scores[a], scores[b], direction)
                    .then_with(|| ids[a].cmp(&ids[b]))
            });
        });
        Self { clusters }
    }
}

fn sort_hard(rows: &mut [usize], distance: &[f32], ids: &[SampleId]) {
    rows.sort_by(|&a, &b| {
        rank::better_first(distance[a], distance[b], Direction::HigherIsBetter)
            .then_with(|| ids[a].cmp(&ids[b]))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: u128) -> Vec<SampleId> {
        (0..n).map(SampleId).collect()
    }

    #[test]
    fn hard_is_farthest_first_with_ties_by_id_and_easy_its_reverse() {
        let assignment =
            Assignment { cluster: vec![0, 1, 0, 0, 0], nearness: vec![0.9, 0.1, 0.5, 0.9, 0.7] };
        let order = |p| Ordered::new(&assignment, 3, Metric::Spherical, &ids(5), p, 0).clusters;
        assert_eq!(order(Preference::Hard), [vec![2, 4, 0, 3], vec![1], vec![]]);
        assert_eq!(order(Preference::Easy), [vec![3, 0, 4, 2], vec![1], vec![]]);
        let euclidean =
            Ordered::new(&assignment, 3, Metric::Euclidean, &ids(5), Preference::Hard, 0);
        assert_eq!(euclidean.clusters[0], [0, 3, 4, 2]);
    }

    #[test]
    fn the_key_is_the_f32_distance_not_the_similarity() {
        // Two similarities that differ, whose distances in f32 are equal.
        let (a, b) = (1e-9_f32, 2e-9_f32);
        assert!(a < b && 1.0 - a == 1.0 - b);
        let assignment = Assignment { cluster: vec![0, 0], nearness: vec![b, a] };
        let order = Ordered::new(&assignment, 1, Metric::Spherical, &ids(2), Preference::Hard, 0);
        assert_eq!(order.clusters, [[0, 1]]);
    }

    #[test]
    fn random_depends_on_seed_and_id_only() {
        let assignment = Assignment { cluster: vec![0; 50], nearness: vec![0.0; 50] };
        let order = |ids: &[SampleId], seed| {
            let found =
                Ordered::new(&assignment, 1, Metric::Spherical, ids, Preference::Random, seed);
            found.clusters[0].iter().map(|&row| ids[row]).collect::<Vec<_>>()
        };
        let reversed: Vec<SampleId> = ids(50).into_iter().rev().collect();
        assert_eq!(order(&ids(50), 1), order(&reversed, 1));
        assert_ne!(order(&ids(50), 1), order(&ids(50), 2));
    }

    #[test]
    fn a_score_keeps_the_better_row_first_and_nan_last() {
        let assignment = Assignment { cluster: vec![0; 4], nearness: vec![0.0; 4] };
        let scores = [f32::NAN, 0.2, 0.9, 0.2];
        let order = Ordered::by_score(&assignment, 1, &ids(4), &scores, Direction::HigherIsBetter);
        assert_eq!(order.clusters, [[2, 1, 3, 0]]);
    }
}
