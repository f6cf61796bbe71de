//! Sums of rows that become centroids.

use curate_core::BLOCK_ROWS;
use curate_kernels::FixedPoint;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ClusterError, Metric};

/// The sum and the number of the rows of each cluster, from which new centroids follow.
///
/// Sums are in fixed point ([`FixedPoint`]), so they are exact sums of what the rows were rounded to:
/// parts of a pool can be added up in any order, on any machine, and again after a failure, and give
/// the same bytes as the whole pool at once. A row that is taken off leaves what there would be had
/// it never been added.
///
/// ```
/// use curate_cluster::{CentroidSums, Metric};
///
/// let mut whole = CentroidSums::of_unit_rows(2, 2);
/// whole.add(&[1.0, 0.0, 0.6, 0.8, 0.0, 1.0], &[0, 0, 1])?;
///
/// let (mut first, mut second) = (whole.empty(), whole.empty());
/// first.add(&[0.6, 0.8], &[0])?;
/// second.add(&[0.0, 1.0, 1.0, 0.0], &[1, 0])?;
/// second.merge(&first)?;
/// assert_eq!(second, whole);
///
/// let centroids = whole.centroids(Metric::Euclidean, &[0.0; 4])?;
/// assert_eq!(centroids, [0.8, 0.4, 0.0, 1.0]);
/// # Ok::<(), curate_cluster::ClusterError>(())
/// ```
///
/// # Overflow
/// It cannot. A number comes to at most `2^41` steps. What was added or taken off lately is in `i64`,
/// which hold `2^22 - 1` rows of that; before a cluster has more, its sum is carried over to `i128`,
/// which hold `2^86`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct CentroidSums {
    steps: FixedPoint,
    dim: usize,
    /// Rows of each cluster.
    sizes: Vec<u64>,
    /// What came since the last carry, and in each cluster the rows that were added or taken off.
    recent: Vec<i64>,
    changes: Vec<usize>,
    /// What was carried over; empty until a cluster needs it, which most never do.
    carried: Vec<i128>,
}

/// Rows of a block by cluster.
struct ByCluster {
    /// Their places in the block, cluster after cluster.
    rows: Vec<u32>,
    /// Where the rows of each cluster begin, and after the last cluster their number.
    begins: Vec<u32>,
}

impl CentroidSums {
    /// Empty sums of rows of length 1, in steps of `2^-40`.
    pub fn of_unit_rows(clusters: usize, dim: usize) -> Self {
        Self::in_steps(FixedPoint::UNIT, clusters, dim)
    }

    /// Empty sums of rows none of whose numbers is above `largest` in absolute value. Sums that are to
    /// be merged need the same.
    ///
    /// # Errors
    /// When `largest` is negative, infinite or a NaN.
    pub fn of_rows_up_to(largest: f32, clusters: usize, dim: usize) -> Result<Self, ClusterError> {
        let steps = FixedPoint::up_to(largest).ok_or(ClusterError::NoScale { largest })?;
        Ok(Self::in_steps(steps, clusters, dim))
    }

    pub(crate) fn in_steps(steps: FixedPoint, clusters: usize, dim: usize) -> Self {
        Self {
            steps,
            dim,
            sizes: vec![0; clusters],
            recent: vec![0; clusters * dim],
            changes: vec![0; clusters],
            carried: Vec::new(),
        }
    }

    /// Empty sums that can be merged with these.
    pub fn empty(&self) -> Self {
        Self::in_steps(self.steps, self.sizes.len(), self.dim)
    }

    /// Rows of each cluster.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// Adds rows, one after the other in `vectors`, each to the cluster that `clusters` names.
    ///
    /// # Errors
    /// When there is not one cluster for each row, a cluster is not there, or a row holds a number
    /// above what the sums were made for, an infinity or a NaN. Nothing is added then.
    pub fn add(&mut self, vectors: &[f32], clusters: &[u32]) -> Result<(), ClusterError> {
        self.check(vectors, clusters)?;
        self.add_known(vectors, clusters);
        Ok(())
    }

    /// Takes rows off that were added to the same clusters before.
    ///
    /// # Errors
    /// As [`Self::add`], and when more rows are taken off a cluster than it has.
    pub fn subtract(&mut self, vectors: &[f32], clusters: &[u32]) -> Result<(), ClusterError> {
        self.check(vectors, clusters)?;
        let mut left = self.sizes.clone();
        for &cluster in clusters {
            let size = &mut left[cluster as usize];
            *size = size.checked_sub(1).ok_or(ClusterError::TooFewToSubtract { cluster })?;
        }
        let rows: Vec<u32> = (0..clusters.len() as u32).collect();
        for (rows, clusters) in rows.chunks(BLOCK_ROWS).zip(clusters.chunks(BLOCK_ROWS)) {
            self.subtract_some(vectors, rows, clusters);
        }
        Ok(())
    }

