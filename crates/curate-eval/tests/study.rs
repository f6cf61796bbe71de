//! A teacher and students of a small pool on disk.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use curate_core::{NoProgress, SampleId, random};
use curate_eval::{
    compare::{CompareError, CompareParams, Entry, Existing, Model, Source, UnknownIds},
    distill::{
        SoftLabels,
        study::{Lessons, School, Study, StudyParams, StudyReport, Teacher},
    },
};
use curate_io::{
    Pool, PoolOptions,
    npy::Precision,
    npz::NpzWriter,
    table::{self, Column, Reader},
};
use ndarray::Array2;
use tempfile::TempDir;

const ROWS: usize = 600;
const CLASSES: usize = 3;

fn is_wrong(row: usize) -> bool {
    random::unit(4, SampleId(row as u128)) < 0.3
}

/// Three clouds; of a third of the rows the label is wrong. Row 5 has no features, row 6 no label.
fn pool(folder: &Path) -> Pool {
    let mut images = Array2::from_shape_fn((ROWS, 9), |(row, column)| {
        let noise = random::unit(1, SampleId((row * 9 + column) as u128)) as f32 - 0.5;
        f32::from(u8::from(row % CLASSES == column % CLASSES)) + 1.2 * noise
    });
    images.row_mut(5).fill(f32::NAN);
    let told = |row: usize| (row + usize::from(is_wrong(row))) % CLASSES;
    let labels = (0..ROWS).map(|row| match row {
        6 => String::new(),
        _ => format!("class {}", told(row)),
    });
    let uids = (0..ROWS).map(|row| format!("{row:032x}")).collect();
    let columns = vec![("uid", Column::Text(uids)), ("label", Column::Text(labels.collect()))];
    table::write(&folder.join("0.parquet"), columns).unwrap();
    let mut npz = NpzWriter::create(&folder.join("0.npz")).unwrap();
    npz.add("img", images.view(), Precision::F32).unwrap();
    npz.finish().unwrap();
    Pool::open(folder, PoolOptions::default(), &NoProgress).unwrap()
}

fn params() -> StudyParams {
    let student = CompareParams {
        model: Model::Mlp,
        seeds: 2,
        held_out: Some(0.3),
        batch: 32,
        hidden: 16,
        rate: 1e-2,
        ..CompareParams::default()
    };
    StudyParams {
        student,
        samples: 3200,
        alphas: vec![1.0, 0.0],
        teacher_hidden: 16,
        teacher_samples: 6400,
        chosen_on: 0.2,
        ..StudyParams::default()
    }
}

/// A pool, and a study of it.
struct Setting {
    folder: TempDir,
    study: Study,
    school: School,
}

fn ids(rows: impl IntoIterator<Item = usize>) -> Vec<SampleId> {
    rows.into_iter().map(|row| SampleId(row as u128)).collect()
}

impl Setting {
    fn new(params: StudyParams) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(folder.path());
        let study = params.check().unwrap();
        let labels = Some(pool.labels("label").unwrap());
        let school = study.students_of(Source { pool: &pool, labels }, None, &NoProgress).unwrap();
        Self { folder, study, school }
    }

    fn entry(&self, name: &str, rows: impl IntoIterator<Item = usize>) -> Entry {
        let of = self.school.arena();
        of.entry(self.study.compare(), name, &ids(rows), UnknownIds::Refuse).unwrap()
    }

    /// Rows whose label is wrong, and a few others.
    fn misleading(&self) -> Entry {
        self.entry("misleading", (0..ROWS).filter(|row| is_wrong(*row) || row % 40 == 0))
    }

    fn open(&self, teacher: Teacher<'_>, entries: &[Entry]) -> Result<Lessons<'_>, CompareError> {
        self.open_in("out", teacher, entries, Existing::Keep)
    }

    fn open_in<'a>(
        &'a self,
        out: &str,
        teacher: Teacher<'_>,
        entries: &[Entry],
        existing: Existing,
    ) -> Result<Lessons<'a>, CompareError> {
        // What a table's path is lives as long as the test.
        let teacher = match teacher {
            Teacher::Table(path) => Teacher::Table(Box::leak(path.into())),
            Teacher::Trained(_) => Teacher::Trained(&self.school),
        };
        let out = self.folder.path().join(out);
        Lessons::open(&self.study, &self.school, teacher, entries, &out, existing)
    }

    fn taught(&self, entries: &[Entry]) -> StudyReport {
        let lessons = self.open(Teacher::Trained(&self.school), entries).unwrap();
        lessons.run(0.95, &NoProgress).unwrap()
    }
}

