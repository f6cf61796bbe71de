//! From one stage of a run to the next: what is in the folder already is read, the rest computed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use curate_core::{Progress, Selection};
use curate_io::{IoError, Pool, digest};
use serde_json::{Value, json};

use crate::{
    Error, Recipe,
    earlier::{Earlier, Left, POOL},
    folder,
    record::{self, StageRecord},
    rows::StageRows,
    stage::{Context, Source},
    stages::Stage,
};

/// How to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Replace results of other settings instead of refusing.
    pub overwrite: bool,
}

/// The stages of a run while it goes on.
pub(crate) struct Stages<'a> {
    recipe: &'a Recipe,
    pool: &'a Pool,
    folder: &'a Path,
    options: RunOptions,
    /// The fingerprint of each set by name: the pool's, then each stage's.
    fingerprints: BTreeMap<String, String>,
    done: Finished,
}

/// What the stages of a run have left.
pub(crate) struct Finished {
    pub(crate) earlier: Earlier,
    /// The stages, with every default.
    pub(crate) completed: Vec<Stage>,
    pub(crate) records: Vec<StageRecord>,
    /// Names of stages that were read instead of computed.
    pub(crate) reused: Vec<String>,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(
        recipe: &'a Recipe,
        pool: &'a Pool,
        folder: &'a Path,
        options: RunOptions,
        pool_digest: &str,
    ) -> Self {
        Self {
            recipe,
            pool,
            folder,
            options,
            fingerprints: BTreeMap::from([(POOL.to_owned(), pool_digest.to_owned())]),
            done: Finished {
                earlier: Earlier::new(pool),
                completed: vec![],
                records: vec![],
                reused: vec![],
            },
        }
    }

    /// Reads or computes the next stage.
    pub(crate) fn advance(
        &mut self,
        written: &Stage,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.check()?;
        let input = self.input(written);
        let stage = written.completed(input.len());
        let settings = serde_json::to_value(&stage).expect("a stage is JSON");
        let fingerprint = self.fingerprint(&stage, &settings)?;
        let folder = folder::of_stage(self.folder, self.done.records.len(), stage.name());
        let found = self.find(&folder, &settings, &fingerprint)?;
        let reused = found.is_some();
        let (record, rows) = match found {
            Some(found) => found,
            None => {
                let fresh = StageRecord {
                    name: stage.name().to_owned(),
                    kind: stage.kind().to_owned(),
                    fingerprint: fingerprint.clone(),
                    settings,
                    rows_in: input.len(),
                    rows_out: 0,
                    removed: BTreeMap::new(),
                    info: BTreeMap::new(),
                    files: BTreeMap::new(),
                    seconds: 0.0,
                };
                self.compute(&stage, &input, fresh, &folder, progress)?
            }
        };
        let name = stage.name().to_owned();
        if reused {
            self.done.reused.push(name.clone());
        }
        self.fingerprints.insert(name.clone(), fingerprint);
        let kept = rows.kept();
        self.done.earlier.push(Left { name, folder, rows, kept });
        self.done.completed.push(stage);
        self.done.records.push(record);
        Ok(())
    }

    pub(crate) fn finished(self) -> Finished {
        self.done
    }

    /// Carries a stage out and saves its result.
    fn compute(
        &self,
        stage: &Stage,
        input: &Selection,
        mut record: StageRecord,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<(StageRecord, StageRows), Error> {
        // From here on the folder no longer holds the finished run it may have held.
        folder::remove_outputs(self.folder, &[])?;
        let started = Instant::now();
        let context = Context {
            pool: self.pool,
            seed: self.recipe.seed,
            input,
            earlier: &self.done.earlier,
            progress,
        };
        let outcome = stage.resolve()?.execute(&context).map_err(|e| e.in_stage(stage.name()))?;
        record.rows_out = outcome.rows.kept().len();
        record.removed = outcome.rows.removed();
        record.info.clone_from(&outcome.info);
        record.seconds = started.elapsed().as_secs_f64();
        record::save(folder, &outcome, &mut record)?;
        Ok((record, outcome.rows))
    }

    /// The rows that a stage is given: those of its sources. With a subset file among them, which
    /// removed nothing itself, the whole pool.
    fn input(&self, stage: &Stage) -> Cow<'_, Selection> {
        let earlier = &self.done.earlier;
        let set = |source| match source {
            Source::Before => earlier.last(),
            Source::Named(name) => earlier.set(name).unwrap_or(earlier.pool()),
            Source::File(_) => earlier.pool(),
        };
        let mut sets = stage.sources().into_iter().map(set);
        let first = sets.next().map_or(Cow::Owned(Selection::default()), Cow::Borrowed);
        sets.fold(first, |all, set| Cow::Owned(all.union(set)))
    }