    fn check(&self, vectors: &[f32], clusters: &[u32]) -> Result<(), ClusterError> {
        let (dim, k) = (self.dim, self.sizes.len());
        if vectors.len() != clusters.len() * dim || u32::try_from(clusters.len()).is_err() {
            let (numbers, rows) = (vectors.len(), clusters.len());
            return Err(ClusterError::VectorsMismatch { numbers, rows, dim });
        }
        check_clusters(clusters, k)?;
        let limit = self.steps.limit();
        // Not `>`, which a NaN would pass.
        let fits = |row: &[f32]| curate_kernels::largest(row) <= limit;
        match vectors.par_chunks_exact(dim.max(1)).position_first(|row| !fits(row)) {
            Some(row) => Err(ClusterError::BeyondScale { row, limit }),
            None => Ok(()),
        }
    }

    /// [`Self::add`] of rows that were checked.
    pub(crate) fn add_known(&mut self, vectors: &[f32], clusters: &[u32]) {
        let rows: Vec<u32> = (0..clusters.len() as u32).collect();
        for (rows, clusters) in rows.chunks(BLOCK_ROWS).zip(clusters.chunks(BLOCK_ROWS)) {
            self.add_some(vectors, rows, clusters);
        }
    }

    /// Adds those rows of a block that `rows` names, at most [`BLOCK_ROWS`], each to a cluster.
    pub(crate) fn add_some(&mut self, vectors: &[f32], rows: &[u32], clusters: &[u32]) {
        let steps = self.steps;
        self.change(rows, clusters, |sum, rows| steps.add(sum, vectors, rows));
        clusters.iter().for_each(|&c| self.sizes[c as usize] += 1);
    }

    /// [`Self::add_some`] backwards.
    pub(crate) fn subtract_some(&mut self, vectors: &[f32], rows: &[u32], clusters: &[u32]) {
        let steps = self.steps;
        self.change(rows, clusters, |sum, rows| steps.subtract(sum, vectors, rows));
        clusters.iter().for_each(|&c| self.sizes[c as usize] -= 1);
    }

    /// Forgets the rows of a cluster.
    pub(crate) fn forget(&mut self, cluster: usize) {
        let numbers = cluster * self.dim..(cluster + 1) * self.dim;
        self.recent[numbers.clone()].fill(0);
        if let Some(carried) = self.carried.get_mut(numbers) {
            carried.fill(0);
        }
        (self.sizes[cluster], self.changes[cluster]) = (0, 0);
    }

    /// Hands the sum of each cluster and its rows to `apply`, on all threads of the current pool.
    /// Clusters are the unit of work because they share nothing.
    fn change(
        &mut self,
        rows: &[u32],
        clusters: &[u32],
        apply: impl Fn(&mut [i64], &[u32]) + Sync,
    ) {
        let members = ByCluster::new(rows, clusters, self.sizes.len());
        for cluster in 0..self.sizes.len() {
            let count = members.of(cluster).len();
            if self.changes[cluster] + count > FixedPoint::MOST_ROWS {
                self.carry(cluster);
            }
            self.changes[cluster] += count;
        }
        let sums = self.recent.par_chunks_mut(self.dim.max(1)).enumerate();
        sums.for_each(|(cluster, sum)| apply(sum, members.of(cluster)));
    }

    /// Carries the sum of a cluster over to `i128`.
    fn carry(&mut self, cluster: usize) {
        self.carried.resize(self.recent.len(), 0);
        let numbers = cluster * self.dim..(cluster + 1) * self.dim;
        let recent = self.recent[numbers.clone()].iter_mut();
        for (carried, recent) in self.carried[numbers].iter_mut().zip(recent) {
            *carried += i128::from(std::mem::take(recent));
        }
        self.changes[cluster] = 0;
    }

    /// The sum of every element of every cluster, in steps.
    fn totals(&self) -> impl Iterator<Item = i128> {
        let carried = self.carried.iter().copied().chain(std::iter::repeat(0));
        self.recent.iter().zip(carried).map(|(&recent, carried)| i128::from(recent) + carried)
    }

