//! Selections of a small pool on disk, compared.

#![allow(clippy::unwrap_used, reason = "tests")]

mod shifted;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use curate_core::{EmbeddingSource, NoProgress, Progress, SampleId, random};
use curate_eval::{
    Order, Pairs, ProbeParams,
    compare::{
        Arena, Compare, CompareError, CompareParams, Contest, Entry, Existing, Model, Prompts,
        Record, Report, Score, Source, Tests, UnknownIds,
    },
};
use curate_io::{
    Pool, PoolOptions,
    npy::Precision,
    npz::NpzWriter,
    table::{self, Column},
};
use ndarray::Array2;
use tempfile::TempDir;

const ROWS: usize = 400;
const CONCEPTS: usize = 8;
/// Rows from here on have the text of another concept.
const CLEAN: usize = 200;

fn features(seed: &str, concept: impl Fn(usize) -> usize) -> Array2<f32> {
    let seed = random::derive(0, seed);
    Array2::from_shape_fn((ROWS, 12), |(row, column)| {
        let noise = random::unit(seed, SampleId((row * 12 + column) as u128)) as f32 - 0.5;
        f32::from(u8::from(concept(row) == column)) + 0.3 * noise
    })
}

/// A pool whose first rows pair images with texts of the same concept; row 5 has no features.
fn pool(folder: &Path) -> Pool {
    pool_from(folder, 0)
}

/// The same, whose ids begin with this one.
fn pool_from(folder: &Path, first: usize) -> Pool {
    let mut images = features("images", |row| row % CONCEPTS);
    images.row_mut(5).fill(f32::NAN);
    let texts =
        features(
            "texts",
            |row| if row < CLEAN { row % CONCEPTS } else { (row * 7 + 3) % CONCEPTS },
        );
    let uids = (0..ROWS).map(|row| format!("{:032x}", first + row)).collect();
    let labels = (0..ROWS).map(|row| format!("concept {}", row % CONCEPTS)).collect();
    let columns = vec![("uid", Column::Text(uids)), ("label", Column::Text(labels))];
    table::write(&folder.join("0.parquet"), columns).unwrap();
    let mut npz = NpzWriter::create(&folder.join("0.npz")).unwrap();
    npz.add("img", images.view(), Precision::F32).unwrap();
    npz.add("txt", texts.view(), Precision::F32).unwrap();
    npz.finish().unwrap();
    Pool::open(folder, PoolOptions::default(), &NoProgress).unwrap()
}

fn params() -> CompareParams {
    CompareParams {
        budgets: vec![1600],
        seeds: 3,
        held_out: Some(0.3),
        batch: 32,
        hidden: 16,
        dim: 8,
        rate: 1e-2,
        ..CompareParams::default()
    }
}

fn ids(rows: impl IntoIterator<Item = usize>) -> Vec<SampleId> {
    rows.into_iter().map(|row| SampleId(row as u128)).collect()
}

/// A pool with its labels, and what is compared.
struct Setting {
    folder: TempDir,
    pool: Pool,
    compare: Compare,
}

impl Setting {
    fn new(params: CompareParams) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(folder.path());
        Self { folder, pool, compare: params.check().unwrap() }
    }

    fn arena(&self) -> Arena {
        self.arena_with(Some(self.pool.labels("label").unwrap()), None).unwrap()
    }

    fn arena_with(
        &self,
        labels: Option<Vec<Option<String>>>,
        prompts: Option<Prompts>,
    ) -> Result<Arena, CompareError> {
        let source = Source { pool: &self.pool, labels };
        Arena::open(&self.compare, source, Tests::default(), prompts, &NoProgress)
    }

    fn entries(&self, arena: &Arena) -> Vec<Entry> {
        let of =
            |name, rows| arena.entry(&self.compare, name, &ids(rows), UnknownIds::Refuse).unwrap();
        vec![of("noisy", CLEAN..ROWS), of("clean", 0..CLEAN), of("clean-too", 0..CLEAN)]
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arena: &Arena, out: &str) -> Report {
        let (entries, out) = (self.entries(arena), self.out(out));
        let contest = Contest::open(&self.compare, arena, &entries, &out, Existing::Keep).unwrap();
        contest.run(Score::Average, 0.95, &NoProgress).unwrap()
    }
}

