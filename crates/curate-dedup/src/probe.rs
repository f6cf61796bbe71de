//! Duplicates that the clustering put into different clusters.

use std::ops::Range;

use curate_cluster::{Clustering, Ordered};
use curate_core::{
    EmbeddingSource, Progress, SampleId, SourceError, embedding, random, rank::similarity_threshold,
};
use curate_kernels::{Centroids, Nearest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Matches, stream::gather};

/// Rows that are compared with a block of a cluster at once.
const VISITORS: usize = 256;
/// Rows of a cluster that are held at once.
const MEMBERS: usize = 2048;

/// Rows that recall is measured on.
const RECALL_ROWS: usize = 1_000;

/// What looking into neighboring clusters found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probing {
    /// Pairs of rows of different clusters that were compared.
    pub pairs: u64,
    /// Rows whose most similar preferred row turned out to lie in another cluster.
    pub improved: usize,
    sample: Vec<Sampled>,
}

/// How many of all duplicates a search found, measured on a sample of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Rows in the sample.
    pub sampled: usize,
    /// Those of them that have a preferred row above the threshold anywhere among the rows.
    pub duplicates: usize,
    /// Those of them that the search inside clusters alone found.
    pub found_without_probing: usize,
    /// Those of them that the search found with probing.
    pub found: usize,
}

impl Recall {
    /// The share found with probing; 1 when there was nothing to find.
    pub fn share(&self) -> f64 {
        self.share_of(self.found)
    }

    /// The share found inside clusters alone; 1 when there was nothing to find.
    pub fn share_without_probing(&self) -> f64 {
        self.share_of(self.found_without_probing)
    }

    fn share_of(&self, found: usize) -> f64 {
        if self.duplicates == 0 { 1.0 } else { found as f64 / self.duplicates as f64 }
    }
}

/// A row of the sample: its largest similarity to any preferred row, and what the searches found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sampled {
    anywhere: f32,
    without_probing: f32,
    found: f32,
}

impl Probing {
    /// Recall at an epsilon. The sample holds similarities, so every epsilon is a view on it.
    pub(crate) fn recall(&self, epsilon: f64) -> Recall {
        let threshold = similarity_threshold(epsilon);
        let above = |of: fn(&Sampled) -> f32| {
            // A row that is similar to nothing has 0, which is no pair.
            let is_duplicate = |row: &&Sampled| row.anywhere > threshold.max(0.0);
            self.sample.iter().filter(is_duplicate).filter(|row| of(row) > threshold).count()
        };
        Recall {
            sampled: self.sample.len(),
            duplicates: above(|row| row.anywhere),
            found_without_probing: above(|row| row.without_probing),
            found: above(|row| row.found),
        }
    }
}

/// A sample of rows on the way to [`Probing`].
pub(crate) struct Sample {
    places: Vec<usize>,
    rows: Vec<Sampled>,
}

impl Sample {
    /// Notes what the search inside clusters found.
    pub(crate) fn without(&mut self, matches: &Matches) {
        for (row, &place) in self.rows.iter_mut().zip(&self.places) {
            row.without_probing = matches.similarity[place];
        }
    }

    /// Notes what probing made of it.
    pub(crate) fn with(mut self, matches: &Matches, probed: Probed) -> Probing {
        for (row, &place) in self.rows.iter_mut().zip(&self.places) {
            row.found = matches.similarity[place];
        }
        Probing { pairs: probed.pairs, improved: probed.improved, sample: self.rows }
    }
}

/// What probing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probed {
    /// Pairs of rows of different clusters that were compared.
    pub(crate) pairs: u64,
    /// Rows whose most similar preferred row turned out to lie in another cluster.
    pub(crate) improved: usize,
}

/// Where to look besides a row's own cluster.
pub(crate) struct Probe {
    /// For each row, how many rows are preferred to it; see [`Probe::new`].
    rank: Vec<u32>,
    /// For each cluster, the rows of other clusters that look into it, ascending.
    visitors: Vec<Vec<usize>>,
}

