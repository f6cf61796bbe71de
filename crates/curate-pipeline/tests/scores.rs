//! Stages that give a score: tables by id, scores from embeddings, ranks.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::{DIM, Row, go, kept, recipe, rows, write_pool};
use curate_core::{Cut, EmbeddingSource, NoProgress, SampleId, SourceError, rank::Direction};
use curate_dfn::filter::{
    align::{NegClipLossParams, Norm, neg_clip_loss, norm_sim},
    ensemble::{Member, by_rank},
};
use curate_io::{
    npy::f32_table,
    table::{self, Column, Reader},
};
use curate_pipeline::{explain::explain, plan::plan, reselect::reselect};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn pool_of(rows: &[Row]) -> TempDir {
    let folder = folder();
    write_pool(folder.path(), rows, 50);
    folder
}

/// The values of a stage, by row of the pool, and whether each row stays.
fn values(out: &Path, stage: &str) -> BTreeMap<usize, (f32, bool)> {
    let path = out.join("stages").join(stage).join("rows.parquet");
    let reader = Reader::open(&path).unwrap();
    let rows = reader.u64("row").unwrap().into_iter().map(|row| row.unwrap() as usize);
    let values = reader.f32("value").unwrap().into_iter().zip(reader.bool("kept").unwrap());
    rows.zip(values).collect()
}

/// The vectors of a pool as one source.
struct Vectors(Vec<[f32; DIM]>);

impl EmbeddingSource for Vectors {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn read(&self, rows: std::ops::Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        out.copy_from_slice(self.0[rows].as_flattened());
        Ok(())
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        for (out, &row) in out.chunks_exact_mut(DIM).zip(rows) {
            out.copy_from_slice(&self.0[row]);
        }
        Ok(())
    }
}

fn vectors(rows: &[Row]) -> Vectors {
    Vectors(rows.iter().map(|row| row.vector).collect())
}

fn npy(folder: &Path, name: &str, vectors: &[f32], dim: usize) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, f32_table(vectors, vectors.len() / dim, dim).unwrap()).unwrap();
    path
}

/// Where two ways to the same vectors scale them to length 1 once more, a last bit may differ.
fn assert_near(found: &BTreeMap<usize, (f32, bool)>, expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (&row, &(value, kept)) in found {
        assert!(kept && (value - expected[row]).abs() < 1e-5, "{row}: {value} {}", expected[row]);
    }
}

#[test]
fn a_table_in_another_order_scores_by_id_and_sets_aside_what_it_lacks() {
    let all = rows(120);
    let (pool, out) = (pool_of(&all), folder());
    let path = out.path().join("aesthetic.parquet");
    // Every fourth row is missing, the order is reversed, and there are strangers between.
    let named: Vec<usize> = (0..120).rev().filter(|row| row % 4 != 0).collect();
    let uid = |row: usize| SampleId(all[row].id).to_string();
    let uids = named.iter().flat_map(|&row| [uid(row), SampleId(row as u128).to_string()]);
    let columns = vec![
        ("uid", Column::Text(uids.collect())),
        ("beauty", Column::F32(named.iter().flat_map(|&row| [row as f32, -1.0]).collect())),
    ];
    table::write(&path, columns).unwrap();
    let stages = format!(
        "[[stage]]\nkind = \"score\"\ntable = {:?}\ncolumn = \"beauty\"\n[[stage]]\nkind = \"top\"\ncount = 3",
        path.display().to_string()
    );
    let recipe = recipe(pool.path(), &stages);
    let planned = plan(&recipe, &NoProgress).unwrap();
    assert_eq!(planned.stages[0].reads, fs::metadata(&path).unwrap().len());
    let run = out.path().join("run");
    let summary = go(&recipe, &run).unwrap();
    for (row, (value, stays)) in values(&run, "01-score") {
        assert_eq!(stays, row % 4 != 0, "{row}");
        assert!(if stays { value == row as f32 } else { value.is_nan() }, "{row}: {value}");
    }
    assert_eq!(summary.stages[0].removed["score-missing"], 30);
    assert_eq!(summary.stages[0].info["missing"], 30);
    assert_eq!(summary.stages[0].info["of-other-samples"], 90);
    assert_eq!(kept(&run), [117, 118, 119].map(|row: usize| SampleId(all[row].id)));
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("has no number for 30 rows"));

    // Its content counts: another table is another result.
    let columns = vec![("uid", Column::Text(vec![uid(5)])), ("beauty", Column::F32(vec![1.0]))];
    table::write(&path, columns).unwrap();
    let error = go(&recipe, &run).unwrap_err().to_string();
    assert!(error.contains("stage `score` was computed with other settings"), "{error}");
}

#[test]
fn a_table_of_another_pool_is_refused_before_anything_is_written() {
    let all = rows(20);
    let (pool, out) = (pool_of(&all), folder());
    let path = out.path().join("other.csv");
    fs::write(&path, "uid,beauty\n77,1\n").unwrap();
    let stages = format!(
        "[[stage]]\nkind = \"score\"\ntable = {:?}\ncolumn = \"beauty\"",
        path.display().to_string()
    );
    let run = out.path().join("run");
    let error = go(&recipe(pool.path(), &stages), &run).unwrap_err().to_string();
    let ours = SampleId(all[0].id).to_string();
    assert!(error.contains("other.csv: names none of the 20 samples"), "{error}");
    assert!(error.contains("`77`") && error.contains(&ours), "{error}");
    assert!(!run.join("stages/01-score/stage.json").exists());
}