/// Every file of a folder but its lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with(".lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn names(files: &BTreeMap<PathBuf, Vec<u8>>, below: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let name = |path: &PathBuf| path.strip_prefix(below).unwrap().to_owned();
    files.iter().map(|(path, bytes)| (name(path), bytes.clone())).collect()
}

#[test]
fn the_clean_selection_wins_and_its_twin_cannot_be_told_from_it() {
    let setting = Setting::new(params());
    let report = setting.run(&setting.arena(), "out");
    let [ranking] = &report.rankings[..] else { panic!("one budget") };
    let order: Vec<&str> = ranking.selections.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(order, ["clean", "clean-too", "noisy"]);
    let [clean, twin, noisy] = &ranking.selections[..] else { panic!("three selections") };
    assert_eq!(clean.behind, None);
    let behind = twin.behind.unwrap();
    assert_eq!((behind.mean, behind.settled(), ranking.settled), (0.0, false, false));
    let behind = noisy.behind.unwrap();
    assert!(behind.settled() && behind.mean < -0.05, "{behind:?}");
    let tasks: Vec<&String> = clean.tasks.keys().collect();
    assert_eq!(tasks, ["linear-probe", "neighbors", "retrieval", "zero-shot"]);
    assert!(clean.tasks["zero-shot"] > noisy.tasks["zero-shot"] + 0.3, "{clean:?} {noisy:?}");
    // 1600 samples of batches of 32, whatever the selection's size.
    assert!(report.runs.iter().all(|run| run.samples == 1600 && run.distinct == run.unique));
    let open = |score| {
        let (arena, entries) = (setting.arena_with(None, None).unwrap(), []);
        let out = setting.out("not asked");
        let contest = Contest::open(&setting.compare, &arena, &entries, &out, Existing::Keep);
        contest.unwrap().run(score, 0.95, &NoProgress).unwrap_err().to_string()
    };
    let said = open(Score::LinearProbe);
    assert!(said.contains("`linear-probe`; they are asked retrieval"), "{said}");
    assert!((clean.epochs - 1600.0 / clean.unique as f64).abs() < 1e-12);
}

#[test]
fn a_seed_gives_the_same_bytes_and_finished_runs_are_not_made_again() {
    let setting = Setting::new(params());
    let arena = setting.arena();
    setting.run(&arena, "first");
    setting.run(&arena, "second");
    let (first, second) = (setting.out("first"), setting.out("second"));
    let whole = files(&first);
    assert_eq!(names(&whole, &first), names(&files(&second), &second));
    assert_eq!(whole.len(), 9 + 3, "nine runs, the manifest, the table and the report");

    let lost = second.join("runs/noisy/1600-1.json");
    fs::remove_file(&lost).unwrap();
    let entries = setting.entries(&arena);
    let open = || Contest::open(&setting.compare, &arena, &entries, &second, Existing::Keep);
    let cost = open().unwrap().cost();
    assert_eq!((cost.runs, cost.made, cost.samples), (9, 8, 1600));
    open().unwrap().run(Score::Average, 0.95, &NoProgress).unwrap();
    assert_eq!(names(&whole, &first), names(&files(&second), &second));
    assert_eq!(open().unwrap().cost().samples, 0);
}

/// Stops after so many samples.
struct Stop(AtomicU64, u64);

impl Progress for Stop {
    fn start(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= self.1
    }
}

#[test]
fn a_stopped_comparison_keeps_its_runs_and_ends_with_the_same_report() {
    let setting = Setting::new(params());
    let arena = setting.arena();
    setting.run(&arena, "whole");
    let (entries, out) = (setting.entries(&arena), setting.out("stopped"));
    let open = || Contest::open(&setting.compare, &arena, &entries, &out, Existing::Keep).unwrap();
    let stop = Stop(AtomicU64::new(0), 6000);
    let error = open().run(Score::Average, 0.95, &stop).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(!out.join("report.json").exists());
    let made = open().cost().made;
    assert!((1..9).contains(&made), "{made}");
    open().run(Score::Average, 0.95, &NoProgress).unwrap();
    let whole = setting.out("whole");
    assert_eq!(names(&files(&whole), &whole), names(&files(&out), &out));
}

