//! Inputs that change: during a run, and between two.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::Path};

use common::{ChangeAt, STAGES, go, kept, recipe, rows, write_pool};
use curate_core::{Cut, SampleId};
use curate_io::{
    subset::{self, SubsetFormat},
    table::{self, Column},
};
use curate_pipeline::{RunOptions, reselect::reselect, run};

/// The first row of an id is judged; a repeat that would pass is not, which the summary says.
#[test]
fn ids_that_go_although_they_occur_again_are_counted() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uids = ["1", "2", "1", "3", "2", "4", "4"].map(|id| format!("{id:0>32}")).to_vec();
    let columns = vec![
        ("uid", Column::Text(uids)),
        ("text", Column::Text(vec!["a cat".to_owned(); 7])),
        ("score", Column::F32(vec![0.1, 0.9, 0.8, 0.7, 0.9, 0.2, 0.1])),
    ];
    table::write(&pool.path().join("a.parquet"), columns).unwrap();
    let stages = "[[stage]]\nkind = \"score\"\ncolumn = \"score\"\n\
                  [[stage]]\nkind = \"threshold\"\nat-least = 0.5";
    let summary = go(&recipe(pool.path(), stages), out.path()).unwrap();
    // Of 1, 2 and 4, which occur twice, only 2 stays: the first rows of the others are too low.
    assert_eq!(kept(out.path()), [2, 3].map(SampleId));
    let note = "2 ids that do not stay occur again in the pool";
    assert!(summary.notes.iter().any(|said| said.starts_with(note)), "{:?}", summary.notes);
    let manifest = fs::read_to_string(out.path().join("manifest.json")).unwrap();
    assert!(manifest.contains("\"removed_with_repeats\": 2"), "{manifest}");
    assert!(fs::read_to_string(out.path().join("report.html")).unwrap().contains(note));
}

/// Thresholds meet halves as in numpy: `np.float16(0.1) >= 0.1`, though the half is 0.09997.
#[test]
fn halves_are_compared_with_a_threshold_as_numpy_does() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scores = vec![0.1, 0.0999, 0.100_1, 0.3, 0.0];
    let ids = || (1..=5).map(|id| format!("{id:032x}")).collect();
    let columns = vec![
        ("uid", Column::Text(ids())),
        ("text", Column::Text(vec!["a cat".to_owned(); 5])),
        ("score", Column::F16(scores.clone())),
    ];
    table::write(&pool.path().join("a.parquet"), columns).unwrap();
    let table = pool.path().join("scores.parquet.d");
    fs::create_dir(&table).unwrap();
    let table = table.join("s.parquet");
    table::write(&table, vec![("uid", Column::Text(ids())), ("s", Column::F16(scores))]).unwrap();
    for source in ["column = \"score\"", &format!("table = {table:?}\ncolumn = \"s\"")] {
        for (limit, expected) in [
            // [np.float16(x) >= np.float16(0.1) for x in scores], and the like.
            ("at-least = 0.1", &[1_u128, 3, 4][..]),
            ("at-most = 0.1", &[1, 2, 5]),
            ("at-least = 0.3", &[4]),
            ("at-least = 0.09991", &[1, 2, 3, 4]),
        ] {
            let stages = format!(
                "[[stage]]\nkind = \"score\"\n{source}\n[[stage]]\nkind = \"threshold\"\n{limit}"
            );
            fs::remove_dir_all(out.path()).unwrap();
            go(&recipe(pool.path(), &stages), out.path()).unwrap();
            let expected: Vec<SampleId> = expected.iter().copied().map(SampleId).collect();
            assert_eq!(kept(out.path()), expected, "{source} {limit}");
        }
    }
    // The finished stage still knows how precise its numbers are.
    let again = reselect(out.path(), Some("threshold"), Cut::Threshold(0.1)).unwrap();
    assert_eq!(again.ids, [1, 3, 4].map(SampleId));
    assert_eq!(again.threshold_text.as_deref(), Some("0.1"));
}

#[test]
fn a_file_that_changes_while_a_stage_reads_it_is_refused_by_name_and_nothing_counts() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(300), 120);
    let recipe = recipe(pool.path(), STAGES);
    let changes = [
        // A shard's table and its vectors, in a stage and while outputs are written.
        ("digest pool", "0001.parquet", "stages/01-score"),
        ("compare", "0002.npz", "stages/03-dedup"),
        ("report", "0000.npz", "manifest.json"),
    ];
    for (task, file, left_out) in changes {
        let file = pool.path().join(file);
        let whole = fs::read(&file).unwrap();
        let overwrite = RunOptions { overwrite: true };
        let change = ChangeAt { task, file: &file };
        let error = run(&recipe, out.path(), overwrite, &change).unwrap_err().to_string();
        let expected = format!("{}: changed while it was read", file.display());
        assert!(error.starts_with(&expected), "{task}: {error}");
        assert!(!out.path().join(left_out).exists(), "{task}: {left_out} is there");
        fs::write(&file, whole).unwrap();
    }
}

/// A recipe whose one stage keeps what a subset file names.
fn of_file(pool: &Path, file: &Path) -> curate_pipeline::Recipe {
    let stage = format!("[[stage]]\nkind = \"combine\"\nop = \"union\"\nof = [{file:?}]\n");
    recipe(pool, &stage)
}

#[test]
fn a_changed_input_is_named_by_its_file_each_time() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ids: Vec<SampleId> = rows(300).iter().map(|row| SampleId(row.id)).collect();
    let file = out.path().join("list.npy");
    write_pool(pool.path(), &rows(300), 120);
    subset::write(&file, SubsetFormat::Npy, &ids[..200]).unwrap();
    let (recipe, folder) = (of_file(pool.path(), &file), out.path().join("run"));
    go(&recipe, &folder).unwrap();

    subset::write(&file, SubsetFormat::Npy, &ids[..100]).unwrap();
    let error = go(&recipe, &folder).unwrap_err().to_string();
    assert!(error.contains(&format!("(file {} has changed)", file.display())), "{error}");
    subset::write(&file, SubsetFormat::Npy, &ids[..200]).unwrap();

    let mut changed = rows(300);
    changed[130].vector = changed[7].vector;
    write_pool(pool.path(), &changed, 120);
    // The folder must not forget in the first refusal what the second has to name.
    for _ in 0..2 {
        let error = go(&recipe, &folder).unwrap_err().to_string();
        assert!(error.contains("0001.npz of the pool has changed)"), "{error}");
    }
    let overwrite = RunOptions { overwrite: true };
    run(&recipe, &folder, overwrite, &curate_core::NoProgress).unwrap();
    assert_eq!(go(&recipe, &folder).unwrap().reused.len(), 1);
}

#[test]
fn a_folder_with_the_manifest_of_something_else_is_left_alone() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(30), 20);
    let manifest = out.path().join("manifest.json");
    fs::write(&manifest, "{\"work\": \"embedding\"}").unwrap();
    let error = go(&recipe(pool.path(), STAGES), out.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.json of something else"), "{error}");
    assert!(manifest.exists());
}