#[test]
fn neg_clip_loss_is_that_of_the_filter() {
    let all = rows(90);
    let (pool, out) = (pool_of(&all), folder());
    let stages = "[[stage]]\nkind = \"neg-clip-loss\"\nimages = \"img\"\ntexts = \"txt\"\n\
                  temperature = 0.07\nbatch = 40\npartitions = 3";
    go(&recipe(pool.path(), stages), out.path()).unwrap();
    let ids: Vec<SampleId> = all.iter().map(|row| SampleId(row.id)).collect();
    // The recipe's seed is 3.
    let params = NegClipLossParams { temperature: 0.07, batch: 40, partitions: 3, seed: 3 };
    let source = vectors(&all);
    let expected = neg_clip_loss(&source, &source, &ids, &params, &NoProgress).unwrap();
    assert_near(&values(out.path(), "01-neg-clip-loss"), &expected);
    let told = explain(out.path(), &ids[4].to_string()).unwrap().to_string();
    assert!(told.contains("score -"), "{told}");
}

#[test]
fn norm_sim_is_that_of_the_filter_and_refuses_a_target_of_another_width() {
    let all = rows(90);
    let (pool, out) = (pool_of(&all), folder());
    let target: Vec<f32> = rows(7).iter().flat_map(|row| row.vector).collect();
    let path = npy(out.path(), "target.npy", &target, DIM);
    for (name, norm) in [("infinity", Norm::Infinity), ("two", Norm::Two)] {
        let stages = format!(
            "[[stage]]\nkind = \"norm-sim\"\nembedding = \"img\"\ntarget = {:?}\nnorm = {name:?}",
            path.display().to_string()
        );
        let run = out.path().join(name);
        go(&recipe(pool.path(), &stages), &run).unwrap();
        let expected = norm_sim(&vectors(&all), &target, norm, &NoProgress).unwrap();
        assert_near(&values(&run, "01-norm-sim"), &expected);
    }
    let narrow = npy(out.path(), "narrow.npy", &[1.0; 6], 3);
    let stages = format!(
        "[[stage]]\nkind = \"norm-sim\"\nembedding = \"img\"\ntarget = {:?}",
        narrow.display().to_string()
    );
    let error = go(&recipe(pool.path(), &stages), &out.path().join("n")).unwrap_err().to_string();
    assert!(error.contains("narrow.npy: holds vectors of 3 numbers, the pool's have 8"), "{error}");
}

#[test]
fn a_classifier_tells_good_rows_from_others_by_one_tower_or_both() {
    // Rows lie around six directions: good ones around the first.
    let all = rows(240);
    let (pool, out) = (pool_of(&all), folder());
    let is_good = |row: usize| (row / 2).is_multiple_of(6);
    let good: Vec<f32> = (0..240)
        .filter(|&row| is_good(row))
        .take(12)
        .flat_map(|row| [all[row].vector, all[row].vector].concat())
        .collect();
    let one: Vec<f32> = good.chunks_exact(2 * DIM).flat_map(|row| &row[..DIM]).copied().collect();
    let cases = [
        ("one", "[\"img\"]", npy(out.path(), "one.npy", &one, DIM)),
        ("both", "[\"img\", \"txt\"]", npy(out.path(), "both.npy", &good, 2 * DIM)),
    ];
    for (name, features, path) in cases {
        let stages = format!(
            "[[stage]]\nkind = \"classifier\"\nfeatures = {features}\ngood = {:?}\nsamples = 200",
            path.display().to_string()
        );
        let run = out.path().join(name);
        let summary = go(&recipe(pool.path(), &stages), &run).unwrap();
        assert_eq!(summary.stages[0].info["good-samples"], 12, "{name}");
        assert_eq!(summary.stages[0].info["pool-samples"], 200, "{name}");
        let best = reselect(&run, None, Cut::Top(40)).unwrap();
        let good = best.kept.rows().iter().filter(|&&row| is_good(row)).count();
        assert!(good >= 36, "{name}: {good} of the best 40 are good");
    }
}

