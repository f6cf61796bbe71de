//! The program as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use curate::io::{
    npy::f32_table,
    table::{self, Column},
};
use tempfile::TempDir;

fn curate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.args(args);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn demo() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo"].iter().collect()
}

fn run_demo(out: &Path, more: &[&str]) -> Output {
    let (demo, out) = (demo(), out.to_str().unwrap().to_owned());
    let args = [&["demo", "--demo", demo.to_str().unwrap(), "--out", &out], more].concat();
    curate(&args).output().unwrap()
}

#[test]
fn the_demonstration_ends_by_naming_the_files_to_open() {
    let out = tempfile::tempdir().unwrap();
    let output = run_demo(out.path(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let after = said.split("open ").nth(1).unwrap();
    assert!(
        after.starts_with(&format!("{}/report.html in a browser", out.path().display())),
        "{said}"
    );
    for name in ["report.html", "subset.npy", "evidence.parquet", "manifest.json", "recipe.toml"] {
        assert!(out.path().join(name).exists(), "{name}");
    }
}

#[test]
fn where_there_is_no_terminal_progress_is_shown_only_as_the_json_lines_that_were_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let lines = text(&run_demo(out.path(), &["--progress", "json"]).stderr);
    let records: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.len() > 10);
    assert!(records.iter().all(|r| r["event"].is_string() && r["task"].is_string()), "{lines}");
    // A task of a stage says which of how many it is.
    let compare = records.iter().find(|record| record["task"] == "compare").unwrap();
    assert_eq!(
        compare["stage"],
        serde_json::json!({"number": 5, "of": 6, "name": "dedup"}),
        "{compare}"
    );
    let ends = records.iter().filter(|record| record["event"] == "finish");
    ends.for_each(|end| assert_eq!(end["done"], end["total"], "{end}"));
    let again = run_demo(out.path(), &[]);
    assert_eq!(text(&again.stderr), "", "a log of errors holds nothing but errors");
    assert!(text(&again.stdout).contains("read"), "the second run reads every stage");
    let both = run_demo(out.path(), &["--quiet", "--progress", "json"]);
    assert!(text(&both.stderr).contains("cannot be used with"), "{}", text(&both.stderr));
}

#[test]
fn errors_name_file_field_and_remedy_and_the_exit_status_tells() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("r.toml");
    let complaint = |content: &str| {
        fs::write(&recipe, content).unwrap();
        let output = curate(&["run", recipe.to_str().unwrap(), "-q"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        text(&output.stderr).replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    insta::assert_snapshot!(complaint("[pool]\npath = \"p\"\n[[stage]]\nkind = \"fraction\"\nfracton = 0.3\n"), @"
    error: FOLDER/r.toml: stage 1 (`fraction`): unknown field `fracton`, expected one of `name`, `from`, `score`, `fraction`, `better`
      stage 1 (`fraction`): missing field `fraction`
    ");
    insta::assert_snapshot!(complaint("[pool]\npath = \"p\"\n[[stage]]\nkind = \"score\"\ncolumn = \"c\"\n"), @"error: FOLDER/p: does not exist; a relative `path` of `[pool]` starts at the recipe's folder; --pool names another");
    fs::create_dir(folder.path().join("p")).unwrap();
    insta::assert_snapshot!(complaint("[pool]\npath = \"p\"\n[[stage]]\nkind = \"score\"\ncolumn = \"c\"\n"), @"error: FOLDER/p: holds no pool: looked for metadata/*.parquet, *.parquet, *.tar, shards/*.tar, img_emb/*.npy, text_emb/*.npy, *.npy, metadata/*.jsonl, *.jsonl, *.h5 and *.hdf5; name the folder that holds one of those");
    assert_eq!(curate(&["frobnicate"]).output().unwrap().status.code(), Some(2));
    let select = curate(&["select", "run", "--fraction", "1.5"]).output().unwrap();
    assert!(text(&select.stderr).contains("must be a number above 0 and at most 1"));
}

#[test]
fn help_says_what_each_option_does() {
    let help = |args: &[&str]| text(&curate(args).env("COLUMNS", "100").output().unwrap().stdout);
    insta::assert_snapshot!(help(&["run", "--help"]));
    insta::assert_snapshot!(help(&["select", "--help"]));
}

#[test]
fn a_dry_run_says_what_is_needed_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = demo().join("recipe.toml");
    let args = ["run", recipe.to_str().unwrap(), "--dry-run", "-q", "--threads", "2", "--out", "x"];
    let output = curate(&args).current_dir(&folder).output().unwrap();
    let said = text(&output.stdout);
    for expected in
        ["pool: 5,045 rows", "filter", "keep the best 90 %", "memory: at most", "disk:", "GFLOP"]
    {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn looking_at_a_run_from_another_folder_works() {
    let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recipe = demo().join("recipe.toml").canonicalize().unwrap();
    let args = ["run", recipe.to_str().unwrap(), "-q", "--out", out.path().to_str().unwrap()];
    assert!(curate(&args).output().unwrap().status.success());
    let run = out.path().to_str().unwrap();
    let file = elsewhere.path().join("again.npy");
    let select =
        ["select", run, "--stage", "dedup", "--epsilon", "0.1", "--out", file.to_str().unwrap()];
    let output = curate(&select).current_dir(&elsewhere).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(file.exists());
    let compared = curate(&["compare", run, file.to_str().unwrap(), "--json"]).output().unwrap();
    let compared: serde_json::Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert!(compared["both"].as_u64().unwrap() > 0);
}

/// A pool that keeps k-means busy for long.
fn busy_pool() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (n, dim) = (30_000, 32);
    let mut vectors: Vec<f32> = (0..n * dim)
        .map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8 as f32 - 127.0)
        .collect();
    vectors.chunks_exact_mut(dim).for_each(curate::core::embedding::normalize);
    let uids = (1..=n).map(|i| format!("{i:032x}")).collect();
    table::write(&folder.path().join("a.parquet"), vec![("uid", Column::Text(uids))]).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.path().join("a.npz")).unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("img.npy", stored).unwrap();
    std::io::Write::write_all(&mut zip, &f32_table(&vectors, n, dim).unwrap()).unwrap();
    zip.finish().unwrap();
    let recipe = "[pool]\npath = \".\"\n[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nclusters = 700\n\
                  k-means = { iterations = 500, tolerance = 0 }\n";
    fs::write(folder.path().join("r.toml"), recipe).unwrap();
    folder
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_with_its_status_and_nothing_half_written() {
    let (pool, out) = (busy_pool(), tempfile::tempdir().unwrap());
    let recipe = pool.path().join("r.toml");
    let (recipe, folder) = (recipe.to_str().unwrap(), out.path().to_str().unwrap());
    let args = ["run", recipe, "--out", folder, "--progress", "json"];
    let mut child = curate(&args).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("k-means pass")).unwrap().unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        said.last().unwrap().starts_with("error: interrupted; what was finished is kept"),
        "{said:?}"
    );
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == ".lock" || name == "pool.json"), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_room_is_named_and_the_run_goes_on_later() {
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let (demo, program) = (demo(), env!("CARGO_BIN_EXE_curate"));
    // No file may grow beyond 32 blocks of 512 bytes; the write then fails as on a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 32; exec {program} demo -q --demo {} --out {}",
        demo.display(),
        run.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("rows.parquet: could not be written")
            && said.contains("run the same command again"),
        "{said}"
    );
    let mut left = vec![run.clone()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            assert!(
                !entry.to_string_lossy().ends_with(".part"),
                "{} was left behind",
                entry.display()
            );
            if entry.is_dir() {
                left.push(entry);
            }
        }
    }
    assert!(!run.join("manifest.json").exists());
    assert!(run_demo(&run, &["-q"]).status.success());
}

