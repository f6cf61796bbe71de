//! Runs: resumed, refused, damaged, branched, and looked at again.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{collections::BTreeSet, fs};

use common::{CancelAfter, Row, STAGES, go, kept, recipe, results, rows, write_pool};
use curate_core::{Cut, NoProgress, SampleId};
use curate_io::table::Reader;
use curate_pipeline::{
    Error, Recipe, RunOptions, compare::compare, explain::explain, plan::plan, reselect::reselect,
    run,
};
use tempfile::TempDir;

/// A pool of 300 rows in a temporary folder.
fn pool() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_pool(folder.path(), &rows(300), 120);
    folder
}

#[test]
fn a_finished_run_is_read_not_computed() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let recipe = recipe(pool.path(), STAGES);
    assert!(go(&recipe, out.path()).unwrap().reused.is_empty());
    let before = results(out.path());
    let again = go(&recipe, out.path()).unwrap();
    assert_eq!(again.reused, ["score", "fraction", "dedup", "prune"]);
    assert_eq!(results(out.path()), before);
}

#[test]
fn a_run_cancelled_anywhere_leaves_no_result_and_then_ends_the_same() {
    let pool = pool();
    let recipe = recipe(pool.path(), STAGES);
    let whole = tempfile::tempdir().unwrap();
    go(&recipe, whole.path()).unwrap();
    let expected = results(whole.path());
    let mut cancelled = 0;
    for questions in (0..60).step_by(3) {
        let out = tempfile::tempdir().unwrap();
        let stop = CancelAfter::new(questions);
        match run(&recipe, out.path(), RunOptions::default(), &stop) {
            Err(error) => {
                assert!(error.is_cancelled(), "{error}");
                cancelled += 1;
                for name in ["subset.npy", "evidence.parquet", "report.html", "manifest.json"] {
                    assert!(!out.path().join(name).exists(), "{name} after {questions}");
                }
            }
            Ok(_) => assert!(out.path().join("manifest.json").exists()),
        }
        go(&recipe, out.path()).unwrap();
        assert_eq!(results(out.path()), expected, "after {questions}");
    }
    assert!(cancelled >= 5, "only {cancelled} runs were cancelled");
}

#[test]
fn other_settings_are_refused_by_name_and_overwrite_computes_what_changed() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let before = results(out.path());
    let changed = recipe(pool.path(), &STAGES.replace("epsilon = 0.05", "epsilon = 0.2"));
    let error = go(&changed, out.path()).unwrap_err();
    assert!(matches!(&error, Error::Conflict { stage, .. } if stage == "dedup"), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("`epsilon` was 0.05, is 0.2") && message.contains("replace it"),
        "{message}"
    );
    assert_eq!(results(out.path()), before, "a refused run changes nothing");

    let overwrite = RunOptions { overwrite: true };
    let summary = run(&changed, out.path(), overwrite, &NoProgress).unwrap();
    assert_eq!(summary.reused, ["score", "fraction"]);
    let fresh = tempfile::tempdir().unwrap();
    go(&changed, fresh.path()).unwrap();
    assert_eq!(results(out.path()), results(fresh.path()));
}

#[test]
fn outputs_of_an_earlier_run_do_not_outlive_it() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let mut recipe = recipe(pool.path(), STAGES);
    go(&recipe, out.path()).unwrap();
    recipe.output.formats = vec![curate_io::subset::SubsetFormat::Ids];
    go(&recipe, out.path()).unwrap();
    assert!(out.path().join("subset.txt").exists() && !out.path().join("subset.npy").exists());

    let changed = common::recipe(pool.path(), &STAGES.replace("epsilon = 0.05", "epsilon = 0.2"));
    let stop = CancelAfter::new(12);
    let overwrite = RunOptions { overwrite: true };
    assert!(run(&changed, out.path(), overwrite, &stop).unwrap_err().is_cancelled());
    for name in ["manifest.json", "subset.txt", "evidence.parquet", "report.html"] {
        assert!(!out.path().join(name).exists(), "{name} is of the earlier run");
    }
}

#[test]
fn another_pool_or_seed_is_refused() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let mut recipe = recipe(pool.path(), STAGES);
    go(&recipe, out.path()).unwrap();
    recipe.seed += 1;
    assert!(matches!(go(&recipe, out.path()).unwrap_err(), Error::Conflict { .. }));
    recipe.seed -= 1;
    write_pool(pool.path(), &rows(299), 120);
    assert!(matches!(go(&recipe, out.path()).unwrap_err(), Error::Conflict { .. }));
}

