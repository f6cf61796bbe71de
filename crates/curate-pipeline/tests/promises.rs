//! What a run promises whatever it is given: the same bytes, a reason for every row that went, and
//! no result that is half there.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{DIM, Row, STAGES, go, kept, recipe, results, rows, write_pool};
use curate_core::{Cut, SampleId};
use curate_io::{
    subset::{self, SubsetFormat},
    table::Reader,
};
use curate_pipeline::{Recipe, explain::explain, manifest::Manifest, reselect::reselect};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn pool_of(rows: &[Row], per_shard: usize) -> TempDir {
    let folder = folder();
    write_pool(folder.path(), rows, per_shard);
    folder
}

/// Every tenth row cannot be used, each time for another reason.
fn spoil(rows: &mut [Row]) {
    for (i, row) in rows.iter_mut().step_by(10).enumerate() {
        match i % 4 {
            0 => row.vector[i % DIM] = f32::NAN,
            1 => row.vector[i % DIM] = f32::NEG_INFINITY,
            2 => row.vector = [0.0; DIM],
            _ => row.vector.iter_mut().for_each(|x| *x *= 0.5),
        }
    }
}

fn spoiled(n: usize) -> Vec<Row> {
    let mut rows = rows(n);
    spoil(&mut rows);
    rows
}

