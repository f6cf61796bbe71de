//! A filter from open_clip weights: score every pair of a pool, keep the best, say why the others go.
//!
//! `cargo run --release -p curate-dfn --example filter_pool`. Name a folder of open_clip's and a pool of
//! your own to filter that.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;

use curate_core::{Cut, NoProgress, Selection};
use curate_dfn::{Network, filter::score_pairs};
use curate_io::{Pool, PoolOptions};

/// A folder with `open_clip_config.json` and `open_clip_model.safetensors`.
const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/filter");
/// Tar shards, or another layout that `curate-io` reads.
const POOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/pool");

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let network = Network::open(NETWORK.as_ref())?;
    let pool = Pool::open(POOL.as_ref(), PoolOptions::default(), &NoProgress)?;
    // The first rows only, so that the example is short; `pool.len()` for all.
    let rows = Selection::all(pool.len().min(100));
    let scores = score_pairs(&network, &pool, &rows, &NoProgress)?;

    // The DFN paper keeps the best 15 %. Any other cut of the same scores costs a sort.
    let best = Cut::Fraction(0.15);
    let kept = scores.select(best)?;
    println!(
        "{} of {} stay, {} at 30 %",
        kept.len(),
        rows.len(),
        scores.select(Cut::Fraction(0.3))?.len()
    );
    for removal in scores.removals(best)?.iter().take(5) {
        println!("{removal}");
    }
    let removals = scores.removals(best)?;
    assert_eq!(kept.len() + removals.len(), rows.len());
    assert_eq!(kept.len(), rows.len() * 15 / 100);
    Ok(())
}
