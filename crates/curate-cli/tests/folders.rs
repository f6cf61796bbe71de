//! Folders and files that several processes write to, or that a killed one left.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use curate::{
    core::SampleId,
    dfn::{OpenClipConfig, Weights, network::write_folder},
    io::{
        lock::FolderLock,
        subset::{self, SubsetFormat},
        table::{self, Column},
    },
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_curate");

/// The smallest PNG: 1 x 1 pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\n\
    IDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\x1b\xb6\xee\x56\0\0\0\0IEND\xaeB`\x82";

const MODEL: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(args).arg("-q");
    command
}

fn curate(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// Shards of 40 samples in `pool`, a selection of all in `all.npy`, a table in `metadata`, a network in `net`.
fn setting() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("pool")).unwrap();
    let ids: Vec<SampleId> = (1..=200).map(SampleId).collect();
    for (shard, ids) in ids.chunks(40).enumerate() {
        let mut tar = tar::Builder::new(File::create(path(&format!("pool/{shard}.tar"))).unwrap());
        for id in ids {
            let record = format!("{{\"uid\": \"{id}\", \"text\": \"caption {id}\"}}");
            for (ending, data) in [("json", record.as_bytes()), ("png", PNG)] {
                let mut header = tar::Header::new_gnu();
                header.set_size(data.len() as u64);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("{}.{ending}", id.0), data).unwrap();
            }
        }
        tar.finish().unwrap();
    }
    subset::write(&path("all.npy"), SubsetFormat::Npy, &ids).unwrap();
    let columns = vec![
        ("uid", Column::Text(ids.iter().map(SampleId::to_string).collect())),
        ("s", Column::F32((0..200_u8).map(f32::from).collect())),
    ];
    table::write(&path("metadata/a.parquet"), columns).unwrap();
    let recipe = "[pool]\npath = \"metadata\"\n[[stage]]\nkind = \"score\"\ncolumn = \"s\"\n";
    fs::write(path("r.toml"), recipe).unwrap();
    fs::write(path("model.json"), MODEL).unwrap();
    let config = OpenClipConfig::read(&path("model.json")).unwrap();
    write_folder(&path("net"), &config, &Weights::random(&config.model_cfg, 1)).unwrap();
    folder
}

const EMBED: [&str; 7] = ["filter", "embed", "pool", "--network", "net", "--out", "out"];
const RESHARD: [&str; 8] =
    ["reshard", "pool", "--subset", "all.npy", "--out", "out", "--samples-per-shard", "9"];
const RUN: [&str; 4] = ["run", "r.toml", "--out", "out"];

#[test]
fn no_two_commands_write_to_one_folder() {
    let folder = setting();
    let out = folder.path().join("out");
    let lock = FolderLock::take(&out).unwrap();
    let live = out.join(".curate-live.part");
    let held = File::create(&live).unwrap();
    held.lock().unwrap();
    let train =
        ["filter", "train", "pool", "--model", "model.json", "--steps", "1", "--out", "out"];
    let mut commands = vec![&EMBED[..], &RESHARD, &RUN];
    commands.extend(cfg!(feature = "train").then_some(&train[..]));
    for args in commands {
        let error = refused(folder.path(), args);
        assert!(error.contains("error: out: is being written to by another process"), "{error}");
        assert!(live.exists(), "{args:?}");
    }
    assert!(!out.join("manifest.json").exists());
    drop(lock);
    assert!(said(folder.path(), &RESHARD).contains("200 samples in 23 shards"));
    assert!(live.exists(), "another process writes it");
}

/// Waits for something that a process does; false where the process ended before.
fn wait_for(child: &mut Child, done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came to that");
        if child.try_wait().unwrap().is_some() {
            return done();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn a_killed_embedding_frees_its_folder_which_is_no_result_until_it_is_whole() {
    let folder = setting();
    let out = folder.path().join("out");
    let mut child = command(folder.path(), &[&EMBED[..], &["--threads", "1"]].concat())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&mut child, || out.join("0.json").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // On a very fast machine all was done by then.
    if !out.join("4.json").exists() {
        let error = refused(folder.path(), &["filter", "score", "out", "--top", "3"]);
        assert!(error.contains(" of 5 shards are embedded; run it to its end"), "{error}");
    }
    assert!(said(folder.path(), &EMBED).contains("200 pairs in 5 shards"));
    said(folder.path(), &["filter", "score", "out", "--top", "3"]);

    fs::remove_file(out.join("1.scores.parquet")).unwrap();
    let score = ["filter", "score", "out", "--top", "3"];
    let error = refused(folder.path(), &score);
    assert!(error.contains("1.scores.parquet: is missing; run the embedding again"), "{error}");
    let again = said(folder.path(), &EMBED);
    assert!(again.contains("(4 of them from an earlier run)"), "{again}");
    assert!(again.contains("1 shards were embedded again: their files had changed"), "{again}");
    assert!(said(folder.path(), &[&EMBED[..], &["--verify"]].concat()).contains("(5 of them"));
    said(folder.path(), &[&score[..], &["--verify"]].concat());
}

#[test]
fn a_killed_reshard_is_no_pool_until_it_is_whole() {
    let folder = setting();
    let out = folder.path().join("out");
    let mut child = command(folder.path(), &RESHARD).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&mut child, || out.join("00000002_stats.json").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    if !out.join("meta.json").exists() {
        let error = refused(folder.path(), &["inspect", "out"]);
        assert!(error.contains(" of 23 shards are written; run it to its end"), "{error}");
    }
    said(folder.path(), &RESHARD);
    assert!(said(folder.path(), &["inspect", "out"]).contains("200"));
    fs::write(out.join("00000003.tar"), b"").unwrap();
    let again = said(folder.path(), &RESHARD);
    assert!(again.contains("22 shards were there already"), "{again}");
    assert!(again.contains("1 shard was written again"), "{again}");
    let verified = said(folder.path(), &[&RESHARD[..], &["--verify"]].concat());
    assert!(verified.contains("23 shards were there already"), "{verified}");
}

#[test]
fn jobs_of_an_array_share_a_resharding_and_one_that_is_killed_is_made_good() {
    let folder = setting();
    let job = |index: &str| {
        let args = [&RESHARD[..], &["--tasks", "3"]].concat();
        let mut command = command(folder.path(), &args);
        command.env("SLURM_ARRAY_TASK_ID", index);
        command
    };
    let done = |index: &str| {
        let output = job(index).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    // Later, to a scheduler: others have not read their part of the pool.
    let (code, error) = done("0");
    let expected =
        "error: out: 3 of 5 input shards are for other tasks to read; give the same command again";
    assert!(code == Some(75) && error.starts_with(expected), "{error}");
    assert_eq!(done("1").0, Some(75));
    let (code, told) = done("2");
    assert!(code == Some(0) && told.contains("\ntask 2 of 0 to 2: 7 shards in out\n"), "{told}");
    assert!(told.contains("the command without --tasks completes the folder"), "{told}");

    let mut child = job("1").stdout(Stdio::null()).spawn().unwrap();
    wait_for(&mut child, || folder.path().join("out/00000004.tar").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(done("1").0, Some(0));
    // Task 0 never came back.
    let told = said(folder.path(), &RESHARD);
    assert!(told.contains("15 shards were there already"), "{told}");
    let alone = RESHARD.map(|arg| if arg == "out" { "alone" } else { arg });
    said(folder.path(), &alone);
    let names = || (0..23).flat_map(|k| [format!("{k:08}.tar"), format!("{k:08}_stats.json")]);
    let others = ["sizes.json", "sample_ids.npy"].map(str::to_owned);
    for name in names().chain(others) {
        let read = |out: &str| fs::read(folder.path().join(out).join(&name)).unwrap();
        assert!(read("out") == read("alone"), "{name}");
    }
    assert_eq!(done("0").0, Some(0), "late: the folder is complete");
    let left = fs::read_dir(folder.path().join("out")).unwrap().count();
    assert_eq!(left, fs::read_dir(folder.path().join("alone")).unwrap().count());

    let both = curate(folder.path(), &[&RESHARD[..], &["--tasks", "3", "--overwrite"]].concat());
    assert_eq!(both.status.code(), Some(2), "{}", text(&both.stderr));
}

/// Every command that writes a file clears its folder of what killed ones left, and of nothing else.
#[test]
fn what_killed_commands_left_beside_their_file_goes_at_the_next_write() {
    let folder = setting();
    said(folder.path(), &RUN);
    let baseline = ["baseline", "no_filter", "--metadata-dir", "metadata", "--save-path"];
    let select = ["select", "out", "--top", "3", "--out"];
    let union = ["subset", "union", "all.npy", "all.npy", "--out"];
    for args in [&baseline[..], &select, &union] {
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        let held = File::create(files.join(".curate-live.part")).unwrap();
        held.lock().unwrap();
        for name in [".curate-dead.part", "mine.part", ".curate-notes.txt"] {
            fs::write(files.join(name), b"half").unwrap();
        }
        said(folder.path(), &[args, &["files/x.npy"]].concat());
        let names = fs::read_dir(&files).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        let expected = [".curate-live.part", ".curate-notes.txt", "mine.part", "x.npy"];
        assert_eq!(names, expected, "{args:?}");
        fs::remove_dir_all(&files).unwrap();
    }
}

/// A process that is stopped in the middle of its file, another one that writes beside it, and the end of
/// the first.
#[test]
fn a_file_that_another_process_is_writing_is_left_alone() {
    let folder = setting();
    let ids: Vec<SampleId> = (0..400_000).map(|i| SampleId(i << 64 | i)).collect();
    subset::write(&folder.path().join("large.npy"), SubsetFormat::Npy, &ids).unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let part = || {
        let mut names = fs::read_dir(&files).unwrap().map(|e| e.unwrap().path());
        names.find(|p| p.extension().is_some_and(|e| e == "part"))
    };
    let union = ["subset", "union", "large.npy", "all.npy", "--out"];
    let mut child = command(folder.path(), &[&union[..], &["files/large.jsonl"]].concat())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let signal = |child: &Child, name: &str| {
        let id = child.id().to_string();
        Command::new("kill").args([name, &id]).status().unwrap();
    };
    if wait_for(&mut child, || part().is_some()) {
        signal(&child, "-STOP");
        said(folder.path(), &["subset", "union", "all.npy", "all.npy", "--out", "files/x.npy"]);
        signal(&child, "-CONT");
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(part(), None);
    assert_eq!(subset::read(&files.join("large.jsonl")).unwrap().len(), 400_200);
}
