//! Options of the stages that cluster: copies, probing, controls.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{Row, go, kept, recipe, rows, write_pool};
use curate_core::{Cut, SampleId};
use curate_pipeline::{Recipe, explain::explain, reselect::reselect};
use tempfile::TempDir;

/// 300 rows, the first 40 once more under larger ids.
fn pool() -> (TempDir, Vec<Row>) {
    let mut all = rows(300);
    let copies: Vec<Row> =
        all[..40].iter().map(|row| Row { id: row.id + (1_000 << 64), ..row.clone() }).collect();
    all.extend(copies);
    let folder = tempfile::tempdir().unwrap();
    write_pool(folder.path(), &all, 120);
    (folder, all)
}

fn dedup(options: &str) -> String {
    format!("[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nclusters = 9\n{options}\n")
}

fn told(folder: &Path, stage: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("stages").join(stage).join("stage.json"));
    let record: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    record["info"].clone()
}

#[test]
fn copies_go_first_and_the_smallest_id_stays() {
    let (pool, all) = pool();
    let out = tempfile::tempdir().unwrap();
    // At epsilon 0 the search itself removes nothing, copies apart.
    let stages = dedup("epsilon = 0.0\nexact-duplicates = true");
    go(&recipe(pool.path(), &stages), out.path()).unwrap();
    let expected: Vec<SampleId> = all[..300].iter().map(|row| SampleId(row.id)).collect();
    assert_eq!(kept(out.path()), expected);
    assert_eq!(told(out.path(), "01-dedup")["exact-duplicates"], 40);
    let why = explain(out.path(), &SampleId(all[300].id).to_string()).unwrap().to_string();
    assert!(why.contains("removed: exact-duplicate"), "{why}");
    assert!(why.contains(&format!("nearest {}", expected[0])), "{why}");
    let again = reselect(out.path(), None, Cut::Top(300)).unwrap();
    assert_eq!(again.ids, kept(out.path()));

    // By a score that falls with nothing in particular, some of the later copies stay.
    let score = "[[stage]]\nkind = \"score\"\ncolumn = \"score\"\n";
    let stages = format!(
        "{score}{}",
        dedup("epsilon = 0.0\nexact-duplicates = true\nprefer-score = \"score\"")
    );
    let out = tempfile::tempdir().unwrap();
    go(&recipe(pool.path(), &stages), out.path()).unwrap();
    let kept = kept(out.path());
    let later = kept.iter().filter(|id| id.0 > 1_000 << 64).count();
    assert_eq!(kept.len(), 300);
    assert!((5..35).contains(&later), "{later}");
}

#[test]
fn probing_removes_more_and_reports_its_recall() {
    let (pool, _) = pool();
    let run = |options: &str| {
        let out = tempfile::tempdir().unwrap();
        go(&recipe(pool.path(), &dedup(options)), out.path()).unwrap();
        (kept(out.path()), told(out.path(), "01-dedup"))
    };
    let (without, info) = run("epsilon = 0.1");
    assert!(info.get("probing").is_none());
    let (probed, info) = run("epsilon = 0.1\nprobes = 8");
    assert!(probed.len() < without.len(), "{} of {}", probed.len(), without.len());
    assert!(probed.iter().all(|id| without.contains(id)));
    let number = |key: &str| info["probing"][key].as_f64().unwrap();
    assert!(number("recall-without") < 1.0);
    assert_eq!(number("recall"), 1.0, "all clusters were probed");
}

#[test]
fn every_control_keeps_the_wanted_number_and_they_differ() {
    let (pool, _) = pool();
    let mut found = BTreeMap::new();
    for control in ["ssp", "ssp-balanced", "uniform", "proportional", "random", "stratified"] {
        let stages = format!(
            "[[stage]]\nkind = \"concept-prune\"\nembedding = \"img\"\nclusters = 7\n\
             count = 130\ncontrol = \"{control}\"\n"
        );
        let recipe = recipe(pool.path(), &stages);
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        let out = tempfile::tempdir().unwrap();
        go(&recipe, out.path()).unwrap();
        let info = told(out.path(), "01-prune");
        let quotas = info["clusters"].as_array().unwrap().iter();
        assert_eq!(quotas.map(|c| c["quota"].as_u64().unwrap()).sum::<u64>(), 130);
        let kept = kept(out.path());
        assert_eq!(kept.len(), 130, "{control}");
        found.insert(kept, control);
    }
    assert!(found.len() >= 5, "{:?}", found.values());
}

#[test]
fn mini_batches_and_splits_can_be_asked_for_and_nonsense_is_refused() {
    let (pool, _) = pool();
    let out = tempfile::tempdir().unwrap();
    let options = "epsilon = 0.1\nk-means.batch-rows = 64\nk-means.empty-clusters = \"split\"";
    go(&recipe(pool.path(), &dedup(options)), out.path()).unwrap();
    assert!(!kept(out.path()).is_empty());
    let problems = |options: &str| {
        let text = format!("[pool]\npath = \"p\"\n{}", dedup(options));
        Recipe::parse(&text).unwrap_err().join("\n")
    };
    assert!(problems("k-means.batch-rows = 0").contains("`k-means.batch-rows` must be at least 1"));
    let greedy = problems("epsilon = 0.1\nmode = \"greedy\"\nprobes = 2");
    assert!(greedy.contains("`probes` compares with rows that go as well"), "{greedy}");
}
