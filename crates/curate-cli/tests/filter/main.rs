//! `curate filter` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod commands;
mod files;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    dfn::{OpenClipConfig, Weights, network::write_folder},
    io::{lock::FolderLock, subset, table},
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

struct Member {
    image: Option<(&'static str, Vec<u8>)>,
    caption: Option<String>,
}

fn bad_file(name: &str) -> Vec<u8> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "curate-dfn", "tests", "fixtures"].iter().collect();
    fs::read(folder.join(name)).unwrap()
}

fn member(name: &'static str, caption: &str) -> Member {
    let ending = name.rsplit('.').next().unwrap();
    Member { image: Some((ending, bad_file(name))), caption: Some(caption.to_owned()) }
}

fn shard(file: &Path, members: &[Member], first: usize) {
    let mut tar = tar::Builder::new(fs::File::create(file).unwrap());
    for (i, Member { image, caption }) in members.iter().enumerate() {
        let image = image.as_ref().map(|(ending, bytes)| (*ending, &bytes[..]));
        let caption = caption.as_ref().map(|text| ("txt", text.as_bytes()));
        for (ending, data) in image.into_iter().chain(caption) {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{:06}.{ending}", first + i), data).unwrap();
        }
    }
    tar.finish().unwrap();
}

/// The scores of an embedded pool, shard after shard.
fn scores(folder: &Path) -> Vec<f32> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_str().unwrap().ends_with(".scores.parquet"))
        .collect();
    files.sort();
    let read = |file: &PathBuf| table::Reader::open(file).unwrap().f32("score").unwrap();
    files.iter().flat_map(read).collect()
}

/// Two embedded pools: the demonstration's smallest table, and a few of its pictures as good ones.
fn embedded(folder: &Path) {
    network(folder, 1);
    let pool = pool(folder);
    said(folder, &["embed", pool.to_str().unwrap(), "--network", "net", "--out", "e"]);
    fs::create_dir(folder.join("good")).unwrap();
    let members: Vec<Member> = (0..30)
        .map(|i| member(["full/rgb_wide.png", "full/rgb_tall.png"][i % 2], "a photo"))
        .collect();
    shard(&folder.join("good/0.tar"), &members, 0);
    said(folder, &["embed", "good", "--network", "net", "--out", "g"]);
}

#[test]
fn help_says_what_each_option_does() {
    let help = |args: &[&str]| text(&curate(Path::new("."), args).stdout);
    insta::assert_snapshot!(help(&["train", "--help"]));
    insta::assert_snapshot!(help(&["score", "--help"]));
    insta::assert_snapshot!(help(&["embed", "--help"]));
    insta::assert_snapshot!(help(&["ensemble", "--help"]));
}
