//! The best 30 % of a pool by CLIP score, as DataComp's `baselines.py` keeps them:
//! `cargo run --release -p curate-baselines --example clip_score`.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;

use curate_baselines::{Arch, BaselineName, BaselineParams};
use curate_core::NoProgress;
use curate_io::subset::{self, SubsetFormat};

/// A folder of metadata shards, `NAME.parquet`. Name DataComp's to filter that.
const METADATA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/datacomp_mini/metadata");

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let best =
        BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14).fraction(0.3).check()?;
    let found = best.subset(METADATA.as_ref(), &NoProgress)?;
    println!(
        "{} of {} rows stay, from a score of {:?}",
        found.ids.len(),
        found.rows,
        found.threshold
    );
    for (reason, count) in &found.dropped {
        println!("{count:>6} {reason}");
    }
    let file = std::env::temp_dir().join(format!("curate-clip-score-{}.npy", std::process::id()));
    subset::write(&file, SubsetFormat::Npy, &found.ids)?;
    println!("wrote {}", file.display());
    std::fs::remove_file(file)?;
    assert_eq!((found.rows, found.ids.len()), (300, 93), "90 rows and the ties");
    Ok(())
}
