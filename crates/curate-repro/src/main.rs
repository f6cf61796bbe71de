//! Measures the claims of one subject again: `curate-repro SUBJECT ROOT`, with `ROOT` the
//! workspace's folder. `cargo xtask repro SUBJECT` runs it.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use anyhow::{Context, Result, bail};
use curate_repro::{
    compute_aware, datacomp_tiny, dbp_tiny, dfn_small, dp4tl_tiny, kd_pruning, scaling, select_tiny,
};
use std::path::{Path, PathBuf};

/// Measures a subject and writes its result file below the workspace's folder.
type Measure = fn(&Path) -> Result<PathBuf>;

/// What can be measured.
const SUBJECTS: &[(&str, Measure)] = &[
    ("scaling", scaling::write_results),
    ("compute-aware", compute_aware::write_results),
    ("compute-aware-demo", compute_aware::write_demo_results),
    ("select-tiny", select_tiny::write_results),
    ("dp4tl-tiny", dp4tl_tiny::write_results),
    ("dbp-tiny", dbp_tiny::write_results),
    ("kd-pruning", kd_pruning::write_results),
    ("dfn-small", dfn_small::write_results),
    ("datacomp-tiny", datacomp_tiny::write_results),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let names = || SUBJECTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let [subject, root] = &args[..] else {
        bail!("give the subject ({}) and the workspace's folder", names());
    };
    let found = SUBJECTS.iter().find(|(name, _)| name == subject);
    let (_, measure) = found.with_context(|| format!("the subjects are {}", names()))?;
    println!("wrote {}", measure(Path::new(root))?.display());
    Ok(())
}
