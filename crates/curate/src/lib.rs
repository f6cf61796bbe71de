//! Decide which samples of a web-scale pool to train on, for the compute at hand.
//!
//! Score, deduplicate and prune an `ndarray` matrix; every answer is in rows of that matrix:
//!
//! ```
//! use curate::prelude::*;
//! use ndarray::Array2;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let angle = |i: usize| (i % 40) as f32 * 0.1 + i as f32 * 1e-4; // 400 rows, near copies of 40
//! let vectors = Array2::from_shape_fn((400, 2), |(i, t)| [angle(i).cos(), angle(i).sin()][t]);
//! let scores: Vec<f32> = (0..400).map(|i| (i * 7 % 400) as f32).collect();
//!
//! let rows = Rows::new(&vectors)?; // finite, of length 1; the id of a row is its number
//! let best = rows.select(&scores, Direction::HigherIsBetter, Cut::Fraction(0.5))?;
//! let dedup = SemanticDedupParams::new().seed(7).check()?;
//! let duplicates = dedup.run(&rows.only(&best)?, &NoProgress)?;
//! let kept = duplicates.select(Cut::Top(80))?; // or an epsilon, at no cost
//! let prune = ConceptPruneParams::paper().seed(7).check()?;
//! let pruned = prune.run(&rows.only(&kept)?, &NoProgress)?.select(Cut::Fraction(0.6))?;
//! assert_eq!((best.len(), kept.len(), pruned.len()), (200, 80, 48));
//! assert!(pruned.iter().all(|row| scores[row] >= 200.0)); // rows of the matrix, to the end
//! # Ok(())
//! # }
//! ```
//!
//! Why a row went, for whom and how near: [`dedup::Duplicates::removals`]. Vectors from disk, ids of your
//! own, any length: [`core::Given`]. In a debug build set `[profile.dev.package."*"] opt-level = 3`: without
//! optimized dependencies this takes thirty times as long.
//!
//! # Crates and features
//! This crate is a door: each module is a crate of its own that can be used alone. Without features it is
//! light: methods on arrays, no Parquet, no images, no networks.
//!
//! | module | feature | crate | what it does |
//! |---|---|---|---|
//! | [`core`] | | `curate-core` | ids, rows, cuts, selections, evidence, progress |
//! | [`cluster`] | (`linfa`) | `curate-cluster` | k-means; DBSCAN and Gaussian mixtures |
//! | [`dedup`] | | `curate-dedup` | semantic deduplication |
//! | [`prune`] | | `curate-prune` | concept-complexity pruning |
//! | `transfer` | `transfer` | `curate-transfer` | which classes of a pre-training set a target needs |
//! | `scaling` | `scaling` | `curate-scaling` | laws of data and compute: fit them, doubt them, decide with them |
//! | `io` | `io` (`hdf5`, `object-store`) | `curate-io` | pools and selections on disk, pools behind URLs |
//! | `baselines` | `baselines` | `curate-baselines` | DataComp's filtering baselines |
//! | `text` | `text` | `curate-text` | language identification, WordNet, DataComp's caption rules |
//! | `dfn` | `dfn` (`train`, `hub`) | `curate-dfn` | data filtering networks: load, embed, score, decide; train, fetch |
//! | `select` | `select` | `curate-select` | properties of a curated labeled set: imbalance, confusion, k-NN, CMMD |
//! | `eval` | `eval` | `curate-eval` | judge a selection by what a small model learns from it |
//! | `pipeline` | `pipeline` (`wgpu`, `cuda`) | `curate-pipeline` | recipes run over pools, with evidence, manifest and report |
//! | `report` | `report` | `curate-report` | one self-contained HTML file |
//!
//! # One shape of a method
//! `XParams` (a builder; `new()` has the published defaults) → `check()?` names every parameter out of range
//! at once → `X` → `run(&rows, &progress)?` → a result with the numbers of every row, which rows could not be
//! used, and the cause of every removal → `select(cut)?` for any [`Cut`](core::Cut), without computing again.

#[cfg(feature = "baselines")]
pub use curate_baselines as baselines;
pub use curate_cluster as cluster;
pub use curate_core as core;
pub use curate_dedup as dedup;
#[cfg(feature = "dfn")]
pub use curate_dfn as dfn;
#[cfg(feature = "eval")]
pub use curate_eval as eval;
#[cfg(feature = "io")]
pub use curate_io as io;
#[cfg(feature = "pipeline")]
pub use curate_pipeline as pipeline;
pub use curate_prune as prune;
#[cfg(feature = "report")]
pub use curate_report as report;
#[cfg(feature = "scaling")]
pub use curate_scaling as scaling;
#[cfg(feature = "select")]
pub use curate_select as select;
#[cfg(feature = "text")]
pub use curate_text as text;
#[cfg(feature = "transfer")]
pub use curate_transfer as transfer;

/// What most programs need; all of these names can be used together.
pub mod prelude {
    pub use curate_cluster::{Clusters, KMeansParams, Metric, Preference};
    pub use curate_core::{
        Cut, EmbeddingSource, Given, NoProgress, Progress, Removal, Rows, SampleId, Selection,
        fault::NormPolicy, rank::Direction,
    };
    pub use curate_dedup::{Duplicates, SemanticDedup, SemanticDedupParams};
    #[cfg(feature = "io")]
    pub use curate_io::{Pool, PoolOptions};
    #[cfg(feature = "pipeline")]
    pub use curate_pipeline::{Recipe, RunOptions, run};
    pub use curate_prune::{ConceptPrune, ConceptPruneParams, Concepts};
}
