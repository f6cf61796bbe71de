//! `curate tasks` as schedulers use it: processes that come, fail, are killed and come again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use curate::{
    core::{SampleId, embedding, random},
    io::{
        npy::f32_table,
        table::{self, Column},
    },
};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_curate");
const DIM: usize = 16;
const RECIPE: &str = r#"
seed = 5
[pool]
path = "pool"
[[stage]]
kind = "score"
name = "agreement"
cosine = ["img", "txt"]
[[stage]]
kind = "fraction"
score = "agreement"
fraction = 0.9
[[stage]]
kind = "semantic-dedup"
embedding = "img"
clusters = 20
epsilon = 0.05
[[stage]]
kind = "concept-prune"
embedding = "img"
clusters = 10
fraction = 0.6
"#;

/// A recipe and its pool of so many rows.
fn world(rows: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pool")).unwrap();
    for (shard, from) in (0..rows).step_by(rows.div_ceil(3)).enumerate() {
        let rows = from..rows.min(from + rows.div_ceil(3));
        let path = folder.path().join(format!("pool/{shard:05}"));
        let uids = rows.clone().map(|row| SampleId(row as u128 + 1).to_string()).collect();
        table::write(&path.with_extension("parquet"), vec![("uid", Column::Text(uids))]).unwrap();
        let mut zip = ZipWriter::new(File::create(path.with_extension("npz")).unwrap());
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (seed, name) in [(1, "img"), (2, "txt")] {
            let vectors: Vec<f32> = rows.clone().flat_map(|row| vector(row, seed)).collect();
            zip.start_file(format!("{name}.npy"), stored).unwrap();
            zip.write_all(&f32_table(&vectors, rows.len(), DIM).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    }
    fs::write(folder.path().join("recipe.toml"), RECIPE).unwrap();
    folder
}

/// A unit vector near one of forty directions; every other is nearly the one before it.
fn vector(row: usize, seed: u64) -> [f32; DIM] {
    let draw = |what: usize, t: usize| {
        random::unit(seed, SampleId::from_halves(what as u64, t as u64)) as f32 - 0.5
    };
    let mut vector = std::array::from_fn(|t| {
        draw(row / 2 % 40, t) + 0.3 * draw(row / 2 + 100, t) + 0.01 * draw(row + 1_000_000, t)
    });
    embedding::normalize(&mut vector);
    vector
}

fn curate(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(["-q", "--threads", "1"]).args(words.split_whitespace());
    command
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and what was said.
fn failed(command: &mut Command) -> (i32, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

/// The subset and the evidence.
fn results(run: &Path) -> [Vec<u8>; 2] {
    ["subset.npy", "evidence.parquet"].map(|name| fs::read(run.join(name)).unwrap())
}

fn expected(folder: &Path) -> [Vec<u8>; 2] {
    done(&mut curate(folder, "run recipe.toml --out whole"));
    results(&folder.join("whole"))
}

/// The steps of a plan: name and number of tasks.
fn steps(folder: &Path) -> Vec<(String, usize)> {
    let text = fs::read(folder.join("plan/plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let steps = plan["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let tasks = step["tasks"].as_u64().unwrap() as usize;
            (step["name"].as_str().unwrap().to_owned(), tasks)
        })
        .collect()
}

#[test]
fn a_scheduler_is_told_what_to_do_by_the_exit_code() {
    let world = world(300);
    let folder = world.path();
    let said = done(&mut curate(folder, "tasks plan recipe.toml --out plan --tasks 3"));
    assert!(said.starts_with("300 rows in 3 parts, 215 steps, "), "{said}");
    let run = |words: &str| curate(folder, &format!("tasks run plan {words}"));

    let (code, said) = failed(&mut run("--step 01-agreement.rows"));
    assert_eq!(code, 2);
    assert!(said.contains("has 3 tasks: name one with --index"), "{said}");
    let (code, said) = failed(&mut run("--step 01-agreement.rows --index 3"));
    assert_eq!(code, 2);
    assert!(said.contains("there is no task 3"), "{said}");
    let (code, said) = failed(&mut run("--step 01-agreement.stage"));
    assert_eq!(code, 75, "an earlier step is not done: {said}");
    assert!(
        said.contains("`01-agreement.rows` has to be done first: 0 of 3 tasks are done"),
        "{said}"
    );

    let of = |name: &str, index: &str| {
        done(run("--step 01-agreement.rows").env(name, index).env_remove("NONE"))
    };
    assert_eq!(of("SLURM_ARRAY_TASK_ID", "0"), "01-agreement.rows 0: computed\n");
    assert_eq!(of("JOB_COMPLETION_INDEX", "1"), "01-agreement.rows 1: computed\n");
    assert_eq!(of("SLURM_ARRAY_TASK_ID", "1"), "01-agreement.rows 1: was done\n");
    let (code, said) = failed(run("--step 01-agreement.rows").env("SLURM_ARRAY_TASK_ID", "x"));
    assert!(code == 2 && said.contains("SLURM_ARRAY_TASK_ID is `x`"), "{said}");
    let status = done(&mut curate(folder, "tasks status plan"));
    assert!(status.starts_with("01-agreement.rows   2 of 3 done\n"), "{status}");
    done(&mut run("--step 01-agreement.rows --index 2"));
    let reduced = done(&mut curate(folder, "tasks reduce plan --step 01-agreement.stage"));
    assert_eq!(reduced, "01-agreement.stage 0: computed\n");
    let (code, said) = failed(&mut curate(folder, "tasks reduce plan --step 03-dedup.examine"));
    assert!(code == 2 && said.contains("`curate tasks run --index`"), "{said}");

    done(&mut curate(folder, "tasks resume plan"));
    assert_eq!(results(&folder.join("plan/run")), expected(folder));
    assert_eq!(failed(&mut curate(folder, "tasks run plan --step x")).0, 2);
    assert_eq!(failed(&mut curate(folder, "tasks run plan")).0, 2);
}

#[test]
fn a_task_that_cannot_go_well_here_or_now_says_so_by_the_exit_code() {
    let world = world(300);
    let folder = world.path();
    done(&mut curate(folder, "tasks plan recipe.toml --out plan --tasks 3"));
    let run = |words: &str| curate(folder, &format!("tasks run plan {words}"));
    if cfg!(target_os = "linux") {
        let plan = folder.join("plan/plan.json");
        let text = fs::read_to_string(&plan).unwrap();
        let memory = text.lines().find(|line| line.contains("\"memory\"")).unwrap();
        let more = "\"memory\": 1125899906842624,";
        fs::write(&plan, text.replace(memory.trim(), more)).unwrap();
        let (code, said) = failed(&mut run("--step 01-agreement.rows --index 1"));
        assert_eq!(code, 69, "{said}");
        assert!(said.contains("may need 1024.0 TiB, and this process can have "), "{said}");
        fs::write(&plan, text).unwrap();
    }

    let metadata = folder.join("pool/00001.parquet");
    let bytes = fs::read(&metadata).unwrap();
    let uids = (500..600).map(|id| SampleId(id).to_string()).collect();
    table::write(&metadata, vec![("uid", Column::Text(uids))]).unwrap();
    let (code, said) = failed(&mut run("--step 01-agreement.rows --index 1"));
    assert_eq!(code, 65, "the pool has changed: {said}");
    assert!(said.contains("00001.parquet: has changed since"), "{said}");
    fs::write(&metadata, bytes).unwrap();
    done(&mut run("--step 01-agreement.rows --index 1"));
}

#[test]
fn tasks_that_are_killed_and_doubled_leave_the_same_bytes_and_no_orphan() {
    let world = world(3_000);
    let folder = world.path();
    done(&mut curate(folder, "tasks plan recipe.toml --out plan --tasks 4"));
    let mut killed = 0;
    for (number, (step, tasks)) in steps(folder).into_iter().enumerate() {
        let run = |index: usize| {
            let words = format!("tasks run plan --step {step} --index {index} --ignore-memory");
            let mut command = curate(folder, &words);
            command.stdout(std::process::Stdio::null());
            command.spawn().unwrap()
        };
        // Of some steps every task is killed at some time, then all run at once, one of them twice.
        if number % 3 == 0 {
            for index in 0..tasks {
                let mut child = run(index);
                thread::sleep(Duration::from_millis((number as u64 * 7 + index as u64 * 5) % 23));
                killed += usize::from(child.try_wait().unwrap().is_none());
                let _ended = child.kill();
                child.wait().unwrap();
            }
        }
        let all = (0..tasks).chain([0]).map(run).collect::<Vec<_>>();
        let codes: Vec<_> = all.into_iter().map(|mut c| c.wait().unwrap().code()).collect();
        // Two that write to the run folder: the second is told to come again.
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 75))), "{step}: {codes:?}");
        assert!(codes.contains(&Some(0)), "{step}: {codes:?}");
    }
    assert!(killed > 30, "{killed} were killed before they ended");
    assert_eq!(results(&folder.join("plan/run")), expected(folder));
    done(&mut curate(folder, "tasks gc plan"));
    done(&mut curate(folder, "tasks verify plan"));
    let left = left_over(&folder.join("plan"));
    assert!(left.is_empty(), "{left:?}");
    assert!(done(&mut curate(folder, "tasks status plan")).ends_with("all steps are done\n"));
    assert!(done(&mut curate(folder, "tasks gc plan --all")).contains("files removed"));
    assert_eq!(results(&folder.join("plan/run")), expected(folder));
}