#[test]
fn a_damaged_stage_is_refused_by_name_and_can_be_replaced() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let recipe = recipe(pool.path(), STAGES);
    go(&recipe, out.path()).unwrap();
    let before = results(out.path());
    let overwrite = RunOptions { overwrite: true };
    let damage =
        [("rows.parquet", "its digest differs"), ("stage.json", "is not a record of a stage")];
    for (file, expected) in damage {
        fs::write(out.path().join("stages/03-dedup").join(file), b"damaged").unwrap();
        let error = go(&recipe, out.path()).unwrap_err().to_string();
        assert!(
            error.contains(file) && error.contains(expected) && !error.contains("--"),
            "{error}"
        );
        run(&recipe, out.path(), overwrite, &NoProgress).unwrap();
        assert_eq!(results(out.path()), before);
    }
}

#[test]
fn a_stage_that_the_recipe_no_longer_has_leaves_the_folder() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let shorter = &STAGES[..STAGES.find("[[stage]]\nkind = \"concept").unwrap()];
    go(&recipe(pool.path(), shorter), out.path()).unwrap();
    assert!(!out.path().join("stages/04-prune").exists());
    assert!(out.path().join("stages/03-dedup").exists());
}

#[test]
fn the_split_into_shards_changes_nothing() {
    let kept_of = |per_shard| {
        let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_pool(pool.path(), &rows(300), per_shard);
        go(&recipe(pool.path(), STAGES), out.path()).unwrap();
        kept(out.path())
    };
    let whole = kept_of(300);
    assert!(!whole.is_empty());
    assert_eq!(whole, kept_of(37));
}

/// Rows whose vectors cannot be used, put between the good ones.
fn with_bad_rows(good: &[Row]) -> Vec<Row> {
    let mut all = Vec::new();
    for (i, row) in good.iter().enumerate() {
        all.push(row.clone());
        if i % 40 == 0 {
            let mut bad = row.clone();
            bad.id += 1;
            match i / 40 % 4 {
                0 => bad.vector[2] = f32::NAN,
                1 => bad.vector[1] = f32::INFINITY,
                2 => bad.vector = [0.0; common::DIM],
                _ => bad.vector.iter_mut().for_each(|x| *x *= 3.0),
            }
            all.push(bad);
        }
    }
    all
}

#[test]
fn bad_vectors_are_counted_and_change_no_other_rows_fate() {
    let good = rows(300);
    let stages = [
        "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nclusters = 5\nepsilon = 0.1",
        "[[stage]]\nkind = \"concept-prune\"\nembedding = \"img\"\nclusters = 5\ncount = 120",
    ];
    for stages in stages {
        let kept_of = |rows: &[Row]| {
            let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            write_pool(pool.path(), rows, 100);
            let summary = go(&recipe(pool.path(), stages), out.path()).unwrap();
            (kept(out.path()), summary.stages[0].removed.clone())
        };
        let (expected, _) = kept_of(&good);
        let (found, removed) = kept_of(&with_bad_rows(&good));
        assert_eq!(found, expected);
        for fault in ["embedding-nan", "embedding-infinite", "embedding-zero", "embedding-not-unit"]
        {
            assert_eq!(removed[fault], 2, "{fault}");
        }
    }
}

#[test]
fn a_cosine_leaves_bad_rows_out_and_needs_one_space() {
    let pool = tempfile::tempdir().unwrap();
    write_pool(pool.path(), &with_bad_rows(&rows(80)), 100);
    let out = tempfile::tempdir().unwrap();
    let stage = "[[stage]]\nkind = \"score\"\ncosine = [\"img\", \"txt\"]";
    let summary = go(&recipe(pool.path(), stage), out.path()).unwrap();
    // 82 rows, of which one has a NaN and one an infinity.
    assert_eq!(summary.kept, 80);
    let path = out.path().join("stages/01-score/rows.parquet");
    let reader = Reader::open(&path).unwrap();
    let (value, kept) = (reader.f32("value").unwrap(), reader.bool("kept").unwrap());
    assert!(value.iter().zip(kept).filter(|(_, kept)| *kept).all(|(v, _)| (v - 1.0).abs() < 1e-6));
}