/// The report without the seconds that each stage took.
fn report(folder: &Path) -> String {
    let html = fs::read_to_string(folder.join("report.html")).unwrap();
    let mut parts = html.split("seconds of ");
    let first = parts.next().unwrap().to_owned();
    first + &parts.map(|part| part.split_once("</dd>").unwrap().1).collect::<String>()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_and_the_same_report() {
    let pool = pool_of(&spoiled(300), 120);
    let run_with = |threads| {
        let out = folder();
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        threads.install(|| go(&recipe(pool.path(), STAGES), out.path())).unwrap();
        (results(out.path()), report(out.path()))
    };
    let one = run_with(1);
    assert!(one.1.contains("Quarantine") && one.1.len() > 5_000);
    assert_eq!(one, run_with(2));
    assert_eq!(one, run_with(7));
}

#[test]
fn rows_split_into_other_shards_get_the_same_verdicts_to_the_byte() {
    let run_over = |per_shard| {
        let (pool, out) = (pool_of(&spoiled(300), per_shard), folder());
        go(&recipe(pool.path(), STAGES), out.path()).unwrap();
        let mut files: BTreeMap<PathBuf, Vec<u8>> = results(out.path()).into_iter().collect();
        // It names the folder of the pool.
        files.remove(Path::new("recipe.toml"));
        files
    };
    assert_eq!(run_over(300), run_over(41));
}

/// The columns of `evidence.parquet`.
struct Evidence {
    row: Vec<usize>,
    stage: Vec<String>,
    rule: Vec<String>,
    cause: Vec<Option<usize>>,
    cluster: Vec<Option<u64>>,
}

fn evidence(out: &Path) -> Evidence {
    let path = out.join("evidence.parquet");
    let reader = Reader::open(&path).unwrap();
    let text = |name| reader.text(name, None).unwrap().into_iter().map(Option::unwrap).collect();
    let number = |x: Option<u64>| x.map(|x| x as usize);
    Evidence {
        row: reader.u64("row").unwrap().into_iter().map(|row| number(row).unwrap()).collect(),
        stage: text("stage"),
        rule: text("rule"),
        cause: reader.u64("cause_row").unwrap().into_iter().map(number).collect(),
        cluster: reader.u64("cluster").unwrap(),
    }
}

#[test]
fn reasons_add_up_stage_by_stage_and_rule_by_rule() {
    let mut all = spoiled(300);
    // The last row repeats the id of the second.
    all[299].id = all[1].id;
    let (pool, out) = (pool_of(&all, 120), folder());
    let summary = go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let found = evidence(out.path());
    let count = |stage: &str, rule: &str| {
        found.stage.iter().zip(&found.rule).filter(|(s, r)| *s == stage && *r == rule).count()
    };
    let mut rows = summary.rows - summary.quarantined;
    assert_eq!(count("pool", "duplicate-id"), 1);
    for stage in &summary.stages {
        assert_eq!(stage.rows_in, rows, "{}", stage.name);
        for (rule, &removed) in &stage.removed {
            assert_eq!(count(&stage.name, rule), removed, "{} {rule}", stage.name);
        }
        rows -= stage.removed.values().sum::<usize>();
        assert_eq!(stage.rows_out, rows, "{}", stage.name);
    }
    assert_eq!(rows, summary.kept);
    let gone: BTreeSet<usize> = found.row.iter().copied().collect();
    // No branches: one reason for each row that went.
    assert_eq!((gone.len(), found.row.len()), (summary.rows - summary.kept, gone.len()));
}

#[test]
fn a_duplicates_cause_is_a_row_of_its_cluster() {
    let (pool, out) = (pool_of(&spoiled(300), 120), folder());
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let path = out.path().join("stages/03-dedup/rows.parquet");
    let reader = Reader::open(&path).unwrap();
    let rows = reader.u64("row").unwrap().into_iter().map(|row| row.unwrap() as usize);
    let cluster: BTreeMap<usize, Option<u64>> = rows.zip(reader.u64("cluster").unwrap()).collect();
    let found = evidence(out.path());
    let mut duplicates = 0;
    for i in 0..found.row.len() {
        if found.rule[i] == "semantic-duplicate" {
            duplicates += 1;
            let cause = found.cause[i].expect("a duplicate has a cause");
            assert_ne!(cause, found.row[i]);
            assert!(found.cluster[i].is_some());
            assert_eq!(cluster[&cause], found.cluster[i]);
        } else {
            assert_eq!(found.cause[i], None, "{}", found.rule[i]);
        }
    }
    assert!(duplicates > 20);
}

const SCORED: &str = "[[stage]]\nkind = \"score\"\ncolumn = \"score\"\n";
const DEDUP: &str = "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nclusters = 5\n";

#[test]
fn every_new_cut_is_what_a_run_with_it_keeps_also_with_bad_rows() {
    let (pool, out) = (pool_of(&spoiled(300), 120), folder());
    go(&recipe(pool.path(), &format!("{SCORED}{DEDUP}")), out.path()).unwrap();
    let cut = |stage: &str, wanted| reselect(out.path(), Some(stage), wanted).unwrap().ids;
    let run_with = |stages: String| {
        let fresh = folder();
        go(&recipe(pool.path(), &stages), fresh.path()).unwrap();
        kept(fresh.path())
    };
    for fraction in [0.01, 0.33, 0.9, 1.0] {
        let dedup = run_with(format!("{SCORED}{DEDUP}fraction = {fraction}"));
        assert_eq!(cut("dedup", Cut::Fraction(fraction)), dedup, "{fraction}");
        let scored = format!("{SCORED}[[stage]]\nkind = \"fraction\"\nfraction = {fraction}");
        assert_eq!(cut("score", Cut::Fraction(fraction)), run_with(scored), "{fraction}");
    }
    for count in [1, 77, 280, 9000] {
        let dedup = run_with(format!("{SCORED}{DEDUP}count = {count}"));
        assert_eq!(cut("dedup", Cut::Top(count)), dedup, "{count}");
        let scored = format!("{SCORED}[[stage]]\nkind = \"top\"\ncount = {count}");
        assert_eq!(cut("score", Cut::Top(count)), run_with(scored), "{count}");
    }
    for threshold in [0.0, 0.25, 0.999] {
        let scored = format!("{SCORED}[[stage]]\nkind = \"threshold\"\nat-least = {threshold}");
        assert_eq!(cut("score", Cut::Threshold(threshold)), run_with(scored), "{threshold}");
    }
    for epsilon in [0.0, 0.01, 0.5, 1.0] {
        let dedup = run_with(format!("{SCORED}{DEDUP}epsilon = {epsilon}"));
        assert_eq!(cut("dedup", Cut::Epsilon(epsilon)), dedup, "{epsilon}");
    }
}

#[test]
fn a_fraction_is_one_of_all_rows_so_bad_ones_do_not_shrink_it() {
    let good = rows(200);
    let mut all = good.clone();
    for (i, row) in good.iter().take(50).enumerate() {
        all.push(Row { id: row.id + 1000 + i as u128, vector: [f32::NAN; DIM] });
    }
    let kept_of = |rows: &[Row], stages: &str| {
        let (pool, out) = (pool_of(rows, 90), folder());
        go(&recipe(pool.path(), stages), out.path()).unwrap();
        kept(out.path())
    };
    // 0.4 of 250 rows are 0.5 of 200.
    let of_all = kept_of(&all, &format!("{DEDUP}fraction = 0.4"));
    assert_eq!(of_all, kept_of(&good, &format!("{DEDUP}fraction = 0.5")));
    assert_eq!(of_all.len(), 100);
    let prune = DEDUP.replace("semantic-dedup", "concept-prune");
    let of_all = kept_of(&all, &format!("{prune}fraction = 0.4"));
    assert_eq!(of_all, kept_of(&good, &format!("{prune}fraction = 0.5")));
}

#[test]
fn a_pool_without_any_good_row_ends_with_an_empty_subset_and_says_why() {
    let mut all = rows(20);
    all.iter_mut().for_each(|row| row.vector = [f32::NAN; DIM]);
    for stages in [
        DEDUP.to_owned(),
        format!("{DEDUP}mode = \"greedy\""),
        "[[stage]]\nkind = \"concept-prune\"\nembedding = \"img\"\nfraction = 0.5".to_owned(),
        "[[stage]]\nkind = \"score\"\ncosine = [\"img\", \"txt\"]\n[[stage]]\nkind = \"top\"\ncount = 3"
            .to_owned(),
    ] {
        let (pool, out) = (pool_of(&all, 8), folder());
        let summary = go(&recipe(pool.path(), &stages), out.path()).unwrap();
        assert_eq!((summary.kept, summary.stages[0].removed["embedding-nan"]), (0, 20));
        assert_eq!(kept(out.path()), []);
        let report = fs::read_to_string(out.path().join("report.html")).unwrap();
        assert!(report.contains("No row is left"), "{stages}");
        let id = SampleId(all[3].id).to_string();
        assert!(explain(out.path(), &id).unwrap().to_string().contains("removed: embedding-nan"));
    }
}

#[test]
fn a_pool_of_no_rows_is_curated_to_no_rows() {
    let (pool, out) = (folder(), folder());
    write_pool(pool.path(), &rows(1), 1);
    let path = pool.path().join("0000.parquet");
    let columns = vec![
        ("uid", curate_io::table::Column::Text(vec![])),
        ("score", curate_io::table::Column::F32(vec![])),
    ];
    curate_io::table::write(&path, columns).unwrap();
    fs::remove_file(pool.path().join("0000.npz")).unwrap();
    let stages = format!("{SCORED}[[stage]]\nkind = \"fraction\"\nfraction = 0.3");
    let summary = go(&recipe(pool.path(), &stages), out.path()).unwrap();
    assert_eq!((summary.rows, summary.kept), (0, 0));
}

#[test]
fn outputs_that_could_not_all_be_written_are_no_finished_run() {
    let (pool, out) = (pool_of(&rows(60), 60), folder());
    let recipe = recipe(pool.path(), STAGES);
    go(&recipe, out.path()).unwrap();
    let before = results(out.path());
    let in_the_way = out.path().join("evidence.parquet");
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("evidence.parquet: could not be written"), "{error}");
    let id = SampleId(rows(1)[0].id).to_string();
    let error = explain(out.path(), &id).unwrap_err().to_string();
    assert!(error.contains("holds no finished run"), "{error}");
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(go(&recipe, out.path()).unwrap().reused.len(), 4);
    assert_eq!(results(out.path()), before);
}