#[test]
fn ranks_are_combined_with_weights_and_directions() {
    let mut all = rows(60);
    all[7].vector = [f32::NAN; DIM];
    let (pool, out) = (pool_of(&all), folder());
    let target = npy(out.path(), "target.npy", &all[0].vector, DIM);
    let stages = format!(
        "[[stage]]\nkind = \"score\"\ncolumn = \"score\"\n\
         [[stage]]\nkind = \"norm-sim\"\nfrom = \"pool\"\nembedding = \"img\"\ntarget = {:?}\n\
         [[stage]]\nkind = \"rank\"\nfrom = \"pool\"\n\
         of = [{{ score = \"score\", weight = 2 }}, \
               {{ score = \"norm-sim\", better = \"lower-is-better\" }}]\n\
         [[stage]]\nkind = \"top\"\nscore = \"rank\"\ncount = 5",
        target.display().to_string()
    );
    go(&recipe(pool.path(), &stages), out.path()).unwrap();
    let of = |stage: &str| -> Vec<f32> {
        let value = |(value, kept): (f32, bool)| if kept { value } else { f32::NAN };
        values(out.path(), stage).into_values().map(value).collect()
    };
    let (score, near) = (of("01-score"), of("02-norm-sim"));
    let expected = by_rank(&[
        Member { weight: 2.0, ..Member::new(&score) },
        Member { direction: Direction::LowerIsBetter, ..Member::new(&near) },
    ])
    .unwrap();
    for (row, (value, kept)) in values(out.path(), "03-rank") {
        assert_eq!(kept, row != 7, "{row}");
        assert!(!kept || value == expected[row] as f32, "{row}");
    }
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(report.contains("Score rank") && report.contains("threshold of stage top"));
    let id = SampleId(all[3].id).to_string();
    assert!(explain(out.path(), &id).unwrap().to_string().contains("mean rank 0."));
}

#[test]
fn a_rank_of_no_score_stage_is_refused() {
    let text = "[pool]\npath = \"p\"\n[[stage]]\nkind = \"top\"\ncount = 1\nscore = \"both\"\n\
                [[stage]]\nkind = \"rank\"\nname = \"both\"\nof = [{ score = \"nobody\" }]";
    let problems = curate_pipeline::Recipe::parse(text).unwrap_err().join("\n");
    assert!(problems.contains("no earlier score stage is named `both`"), "{problems}");
    assert!(problems.contains("no earlier score stage is named `nobody`"), "{problems}");
}

/// A pool of one Parquet table with a column `s`, cut by a threshold stage.
fn kept_at_least(column: Column, threshold: &str) -> usize {
    let (pool, out) = (folder(), folder());
    let ids = (0..column.len()).map(|row| SampleId(row as u128).to_string()).collect();
    let columns = vec![("uid", Column::Text(ids)), ("s", column)];
    table::write(&pool.path().join("a.parquet"), columns).unwrap();
    let stages = format!(
        "[[stage]]\nkind = \"score\"\ncolumn = \"s\"\n\
         [[stage]]\nkind = \"threshold\"\nat-least = {threshold}"
    );
    go(&recipe(pool.path(), &stages), out.path()).unwrap();
    kept(out.path()).len()
}

#[test]
fn scores_are_compared_in_the_precision_of_their_column() {
    // Seconds of 2023: in single precision neighbors lie 128 apart.
    let seconds = || (0..4).map(|i| 1_700_000_000.0 + 10.0 * f64::from(i)).collect::<Vec<_>>();
    assert_eq!(kept_at_least(Column::F64(seconds()), "1700000020"), 2);
    let whole = seconds().into_iter().map(|s| s as u64).collect();
    assert_eq!(kept_at_least(Column::U64(whole), "1700000020"), 2);
    assert_eq!(kept_at_least(Column::F64(vec![0.5, 0.5 + 1e-9, 0.5 - 1e-9]), "0.5000000001"), 1);
    // numpy rounds the threshold to the column: 0.7 in single precision is a little less than 0.7.
    assert_eq!(kept_at_least(Column::F32(vec![0.7, 0.699_999_9]), "0.7"), 1);
}

#[test]
fn json_scores_keep_their_digits() {
    let (pool, out) = (folder(), folder());
    let line = |i: u32| {
        let s = 1_700_000_000 + 10 * i;
        format!("{{\"uid\": \"{i:032x}\", \"text\": \"x\", \"s\": {s}}}\n")
    };
    fs::write(pool.path().join("a.jsonl"), (0..4).map(line).collect::<String>()).unwrap();
    let stages = "[[stage]]\nkind = \"score\"\ncolumn = \"s\"\n\
                  [[stage]]\nkind = \"top\"\nscore = \"score\"\ncount = 1";
    go(&recipe(pool.path(), stages), out.path()).unwrap();
    let best = kept(out.path());
    assert_eq!(best, [SampleId(3)]);
    let rows = out.path().join("stages/01-score/rows.parquet");
    let values = Reader::open(&rows).unwrap().f64("value").unwrap();
    assert_eq!(values, [1_700_000_000.0, 1_700_000_010.0, 1_700_000_020.0, 1_700_000_030.0]);
}

#[test]
fn a_misspelt_column_is_found_before_the_first_stage() {
    let all = rows(20);
    let (pool, out) = (pool_of(&all), folder());
    let stages = "[[stage]]\nkind = \"score\"\ncolumn = \"score\"\n\
                  [[stage]]\nkind = \"score\"\nname = \"other\"\ncolumn = \"scroe\"";
    let error = go(&recipe(pool.path(), stages), out.path()).unwrap_err().to_string();
    assert!(error.contains("has no numbers `scroe`; it has `score`"), "{error}");
    assert!(!out.path().join("stages").exists());
}
