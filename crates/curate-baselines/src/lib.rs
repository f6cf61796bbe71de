//! DataComp's filtering baselines: the subset files of its `baselines.py`, byte for byte, faster and in
//! bounded memory (Gadre et al. 2023, arXiv 2304.14108).
//!
//! Not so the languages of `laion2b`, which DataComp names with CLD3, and `random_subset`, which it does not
//! have. The rules are `no_filter`, `basic_filter`, `clip_score`, `laion2b`, `text_based`, `image_based`,
//! `image_based_intersect_clip_score`, and a seeded `random_subset`.
//!
//! ```
//! use curate_baselines::{Arch, BaselineName, BaselineParams, MetadataShard};
//! use curate_core::{Cut, NoProgress};
//! # use curate_io::table::{self, Column};
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("0.parquet");
//! # let ids = ["7", "8", "9", "a", "b"].map(str::to_owned).to_vec();
//! # let scores = Column::F32(vec![0.31, 0.12, f32::NAN, 0.28, 0.28]);
//! # table::write(&file, vec![("uid", Column::Text(ids)), ("clip_l14_similarity_score", scores)])?;
//!
//! let best = BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14).fraction(0.3).check()?;
//! // DataComp's command: ids of all shards of a folder.
//! let subset = best.subset(folder.path(), &NoProgress)?;
//! assert_eq!(subset.ids.len(), 3, "the score at place 1 from the top, and its tie");
//! // The same with a verdict on every row, and any other cut of the same scores.
//! let verdicts = best.run(&[MetadataShard::open(&file)?], &NoProgress)?;
//! assert_eq!(verdicts.kept().rows(), [0, 3, 4]);
//! assert_eq!(verdicts.select(Cut::Top(2))?.rows(), [0, 3]);
//! let removals: Vec<String> = verdicts.removals().map(|removal| removal.to_string()).collect();
//! assert_eq!(removals, ["row 1: low-score, 0.12 against 0.28", "row 2: score-missing"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`BaselineParams`] → [`check`](BaselineParams::check) → [`Baseline`] → [`run`](Baseline::run) →
//! [`Verdicts`]; or [`subset`](Baseline::subset) → [`Subset`] for a pool whose verdicts are too many to
//! hold: ids sorted, **repeats included**, as [`curate_io::subset::write`] takes them. Rows of another
//! layout than DataComp's come in by [`MetadataRows`].
//!
//! # The paper, its code and this crate
//! | | paper | DataComp's code | this crate |
//! |---|---|---|---|
//! | `fraction` | "the top 30 %" | the score at place `int(N f)` from the top, then `>=`: ties make it more | the same ([`ScoreFloor::Fraction`]), found by counting, without all scores in memory; an exact fraction by [`Verdicts::select`] |
//! | a NaN score | - | counts in `N`, is never kept | the same; where the fraction ends among them no row is kept |
//! | `fraction` 1.0 | - | crashes | refused, with a remedy |
//! | a threshold against f32 or f16 scores | - | compared in their precision | the same |
//! | a missing caption | - | crashes | dropped and counted |
//! | uids without their leading zeros | - | swapped halves in some helpers | read as the number they are |
//! | image clusters | k-means on ViT-L/14 features | largest plain inner product with centroids that are not of length one | the same |
//! | features with a NaN | - | the first cluster | dropped and counted |
//! | language of `laion2b` | gcld3 | gcld3 | a model of yours, or the built-in one |
//! | `random_subset` | a random sample | - | a hash of seed and id |
//! | memory | - | all columns of all shards | one shard's captions a thread, and the ids kept |
//!
//! # Features
//! `schema` adds JSON Schema of the types that recipes use.
//!
//! # Cost
//! One pass over the columns that the rule reads. `fraction` adds two passes over the score column, or
//! up to four for billions of rows; `clip_score` does without where the first shard is like the others.
//! Memory: [`Baseline::subset`] holds 16 bytes for each id that stays and one shard's captions a thread,
//! [`Baseline::run`] 28 bytes for each row, and 16 more for the ids of rules that can be cut anew. Results
//! do not depend on the number of threads.
//!
//! # When not to use it
//! These are baselines: at equal compute a trained filter (`curate-dfn`) selects better data. Without
//! DataComp's language model, `basic_filter`, `laion2b`, `text_based` and `image_based` give another
//! subset than DataComp's. `text_based` needs WordNet's files, `image_based` DataComp's centroids and
//! ImageNet's features: none of them is bundled.
//!
//! # References
//! - Gadre et al. 2023, *DataComp: In search of the next generation of multimodal datasets*,
//!   arXiv 2304.14108: section 3.3 and appendix D.
//! - Schuhmann et al. 2022, *LAION-5B*, arXiv 2210.08402: the rule `laion2b`.

mod answer;
mod buckets;
mod error;
mod image;
mod inputs;
mod judge;
mod one_pass;
mod params;
mod rows;
mod rule;
mod run;
mod subset;
mod verdict;

pub use answer::Subset;
pub use error::BaselineError;
pub use image::{Concepts, FEATURES};
pub use inputs::{Inputs, LoadedInputs};
pub use params::{Baseline, BaselineParams, MorphyRule};
pub use rows::{MetadataRows, MetadataShard};
pub use rule::{Arch, BaselineName, Rule, ScoreFloor};
pub use run::Verdicts;
pub use verdict::{DropReason, Verdict};
