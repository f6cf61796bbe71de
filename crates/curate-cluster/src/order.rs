//! In which order the rows of a cluster are preferred.

use curate_core::{SampleId, ScoreColumn, random, rank, rank::Direction};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Assignment, ClusterError, Metric, assignment::check_length};

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

/// Rows in order of preference, for each cluster; no row occurs twice.
///
/// ```
/// use curate_cluster::Ordered;
///
/// let order = Ordered::from_clusters(vec![vec![2, 0], vec![1]], 3)?;
/// assert_eq!(order.clusters()[0], [2, 0]);
/// assert!(Ordered::from_clusters(vec![vec![2, 0], vec![2]], 3).is_err());
/// # Ok::<(), curate_cluster::ClusterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    clusters: Vec<Vec<usize>>,
    rows: usize,
}

impl Ordered {
    /// An order that someone else found: the rows of each cluster, the preferred one first, of a
    /// source with `rows` rows. Rows may be left out.
    ///
    /// # Errors
    /// When a row is not below `rows`, or occurs twice.
    pub fn from_clusters(clusters: Vec<Vec<usize>>, rows: usize) -> Result<Self, ClusterError> {
        let mut seen = vec![false; rows];
        for (cluster, members) in clusters.iter().enumerate() {
            for &row in members {
                let problem = match seen.get_mut(row) {
                    None => "which is not there",
                    Some(true) => "again",
                    Some(seen) => {
                        *seen = true;
                        continue;
                    }
                };
                return Err(ClusterError::WrongRow { cluster, row, rows, problem });
            }
        }
        Ok(Self { clusters, rows })
    }

