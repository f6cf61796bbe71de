//! Artefacts, listings and results that are lost or damaged, and files that changed since the plan.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use curate_core::NoProgress;
use curate_pipeline::tasks::{Done, Worker, collect, plan, resume, verify};

use super::{
    common::{Row, STAGES, recipe, results, rows},
    folder, in_tasks, part, pool, whole,
};

#[test]
fn what_was_lost_cut_off_changed_or_is_of_another_plan_is_named_and_made_again() {
    let pool = pool();
    let recipe = recipe(pool.path(), STAGES);
    let expected = whole(&recipe);
    let other = in_tasks(&recipe, 5);
    type Harm = fn(&Path, &Path);
    let harms: [(&str, Harm, &str); 4] = [
        ("lost", |file, _| fs::remove_file(file).unwrap(), "is gone"),
        (
            "cut off",
            |file, _| {
                let file = File::options().write(true).open(file).unwrap();
                file.set_len(file.metadata().unwrap().len() - 1).unwrap();
            },
            "has another length than was written",
        ),
        (
            "changed",
            |file, _| {
                let mut bytes = fs::read(file).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                fs::write(file, bytes).unwrap();
            },
            "does not have the digest that was written",
        ),
        (
            "of another plan",
            |file, other| {
                for ending in ["part", "json"] {
                    let from = other.with_extension(ending);
                    fs::copy(from, file.with_extension(ending)).unwrap();
                }
            },
            "is of another plan",
        ),
    ];
    for (harm, apply, said) in harms {
        for step in ["03-dedup.examine", "03-dedup.pass-02", "03-dedup.assign", "03-dedup.search"] {
            let out = folder();
            let made = plan(&recipe, out.path(), Some(4), &NoProgress).unwrap();
            let worker = Worker::open(out.path(), &NoProgress).unwrap();
            let until = made.steps.iter().position(|other| other.name == step).unwrap();
            for step in &made.steps[..=until] {
                for index in 0..step.tasks {
                    worker.run(&step.name, index, &NoProgress).unwrap();
                }
            }
            apply(&part(out.path(), step, 1), &part(other.path(), step, 1));
            let found = verify(out.path(), &NoProgress).unwrap();
            assert_eq!(found.damaged.len(), 1, "{harm} {step}: {:?}", found.damaged);
            assert!(found.damaged[0].contains(said), "{harm}: {}", found.damaged[0]);
            resume(out.path(), &NoProgress).unwrap();
            assert_eq!(results(&out.path().join("run")), expected, "{harm} {step}");
            let found = verify(out.path(), &NoProgress).unwrap();
            assert!(found.damaged.is_empty() && found.foreign.is_empty(), "{found:?}");
        }
    }
}

#[test]
fn a_pool_or_file_that_changed_since_the_plan_is_refused_and_a_moved_clock_is_not() {
    let pool = pool();
    let table = pool
        .path()
        .parent()
        .unwrap()
        .join(format!("{}.csv", pool.path().file_name().unwrap().to_string_lossy()));
    let line = |row: &Row| format!("{:032x},{}\n", row.id, row.id >> 70);
    let lines: String = rows(300).iter().map(line).collect();
    fs::write(&table, format!("uid,number\n{lines}")).unwrap();
    let stages = format!("[[stage]]\nkind = \"score\"\ncolumn = \"number\"\ntable = {table:?}\n");
    let recipe = recipe(pool.path(), &(stages + "[[stage]]\nkind = \"fraction\"\nfraction = 0.5"));
    let out = folder();
    plan(&recipe, out.path(), Some(3), &NoProgress).unwrap();

    let metadata = pool.path().join("0001.parquet");
    let later = SystemTime::now() + Duration::from_secs(86_400 * 400);
    File::options().append(true).open(&metadata).unwrap().set_modified(later).unwrap();
    let worker = Worker::open(out.path(), &NoProgress).unwrap();
    worker.run("01-score.stage", 0, &NoProgress).unwrap();

    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.clone() + "\n").unwrap();
    let error = worker.run("02-fraction.stage", 0, &NoProgress).unwrap_err().to_string();
    assert!(error.contains(".csv: has changed since it was curated"), "{error}");
    fs::write(&table, text).unwrap();
    fs::remove_file(pool.path().join("0002.npz")).unwrap();
    let error = Worker::open(out.path(), &NoProgress).err().unwrap().to_string();
    let expected =
        "0002.parquet: has other files than when its rows were listed; plan again in another";
    assert!(error.contains(expected), "{error}");
    let found = verify(out.path(), &NoProgress).unwrap();
    assert_eq!(found.damaged.len(), 1, "{found:?}");
    fs::remove_file(table).unwrap();
}

