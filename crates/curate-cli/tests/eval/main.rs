//! `curate eval` as a person or a script meets it.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod recipe;
mod shifted;
mod tasks;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    core::{NoProgress, SampleId},
    io::{
        Pool, PoolOptions,
        subset::{self, SubsetFormat},
        table::{self, Column},
    },
};
use serde_json::Value;
use tempfile::TempDir;

fn curate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).args(args).arg("-q").env("COLUMNS", "100").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn demo() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo", "pool"].iter().collect()
}

/// A folder with two selections of the demonstration: halves of it.
fn setting() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::open(&demo(), PoolOptions::default(), &NoProgress).unwrap();
    let half =
        |odd: usize| -> Vec<SampleId> { pool.ids().iter().copied().skip(odd).step_by(2).collect() };
    for (name, odd) in [("even", 0), ("odd", 1)] {
        let file = folder.path().join(format!("{name}.npy"));
        subset::write(&file, SubsetFormat::Npy, &half(odd)).unwrap();
    }
    folder
}

/// `curate eval compare` on the demonstration, small.
fn args<'a>(pool: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small =
        ["--budgets", "2K", "--seeds", "2", "--batch", "128", "--hidden", "32", "--dim", "16"];
    [&["eval", "compare", pool], more, &small].concat()
}

