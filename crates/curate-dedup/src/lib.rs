//! Semantic deduplication: rows that mean the same, found inside clusters (SemDeDup, Abbas et al.
//! 2023, arXiv 2303.09540).
//!
//! One search gives every row its largest similarity to a *preferred* row of its cluster and that
//! row's number. Any epsilon, fraction or exact count is then a view on the result
//! ([`Duplicates::keep`]) that costs one comparison a row.
//!
//! ```
//! use curate_cluster::Ordered;
//! use curate_core::NoProgress;
//! use curate_dedup::{Duplicates, Keep};
//! use ndarray::array;
//!
//! // A cluster of three rows in order of preference; the second is almost the first.
//! let rows = array![[1.0, 0.0], [0.9998, 0.02], [0.0, 1.0]];
//! let order = Ordered::from_clusters(vec![vec![0, 1, 2]], 3)?;
//! let found = Duplicates::find(&rows.view(), &order, &NoProgress)?;
//! let kept = found.keep(Keep::Epsilon(0.05), &[1, 2, 3].map(|id| curate_core::SampleId(id)));
//! assert_eq!(kept.kept, [true, false, true]);
//! assert_eq!(found.cause(1), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rule
//! In the order of preference of a cluster, `M[j] = max(0, max over earlier i of <x_i, x_j>)`; row `j`
//! goes when `M[j] > 1 - epsilon`, compared in f32 with the subtraction in f64. So a **larger**
//! epsilon removes more.
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | comparison | "similarity above 1 - epsilon" | strict `>`, ties stay | strict `>`, ties stay |
//! | row similar only to a removed row | one survivor a group | is removed too | is removed too; stays with [`Duplicates::find_greedy`] |
//! | which stays | lowest similarity to the centroid | the same (`hard`), `easy`, `random` | the same, or by a score |
//! | `random` | - | not repeatable | a hash of seed and id |
//! | a row with a NaN or an infinity | - | silently ends the search in its cluster | matches nothing |
//! | epsilon for a wanted size | tuned by hand | tuned by hand | exact, [`Keep::Count`] |
//! | which row caused a removal | - | not recorded | [`Duplicates::cause`] |
//! | exact copies | which one stays depends on rounding | the same | [`ExactDuplicates`]: the smallest id, before the search |
//! | large cluster | - | an `m x m` matrix, or parts that are not compared | blocks, the same answer |
//! | pairs in different clusters | not found | not found | [`Probe`], with the recall measured |
//! | number of clusters, epsilon | - | - | [`suggest_clusters`], [`suggest_epsilon`], with the reason |
//!
//! # Cost
//! `m^2 * d` operations for a cluster of `m` rows. Each thread holds one cluster and a packed copy; a
//! cluster of more than [`BLOCK_ROWS`] rows is read in pairs of blocks instead, one cluster at a
//! time ([`Duplicates::find_within`] sets the limit). Probing `p` clusters a row costs about `2 p`
//! times as much again.
//!
//! # When not to use it
//! Duplicates that the clustering put into different clusters are found only by probing: measure
//! [`Probe::recall`] before trusting a small number of removals.

mod exact;
mod probe;
mod stream;
mod suggest;

use curate_cluster::Ordered;
use curate_core::{
    BLOCK_ROWS, Cut, EmbeddingSource, Progress, SampleId, SourceError,
    rank::{Direction, Outcome},
};
use curate_kernels::Earlier;
use rayon::prelude::*;

pub use exact::{ContentHash, ExactDuplicates};
pub use probe::{Probe, Probed, Recall, nearest_clusters};
pub use suggest::{
    ClusterSuggestion, EpsilonSuggestion, sample_clusters, suggest_clusters, suggest_epsilon,
};

/// How many rows to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// Rows whose similarity to a preferred row is at most `1 - epsilon`.
    Epsilon(f64),
    /// The least duplicated `floor(fraction * n)` rows.
    Fraction(f64),
    /// The least duplicated so many rows.
    Count(usize),
}

/// Every row's most similar preferred row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duplicates {
    /// The largest similarity to a row of the same cluster that is preferred, at least 0.
    pub similarity: Vec<f32>,
    /// That row plus one; 0 for none. See [`Duplicates::cause`].
    cause: Vec<u64>,
}