    /// Adds all rows that another part has.
    ///
    /// # Errors
    /// When the other part has another number of clusters, length of rows or scale.
    pub fn merge(&mut self, other: &Self) -> Result<(), ClusterError> {
        let shape = |sums: &Self| {
            let exponent = sums.steps.exponent().into();
            [
                ("clusters", sums.sizes.len() as i64),
                ("dimensions", sums.dim as i64),
                ("scale", exponent),
            ]
        };
        for ((what, own), (_, other)) in shape(self).into_iter().zip(shape(other)) {
            if own != other {
                return Err(ClusterError::SumsMismatch { what, own, other });
            }
        }
        self.carried = self.totals().zip(other.totals()).map(|(own, other)| own + other).collect();
        self.recent.fill(0);
        self.changes.fill(0);
        self.sizes.iter_mut().zip(&other.sizes).for_each(|(own, other)| *own += other);
        Ok(())
    }

    /// The mean of each cluster, of length 1 when spherical. A centroid without rows, or whose rows
    /// cancel out, stays where it was: `previous` has one for each cluster.
    ///
    /// # Errors
    /// When `previous` has another length.
    pub fn centroids(&self, metric: Metric, previous: &[f32]) -> Result<Vec<f32>, ClusterError> {
        if previous.len() != self.recent.len() {
            let (numbers, rows, dim) = (previous.len(), self.sizes.len(), self.dim);
            return Err(ClusterError::VectorsMismatch { numbers, rows, dim });
        }
        let mut centroids = previous.to_vec();
        self.move_centroids(metric, &mut centroids);
        Ok(centroids)
    }

    /// [`Self::centroids`] in place.
    pub(crate) fn move_centroids(&self, metric: Metric, centroids: &mut [f32]) {
        let dim = self.dim.max(1);
        let step = self.steps.step();
        centroids.par_chunks_exact_mut(dim).enumerate().for_each(|(cluster, centroid)| {
            let numbers = cluster * dim..(cluster + 1) * dim;
            let recent = &self.recent[numbers.clone()];
            // An integer becomes an f64 by one rounding, and a power of two changes no digit.
            let sum: Vec<f64> = match self.carried.get(numbers) {
                None => recent.iter().map(|&recent| recent as f64 * step).collect(),
                Some(carried) => {
                    let total = |(&recent, carried)| (i128::from(recent) + carried) as f64 * step;
                    recent.iter().zip(carried).map(total).collect()
                }
            };
            let size = self.sizes[cluster];
            let scale = match metric {
                Metric::Spherical => sum.iter().map(|x| x * x).sum::<f64>().sqrt(),
                Metric::Euclidean => size as f64,
            };
            if size > 0 && scale > 0.0 {
                centroid.iter_mut().zip(sum).for_each(|(c, x)| *c = (x / scale) as f32);
            }
        });
    }
}

/// An error that names the first row whose cluster is not one of `k`.
pub(crate) fn check_clusters(clusters: &[u32], k: usize) -> Result<(), ClusterError> {
    match clusters.iter().position(|&cluster| cluster as usize >= k) {
        Some(row) => Err(ClusterError::NoSuchCluster { row, cluster: clusters[row], clusters: k }),
        None => Ok(()),
    }
}

/// Equal when they hold the same rows, however these came in.
impl PartialEq for CentroidSums {
    fn eq(&self, other: &Self) -> bool {
        (self.steps, self.dim, &self.sizes) == (other.steps, other.dim, &other.sizes)
            && self.totals().eq(other.totals())
    }
}

impl ByCluster {
    /// A counting sort, which keeps the order of rows in each cluster.
    fn new(rows: &[u32], clusters: &[u32], k: usize) -> Self {
        let mut begins = vec![0; k + 1];
        clusters.iter().for_each(|&c| begins[c as usize + 1] += 1);
        (0..k).for_each(|c| begins[c + 1] += begins[c]);
        let (mut sorted, mut next) = (vec![0; rows.len()], begins.clone());
        for (&row, &c) in rows.iter().zip(clusters) {
            let place = &mut next[c as usize];
            sorted[*place as usize] = row;
            *place += 1;
        }
        Self { rows: sorted, begins }
    }

    fn of(&self, cluster: usize) -> &[u32] {
        &self.rows[self.begins[cluster] as usize..self.begins[cluster + 1] as usize]
    }
}