    /// Orders the rows of each cluster by [`Metric::distance`] or at random; `ids` has one id a row,
    /// `seed` decides [`Preference::Random`].
    ///
    /// # Errors
    /// When there is not one id for each row.
    pub fn new(
        assignment: &Assignment,
        metric: Metric,
        ids: &[SampleId],
        preference: Preference,
        seed: u64,
    ) -> Result<Self, ClusterError> {
        let seed = random::derive(seed, "preference");
        let distance = assignment.distances(metric);
        Self::sorted(assignment, ids, |rows| match preference {
            Preference::Random => {
                rows.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row]));
            }
            Preference::Hard => sort_hard(rows, &distance, ids),
            Preference::Easy => {
                sort_hard(rows, &distance, ids);
                rows.reverse();
            }
        })
    }

    /// Orders the rows of each cluster by a score of their own, the best first; equal scores by
    /// ascending id, rows without a score (NaN) last.
    ///
    /// # Errors
    /// When there is not one id and one score for each row.
    pub fn by_score(
        assignment: &Assignment,
        ids: &[SampleId],
        scores: &ScoreColumn,
        direction: Direction,
    ) -> Result<Self, ClusterError> {
        check_length("scores", scores.len(), assignment.rows())?;
        Self::sorted(assignment, ids, |rows| {
            rows.sort_by(|&a, &b| {
                rank::better_first(scores.get(a), scores.get(b), direction)
                    .then_with(|| ids[a].cmp(&ids[b]))
            });
        })
    }

    /// Sorts the rows of every cluster, in parallel.
    fn sorted(
        assignment: &Assignment,
        ids: &[SampleId],
        sort: impl Fn(&mut [usize]) + Sync,
    ) -> Result<Self, ClusterError> {
        check_length("ids", ids.len(), assignment.rows())?;
        let mut clusters = assignment.members();
        clusters.par_iter_mut().for_each(|rows| sort(rows));
        Ok(Self { clusters, rows: assignment.rows() })
    }

    /// The rows of each cluster, the preferred one first.
    pub fn clusters(&self) -> &[Vec<usize>] {
        &self.clusters
    }

    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.clusters.len()
    }

    /// Rows of the source, whether they occur or not: every row that occurs is below.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same order of the clusters that `keep` says yes to; the others become empty.
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let one = |(c, rows): (usize, &Vec<usize>)| if keep(c) { rows.clone() } else { Vec::new() };
        Self { clusters: self.clusters.iter().enumerate().map(one).collect(), rows: self.rows }
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

    fn assigned(k: usize, cluster: Vec<u32>, nearness: Vec<f32>) -> Assignment {
        Assignment::new(k, cluster, nearness).unwrap()
    }

    #[test]
    fn hard_is_farthest_first_with_ties_by_id_and_easy_its_reverse() {
        let assignment = assigned(3, vec![0, 1, 0, 0, 0], vec![0.9, 0.1, 0.5, 0.9, 0.7]);
        let order =
            |p| Ordered::new(&assignment, Metric::Spherical, &ids(5), p, 0).unwrap().clusters;
        assert_eq!(order(Preference::Hard), [vec![2, 4, 0, 3], vec![1], vec![]]);
        assert_eq!(order(Preference::Easy), [vec![3, 0, 4, 2], vec![1], vec![]]);
        let euclidean = Ordered::new(&assignment, Metric::Euclidean, &ids(5), Preference::Hard, 0);
        assert_eq!(euclidean.unwrap().clusters[0], [0, 3, 4, 2]);
    }

    #[test]
    fn the_key_is_the_f32_distance_not_the_similarity() {
        // Two similarities that differ, whose distances in f32 are equal.
        let (a, b) = (1e-9_f32, 2e-9_f32);
        assert!(a < b && 1.0 - a == 1.0 - b);
        let assignment = assigned(1, vec![0, 0], vec![b, a]);
        let order = Ordered::new(&assignment, Metric::Spherical, &ids(2), Preference::Hard, 0);
        assert_eq!(order.unwrap().clusters, [[0, 1]]);
    }

    #[test]
    fn random_depends_on_seed_and_id_only() {
        let assignment = assigned(1, vec![0; 50], vec![0.0; 50]);
        let order = |ids: &[SampleId], seed| {
            let found = Ordered::new(&assignment, Metric::Spherical, ids, Preference::Random, seed);
            found.unwrap().clusters[0].iter().map(|&row| ids[row]).collect::<Vec<_>>()
        };
        let reversed: Vec<SampleId> = ids(50).into_iter().rev().collect();
        assert_eq!(order(&ids(50), 1), order(&reversed, 1));
        assert_ne!(order(&ids(50), 1), order(&ids(50), 2));
    }

    #[test]
    fn a_score_keeps_the_better_row_first_and_nan_last() {
        let assignment = assigned(1, vec![0; 4], vec![0.0; 4]);
        let scores = vec![f32::NAN, 0.2, 0.9, 0.2].into();
        let order = Ordered::by_score(&assignment, &ids(4), &scores, Direction::HigherIsBetter);
        assert_eq!(order.unwrap().clusters, [[2, 1, 3, 0]]);
    }

    #[test]
    fn lists_that_do_not_fit_are_named() {
        let assignment = assigned(2, vec![0, 1], vec![0.5; 2]);
        let new = |n| Ordered::new(&assignment, Metric::Spherical, &ids(n), Preference::Hard, 0);
        assert!(new(3).unwrap_err().to_string().contains("3 entries of `ids` for 2 rows"));
        let by_score = |n| {
            Ordered::by_score(
                &assignment,
                &ids(2),
                &ScoreColumn::missing(n),
                Direction::LowerIsBetter,
            )
        };
        assert!(by_score(1).unwrap_err().to_string().contains("1 entries of `scores`"));
        let wrong = |clusters| Ordered::from_clusters(clusters, 2).unwrap_err().to_string();
        assert!(wrong(vec![vec![0], vec![2]]).contains("cluster 1 names row 2 of 2 which is not"));
        assert!(wrong(vec![vec![0, 1], vec![0]]).contains("cluster 1 names row 0 of 2 again"));
        let wrong = |c: Vec<u32>, n| Assignment::new(2, c, vec![0.0; n]).unwrap_err().to_string();
        assert!(wrong(vec![0, 2], 2).contains("row 1 is in cluster 2 of 2"));
        assert!(wrong(vec![0, 1], 3).contains("3 entries of `nearness` for 2 rows"));
    }

    #[test]
    fn some_clusters_keep_their_order() {
        let order = Ordered::from_clusters(vec![vec![2, 0], vec![1], vec![]], 4).unwrap();
        let some = order.only(|cluster| cluster != 1);
        assert_eq!(some.clusters(), [vec![2, 0], vec![], vec![]]);
        assert_eq!((some.k(), some.rows()), (3, 4));
    }
}
