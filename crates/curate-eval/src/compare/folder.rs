//! The folder of a comparison: what its runs depend on, and a small file for each run.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use curate_io::{IoError, Kind as Kinds, atomic, digest, files, lock::FolderLock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::compare::{Arena, Compare, CompareError, Entry, Record};

/// How a folder of one kind of runs is called.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// What writes it, with its article.
    pub(crate) what: &'static str,
    /// The file that says what runs depend on.
    pub(crate) manifest: &'static str,
    /// The folder of the runs.
    pub(crate) runs: &'static str,
}

/// The record of a run.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    /// Identifies everything that the run depended on.
    fn inputs(&self) -> &str;
}

impl Kept for Record {
    fn inputs(&self) -> &str {
        &self.inputs
    }
}

/// What runs depend on, beside their own budget and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    version: String,
    device: String,
    settings: BTreeMap<String, serde_json::Value>,
    inputs: BTreeMap<String, String>,
    selections: BTreeMap<String, String>,
}

/// What the folder holds may be replaced or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Runs that were made otherwise are an error.
    #[default]
    Keep,
    /// Runs that were made otherwise are made again.
    Replace,
}

/// A folder of runs, there or still to come.
pub(crate) struct Folder {
    path: PathBuf,
    kind: Kind,
    existing: Existing,
    manifest: Manifest,
    /// Identifies all that runs have in common.
    common: String,
}

impl Folder {
    /// Looks whether a folder's runs were made as these are to be. Writes nothing.
    pub(crate) fn look(
        path: &Path,
        kind: Kind,
        manifest: Manifest,
        existing: Existing,
    ) -> Result<Self, CompareError> {
        let common = manifest.common();
        let folder = Self { path: path.to_owned(), kind, existing, manifest, common };
        folder.check()?;
        Ok(folder)
    }

    /// The manifest that there is, unless it may be replaced.
    fn check(&self) -> Result<Option<Manifest>, CompareError> {
        let before = match read::<Manifest>(&self.path.join(self.kind.manifest), self.kind) {
            Err(CompareError::Damaged(_)) if self.existing == Existing::Replace => None,
            before => before?,
        };
        let Some(before) = before else { return Ok(None) };
        let changes = self.manifest.changes_since(&before);
        match (changes.is_empty(), self.existing) {
            (true, _) => Ok(Some(before)),
            (false, Existing::Replace) => Ok(None),
            (false, Existing::Keep) => {
                Err(CompareError::Conflict { folder: self.path.clone(), changes })
            }
        }
    }

    /// Makes the folder this process's own, and writes its manifest.
    pub(crate) fn begin(&self) -> Result<FolderLock, CompareError> {
        self.begin_with(FolderLock::take(&self.path)?)
    }

    /// The same for one of several processes that make different runs.
    pub(crate) fn begin_shared(&self) -> Result<FolderLock, CompareError> {
        self.begin_with(FolderLock::share(&self.path)?)
    }

    fn begin_with(&self, lock: FolderLock) -> Result<FolderLock, CompareError> {
        let mut manifest = self.manifest.clone();
        // Another process may have begun since the folder was looked at.
        manifest
            .selections
            .extend(self.check()?.map(|before| before.selections).unwrap_or_default());
        write(&self.path.join(self.kind.manifest), &manifest)?;
        Ok(lock)
    }