fn pool_name() -> String {
    demo().canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_comparison_prints_a_ranking_and_writes_what_plan_fit_reads() {
    let folder = setting();
    let pool = pool_name();
    let args = [
        "eval",
        "compare",
        &pool,
        "even.npy",
        "half=odd.npy",
        "--everything",
        "--budgets",
        "1K,2K,4K",
        "--seeds",
        "2",
        "--batch",
        "128",
        "--hidden",
        "32",
        "--dim",
        "16",
        "--out",
        "out",
    ];
    let first = said(folder.path(), &args);
    assert!(first.starts_with("18 runs, 0 of them made already; tested on "), "{first}");
    for expected in [
        "to train: 40.7K",
        "budget 1K samples",
        "budget 4K samples",
        "epochs",
        "95 % interval",
        "half ",
        "everything ",
        "even: not trained on: ",
        "held out for the test",
        "behind the best",
        "wrote out/report.html, report.json and runs.csv",
    ] {
        assert!(first.contains(expected), "{expected} is not in\n{first}");
    }
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    let best = first.split("best: ").nth(1).and_then(|rest| rest.lines().next());
    assert!(
        best.is_none_or(|best| page.contains(&format!("{best} is the best, with "))),
        "{first}"
    );
    let again = said(folder.path(), &args);
    assert!(again.starts_with("18 runs, 18 of them made already"), "{again}");
    assert_eq!(first.split("even: not").nth(1), again.split("even: not").nth(1));
    let fit =
        said(folder.path(), &["plan", "fit", "out/runs.csv", "--draws", "20", "--out", "fit.json"]);
    assert!(fit.contains("even") && fit.contains("half") && fit.contains("everything"), "{fit}");

    let json: Value =
        serde_json::from_str(&said(folder.path(), &[&args[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["cost"]["made"], 18);
    assert_eq!(json["rankings"][0]["budget"], 1000);
    assert_eq!(json["runs"].as_array().unwrap().len(), 18);
}

#[test]
fn labels_of_the_pool_or_of_a_table_ask_more() {
    let folder = setting();
    let pool = pool_name();
    let labeled = args(&pool, &["even.npy", "odd.npy", "--labels", "source", "--out", "own"]);
    let own = said(folder.path(), &labeled);
    for task in ["linear-probe", "neighbors", "retrieval", "zero-shot"] {
        assert!(own.contains(task), "{own}");
    }
    let opened = Pool::open(&demo(), PoolOptions::default(), &NoProgress).unwrap();
    let uids = opened.ids().iter().rev().map(SampleId::to_string).collect();
    let kinds = opened.labels("source").unwrap().into_iter().rev().map(Option::unwrap).collect();
    let columns = vec![("uid", Column::Text(uids)), ("kind", Column::Text(kinds))];
    table::write(&folder.path().join("kinds.parquet"), columns).unwrap();
    let from = [
        "even.npy",
        "odd.npy",
        "--labels",
        "kind",
        "--labels-from",
        "kinds.parquet",
        "--out",
        "by-id",
    ];
    let by_id = said(folder.path(), &args(&pool, &from));
    assert_eq!(own.split("\nbudget").nth(1).unwrap().split("wrote").next(), {
        by_id.split("\nbudget").nth(1).unwrap().split("wrote").next()
    });
    let linear =
        ["even.npy", "odd.npy", "--labels", "source", "--model", "linear", "--out", "linear"];
    assert!(by_id.contains("5045 of the pool's 5045 rows have a label, of 10 classes"), "{by_id}");
    let first = opened.ids()[0].to_string();
    let columns = vec![
        ("uid", Column::Text(vec![first.clone(), first.clone()])),
        ("kind", Column::Text(vec!["a".to_owned(), "b".to_owned()])),
    ];
    table::write(&folder.path().join("kinds.parquet"), columns).unwrap();
    let twice = refused(folder.path(), &args(&pool, &from));
    assert!(twice.contains(&format!("gives {first} the labels `a` and `b`")), "{twice}");
    let linear = [&linear[..], &["--images", "img", "--score", "labels"]].concat();
    assert!(said(folder.path(), &args(&pool, &linear)).contains("budget 2K"));
}

/// One table of the demonstration and what its filter network makes of it, as one pool.
#[test]
fn templates_and_the_network_of_the_pool_describe_classes() {
    let folder = setting();
    let network = demo().with_file_name("filter").canonicalize().unwrap();
    let network = network.to_str().unwrap();
    let pool = pool_name();
    let named = ["eval", "compare", &pool, "even.npy", "--network", network, "--labels", "source"];
    let other = refused(folder.path(), &named);
    assert!(other.contains("its `joint_txt` was not made by the network"), "{other}");

    let small = folder.path().join("small");
    fs::create_dir_all(small.join("shards")).unwrap();
    let tables = fs::read_dir(demo().join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    let table = tables.min_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let name = table.file_stem().unwrap().to_str().unwrap();
    fs::create_dir_all(small.join("metadata")).unwrap();
    fs::copy(&table, small.join(format!("metadata/{name}.parquet"))).unwrap();
    let paired = fs::read_to_string(demo().join("pool.json")).unwrap();
    fs::write(small.join("pool.json"), paired).unwrap();
    for entry in fs::read_dir(demo().join("shards")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, small.join("shards").join(path.file_name().unwrap())).unwrap();
    }
    said(folder.path(), &["filter", "embed", "small", "--network", network, "--out", "embedded"]);
    let npz = format!("{name}.npz");
    fs::copy(folder.path().join("embedded").join(&npz), small.join("metadata").join(&npz)).unwrap();
    fs::write(folder.path().join("templates.txt"), "a drawing of {}\nicon: {}\n").unwrap();
    let more = [
        "--everything",
        "even.npy",
        "--skip-unknown-ids",
        "--labels",
        "source",
        "--network",
        network,
        "--templates",
        "templates.txt",
        "--held-out",
        "0.2",
        "--score",
        "zero-shot",
    ];
    let ranked = said(folder.path(), &args("small/metadata", &more));
    assert!(ranked.contains("zero-shot") && ranked.contains("not in the pool"), "{ranked}");
    // One without a place for the label is refused, not passed over.
    fs::write(folder.path().join("templates.txt"), "a drawing of {}\nan icon\n").unwrap();
    let error = refused(folder.path(), &args("small/metadata", &more));
    let expected = "templates.txt: `templates`";
    assert!(error.contains(expected) && error.contains("an icon"), "{error}");
}

/// The folder's records must not depend on how many threads made them.
#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let folder = setting();
    let pool = pool_name();
    for (threads, out) in [("1", "one"), ("4", "four")] {
        said(
            folder.path(),
            &args(&pool, &["even.npy", "odd.npy", "--threads", threads, "-o", out]),
        );
    }
    for file in ["report.json", "runs.csv", "runs/even/2000-0.json", "comparison.json"] {
        let of = |out: &str| fs::read(folder.path().join(out).join(file)).unwrap();
        assert_eq!(of("one"), of("four"), "{file}");
    }
}

#[test]
fn convolutions_look_at_the_pictures() {
    let folder = setting();
    let demo = demo().canonicalize().unwrap();
    let pool = demo.to_str().unwrap();
    let more = ["even.npy", "odd.npy", "--labels", "source", "--model", "cnn", "--pixels", "16"];
    let small = ["--budgets", "3K", "--seeds", "2", "--batch", "64", "--hidden", "4"];
    let found = said(folder.path(), &[&["eval", "compare", pool][..], &more, &small].concat());
    assert!(found.contains("budget 3K samples") && found.contains("even "), "{found}");
    let metadata = folder.path().join("tables");
    fs::create_dir(&metadata).unwrap();
    for entry in fs::read_dir(demo.join("metadata")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, metadata.join(path.file_name().unwrap())).unwrap();
    }
    let metadata = metadata.to_str().unwrap();
    let none =
        refused(folder.path(), &[&["eval", "compare", metadata][..], &more, &small].concat());
    assert!(none.contains("has no pictures, at which convolutions look"), "{none}");
}

#[test]
fn a_dry_run_says_what_runs_cost_and_writes_nothing() {
    let folder = setting();
    let pool = pool_name();
    let said =
        said(folder.path(), &args(&pool, &["even.npy", "odd.npy", "--dry-run", "-o", "out"]));
    assert!(
        said.starts_with("4 runs, 0 of them made") && said.contains("to train: 7.68K"),
        "{said}"
    );
    assert!(!folder.path().join("out").exists());
}

/// Arguments that are refused, with the whole of the complaint.
const REFUSED: &[(&[&str], &str)] = &[
    (&["empty.npy"], "selection `empty`: it is empty: there is nothing to train on"),
    (
        &["strange.npy"],
        "selection `strange`: 2 of its 2 ids are not in the pool (00000000000000000000000000000001, \
         00000000000000000000000000000002): name the pool that it was made from",
    ),
    (
        &["even.npy", "even=odd.npy"],
        "selection `even`: two selections have this name: give each a name of its own with NAME=PATH",
    ),
    (
        &["even.npy", "--labels", "sauce"],
        "POOL: no sample has a label in `sauce`; name another column with --labels; `curate inspect` \
         lists them",
    ),
    (&["even.npy", "--model", "mlp"], "this model learns labels: name their column with --labels"),
    (
        &["even.npy", "--model", "mlp", "--labels", "source"],
        "POOL: does not say which embedding is of images; it has img, joint_img, joint_txt; name it with \
         --images",
    ),
    (
        &["even.npy", "--images", "picture"],
        "POOL: does not say which embeddings are of images and of texts; it has img, joint_img, \
         joint_txt; name them with --images and --texts",
    ),
    (
        &["even.npy", "--score", "zero-shot"],
        "models are not asked `zero-shot`; they are asked retrieval: rank by one of those, or give labels",
    ),
    (
        &["nowhere/*.npy"],
        "the selection `nowhere/*.npy`: its name must be a name of letters, digits, `-`, `_` and `.`, \
         without a folder; give NAME=PATH",
    ),
    (
        &["nowhere.npy"],
        "nowhere.npy: does not exist; check the path\n  because: No such file or directory (os error 2)",
    ),
];

#[test]
fn bad_input_is_refused_with_its_name_and_a_remedy() {
    let folder = setting();
    let pool = pool_name();
    let complaint =
        |more: &[&str]| refused(folder.path(), &args(&pool, more)).replace(&pool, "POOL");
    let write = |name: &str, ids: &[SampleId]| {
        subset::write(&folder.path().join(name), SubsetFormat::Npy, ids).unwrap();
    };
    write("empty.npy", &[]);
    write("strange.npy", &[SampleId(1), SampleId(2)]);
    let mut mixed = subset::read_sorted(&folder.path().join("even.npy")).unwrap();
    mixed.push(SampleId(1));
    let all = mixed.len();
    write("mixed.npy", &mixed);
    let some = complaint(&["mixed.npy"]);
    let expected = format!(
        "error: selection `mixed`: 1 of its {all} ids are not in the pool \
         (00000000000000000000000000000001): name the pool that it was made from, or skip unknown ids with \
         --skip-unknown-ids\n"
    );
    assert_eq!(some, expected);
    assert!(complaint(&["x=."]).contains(".: holds no finished run: it has no manifest.json"));
    for (more, expected) in REFUSED {
        assert_eq!(complaint(more), format!("error: {expected}\n"));
    }
}

#[test]
fn numbers_out_of_range_are_refused_together() {
    let folder = setting();
    let pool = pool_name();
    let complaint = |more: &[&str]| refused(folder.path(), &args(&pool, more));
    for (more, expected) in [
        (&["even.npy", "--test-rows", "1"][..], "`test-rows` is 1, but must be from 2 to 32768"),
        (&["even.npy", "--level", "1"], "--level must be between 0 and 1, for example 0.95"),
    ] {
        assert_eq!(complaint(more), format!("error: {expected}\n"));
    }
    assert_eq!(
        refused(folder.path(), &["eval", "compare", &pool, "even.npy", "--budgets", "100,1K,200"]),
        "error: `budgets` is 100, but must be at least one batch, 512; `budgets` is 200, but must be at \
         least one batch, 512\n"
    );
}

/// A training that fails names its run; the others' records stay.
#[test]
fn a_training_that_diverges_is_named() {
    let folder = setting();
    let pool = pool_name();
    let said = refused(folder.path(), &args(&pool, &["even.npy", "--rate", "1e30"]));
    assert!(said.starts_with("error: selection `even`, "), "{said}");
    assert!(said.contains("lower the rate") && said.lines().count() == 1, "{said}");
}

#[test]
fn settings_that_changed_are_named_and_overwrite_replaces_them() {
    let folder = setting();
    let pool = pool_name();
    said(folder.path(), &args(&pool, &["even.npy", "-o", "out"]));
    let other = args(&pool, &["even.npy", "-o", "out", "--rate", "0.5"]);
    assert_eq!(
        refused(folder.path(), &other),
        "error: out: its runs were made otherwise (`rate` was 0.002, is 0.5); choose another folder, or \
         replace it with --overwrite\n"
    );
    let replaced = said(folder.path(), &[&other[..], &["--overwrite"]].concat());
    assert!(replaced.starts_with("2 runs, 0 of them made already"), "{replaced}");
}

#[test]
fn a_script_for_a_cluster_names_the_selection_and_its_repeats() {
    let folder = setting();
    let command =
        ["eval", "command", "/data/shards", "even.npy", "--scale", "small", "--gpus", "4"];
    assert_eq!(said(folder.path(), &command), "wrote train.sh; start it with sh\n");
    let script = fs::read_to_string(folder.path().join("train.sh")).unwrap();
    assert!(
        script.contains("curate reshard /data/shards --subset even.npy --out shards"),
        "{script}"
    );
    assert!(
        script.contains("--batch-size 1024") && script.contains("--name even-small"),
        "{script}"
    );
    assert!(script.contains("5072.26") || script.contains("5073"), "epochs of 2523 ids: {script}");
    let checked = Command::new("sh").arg("-n").arg("train.sh").current_dir(&folder).status();
    assert!(checked.unwrap().success(), "a shell reads it");
    let uneven = ["eval", "command", "/data/shards", "even.npy", "--scale", "small", "--gpus", "3"];
    assert!(refused(folder.path(), &uneven).contains("cannot be shared by 3 devices"));
}

/// The commands of the book's chapter, in their order, with small budgets.
#[cfg(unix)]
#[test]
fn every_command_of_the_chapter_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    std::os::unix::fs::symlink(root.join("demo"), folder.path().join("demo")).unwrap();
    let chapter = fs::read_to_string(root.join("docs/src/eval.md")).unwrap();
    let commands: Vec<&str> =
        chapter.lines().filter_map(|line| line.strip_prefix("$ curate ")).collect();
    assert!(commands.len() >= 7, "{commands:?}");
    let small = "1K,2K,4K --seeds 2 --batch 128 --hidden 16 --dim 8";
    for command in commands {
        let command = command.replace("--budgets 50K,200K", &format!("--budgets {small}"));
        let command =
            command.replace("--labels subcategory --budgets 1M", "--out dry --budgets 1M");
        let command = command.replace("--labels subcategory", "--labels source");
        said(folder.path(), &command.split(' ').collect::<Vec<_>>());
    }
    for file in ["runs/eval/runs.csv", "fit.json", "train.sh"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn help_says_what_each_option_does() {
    let help = |args: &[&str]| text(&curate(Path::new("."), args).stdout);
    insta::assert_snapshot!(help(&["eval", "compare", "--help"]));
    insta::assert_snapshot!(help(&["eval", "command", "--help"]));
}
