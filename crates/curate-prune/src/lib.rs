//! Concept-complexity pruning: how many rows of each concept (cluster) to keep, and which
//! (density-based pruning, Abbas et al. 2024, arXiv 2401.04578).
//!
//! ```
//! use curate_core::{Cut, NoProgress, Rows};
//! use curate_prune::ConceptPruneParams;
//! use ndarray::Array2;
//!
//! // Twenty rows that are nearly one direction, and twenty that are spread out.
//! let vectors = Array2::from_shape_fn((40, 2), |(i, t)| {
//!     let angle = if i < 20 { 0.001 * i as f32 } else { 1.5 + 0.05 * i as f32 };
//!     if t == 0 { angle.cos() } else { angle.sin() }
//! });
//! let rows = Rows::new(&vectors)?;
//! let prune = ConceptPruneParams::paper().clusters(2).seed(1).check()?;
//! let concepts = prune.run(&rows, &NoProgress)?;
//! let kept = concepts.select(Cut::Fraction(0.5))?;
//! assert_eq!(kept.len(), 20);
//! let spread_out = kept.iter().filter(|&row| row >= 20).count();
//! assert_eq!(spread_out, 14, "the complex concept keeps more than its half");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Behind [`ConceptPrune::run`] and [`Concepts::select`]:
//! 1. Bad rows are quarantined, the others clustered (or [`Inputs::clusters`] says how).
//! 2. [`Complexity`]: how spread out each cluster is, times how far it lies from its neighbors:
//!    $C_j = d^{\text{intra}}_j \cdot d^{\text{inter}}_j$, each a mean of `1 - cosine`.
//! 3. [`softmax`] at a temperature $\tau$ makes shares of them: $P_j = \mathrm{softmax}(C / \tau)_j$.
//! 4. [`allocate`]: quotas nearest to $N P_j$, at least a minimum and at most the cluster's size, summing
//!    exactly to $N$.
//! 5. [`select()`]: the rows that fill each quota.
//!
//! Each step is a function of its own. [`AllocationReport`] says how uneven the shares are and where the
//! bounds decided; [`Control`] has the baselines that the method has to beat on the same clusters.
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | temperature | 0.1 | 0.5 by default | [`Preset::Paper`] 0.1, [`Preset::Code`] 0.5 |
//! | balance (share of an even quota guaranteed) | none, at least one row | 0.5 by default | the same by preset |
//! | quotas | quadratic program | OSQP, then rounding: the sum misses N | exact water-filling, largest remainder: the sum is N |
//! | self among the l nearest centroids | excluded | first column dropped, wrong for unnormalized centroids | excluded by index |
//! | fewer than l + 1 clusters | - | infinite distances | l becomes k - 1 |
//! | empty cluster | - | crash | mean complexity, quota 0 |
//! | impossible N | - | crash in rounding | [`AllocationError`] |
//!
//! # After deduplication
//! Give what deduplication kept: `rows.only(&kept)?`. Clustered again, as the paper does it, the concepts
//! are those of the rows that are left; with the clusters of the deduplication ([`Inputs::clusters`])
//! nothing is clustered twice, and each cluster is still as spread out as its remaining rows are.
//!
//! # Cost
//! Clustering, then $k^2 d$ operations for the distances between centroids and a sort of each cluster.
//! 32 bytes per row.
//!
//! # When not to use it
//! With a handful of rows in each cluster complexity is noise: take fewer clusters, or a plain score.

mod allocate;
mod complexity;
mod control;
mod error;
mod params;
mod report;
mod run;
mod select;

pub use allocate::{AllocationError, Quotas, allocate};
pub use complexity::{Complexity, softmax};
pub use control::Control;
pub use error::PruneError;
pub use params::{ConceptPrune, ConceptPruneParams, Preset, Share, suggested_clusters};
pub use report::{AllocationReport, ClusterQuota};
pub use run::{CONCEPT_QUOTA, CONTROL, Concepts, Inputs, Pruned};
pub use select::{Pick, farthest_first, select};

/// The least rows of each cluster: `min(wanted / k * balance, size - 1)`, or `min(1, size - 1)`
/// without balance, and never below 0 (the bounds of the released code).
pub fn lower_bounds(wanted: usize, balance: f64, sizes: &[usize]) -> Vec<usize> {
    let even = wanted as f64 / sizes.len().max(1) as f64;
    let least = if balance > 0.0 { (even * balance) as usize } else { 1 };
    sizes.iter().map(|size| least.min(size.saturating_sub(1))).collect()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