    /// Identifies what all runs have in common.
    pub(crate) fn common(&self) -> &str {
        &self.common
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Identifies everything that a run depends on: the selection, what sets it apart from the selection's
    /// other runs (its budget, for example), and its seed.
    pub(crate) fn inputs_of(&self, entry: &Entry, (part, seed): (impl Display, u64)) -> String {
        let all = format!("{}\n{}\n{part}\n{seed}", self.common, entry.digest);
        digest::of_bytes(all.as_bytes())
    }

    fn file_of(&self, entry: &Entry, (part, seed): (impl Display, u64)) -> PathBuf {
        self.path.join(self.kind.runs).join(&entry.name).join(format!("{part}-{seed}.json"))
    }

    /// The record of a run that was made.
    pub(crate) fn read<R: Kept>(
        &self,
        entry: &Entry,
        run: (impl Display + Copy, u64),
    ) -> Result<Option<R>, CompareError> {
        self.read_file(&self.file_of(entry, run), &self.inputs_of(entry, run))
    }

    /// The record in a file, if what it depended on is as it was.
    pub(crate) fn read_file<R: Kept>(
        &self,
        file: &Path,
        inputs: &str,
    ) -> Result<Option<R>, CompareError> {
        let replace = self.existing == Existing::Replace;
        match read::<R>(file, self.kind) {
            Ok(Some(record)) if record.inputs() == inputs => Ok(Some(record)),
            Ok(Some(_)) if !replace => {
                let problem = "is the record of a run that was made otherwise";
                let remedy = "remove it, or replace it";
                Err(CompareError::Damaged(IoError::new(Kinds::Disagree, file, problem, remedy)))
            }
            Ok(_) => Ok(None),
            Err(CompareError::Damaged(_)) if replace => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn write(
        &self,
        entry: &Entry,
        run: (impl Display, u64),
        record: &impl Kept,
    ) -> Result<(), CompareError> {
        let file = self.file_of(entry, run);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(|e| IoError::os(folder, "created", e))?;
        }
        write(&file, record)
    }
}

impl Manifest {
    pub(crate) fn of<'e>(
        compare: &Compare,
        arena: &Arena,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Self {
        let entries = entries.into_iter();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: compare.device_name.clone(),
            // More budgets and seeds leave the runs that are there as they are.
            settings: settings_of(&compare.params, &["budgets", "seeds"]),
            inputs: arena.inputs.clone(),
            selections: entries.map(|e| (e.name.clone(), e.digest.clone())).collect(),
        }
    }

    /// The same with more settings and inputs.
    pub(crate) fn with(
        mut self,
        settings: BTreeMap<String, serde_json::Value>,
        inputs: BTreeMap<String, String>,
    ) -> Self {
        self.settings.extend(settings);
        self.inputs.extend(inputs);
        self
    }

    fn common(&self) -> String {
        let without = Self { selections: BTreeMap::new(), ..self.clone() };
        let json = serde_json::to_vec(&without).expect("a manifest is JSON");
        digest::of_bytes(&json)
    }

    /// What differs, in words.
    fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (what, was, is) in [
            ("the version of curate", &before.version, &self.version),
            ("the device", &before.device, &self.device),
        ] {
            if was != is {
                changes.push(format!("{what} was {was}, is {is}"));
            }
        }
        let null = serde_json::Value::Null;
        for (name, is) in &self.settings {
            let was = before.settings.get(name).unwrap_or(&null);
            if was != is {
                changes.push(format!("`{name}` was {was}, is {is}"));
            }
        }
        let mut inputs: Vec<&String> = self.inputs.keys().chain(before.inputs.keys()).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let changed = inputs.into_iter().filter(|n| self.inputs.get(*n) != before.inputs.get(*n));
        changes.extend(changed.map(|name| {
            match (before.inputs.get(name), self.inputs.get(name)) {
                (None, _) => format!("there was no {}", name.trim_start_matches("the ")),
                (_, None) => format!("there is no {}", name.trim_start_matches("the ")),
                _ => format!("{name} changed"),
            }
        }));
        for (name, is) in &self.selections {
            if before.selections.get(name).is_some_and(|was| was != is) {
                changes.push(format!("selection `{name}` changed"));
            }
        }
        changes
    }
}

/// Parameters by name, but for some.
pub(crate) fn settings_of(
    params: &impl Serialize,
    but: &[&str],
) -> BTreeMap<String, serde_json::Value> {
    let settings = serde_json::to_value(params).expect("parameters are JSON");
    let serde_json::Value::Object(settings) = settings else { return BTreeMap::new() };
    settings.into_iter().filter(|(name, _)| !but.contains(&name.as_str())).collect()
}

/// `None` where there is no such file.
fn read<T: DeserializeOwned>(file: &Path, kind: Kind) -> Result<Option<T>, CompareError> {
    let bytes = match files::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == Kinds::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        let problem = format!("is not what {} writes: {e}", kind.what);
        let error = IoError::new(Kinds::Malformed, file, problem, "remove it, or replace it");
        CompareError::Damaged(error)
    })
}

pub(crate) fn write(file: &Path, value: &impl Serialize) -> Result<(), CompareError> {
    let mut json = serde_json::to_vec_pretty(value).expect("records are JSON");
    json.push(b'\n');
    Ok(atomic::write(file, &json)?)
}
