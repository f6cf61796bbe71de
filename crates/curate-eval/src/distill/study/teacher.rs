//! The teacher: trained here, or what one said that was trained elsewhere.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, embedding::RowsOf, random};
use curate_io::digest;
use serde::{Deserialize, Serialize};

use crate::{
    EvalError,
    compare::{
        CompareError, Model, Task,
        folder::{Folder, Kept, settings_of, write},
    },
    distill::{
        SoftLabels,
        study::{School, Study},
    },
};

/// Where soft labels come from.
#[derive(Clone, Copy)]
pub enum Teacher<'a> {
    /// A teacher that is trained on everything that is not held out of this.
    Trained(&'a School),
    /// A table that [`SoftLabels::write_named`] or [`SoftLabels::write`] wrote.
    Table(&'a Path),
}

/// What a teacher that was trained here is like: the content of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRecord {
    /// Its model.
    pub model: Model,
    /// Elements of its hidden layers; channels of its first convolution.
    pub hidden: usize,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Samples that it saw.
    pub samples: u64,
    /// The share of the rows to choose alpha on that it gets right.
    pub chosen_on: f64,
    /// Its answers to the test.
    pub test: Task,
    /// What the table of its soft labels holds.
    pub soft: String,
    /// Identifies everything that the training depended on.
    pub inputs: String,
}

impl Kept for TeacherRecord {
    fn inputs(&self) -> &str {
        &self.inputs
    }
}

const RECORD: &str = "teacher.json";
const TABLE: &str = "soft.parquet";

impl Teacher<'_> {
    /// What students depend on.
    pub(crate) fn inputs(self, study: &Study) -> Result<BTreeMap<String, String>, CompareError> {
        let what = match self {
            Self::Table(path) => digest::of_file(path)?,
            Self::Trained(school) => {
                let settings = settings_of(&study.teacher.params, &["seeds"]);
                let all = serde_json::to_string(&(settings, &school.arena.inputs));
                let all = all.expect("settings and digests are JSON");
                digest::of_bytes(format!("{all}\n{}", study.params.logits).as_bytes())
            }
        };
        Ok(BTreeMap::from([("the teacher".to_owned(), what)]))
    }
}

/// Where a teacher that is trained here leaves its table.
pub(crate) fn table_of(folder: &Path) -> PathBuf {
    folder.join(TABLE)
}

/// The teacher that was trained in a folder, if its table is what it wrote.
pub(crate) fn trained(folder: &Folder) -> Result<Option<TeacherRecord>, CompareError> {
    let record = folder.read_file(&folder.path().join(RECORD), folder.common())?;
    let table = table_of(folder.path());
    Ok(record.filter(|record: &TeacherRecord| {
        digest::of_file(&table).is_ok_and(|found| found == record.soft)
    }))
}

/// Trains a teacher on everything that is not held out, and writes what it says of these rows, then the
/// record that makes it count.
pub(crate) fn train(
    study: &Study,
    school: &School,
    folder: &Folder,
    progress: &dyn Progress,
) -> Result<TeacherRecord, CompareError> {
    let in_run = |problem| CompareError::Run { run: "the teacher".to_owned(), problem };
    let rows = school.trainable();
    let taught = taught(study, school, &rows, progress).map_err(in_run)?;
    let table = table_of(folder.path());
    taught.soft.write_named(&table, &school.ids(&rows), &school.arena.classes)?;
    let params = &study.teacher.params;
    let record = TeacherRecord {
        model: params.model,
        hidden: params.hidden,
        rows: rows.len(),
        samples: study.teacher.samples_seen(study.params.teacher_samples),
        chosen_on: taught.chosen_on,
        test: taught.test,
        soft: digest::of_file(&table)?,
        inputs: folder.common().to_owned(),
    };
    write(&folder.path().join(RECORD), &record)?;
    Ok(record)
}

struct Taught {
    soft: SoftLabels,
    chosen_on: f64,
    test: Task,
}

fn taught(
    study: &Study,
    school: &School,
    rows: &[usize],
    progress: &dyn Progress,
) -> Result<Taught, EvalError> {
    let arena = &school.arena;
    let class = arena.class_or_first();
    let data = arena.labeled_with(&class);
    // Other weights than any student's: from its own start a student of the same size would get there.
    let classifier =
        study.teacher.classifier(study.params.teacher_samples, random::derive(0, "teacher"))?;
    let net = classifier.run(&data, rows, progress)?;
    let scores = net.scores(&RowsOf::new(data.features, rows))?;
    Ok(Taught {
        soft: SoftLabels::of(&scores, data.classes, study.params.logits)?,
        chosen_on: school.right_on_chosen(&net)?,
        test: arena.ask_labels(&net)?.map(|(_, task)| task).ok_or_else(|| EvalError::Length {
            argument: "test",
            found: 0,
            expected: 1,
        })?,
    })
}

/// What a teacher says of every row of a pool.
pub(crate) struct Heard {
    pub(crate) soft: SoftLabels,
    /// True for rows that it says something of.
    pub(crate) known: Vec<bool>,
}

/// Reads a table, and puts it in the order of a pool's rows.
pub(crate) fn heard(path: &Path, school: &School) -> Result<Heard, CompareError> {
    let (ids, soft) = SoftLabels::read_named(path, &school.arena.classes)?;
    let place: HashMap<SampleId, usize> =
        ids.iter().rev().copied().zip((0..ids.len()).rev()).collect();
    let places: Vec<Option<usize>> =
        school.arena.ids.iter().map(|id| place.get(id).copied()).collect();
    let known = places.iter().map(Option::is_some).collect();
    Ok(Heard { soft: soft.at(&places), known })
}
