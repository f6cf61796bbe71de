//! The program without room, without a reader, told to end, and refused.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use curate::{
    core::{SampleId, random},
    io::{
        npy::f32_table,
        subset,
        table::{self, Column},
    },
};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_curate");
const DIM: usize = 32;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with a pool of `n` rows and a recipe `r.toml` that scores and deduplicates it.
fn pool(n: usize, k_means: &str, method: CompressionMethod) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut vectors: Vec<f32> =
        (0..n * DIM).map(|i| random::unit(1, SampleId(i as u128)) as f32 - 0.5).collect();
    vectors.chunks_exact_mut(DIM).for_each(curate::core::embedding::normalize);
    let uids = (1..=n).map(|i| format!("{i:032x}")).collect();
    let columns =
        vec![("uid", Column::Text(uids)), ("s", Column::F32((0..n).map(|i| i as f32).collect()))];
    table::write(&folder.path().join("pool/a.parquet"), columns).unwrap();
    let mut zip = ZipWriter::new(fs::File::create(folder.path().join("pool/a.npz")).unwrap());
    zip.start_file("img.npy", SimpleFileOptions::default().compression_method(method)).unwrap();
    zip.write_all(&f32_table(&vectors, n, DIM).unwrap()).unwrap();
    zip.finish().unwrap();
    let recipe = format!(
        "[pool]\npath = \"pool\"\n[[stage]]\nkind = \"score\"\ncolumn = \"s\"\n\
         [[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\n{k_means}\n"
    );
    fs::write(folder.path().join("r.toml"), recipe).unwrap();
    folder
}

fn small_pool() -> TempDir {
    pool(400, "clusters = 4", CompressionMethod::Stored)
}

/// `curate run r.toml --out run` in the folder.
fn run(folder: &Path, more: &[&str]) -> Output {
    let args = [&["run", "r.toml", "--out", "run", "-q"], more].concat();
    Command::new(PROGRAM).args(args).current_dir(folder).output().unwrap()
}

