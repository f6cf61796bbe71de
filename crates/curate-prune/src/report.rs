//! What an allocation did: how uneven the shares are, and where the bounds decided.

use serde::{Deserialize, Serialize};

use crate::{PruneError, Quotas};

/// One cluster's quota.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterQuota {
    /// Rows there are.
    pub size: usize,
    /// The least it has to keep.
    pub least: usize,
    /// The share that was asked for it.
    pub share: f64,
    /// That share of the rows kept, before bounds.
    pub goal: f64,
    /// The exact optimum under the bounds.
    pub exact: f64,
    /// Rows kept.
    pub quota: usize,
}

/// An allocation, for people to judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllocationReport {
    /// One entry a cluster.
    pub clusters: Vec<ClusterQuota>,
    /// The largest share over the smallest, of clusters with rows; 1 means that the shares decide
    /// nothing. Infinite when a share is 0.
    pub spread: f64,
    /// Clusters without rows.
    pub empty: usize,
    /// Clusters with rows that keep no more than they have to.
    pub at_least: usize,
    /// Clusters with rows that keep all of them.
    pub at_most: usize,
    /// The share of the rows kept that the bounds moved: half the sum of `|exact - goal|`, over the
    /// number of rows kept.
    pub moved: f64,
}

impl AllocationReport {
    /// Reports quotas that [`crate::allocate`] gave for these shares, minima and sizes.
    ///
    /// # Errors
    /// When they differ in number.
    pub fn new(
        quotas: &Quotas,
        share: &[f64],
        least: &[usize],
        sizes: &[usize],
    ) -> Result<Self, PruneError> {
        let k = quotas.counts.len();
        let given = [("shares", share.len()), ("minima", least.len()), ("sizes", sizes.len())];
        if let Some(&(what, given)) = given.iter().find(|&&(_, given)| given != k) {
            return Err(PruneError::Mismatch { what, given, of: "clusters", expected: k });
        }
        let kept: usize = quotas.counts.iter().sum();
        let clusters: Vec<ClusterQuota> = (0..k)
            .map(|c| ClusterQuota {
                size: sizes[c],
                least: least[c],
                share: share[c],
                goal: share[c] * kept as f64,
                exact: quotas.exact[c],
                quota: quotas.counts[c],
            })
            .collect();
        let filled = || clusters.iter().filter(|c| c.size > 0);
        let most = filled().map(|c| c.share).fold(0.0, f64::max);
        let smallest = filled().map(|c| c.share).fold(f64::INFINITY, f64::min);
        let moved: f64 = clusters.iter().map(|c| (c.exact - c.goal).abs()).sum();
        Ok(Self {
            spread: if smallest.is_finite() { most / smallest } else { 1.0 },
            empty: k - filled().count(),
            at_least: filled().filter(|c| c.quota == c.least).count(),
            at_most: filled().filter(|c| c.quota == c.size).count(),
            moved: 0.5 * moved / kept.max(1) as f64,
            clusters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocate;

    #[test]
    fn a_hand_computed_case() {
        let (share, least, sizes) = ([0.6, 0.2, 0.1, 0.1], [1, 1, 1, 0], [4, 100, 100, 0]);
        let quotas = allocate(&share, 10, &least, &sizes).unwrap();
        let report = AllocationReport::new(&quotas, &share, &least, &sizes).unwrap();
        // Goals 6, 2, 1, 1: the first is cut to 4, the empty one to 0, the others get 1.5 each.
        let exact: Vec<f64> = report.clusters.iter().map(|c| c.exact).collect();
        assert_eq!(exact, [4.0, 3.5, 2.5, 0.0]);
        assert_eq!((report.empty, report.at_least, report.at_most), (1, 0, 1));
        assert!((report.spread - 6.0).abs() < 1e-12);
        assert!((report.moved - 0.3).abs() < 1e-12);
        assert!((report.clusters[0].goal - 6.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_allocate_is_no_trouble() {
        let quotas = allocate(&[], 0, &[], &[]).unwrap();
        let report = AllocationReport::new(&quotas, &[], &[], &[]).unwrap();
        assert_eq!((report.spread, report.moved), (1.0, 0.0));
        let quotas = allocate(&[0.5, 0.5], 0, &[0, 0], &[3, 0]).unwrap();
        let report = AllocationReport::new(&quotas, &[0.5, 0.5], &[0, 0], &[3, 0]).unwrap();
        assert_eq!((report.at_least, report.at_most, report.empty), (1, 0, 1));
    }
}
