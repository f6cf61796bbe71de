//! A run holds what `plan` promised at the most, and no more for a row than the book says.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::path::Path;

use common::{go, recipe, rows, write_pool};
use curate_core::NoProgress;
use curate_pipeline::{Recipe, plan::plan};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most bytes on the heap while a recipe runs on one thread, beyond those before, and the promise.
fn peak_and_promise(recipe: &Recipe) -> (u64, u64) {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    alone.install(|| {
        let promised = plan(recipe, &NoProgress).unwrap().memory;
        let out = tempfile::tempdir().unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        go(recipe, out.path()).unwrap();
        ((MEMORY.peak_usage() - before) as u64, promised)
    })
}

const SCORES: &str = r#"
[[stage]]
kind = "score"
name = "clip"
column = "score"
[[stage]]
kind = "fraction"
score = "clip"
fraction = 0.9
[[stage]]
kind = "score"
name = "again"
column = "score"
[[stage]]
kind = "rank"
of = [{ score = "clip" }, { score = "again" }]
[[stage]]
kind = "threshold"
score = "rank"
at-least = 0.3
"#;

fn pool(folder: &Path, n: usize) {
    write_pool(folder, &rows(n), 50_000);
}

/// The bound that the book states: 48 bytes a row, 16 a row and stage, and a part that does not grow.
#[test]
fn a_row_takes_48_bytes_and_16_a_stage() {
    // Both fill the parts in which tables are written.
    let sizes = [150_000, 300_000];
    let peaks = sizes.map(|n| {
        let folder = tempfile::tempdir().unwrap();
        pool(folder.path(), n);
        let (peak, promised) = peak_and_promise(&recipe(folder.path(), SCORES));
        assert!(peak <= promised, "{n} rows: {peak} bytes, promised {promised}");
        println!("{n} rows: {peak} bytes, promised {promised}");
        peak
    });
    let a_row = (peaks[1] - peaks[0]) as f64 / (sizes[1] - sizes[0]) as f64;
    assert!(a_row <= 48.0 + 16.0 * 5.0, "{a_row} bytes a row");
}

#[test]
fn no_kind_of_stage_takes_more_than_the_promise() {
    let folder = tempfile::tempdir().unwrap();
    pool(folder.path(), 100_000);
    let embedding = "embedding = \"img\"";
    let recipes = [
        common::STAGES.replace("clusters = 5", "clusters = 200").replace("= 4", "= 100"),
        format!("[[stage]]\nkind = \"cluster\"\n{embedding}\nclusters = 100\n[[stage]]\nkind = \"semantic-dedup\"\n{embedding}\nclusters-from = \"cluster\"\nepsilon = 0.1\n"),
        "[[stage]]\nkind = \"score\"\ncosine = [\"img\", \"txt\"]\n[[stage]]\nkind = \"top\"\ncount = 50000\n".to_owned(),
        "[[stage]]\nkind = \"baseline\"\nrule = \"random_subset\"\nfraction = 0.5\n[[stage]]\nkind = \"combine\"\nop = \"minus\"\nof = [\"pool\", \"baseline\"]\n".to_owned(),
    ];
    for stages in recipes {
        let (peak, promised) = peak_and_promise(&recipe(folder.path(), &stages));
        println!("{peak} of {promised}: {stages}");
        assert!(peak <= promised, "{peak} bytes, promised {promised}: {stages}");
    }
}