#[test]
fn more_budgets_seeds_and_selections_add_to_a_folder() {
    let mut setting = Setting::new(CompareParams { seeds: 1, ..params() });
    let arena = setting.arena();
    setting.run(&arena, "out");
    setting.compare =
        CompareParams { seeds: 2, budgets: vec![1600, 320], ..params() }.check().unwrap();
    let mut entries = setting.entries(&arena);
    let all = ids(0..ROWS);
    entries.push(arena.entry(&setting.compare, "all", &all, UnknownIds::Refuse).unwrap());
    let out = setting.out("out");
    let contest = Contest::open(&setting.compare, &arena, &entries, &out, Existing::Keep).unwrap();
    assert_eq!((contest.cost().runs, contest.cost().made), (16, 3));
    let report = contest.run(Score::Retrieval, 0.9, &NoProgress).unwrap();
    assert_eq!(report.rankings.iter().map(|r| r.budget).collect::<Vec<_>>(), [320, 1600]);
    let csv = fs::read_to_string(out.join("runs.csv")).unwrap();
    assert_eq!(csv.lines().count(), 17);
    assert!(csv.starts_with("pool,samples,unique,error\nnoisy,320,"), "{csv}");
}

#[test]
fn a_folder_of_other_runs_is_refused_by_name() {
    let setting = Setting::new(CompareParams { seeds: 1, ..params() });
    let arena = setting.arena();
    setting.run(&arena, "out");
    let out = setting.out("out");
    let refusal = |compare: &Compare, arena: &Arena, entries: &[Entry]| {
        let opened = Contest::open(compare, arena, entries, &out, Existing::Keep);
        let Err(error) = opened else { panic!("other runs were taken") };
        assert!(matches!(error, CompareError::Conflict { .. }), "{error}");
        error.to_string()
    };
    let entries = setting.entries(&arena);
    let other = CompareParams { seeds: 1, rate: 0.02, hidden: 8, ..params() }.check().unwrap();
    let said = refusal(&other, &arena, &entries);
    assert!(
        said.contains("`rate` was 0.01, is 0.02") && said.contains("`hidden` was 16, is 8"),
        "{said}"
    );
    let clean = arena.entry(&setting.compare, "clean", &ids(0..9), UnknownIds::Refuse).unwrap();
    let said = refusal(&setting.compare, &arena, std::slice::from_ref(&clean));
    assert!(said.contains("selection `clean` changed"), "{said}");
    let without = setting.arena_with(None, None).unwrap();
    let said = refusal(&setting.compare, &without, &setting.entries(&without));
    assert!(said.contains("the labels of the pool changed"), "{said}");

    let replace = |entries: &[Entry]| {
        Contest::open(&other, &arena, entries, &out, Existing::Replace).unwrap().cost().made
    };
    assert_eq!(replace(&entries), 0, "all runs are made again");
    fs::write(out.join("runs/clean/1600-0.json"), "{").unwrap();
    let open = |existing| Contest::open(&setting.compare, &arena, &entries, &out, existing);
    let Err(error) = open(Existing::Keep) else { panic!("half a record was taken") };
    assert!(error.to_string().contains("1600-0.json: is not what a comparison writes"), "{error}");
    assert_eq!(open(Existing::Replace).unwrap().cost().made, 2);
}

#[test]
fn held_out_rows_are_tested_and_never_trained_on() {
    let setting = Setting::new(params());
    let arena = setting.arena();
    let entry = |name, ids: &[SampleId]| {
        arena.entry(&setting.compare, name, ids, UnknownIds::Refuse).unwrap()
    };
    let all = entry("all", &ids(0..ROWS));
    assert_eq!(all.unique() + arena.test_rows() + 1, ROWS, "all but the row without features");
    assert!((90..150).contains(&arena.test_rows()), "{}", arena.test_rows());
    let twice = entry("twice", &ids((0..ROWS).chain(0..ROWS)));
    assert_eq!(twice.unique(), all.unique());
    let again = setting.arena();
    assert_eq!(entry("all", &ids(0..ROWS)), {
        again.entry(&setting.compare, "all", &ids(0..ROWS), UnknownIds::Refuse).unwrap()
    });
}

