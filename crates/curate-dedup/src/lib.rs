//! Semantic deduplication: rows that mean the same, found inside clusters (SemDeDup, Abbas et al.
//! 2023, arXiv 2303.09540).
//!
//! One search gives every row its largest similarity to a *preferred* row of its cluster and that
//! row's number. Any epsilon, fraction or exact count is then a view on the result
//! ([`Duplicates::select`]) that costs one comparison a row.
//!
//! ```
//! use curate_core::{Cut, NoProgress, Rows};
//! use curate_dedup::SemanticDedupParams;
//! use ndarray::array;
//!
//! // The second row is almost the first; the third cannot be used.
//! let vectors = array![[1.0, 0.0], [0.9998, 0.02], [f32::NAN, 0.0], [0.0, 1.0]];
//! let rows = Rows::new(&vectors)?;
//! let found = SemanticDedupParams::new().clusters(1).check()?.run(&rows, &NoProgress)?;
//! assert_eq!(found.select(Cut::Epsilon(0.05))?.len(), 2);
//! assert_eq!(found.select(Cut::Top(3))?.rows(), [0, 1, 3]);
//! for removal in found.removals(Cut::Epsilon(0.05))? {
//!     println!("{removal}"); // who went, for whom, how near
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Bad rows are quarantined ([`Duplicates::faults`]), copies to the bit collapse first where that is asked
//! for, rows are clustered (or [`Inputs::clusters`] says how), put into an order of preference, compared,
//! and neighboring clusters are probed. All of that is behind [`SemanticDedup::run`].
//!
//! # The rule
//! In the order of preference of a cluster,
//! $$ M_j = \max\Bigl(0, \max_{i \text{ before } j} \langle x_i, x_j \rangle\Bigr) $$
//! and row $j$ goes when $M_j > 1 - \epsilon$, compared in f32 with the subtraction in f64. So a
//! **larger** epsilon removes more.
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | comparison | "similarity above 1 - epsilon" | strict `>`, ties stay | strict `>`, ties stay |
//! | row similar only to a removed row | one survivor of each group | is removed too | is removed too; stays with [`Mode::Greedy`] |
//! | which stays | lowest similarity to the centroid | the same (`hard`), `easy`, `random` | the same, or by a score |
//! | `random` | - | not repeatable | a hash of seed and id |
//! | a row with a NaN or an infinity | - | silently ends the search in its cluster | is set aside and changes nothing |
//! | epsilon for a wanted size | tuned by hand | tuned by hand | exact, [`curate_core::Cut::Top`] |
//! | an epsilon above 1 | - | removes every row, those that nothing is preferred to as well | is refused |
//! | which row caused a removal | - | not recorded | [`Duplicates::removals`] |
//! | exact copies | which one stays depends on rounding | the same | [`ExactCopies::Collapse`]: the smallest id, before the search |
//! | large cluster | - | an `m x m` matrix, or parts that are not compared | blocks, the same answer |
//! | pairs in different clusters | not found | not found | [`SemanticDedupParams::probes`], with the recall measured |
//! | number of clusters, epsilon | - | - | [`suggest_clusters`], [`suggest_epsilon`], with the reason |
//!
//! # Cost
//! Clustering, and $m^2 d$ operations for a cluster of $m$ rows of $d$ numbers. Each thread holds one
//! cluster and a packed copy; a cluster of more than [`curate_core::BLOCK_ROWS`] rows is read in pairs of
//! blocks instead, one cluster at a time. The result takes 12 bytes per row. Probing $p$ clusters for each
//! row costs about $2 p$ times as much again.
//!
//! Dependencies that are not optimized make this thirty times slower: in a debug build set
//! `[profile.dev.package."*"] opt-level = 3`.
//!
//! # When not to use it
//! Duplicates that the clustering put into different clusters are found only by probing: look at
//! [`Duplicates::recall`] before trusting a small number of removals.

mod error;
mod exact;
mod found;
mod matches;
mod params;
mod probe;
mod result;
mod run;
mod stream;
mod suggest;

pub use error::DedupError;
pub use exact::{ContentHash, ExactDuplicates};
pub use found::Found;
pub use matches::Matches;
pub use params::{ExactCopies, Mode, SemanticDedup, SemanticDedupParams, suggested_clusters};
pub use probe::{Probing, Recall};
pub use result::{Copy, Duplicates, EXACT_DUPLICATE, SEMANTIC_DUPLICATE};
pub use run::Inputs;
pub use suggest::{
    ClusterSuggestion, EpsilonSuggestion, sample_clusters, suggest_clusters, suggest_epsilon,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
