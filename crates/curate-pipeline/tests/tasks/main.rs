//! Runs in tasks: the bytes of one process, whatever the tasks, their order and what became of them.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../common/mod.rs"]
mod common;
mod damage;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{CancelAfter, DIM, Row, STAGES, go, recipe, results, rows, write_pool};
use curate_core::NoProgress;
use curate_pipeline::{
    Error, Recipe, RunOptions,
    tasks::{
        Done, SlurmOptions, State, Task, Worker, collect, plan, resume, run_in_tasks, slurm,
        status, verify,
    },
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Near duplicates, copies, rows that cannot be used.
fn spoiled(n: usize) -> Vec<Row> {
    let mut rows = rows(n);
    for i in (0..n).step_by(9) {
        match i % 4 {
            0 => rows[i].vector[i % DIM] = f32::NAN,
            1 => rows[i].vector = [0.0; DIM],
            2 => rows[i].vector = rows[(i + n / 2) % n].vector,
            _ => rows[i].vector.iter_mut().for_each(|x| *x *= 0.5),
        }
    }
    rows
}

fn pool() -> TempDir {
    let folder = folder();
    write_pool(folder.path(), &spoiled(300), 120);
    folder
}

/// Plans so many tasks and carries them out, the last of each step first.
fn in_tasks(recipe: &Recipe, tasks: usize) -> TempDir {
    let out = folder();
    let made = plan(recipe, out.path(), Some(tasks), &NoProgress).unwrap();
    for step in &made.steps {
        for index in (0..step.tasks).rev() {
            // Each by a process of its own, as far as it can remember.
            let worker = Worker::open(out.path(), &NoProgress).unwrap();
            worker.run(&step.name, index, &NoProgress).unwrap();
        }
    }
    out
}

fn whole(recipe: &Recipe) -> Vec<(PathBuf, Vec<u8>)> {
    let out = folder();
    go(recipe, out.path()).unwrap();
    results(out.path())
}

fn part(plan: &Path, step: &str, index: usize) -> PathBuf {
    plan.join("parts").join(step).join(format!("{index:05}.part"))
}

const COSINE: &str = r#"
[[stage]]
kind = "score"
cosine = ["img", "txt"]
[[stage]]
kind = "fraction"
fraction = 0.9
"#;

#[test]
fn any_number_of_tasks_in_any_order_gives_the_bytes_of_one_process() {
    let pool = pool();
    let recipe = recipe(pool.path(), STAGES);
    let expected = whole(&recipe);
    for tasks in [1, 7, 64] {
        let out = in_tasks(&recipe, tasks);
        assert_eq!(results(&out.path().join("run")), expected, "{tasks} tasks");
    }
    // The same rows in other shards, whose ranges cut through them elsewhere.
    let other = folder();
    write_pool(other.path(), &spoiled(300), 41);
    let out = in_tasks(&common::recipe(other.path(), STAGES), 5);
    for name in ["subset.npy", "evidence.parquet"] {
        let (_, bytes) = expected.iter().find(|(file, _)| file == Path::new(name)).unwrap();
        assert_eq!(fs::read(out.path().join("run").join(name)).unwrap(), *bytes, "{name}");
    }
    let out = folder();
    let options = RunOptions::default();
    let summary = run_in_tasks(&recipe, out.path(), 5, options, &NoProgress).unwrap();
    assert_eq!((results(out.path()), summary.reused.len()), (expected, 0));
    assert!(!out.path().join(".curate-tasks").exists());
}

#[test]
fn every_way_of_every_stage_can_be_taken_apart() {
    let pool = pool();
    let dedup = |keys: &str| {
        format!(
            "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nnorm = \"any\"\n{keys}\n"
        )
    };
    let prune = |keys: &str| {
        format!(
            "[[stage]]\nkind = \"concept-prune\"\nembedding = \"img\"\nfraction = 0.5\n{keys}\n"
        )
    };
    let shared = "[[stage]]\nkind = \"cluster\"\nembedding = \"img\"\nclusters = 6\n";
    let cases = [
        COSINE.to_owned(),
        COSINE.to_owned()
            + &dedup("clusters = 5\nexact-duplicates = true\nprefer-score = \"score\""),
        dedup("clusters = 7\nmode = \"greedy\"\nepsilon = 0.1\nexact-duplicates = true"),
        dedup("clusters = 5\nprobes = 2\nfraction = 0.6"),
        dedup("clusters = 5\nk-means = { train-rows-per-cluster = 10 }"),
        dedup("clusters = 5\nk-means = { batch-rows = 50, init = \"plus-plus\" }"),
        dedup("clusters = 90\nk-means = { init = \"plus-plus\", empty-clusters = \"split\" }"),
        shared.to_owned()
            + &dedup("clusters-from = \"cluster\"\nexact-duplicates = true")
            + &prune("clusters-from = \"cluster\""),
        prune("clusters = 100\nk-means = { iterations = 3 }"),
    ];
    for case in cases {
        let recipe = recipe(pool.path(), &case);
        let out = in_tasks(&recipe, 4);
        assert_eq!(results(&out.path().join("run")), whole(&recipe), "{case}");
    }
}

#[test]
fn a_pool_without_a_usable_row_is_no_trouble() {
    let pool = folder();
    let mut rows = rows(6);
    rows.iter_mut().for_each(|row| row.vector = [0.0; DIM]);
    write_pool(pool.path(), &rows, 4);
    let recipe = recipe(pool.path(), STAGES);
    assert_eq!(results(&in_tasks(&recipe, 3).path().join("run")), whole(&recipe));
}

#[test]
fn a_task_waits_for_the_steps_before_and_skips_what_is_done() {
    let pool = pool();
    let out = folder();
    let made = plan(&recipe(pool.path(), STAGES), out.path(), Some(3), &NoProgress).unwrap();
    let worker = Worker::open(out.path(), &NoProgress).unwrap();
    let run = |step: &str, index| worker.run(step, index, &NoProgress);

    let error = run("03-dedup.examine", 0).unwrap_err();
    let Error::NotReady { step, .. } = &error else { panic!("{error}") };
    assert_eq!(step, "01-score.stage");
    let error = run("nothing", 0).unwrap_err();
    assert!(matches!(error, Error::NoSuchStep { .. }));
    let said = error.to_string();
    assert!(said.contains("03-dedup.pass-01") && !said.contains("pass-02"), "{said}");
    assert!(matches!(run("finish", 1).unwrap_err(), Error::NoSuchTask { tasks: 1, .. }));

    assert_eq!(run("01-score.stage", 0).unwrap(), Done::Computed);
    assert_eq!(run("01-score.stage", 0).unwrap(), Done::Present);
    assert_eq!(run("02-fraction.stage", 0).unwrap(), Done::Computed);
    assert_eq!(run("03-dedup.examine", 1).unwrap(), Done::Computed);
    assert_eq!(run("03-dedup.examine", 1).unwrap(), Done::Present);
    let error = run("03-dedup.usable", 0).unwrap_err().to_string();
    let expected =
        "step `03-dedup.examine` has to be done first: 1 of 3 tasks are done, the next is task 0";
    assert_eq!(error, expected);

    let now = status(out.path()).unwrap();
    let examine = now.steps.iter().find(|step| step.step == "03-dedup.examine").unwrap();
    assert_eq!((examine.tasks, examine.done), (3, 1));
    assert_eq!(examine.open, [(0, State::Missing), (2, State::Missing)]);
    assert!(!now.is_done());

    // K-means converges before its last pass, and the passes after that have nothing to do.
    resume(out.path(), &NoProgress).unwrap();
    assert!(status(out.path()).unwrap().is_done());
    let passes = made.steps.iter().filter(|step| matches!(step.task, Task::Pass(_)));
    let idle = passes.filter(|step| !part(out.path(), &step.name, 0).exists());
    assert!(idle.count() > 10);
    assert_eq!(resume(out.path(), &NoProgress).unwrap(), 0, "all is there");
}

#[test]
fn a_plan_is_made_once() {
    let pool = pool();
    let (recipe, out) = (recipe(pool.path(), STAGES), folder());
    let first = plan(&recipe, out.path(), Some(3), &NoProgress).unwrap();
    assert_eq!(plan(&recipe, out.path(), Some(3), &NoProgress).unwrap(), first);
    let ranges: Vec<_> = first.parts.iter().map(|part| part.from..part.to).collect();
    assert_eq!(ranges, [0..100, 100..200, 200..300]);
    let place = (first.parts[2].shard.clone(), first.parts[2].row_in_shard);
    assert_eq!(place, (pool.path().join("0001.parquet"), 80));
    let error = plan(&recipe, out.path(), Some(4), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("holds another plan"), "{error}");
    let error = Worker::open(pool.path(), &NoProgress).err().unwrap().to_string();
    assert!(error.contains("holds no plan of tasks"), "{error}");
    let none = plan(&recipe, &pool.path().join("none"), Some(0), &NoProgress).unwrap_err();
    assert_eq!(none.to_string(), "`tasks` is 0, but must be at least 1");
    let none = pool.path().join("none");
    let error = run_in_tasks(&recipe, &none, 0, RunOptions::default(), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("at least 1") && !none.exists(), "{error}");

    let worker = Worker::open(out.path(), &NoProgress).unwrap();
    worker.check_memory("01-score.stage", 8 << 30).unwrap();
    let error = worker.check_memory("01-score.stage", 1 << 20).unwrap_err().to_string();
    assert!(error.contains("may need") && error.contains("can have 1.0 MiB"), "{error}");
}

#[test]
fn a_run_and_a_plan_keep_out_of_each_others_folders() {
    let pool = pool();
    let (recipe, out) = (recipe(pool.path(), COSINE), folder());
    go(&recipe, out.path()).unwrap();
    let before = results(out.path());
    let error = plan(&recipe, out.path(), Some(2), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("holds a run"), "{error}");

    // A folder of that name is the user's; the plan of a run in tasks goes, whoever finishes the run.
    fs::create_dir(out.path().join("tasks")).unwrap();
    fs::write(out.path().join("tasks/notes.txt"), "mine").unwrap();
    run_in_tasks(&recipe, out.path(), 2, RunOptions::default(), &NoProgress).unwrap();
    assert_eq!(results(out.path()), before);
    assert_eq!(fs::read_to_string(out.path().join("tasks/notes.txt")).unwrap(), "mine");
    fs::create_dir(out.path().join(".curate-tasks")).unwrap();
    go(&recipe, out.path()).unwrap();
    assert!(!out.path().join(".curate-tasks").exists());

    let planned = folder();
    plan(&recipe, planned.path(), Some(2), &NoProgress).unwrap();
    let error = go(&recipe, planned.path()).unwrap_err().to_string();
    assert!(error.contains("holds a plan of tasks"), "{error}");
    let file = planned.path().join("recipe.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("0.9", "0.8")).unwrap();
    let error = Worker::open(planned.path(), &NoProgress).err().unwrap().to_string();
    assert!(error.contains("has another recipe.toml or plan.json than was planned"), "{error}");
    fs::write(&file, text).unwrap();
    resume(planned.path(), &NoProgress).unwrap();
}

#[test]
fn what_nobody_needs_is_removed_and_what_killed_processes_left() {
    let pool = pool();
    let (recipe, out) = (recipe(pool.path(), STAGES), folder());
    plan(&recipe, out.path(), Some(3), &NoProgress).unwrap();
    assert!(collect(out.path(), true).is_err(), "the run is not finished");
    resume(out.path(), &NoProgress).unwrap();
    let expected = results(&out.path().join("run"));

    // A mark that a killed process of this machine left, and a foreign file.
    let examine = out.path().join("parts/03-dedup.examine");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "here".into());
    let mark = format!("{{\"host\":{:?},\"process\":1}}", host.trim());
    fs::write(examine.join("00001.running"), mark).unwrap();
    fs::write(examine.join("notes.txt"), "mine").unwrap();
    let found = verify(out.path(), &NoProgress).unwrap();
    assert_eq!(found.foreign, [examine.join("notes.txt")]);

    let gone = collect(out.path(), false).unwrap();
    assert!(gone.files > 100 && gone.bytes > 0, "{gone:?}");
    let left: Vec<_> = fs::read_dir(&examine).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"], "what is not ours stays");
    assert!(status(out.path()).unwrap().is_done(), "what was collected counts as done");
    assert_eq!(resume(out.path(), &NoProgress).unwrap(), 0);
    assert_eq!(results(&out.path().join("run")), expected);
}

#[test]
fn a_run_in_tasks_that_stopped_goes_on_at_its_task() {
    let pool = pool();
    let recipe = recipe(pool.path(), STAGES);
    let (expected, out) = (whole(&recipe), folder());
    let run = |progress: &dyn curate_core::Progress| {
        run_in_tasks(&recipe, out.path(), 4, RunOptions::default(), progress)
    };
    let mut stopped = 0;
    for questions in (10..).step_by(60) {
        match run(&CancelAfter::new(questions)) {
            Ok(_) => break,
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
        stopped += 1;
    }
    assert!(stopped > 3, "it was stopped {stopped} times");
    assert_eq!(results(out.path()), expected);
    assert!(!out.path().join(".curate-tasks").exists());
}

#[test]
fn slurm_gets_an_array_per_step_that_waits_for_the_one_before() {
    let pool = pool();
    let (recipe, out) = (recipe(pool.path(), COSINE), folder());
    let made = plan(&recipe, out.path(), Some(3), &NoProgress).unwrap();
    let options = SlurmOptions {
        at_once: Some(2),
        options: vec!["--account=my lab".into()],
        ..SlurmOptions::default()
    };
    let script = slurm(&made, Path::new("/plans/it's"), &options);
    assert!(script.contains("plan='/plans/it'\\''s'\n"), "{script}");
    let jobs: Vec<&str> = script.lines().filter(|line| line.contains("$(sbatch")).collect();
    assert_eq!(jobs.len(), 4);
    assert!(jobs[0].contains("--array=0-2%2 ") && !jobs[0].contains("dependency"), "{}", jobs[0]);
    assert!(jobs[1].contains("--dependency=afterok:\"$job0\""), "{}", jobs[1]);
    assert!(jobs[3].contains("--job-name=finish") && jobs[3].contains("'--account=my lab'"));
}