/// Files that a process had not finished, or that tell of one.
fn left_over(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(left_over(&path));
        } else if [".part", ".running", ".failed"].iter().any(|end| name.ends_with(end))
            && !path.with_extension("json").exists()
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_task_that_fails_says_why_in_the_status() {
    let world = world(300);
    let folder = world.path();
    let recipe = RECIPE.replace("fraction = 0.6", "count = 5000");
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    done(&mut curate(folder, "tasks plan recipe.toml --out plan --tasks 2"));
    let (code, said) = failed(&mut curate(folder, "tasks resume plan"));
    assert_eq!(code, 1, "{said}");
    let status = done(&mut curate(folder, "tasks status plan"));
    assert!(status.contains("task 0 failed: stage `prune`: "), "{status}");
    let json = done(&mut curate(folder, "tasks status plan --json"));
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    let steps = status["steps"].as_array().unwrap();
    let prune = steps.iter().find(|step| step["step"] == "04-prune.stage").unwrap();
    assert_eq!(prune["open"][0][1]["state"], "failed", "{prune}");
}

/// Runs a script of `curate tasks slurm` with a stand-in for `sbatch` that keeps its rules: an array is
/// as many tasks, a job waits for the one that it depends on and does not begin where that failed.
#[test]
fn a_slurm_script_submits_the_plan_and_again_after_a_failure() {
    let world = world(300);
    let folder = world.path();
    done(&mut curate(folder, "tasks plan recipe.toml --out plan --tasks 3"));
    let script = done(&mut curate(folder, "tasks slurm plan --cores 1 --tries 2 --partition long"));
    fs::write(folder.join("submit.sh"), &script).unwrap();
    let sbatch = folder.join("sbatch");
    fs::write(&sbatch, SBATCH).unwrap();
    done(Command::new("chmod").args(["+x".as_ref(), sbatch.as_os_str()]));
    let submit = || {
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .current_dir(folder)
            .arg("submit.sh")
            .env("PATH", path)
            .env("JOBS", folder.join("jobs"));
        shell
    };
    // Of a job that fails, the jobs after it do not begin.
    let txt = folder.join("pool/00002.npz");
    let bytes = fs::read(&txt).unwrap();
    fs::write(&txt, &bytes[..100]).unwrap();
    done(&mut submit());
    let states = fs::read_to_string(folder.join("jobs/states")).unwrap();
    assert!(states.starts_with("1 failed\n2 never\n3 never\n"), "{states}");
    fs::write(&txt, bytes).unwrap();
    fs::remove_dir_all(folder.join("jobs")).unwrap();
    done(&mut submit());
    let states = fs::read_to_string(folder.join("jobs/states")).unwrap();
    assert!(states.lines().all(|line| line.ends_with(" completed")), "{states}");
    assert_eq!(results(&folder.join("plan/run")), expected(folder));
    let log = fs::read_to_string(folder.join("plan/logs/01-agreement.rows-2.log")).unwrap();
    assert!(log.ends_with("01-agreement.rows 2: computed\n"), "{log}");
}

const SBATCH: &str = r#"#!/bin/sh
mkdir -p "$JOBS"; : >> "$JOBS/states"
job=$(($(wc -l < "$JOBS/states") + 1)); state=completed; last=0; log=/dev/null
for word in "$@"; do case $word in
  --dependency=afterok:*) grep -qx "${word#*afterok:} completed" "$JOBS/states" || state=never;;
  --array=0-*) last=${word#--array=0-}; last=${last%%%*};;
  --output=*) log=${word#--output=};;
  --wrap=*) wrap=${word#--wrap=};;
  --parsable|--requeue|--kill-on-invalid-dep=yes|--job-name=*|--cpus-per-task=*|--mem=*M|--time=*) ;;
  --open-mode=append|--partition=long) ;;
  *) echo "sbatch: unknown option $word" >&2; exit 1;;
esac; done
if [ $state = completed ]; then
  for i in $(seq 0 "$last"); do
    to=$(echo "$log" | sed "s/%a/$i/")
    SLURM_ARRAY_TASK_ID=$i sh -c "$wrap" >> "$to" 2>&1 || state=failed
  done
fi
echo "$job $state" >> "$JOBS/states"; echo "$job"
"#;