#[test]
fn repeats_are_counted_by_sample() {
    let params = CompareParams { seeds: 1, order: Order::Shards(8), budgets: vec![64], ..params() };
    let setting = Setting::new(params);
    let arena = setting.arena();
    let thrice = ids((0..60).flat_map(|row| [row; 3]));
    let entry = arena.entry(&setting.compare, "thrice", &thrice, UnknownIds::Refuse).unwrap();
    let entries = [entry];
    let out = setting.out("out");
    let contest = Contest::open(&setting.compare, &arena, &entries, &out, Existing::Keep).unwrap();
    let report = contest.run(Score::Average, 0.95, &NoProgress).unwrap();
    let run = &report.runs[0];
    assert_eq!(run.samples, 64);
    assert!(run.unique < 60 && run.distinct < run.unique && run.most > 1, "{run:?}");
}

#[test]
fn selections_that_cannot_be_trained_on_say_why() {
    let setting = Setting::new(params());
    let arena = setting.arena();
    let of = |ids: &[SampleId], unknown| arena.entry(&setting.compare, "a", ids, unknown);
    let said = |ids: &[SampleId]| of(ids, UnknownIds::Refuse).unwrap_err().to_string();
    assert!(said(&[]).starts_with("selection `a`: it is empty"));
    let strangers = said(&ids((0..10).chain(9000..9005)));
    assert!(strangers.contains("5 of its 15 ids are not in the pool"), "{strangers}");
    assert!(strangers.contains("00002328, ") && strangers.contains(", …)"), "{strangers}");
    let known = of(&ids((0..10).chain(9000..9005)), UnknownIds::Skip).unwrap();
    assert!(known.unique() < 10);
    let none = of(&ids(9000..9005), UnknownIds::Skip).unwrap_err().to_string();
    assert!(none.contains("5 of its 5 ids"), "{none}");
    // To skip all of them would leave nothing, so that is no remedy; and an id is named once.
    assert!(none.ends_with("…): name the pool that it was made from"), "{none}");
    let same = said(&ids([9000, 9000]));
    assert!(same.contains("2 of its 2 ids") && same.matches("00002328").count() == 1, "{same}");
    let few = said(&ids([5]));
    assert!(few.contains("0 rows to train on are too few (1 without usable features)"), "{few}");

    for name in ["../a", "a/b", "", ".a", "a,b"] {
        let error = arena.entry(&setting.compare, name, &ids(0..50), UnknownIds::Refuse);
        assert!(error.unwrap_err().to_string().contains("its name becomes that of a folder"));
    }
    let entries = [of(&ids(0..50), UnknownIds::Refuse).unwrap()];
    let two = [entries[0].clone(), entries[0].clone()];
    let out = setting.out("out");
    let Err(error) = Contest::open(&setting.compare, &arena, &two, &out, Existing::Keep) else {
        panic!("two of one name")
    };
    assert!(error.to_string().contains("two selections have this name"), "{error}");
    assert!(!out.exists(), "nothing was written");
}

#[test]
fn models_of_labels_are_trained_on_labeled_rows() {
    for model in [Model::Linear, Model::Mlp] {
        let setting = Setting::new(CompareParams { model, seeds: 2, ..params() });
        let mut labels = setting.pool.labels("label").unwrap();
        (0..40).for_each(|row| labels[row] = None);
        // Labels of the noisy half are of another concept.
        (CLEAN..ROWS).for_each(|row| labels[row] = Some(format!("concept {}", row * 5 % 7)));
        let arena = setting.arena_with(Some(labels), None).unwrap();
        let report = setting.run(&arena, "out");
        let ranking = &report.rankings[0];
        assert!(report.left_out["clean"]["without a label"] > 10, "{:?}", report.left_out);
        assert_eq!(ranking.selections[0].tasks.keys().collect::<Vec<_>>(), ["labels"]);
        let one = setting.arena_with(Some(vec![Some("x".to_owned()); ROWS]), None);
        assert!(one.err().unwrap().to_string().contains("`x` is the only label"));
        let none = setting.arena_with(Some(vec![None; ROWS]), None);
        assert!(none.err().unwrap().to_string().contains("no row has a label"));
    }
}

