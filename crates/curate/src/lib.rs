//! Decide which samples of a web-scale pool to train on, for the compute at hand.
//!
//! This crate is a door: each module is a crate of its own that can be used alone.
//!
//! | module | crate | what it does |
//! |---|---|---|
//! | [`core`] | `curate-core` | ids, embedding sources, cuts, selections, evidence, progress |
//! | [`io`] | `curate-io` | pools and selections on disk; pools behind URLs with the feature `object-store` |
//! | [`cluster`] | `curate-cluster` | k-means |
//! | [`dedup`] | `curate-dedup` | semantic deduplication |
//! | [`prune`] | `curate-prune` | concept-complexity pruning |
//! | [`baselines`] | `curate-baselines` | DataComp's filtering baselines |
//! | `dfn` | `curate-dfn`, feature `dfn` | data filtering networks: load, embed, score, decide; train with the feature `train`, fetch with `hub` |
//! | `eval` | `curate-eval`, feature `eval` | judge a selection by what a small model learns from it |
//! | [`scaling`] | `curate-scaling` | laws of data and compute: fit them, doubt them, decide with them |
//! | [`text`] | `curate-text` | language identification, WordNet, DataComp's caption rules |
//! | [`pipeline`] | `curate-pipeline` | recipes run over pools, with evidence, manifest and report |
//! | [`report`] | `curate-report` | one self-contained HTML file |
//!
//! ```
//! use curate::prelude::*;
//!
//! let recipe = Recipe::parse(
//!     r#"
//!     [pool]
//!     path = "pool"
//!
//!     [[stage]]
//!     kind = "score"
//!     cosine = ["l14_img", "l14_txt"]
//!
//!     [[stage]]
//!     kind = "fraction"
//!     fraction = 0.3
//!     "#,
//! );
//! assert_eq!(recipe.map(|recipe| recipe.stages.len()), Ok(2));
//! ```

pub use curate_baselines as baselines;
pub use curate_cluster as cluster;
pub use curate_core as core;
pub use curate_dedup as dedup;
#[cfg(feature = "dfn")]
pub use curate_dfn as dfn;
#[cfg(feature = "eval")]
pub use curate_eval as eval;
pub use curate_io as io;
pub use curate_pipeline as pipeline;
pub use curate_prune as prune;
pub use curate_report as report;
pub use curate_scaling as scaling;
pub use curate_text as text;

/// What most programs need.
pub mod prelude {
    pub use curate_cluster::{KMeansParams, Metric, Preference};
    pub use curate_core::{
        Cut, EmbeddingSource, Given, NoProgress, Progress, Rows, SampleId, Selection,
        rank::Direction,
    };
    pub use curate_dedup::SemanticDedupParams;
    pub use curate_io::{Pool, PoolOptions};
    pub use curate_pipeline::{Recipe, RunOptions, run};
    pub use curate_prune::ConceptPruneParams;
}
