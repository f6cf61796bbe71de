//! What a stage leaves behind: a value and a verdict for every row it was given.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_core::{
    Removal, Selection,
    fault::{Fault, Faulty},
};
use curate_io::{
    IoError, Kind, atomic, digest,
    npy::{self, Precision},
    table::{self, Column},
};
use serde::{Deserialize, Serialize};

/// A stage's verdict on each row that it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageRows {
    /// The rows of the pool that the stage was given, ascending.
    pub rows: Vec<usize>,
    /// Index into `rules` of the rule that removed the row; 0 for a row that stays.
    verdict: Vec<u8>,
    /// The rules that removed rows; the first entry stands for "stays".
    rules: Vec<String>,
    /// The stage's number for each row: its score, its similarity to a preferred row, its rank in
    /// its cluster. NaN where it has none.
    pub value: Vec<f32>,
    /// What the number is compared with; NaN where it is compared with nothing.
    pub threshold: Vec<f32>,
    /// The row's cluster; empty when the stage does not cluster.
    pub cluster: Vec<Option<u32>>,
    /// The most similar preferred row; empty when the stage does not compare rows.
    pub related: Vec<Option<usize>>,
}

impl StageRows {
    /// All rows stay, without values.
    pub(crate) fn new(input: &Selection) -> Self {
        let n = input.len();
        Self {
            rows: input.rows().to_vec(),
            verdict: vec![0; n],
            rules: vec![String::new()],
            value: vec![f32::NAN; n],
            threshold: vec![f32::NAN; n],
            cluster: vec![],
            related: vec![],
        }
    }

    /// All rows stay but the faulty ones, whose value is the length of their vector.
    pub(crate) fn with_faults(input: &Selection, faults: &[Faulty]) -> Self {
        let mut rows = Self::new(input);
        for faulty in faults {
            let position = input.position(faulty.row).expect("a row that was given");
            rows.remove(position, faulty.fault.name());
            rows.value[position] = faulty.norm as f32;
        }
        rows
    }

    /// Removes the row at `position` by a rule.
    pub(crate) fn remove(&mut self, position: usize, rule: &str) {
        let known = self.rules.iter().position(|r| r == rule);
        let index = known.unwrap_or_else(|| {
            self.rules.push(rule.to_owned());
            self.rules.len() - 1
        });
        self.verdict[position] = u8::try_from(index).expect("a stage has a handful of rules");
    }

    /// The rule that removed the row at `position`.
    pub fn rule(&self, position: usize) -> Option<&str> {
        match self.verdict[position] {
            0 => None,
            index => Some(&self.rules[index as usize]),
        }
    }

    /// True when the row at `position` stays.
    pub fn keeps(&self, position: usize) -> bool {
        self.verdict[position] == 0
    }

    /// The position of a row of the pool.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    /// The rows that stay.
    pub fn kept(&self) -> Selection {
        let kept = (0..self.rows.len()).filter(|&i| self.keeps(i)).map(|i| self.rows[i]);
        Selection::from_unsorted(kept.collect())
    }

    /// How many rows each rule removed.
    pub fn removed(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for &index in self.verdict.iter().filter(|&&index| index > 0) {
            *counts.entry(self.rules[index as usize].clone()).or_default() += 1;
        }
        counts
    }

    /// Why the row at `position` was removed; `None` for a row that stays.
    pub fn removal(&self, position: usize) -> Option<Removal> {
        let rule = self.rule(position)?;
        let number = |x: f32| (!x.is_nan()).then(|| f64::from(x));
        // A quarantined row was not compared with anything.
        let compared = Fault::named(rule).is_none();
        Some(Removal {
            row: self.rows[position],
            rule: rule.to_owned(),
            value: number(self.value[position]),
            threshold: number(self.threshold[position]).filter(|_| compared),
            cause: self.related.get(position).copied().flatten().filter(|_| compared),
            cluster: self.cluster.get(position).copied().flatten(),
        })
    }

