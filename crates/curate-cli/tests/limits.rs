//! What the program refuses before it works for it, and what it never hands a terminal.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
};

use curate::io::{
    npy::f32_table,
    table::{self, Column},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_curate");

fn curate(folder: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn pool(folder: &Path, array: &str) {
    let rows: usize = 500;
    let uids = (1..=rows).map(|i| format!("{i:032x}")).collect();
    table::write(&folder.join("a.parquet"), vec![("uid", Column::Text(uids))]).unwrap();
    let vectors: Vec<f32> =
        (0..rows * 32).map(|i| if i / 32 % 32 == i % 32 { 1.0 } else { 0.0 }).collect();
    let mut zip = ZipWriter::new(fs::File::create(folder.join("a.npz")).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file(format!("{array}.npy"), stored).unwrap();
    zip.write_all(&f32_table(&vectors, rows, 32).unwrap()).unwrap();
    zip.finish().unwrap();
}

#[test]
fn verify_names_every_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    pool(folder.path(), "img");
    let whole = curate(folder.path(), &["inspect", ".", "--verify", "-q"]);
    let said = text(&whole.stdout);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    assert!(said.contains("  verified  2 files, 0.1 MiB, 0 damaged\n"), "{said}");

    let mut bytes = fs::read(folder.path().join("a.npz")).unwrap();
    bytes[5000] ^= 1;
    fs::write(folder.path().join("a.npz"), bytes).unwrap();
    fs::write(folder.path().join("b.parquet"), b"PAR1 no table PAR1").unwrap();
    let damaged = curate(folder.path(), &["inspect", ".", "--verify", "-q"]);
    let said = text(&damaged.stdout);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(said.contains("  damaged   b: is not a Parquet file"), "{said}");
    let member = "a.npz: member `img.npy` does not have the bytes of its checksum";
    assert!(said.contains(member), "{said}");
    assert!(text(&damaged.stderr).contains(".: 2 of 3 files are damaged"));
    // Who reads all rows finds it without asking, too.
    fs::remove_file(folder.path().join("b.parquet")).unwrap();
    let read = curate(folder.path(), &["inspect", ".", "-q"]);
    let said = text(&read.stderr);
    assert!(said.contains("a.npz: array `img` does not have the bytes of its checksum"), "{said}");
}

#[test]
fn names_reach_no_terminal_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    pool(folder.path(), "img\u{1b}[2J\u{9b}\u{202e}");
    for args in [&["inspect", "."][..], &["inspect", ".", "--json"]] {
        let shown = curate(folder.path(), &[args, &["--progress", "json"]].concat());
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        let (out, progress) = (text(&shown.stdout), text(&shown.stderr));
        assert!(out.contains("img\\u{1b}[2J") || out.contains("img\\u001b[2J"), "{out}");
        let obeyed = |c: char| matches!(c, '\u{1b}' | '\u{9b}' | '\u{202e}');
        assert!(!out.contains(obeyed) && !progress.contains(obeyed), "{out}{progress}");
        if args.len() == 3 {
            let json: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(json["embeddings"][0]["name"], "img\u{1b}[2J\u{9b}\u{202e}");
        }
    }
    let missing = curate(folder.path(), &["inspect", "a\u{1b}]0;evil\u{7}\nerror: b"]);
    let said = text(&missing.stderr);
    assert!(said.starts_with("error: a\\u{1b}]0;evil\\u{7}\\nerror: b: "), "{said}");
}

#[test]
fn threads_beyond_reason_are_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let refused = curate(folder.path(), &["inspect", ".", "--threads", "4000"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.starts_with("error: 4000 threads are asked for, but this machine has "), "{said}");
}

#[test]
fn a_pipe_for_a_recipe_is_refused_and_a_stream_that_is_open_is_read() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("r.toml")).status().unwrap().success());
    let refused = curate(folder.path(), &["run", "r.toml"]);
    assert!(text(&refused.stderr).contains("r.toml: is a pipe, not a file"));
    let script = format!("{PROGRAM} run <(echo '[pool]') --dry-run");
    let read = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(text(&read.stderr).contains("has no stage"), "{}", text(&read.stderr));
}

#[test]
fn more_columns_than_anyone_reads_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let fields: Vec<String> = (0..3000).map(|i| format!("\"k{i:04}\": {i}")).collect();
    let record = format!("{{\"text\": \"x\", {}}}\n", fields.join(", "));
    fs::write(folder.path().join("a.jsonl"), record).unwrap();
    let shown = curate(folder.path(), &["inspect", ".", "-q"]);
    let said = text(&shown.stdout);
    assert!(said.contains("k0099") && !said.contains("k0100"), "{said}");
    assert!(said.contains("\n  and 2900 more\n"), "{said}");
}
