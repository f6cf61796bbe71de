//! `curate filter` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    dfn::{OpenClipConfig, Weights, network::write_folder},
    io::{subset, table},
};

const MODEL: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;

fn curate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).arg("filter").args(args).arg("-q").env("COLUMNS", "100");
    command.output().unwrap()
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

/// The smallest table of the demonstration with the images beside it.
fn pool(folder: &Path) -> PathBuf {
    let demo: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo", "pool"].iter().collect();
    let pool = folder.join("pool");
    let files = |part: &str| {
        let entries = fs::read_dir(demo.join(part)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        files.sort_by_key(|p| (fs::metadata(p).unwrap().len(), p.clone()));
        files
    };
    let tables = files("metadata");
    let table = tables.iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
    let copy = |file: &Path, part: &str| {
        fs::create_dir_all(pool.join(part)).unwrap();
        fs::copy(file, pool.join(part).join(file.file_name().unwrap())).unwrap();
    };
    copy(table, "metadata");
    files("shards").iter().for_each(|file| copy(file, "shards"));
    pool
}

fn network(folder: &Path, seed: u64) {
    let file = folder.join("model.json");
    fs::write(&file, MODEL).unwrap();
    let config = OpenClipConfig::read(&file).unwrap();
    write_folder(&folder.join("net"), &config, &Weights::random(&config.model_cfg, seed)).unwrap();
}

#[test]
fn a_pool_is_embedded_scored_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    network(folder, 1);
    let first = said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(first.contains("in 1 shards (0 of them"), "{first}");
    let again = said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(again.contains("in 1 shards (1 of them"), "{again}");
    let cut =
        said(folder, &["score", "e", "--top", "10", "--out", "kept.npy", "--scores", "s.parquet"]);
    assert!(cut.contains("kept 10 ("), "{cut}");
    let kept = subset::read(&folder.join("kept.npy")).unwrap();
    let file = folder.join("s.parquet");
    let table = table::Reader::open(&file).unwrap();
    let scores = table.f32("score").unwrap();
    let mut sorted = scores.clone();
    sorted.sort_by(f32::total_cmp);
    let tenth = sorted[sorted.len() - 10];
    let ids = table.text("uid", None).unwrap();
    for (id, score) in ids.iter().zip(&scores) {
        let id = id.as_deref().unwrap().parse().unwrap();
        assert_eq!(kept.contains(&id), *score >= tenth);
    }
    let args = ["score", "e", "--top", "10", "--out", "kept.csv", "--scores", "early.parquet"];
    assert!(refused(folder, &args).contains("kept.csv: has no ending of a subset; name it .npy"));
    assert!(!folder.join("early.parquet").exists(), "refused before anything is written");
    let args = ["score", "e", "--by", "neg-clip-loss", "--batch", "100", "--partitions", "2"];
    assert!(said(folder, &args).contains("0 of them without a score"));
    network(folder, 2);
    let other = refused(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(
        other.contains("another network") && other.contains("choose another folder"),
        "{other}"
    );
    let none = refused(folder, &["score", "nothing"]);
    assert!(none.contains("nothing: does not exist"), "{none}");
}

/// Its text tower has no row for most tokens.
#[test]
fn a_network_of_another_vocabulary_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    let mut config: OpenClipConfig = serde_json::from_str(MODEL).unwrap();
    config.model_cfg.text_cfg.vocab_size = 64;
    let weights = Weights::random(&config.model_cfg, 1);
    write_folder(&folder.join("net"), &config, &weights).unwrap();
    let problem = "net/open_clip_config.json: `text_cfg.vocab_size` is 64, but captions have 49408";
    let error = refused(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(error.contains(problem), "{error}");
    assert!(!folder.join("e").exists());
    if cfg!(feature = "train") {
        let model = "net/open_clip_config.json";
        for from in [["--from", "net"], ["--model", model]] {
            let error = refused(folder, &[&["train", pool, "--out", "x"][..], &from].concat());
            assert!(error.contains(problem), "{error}");
        }
    }
}

#[test]
fn a_card_says_what_a_folder_of_open_clips_holds() {
    let folder = tempfile::tempdir().unwrap();
    network(folder.path(), 1);
    let card = said(folder.path(), &["card", "net"]);
    assert!(
        card.starts_with("# net\n") && card.contains("| text tower | 1 layers of 32, 16 tokens |")
    );
    let json: serde_json::Value =
        serde_json::from_str(&said(folder.path(), &["card", "net", "--json"])).unwrap();
    assert_eq!(json["training"], serde_json::Value::Null);
    fs::write(folder.path().join("net/open_clip_model.safetensors"), b"x").unwrap();
    let error = refused(folder.path(), &["card", "net"]);
    assert!(error.contains("is no safetensors file"), "{error}");
}

#[test]
fn help_says_what_each_option_does() {
    let help = |args: &[&str]| text(&curate(Path::new("."), args).stdout);
    insta::assert_snapshot!(help(&["train", "--help"]));
    insta::assert_snapshot!(help(&["score", "--help"]));
}

#[cfg(not(feature = "train"))]
#[test]
fn a_program_without_training_says_how_to_get_it() {
    let error = refused(Path::new("."), &["train", "pool", "--out", "x"]);
    assert!(error.contains("--features train"), "{error}");
}

#[cfg(feature = "train")]
#[test]
fn a_trained_network_embeds_and_its_card_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    fs::write(folder.join("model.json"), MODEL).unwrap();
    let train = |out: &str, more: &[&str]| {
        let args = ["train", pool, "--out", out, "--steps", "6", "--batch", "16", "--warmup", "2"];
        said(folder, &[&args[..], more].concat())
    };
    assert!(train("net", &["--model", "model.json"]).contains("wrote net"));
    train("again", &["--model", "model.json", "--micro-batch", "16"]);
    let file =
        |name: &str| fs::read(folder.join(name).join("open_clip_model.safetensors")).unwrap();
    assert!(file("net") == file("again"), "the same seed gives the same network");
    train("other", &["--model", "model.json", "--seed", "1"]);
    assert!(file("net") != file("other"));
    train("tuned", &["--from", "net", "--ensemble", "0"]);
    assert!(file("tuned") == file("net"), "an ensemble of nothing but the start");
    let card: serde_json::Value =
        serde_json::from_str(&said(folder, &["card", "net", "--json"])).unwrap();
    assert_eq!(card["training"]["params"]["steps"], 6);
    assert_eq!(card["training"]["curve"].as_array().unwrap().len(), 6);
    said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    let wrong = ["train", pool, "--out", "x", "--from", "net", "--ensemble", "1.5"];
    assert!(refused(folder, &wrong).contains("must be a number from 0 to 1"));
    let wrong = ["train", pool, "--out", "x", "--model", "model.json", "--device", "gpu"];
    assert!(refused(folder, &wrong).contains("`gpu` is no device"));
    let wrong = ["train", pool, "--out", "x", "--model", "model.json", "--lr", "0", "--batch", "1"];
    let error = refused(folder, &wrong);
    assert!(error.contains("`batch` is 1") && error.contains("`lr` is 0"), "{error}");
}
