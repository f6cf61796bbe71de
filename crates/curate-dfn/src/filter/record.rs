//! The files of an embedded shard, and the record that makes them count.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_io::{
    IoError, Kind, atomic,
    stamp::{Check, Input, Stamp, touched_since},
};
use serde::{Deserialize, Serialize};

use crate::filter::bad::BadRow;

/// What a shard's record says; written last, it makes the shard count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// A digest of the network, the ids and how they are stored.
    pub(super) fingerprint: String,
    pub(super) rows: usize,
    pub(super) bad: Vec<BadRow>,
    /// What the shard was read from; early versions did not note it.
    #[serde(default)]
    pub(super) inputs: Vec<Input>,
    /// What was written.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Stamp>,
}

/// Where the files of a shard lie.
pub(super) struct Files {
    pub(super) arrays: PathBuf,
    pub(super) scores: PathBuf,
    pub(super) record: PathBuf,
}

impl Files {
    pub(super) fn new(out: &Path, shard: &str) -> Self {
        Self {
            arrays: out.join(format!("{shard}.npz")),
            scores: out.join(format!("{shard}.scores.parquet")),
            record: out.join(format!("{shard}.json")),
        }
    }

    /// The record; `None` where there is none.
    pub(super) fn record(&self) -> Result<Option<Record>, IoError> {
        let text = match std::fs::read(&self.record) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IoError::os(&self.record, "read", e)),
        };
        let record = serde_json::from_slice(&text).map_err(|e| {
            IoError::malformed(&self.record, "is not a record of an embedded shard").caused_by(e)
        })?;
        Ok(Some(record))
    }

    /// The record of a shard that is finished: it was made from these inputs, as they still are, and its
    /// files are those that were written. `None` where there is none, or the files have changed. `before` is
    /// called before the record is written again.
    ///
    /// # Errors
    /// When the shard was made otherwise, or from something else.
    pub(super) fn finished(
        &self,
        fingerprint: &str,
        inputs: &[PathBuf],
        check: Check,
        before: impl FnOnce() -> Result<(), IoError>,
    ) -> Result<Option<Record>, IoError> {
        let record = match self.record() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            // A damaged record says of nothing that it is finished.
            Err(e) if e.kind == Kind::Malformed => return Ok(None),
            Err(e) => return Err(e),
        };
        if record.is_early() {
            return Err(self.early());
        }
        if record.fingerprint != fingerprint || record.inputs.len() != inputs.len() {
            let problem = "was embedded with another network, other settings or another pool, or its shard has changed";
            return Err(self.disagrees(&self.record, problem));
        }
        let mut now = record.inputs.clone();
        for (path, input) in inputs.iter().zip(&mut now) {
            if !input.holds(path, check)? {
                return Err(self.disagrees(path, "has changed since it was embedded"));
            }
            *input = input.at_its_time(path)?;
        }
        let mut touched = now != record.inputs;
        for (name, stamp) in &record.files {
            let file = self.record.with_file_name(name);
            let was_touched = touched_since(&file, &self.record);
            touched |= was_touched;
            if !stamp.holds(&file, if was_touched { Check::Whole } else { check })? {
                return Ok(None);
            }
        }
        let record = Record { inputs: now, ..record };
        // Written again, so that what was touched and is the same is not read whole each time.
        if touched {
            before()?;
            self.write(&record)?;
        }
        Ok(Some(record))
    }

    pub(super) fn write(&self, record: &Record) -> Result<(), IoError> {
        let mut json = serde_json::to_vec_pretty(record).expect("a record is JSON");
        json.push(b'\n');
        atomic::write(&self.record, &json)
    }

    /// What the shard's files are now, its record left out.
    pub(super) fn stamps(&self) -> Result<BTreeMap<String, Stamp>, IoError> {
        let stamp = |path: &PathBuf| Ok((name(path), Stamp::of(path)?));
        [&self.arrays, &self.scores].into_iter().map(stamp).collect()
    }

    /// An error when a file stands in the place of one of the shard's that no embedding wrote.
    pub(super) fn check_free(&self) -> Result<(), IoError> {
        match self.record() {
            Ok(Some(record)) if record.is_early() => return Err(self.early()),
            Ok(Some(_)) => return Ok(()),
            _ => {}
        }
        let mut files = [&self.arrays, &self.scores, &self.record].into_iter();
        files.find(|file| file.exists()).map_or(Ok(()), |file| {
            let problem = "is there already, and no embedding wrote it";
            Err(IoError::new(Kind::Disagree, file, problem, "choose another folder"))
        })
    }

    fn early(&self) -> IoError {
        let problem = "was written by an early version, which did not note what it read";
        IoError::new(Kind::Disagree, &self.record, problem, "choose another folder")
    }

    fn disagrees(&self, path: &Path, problem: &str) -> IoError {
        let remedy = format!(
            "choose another folder, or remove {} to embed its shard again",
            self.record.display()
        );
        IoError::new(Kind::Disagree, path, problem, remedy)
    }
}

impl Record {
    /// True for the record of a version that noted neither inputs nor files.
    pub(super) fn is_early(&self) -> bool {
        self.files.is_empty()
    }
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
