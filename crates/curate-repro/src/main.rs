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
        ["select-tiny", root] => curate_repro::select_tiny::write_results(Path::new(root))?,
        ["dp4tl-tiny", root] => curate_repro::dp4tl_tiny::write_results(Path::new(root))?,
        ["dbp-tiny", root] => curate_repro::dbp_tiny::write_results(Path::new(root))?,
        _ => bail!(
            "give the subject (scaling, select-tiny, dp4tl-tiny, dbp-tiny) and the workspace's folder"
        ),
    };
    println!("wrote {}", written.display());
    Ok(())
}