#[test]
fn a_teacher_repairs_a_selection_of_wrong_labels_and_alpha_is_chosen() {
    let setting = Setting::new(params());
    let report = setting.taught(&[setting.misleading()]);
    let [own, control] = &report.selections[..] else { panic!("{:?}", report.selections) };
    assert_eq!((own.name.as_str(), own.chosen.alpha), ("misleading", 1.0));
    let alphas: Vec<f32> = own.alphas.iter().map(|of| of.alpha).collect();
    assert_eq!(alphas, [0.0, 1.0]);
    let gain = own.chosen.gain.unwrap();
    assert!(gain.mean > 0.2, "{own:?}");
    assert!((own.alphas[1].test.mean - own.alphas[0].test.mean - gain.mean).abs() < 1e-12);
    assert_eq!(own.control.as_deref(), Some(control.name.as_str()));
    assert_eq!((own.unique, control.control.as_ref()), (control.unique, None));
    assert!(own.chosen.over_random_by_labels.unwrap().mean < -0.1, "wrong labels are worse");
    let teacher = report.teacher.unwrap();
    assert_eq!(teacher.rows, report.trainable);
    assert!(teacher.test.score > own.alphas[0].test.mean);
    let held: usize = report.left_out["misleading"].values().sum();
    let reasons: Vec<&str> = report.left_out["misleading"].keys().map(String::as_str).collect();
    let expected = ["held out for the test", "held out to choose alpha", "without usable features"];
    assert_eq!(reasons, expected);
    assert_eq!(held + own.unique, (0..ROWS).filter(|r| is_wrong(*r) || r % 40 == 0).count());
    assert_eq!(report.runs.len(), 2 * 2 * 2);
    // Each seed draws its own random rows, so that they differ in what they see.
    let of = |name: &str| report.runs.iter().filter(|run| run.selection == name).count();
    assert_eq!((of("misleading"), of(&control.name)), (4, 4));
}

#[test]
fn nobody_is_trained_on_what_is_held_out() {
    let setting = Setting::new(params());
    let everything = setting.entry("everything", (0..ROWS).filter(|row| ![5, 6].contains(row)));
    let report = setting.taught(std::slice::from_ref(&everything));
    assert_eq!(everything.unique(), report.trainable);
    assert_eq!(report.selections.len(), 1, "everything has no random selection of its size");
    let all = report.trainable + report.test_rows + report.chosen_on_rows;
    assert_eq!(all, ROWS - 2, "row 5 has no features, row 6 no label");
    let (told, soft) = SoftLabels::read(&setting.folder.path().join("out/soft.parquet")).unwrap();
    assert_eq!((told.len(), soft.classes()), (report.trainable, CLASSES));
}

#[test]
fn runs_resume_and_other_alphas_and_selections_are_added() {
    let setting = Setting::new(params());
    let first = setting.taught(&[setting.misleading()]);
    let out = setting.folder.path().join("out");
    let soft = fs::metadata(out.join("soft.parquet")).unwrap().modified().unwrap();
    let lost = out.join("students/misleading/1-0.json");
    let bytes = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let entries = [setting.misleading()];
    let lessons = setting.open(Teacher::Trained(&setting.school), &entries).unwrap();
    let cost = lessons.cost();
    assert_eq!((cost.runs, cost.made, cost.samples), (9, 8, 3200));
    assert!(cost.operations > 0.0 && lessons.rehearse(1, &NoProgress).unwrap() > 0.0);
    assert_eq!(lessons.run(0.95, &NoProgress).unwrap(), first);
    assert_eq!(fs::read(&lost).unwrap(), bytes);
    assert_eq!(fs::metadata(out.join("soft.parquet")).unwrap().modified().unwrap(), soft);

    let more = StudyParams { alphas: vec![0.5, 1.0], ..params() }.check().unwrap();
    let entries =
        [setting.misleading(), setting.entry("half", (0..ROWS).step_by(2).filter(|r| *r != 6))];
    let teacher = Teacher::Trained(&setting.school);
    let lessons =
        Lessons::open(&more, &setting.school, teacher, &entries, &out, Existing::Keep).unwrap();
    // Two selections and their random ones, three alphas and two seeds, and the teacher.
    assert_eq!((lessons.cost().runs, lessons.cost().made), (4 * 3 * 2 + 1, 9));

    let other = StudyParams { temperature: 2.0, ..params() }.check().unwrap();
    let opened =
        |existing| Lessons::open(&other, &setting.school, teacher, &entries, &out, existing);
    let error = opened(Existing::Keep).err().unwrap().to_string();
    assert!(error.contains("`temperature` was 4.0, is 2.0"), "{error}");
    assert_eq!(opened(Existing::Replace).unwrap().cost().made, 0);
    // A teacher whose table is not what it wrote is trained again.
    fs::write(out.join("soft.parquet"), b"damaged").unwrap();
    let entries = [setting.misleading()];
    let lessons = setting.open(teacher, &entries).unwrap();
    assert_eq!(lessons.cost().made, 8);
}

