//! Recipes run over pools.
//!
//! A [`Recipe`] lists stages; [`run()`] carries them out over a [`curate_io::Pool`], one after the
//! other, and writes each stage's result to the run folder before the next one starts. An interrupted
//! run resumes where it stopped; a stage whose inputs and settings are unchanged is read, not computed.
//!
//! ```
//! use curate_pipeline::Recipe;
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
//!     fraction = 1.5
//!     "#,
//! );
//! assert_eq!(recipe.unwrap_err().len(), 1, "everything that is wrong, by stage and key");
//! ```
//!
//! ```text
//! run/
//!   recipe.toml        the recipe with every default
//!   stages/NN-NAME/    rows.parquet (a value and a verdict for every row), stage.json, centroids.npy
//!   subset.npy …       the ids that stay, in the forms asked for
//!   evidence.parquet   why each of the others went
//!   manifest.json      settings, versions, digests, counts and seconds
//!   report.html        all of it to look at
//! ```
//!
//! [`explain::explain`] tells why one sample stayed or went, [`reselect::reselect`] applies another threshold to a
//! finished stage without computing it again, [`compare::compare`] sets two selections side by side.

mod advance;
mod ahead;
pub mod compare;
mod concept;
pub mod concepts;
mod earlier;
mod error;
pub mod evidence;
mod execute;
pub mod explain;
mod folder;
mod gone;
mod inputs;
pub mod inspect;
pub mod joined;
pub mod manifest;
mod page;
pub mod plan;
mod problems;
pub mod recipe;
mod record;
mod report;
pub mod reselect;
mod rows;
pub mod run;
mod stage;
mod stages;
pub mod tasks;
mod words;

pub use advance::RunOptions;
pub use error::Error;
pub use execute::{RunSummary, run};
pub use recipe::Recipe;
pub use record::StageRecord;
pub use rows::{RemovedRows, StageRows};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
