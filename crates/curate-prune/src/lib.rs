//! Concept-complexity pruning: how many rows of each concept (cluster) to keep, and which
//! (density-based pruning, Abbas et al. 2024, arXiv 2401.04578).
//!
//! 1. [`Complexity`]: how spread out each cluster is, times how far it lies from its neighbours.
//! 2. [`allocate`]: quotas that follow the complexity, at least a minimum and at most the
//!    cluster's size, summing exactly to the wanted number.
//! 3. [`select`]: the rows that fill each quota.
//!
//! [`AllocationReport`] says how uneven the shares are and where the bounds decided; [`Control`] has
//! the baselines that the method has to beat on the same clusters.
//!
//! ```
//! use curate_prune::allocate;
//!
//! // Two clusters of 3 and 100 rows; the small one is the complex one.
//! let quotas = allocate(&[0.8, 0.2], 10, &[1, 1], &[3, 100])?;
//! assert_eq!(quotas.counts, [3, 7]);
//! # Ok::<(), curate_prune::AllocationError>(())
//! ```
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | temperature | 0.1 | 0.5 by default | [`Preset::Paper`] 0.1, [`Preset::Code`] 0.5 |
//! | balance (share of an even quota guaranteed) | none, at least one row | 0.5 by default | the same by preset |
//! | quotas | quadratic program | OSQP, then rounding: the sum misses N | exact water-filling, largest remainder: the sum is N |
//! | self among the l nearest centroids | excluded | first column dropped, wrong for unnormalised centroids | excluded by index |
//! | fewer than l + 1 clusters | - | infinite distances | l becomes k - 1 |
//! | empty cluster | - | crash | mean complexity, quota 0 |
//! | impossible N | - | crash in rounding | [`AllocationError`] |

mod allocate;
mod complexity;
mod control;
mod report;
mod select;

pub use allocate::{AllocationError, Quotas, allocate};
pub use complexity::{Complexity, ComplexityError, softmax};
pub use control::{Clusters, Control};
pub use report::{AllocationReport, ClusterQuota};
pub use select::{Pick, farthest_first, select};

/// The two published settings.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What the paper reports as best: temperature 0.1, no balance.
    #[default]
    Paper,
    /// What the released code does unless told otherwise: temperature 0.5, balance 0.5.
    Code,
}

impl Preset {
    /// The softmax temperature.
    pub fn temperature(self) -> f64 {
        match self {
            Self::Paper => 0.1,
            Self::Code => 0.5,
        }
    }

    /// The share of an even quota that every cluster is guaranteed.
    pub fn balance(self) -> f64 {
        match self {
            Self::Paper => 0.0,
            Self::Code => 0.5,
        }
    }
}

/// The least rows of each cluster: `min(wanted / k * balance, size - 1)`, or `min(1, size - 1)`
/// without balance, and never below 0 (the bounds of the released code).
pub fn lower_bounds(wanted: usize, balance: f64, sizes: &[usize]) -> Vec<usize> {
    let even = wanted as f64 / sizes.len().max(1) as f64;
    let least = if balance > 0.0 { (even * balance) as usize } else { 1 };
    sizes.iter().map(|size| least.min(size.saturating_sub(1))).collect()
}