#[test]
fn a_pool_of_other_lengths_says_how_to_accept_them() {
    let mut all = rows(60);
    all.iter_mut().for_each(|row| row.vector.iter_mut().for_each(|x| *x *= 5.0));
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &all, 100);
    let stage = "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\n";
    let error = go(&recipe(pool.path(), stage), out.path()).unwrap_err().to_string();
    assert!(
        error.contains("60 of 60 vectors of `img` do not have length 1 (median 5.000)"),
        "{error}"
    );
    assert!(error.contains("set `norm = \"any\"`"), "{error}");
    let any = format!("{stage}norm = \"any\"");
    assert!(go(&recipe(pool.path(), &any), out.path()).unwrap().kept > 0);
}

const BRANCHES: &str = r#"
[[stage]]
kind = "score"
column = "score"
[[stage]]
kind = "top"
name = "best"
count = 100
[[stage]]
kind = "semantic-dedup"
name = "distinct"
from = "pool"
embedding = "img"
clusters = 5
epsilon = 0.1
[[stage]]
kind = "combine"
op = "intersect"
of = ["best", "distinct"]
"#;

#[test]
fn evidence_covers_exactly_what_went_also_with_branches() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    for op in ["intersect", "union", "minus"] {
        let stages = BRANCHES.replace("intersect", op);
        run(&recipe(pool.path(), &stages), out.path(), RunOptions { overwrite: true }, &NoProgress)
            .unwrap();
        let kept: BTreeSet<_> = kept(out.path()).into_iter().collect();
        let path = out.path().join("evidence.parquet");
        let evidence = Reader::open(&path).unwrap().text("uid", None).unwrap();
        let gone: BTreeSet<SampleId> =
            evidence.into_iter().map(|uid| uid.unwrap().parse().unwrap()).collect();
        assert!(kept.is_disjoint(&gone), "{op}");
        assert_eq!(kept.len() + gone.len(), 300, "{op}");
        assert!(!kept.is_empty() && !gone.is_empty(), "{op}");
    }
}

#[test]
fn a_subset_file_can_be_combined() {
    let (pool, first, second) =
        (pool(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    go(&recipe(pool.path(), STAGES), first.path()).unwrap();
    let file = first.path().join("subset.npy");
    let stages = format!(
        "[[stage]]\nkind = \"combine\"\nop = \"minus\"\nof = [\"pool\", {:?}]",
        file.display().to_string()
    );
    go(&recipe(pool.path(), &stages), second.path()).unwrap();
    let (a, b) = (kept(first.path()), kept(second.path()));
    assert_eq!(a.len() + b.len(), 300);
    let found = compare(first.path(), second.path()).unwrap();
    assert_eq!((found.both, found.jaccard), (0, 0.0));
    assert!(
        found.settings.iter().any(|s| s.contains("stage `dedup`: only in the first")),
        "{:?}",
        found.settings
    );
}

#[test]
fn a_new_cut_is_what_a_run_with_that_threshold_keeps() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let up_to = |end: &str| {
        &STAGES[..STAGES.find(end).map_or(STAGES.len(), |at| at - "[[stage]]\nkind = \"".len())]
    };
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let fresh = |stages: &str| {
        let folder = tempfile::tempdir().unwrap();
        go(&recipe(pool.path(), stages), folder.path()).unwrap();
        kept(folder.path())
    };
    for epsilon in [0.001, 0.02, 0.3] {
        let found = reselect(out.path(), Some("dedup"), Cut::Epsilon(epsilon)).unwrap();
        let stages = up_to("concept").replace("epsilon = 0.05", &format!("epsilon = {epsilon}"));
        assert_eq!(found.ids, fresh(&stages), "{epsilon}");
    }
    for fraction in [0.1, 0.5, 1.0] {
        let found = reselect(out.path(), Some("fraction"), Cut::Fraction(fraction)).unwrap();
        let stages = up_to("semantic").replace("fraction = 0.8", &format!("fraction = {fraction}"));
        assert_eq!(found.ids, fresh(&stages), "{fraction}");
    }
    assert_eq!(reselect(out.path(), Some("score"), Cut::Top(17)).unwrap().ids.len(), 17);
    let error = reselect(out.path(), Some("prune"), Cut::Epsilon(0.1)).unwrap_err().to_string();
    assert!(
        error.contains("stage `prune` has no numbers for this cut; usable here: `dedup`"),
        "{error}"
    );
}

#[test]
fn every_kind_of_row_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    write_pool(folder.path(), &with_bad_rows(&rows(300)), 120);
    let out = tempfile::tempdir().unwrap();
    go(&recipe(folder.path(), STAGES), out.path()).unwrap();
    let path = out.path().join("evidence.parquet");
    let evidence = Reader::open(&path).unwrap();
    let (uids, rules) = (evidence.text("uid", None).unwrap(), evidence.text("rule", None).unwrap());
    let first = |rule: &str| {
        let at = rules.iter().position(|r| r.as_deref() == Some(rule)).unwrap();
        explain(out.path(), uids[at].as_deref().unwrap()).unwrap()
    };
    let duplicate = first("semantic-duplicate");
    let step = duplicate.steps.last().unwrap();
    assert!(step.related.is_some() && step.value.unwrap() > step.threshold.unwrap());
    assert!(duplicate.to_string().contains("removed: semantic-duplicate"));
    assert!(first("concept-quota").to_string().contains("rank"));
    assert!(first("fraction").to_string().contains("removed: fraction"));
    assert!(first("embedding-nan").to_string().contains("removed: embedding-nan"));
    let stays = explain(out.path(), &kept(out.path())[0].to_string()).unwrap();
    assert!(stays.kept && stays.steps.len() == 4);
    let error = explain(out.path(), "ffff").unwrap_err().to_string();
    assert!(error.contains("no sample of the pool has the id or key `ffff`"), "{error}");
}