/// The same where no file may grow beyond so many bytes: writing more fails as on a full disk.
fn run_with_room(folder: &Path, bytes: usize) -> Output {
    let script = "trap '' XFSZ; ulimit -f $1; shift; exec \"$@\"";
    let blocks = (bytes / 1024).to_string();
    Command::new("bash")
        .args(["-c", script, "bash", &blocks, PROGRAM, "run", "r.toml", "--out", "run", "-q"])
        .current_dir(folder)
        .output()
        .unwrap()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn without_room_at_any_point_the_file_is_named_and_nothing_is_half_written() {
    let whole = small_pool();
    assert!(run(whole.path(), &[]).status.success());
    let expected = fs::read(whole.path().join("run/subset.npy")).unwrap();
    let mut refused = 0;
    for kilobytes in [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 256] {
        let folder = small_pool();
        let output = run_with_room(folder.path(), kilobytes * 1024);
        let out = folder.path().join("run");
        if !output.status.success() {
            refused += 1;
            let said = text(&output.stderr);
            assert!(said.contains("could not be written"), "{kilobytes} KiB: {said}");
            assert!(said.contains("run the same command again"), "{kilobytes} KiB: {said}");
            assert!(!out.join("manifest.json").exists(), "{kilobytes} KiB");
        }
        for file in files(&out) {
            assert!(!file.to_string_lossy().ends_with(".part"), "{} is left", file.display());
            if file.extension().is_some_and(|ending| ending == "parquet") {
                table::Reader::open(&file).unwrap();
            }
        }
        assert!(run(folder.path(), &[]).status.success());
        assert_eq!(fs::read(out.join("subset.npy")).unwrap(), expected, "{kilobytes} KiB");
    }
    assert!((4..13).contains(&refused), "{refused} of 13 runs were refused");
}

#[test]
fn a_temporary_folder_without_room_is_not_taken_for_a_damaged_pool() {
    let folder = pool(400, "clusters = 4", CompressionMethod::Deflated);
    let said = text(&run_with_room(folder.path(), 8 * 1024).stderr);
    assert!(said.contains("free space there, or name a larger folder in TMPDIR"), "{said}");
    assert!(!said.contains("fetch"), "{said}");
    assert!(run(folder.path(), &[]).status.success());
}

#[test]
fn a_file_where_the_run_folder_should_be_is_left_alone() {
    let folder = small_pool();
    fs::write(folder.path().join("run"), "mine").unwrap();
    let output = run(folder.path(), &[]);
    let said = text(&output.stderr);
    assert!(said.contains("run: could not be created: a file of that name is there"), "{said}");
    assert!(said.contains("name another path, or move that file away"), "{said}");
    assert_eq!(fs::read(folder.path().join("run")).unwrap(), b"mine");
}

#[test]
fn an_output_that_takes_nothing_is_an_error_and_the_run_is_whole() {
    let folder = small_pool();
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    let mut command = Command::new(PROGRAM);
    command.args(["run", "r.toml", "--out", "run", "-q"]).current_dir(&folder).stdout(full());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("error: the output: could not be written: the disk is full")
    );
    assert!(folder.path().join("run/manifest.json").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(PROGRAM)
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn told_to_end_it_keeps_what_was_finished_and_goes_on_from_there() {
    let k_means = "clusters = 300\nk-means = { iterations = 40, tolerance = 0.0 }";
    let folder = pool(20_000, k_means, CompressionMethod::Stored);
    let mut child = Command::new(PROGRAM)
        .args(["run", "r.toml", "--out", "run", "--threads", "1", "--progress", "json"])
        .current_dir(&folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("k-means pass")));
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said:?}");
    assert!(said.last().unwrap().contains("run the same command again to go on"), "{said:?}");
    let out = folder.path().join("run");
    assert!(!out.join("manifest.json").exists() && !out.join("subset.npy").exists());

    let again = run(folder.path(), &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let score = text(&again.stdout).lines().find(|l| l.contains("score")).unwrap().to_owned();
    assert!(score.trim_end().ends_with("read"), "{score}");
    assert!(!subset::read(&out.join("subset.npy")).unwrap().is_empty());
}

#[test]
fn refusals_name_the_stage_the_setting_and_the_way_out() {
    let folder = small_pool();
    let complaint = || {
        let output = run(folder.path(), &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        text(&output.stderr).replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    assert!(run(folder.path(), &[]).status.success());
    let recipe = folder.path().join("r.toml");
    let written = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, written.replace("clusters = 4", "clusters = 5")).unwrap();
    insta::assert_snapshot!(complaint(), @"error: run: stage `dedup` was computed with other settings (`clusters` was 4, is 5); choose another folder, or replace it with --overwrite");
    fs::write(&recipe, written.replace("clusters = 4", "clusters = \"few\"")).unwrap();
    insta::assert_snapshot!(complaint(), @r#"error: r.toml: stage 2 (`semantic-dedup`): invalid type: string "few", expected usize in `clusters`"#);
    fs::write(&recipe, written.replace("\"img\"", "\"image\"")).unwrap();
    insta::assert_snapshot!(complaint(), @"error: FOLDER/pool/a.npz: has no array `image`; it has `img`; name one of those");
    fs::write(&recipe, &written).unwrap();
    let npz = folder.path().join("pool/a.npz");
    let whole = fs::read(&npz).unwrap();
    fs::write(&npz, &whole[..whole.len() / 2]).unwrap();
    insta::assert_snapshot!(complaint(), @"
    error: FOLDER/pool/a.npz: is not an npz file, or is cut off: its list of members cannot be read; fetch or write the file again
      because: invalid Zip archive: Could not find EOCD
    ");
    fs::write(&npz, &whole).unwrap();
    let again = run(folder.path(), &[]);
    assert!(again.status.success(), "{}", text(&again.stderr));
}

#[test]
fn help_names_every_command() {
    let output = Command::new(PROGRAM).arg("--help").env("COLUMNS", "100").output().unwrap();
    insta::assert_snapshot!(text(&output.stdout), @"
    Decide which samples of an image-text pool to train on.

    A recipe lists stages: score, cut, semantic dedup, concept pruning, set operations. A run writes the
    subset, the reason for every removed sample, a manifest and an HTML report.

    Usage: curate [OPTIONS] <COMMAND>

    Commands:
      run       Run a recipe over a pool
      demo      Curate the demonstration pool that comes with the source, and name the files to open
      inspect   Show what a pool contains: rows, columns, embeddings, quarantined rows
      explain   Explain why a sample was kept or removed
      report    Tables of a finished run
      compare   Compare two runs or subset files
      select    Apply another threshold to a finished stage, without computing it again
      filter    Data filtering networks: train one, embed a pool with it, score, select
      eval      Train the same small model on several selections of a pool, and rank them
      distill   Train a teacher on a whole pool, and students of it on selections
      baseline  Filter DataComp metadata with one of DataComp's baselines
      reshard   Write the samples of a subset into new WebDataset shards, as DataComp's resharder does
      subset    Combine subset files, or count the ids in one. An id may occur several times
      transfer  Rank the classes of a pre-training set by what a target needs, and keep the best
      tasks     Carry a recipe out in tasks, by many processes or machines that share a folder
      plan      Fit scaling laws of data and compute to small training runs, and decide which pool to
                train on
      schema    Print the JSON Schema of recipes
      help      Print this message or the help of the given subcommand(s)

    Options:
          --progress <HOW>
              Show progress on the error stream as auto (bars on a terminal, nothing elsewhere), json
              (an object a line) or none
              
              [default: auto]

      -q, --quiet
              Show no progress, as `--progress none`

          --threads <N>
              The number of threads; all cores by default. The result does not depend on it

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}

#[test]
fn a_subset_file_of_no_known_kind_is_refused_before_it_is_written() {
    let folder = small_pool();
    assert!(run(folder.path(), &[]).status.success());
    let select = |file: &str| {
        let args = ["select", "run", "--epsilon", "0.2", "--out", file];
        Command::new(PROGRAM).args(args).current_dir(&folder).output().unwrap()
    };
    let output = select("kept.csv");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("kept.csv: has no ending of a subset; name it .npy"));
    assert!(!folder.path().join("kept.csv").exists());
    assert!(select("kept.jsonl").status.success());
    assert!(!subset::read(&folder.path().join("kept.jsonl")).unwrap().is_empty());
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
#[test]
fn a_device_that_is_not_built_in_is_refused_before_the_first_stage() {
    let folder = small_pool();
    for (device, feature) in [("wgpu", "`wgpu`"), ("cuda:1", "`cuda`")] {
        let output = run(folder.path(), &["--device", device]);
        let error = text(&output.stderr);
        assert!(!output.status.success());
        assert!(error.contains("stage `dedup`") && error.contains(feature), "{error}");
        assert!(!folder.path().join("run").exists());
    }
    let error = text(&run(folder.path(), &["--device", "gpu"]).stderr);
    assert!(error.contains("`gpu` is not a device: use auto, cpu, wgpu"), "{error}");
    let recipe = fs::read_to_string(folder.path().join("r.toml")).unwrap();
    let wrong = recipe.clone() + "k-means = { device = \"tpu\" }\n";
    fs::write(folder.path().join("r.toml"), wrong).unwrap();
    let error = text(&run(folder.path(), &[]).stderr);
    assert!(error.contains("`tpu` is not a device"), "{error}");
    // `auto` is the CPU here, and written back as that.
    let auto = recipe + "k-means = { device = \"auto\" }\n";
    fs::write(folder.path().join("r.toml"), auto).unwrap();
    assert!(run(folder.path(), &[]).status.success());
    let written = fs::read_to_string(folder.path().join("run/recipe.toml")).unwrap();
    assert!(!written.contains("auto"), "{written}");
}

#[test]
fn numbers_and_names_that_are_none_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (args, parts) in [
        (&["select", "run", "--epsilon", "nan"][..], ["--epsilon", "from 0 to 2"]),
        (&["select", "run", "--threshold", "NaN"], ["--threshold", "not a number"]),
        (&["select", "run", "--top", "1.5"], ["--top", "whole count"]),
        (
            &["filter", "embed", "p", "-n", "n", "-o", "o", "--name", "../../evil"],
            ["--name", "folder"],
        ),
        (&["filter", "score", "p", "--name", "a/b"], ["--name", "folder"]),
        (&["filter", "score", "p", "--threshold", "nan"], ["--threshold", "not a number"]),
        (
            &[
                "baseline",
                "clip_score",
                "--metadata-dir",
                "m",
                "--save-path",
                "o.npy",
                "--threshold",
                "nan",
            ],
            ["--threshold", "not a number"],
        ),
    ] {
        let output = Command::new(PROGRAM).args(args).current_dir(&folder).output().unwrap();
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && parts.iter().all(|p| said.contains(p)),
            "{args:?}: {said}"
        );
    }
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}
