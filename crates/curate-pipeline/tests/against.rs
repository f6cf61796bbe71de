//! Dedup against a reference: another pool, rows of this one, vectors of a file.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use common::{DIM, Row, go, kept, recipe, rows, write_pool};
use curate_core::{Cut, NoProgress, SampleId};
use curate_io::{
    npy::f32_table,
    subset::{self, SubsetFormat},
    table::Reader,
};
use curate_pipeline::{Recipe, explain::explain, plan::plan, reselect::reselect};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn pool_of(rows: &[Row]) -> TempDir {
    let folder = folder();
    write_pool(folder.path(), rows, 70);
    folder
}

fn stage(reference: &str, path: &Path) -> String {
    let path = path.display().to_string();
    format!(
        "[[stage]]\nkind = \"dedup-against\"\nembedding = \"img\"\nepsilon = 0.02\n{reference} = {path:?}\n"
    )
}

/// The nearest row of a reference by the plain way: its number and the cosine.
fn nearest(row: &Row, reference: &[Row]) -> (usize, f64) {
    let cosine = |other: &Row| curate_core::embedding::dot(&row.vector, &other.vector);
    let all = reference.iter().map(cosine).enumerate();
    all.fold((0, f64::NEG_INFINITY), |best, now| if now.1 > best.1 { now } else { best })
}

/// Of evidence: the row that went, its cause's id and its cause's row of this pool.
fn causes(out: &Path) -> Vec<(usize, Option<String>, Option<u64>)> {
    let path = out.join("evidence.parquet");
    let reader = Reader::open(&path).unwrap();
    let rows = reader.u64("row").unwrap().into_iter().map(|row| row.unwrap() as usize);
    let causes = reader.text("cause_uid", None).unwrap();
    let found = rows.zip(causes).zip(reader.u64("cause_row").unwrap());
    found.map(|((row, uid), cause)| (row, uid, cause)).collect()
}

#[test]
fn rows_near_an_evaluation_set_go_and_evidence_names_its_row() {
    let all = rows(200);
    // Every tenth row again under another id, and a row that cannot be used.
    let mut eval: Vec<Row> = all
        .iter()
        .step_by(10)
        .map(|row| Row { id: row.id + (9_000 << 64), ..row.clone() })
        .collect();
    eval.push(Row { id: 5, vector: [f32::NAN; DIM] });
    let (pool, reference, out) = (pool_of(&all), pool_of(&eval), folder());
    let recipe = recipe(pool.path(), &stage("pool", reference.path()));
    assert!(plan(&recipe, &NoProgress).unwrap().operations >= 2.0 * 200.0 * 21.0 * DIM as f64);
    let summary = go(&recipe, out.path()).unwrap();
    assert_eq!(summary.stages[0].info["reference-rows"], 20);
    assert_eq!(summary.stages[0].info["reference-faults"], 1);
    let expected: BTreeSet<usize> =
        (0..200).filter(|&row| nearest(&all[row], &eval[..20]).1 > 0.98).collect();
    assert!(expected.len() > 25 && expected.len() < 150, "{}", expected.len());
    let causes = causes(out.path());
    assert_eq!(causes.iter().map(|cause| cause.0).collect::<BTreeSet<_>>(), expected);
    for (row, uid, cause) in causes {
        let near = nearest(&all[row], &eval[..20]).0;
        assert_eq!(uid, Some(SampleId(eval[near].id).to_string()), "{row}");
        assert_eq!(cause, None, "it is no row of this pool");
    }
    let why = explain(out.path(), &SampleId(all[10].id).to_string()).unwrap().to_string();
    assert!(why.contains("removed: near-reference") && why.contains("to the reference"), "{why}");
    assert!(why.contains(&SampleId(eval[1].id).to_string()), "{why}");
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(report.contains("Near the reference"));

    // Another epsilon costs nothing and is what a run with it keeps.
    let again = out.path().join("again");
    let other = stage("pool", reference.path()).replace("0.02", "0.2");
    go(&common::recipe(pool.path(), &other), &again).unwrap();
    assert_eq!(reselect(out.path(), None, Cut::Epsilon(0.2)).unwrap().ids, kept(&again));

    // The reference's content counts.
    write_pool(reference.path(), &eval[..5], 70);
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("stage `against` was computed with other settings"), "{error}");
}

#[test]
fn rows_near_what_is_kept_already_go_with_it() {
    let all = rows(200);
    let (pool, out) = (pool_of(&all), folder());
    let chosen: Vec<usize> = (0..200).filter(|row| row % 7 == 0).collect();
    let subset = out.path().join("kept.npy");
    let ids: Vec<SampleId> = chosen.iter().map(|&row| SampleId(all[row].id)).collect();
    subset::write(&subset, SubsetFormat::Npy, &ids).unwrap();
    let reference: Vec<Row> = chosen.iter().map(|&row| all[row].clone()).collect();
    let run = out.path().join("run");
    go(&recipe(pool.path(), &stage("rows", &subset)), &run).unwrap();
    for (row, uid, cause) in causes(&run) {
        let (near, cosine) = nearest(&all[row], &reference);
        assert!(cosine > 0.98, "{row}");
        assert_eq!(cause, Some(chosen[near] as u64));
        assert_eq!(uid, Some(SampleId(all[chosen[near]].id).to_string()));
    }
    let left = kept(&run);
    assert!(!left.is_empty() && ids.iter().all(|id| !left.contains(id)));

    // The same rows as a stage of the recipe.
    let stages = format!(
        "[[stage]]\nkind = \"combine\"\nop = \"union\"\nof = [{:?}]\nname = \"kept\"\n{}from = \"pool\"",
        subset.display().to_string(),
        stage("rows", Path::new("kept"))
    );
    let run = out.path().join("by-name");
    go(&recipe(pool.path(), &stages), &run).unwrap();
    assert_eq!(kept(&run), left);
}

#[test]
fn vectors_of_a_file_are_named_by_their_numbers() {
    let all = rows(60);
    let (pool, out) = (pool_of(&all), folder());
    let path = out.path().join("eval.npy");
    let vectors = [all[4].vector, all[30].vector].concat();
    fs::write(&path, f32_table(&vectors, 2, DIM).unwrap()).unwrap();
    let run = out.path().join("run");
    go(&recipe(pool.path(), &stage("vectors", &path)), &run).unwrap();
    let causes = causes(&run);
    let of = |row: usize| causes.iter().find(|cause| cause.0 == row).unwrap().1.clone();
    assert_eq!((of(4).unwrap(), of(30).unwrap()), ("eval.npy#0".into(), "eval.npy#1".into()));
    let narrow = out.path().join("narrow.npy");
    fs::write(&narrow, f32_table(&[1.0; 3], 1, 3).unwrap()).unwrap();
    let stages = stage("vectors", &narrow);
    let error = go(&recipe(pool.path(), &stages), &out.path().join("n")).unwrap_err().to_string();
    assert!(error.contains("the reference has 3 dimensions, `img` has 8"), "{error}");
}

#[test]
fn a_reference_that_is_not_there_is_named() {
    let text = format!("[pool]\npath = \"p\"\n{}", stage("rows", Path::new("nobody")));
    let problems = Recipe::parse(&text).unwrap_err().join("\n");
    assert!(problems.contains("no earlier stage is named `nobody`"), "{problems}");
    let pool = pool_of(&rows(9));
    let out = folder();
    let recipe = recipe(pool.path(), &stage("pool", Path::new("/nowhere")));
    let error = go(&recipe, out.path()).unwrap_err().to_string();
    assert!(error.contains("/nowhere: does not exist"), "{error}");
}
