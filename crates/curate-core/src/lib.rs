//! What every curation method shares: who a sample is, where its vectors come from, what a
//! method says of it, and which samples a decision keeps.
//!
//! This crate knows no file system, no device and no command line. A method takes an
//! [`EmbeddingSource`] or plain slices and answers with per-row values; a [`Cut`] turns values
//! into a [`Selection`]; a [`Removal`] says why a row went.
//!
//! ```
//! use curate_core::{Cut, rank::Direction};
//!
//! let scores = [0.31, f32::NAN, 0.12, 0.31];
//! let ids = [7_u64, 8, 9, 3].map(Into::into);
//! let outcome = Cut::Top(1).apply(&scores, &ids, Direction::HigherIsBetter)?;
//! // Equal scores: the smaller id wins. A NaN score is never kept.
//! assert_eq!(outcome.kept.rows(), [3]);
//! # Ok::<(), curate_core::CutError>(())
//! ```
//!
//! # Rules that hold in every crate built on this one
//! - **The same bytes for any number of threads.** Sums run over fixed blocks of rows in block
//!   order ([`BLOCK_ROWS`]); ties have a total order; random draws are [`random::hash`] of a seed and
//!   an id, never a shared stream.
//! - **Bad rows never spread.** [`fault::check`] finds NaN, infinite, zero and unnormalized rows
//!   before a method runs.
//! - **Methods never print**; they report through [`Progress`], which may also cancel them.

pub mod embedding;
pub mod evidence;
pub mod examined;
pub mod fault;
pub mod guard;
pub mod id;
#[cfg(feature = "json")]
pub mod json;
pub mod params;
pub mod progress;
pub mod random;
pub mod rank;
pub mod rows;
pub mod score;
pub mod selection;
pub mod stream;
pub mod vectors;

pub use embedding::{BLOCK_ROWS, EmbeddingSource, SourceError};
pub use evidence::Removal;
pub use examined::Examined;
pub use id::{IdError, SampleId};
pub use params::{ParamsError, Violation};
pub use progress::{Cancelled, NoProgress, Progress, Quiet, StageOf};
pub use rank::{Cut, CutError};
pub use rows::{Given, Rows, RowsError};
pub use score::ScoreColumn;
pub use selection::Selection;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