#[test]
fn subset_files_of_every_form_are_combined() {
    let (pool, lists) = (pool_of(&rows(60), 60), folder());
    let ids: Vec<SampleId> = rows(60).iter().map(|row| SampleId(row.id)).collect();
    let stranger = SampleId(5);
    let first = [&ids[..30], &[stranger]].concat();
    let second = &ids[20..40];
    // HDF5 needs a library of the system; `curate-io` tests it where that is there.
    for format in SubsetFormat::ALL.into_iter().filter(|format| *format != SubsetFormat::Hdf5) {
        let name = |n: &str| lists.path().join(n).join(format.file_name());
        subset::write(&name("a"), format, &first).unwrap();
        subset::write(&name("b"), format, second).unwrap();
        let expected = [
            ("union", ids[..40].to_vec()),
            ("intersect", ids[20..30].to_vec()),
            ("minus", ids[..20].to_vec()),
        ];
        for (op, expected) in expected {
            let stage = format!(
                "[[stage]]\nkind = \"combine\"\nop = {op:?}\nof = [{:?}, {:?}]",
                name("a").display().to_string(),
                name("b").display().to_string()
            );
            let out = folder();
            go(&recipe(pool.path(), &stage), out.path()).unwrap();
            assert_eq!(kept(out.path()), expected, "{op} {format:?}");
            let gone: BTreeSet<usize> = evidence(out.path()).row.into_iter().collect();
            assert_eq!(gone.len(), 60 - expected.len(), "{op} {format:?}");
        }
    }
}

