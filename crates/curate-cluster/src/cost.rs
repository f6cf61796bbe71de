//! What k-means costs before it is run.

use curate_core::BLOCK_ROWS;
use curate_kernels::Tracker;

use crate::{Init, KMeans, Metric, levels::LevelsCost};

impl KMeans {
    /// The most bytes that a [`PartMemory`](crate::PartMemory) of so many rows of length `dim` holds.
    pub fn part_memory(&self, rows: usize, dim: usize) -> usize {
        // Of each number of a centroid it in three precisions, turned, and its sum.
        const A_NUMBER: usize = 32;
        let centroids = self.clusters().saturating_mul(dim).saturating_mul(A_NUMBER);
        Tracker::bytes(rows, self.clusters(), dim).saturating_add(centroids)
    }

    /// What clustering a number of rows of length `dim` costs at most: all iterations, and no bound that
    /// spares a search.
    pub fn cost(&self, rows: usize, dim: usize) -> Cost {
        let (n, d, k) = (rows as f64, dim as f64, self.clusters() as f64);
        let trained = self.train_rows_per_cluster().map_or(n, |rows| n.min(rows as f64 * k));
        let passes = self.iterations() as f64 * trained + n;
        let euclidean = self.metric() == Metric::Euclidean;
        // Sums of Euclidean rows need a look at the largest number before.
        let looks = if euclidean { trained } else { 0.0 };
        // Of rows that are tracked what the bounds need.
        let tracked = match self.batch_rows() {
            Some(_) => 0,
            None => Tracker::bytes(trained as usize, self.clusters(), dim),
        };
        // Clusters and distances.
        let row = if euclidean { 16.0 } else { 8.0 };
        let levels = (self.init() == Init::Levels).then(|| LevelsCost::new(k, trained, d));
        let levels = levels.unwrap_or_default();
        Cost {
            operations: 2.0 * d * k * passes + levels.operations,
            reads: 4.0 * d * (passes + looks) + levels.reads,
            // Centroids as they are and as they are packed, in the search and outside, and i64 sums.
            centroids: k * d * (4.0 + 4.0 + 4.0 + 8.0),
            rows: trained * row
                + tracked as f64
                + n * 8.0
                + 4.0 * d * n.min(BLOCK_ROWS as f64)
                + levels.rows,
        }
    }
}

/// What k-means costs; see [`KMeans::cost`]. Numbers are f64 because they are estimates, and because
/// those of an absurd number of clusters do not fit an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Floating-point operations: `2 d k` for each row of each pass, the last assignment included.
    pub operations: f64,
    /// Bytes of rows that are read, in f32.
    pub reads: f64,
    /// Bytes held for centroids and their sums: 20 for each number of a centroid.
    pub centroids: f64,
    /// Bytes held for rows: some numbers of each, at most 256 MiB for rows in 8 bits where a search may look
    /// at these, and one block of vectors.
    pub rows: f64,
}

impl Cost {
    /// Bytes held.
    pub fn memory(&self) -> f64 {
        self.centroids + self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KMeansParams;

    #[test]
    fn the_cost_of_a_hand_computed_case() {
        let kmeans = KMeansParams::new(10).iterations(4).check().unwrap();
        let cost = kmeans.cost(1_000, 8);
        assert_eq!(cost.operations, 2.0 * 8.0 * 10.0 * 5_000.0);
        assert_eq!(cost.reads, 4.0 * 8.0 * 5_000.0);
        assert_eq!(cost.memory(), 1_600.0 + 20_000.0 + 8_000.0 + 32_000.0);
        let some = KMeansParams::new(10).iterations(4).train_rows_per_cluster(Some(20));
        let some = some.metric(Metric::Euclidean).batch_rows(Some(64)).check().unwrap();
        let cost = some.cost(1_000, 8);
        assert_eq!(cost.operations, 2.0 * 8.0 * 10.0 * 1_800.0);
        assert_eq!(cost.reads, 4.0 * 8.0 * 2_000.0);
        assert_eq!(cost.rows, 200.0 * 16.0 + 8_000.0 + 32_000.0);
        // Where heads of rows may be kept, these too.
        let many = KMeansParams::new(1_024).check().unwrap();
        assert!(many.cost(100_000, 512).rows > 100_000.0 * 148.0);
        assert!(many.cost(100_000_000, 512).rows < 1e8 * 28.0 + f64::from(1 << 28) + 2e7);
        // A start by levels: 10 coarse clusters that 1,000 rows meet once and 5 times 10 on average.
        let levels = KMeansParams::new(100).init(Init::Levels).iterations(0).check().unwrap();
        let cost = levels.cost(1_000, 8);
        assert_eq!(cost.operations, 2.0 * 8.0 * (100_000.0 + 10.0 * (4_000.0 + 6_000.0)));
        let random = KMeansParams::new(100).check().unwrap().cost(1_000, 8);
        assert_eq!(cost.rows, random.rows + 8_000.0 + 32_000.0);
        // More training rows than there are rows are all rows.
        let all = KMeansParams::new(10).train_rows_per_cluster(Some(9_999)).check().unwrap();
        assert_eq!(all.cost(50, 8).reads, 4.0 * 8.0 * 51.0 * 50.0);
    }
}