#[test]
fn every_default_is_written_back_and_read_again() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let text = fs::read_to_string(out.path().join("recipe.toml")).unwrap();
    for default in
        ["temperature = 0.1", "neighbours = 20", "preference = \"hard\"", "bad-shards = \"error\""]
    {
        assert!(text.contains(default), "{default} is missing:\n{text}");
    }
    let again = Recipe::parse(&text).unwrap();
    assert_eq!(again.to_toml(), text);
    let other = tempfile::tempdir().unwrap();
    go(&again, other.path()).unwrap();
    assert_eq!(kept(other.path()), kept(out.path()));
}

#[test]
fn a_folder_that_another_run_works_on_is_refused() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let _lock = curate_io::lock::FolderLock::take(out.path()).unwrap();
    let error = go(&recipe(pool.path(), STAGES), out.path()).unwrap_err().to_string();
    assert!(
        error.contains("is being written to by another process; wait until it ends"),
        "{error}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let file = out.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let error = go(&recipe(pool.path(), STAGES), &file.join("run")).unwrap_err().to_string();
    assert!(error.contains("file/run: could not be created"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let stage = out.path().join("stages/01-score");
    fs::create_dir_all(&stage).unwrap();
    let left = stage.join(".curate-x1y2z3.part");
    fs::write(&left, b"half of").unwrap();
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_run_among_the_pools_shards_is_refused() {
    let pool = pool();
    let error = go(&recipe(pool.path(), STAGES), pool.path()).unwrap_err().to_string();
    assert!(error.contains("holds the pool's shards; choose another folder"), "{error}");
    assert!(!pool.path().join("stages").exists());
}

#[test]
fn a_pool_that_changed_is_not_explained() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let mut other = rows(300);
    other.swap(0, 1);
    write_pool(pool.path(), &other, 120);
    let error = explain(out.path(), &kept(out.path())[0].to_string()).unwrap_err().to_string();
    assert!(error.contains("has changed since it was curated; run the recipe again"), "{error}");
}

#[test]
fn a_shard_with_damaged_embeddings_can_be_left_out() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    fs::write(pool.path().join("0001.npz"), b"damaged").unwrap();
    let mut recipe = recipe(pool.path(), STAGES);
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("0001.npz: is not an npz file"), "{error}");
    recipe.pool.bad_shards = curate_io::pool::BadShards::Skip;
    assert_eq!(plan(&recipe, &NoProgress).unwrap().rows, 180, "the plan is that of the run");
    assert_eq!(go(&recipe, out.path()).unwrap().rows, 180);
    let manifest = fs::read_to_string(out.path().join("manifest.json")).unwrap();
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(manifest.contains("\"name\": \"0001\"") && report.contains("Shard 0001 was left out"));
}

#[test]
fn a_seed_that_toml_cannot_hold_is_refused() {
    let (pool, out) = (pool(), tempfile::tempdir().unwrap());
    let mut recipe = recipe(pool.path(), STAGES);
    recipe.seed = u64::MAX;
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("`seed` must be at most"), "{error}");
}
