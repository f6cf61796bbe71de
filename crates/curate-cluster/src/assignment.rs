//! Which cluster each row is in.

use serde::{Deserialize, Serialize};

use crate::{ClusterError, Metric, sums::check_clusters};

/// The cluster of each row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    k: usize,
    cluster: Vec<u32>,
    nearness: Vec<f32>,
}

impl Assignment {
    /// Rows assigned to `k` clusters, one entry of each list a row: the index of its cluster, and how
    /// near its centroid is (the inner product when spherical, the squared distance when Euclidean).
    ///
    /// # Errors
    /// When the lists differ in length, or a cluster is not below `k`.
    pub fn new(k: usize, cluster: Vec<u32>, nearness: Vec<f32>) -> Result<Self, ClusterError> {
        check_length("nearness", nearness.len(), cluster.len())?;
        check_clusters(&cluster, k)?;
        Ok(Self { k, cluster, nearness })
    }

    /// No rows, for `k` clusters.
    pub(crate) fn empty(k: usize) -> Self {
        Self { k, ..Self::default() }
    }

    /// Adds rows that a search among `k` centroids placed.
    pub(crate) fn extend(&mut self, cluster: &[u32], nearness: &[f32]) {
        self.cluster.extend_from_slice(cluster);
        self.nearness.extend_from_slice(nearness);
    }

    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.cluster.len()
    }

    /// The index of each row's cluster, below [`Self::k`].
    pub fn cluster(&self) -> &[u32] {
        &self.cluster
    }

    /// How near each row's centroid is: the inner product when spherical, the squared distance when
    /// Euclidean.
    pub fn nearness(&self) -> &[f32] {
        &self.nearness
    }

    /// Rows in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.k];
        self.cluster.iter().for_each(|&cluster| sizes[cluster as usize] += 1);
        sizes
    }

    /// How far each row is from its centroid: [`Metric::distance`].
    pub fn distances(&self, metric: Metric) -> Vec<f32> {
        self.nearness.iter().map(|&nearness| metric.distance(nearness)).collect()
    }

    /// The rows of each cluster, ascending.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> =
            self.sizes().into_iter().map(Vec::with_capacity).collect();
        for (row, &cluster) in self.cluster.iter().enumerate() {
            members[cluster as usize].push(row);
        }
        members
    }

    /// Some of the rows, which have to be there, in the order given.
    pub(crate) fn of(&self, rows: &[usize]) -> Self {
        Self {
            k: self.k,
            cluster: rows.iter().map(|&row| self.cluster[row]).collect(),
            nearness: rows.iter().map(|&row| self.nearness[row]).collect(),
        }
    }

    /// The same rows, as near as they are, in one cluster.
    pub fn together(&self) -> Self {
        Self { k: 1, cluster: vec![0; self.rows()], nearness: self.nearness.clone() }
    }
}

/// An error when a list has not one entry for each row.
pub(crate) fn check_length(
    argument: &'static str,
    given: usize,
    rows: usize,
) -> Result<(), ClusterError> {
    match given == rows {
        true => Ok(()),
        false => Err(ClusterError::LengthMismatch { argument, given, rows }),
    }
}