#[test]
fn tasks_open_the_pool_by_its_listing_which_planning_again_restores() {
    let pool = pool();
    let recipe = recipe(pool.path(), STAGES);
    let expected = whole(&recipe);
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 2] = [
        (
            |listing| fs::remove_file(listing).unwrap(),
            "pool.listing: does not exist; plan again in this folder",
        ),
        (
            |listing| {
                let mut bytes = fs::read(listing).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                fs::write(listing, bytes).unwrap();
            },
            "pool.listing: does not have the digest that was written; plan again in this folder",
        ),
    ];
    for (harm, said) in harms {
        let out = folder();
        let made = plan(&recipe, out.path(), Some(2), &NoProgress).unwrap();
        Worker::open(out.path(), &NoProgress)
            .unwrap()
            .run(&made.steps[0].name, 0, &NoProgress)
            .unwrap();
        harm(&out.path().join("pool.listing"));
        let error = Worker::open(out.path(), &NoProgress).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
        assert!(verify(out.path(), &NoProgress).unwrap().damaged[0].contains("pool.listing"));
        assert_eq!(plan(&recipe, out.path(), Some(2), &NoProgress).unwrap(), made);
        let done = Worker::open(out.path(), &NoProgress).unwrap();
        assert_eq!(done.run(&made.steps[0].name, 0, &NoProgress).unwrap(), Done::Present);
        resume(out.path(), &NoProgress).unwrap();
        assert_eq!(results(&out.path().join("run")), expected);
    }
    let out = folder();
    let made = plan(&recipe, out.path(), Some(2), &NoProgress).unwrap();
    // A note of the pool's, which the listing has.
    fs::write(pool.path().join("_SUCCESS"), "").unwrap();
    let again = plan(&recipe, out.path(), Some(2), &NoProgress).unwrap();
    assert_eq!((&again.fingerprint, again.listing != made.listing), (&made.fingerprint, true));
    Worker::open(out.path(), &NoProgress).unwrap();
    fs::remove_file(pool.path().join("_SUCCESS")).unwrap();
    fs::copy(pool.path().join("0002.parquet"), pool.path().join("0009.parquet")).unwrap();
    let error = Worker::open(out.path(), &NoProgress).err().unwrap().to_string();
    assert!(error.contains("has other files than when its rows were listed"), "{error}");
}

#[test]
fn a_stages_result_that_was_damaged_is_named_and_put_together_again() {
    let pool = pool();
    let (recipe, out) = (recipe(pool.path(), STAGES), folder());
    plan(&recipe, out.path(), Some(3), &NoProgress).unwrap();
    resume(out.path(), &NoProgress).unwrap();
    let expected = results(&out.path().join("run"));
    for collected in [false, true] {
        if collected {
            collect(out.path(), false).unwrap();
        }
        let rows = out.path().join("run/stages/03-dedup/rows.parquet");
        let bytes = fs::read(&rows).unwrap();
        fs::write(&rows, &bytes[..bytes.len() - 9]).unwrap();
        let found = verify(out.path(), &NoProgress).unwrap();
        assert_eq!(found.damaged.len(), 1, "{found:?}");
        assert!(found.damaged[0].contains("rows.parquet: is not the file"), "{found:?}");
        assert!(resume(out.path(), &NoProgress).unwrap() > 0);
        assert_eq!(results(&out.path().join("run")), expected, "collected: {collected}");
        assert!(verify(out.path(), &NoProgress).unwrap().damaged.is_empty());
    }
}
