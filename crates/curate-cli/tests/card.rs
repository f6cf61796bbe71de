//! `curate eval card` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn card(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).args(["eval", "card"]).args(args).arg("-q").output().unwrap()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = card(folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = card(folder, args);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// What stands in the book's chapter between a line and the end of the block.
fn block<'a>(chapter: &'a str, after: &str) -> &'a str {
    let (_, rest) = chapter.split_once(after).unwrap();
    rest.split_once("```").unwrap().0
}

/// SELECT's own sets, as the book shows them.
#[test]
fn the_books_card_is_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/select.md");
    let chapter = fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let results = block(&chapter, "<!-- saved as published.jsonl -->\n```json\n");
    fs::write(folder.path().join("published.jsonl"), results).unwrap();
    let found = said(folder.path(), &["published.jsonl"]);
    assert_eq!(found, block(&chapter, "curate eval card published.jsonl\n```\n\n```text\n"));
}

#[test]
fn several_files_make_one_card_and_json_has_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let test = |set: &str, axis: &str, accuracy: f64| {
        format!(
            r#"{{"set": "{set}", "axis": "{axis}", "task": "t", "accuracy": {accuracy}, "samples": 100}}"#
        )
    };
    let write = |name: &str, lines: &[String]| {
        fs::write(folder.path().join(name), lines.join("\n\n")).unwrap();
    };
    write(
        "a.jsonl",
        &[
            test("a", "base", 0.5),
            test("a", "ood", 0.5),
            r#"{"set": "a", "counts": [9, 1]}"#.into(),
        ],
    );
    write(
        "b.jsonl",
        &[
            test("b", "base", 0.8),
            test("b", "ood", 0.8),
            test("c", "base", 0.5),
            test("c", "ood", 0.25),
        ],
    );
    let args = ["a.jsonl", "b.jsonl", "--reference", "a", "--reference", "b"];
    let found = said(folder.path(), &args);
    // The line through a and b is the diagonal; 1.96 * .05 is the half width of a half.
    let row = |set: &str| found.lines().find(|line| line.starts_with(set)).unwrap().to_owned();
    let words = |set: &str| row(set).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("c  ")[1..], ["50.00", "±", "9.80", "25.00", "±", "8.49", "-25.00"]);
    assert!(found.contains("points above the line through a, b\n"), "{found}");
    let last = found.lines().rfind(|line| line.starts_with("a  ")).unwrap();
    let last: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(last, ["a", "10", "2", "2", "2", "0.900", "1.4", "0.400"]);
    let json: Value =
        serde_json::from_str(&said(folder.path(), &[&args[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["cards"][2]["set"], "c");
    assert_eq!(json["cards"][0]["classes"]["largest_share"], 0.9);
    assert!((json["cards"][2]["robustness"].as_f64().unwrap() + 0.25).abs() < 1e-12);
}

#[test]
fn a_file_that_is_none_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"set": "a", "axis": "base", "task": "t", "accuracy": 0.5}"#;
    for (text, expected) in [
        (format!("{good}\n\n{{\"set\": \"a\", \"axes\": 1}}"), "line 3: unknown field `axes`"),
        (format!("{good}\n{{\"set\": \"a\"}}"), "line 2: there is no `axis`"),
        (format!("{good}\n{{\"set\": \"a\""), "line 2: EOF while parsing"),
        (String::new(), "has no line"),
        (r#"["a", "base", "t", 0.5, null, null, null]"#.into(), "line 1: is no JSON object; write"),
        (format!("{good}\n{good}"), "set `a` in the base test `t`: it is there twice with seed 0"),
    ] {
        fs::write(folder.path().join("x.jsonl"), text).unwrap();
        let error = refused(folder.path(), &["x.jsonl"]);
        assert!(error.contains(expected), "{error}");
    }
    assert!(refused(folder.path(), &["none.jsonl"]).contains("none.jsonl"));
}