#[test]
fn prompts_describe_classes() {
    let setting = Setting::new(CompareParams { seeds: 1, ..params() });
    let label: Vec<String> =
        (0..6).flat_map(|c| [format!("concept {c}"), "other".into()]).collect();
    let axis = |class: usize| (0..12).map(move |column| f32::from(u8::from(class == column)));
    let features: Vec<f32> = (0..6).flat_map(|class| axis(class).chain(axis(11))).collect();
    let prompts = || Prompts::new(label.clone(), features.clone()).unwrap();
    let labels = setting.pool.labels("label").unwrap();
    let arena = setting.arena_with(Some(labels.clone()), Some(prompts())).unwrap();
    let report = setting.run(&arena, "out");
    let clean = report.runs.iter().find(|run| run.selection == "clean").unwrap();
    let zero_shot = &clean.tasks["zero-shot"];
    assert!(zero_shot.score > 0.9, "{zero_shot:?}");
    assert!(zero_shot.rows < clean.tasks["neighbors"].rows, "two classes are not described");
    let narrow = Prompts::new(vec!["concept 0".into()], vec![1.0; 3]).unwrap();
    let error = setting.arena_with(Some(labels), Some(narrow)).err().unwrap().to_string();
    assert!(error.contains("prompts have 3 numbers, but the pool's texts 12"), "{error}");
    assert!(Prompts::new(vec![], vec![]).is_err());
}

#[test]
fn another_pool_tests_and_is_not_trained_on() {
    let setting = Setting::new(CompareParams { held_out: None, seeds: 1, ..params() });
    fn source(pool: &Pool) -> Source<'_> {
        Source { pool, labels: None }
    }
    let open = |test: &Pool| {
        let (compare, pool) = (&setting.compare, source(&setting.pool));
        Arena::open(compare, pool, Some(source(test)).into(), None, &NoProgress).unwrap()
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let same = open(&pool(folders[0].path()));
    assert_eq!(same.test_rows(), ROWS - 1);
    let of = |arena: &Arena| arena.entry(&setting.compare, "a", &ids(0..50), UnknownIds::Refuse);
    let error = of(&same).unwrap_err().to_string();
    assert!(error.contains("49 held out for the test"), "every id is tested: {error}");

    // Half of its ids are the pool's.
    let other = open(&pool_from(folders[1].path(), ROWS / 2));
    assert_eq!(of(&other).unwrap().unique(), 49, "nothing is held out of the first half");
    let all = other.entry(&setting.compare, "all", &ids(0..ROWS), UnknownIds::Refuse).unwrap();
    assert_eq!(all.unique(), ROWS / 2 - 1);
    let (entries, out) = ([all], setting.out("out"));
    let contest = Contest::open(&setting.compare, &other, &entries, &out, Existing::Keep).unwrap();
    let report = contest.run(Score::Retrieval, 0.95, &NoProgress).unwrap();
    assert_eq!(report.runs[0].tasks["retrieval"].rows, ROWS - 1);
    assert_eq!(report.left_out["all"]["held out for the test"], ROWS / 2);
    let alone = Contest::open(&setting.compare, &same, &entries, &out, Existing::Keep);
    let Err(error) = alone else { panic!("another test pool") };
    assert!(error.to_string().contains("the test pool changed"), "{error}");
}

#[test]
fn features_on_disk_train_as_those_in_memory_do() {
    let setting = Setting::new(params());
    let stored = ["img", "txt"].map(|name| setting.pool.embedding(name).unwrap());
    let read = |source: &dyn EmbeddingSource| {
        let mut values = vec![0.0; source.rows() * source.dim()];
        source.read(0..source.rows(), &mut values).unwrap();
        Array2::from_shape_vec((source.rows(), source.dim()), values).unwrap()
    };
    let arrays = [read(&stored[0]), read(&stored[1])];
    let pairs: Vec<(usize, usize)> = (10..200).map(|row| (row, row)).collect();
    let probe = ProbeParams::new().hidden(8).dim(4).batch(16).steps(20).check().unwrap();
    let of = |images: &dyn EmbeddingSource, texts: &dyn EmbeddingSource| {
        let towers = probe.run(&Pairs { images, texts }, &pairs, &NoProgress).unwrap();
        towers.texts(&arrays[1]).unwrap()
    };
    assert_eq!(of(&stored[0], &stored[1]), of(&arrays[0], &arrays[1]));
}