/// Sums as they are stored: the same bytes for the same rows, whatever was carried when.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Parts {
    dim: usize,
    /// A step is `2^-exponent`.
    exponent: i32,
    sizes: Vec<u64>,
    totals: Vec<i128>,
}

impl From<CentroidSums> for Parts {
    fn from(sums: CentroidSums) -> Self {
        let totals = sums.totals().collect();
        Self { dim: sums.dim, exponent: sums.steps.exponent(), sizes: sums.sizes, totals }
    }
}

impl TryFrom<Parts> for CentroidSums {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Self, String> {
        let Parts { dim, exponent, sizes, totals } = parts;
        let (numbers, k) = (totals.len(), sizes.len());
        if k.checked_mul(dim) != Some(numbers) {
            return Err(format!("{numbers} totals for {k} clusters of {dim} dimensions"));
        }
        let steps = FixedPoint::from_exponent(exponent)
            .ok_or_else(|| format!("no row is added up in steps of 2^-{exponent}"))?;
        let (recent, changes) = (vec![0; numbers], vec![0; k]);
        Ok(Self { steps, dim, sizes, recent, changes, carried: totals })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of any scale; their clusters; and the sums in `i128`, one number after the other.
    fn reference(sums: &CentroidSums, vectors: &[f32], clusters: &[u32]) -> Vec<i128> {
        let mut totals = vec![0; sums.recent.len()];
        for (row, &c) in vectors.chunks_exact(sums.dim).zip(clusters) {
            for (t, &x) in row.iter().enumerate() {
                let exact = f64::from(x) * 2_f64.powi(sums.steps.exponent());
                totals[c as usize * sums.dim + t] += exact.round_ties_even() as i128;
            }
        }
        totals
    }

    fn bytes(sums: &CentroidSums) -> String {
        serde_json::to_string(sums).unwrap()
    }

    proptest! {
        #[test]
        fn any_order_split_and_detour_gives_the_sums_of_a_plain_loop(
            rows in prop::collection::vec((prop::array::uniform3(-1_f32..1.0), 0_u32..4), 0..60),
            exponent in -60_i32..60,
            parts in 1_usize..7,
            turn in 0_usize..60,
        ) {
            let largest = 2_f32.powi(exponent);
            let vectors: Vec<f32> =
                rows.iter().flat_map(|(row, _)| row.map(|x| x * largest)).collect();
            let clusters: Vec<u32> = rows.iter().map(|&(_, c)| c).collect();
            let empty = CentroidSums::of_rows_up_to(largest, 4, 3).unwrap();
            let mut whole = empty.clone();
            whole.add(&vectors, &clusters).unwrap();
            let totals: Vec<i128> = whole.totals().collect();
            prop_assert_eq!(totals, reference(&whole, &vectors, &clusters));

            // Parts of a turned order, merged from the last to the first.
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.rotate_left(turn.min(rows.len()));
            let mut merged = empty.clone();
            for part in order.chunks(order.len().div_ceil(parts).max(1)).rev() {
                let mut sums = empty.clone();
                for &row in part {
                    sums.add(&vectors[3 * row..][..3], &clusters[row..=row]).unwrap();
                }
                // A part that ran twice, and was counted once.
                merged.merge(&sums).unwrap();
                merged.merge(&sums).unwrap();
                for &row in part {
                    merged.subtract(&vectors[3 * row..][..3], &clusters[row..=row]).unwrap();
                }
            }
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(bytes(&merged), bytes(&whole));

            // Every row goes to the next cluster and comes back.
            let away: Vec<u32> = clusters.iter().map(|c| (c + 1) % 4).collect();
            for (from, to) in [(&clusters, &away), (&away, &clusters)] {
                merged.subtract(&vectors, from).unwrap();
                merged.add(&vectors, to).unwrap();
            }
            prop_assert_eq!(bytes(&merged), bytes(&whole));
            for metric in [Metric::Spherical, Metric::Euclidean] {
                let previous = [0.5; 12];
                prop_assert_eq!(
                    merged.centroids(metric, &previous).unwrap(),
                    whole.centroids(metric, &previous).unwrap()
                );
            }
        }
    }

