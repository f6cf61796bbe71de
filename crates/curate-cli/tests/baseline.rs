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
    insta::assert_snapshot!(complaint(&["basic_filter", "--arch", "b32"]), @"error: basic_filter: --arch is b32, but must be left out: this rule does not read it");
    insta::assert_snapshot!(complaint(&["clip_score"]), @"error: clip_score: --arch is left out, but must be given: this rule needs it; --threshold is left out, but must be given, or else fraction");
    insta::assert_snapshot!(complaint(&["clip_score", "--arch", "b32"]), @"error: clip_score: --threshold is left out, but must be given, or else fraction");
    insta::assert_snapshot!(complaint(&["clip_score", "--arch", "b32", "--fraction", "1"]), @"error: clip_score: --fraction is 1, but must be from 0 to below 1 (no_filter keeps all)");
    insta::assert_snapshot!(complaint(&["text_based"]), @"error: text_based needs --wordnet and --entity-ids; --help says what they are");
    let both = ["clip_score", "--arch", "b32", "--fraction", "0.3", "--threshold", "0.3"];
    assert!(complaint(&both).contains("cannot be used with"));
    assert!(complaint(&["basic_filter", "--language-model", "none.bin"]).contains("none.bin"));
    assert!(!Path::new("unwritten.npy").exists());
}