    fn write(&self, path: &Path) -> Result<(), IoError> {
        let optional = |rows: &[Option<usize>]| rows.iter().map(|r| r.map(|r| r as u64)).collect();
        let mut columns = vec![
            ("row", Column::U64(self.rows.iter().map(|&row| row as u64).collect())),
            ("kept", Column::Bool(self.verdict.iter().map(|&index| index == 0).collect())),
            ("value", Column::F32(self.value.clone())),
            ("threshold", Column::F32(self.threshold.clone())),
            (
                "rule",
                Column::OptText(
                    (0..self.rows.len()).map(|i| self.rule(i).map(str::to_owned)).collect(),
                ),
            ),
        ];
        if !self.cluster.is_empty() {
            let cluster = self.cluster.iter().map(|c| c.map(u64::from)).collect();
            columns.push(("cluster", Column::OptU64(cluster)));
        }
        if !self.related.is_empty() {
            columns.push(("related", Column::OptU64(optional(&self.related))));
        }
        table::write(path, columns)
    }

    fn read(path: &Path) -> Result<Self, IoError> {
        let reader = table::Reader::open(path)?;
        let index = |x: Option<u64>| x.and_then(|x| usize::try_from(x).ok());
        let rows: Option<Vec<usize>> = reader.u64("row")?.into_iter().map(index).collect();
        let rows = rows.ok_or_else(|| IoError::malformed(path, "column `row` has gaps"))?;
        let mut found = Self::new(&Selection::from_unsorted(rows));
        found.value = reader.f32("value")?;
        found.threshold = reader.f32("threshold")?;
        for (position, rule) in reader.text("rule", None)?.into_iter().enumerate() {
            if let Some(rule) = rule {
                found.remove(position, &rule);
            }
        }
        let has = |name: &str| reader.columns().iter().any(|column| column == name);
        if has("cluster") {
            let cluster = reader.u64("cluster")?.into_iter();
            found.cluster = cluster.map(|c| c.and_then(|c| u32::try_from(c).ok())).collect();
        }
        if has("related") {
            found.related = reader.u64("related")?.into_iter().map(index).collect();
        }
        Ok(found)
    }
}

/// What is known of a finished stage beside its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The stage's name.
    pub name: String,
    /// Its kind, as recipes write it.
    pub kind: String,
    /// A digest of everything the result depends on: settings, inputs, pool, version.
    pub fingerprint: String,
    /// The settings with every default.
    pub settings: serde_json::Value,
    /// Rows that it was given.
    pub rows_in: usize,
    /// Rows that it left.
    pub rows_out: usize,
    /// Rows that each rule removed.
    pub removed: BTreeMap<String, usize>,
    /// What the stage found out: a threshold, an objective, a table of clusters.
    pub info: BTreeMap<String, serde_json::Value>,
    /// SHA-256 of each of its files.
    pub files: BTreeMap<String, String>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A stage's result in memory.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) rows: StageRows,
    pub(crate) info: BTreeMap<String, serde_json::Value>,
    /// Centroids, `k x d`, for stages that cluster.
    pub(crate) centroids: Option<ndarray::Array2<f32>>,
}

impl Outcome {
    pub(crate) fn new(rows: StageRows) -> Self {
        Self { rows, info: BTreeMap::new(), centroids: None }
    }

    pub(crate) fn tell(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.info.insert(name.to_owned(), value.into());
    }
}

/// The folder of a stage.
pub(crate) fn folder(run: &Path, index: usize, name: &str) -> PathBuf {
    run.join("stages").join(format!("{:02}-{name}", index + 1))
}

const ROWS: &str = "rows.parquet";
const CENTROIDS: &str = "centroids.npy";
const RECORD: &str = "stage.json";

