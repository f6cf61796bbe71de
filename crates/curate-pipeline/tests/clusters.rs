//! Clusters as a stage of their own, shared by dedup and pruning, or brought from another program.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::{DIM, Row, go, kept, recipe, rows, write_pool};
use curate_core::{NoProgress, SampleId};
use curate_io::{
    npy::f32_table,
    table::{self, Column, Reader},
};
use curate_pipeline::{Recipe, explain::explain, plan::plan};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn pool_of(rows: &[Row]) -> TempDir {
    let folder = folder();
    write_pool(folder.path(), rows, 100);
    folder
}

const CLUSTER: &str = "[[stage]]\nkind = \"cluster\"\nembedding = \"img\"\n";
const DEDUP: &str = "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nepsilon = 0.1\n";
const PRUNE: &str = "[[stage]]\nkind = \"concept-prune\"\nembedding = \"img\"\ncount = 90\n";

/// The columns of a stage's rows: cluster and whether the row stays, by row of the pool.
fn clusters(out: &Path, stage: &str) -> BTreeMap<usize, (Option<u64>, bool)> {
    let path = out.join("stages").join(stage).join("rows.parquet");
    let reader = Reader::open(&path).unwrap();
    let rows = reader.u64("row").unwrap().into_iter().map(|row| row.unwrap() as usize);
    rows.zip(reader.u64("cluster").unwrap().into_iter().zip(reader.bool("kept").unwrap())).collect()
}

