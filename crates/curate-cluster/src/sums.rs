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
                ("clusters", sums.sizes.len() as i128),
                ("dimensions", sums.dim as i128),
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
mod tests;