/// Writes a stage's files; the record comes last and makes the stage count as finished.
pub(crate) fn save(
    folder: &Path,
    outcome: &Outcome,
    record: &mut StageRecord,
) -> Result<(), IoError> {
    outcome.rows.write(&folder.join(ROWS))?;
    let mut files = vec![ROWS];
    if let Some(centroids) = &outcome.centroids {
        npy::write(&folder.join(CENTROIDS), centroids.view(), Precision::F32)?;
        files.push(CENTROIDS);
    }
    for name in files {
        record.files.insert(name.to_owned(), digest::of_file(&folder.join(name))?);
    }
    let text = serde_json::to_string_pretty(record).expect("a record is JSON");
    atomic::write(&folder.join(RECORD), (text + "\n").as_bytes())
}

/// The record of a finished stage, if there is one.
pub(crate) fn record(folder: &Path) -> Result<Option<StageRecord>, IoError> {
    let path = folder.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(|e| IoError::os(&path, "read", e))?;
    let record = serde_json::from_slice(&text)
        .map_err(|e| damaged(&path, "is no record of a stage").caused_by(e))?;
    Ok(Some(record))
}

/// The rows of a finished stage, after their digest was compared with the record's.
pub(crate) fn load(folder: &Path, record: &StageRecord) -> Result<StageRows, IoError> {
    for (name, expected) in &record.files {
        let path = folder.join(name);
        if digest::of_file(&path)? != *expected {
            return Err(damaged(&path, "is not the file that the stage wrote: its digest differs"));
        }
    }
    StageRows::read(&folder.join(ROWS))
}

fn damaged(path: &Path, problem: &str) -> IoError {
    IoError::new(Kind::Malformed, path, problem, "compute the stage again with --overwrite")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> StageRows {
        let mut rows = StageRows::new(&Selection::from_unsorted(vec![2, 5, 9]));
        rows.value = vec![0.5, f32::NAN, 0.25];
        rows.threshold = vec![0.4; 3];
        rows.cluster = vec![Some(1), None, Some(0)];
        rows.related = vec![None, Some(2), Some(5)];
        rows.remove(1, "embedding-nan");
        rows.remove(2, "semantic-duplicate");
        rows
    }

    #[test]
    fn rows_survive_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        rows().write(&path).unwrap();
        let again = StageRows::read(&path).unwrap();
        assert!(again.value[1].is_nan());
        let mut expected = rows();
        let mut again = again;
        (expected.value[1], again.value[1]) = (0.0, 0.0);
        assert_eq!(again, expected);
        assert_eq!(again.kept().rows(), [2]);
    }

    #[test]
    fn a_quarantined_row_was_compared_with_nothing() {
        let rows = rows();
        assert_eq!(rows.removal(0), None);
        let fault = rows.removal(1).unwrap();
        assert_eq!(
            (fault.rule.as_str(), fault.threshold, fault.cause),
            ("embedding-nan", None, None)
        );
        let duplicate = rows.removal(2).unwrap();
        assert_eq!(
            (duplicate.value, duplicate.cause, duplicate.cluster),
            (Some(0.25), Some(5), Some(0))
        );
        assert_eq!(rows.removed().values().sum::<usize>(), 2);
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = StageRecord {
            name: "x".into(),
            kind: "score".into(),
            fingerprint: String::new(),
            settings: serde_json::Value::Null,
            rows_in: 3,
            rows_out: 1,
            removed: BTreeMap::new(),
            info: BTreeMap::new(),
            files: BTreeMap::new(),
            seconds: 0.0,
        };
        assert_eq!(super::record(folder.path()).unwrap(), None);
        save(folder.path(), &Outcome::new(rows()), &mut record).unwrap();
        let found = super::record(folder.path()).unwrap().unwrap();
        assert_eq!(found, record);
        load(folder.path(), &found).unwrap();
        std::fs::write(folder.path().join(ROWS), b"other").unwrap();
        let error = load(folder.path(), &found).unwrap_err().to_string();
        assert!(error.contains("its digest differs; compute the stage again"), "{error}");
    }
}
