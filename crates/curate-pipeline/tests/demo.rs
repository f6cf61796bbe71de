//! The demonstration, end to end, on its real pool.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use curate_core::NoProgress;
use curate_io::{Pool, PoolOptions, subset, table::Reader};
use curate_pipeline::{Recipe, RunOptions, RunSummary, explain::explain, run};

fn demo() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo"].iter().collect()
}

fn curate(folder: &Path) -> RunSummary {
    let recipe = Recipe::read(&demo().join("recipe.toml")).unwrap();
    run(&recipe, folder, RunOptions::default(), &NoProgress).unwrap()
}

/// The files whose bytes must repeat: all but those that hold seconds.
fn results(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let stages = fs::read_dir(folder.join("stages")).unwrap().map(|e| e.unwrap().path());
    let rows = stages.flat_map(|stage| [stage.join("rows.parquet"), stage.join("centroids.npy")]);
    let outputs = ["subset.npy", "subset.parquet", "subset.txt", "evidence.parquet", "recipe.toml"];
    let files = outputs.map(|name| folder.join(name)).into_iter().chain(rows);
    files
        .filter(|file| file.exists())
        .map(|file| {
            (file.strip_prefix(folder).unwrap().display().to_string(), fs::read(&file).unwrap())
        })
        .collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let run_with = |threads| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| curate(folder.path()));
        results(folder.path())
    };
    let one = run_with(1);
    assert!(one.len() >= 11, "{:?}", one.keys());
    assert_eq!(one, run_with(2));
    assert_eq!(one, run_with(7));
}

#[test]
fn every_row_that_went_has_a_reason_and_no_other_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let summary = curate(folder.path());
    let kept: BTreeSet<_> =
        subset::read(&folder.path().join("subset.npy")).unwrap().into_iter().collect();
    let pool = Pool::open(&demo().join("pool"), PoolOptions::default(), &NoProgress).unwrap();
    assert_eq!((summary.rows, summary.kept), (pool.len(), kept.len()));
    let path = folder.path().join("evidence.parquet");
    let evidence = Reader::open(&path).unwrap();
    let reasons: BTreeSet<_> = evidence
        .text("uid", None)
        .unwrap()
        .into_iter()
        .map(|uid| uid.unwrap().parse().unwrap())
        .collect();
    let gone: BTreeSet<_> = pool.ids().iter().copied().filter(|id| !kept.contains(id)).collect();
    assert_eq!(reasons, gone);
    assert!(!gone.is_empty() && !kept.is_empty());

    // Explanations agree with the subset.
    for id in [kept.first().unwrap(), gone.first().unwrap()] {
        let explained = explain(folder.path(), &id.to_string()).unwrap();
        assert_eq!(explained.kept, kept.contains(id));
        assert_eq!(explained.steps.iter().any(|step| step.removal.is_some()), !explained.kept);
    }
}

#[test]
fn the_filters_find_most_of_the_planted_wrong_captions() {
    let folder = tempfile::tempdir().unwrap();
    curate(folder.path());
    let pool = Pool::open(&demo().join("pool"), PoolOptions::default(), &NoProgress).unwrap();
    let kinds = pool.labels("caption_kind").unwrap();
    let swapped: BTreeSet<usize> =
        (0..pool.len()).filter(|&row| kinds[row].as_deref() == Some("swapped")).collect();
    let dropped = |stage: &str| {
        let path = folder.path().join("stages").join(stage).join("rows.parquet");
        let filter = Reader::open(&path).unwrap();
        let (kept, rows) = (filter.bool("kept").unwrap(), filter.u64("row").unwrap());
        let gone = rows.into_iter().zip(kept).filter(|(_, kept)| !kept);
        gone.map(|(row, _)| row.unwrap() as usize).collect::<BTreeSet<usize>>()
    };
    let (network, joint) = (dropped("02-filter"), dropped("04-agree"));
    assert!(swapped.len() > 400, "{} rows were planted", swapped.len());
    // The network drops 10 %, so chance would find 10 %.
    let found = network.intersection(&swapped).count();
    assert!(found * 100 > swapped.len() * 15, "{found} of {}", swapped.len());
    // Both together drop a third.
    let found = found + joint.intersection(&swapped).count();
    assert!(found * 10 > swapped.len() * 8, "{found} of {}", swapped.len());
}

#[test]
fn the_report_shows_the_pictures_and_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    curate(folder.path());
    let html = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(html.matches("data:image/png;base64,").count() > 100);
    for fetched in ["src=\"http", "href=\"http", "<script"] {
        assert!(!html.contains(fetched), "the report has {fetched}");
    }
    for shown in ["Funnel", "Duplicate groups", "Concepts", "Kept by caption kind"] {
        assert!(html.contains(shown), "the report lacks {shown}");
    }
}

#[test]
fn the_bundle_is_small_and_says_its_licences() {
    fn bytes(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        entries.map(|p| if p.is_dir() { bytes(&p) } else { fs::metadata(&p).unwrap().len() }).sum()
    }
    assert!(bytes(&demo()) <= 17_000_000);
    let pool = Pool::open(&demo().join("pool"), PoolOptions::default(), &NoProgress).unwrap();
    let allowed = ["MIT", "Apache-2.0", "ISC", "CC0-1.0", "public-domain"];
    for license in pool.labels("license").unwrap() {
        assert!(allowed.contains(&license.as_deref().unwrap()), "{license:?}");
    }
    assert!(fs::read_dir(demo().join("LICENSES")).unwrap().count() >= 5);
}
