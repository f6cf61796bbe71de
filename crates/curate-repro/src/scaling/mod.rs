//! The published numbers that `curate-scaling` must reproduce.
//!
//! The functions that take a folder want [`data_folder`]; its `PROVENANCE.md` says where every
//! number comes from. Expected values and tolerances are fixed here; the measured values are
//! computed from the folder each time.

mod ahead;
mod coverage;
mod data_constrained;
mod figures;
mod grid;
mod noise;
mod qqt;
mod real;
mod statistics;
mod tables;

pub(crate) use ahead::laws;
pub use ahead::{Ahead, ahead};
pub use coverage::{Coverage, coverage};
pub use grid::{Cell, Given, grid, linspace};
pub use tables::{
    clip, datablations, dmsl, gadre, openclip_series, regmix_test, regmix_train, synthetic,
};

use crate::Claim;
use anyhow::{Context, Result};
use curate_scaling::{Observation, Observations};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Sub-samples of each published table that are fitted to predict its larger runs.
const SUB_SAMPLES: usize = 20;

/// The published data, in the source.
pub fn data_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/scaling"))
}

/// Measures everything, draws the book's plots, and writes `docs/results/scaling.json`,
/// `docs/results/five_runs.csv` and `docs/src/img/scaling-*.svg` below `root`. Returns the first.
///
/// # Errors
/// Missing data, and files that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let data = data_folder();
    let (results, images) = (root.join("docs/results"), root.join("docs/src/img"));
    let runs = clip(data)?;
    let b16 = in_group(&runs, "ViT-B-16");
    let b32 = in_group(&runs, "ViT-B-32");
    let ahead = ahead(data, SUB_SAMPLES)?;
    let claims = [claims(data)?, ahead::claims(&ahead)].concat();
    let report = json!({
        "command": "cargo xtask repro scaling",
        "trade_off": figures::trade_off(&b16, &images)?,
        "ridge": figures::ridge(&b16, &images)?,
        "five_runs": figures::five_runs(&b32, &results.join("five_runs.csv"), &images)?,
        "ahead": ahead,
        "claims": claims,
    });
    let path = results.join("scaling.json");
    let text = serde_json::to_string_pretty(&report)? + "\n";
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Every claim. The coverage study is the slow part; [`quick_claims`] leaves it out.
///
/// # Errors
/// Missing or unreadable files in the folder.
pub fn claims(folder: &Path) -> Result<Vec<Claim>> {
    let mut all = quick_claims(folder)?;
    all.extend(coverage::claims()?);
    Ok(all)
}

/// Every claim but the coverage study.
///
/// # Errors
/// Missing or unreadable files in the folder.
pub fn quick_claims(folder: &Path) -> Result<Vec<Claim>> {
    let mut all = qqt::claims(folder)?;
    all.extend(data_constrained::claims(folder)?);
    all.extend(real::claims(folder)?);
    Ok(all)
}

/// The runs of one group, for example one architecture.
fn in_group(runs: &Observations, group: &str) -> Observations {
    runs.filter(|row| row.group.as_deref() == Some(group))
}

/// Samples seen; NaN where the table does not say.
fn seen(row: &Observation) -> f64 {
    row.samples.unwrap_or(f64::NAN)
}