#[test]
fn a_teacher_of_other_classes_or_rows_is_refused_by_name() {
    let setting = Setting::new(params());
    let file = setting.folder.path().join("soft.parquet");
    let write = |rows: &[usize], classes: usize, names: Option<&[&str]>| {
        let soft = SoftLabels::of(&vec![0.5; rows.len() * classes], classes, 2).unwrap();
        let ids = ids(rows.iter().copied());
        match names {
            None => soft.write(&file, &ids).unwrap(),
            Some(names) => {
                let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
                soft.write_named(&file, &ids, &names).unwrap();
            }
        }
    };
    let all: Vec<usize> = (0..ROWS).collect();
    let entries = [setting.misleading()];
    let refused = || setting.open(Teacher::Table(&file), &entries).err().unwrap().to_string();
    write(&all, 4, None);
    let error = refused();
    assert!(error.contains("its teacher tells 4 classes apart, but there are 3"), "{error}");
    assert!(error.contains("soft.parquet"), "{error}");
    write(&all, 3, Some(&["cat", "dog", "horse"]));
    let error = refused();
    assert!(error.contains("its teacher says `cat` where these classes say `class 0`"), "{error}");
    write(&all[..ROWS / 2], 3, None);
    let error = refused();
    assert!(error.contains("the teacher: it says nothing of "), "{error}");
    assert!(error.contains("rows of selection `misleading`"), "{error}");
    assert!(!setting.folder.path().join("out").exists(), "nothing was written");

    // A table that fits teaches as well, and the random rows are those that it names.
    let trained = setting.taught(&entries);
    let table = setting.folder.path().join("out/soft.parquet");
    let lessons =
        setting.open_in("again", Teacher::Table(&table), &entries, Existing::Keep).unwrap();
    assert_eq!(lessons.cost().runs, 8, "no teacher is trained");
    let again = lessons.run(0.95, &NoProgress).unwrap();
    assert_eq!(again.selections, trained.selections);
    assert_eq!(again.teacher, None);
}

#[test]
fn scores_to_prune_by_know_the_wrong_labels() {
    let setting = Setting::new(params());
    let scores = setting.study.scores(&setting.school, &NoProgress).unwrap();
    assert_eq!(scores.ids.len(), ROWS - 2);
    let file = setting.folder.path().join("scores.parquet");
    scores.write(&file).unwrap();
    let table = Reader::open(&file).unwrap();
    assert_eq!(table.columns(), ["uid", "el2n", "margin", "forgetting"]);
    let mean = |values: &[f32], wrong: bool| {
        let of = scores.ids.iter().zip(values).filter(|(id, _)| is_wrong(id.0 as usize) == wrong);
        let of: Vec<f32> = of.map(|(_, value)| *value).collect();
        of.iter().sum::<f32>() / of.len() as f32
    };
    assert!(mean(&scores.el2n, true) > mean(&scores.el2n, false) + 0.2);
    assert!(mean(&scores.margin, true) < mean(&scores.margin, false) - 0.2);
    assert!(mean(&scores.forgetting, true) > mean(&scores.forgetting, false));
}

#[test]
fn every_wrong_value_is_named() {
    let wrong = StudyParams {
        samples: 8,
        teacher_samples: 8,
        alphas: vec![2.0, f32::NAN],
        temperature: 0.0,
        logits: 0,
        chosen_on: 1.0,
        teacher_model: Model::Projections,
        ..params()
    };
    let error = wrong.check().unwrap_err();
    assert_eq!(error.violations.len(), 8, "{error}");
    assert!(
        error.to_string().contains("`teacher-samples` is 8, but must be at least one batch, 32")
    );
}