/// The `probes` clusters nearest to each row besides its own (all others when there are fewer),
/// nearest first, ties to the lower index: one row after the other.
pub(crate) fn nearest_clusters<S: EmbeddingSource + ?Sized>(
    source: &S,
    clustering: &Clustering,
    probes: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u32>>, SourceError> {
    let (k, dim) = (clustering.k(), source.dim().max(1));
    let centroids = clustering.centroids.as_standard_layout();
    let centroids = centroids.as_slice().expect("standard layout");
    let bias = clustering.metric.bias(centroids, dim);
    let search = Centroids::new(centroids, dim, bias.as_deref());
    // One more, because a row's own cluster is among them.
    let wanted = probes.saturating_add(1).min(k);
    progress.start("nearest clusters", source.rows() as u64, "rows");
    let blocks = embedding::map_blocks(source, progress, |rows, block| {
        let mut nearest = vec![Nearest::default(); rows.len() * wanted];
        search.top(block, wanted, &mut nearest);
        let own = &clustering.assignment.cluster()[rows];
        let of_row = nearest.chunks_exact(wanted.max(1)).zip(own);
        let others = |(nearest, &own): (&[Nearest], &u32)| {
            let real = nearest.iter().filter(|n| n.value > f32::NEG_INFINITY);
            let others = real.map(|n| n.index).filter(|&c| c != own);
            others.take(probes).collect::<Vec<u32>>()
        };
        of_row.map(others).collect::<Vec<_>>()
    });
    progress.finish();
    Ok(blocks?.into_iter().flatten().collect())
}

impl Probe {
    /// Rows look into the clusters `near` (from [`nearest_clusters`]), each row's list without its
    /// own cluster. `preferred` lists all rows as one cluster, the preferred one first.
    pub(crate) fn new(preferred: &Ordered, near: &[Vec<u32>], clusters: usize) -> Self {
        let mut rank = vec![u32::MAX; near.len()];
        for (place, &row) in preferred.clusters().iter().flatten().enumerate() {
            rank[row] = place as u32;
        }
        let mut visitors = vec![Vec::new(); clusters];
        for (row, near) in near.iter().enumerate() {
            near.iter().for_each(|&cluster| visitors[cluster as usize].push(row));
        }
        Self { rank, visitors }
    }

    /// Compares every row with the rows of the clusters it looks into and improves `matches`, the
    /// answer of [`Matches::find`] on the same clusters.
    ///
    /// A pair is compared when one of its rows looks into the other's cluster; the less preferred
    /// row of the two may go. Of equal similarities the most preferred row is the cause. Holds one
    /// block of a cluster and one of visitors a thread.
    pub(crate) fn search<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        order: &Ordered,
        matches: &mut Matches,
        progress: &dyn Progress,
    ) -> Result<Probed, SourceError> {
        let before = matches.clone();
        let mut pairs = 0;
        let total = self.visitors.iter().map(Vec::len).sum::<usize>();
        progress.start("probe", total as u64, "visits");
        for (members, visitors) in order.clusters().iter().zip(&self.visitors) {
            pairs += members.len() as u64 * visitors.len() as u64;
            let visited = self.visit(source, members, visitors, matches, progress);
            if visited.is_err() {
                progress.finish();
            }
            visited?;
            progress.advance(visitors.len() as u64);
        }
        progress.finish();
        let improved = |&row: &usize| matches.cause(row) != before.cause(row);
        let improved = (0..self.rank.len()).filter(improved).count();
        Ok(Probed { pairs, improved })
    }

    /// Compares the members of one cluster with the rows that look into it.
    fn visit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        members: &[usize],
        visitors: &[usize],
        matches: &mut Matches,
        progress: &dyn Progress,
    ) -> Result<(), SourceError> {
        for members in members.chunks(MEMBERS) {
            let vectors = gather(source, members)?;
            let better: Vec<_> = visitors
                .par_chunks(VISITORS)
                .map(|visitors| {
                    progress.check()?;
                    let theirs = gather(source, visitors)?;
                    let products = curate_kernels::inner_products(&theirs, &vectors, source.dim());
                    Ok::<_, SourceError>(self.best_of(visitors, members, &products))
                })
                .collect();
            for better in better {
                better?.into_iter().for_each(|pair| self.improve(matches, pair));
            }
        }
        Ok(())
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

    fn improve(&self, matches: &mut Matches, pair: Pair) {
        let Pair { row, similarity, cause: Some(cause) } = pair else { return };
        if self.beats(similarity, cause, matches.similarity[row], matches.cause(row)) {
            matches.improve(row, similarity, cause);
        }
    }

    /// A sample of rows, drawn by a hash of the seed and the id, each compared with every row that is
    /// preferred to it.
    pub(crate) fn sample<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Sample, SourceError> {
        let seed = random::derive(seed, "recall");
        let mut places: Vec<usize> = (0..ids.len()).collect();
        places.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row]));
        places.truncate(RECALL_ROWS);
        let vectors = gather(source, &places)?;
        progress.start("recall", source.rows() as u64, "rows");
        let blocks = embedding::map_blocks(source, progress, |rows, block| {
            self.nearest_preferred(&places, &vectors, rows, block, source.dim())
        });
        progress.finish();
        let mut nearest = vec![0.0_f32; places.len()];
        for block in blocks? {
            nearest.iter_mut().zip(block).for_each(|(nearest, s)| *nearest = nearest.max(s));
        }
        let row = |&anywhere: &f32| Sampled { anywhere, without_probing: 0.0, found: 0.0 };
        Ok(Sample { rows: nearest.iter().map(row).collect(), places })
    }

    /// For each row of a sample, its largest similarity to a preferred row of one block.
    fn nearest_preferred(
        &self,
        sample: &[usize],
        vectors: &[f32],
        rows: Range<usize>,
        block: &[f32],
        dim: usize,
    ) -> Vec<f32> {
        // Tiles small enough that the products of one stay in the cache.
        const TILE: usize = VISITORS / 4;
        let mut nearest = Vec::with_capacity(sample.len());
        for (vectors, sample) in vectors.chunks((TILE * dim).max(1)).zip(sample.chunks(TILE)) {
            let products = curate_kernels::inner_products(vectors, block, dim);
            for (&row, products) in sample.iter().zip(products.chunks_exact(rows.len())) {
                let preferred = |(_, other): &(&f32, usize)| self.rank[*other] < self.rank[row];
                let similar = products.iter().zip(rows.clone()).filter(preferred);
                nearest.push(similar.map(|(&s, _)| s).fold(0.0, f32::max));
            }
        }
        nearest
    }
}

/// A row and the most similar row that is preferred to it.
#[derive(Clone, Copy, Default)]
struct Pair {
    row: usize,
    similarity: f32,
    cause: Option<usize>,
}
