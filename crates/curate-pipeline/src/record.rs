//! A finished stage on disk: its rows, its centroids and its record.

use std::{collections::BTreeMap, path::Path};

use curate_core::{ScoreColumn, Selection};
use curate_io::{
    IoError, Kind, atomic, digest,
    npy::{self, Precision},
    table,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error,
    rows::{RemovedRows, StageRows},
};

/// What is known of a finished stage beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The stage's name.
    pub name: String,
    /// Its kind, as recipes write it.
    pub kind: String,
    /// A digest of everything the result depends on: settings, inputs, pool, version.
    pub fingerprint: String,
    /// The settings with every default.
    pub settings: serde_json::Value,
    /// What else the result depends on: the pool, the seed, the version, earlier stages and files, each
    /// with what identifies it.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
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

impl StageRecord {
    /// What the stage told, as the type that its kind tells; `None` where it had nothing to tell,
    /// since no row could be used.
    ///
    /// # Errors
    /// When the record tells something else.
    pub(crate) fn told<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        if self.info.is_empty() {
            return Ok(None);
        }
        let told = serde_json::Map::from_iter(self.info.clone());
        serde_json::from_value(told.into()).map(Some).map_err(|e| Error::Stage {
            stage: self.name.clone(),
            problem: format!("its {RECORD} tells what this version does not read: {e}"),
        })
    }
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

    /// With what the stage found out. The type is the one that [`StageRecord::told`] reads.
    pub(crate) fn telling<T: Serialize>(mut self, told: &T) -> Self {
        let Ok(serde_json::Value::Object(told)) = serde_json::to_value(told) else {
            unreachable!("what a stage tells is a struct of numbers and names");
        };
        self.info = told.into_iter().collect();
        self
    }

    pub(crate) fn with_centroids(mut self, centroids: ndarray::Array2<f32>) -> Self {
        self.centroids = Some(centroids);
        self
    }
}

/// The file with a value and a verdict for every row.
const ROWS: &str = "rows.parquet";
/// The file of centroids, of stages that cluster.
pub(crate) const CENTROIDS: &str = "centroids.npy";
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
pub(crate) fn read(folder: &Path) -> Result<Option<StageRecord>, Error> {
    let path = folder.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(|e| IoError::os(&path, "read", e))?;
    let record = serde_json::from_slice(&text)
        .map_err(|e| damaged(&path, "is not a record of a stage", Some(e)))?;
    Ok(Some(record))
}

/// Whether a stage left a record in the folder.
pub(crate) fn exists(folder: &Path) -> bool {
    folder.join(RECORD).exists()
}

/// An error unless the files of a finished stage have the digests of its record.
pub(crate) fn check(folder: &Path, record: &StageRecord) -> Result<(), Error> {
    for (name, expected) in &record.files {
        let path = folder.join(name);
        if digest::of_file(&path)? != *expected {
            let problem = "is not the file that the stage wrote: its digest differs";
            return Err(damaged(&path, problem, None));
        }
    }
    Ok(())
}

/// All rows of a finished stage.
pub(crate) fn rows(folder: &Path) -> Result<StageRows, IoError> {
    let path = folder.join(ROWS);
    StageRows::read(&path, &table::Reader::open(&path)?)
}

/// The rows that a finished stage removed, one after the other.
pub(crate) fn removed_rows(folder: &Path) -> Result<RemovedRows, IoError> {
    RemovedRows::open(&folder.join(ROWS))
}

/// The numbers of a finished stage, one for each row that it was given.
pub(crate) fn values(folder: &Path) -> Result<ScoreColumn, IoError> {
    table::Reader::open(&folder.join(ROWS))?.scores("value")
}

/// The rows that a finished stage left of those that it was given.
pub(crate) fn kept(folder: &Path, given: &Selection) -> Result<Selection, Error> {
    let path = folder.join(ROWS);
    let flags = table::Reader::open(&path)?.bool("kept")?;
    if flags.len() != given.len() {
        return Err(damaged(&path, "has other rows than the stage was given", None));
    }
    if flags.iter().all(|&kept| kept) {
        return Ok(given.clone());
    }
    let mut flags = flags.into_iter();
    Ok(given.retain(|_| flags.next() == Some(true)))
}

fn damaged(path: &Path, problem: &str, cause: Option<serde_json::Error>) -> Error {
    let error = IoError::new(Kind::Malformed, path, problem, "compute the stage again");
    Error::Damaged(match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged() -> StageRows {
        let mut rows = StageRows::new(&Selection::from_unsorted(vec![2, 5, 9]));
        rows.remove(1, "threshold");
        rows
    }

    fn empty() -> StageRecord {
        StageRecord {
            name: "x".into(),
            kind: "score".into(),
            rows_in: 3,
            rows_out: 1,
            ..StageRecord::default()
        }
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = empty();
        assert_eq!(super::read(folder.path()).unwrap(), None);
        save(folder.path(), &Outcome::new(judged()), &mut record).unwrap();
        let found = super::read(folder.path()).unwrap().unwrap();
        assert_eq!(found, record);
        check(folder.path(), &found).unwrap();
        let given = judged().rows;
        assert_eq!(kept(folder.path(), &given).unwrap(), judged().kept());
        let error = kept(folder.path(), &Selection::all(9)).unwrap_err().to_string();
        assert!(error.contains("has other rows than the stage was given"), "{error}");
        std::fs::write(folder.path().join(ROWS), b"other").unwrap();
        let error = check(folder.path(), &found).unwrap_err().to_string();
        assert!(error.contains("its digest differs; compute the stage again"), "{error}");
    }
    #[test]
    fn what_was_told_is_read_as_the_type_that_told_it_or_refused() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Told {
            least_score: f64,
        }
        let mut record = empty();
        assert_eq!(record.told::<Told>().unwrap(), None);
        record.info = Outcome::new(judged()).telling(&Told { least_score: 0.5 }).info;
        assert_eq!(record.info["least-score"], 0.5);
        assert_eq!(record.told().unwrap(), Some(Told { least_score: 0.5 }));
        let moved = record.info.remove("least-score").unwrap();
        record.info.insert("renamed".into(), moved);
        let error = record.told::<Told>().unwrap_err().to_string();
        assert!(error.contains("stage `x`") && error.contains("least-score"), "{error}");
    }
}
