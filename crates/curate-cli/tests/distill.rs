//! `curate distill` as a person or a script meets it.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    core::{NoProgress, SampleId},
    eval::distill::SoftLabels,
    io::{
        Pool, PoolOptions,
        subset::{self, SubsetFormat},
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
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn demo() -> PathBuf {
    let demo: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo", "pool"].iter().collect();
    demo.canonicalize().unwrap()
}

/// A folder with two selections of the demonstration, and a link to it.
fn setting() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::open(&demo(), PoolOptions::default(), &NoProgress).unwrap();
    for (name, step) in [("tenth", 10), ("half", 2)] {
        let ids: Vec<SampleId> = pool.ids().iter().copied().step_by(step).collect();
        let file = folder.path().join(format!("{name}.npy"));
        subset::write(&file, SubsetFormat::Npy, &ids).unwrap();
    }
    std::os::unix::fs::symlink(demo(), folder.path().join("pool")).unwrap();
    folder
}

/// `curate distill` on the demonstration, small.
fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "--labels",
        "source",
        "--images",
        "img",
        "--samples",
        "3K",
        "--seeds",
        "2",
        "--hidden",
        "16",
        "--out",
        "out",
    ];
    [&["distill", "pool"], more, &small].concat()
}

#[test]
fn a_table_says_which_alpha_is_best_beside_a_random_selection() {
    let folder = setting();
    let words =
        args(&["tenth.npy", "part=half.npy", "--alphas", "0,1", "--write-scores", "s.parquet"]);
    let first = said(folder.path(), &words);
    // Two selections and their random ones, two alphas, two seeds, and the teacher.
    assert!(first.starts_with("17 runs, 0 of them made already; tested on "), "{first}");
    for expected in [
        "alpha is chosen on ",
        "5045 of the pool's 5045 rows have a label, of 10 classes",
        "held out to choose alpha",
        "teacher: a hidden layer of 16, trained on ",
        "better than labels alone by",
        "95 % interval",
        "tenth over random-",
        "part over random-",
        "with labels alone",
        "wrote out/result.json",
        "wrote s.parquet",
    ] {
        assert!(first.contains(expected), "{expected} is not in\n{first}");
    }
    assert_eq!(first.matches('*').count(), 1 + 4, "one alpha of each selection is chosen: {first}");
    let again = said(folder.path(), &words);
    assert!(again.starts_with("17 runs, 17 of them made already"), "{again}");
    assert_eq!(first.split("\ntenth: not").nth(1), again.split("\ntenth: not").nth(1));
    let json: Value =
        serde_json::from_str(&said(folder.path(), &[&words[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["cost"]["made"], 17);
    assert_eq!(json["selections"].as_array().unwrap().len(), 4);
    assert_eq!(json["runs"].as_array().unwrap().len(), 16);

    let taught = args(&["tenth.npy", "--alpha", "1", "--teacher", "out/soft.parquet", "-o", "by"]);
    let taught: Vec<&str> =
        taught.into_iter().filter(|word| !["--out", "out"].contains(word)).collect();
    assert!(!said(folder.path(), &taught).contains("teacher: "));
    // Scores are a table that a recipe reads.
    let recipe = "[pool]\npath = \"pool\"\n[[stage]]\nkind = \"score\"\nname = \"hard\"\n\
                  table = \"s.parquet\"\ncolumn = \"el2n\"\n[[stage]]\nkind = \"fraction\"\n\
                  score = \"hard\"\nfraction = 0.5\nbetter = \"lower-is-better\"\n";
    fs::write(folder.path().join("r.toml"), recipe).unwrap();
    let run = said(folder.path(), &["run", "r.toml", "--out", "run"]);
    assert!(run.contains("2522 of 5045 rows kept"), "{run}");
}

#[test]
fn a_dry_run_says_what_runs_cost_and_writes_nothing() {
    let folder = setting();
    let found = said(folder.path(), &args(&["tenth.npy", "--dry-run", "--teacher-samples", "6K"]));
    // A selection and its random one, five alphas, two seeds: 20 students of 2,944 samples.
    assert!(found.starts_with("21 runs, 0 of them made"), "{found}");
    assert!(found.contains("to train: 64.77K samples") && found.contains("about "), "{found}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_teacher_may_look_at_pictures() {
    let folder = setting();
    let looks = ["--teacher-model", "cnn", "--pixels", "16", "--teacher-hidden", "4"];
    let found =
        said(folder.path(), &args(&[&["tenth.npy", "--alpha", "0.5"], &looks[..]].concat()));
    assert!(found.contains("teacher: convolutions from 4 channels"), "{found}");
}

#[test]
fn bad_input_is_refused_with_its_name_and_a_remedy() {
    let folder = setting();
    let write = |name: &str, ids: &[SampleId]| {
        subset::write(&folder.path().join(name), SubsetFormat::Npy, ids).unwrap();
    };
    write("empty.npy", &[]);
    write("strange.npy", &[SampleId(1)]);
    let soft = SoftLabels::of(&[0.0, 1.0], 2, 2).unwrap();
    soft.write(&folder.path().join("two.parquet"), &[SampleId(1)]).unwrap();
    let soft = SoftLabels::of(&[0.0; 10], 10, 2).unwrap();
    soft.write(&folder.path().join("few.parquet"), &[SampleId(1)]).unwrap();
    for (more, expected) in [
        (&["empty.npy"][..], "selection `empty`: it is empty: there is nothing to train on"),
        (&["strange.npy"], "selection `strange`: 1 of its 1 ids are not in the pool"),
        (
            &["tenth.npy", "--batch", "4096"],
            "`samples` is 3000, but must be at least one batch, 4096",
        ),
        (&["tenth.npy", "--alphas", "0,1.5"], "must be a number from 0 to 1"),
        (
            &["tenth.npy", "--teacher", "two.parquet"],
            "two.parquet: its teacher tells 2 classes apart, but there are 10; take a teacher that was trained \
             on the same labels",
        ),
        (&["tenth.npy", "--teacher", "few.parquet"], "the teacher: it says nothing of "),
        (
            &["tenth.npy", "tenth=half.npy"],
            "two selections have this name: give each a name of its own with NAME=PATH",
        ),
        (
            &["tenth.npy", "--chosen-on", "0"],
            "`chosen-on` is 0, but must be a number between 0 and 1",
        ),
        (&["tenth.npy", "--teacher", "none.parquet"], "none.parquet: does not exist"),
    ] {
        let error = refused(folder.path(), &args(more));
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
    assert!(!folder.path().join("out").exists(), "nothing was written");
}

/// The chapter's commands, with fewer samples.
#[test]
fn the_chapter_works() {
    let folder = tempfile::tempdir().unwrap();
    let root = demo().join("../..").canonicalize().unwrap();
    std::os::unix::fs::symlink(root.join("demo"), folder.path().join("demo")).unwrap();
    let chapter = fs::read_to_string(root.join("docs/src/distill.md")).unwrap();
    let commands: Vec<&str> =
        chapter.lines().filter_map(|line| line.strip_prefix("$ curate ")).collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let small = command.replace("--samples 50K", "--samples 1K");
        let mut words: Vec<&str> = small.split_whitespace().collect();
        if words[0] == "distill" {
            words.extend(["--hidden", "8"]);
        }
        if words[0] == "distill" && !words.contains(&"--seeds") {
            words.extend(["--seeds", "1"]);
        }
        said(folder.path(), &words);
    }
}