    #[test]
    fn sums_beyond_64_bits_are_carried_over_and_stay_exact() {
        // 8,192 rows of the largest number, often enough to pass 2^63 steps, in the first cluster.
        let vectors = [[2.0, -2.0]; BLOCK_ROWS].concat();
        let mut sums = CentroidSums::of_unit_rows(2, 2);
        for _ in 0..600 {
            sums.add(&vectors, &[0; BLOCK_ROWS]).unwrap();
        }
        sums.add(&[0.25, 0.5], &[1]).unwrap();
        let most = 600 * BLOCK_ROWS as i128 * (1 << 41);
        assert!(most > i128::from(i64::MAX));
        let totals: Vec<i128> = sums.totals().collect();
        assert_eq!(totals, [most, -most, 1 << 38, 1 << 39]);
        assert_eq!(sums.centroids(Metric::Euclidean, &[0.0; 4]).unwrap(), [2.0, -2.0, 0.25, 0.5]);
        for _ in 0..600 {
            sums.subtract(&vectors, &[0; BLOCK_ROWS]).unwrap();
        }
        let mut once = CentroidSums::of_unit_rows(2, 2);
        once.add(&[0.25, 0.5], &[1]).unwrap();
        assert_eq!(sums, once);
        assert_eq!(bytes(&sums), bytes(&once));
        sums.forget(1);
        assert_eq!(sums, once.empty());
    }

    #[test]
    fn stored_sums_come_back_and_broken_ones_are_refused() {
        let mut sums = CentroidSums::of_rows_up_to(1e9, 2, 1).unwrap();
        sums.add(&[1e9, -1e9, 1e9], &[0, 0, 1]).unwrap();
        let stored = bytes(&sums);
        let mut back: CentroidSums = serde_json::from_str(&stored).unwrap();
        assert_eq!(back, sums);
        back.subtract(&[-1e9], &[0]).unwrap();
        assert_eq!(back.sizes(), [1, 1]);
        assert_eq!(back.centroids(Metric::Euclidean, &[0.0, 0.0]).unwrap(), [1e9, 1e9]);
        for (from, to) in [("\"dim\":1", "\"dim\":2"), ("\"exponent\":10", "\"exponent\":999")] {
            assert!(stored.contains(from), "{stored}");
            assert!(serde_json::from_str::<CentroidSums>(&stored.replace(from, to)).is_err());
        }
    }

    #[test]
    fn what_cannot_be_added_is_named_and_changes_nothing() {
        let mut sums = CentroidSums::of_unit_rows(2, 2);
        sums.add(&[0.6, 0.8], &[1]).unwrap();
        let before = sums.clone();
        let mut complaint = |vectors: &[f32], clusters: &[u32]| {
            let error = sums.add(vectors, clusters).unwrap_err();
            assert_eq!(sums, before);
            error.to_string()
        };
        assert!(complaint(&[1.0, 0.0, 1.0], &[0]).contains("3 numbers for 1 "));
        assert!(complaint(&[1.0, 0.0, 1.0, 0.0], &[0, 2]).contains("row 1 is in cluster 2 of 2"));
        for bad in [2.1, f32::NAN, f32::NEG_INFINITY] {
            assert!(complaint(&[1.0, 0.0, bad, 0.0], &[0, 1]).contains("row 1 holds"), "{bad}");
        }
        let error = sums.subtract(&[1.0, 0.0], &[0]).unwrap_err();
        assert!(error.to_string().contains("cluster 0"), "{error}");
        assert_eq!(sums, before);
        assert!(sums.centroids(Metric::Spherical, &[0.0; 3]).is_err());
        let other = [
            CentroidSums::of_unit_rows(3, 2),
            CentroidSums::of_unit_rows(2, 3),
            CentroidSums::of_rows_up_to(5.0, 2, 2).unwrap(),
        ];
        for (other, what) in other.iter().zip(["clusters", "dimensions", "scale"]) {
            assert!(sums.merge(other).unwrap_err().to_string().contains(what));
        }
        assert_eq!(sums, before);
        for wrong in [f32::NAN, f32::INFINITY, -1.0] {
            assert!(CentroidSums::of_rows_up_to(wrong, 1, 1).is_err());
        }
    }

    #[test]
    fn rows_that_cancel_leave_the_centroid_where_it_was() {
        let mut sums = CentroidSums::of_unit_rows(3, 2);
        // In floating point 0.1 + 0.2 - 0.3 is not 0.
        sums.add(&[0.1, 0.0, 0.2, 0.0, -0.1, 0.0, -0.2, 0.0, 3e-1, 4e-1], &[0, 0, 0, 0, 1])
            .unwrap();
        let found = sums.centroids(Metric::Spherical, &[0.0, 1.0, 0.0, 1.0, -1.0, 0.0]).unwrap();
        assert_eq!(found, [0.0, 1.0, 0.6, 0.8, -1.0, 0.0]);
    }
}
