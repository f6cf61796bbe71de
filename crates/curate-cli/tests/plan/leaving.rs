//! Where results go, and what is left when there is no room or no time.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use crate::{complaint, fitted, five_runs, said, text};

#[test]
fn a_fit_is_written_as_other_results_are() {
    let folder = tempfile::tempdir().unwrap();
    let runs = five_runs();
    said(&folder, &["fit", &runs, "--draws", "50", "-o", "deep/er/fit.json"]);
    assert!(folder.path().join("deep/er/fit.json").exists());
    let whole = fs::read(folder.path().join("deep/er/fit.json")).unwrap();
    // A file where a folder should be, and a folder where the file should be.
    fs::write(folder.path().join("file"), "x").unwrap();
    let refused = complaint(&folder, &["fit", &runs, "--draws", "50", "-o", "file/fit.json"]);
    assert!(refused.contains("file"), "{refused}");
    complaint(&folder, &["fit", &runs, "--draws", "50", "-o", "deep/er"]);
    let left: Vec<_> = fs::read_dir(folder.path().join("deep")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left over: {left:?}");
    assert_eq!(fs::read(folder.path().join("deep/er/fit.json")).unwrap(), whole);
}

/// A limit on the size of files stands for a disk that fills up.
#[test]
fn without_room_the_old_fit_stays_and_nothing_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let runs = five_runs();
    said(&folder, &["fit", &runs, "--draws", "50"]);
    let whole = fs::read(folder.path().join("fit.json")).unwrap();
    let program = env!("CARGO_BIN_EXE_curate");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {program} plan fit {runs} -q");
    let output = Command::new("bash").args(["-c", &script]).current_dir(&folder).output().unwrap();
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("fit.json"), "{error}");
    assert_eq!(fs::read(folder.path().join("fit.json")).unwrap(), whole);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn told_to_end_it_says_so_with_the_signals_code_and_writes_nothing() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_curate"))
            .args([
                "plan",
                "fit",
                &five_runs(),
                "--law",
                "power",
                "--own",
                "none",
                "--draws",
                "10M",
                "--progress",
                "json",
            ])
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("bootstrap")));
        send(signal, &child);
        let said: Vec<String> = lines.collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{said:?}");
        assert_eq!(said.last().unwrap(), "error: interrupted; nothing was written");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}

/// Work that does not look at whether it should stop, here a reader that does not read, ends too.
#[test]
fn work_that_does_not_listen_is_ended() {
    let folder = fitted();
    let budgets = vec!["5B"; 20_000].join(",");
    let mut child = Command::new(env!("CARGO_BIN_EXE_curate"))
        .args(["plan", "predict", "fit.json", "--candidates", "LAION-2B", "--samples", &budgets])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    send("TERM", &child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    drop(out);
}

/// As `nohup` starts it: a terminal that closes does not end it.
#[test]
fn a_terminal_that_it_was_started_to_outlive_does_not_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_curate");
    let runs = five_runs();
    let script =
        format!("trap '' HUP; exec {program} plan fit {runs} --draws 300K --progress json");
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("compare laws")));
    send("HUP", &child);
    let said: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert!(folder.path().join("fit.json").exists());
}

fn send(signal: &str, to: &Child) {
    let id = to.id().to_string();
    let kill = Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
    assert!(kill.success());
}