impl Duplicates {
    /// Searches every cluster of `order`. Rows of `source` that `order` does not list get
    /// similarity 0.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    pub fn find<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        Self::find_within(source, order, BLOCK_ROWS, progress)
    }

    /// [`Duplicates::find`] that holds at most `rows` vectors of a cluster at a time (at least 1).
    /// A larger cluster is read in pairs of blocks of half as many; the answer is the same to the
    /// bit.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    pub fn find_within<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        rows: usize,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        Self::search(source, order, rows, None, progress)
    }

    /// Searches every cluster of `order` greedily: a row is compared only with preferred rows that
    /// stay at this `epsilon`, so one row of each group survives, as the paper's text says. The
    /// result holds for this epsilon alone: [`Duplicates::keep`] with another one, a fraction or a
    /// count does not give what a greedy search would.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    pub fn find_greedy<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        epsilon: f64,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        Self::find_greedy_within(source, order, epsilon, BLOCK_ROWS, progress)
    }

    /// [`Duplicates::find_greedy`] that holds at most `rows` vectors of a cluster at a time (at
    /// least 1), with the same answer.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    pub fn find_greedy_within<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        epsilon: f64,
        rows: usize,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        Self::search(source, order, rows, Some(similarity_threshold(epsilon)), progress)
    }

    /// Clusters that fit in memory side by side, larger ones in blocks one after the other.
    fn search<S: EmbeddingSource + ?Sized>(
        source: &S,
        order: &Ordered,
        limit: usize,
        greedy: Option<f32>,
        progress: &dyn Progress,
    ) -> Result<Self, SourceError> {
        let n = source.rows();
        let rows = order.clusters().iter().map(Vec::len).sum::<usize>();
        progress.start("semantic dedup", rows as u64, "rows");
        let (small, large): (Vec<_>, Vec<_>) =
            order.clusters().iter().partition(|cluster| cluster.len() <= limit.max(1));
        let mut duplicates = Self { similarity: vec![0.0; n], cause: vec![0; n] };
        let found: Vec<_> = small
            .par_iter()
            .map(|cluster| {
                progress.check()?;
                let vectors = stream::gather(source, cluster)?;
                let earlier = match greedy {
                    None => curate_kernels::max_earlier(&vectors, source.dim()),
                    Some(threshold) => curate_kernels::survivors(&vectors, source.dim(), threshold),
                };
                progress.advance(cluster.len() as u64);
                Ok::<_, SourceError>(earlier)
            })
            .collect();
        for (cluster, found) in small.into_iter().zip(found) {
            duplicates.record(cluster, &found?);
        }
        for cluster in large {
            let block = limit.div_ceil(2).max(1);
            let found = stream::search(source, cluster, block, greedy, progress)?;
            duplicates.record(cluster, &found);
        }
        progress.finish();
        Ok(duplicates)
    }

    fn record(&mut self, cluster: &[usize], found: &[Earlier]) {
        for (&row, earlier) in cluster.iter().zip(found) {
            self.similarity[row] = earlier.similarity;
            let cause = earlier.position.map(|position| cluster[position as usize]);
            self.cause[row] = cause.map_or(0, |row| row as u64 + 1);
        }
    }

    /// A result read back from disk.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn from_parts(similarity: Vec<f32>, cause: Vec<Option<usize>>) -> Self {
        assert_eq!(similarity.len(), cause.len(), "one cause for each row");
        let cause = cause.into_iter().map(|row| row.map_or(0, |row| row as u64 + 1)).collect();
        Self { similarity, cause }
    }

    /// The preferred row that `row` is most similar to, if its similarity is above 0.
    pub fn cause(&self, row: usize) -> Option<usize> {
        self.cause[row].checked_sub(1).map(|row| row as usize)
    }

    /// Which rows stay; the threshold of the outcome is the largest similarity that stays. With a
    /// fraction or a count, rows of equal similarity stay by ascending id.
    ///
    /// # Panics
    /// When `ids` has not one id for each row.
    pub fn keep(&self, keep: Keep, ids: &[SampleId]) -> Outcome {
        let cut = match keep {
            Keep::Epsilon(epsilon) => Cut::Threshold(similarity_threshold(epsilon)),
            Keep::Fraction(fraction) => Cut::Fraction(fraction),
            Keep::Count(count) => Cut::Top(count),
        };
        cut.apply(&self.similarity, ids, Direction::LowerIsBetter)
    }
}

/// The similarity above which `epsilon` removes a row: `1 - epsilon` in f64, rounded to f32 as the
/// published code compares it.
pub fn similarity_threshold(epsilon: f64) -> f32 {
    (1.0 - epsilon) as f32
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::array;

    use super::*;

    fn ids(n: u128) -> Vec<SampleId> {
        (0..n).map(SampleId).collect()
    }

    #[test]
    fn causes_are_rows_of_the_source_not_positions_in_the_cluster() {
        let rows = array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let order = Ordered::from_clusters(vec![vec![3, 1], vec![], vec![2, 0]], 4).unwrap();
        let found = Duplicates::find(&rows.view(), &order, &NoProgress).unwrap();
        assert_eq!(found.similarity, [1.0, 1.0, 0.0, 0.0]);
        let causes: Vec<_> = (0..4).map(|row| found.cause(row)).collect();
        assert_eq!(causes, [Some(2), Some(3), None, None]);
        let again = Duplicates::from_parts(found.similarity.clone(), causes);
        assert_eq!(again, found);
    }

    #[test]
    fn a_count_is_met_exactly_and_ties_stay_by_id() {
        let found = Duplicates::from_parts(vec![0.9, 0.0, 0.9, 0.4], vec![None; 4]);
        let count = |n| found.keep(Keep::Count(n), &ids(4)).kept;
        assert_eq!(count(3), [true, true, false, true]);
        assert_eq!(count(2), [false, true, false, true]);
        assert_eq!(found.keep(Keep::Fraction(0.5), &ids(4)).kept, count(2));
    }

    #[test]
    fn more_epsilon_never_keeps_more() {
        let similarity: Vec<f32> = (0..200).map(|i| (i * 37 % 200) as f32 / 200.0).collect();
        let found = Duplicates::from_parts(similarity, vec![None; 200]);
        let kept = |e| found.keep(Keep::Epsilon(e), &ids(200)).kept;
        for pair in [0.0, 0.1, 0.3, 0.9, 1.0, 1.5].windows(2) {
            let (less, more) = (kept(pair[0]), kept(pair[1]));
            assert!(less.iter().zip(&more).all(|(a, b)| *a || !*b));
        }
    }
}