    /// A digest of everything that the stage's result depends on.
    fn fingerprint(&self, stage: &Stage, settings: &Value) -> Result<String, Error> {
        let before = self.done.records.last().map_or(POOL, |record| &record.name);
        let reads = stage.settings().reads();
        let sets = stage.sources().into_iter().chain(reads.sets);
        let sources = sets.filter_map(|source| match source {
            Source::Before => Some(before),
            Source::Named(name) => Some(name),
            Source::File(_) => None,
        });
        let mut inputs: Vec<String> = sources
            .chain(reads.scores)
            .chain(reads.clusters)
            .filter_map(|name| self.fingerprints.get(name).cloned())
            .collect();
        for file in reads.files {
            inputs.push(digest_of(file)?);
        }
        let all = json!({
            "format": folder::FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "pool": self.fingerprints[POOL],
            "seed": self.recipe.seed,
            "settings": settings,
            "inputs": inputs,
        });
        Ok(digest::of_bytes(all.to_string().as_bytes()))
    }

    /// The stage's result, if it is in the folder already.
    fn find(
        &self,
        folder: &Path,
        settings: &Value,
        fingerprint: &str,
    ) -> Result<Option<(StageRecord, StageRows)>, Error> {
        let record = match record::read(folder) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(_) if self.options.overwrite => return Ok(None),
            Err(e) => return Err(e),
        };
        if record.fingerprint == fingerprint {
            return match record::load(folder, &record) {
                Ok(rows) => Ok(Some((record, rows))),
                Err(_) if self.options.overwrite => Ok(None),
                Err(e) => Err(e),
            };
        }
        if self.options.overwrite {
            return Ok(None);
        }
        Err(Error::Conflict {
            folder: self.folder.to_owned(),
            changes: changes(&record.settings, settings),
            stage: record.name,
        })
    }
}

/// The digest of a file, or of all files in a folder and the folders in it.
fn digest_of(path: &Path) -> Result<String, IoError> {
    if !path.is_dir() {
        return digest::of_file(path);
    }
    let mut files = Vec::new();
    files_below(path, &mut files)?;
    files.sort_unstable();
    let digests = digest::of_files(&files)?;
    Ok(digest::of_bytes(digests.join("\n").as_bytes()))
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), IoError> {
    let failed = |e| IoError::os(folder, "read", e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// What differs between two settings, in words.
fn changes(before: &Value, now: &Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (before, now) = (before.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let show = |value: Option<&Value>| value.map_or("absent".to_owned(), |v| v.to_string());
    let changes: Vec<String> = keys
        .into_iter()
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| format!("`{key}` was {}, is {}", show(before.get(key)), show(now.get(key))))
        .collect();
    if changes.is_empty() {
        return vec!["the pool, the seed, the version or an earlier stage has changed".to_owned()];
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_digest_is_that_of_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("shards");
        fs::create_dir(&below).unwrap();
        fs::write(folder.path().join("a"), b"1").unwrap();
        fs::write(below.join("b"), b"2").unwrap();
        let before = digest_of(folder.path()).unwrap();
        assert_eq!(digest_of(folder.path()).unwrap(), before);
        fs::write(below.join("b"), b"3").unwrap();
        assert_ne!(digest_of(folder.path()).unwrap(), before);
    }

    #[test]
    fn a_change_that_no_setting_shows_is_said_to_be_one_of_the_inputs() {
        let (before, now) = (json!({"epsilon": 0.05}), json!({"epsilon": 0.2, "count": 3}));
        let expected = ["`count` was absent, is 3", "`epsilon` was 0.05, is 0.2"];
        assert_eq!(changes(&before, &now), expected);
        assert!(changes(&now, &now)[0].contains("an earlier stage has changed"));
    }
}
