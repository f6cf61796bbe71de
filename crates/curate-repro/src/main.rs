//! Measures the claims of one subject again: `curate-repro SUBJECT ROOT`, with `ROOT` the
//! workspace's folder. `cargo xtask repro SUBJECT` runs it.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use anyhow::{Result, bail};
use std::path::Path;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let written = match words[..] {
        ["scaling", root] => curate_repro::scaling::write_results(Path::new(root))?,
        ["kd-pruning", root] => curate_repro::kd_pruning::write_results(Path::new(root))?,
        _ => bail!("give the subject (scaling, kd-pruning) and the workspace's folder"),
    };
    println!("wrote {}", written.display());
    Ok(())
}
