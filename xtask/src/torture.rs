//! `cargo xtask torture`: kills, full disks, two at once and damaged files, for as long as there is time.
//!
//! The tests of the program hold a short form of it; this is the same code with more time.

use std::{
    env, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{CHECKED, cargo, number_after, root, run};

const USAGE: &str = "cargo xtask torture [--minutes N] [--seed S] [--record]";

/// Ten minutes and a seed from the clock if left out. With `--record` the counts go to
/// `docs/results/torture.json`, which the book shows.
pub(crate) fn torture(words: &[&str]) -> Result<()> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (mut minutes, mut seed, mut record) = (10, clock, false);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut number = || number_after(word, words.next(), USAGE);
        match word {
            "--minutes" => minutes = number()?,
            "--seed" => seed = number()?,
            "--record" => record = true,
            other => bail!("`{other}` is not understood: {USAGE}"),
        }
    }
    eprintln!("{minutes} minutes, seed {seed}");
    let folder = root().join("target/torture");
    fs::create_dir_all(&folder)?;
    let counts = folder.join("counts.json");
    // With the features of the other tests, so that nothing is built twice.
    let mut tests = cargo(&["test", "--package", "curate-cli", "--test", "torture"]);
    tests.args(CHECKED);
    tests.args(["--", "--nocapture", "for_as_long_as_was_asked"]);
    tests.env("CURATE_TORTURE_MINUTES", minutes.to_string());
    tests.env("CURATE_TORTURE_SEED", seed.to_string()).env("CURATE_TORTURE_RESULTS", &counts);
    run(tests)?;
    let counts: Value = serde_json::from_str(&fs::read_to_string(&counts)?)?;
    println!("{counts:#}");
    if record {
        let version = env!("CARGO_PKG_VERSION");
        let all = json!({ "minutes": minutes, "seed": seed, "version": version, "counts": counts });
        let path = root().join("docs/results/torture.json");
        fs::write(&path, format!("{all:#}\n")).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
