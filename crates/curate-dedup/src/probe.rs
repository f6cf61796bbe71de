//! Duplicates that the clustering put into different clusters.

use curate_cluster::{Assignment, Metric, Ordered};
use curate_core::{EmbeddingSource, Progress, SampleId, SourceError, embedding, random};
use curate_kernels::{Centroids, Nearest};
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::{Duplicates, similarity_threshold, stream::gather};

/// Rows that are compared with a block of a cluster at once.
const VISITORS: usize = 256;
/// Rows of a cluster that are held at once.
const MEMBERS: usize = 2048;

/// Where to look besides a row's own cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// For each row, how many rows are preferred to it; see [`Probe::new`].
    rank: Vec<u32>,
    /// For each cluster, the rows of other clusters that look into it, ascending.
    visitors: Vec<Vec<usize>>,
}

/// What probing found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// Every row's most similar preferred row, in its own cluster or a probed one.
    pub duplicates: Duplicates,
    /// Pairs of rows of different clusters that were compared.
    pub pairs: u64,
    /// Rows whose most similar preferred row turned out to lie in another cluster.
    pub improved: usize,
}

/// How many of all duplicates a search found, measured on a sample of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Rows in the sample.
    pub sampled: usize,
    /// Those of them that have a preferred row above the threshold anywhere in the pool.
    pub duplicates: usize,
    /// Those of them that the search found.
    pub found: usize,
}

impl Recall {
    /// The share found; 1 when there was nothing to find.
    pub fn share(&self) -> f64 {
        if self.duplicates == 0 { 1.0 } else { self.found as f64 / self.duplicates as f64 }
    }
}

