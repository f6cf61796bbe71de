//! `curate baseline` as someone meets it who used DataComp's scripts.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/datacomp_mini").join(name)
}

fn baseline(args: &[&str]) -> Output {
    let metadata = fixture("metadata");
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.arg("baseline").args(args).arg("--metadata_dir").arg(metadata).arg("-q");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn datacomps_own_flags_write_datacomps_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.npy");
    let out_text = out.to_str().unwrap();
    let args = ["--name", "clip_score", "--arch", "l14", "--fraction", "0.3", "--num_workers", "4"];
    let output = baseline(&[&args[..], &["--save_path", out_text]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("93 of 300 rows kept (31.0 %)\n"));
    let expected = fs::read(fixture("expected/clip_score_l14_frac03.npy")).unwrap();
    assert!(fs::read(&out).unwrap() == expected);

    let output = baseline(&["no-filter", "--save-path", out_text, "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["count"], &found["rows"]), (&300.into(), &300.into()));
    assert!(fs::read(&out).unwrap() == fs::read(fixture("expected/no_filter.npy")).unwrap());
}

#[test]
fn a_model_and_wordnet_from_files_give_datacomps_text_based_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.npy");
    let wordnet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-text/tests/data/wordnet");
    let (model, ids) = (fixture("lid/hs.ftz"), fixture("imagenet21k_wordnet_ids.txt"));
    let named = [("--language-model", &model), ("--wordnet", &wordnet), ("--entity-ids", &ids)];
    let files = named.iter().flat_map(|(flag, path)| [*flag, path.to_str().unwrap()]);
    let start = ["--name", "text_based", "--morphy", "repeated", "--save_path"];
    let args: Vec<&str> = start.into_iter().chain([out.to_str().unwrap()]).chain(files).collect();
    let output = baseline(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(&out).unwrap() == fs::read(fixture("expected/text_based.npy")).unwrap());
}

#[test]
fn a_subset_that_is_not_datacomps_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.txt");
    let output = baseline(&["basic_filter", "--save-path", out.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert!(said.contains("built-in identifier") && said.contains("--language-model"), "{said}");
    assert!(said.contains("small image"), "{said}");
}

#[test]
fn flags_that_a_baseline_does_not_read_or_lacks_are_named() {
    let complaint = |args: &[&str]| {
        let output = baseline(&[args, &["--save-path", "unwritten.npy"]].concat());
        assert!(!output.status.success());
        text(&output.stderr)
    };
    insta::assert_snapshot!(complaint(&["basic_filter", "--arch", "b32"]), @"error: basic_filter does not read --arch; leave it out");
    insta::assert_snapshot!(complaint(&["clip_score"]), @"error: clip_score needs --arch; --help says what it is");
    insta::assert_snapshot!(complaint(&["clip_score", "--arch", "b32"]), @"error: clip_score needs one of --threshold and --fraction, and not both");
    insta::assert_snapshot!(complaint(&["clip_score", "--arch", "b32", "--fraction", "1"]), @"error: fraction 1 is not between 0 and 1; use no_filter to keep everything");
    insta::assert_snapshot!(complaint(&["text_based"]), @"error: text_based needs --wordnet; --help says what it is");
    let both = ["clip_score", "--arch", "b32", "--fraction", "0.3", "--threshold", "0.3"];
    assert!(complaint(&both).contains("cannot be used with"));
    assert!(complaint(&["basic_filter", "--language-model", "none.bin"]).contains("none.bin"));
    assert!(!Path::new("unwritten.npy").exists());
}