#[test]
fn subsets_are_combined_and_counted() {
    use curate::{
        core::SampleId,
        io::subset::{self, SubsetFormat},
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (a, b, out) = (path("a.npy"), path("b.jsonl"), path("out.parquet"));
    subset::write(Path::new(&a), SubsetFormat::Npy, &[5, 1, 1].map(SampleId)).unwrap();
    subset::write(Path::new(&b), SubsetFormat::Jsonl, &[1, 9].map(SampleId)).unwrap();
    let ids = |args: &[&str]| {
        let args = [&["subset"], args, &["--out", &out]].concat();
        let output = curate(&args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        subset::read(Path::new(&out)).unwrap().iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["union", &a, &b]), [1, 1, 5, 9]);
    assert_eq!(ids(&["union", "--copies", &a, &b]), [1, 1, 1, 5, 9]);
    assert_eq!(ids(&["intersect", &a, &b]), [1]);
    assert_eq!(ids(&["minus", &a, &b]), [5]);
    assert_eq!(ids(&["minus", "--copies", &a, &b]), [1, 5]);
    let info = curate(&["subset", "info", &a, "--json"]).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!((&found["ids"], &found["distinct"]), (&3.into(), &2.into()));
    let wrong = curate(&["subset", "union", &a, "--out", "x.csv"]).output().unwrap();
    assert!(text(&wrong.stderr).contains("name it .npy, .memmap, .parquet, .jsonl, .txt or .h5"));
}

#[test]
fn a_pool_is_resharded_by_a_subset() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-io/tests/data/reshard");
    let (out, subset) = (folder.path().join("out"), data.join("subset.npy"));
    let (out, subset) = (out.to_str().unwrap(), subset.to_str().unwrap());
    let pool = data.join("in");
    let args = ["reshard", pool.to_str().unwrap(), "--subset", subset, "--out", out, "-q"];
    let args = [&args[..], &["--samples-per-shard", "3"]].concat();
    for expected in ["11 samples in 4 shards", "4 shards were there already"] {
        let output = curate(&args).output().unwrap();
        assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
    }
    let ours = fs::read(folder.path().join("out/00000001.tar")).unwrap();
    assert!(ours == fs::read(data.join("out/00000001.tar")).unwrap());
}