#[test]
fn a_missing_or_damaged_subset_file_is_named_and_leaves_no_result() {
    let (pool, lists, out) = (pool_of(&rows(60), 60), folder(), folder());
    let list = lists.path().join("list.npy");
    let stage = format!(
        "[[stage]]\nkind = \"combine\"\nop = \"minus\"\nof = [\"pool\", {:?}]",
        list.display().to_string()
    );
    let recipe = recipe(pool.path(), &stage);
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("list.npy: does not exist; check the path"), "{error}");
    fs::write(&list, b"").unwrap();
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("list.npy: ends within its npy header"), "{error}");
    assert!(!out.path().join("manifest.json").exists() && !out.path().join("subset.npy").exists());
    subset::write(&list, SubsetFormat::Npy, &[SampleId(rows(1)[0].id)]).unwrap();
    assert_eq!(go(&recipe, out.path()).unwrap().kept, 59);
}

#[test]
fn an_unknown_embedding_or_column_is_named_with_those_there_are() {
    let (pool, out) = (pool_of(&rows(60), 60), folder());
    let complaint =
        |stages: &str| go(&recipe(pool.path(), stages), out.path()).unwrap_err().to_string();
    let error = complaint(&DEDUP.replace("\"img\"", "\"image\""));
    assert!(error.contains("0000.npz: has no array `image`; it has `img`, `txt`"), "{error}");
    let error = complaint("[[stage]]\nkind = \"score\"\ncolumn = \"clip\"");
    assert!(error.contains("0000.parquet: has no numbers `clip`; it has `score`"), "{error}");
    assert!(!out.path().join("manifest.json").exists());
}

#[test]
fn the_manifest_counts_what_was_set_aside_and_digests_what_was_written() {
    let mut all = rows(60);
    all[59].id = all[0].id;
    let (pool, out) = (pool_of(&all, 20), folder());
    fs::write(pool.path().join("0001.parquet"), b"PAR1").unwrap();
    let mut recipe = recipe(pool.path(), SCORED);
    recipe.pool.bad_shards = curate_io::pool::BadShards::Skip;
    go(&recipe, out.path()).unwrap();
    let manifest = Manifest::read(&out.path().join("manifest.json")).unwrap();
    assert_eq!((manifest.rows, manifest.kept), (40, 39));
    assert_eq!(manifest.pool.quarantined["duplicate-id"], 1);
    assert_eq!(manifest.pool.skipped[0].name, "0001");
    for (name, digest) in &manifest.outputs {
        assert_eq!(curate_io::digest::of_file(&out.path().join(name)).unwrap(), *digest, "{name}");
    }
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(report.contains("Shard 0001 was left out"));
}

#[test]
fn a_recipe_of_every_kind_of_stage_is_the_same_after_it_was_written() {
    let every = r#"
name = "all \"of\" it"
seed = 9223372036854775807
[pool]
path = "p"
format = "datacomp"
bad-shards = "skip"
[output]
formats = ["npy", "memmap", "parquet", "jsonl", "ids"]
report = false
[[stage]]
kind = "score"
cosine = ["img", "txt"]
[[stage]]
kind = "threshold"
at-most = 0.28
[[stage]]
kind = "fraction"
from = "score"
fraction = 0.3
better = "lower-is-better"
[[stage]]
kind = "top"
count = 7
[[stage]]
kind = "semantic-dedup"
embedding = "img"
mode = "greedy"
prefer-score = "score"
norm = "any"
k-means = { iterations = 3, tolerance = 0.0, train-rows-per-cluster = 256 }
[[stage]]
kind = "concept-prune"
embedding = "img"
count = 5
share = "size"
balance = 0.0
[[stage]]
kind = "combine"
op = "minus"
of = ["pool", "top", "list.npy"]
"#;
    let read = Recipe::parse(every).unwrap();
    let written = read.to_toml();
    assert_eq!(Recipe::parse(&written).unwrap(), read);
    assert_eq!(Recipe::parse(&written).unwrap().to_toml(), written);
}
