//! Which selection of a pool trains the better model, for which budget?
//!
//! [`CompareParams`] → [`check`](CompareParams::check) → [`Compare`]; [`Arena::open`] reads a pool and holds
//! a part of it out; [`Arena::entry`] is a selection of it; [`Contest`] trains the same model on every
//! selection, at every budget and with every seed, and [`Report`] ranks them.
//!
//! # Protocol
//! - A budget is samples seen, repeats included, whatever the selection's size: a small selection is seen more
//!   often. How often is counted and reported.
//! - A seed settles the weights that a model starts with, whatever it is trained on, so that selections are
//!   compared seed by seed.
//! - Rows that are held out are drawn by the hash of their ids, the same for all selections, and never
//!   trained on. Held-out captions are as noisy as the pool's; a test pool need not be.
//!
//! # What models are asked
//! | task | score | of which models |
//! |---|---|---|
//! | `retrieval` | the mean of recall at 1 from image to text and back (also at 5 and 10) | projections |
//! | `zero-shot` | the class whose descriptions are nearest: its name in several templates, or captions of rows of that class that are not held out | projections, with labels |
//! | `linear-probe` | logistic regression on embeddings of images | projections, with labels |
//! | `neighbors` | 20 weighted neighbors among embeddings of images | projections, with labels |
//! | `labels` | the model's own answer | models that learn labels |
//!
//! # Intervals
//! Student's t over the seeds. They hold the doubt about the training, not that about the test's rows, which
//! are the same for all. The best is the best of those that were seen: with many selections its lead is
//! flattered.
//!
//! # A folder of runs
//! ```text
//! comparison.json          what runs depend on: settings, the pool, the selections
//! runs/NAME/BUDGET-SEED.json
//! runs.csv                 pool, samples, unique, error: what scaling laws are fitted to
//! report.json
//! ```
//! Runs that are there are not made again. A folder of other settings is refused by their names; more
//! budgets, seeds and selections are no other settings.
//!
//! # Cost
//! Memory: features of images and of texts, up to 512 MiB each (larger ones stay on disk, and each step reads
//! its rows), or the pictures' pixels, up to 4 GiB; 50 bytes for each row of the pool; and one model a thread,
//! whatever the number of runs.

pub(crate) mod arena;
mod contest;
mod cost;
pub(crate) mod entry;
mod error;
mod features;
pub(crate) mod folder;
mod given;
mod params;
mod pixels;
mod record;
mod report;
pub(crate) mod stats;
pub(crate) mod trial;
pub(crate) mod workers;

pub use arena::Arena;
pub use contest::Contest;
pub use cost::Cost;
pub use entry::{Entry, UnknownIds};
pub use error::CompareError;
pub use folder::Existing;
pub use given::{Prompts, Source, Tests};
pub use params::{Compare, CompareParams, Model};
pub use record::{Record, Score, Task};
pub use report::{Ranked, Ranking, Report};
pub use stats::Mean;