/// The `probes` clusters nearest to each row besides its own (all others when there are fewer),
/// nearest first, ties to the lower index: one row after the other.
///
/// # Errors
/// When rows cannot be read, or the caller cancels.
///
/// # Panics
/// When centroids, rows and assignment do not fit each other.
pub fn nearest_clusters<S: EmbeddingSource + ?Sized>(
    source: &S,
    centroids: ArrayView2<'_, f32>,
    metric: Metric,
    assignment: &Assignment,
    probes: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u32>>, SourceError> {
    assert_eq!(source.rows(), assignment.rows(), "one cluster for each row");
    assert_eq!(source.dim(), centroids.ncols(), "rows and centroids of the same length");
    let (k, dim) = (centroids.nrows(), source.dim().max(1));
    let centroids = centroids.as_standard_layout();
    let centroids = centroids.as_slice().expect("standard layout");
    let search = Centroids::new(centroids, dim, metric.bias(centroids, dim).as_deref());
    // One more, because a row's own cluster is among them.
    let wanted = probes.saturating_add(1).min(k);
    progress.start("nearest clusters", source.rows() as u64, "rows");
    let blocks = embedding::map_blocks(source, progress, |rows, block| {
        let mut nearest = vec![Nearest::default(); rows.len() * wanted];
        search.top(block, wanted, &mut nearest);
        let of_row = nearest.chunks_exact(wanted.max(1)).zip(&assignment.cluster()[rows]);
        let others = |(nearest, &own): (&[Nearest], &u32)| {
            let real = nearest.iter().filter(|n| n.value > f32::NEG_INFINITY);
            let others = real.map(|n| n.index).filter(|&c| c != own);
            others.take(probes).collect::<Vec<u32>>()
        };
        of_row.map(others).collect::<Vec<_>>()
    })?;
    progress.finish();
    Ok(blocks.into_iter().flatten().collect())
}

impl Probe {
    /// Rows look into the clusters `near` (from [`nearest_clusters`]), each row's list without its
    /// own cluster. `preferred` lists all rows as one cluster, the preferred one first: an
    /// [`Ordered`] made the same way as that of the clusters, from an assignment to cluster 0.
    ///
    /// # Panics
    /// When `preferred` is not one cluster that has every row once, or `near` has another number of
    /// rows.
    pub fn new(preferred: &Ordered, near: &[Vec<u32>], clusters: usize) -> Self {
        let [order] = preferred.clusters() else {
            panic!("all rows in order of preference, as one cluster");
        };
        assert_eq!(order.len(), near.len(), "one list of clusters for each row");
        let mut rank = vec![u32::MAX; near.len()];
        for (place, &row) in order.iter().enumerate() {
            assert_eq!(rank[row], u32::MAX, "every row once");
            rank[row] = place as u32;
        }
        let mut visitors = vec![Vec::new(); clusters];
        for (row, near) in near.iter().enumerate() {
            near.iter().for_each(|&cluster| visitors[cluster as usize].push(row));
        }
        Self { rank, visitors }
    }

    /// Compares every row with the rows of the clusters it looks into and improves `found`, the
    /// answer of [`Duplicates::find`] on the same clusters.
    ///
    /// A pair is compared when one of its rows looks into the other's cluster; the less preferred
    /// row of the two may go. Of equal similarities the most preferred row is the cause. Holds one
    /// block of a cluster and one of visitors a thread.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    ///
    /// # Panics
    /// When `found` and `order` belong to other rows.
    pub fn search<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        order: &Ordered,
        found: &Duplicates,
        progress: &dyn Progress,
    ) -> Result<Probed, SourceError> {
        assert_eq!(found.similarity.len(), self.rank.len(), "one similarity for each row");
        assert_eq!(order.k(), self.visitors.len(), "the clusters that are looked into");
        let mut duplicates = found.clone();
        let mut pairs = 0;
        let total = self.visitors.iter().map(Vec::len).sum::<usize>();
        progress.start("probe", total as u64, "visits");
        for (members, visitors) in order.clusters().iter().zip(&self.visitors) {
            pairs += members.len() as u64 * visitors.len() as u64;
            for members in members.chunks(MEMBERS) {
                let vectors = gather(source, members)?;
                let better: Vec<_> = visitors
                    .par_chunks(VISITORS)
                    .map(|visitors| {
                        progress.check()?;
                        let theirs = gather(source, visitors)?;
                        let dim = source.dim();
                        let products = curate_kernels::inner_products(&theirs, &vectors, dim);
                        Ok::<_, SourceError>(self.best_of(visitors, members, &products))
                    })
                    .collect();
                for better in better {
                    better?.into_iter().for_each(|pair| self.improve(&mut duplicates, pair));
                }
            }
            progress.advance(visitors.len() as u64);
        }
        progress.finish();
        let improved = (0..self.rank.len()).filter(|&r| duplicates.cause[r] != found.cause[r]);
        let improved = improved.count();
        Ok(Probed { duplicates, pairs, improved })
    }

    /// The best pair of every visitor and every member, where it is the less preferred.
    fn best_of(&self, visitors: &[usize], members: &[usize], products: &[f32]) -> Vec<Pair> {
        let mut best: Vec<Pair> =
            visitors.iter().chain(members).map(|&row| Pair { row, ..Pair::default() }).collect();
        let (by_visitor, by_member) = best.split_at_mut(visitors.len());
        let width = members.len().max(1);
        for (visitor, products) in by_visitor.iter_mut().zip(products.chunks_exact(width)) {
            let place = self.rank[visitor.row];
            for (member, &similarity) in by_member.iter_mut().zip(products) {
                let (later, earlier) = if self.rank[member.row] < place {
                    (&mut *visitor, member.row)
                } else {
                    let row = visitor.row;
                    (member, row)
                };
                if self.beats(similarity, earlier, later.similarity, later.cause) {
                    (later.similarity, later.cause) = (similarity, Some(earlier));
                }
            }
        }
        best.retain(|pair| pair.cause.is_some());
        best
    }

    /// A larger similarity wins; of equal ones above 0 the more preferred cause.
    fn beats(&self, similarity: f32, cause: usize, best: f32, by: Option<usize>) -> bool {
        let earlier = |by| self.rank[cause] < self.rank[by];
        similarity > best || (similarity == best && by.is_some_and(earlier))
    }

    fn improve(&self, duplicates: &mut Duplicates, pair: Pair) {
        let Pair { row, similarity, cause: Some(cause) } = pair else { return };
        if self.beats(similarity, cause, duplicates.similarity[row], duplicates.cause(row)) {
            duplicates.similarity[row] = similarity;
            duplicates.cause[row] = cause as u64 + 1;
        }
    }

    /// How many of all duplicates at `epsilon` a search found: `rows` rows, drawn by a hash of the
    /// seed and the id, are compared with every row that is preferred to them.
    ///
    /// # Errors
    /// When rows cannot be read, or the caller cancels.
    ///
    /// # Panics
    /// When `found` or `ids` belongs to other rows.
    pub fn recall<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        found: &Duplicates,
        epsilon: f64,
        (rows, seed): (usize, u64),
        progress: &dyn Progress,
    ) -> Result<Recall, SourceError> {
        assert_eq!(ids.len(), self.rank.len(), "one id for each row");
        assert_eq!(found.similarity.len(), self.rank.len(), "one similarity for each row");
        let seed = random::derive(seed, "recall");
        let mut sample: Vec<usize> = (0..ids.len()).collect();
        sample.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row]));
        sample.truncate(rows);
        let threshold = similarity_threshold(epsilon);
        let dim = source.dim();
        let vectors = gather(source, &sample)?;
        progress.start("recall", source.rows() as u64, "rows");
        let above = embedding::map_blocks(source, progress, |rows, block| {
            let tiles =
                vectors.chunks((VISITORS / 4 * dim).max(1)).zip(sample.chunks(VISITORS / 4));
            let mut above = Vec::with_capacity(sample.len());
            for (vectors, sample) in tiles {
                let products = curate_kernels::inner_products(vectors, block, dim);
                above.extend(sample.iter().zip(products.chunks_exact(rows.len())).map(
                    |(&row, products)| {
                        let similar = |(&s, other): (&f32, usize)| {
                            s > threshold.max(0.0) && self.rank[other] < self.rank[row]
                        };
                        products.iter().zip(rows.clone()).any(similar)
                    },
                ));
            }
            above
        })?;
        progress.finish();
        let is_duplicate = |i: usize| above.iter().any(|block| block[i]);
        let duplicates: Vec<usize> = (0..sample.len()).filter(|&i| is_duplicate(i)).collect();
        let was_found = |&&i: &&usize| found.similarity[sample[i]] > threshold;
        Ok(Recall {
            sampled: sample.len(),
            duplicates: duplicates.len(),
            found: duplicates.iter().filter(was_found).count(),
        })
    }
}

/// A row and the most similar row that is preferred to it.
#[derive(Clone, Copy, Default)]
struct Pair {
    row: usize,
    similarity: f32,
    cause: Option<usize>,
}
