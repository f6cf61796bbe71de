//! Claims of the papers, measured again with the crates of this workspace.
//!
//! A module for each subject: [`scaling`] for the laws of data and compute, [`compute_aware`] for
//! what they choose, [`select_tiny`], [`dp4tl_tiny`] and [`dbp_tiny`] for ways to choose what a small
//! network learns, [`kd_pruning`] for distillation on pruned data, [`dfn_small`] and [`datacomp_tiny`] for
//! filters of image-text pairs. Each brings the
//! published data it needs (`data/SUBJECT`, with its provenance) or trains on real data
//! ([`fashion`]), fixes the numbers to reproduce and their tolerances as [`Claim`]s before it is
//! first run, and writes one result file below `docs/results`, from which the book's tables are
//! spliced. The next paper's claims are the next module, with a word for it in `main.rs`.
//!
//! Nothing here is published: a user of the crates needs none of it.

mod claim;
pub mod compute_aware;
pub mod datacomp_tiny;
pub mod dbp_tiny;
pub mod dfn_small;
pub mod dp4tl_tiny;
pub mod fashion;
mod intervals;
pub mod kd_pruning;
mod record;
pub mod scaling;
pub mod select_tiny;
mod tiny;

pub use claim::{Bar, Claim, Kind, OutOfReach};
pub use record::write;