fn told(out: &Path, stage: &str) -> serde_json::Value {
    let text = fs::read_to_string(out.join("stages").join(stage).join("stage.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["info"].clone()
}

#[test]
fn shared_clusters_give_what_a_stage_of_its_own_would_have_found() {
    let all = rows(300);
    let pool = pool_of(&all);
    for stage in [DEDUP, PRUNE] {
        let (own, shared) = (folder(), folder());
        go(&recipe(pool.path(), &format!("{stage}clusters = 9")), own.path()).unwrap();
        let stages = format!("{CLUSTER}clusters = 9\n{stage}clusters-from = \"cluster\"");
        let recipe = recipe(pool.path(), &stages);
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        go(&recipe, shared.path()).unwrap();
        assert_eq!(kept(own.path()), kept(shared.path()), "{stage}");
        assert!(kept(own.path()).len() < 300);
    }
}

#[test]
fn two_stages_share_one_clustering_and_its_settings_count_for_both() {
    let all = rows(300);
    let (pool, out) = (pool_of(&all), folder());
    let stages = |k: usize| {
        format!(
            "{CLUSTER}clusters = {k}\n{DEDUP}clusters-from = \"cluster\"\n{PRUNE}clusters-from = \"cluster\""
        )
    };
    let first = recipe(pool.path(), &stages(9));
    go(&first, out.path()).unwrap();
    let by_stage = ["01-cluster", "02-dedup", "03-prune"].map(|stage| clusters(out.path(), stage));
    for (row, (cluster, _)) in &by_stage[2] {
        assert_eq!(by_stage[0][row].0, *cluster);
        assert_eq!(by_stage[1][row].0, *cluster);
    }
    assert!(told(out.path(), "02-dedup").get("k-means").is_none());
    assert_eq!(told(out.path(), "01-cluster")["sizes"].as_array().unwrap().len(), 9);
    assert_eq!(go(&first, out.path()).unwrap().reused.len(), 3);
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(report.contains("Sizes of clusters") && report.contains("All concepts"));
    let id = kept(out.path())[0].to_string();
    assert!(explain(out.path(), &id).unwrap().to_string().contains("to its centroid"));

    // Clustering is priced once.
    let planned = plan(&first, &NoProgress).unwrap();
    let own = recipe(pool.path(), &format!("{DEDUP}clusters = 9\n{PRUNE}clusters = 9"));
    assert!(planned.operations < plan(&own, &NoProgress).unwrap().operations);

    // Other clusters are another result of every stage that shares them.
    let run = out.path().join("other");
    go(&first, &run).unwrap();
    fs::remove_dir_all(run.join("stages/01-cluster")).unwrap();
    let error = go(&recipe(pool.path(), &stages(8)), &run).unwrap_err().to_string();
    assert!(error.contains("stage `dedup` was computed with other settings"), "{error}");
}

fn written(path: &Path, key: &str) -> String {
    format!("{CLUSTER}{key} = {:?}\n", path.display().to_string())
}

#[test]
fn centroids_of_another_program_take_each_row_to_the_nearest() {
    let all = rows(120);
    let (pool, out) = (pool_of(&all), folder());
    // Two axes, one of them not of length 1, as faiss's Euclidean means are.
    let mut centroids = vec![0.0_f32; 2 * DIM];
    (centroids[0], centroids[DIM + 1]) = (1.0, 0.25);
    let path = out.path().join("faiss.npy");
    fs::write(&path, f32_table(&centroids, 2, DIM).unwrap()).unwrap();
    let stages = format!("{}{DEDUP}clusters-from = \"cluster\"", written(&path, "centroids"));
    let run = out.path().join("run");
    go(&recipe(pool.path(), &stages), &run).unwrap();
    for (row, (cluster, kept)) in clusters(&run, "01-cluster") {
        let nearest = u64::from(all[row].vector[1] > all[row].vector[0]);
        assert_eq!((cluster, kept), (Some(nearest), true), "{row}");
    }
    let narrow = out.path().join("narrow.npy");
    fs::write(&narrow, f32_table(&[1.0; 3], 1, 3).unwrap()).unwrap();
    let stages = written(&narrow, "centroids");
    let error = go(&recipe(pool.path(), &stages), &out.path().join("n")).unwrap_err().to_string();
    assert!(error.contains("centroids of 3 numbers, the embedding has 8"), "{error}");
}

#[test]
fn an_assignment_by_id_is_taken_and_rows_without_a_cluster_go() {
    let all = rows(120);
    let (pool, out) = (pool_of(&all), folder());
    // As HDBSCAN writes them: -1 is noise. Row 3 is not named.
    let of = |row: usize| if row.is_multiple_of(10) { -1.0 } else { (row / 2 % 6) as f32 };
    let named: Vec<usize> = (0..120).rev().filter(|&row| row != 3).collect();
    let path: PathBuf = out.path().join("clusters.parquet");
    let columns = vec![
        ("uid", Column::Text(named.iter().map(|&r| SampleId(all[r].id).to_string()).collect())),
        ("cluster", Column::F32(named.iter().map(|&row| of(row)).collect())),
    ];
    table::write(&path, columns).unwrap();
    let stages = format!("{}{PRUNE}clusters-from = \"cluster\"", written(&path, "assignment"));
    let run = out.path().join("run");
    let summary = go(&recipe(pool.path(), &stages), &run).unwrap();
    assert_eq!(summary.stages[0].removed["no-cluster"], 13);
    for (row, (cluster, kept)) in clusters(&run, "01-cluster") {
        let expected = (row != 3 && row % 10 != 0).then_some((row / 2 % 6) as u64);
        assert_eq!((cluster, kept), (expected, expected.is_some()), "{row}");
    }
    assert_eq!(summary.kept, 90);

    // A stage that is given rows without a cluster removes them for that.
    let stages = format!("{stages}\nfrom = \"pool\"");
    let summary = go(&recipe(pool.path(), &stages), &out.path().join("all")).unwrap();
    assert_eq!(summary.stages[1].removed["no-cluster"], 13);
    assert_eq!(summary.kept, 90);
}

#[test]
fn clusters_of_a_stage_that_does_not_cluster_are_refused() {
    let problems = |stages: &str| {
        Recipe::parse(&format!("[pool]\npath = \"p\"\n{stages}")).unwrap_err().join("\n")
    };
    let found = problems(&format!("{DEDUP}clusters-from = \"nobody\""));
    let expected = "no earlier cluster stage is named `nobody`; put a `cluster` stage before it";
    assert!(found.contains(expected), "{found}");
    let found = problems(&format!("{CLUSTER}clusters = 3\n{DEDUP}clusters-from = \"clusters\""));
    assert!(found.contains("no earlier cluster stage is named `clusters`; there are `cluster`"));
    let found = problems(&format!(
        "{CLUSTER}clusters = 3\n{DEDUP}clusters-from = \"cluster\"\nclusters = 2"
    ));
    assert!(found.contains("give one of `clusters` and `clusters-from`"), "{found}");
}

#[cfg(feature = "linfa")]
#[test]
fn density_and_gaussians_are_shared_like_k_means() {
    let all = rows(120);
    let (pool, out) = (pool_of(&all), folder());
    for (name, method) in [
        ("dbscan", "method = \"dbscan\"\ncosine = 0.9\nmin-points = 2"),
        ("gaussians", "method = \"gaussian-mixture\"\nclusters = 3"),
    ] {
        let stages = format!("{CLUSTER}{method}\n{DEDUP}clusters-from = \"cluster\"");
        let run = out.path().join(name);
        go(&recipe(pool.path(), &stages), &run).unwrap();
        let found = clusters(&run, "01-cluster");
        let distinct: std::collections::BTreeSet<_> = found.values().map(|(c, _)| *c).collect();
        assert!(distinct.len() > 1 && !distinct.contains(&None), "{name}: {distinct:?}");
        assert!(kept(&run).len() < 120, "{name}");
    }
    let wrong =
        format!("[pool]\npath = \"p\"\n{CLUSTER}method = \"dbscan\"\ncosine = 1.5\nmin-points = 1");
    let problems = Recipe::parse(&wrong).unwrap_err().join("\n");
    assert!(problems.contains("`cosine` must be from -1 to below 1"), "{problems}");
    assert!(problems.contains("`min-points` must be at least 2"), "{problems}");
}

#[cfg(not(feature = "linfa"))]
#[test]
fn a_method_that_was_not_built_is_refused_with_its_feature() {
    let text =
        format!("[pool]\npath = \"p\"\n{CLUSTER}method = \"gaussian-mixture\"\nclusters = 3");
    let problems = Recipe::parse(&text).unwrap_err().join("\n");
    assert!(problems.contains("build it with the feature `linfa`"), "{problems}");
}
