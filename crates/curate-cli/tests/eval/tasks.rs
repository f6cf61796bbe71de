//! Runs of a comparison that several processes share.

use std::fs;

use curate::io::lock::FolderLock;

use super::{args, curate, pool_name, said, setting, text};

#[test]
fn tasks_share_the_runs_and_the_report_is_that_of_one_process() {
    let (folder, pool) = (setting(), pool_name());
    let more = ["even.npy", "odd.npy", "--everything"];
    let alone = [args(&pool, &more), vec!["--out", "alone"]].concat();
    said(folder.path(), &alone);
    let shared = [args(&pool, &more), vec!["--out", "shared"]].concat();
    let task = |index: &str| {
        said(folder.path(), &[&shared[..], &["--tasks", "4", "--index", index]].concat())
    };
    // Three selections, one budget, two seeds: six runs.
    assert!(task("1").ends_with("task 1 of 0 to 3: 2 runs made, in shared\n"), "{}", task("1"));
    assert!(task("1").starts_with("2 runs, 2 of them made already"), "{}", task("1"));
    assert!(task("3").ends_with("task 3 of 0 to 3: 1 runs made, in shared\n"));
    assert!(!folder.path().join("shared/report.json").exists());
    let collected = said(folder.path(), &shared);
    assert!(collected.starts_with("6 runs, 3 of them made already"), "{collected}");
    for file in ["report.json", "runs.csv"] {
        let of = |out: &str| fs::read(folder.path().join(out).join(file)).unwrap();
        assert!(of("alone") == of("shared"), "{file}");
    }
}

#[test]
fn a_folder_that_one_process_has_alone_is_for_a_task_to_try_later() {
    let (folder, pool) = (setting(), pool_name());
    let shared = [args(&pool, &["even.npy"]), vec!["--tasks", "2", "--out", "out"]].concat();
    let task = [&shared[..], &["--index", "0"]].concat();
    let alone = FolderLock::take(&folder.path().join("out")).unwrap();
    let output = curate(folder.path(), &task);
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("out: is being written to by another process"));
    drop(alone);
    let beside = FolderLock::share(&folder.path().join("out")).unwrap();
    said(folder.path(), &task);
    drop(beside);
}

#[test]
fn a_task_is_named_by_its_number_or_by_the_scheduler() {
    let (folder, pool) = (setting(), pool_name());
    let shared = [args(&pool, &["even.npy"]), vec!["--tasks", "2", "--out", "out"]].concat();
    let none = [args(&pool, &["even.npy"]), vec!["--tasks", "0", "--index", "0"]].concat();
    let too_large = [&shared[..], &["--index", "2"]].concat();
    for (args, expected) in [
        (&none, "must be at least 1"),
        (&shared, "--tasks: name the task with --index"),
        (&too_large, "--index is 2, but the tasks are 0 to 1"),
    ] {
        let output = curate(folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder.path()).args(&shared).arg("-q").env("SLURM_ARRAY_TASK_ID", "2");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("SLURM_ARRAY_TASK_ID is 2, but the tasks are 0 to 1"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder.path()).args(&shared).arg("-q").env("SLURM_ARRAY_TASK_ID", "1");
    let output = command.output().unwrap();
    assert!(text(&output.stdout).contains("task 1 of 0 to 1: 1 runs made"), "{output:?}");
    let output =
        curate(folder.path(), &[&args(&pool, &["even.npy"])[..], &["--index", "1"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
