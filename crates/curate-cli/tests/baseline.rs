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
    let ignored = ["--batch_size", "512", "--image_based_scale", "small", "--num_gpus", "8"];
    let output = baseline(&[&args[..], &ignored, &["--save_path", out_text]].concat());
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
    let said = |rule: &str, how: [&str; 2]| {
        let args = [rule, how[0], how[1], "--save-path", out.to_str().unwrap()];
        let output = baseline(&args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let basic = said("basic_filter", ["--language", "built-in"]);
    assert!(basic.contains("not DataComp's subset: the built-in identifier"), "{basic}");
    assert!(basic.contains("small image"), "{basic}");
    let model = fixture("lid/hs.ftz");
    let laion = said("laion2b", ["--language-model", model.to_str().unwrap()]);
    assert!(laion.contains("not DataComp's subset: its laion2b names languages with CLD3"));
    let basic = said("basic_filter", ["--language-model", model.to_str().unwrap()]);
    assert!(!basic.contains("not DataComp's subset"), "{basic}");
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
    let basic = complaint(&["basic_filter"]);
    assert!(
        basic.contains("give it with --language-model") && basic.contains("built-in"),
        "{basic}"
    );
    let laion = complaint(&["laion2b"]);
    assert!(laion.contains("CLD3") && laion.contains("cannot be made here"), "{laion}");
    let both = ["clip_score", "--arch", "b32", "--fraction", "0.3", "--threshold", "0.3"];
    assert!(complaint(&both).contains("cannot be used with"));
    assert!(complaint(&["basic_filter", "--language-model", "none.bin"]).contains("none.bin"));
    assert!(!Path::new("unwritten.npy").exists());
}

#[test]
fn an_object_store_is_not_written_to_by_a_folder_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (command, flag) in [("baseline", "--save-path"), ("reshard", "--out"), ("run", "--out")] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_curate"));
        program.current_dir(folder.path()).args([command, flag, "s3://bucket/out.npy"]);
        let output = program.output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("s3:// is read, not written"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
