//! Carrying out a recipe.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

use curate_core::{Progress, SampleId, Selection, fault::Fault};
use curate_io::{
    IoError, Pool, atomic, digest,
    subset::{self, SubsetFormat},
};
use serde_json::json;

use crate::{
    Error, Recipe, StageRecord, StageRows, check,
    error::StageError,
    evidence,
    manifest::{Manifest, PoolRecord},
    recipe::{POOL, Stage, is_file},
    report, stage,
    stages::{self, Context},
};

/// The format of run folders. Folders of another format are not read.
pub const FORMAT: u32 = 1;

/// The file that makes a folder count as a finished run.
const MANIFEST: &str = "manifest.json";

/// How to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Replace results of other settings instead of refusing.
    pub overwrite: bool,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Rows of the pool.
    pub rows: usize,
    /// Rows that stay.
    pub kept: usize,
    /// Rows that were set aside when the pool was read.
    pub quarantined: usize,
    /// The stages, in order.
    pub stages: Vec<StageRecord>,
    /// Names of stages that were read instead of computed.
    pub reused: Vec<String>,
    /// The files to look at and to use.
    pub files: Vec<PathBuf>,
}

/// A run in memory: what reports, explanations and new cuts are made of.
pub struct Run {
    /// The recipe with every default.
    pub recipe: Recipe,
    /// The pool.
    pub pool: Pool,
    /// The stages' records, in order.
    pub records: Vec<StageRecord>,
    /// The stages' verdicts, in order.
    pub rows: Vec<StageRows>,
    /// The rows that stay.
    pub kept: Selection,
}

/// Carries out a recipe and writes everything to `folder`.
///
/// Stages whose result is there already, for the same settings, inputs and pool, are read. A run
/// that stopped, for whatever reason, goes on at the stage that it had not finished.
///
/// # Errors
/// When a file cannot be read or written, a stage cannot do what it was asked, the folder holds
/// results of other settings (and [`RunOptions::overwrite`] is not set), or the caller cancels.
pub fn run(
    recipe: &Recipe,
    folder: &Path,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<RunSummary, Error> {
    let started = Instant::now();
    let problems = check::problems(recipe);
    if !problems.is_empty() {
        return Err(Error::Recipe { path: recipe.name.clone().into(), problems });
    }
    let pool = recipe.open_pool(progress)?;
    check_sources(recipe, &pool)?;
    check_apart(folder, &pool)?;
    fs::create_dir_all(folder).map_err(|e| IoError::os(folder, "created", e))?;
    let _lock = lock(folder)?;
    remove_leftovers(folder)?;
    let pool_record = PoolRecord::new(&pool, folder, progress)?;
    let mut stages = Stages::new(recipe, &pool, folder, options, &pool_record.digest);
    for index in 0..recipe.stages.len() {
        stages.advance(index, progress)?;
    }
    let Stages { resolved, records, rows, reused, sets, .. } = stages;
    let last = recipe.stages.last().map_or(POOL, |stage| stage.name());
    let kept = sets[last].clone();
    // Until the new manifest is there, the folder holds no finished run.
    remove(&folder.join(MANIFEST))?;
    remove_stale_stages(folder, &records)?;
    let recipe = Recipe { stages: resolved, ..recipe.clone() };
    let run = Run { recipe, pool, records, rows, kept };
    let files = write_outputs(&run, folder, &pool_record, started, progress)?;
    Ok(RunSummary {
        rows: run.pool.len(),
        kept: run.kept.len(),
        quarantined: run.pool.faults().len(),
        stages: run.records,
        reused,
        files,
    })
}

/// One run at a time may work on a folder; the lock goes with the process.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|e| IoError::os(&path, "created", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Run {
            folder: folder.to_owned(),
            problem: "another run is working on this folder; wait for it or choose another"
                .to_owned(),
        }),
        // A file system without locks: two runs at once are then the user's to avoid.
        Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// Outputs among the shards would be taken for shards.
fn check_apart(folder: &Path, pool: &Pool) -> Result<(), Error> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let shards = pool.shards().iter().flat_map(|shard| shard.files[0].parent());
    let beside = shards.filter_map(|above| above.canonicalize().ok()).any(|above| above == folder);
    if !beside {
        return Ok(());
    }
    let problem = "holds the pool's shards; choose another folder for the run".to_owned();
    Err(Error::Run { folder, problem })
}

/// Finds misspelt embeddings and subset files, and devices that are not there, before the first
/// stage spends its time.
fn check_sources(recipe: &Recipe, pool: &Pool) -> Result<(), Error> {
    for name in recipe.embeddings() {
        pool.embedding(name)?;
    }
    for stage in &recipe.stages {
        if let Some(k_means) = stage.k_means() {
            let there = k_means.device.engine().map(drop);
            there.map_err(|e| StageError::from(e).in_stage(stage.name()))?;
        }
    }
    let files = recipe.stages.iter().flat_map(files_of);
    match files.into_iter().find(|file| !file.exists()) {
        None => Ok(()),
        Some(missing) => {
            Err(IoError::os(missing, "read", std::io::ErrorKind::NotFound.into()).into())
        }
    }
}

/// The files and folders that a stage reads beside the pool.
fn files_of(stage: &Stage) -> Vec<PathBuf> {
    match stage {
        Stage::Combine(s) => s.of.iter().filter(|s| is_file(s)).map(PathBuf::from).collect(),
        Stage::Baseline(s) => s.params(0).files().into_iter().map(Path::to_owned).collect(),
        Stage::Score(s) => s.network.iter().cloned().collect(),
        _ => vec![],
    }
}

/// The digest of a file, or of all files in a folder.
fn digest_of(path: &Path) -> Result<String, IoError> {
    if !path.is_dir() {
        return digest::of_file(path);
    }
    let entries = fs::read_dir(path).map_err(|e| IoError::os(path, "read", e))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file());
    files.sort_unstable();
    let digests = digest::of_files(&files)?;
    Ok(digest::of_bytes(digests.join("\n").as_bytes()))
}

/// The stages of a run while it goes on.
struct Stages<'a> {
    recipe: &'a Recipe,
    pool: &'a Pool,
    folder: &'a Path,
    options: RunOptions,
    /// The fingerprint of each set by name: the pool's, then each stage's.
    fingerprints: BTreeMap<String, String>,
    sets: BTreeMap<String, Selection>,
    scores: BTreeMap<String, StageRows>,
    resolved: Vec<Stage>,
    records: Vec<StageRecord>,
    rows: Vec<StageRows>,
    reused: Vec<String>,
}

impl<'a> Stages<'a> {
    fn new(
        recipe: &'a Recipe,
        pool: &'a Pool,
        folder: &'a Path,
        options: RunOptions,
        pool_digest: &str,
    ) -> Self {
        let bad: BTreeSet<usize> = pool.faults().iter().map(|&(row, _)| row).collect();
        let usable = (0..pool.len()).filter(|row| !bad.contains(row)).collect();
        Self {
            recipe,
            pool,
            folder,
            options,
            fingerprints: BTreeMap::from([(POOL.to_owned(), pool_digest.to_owned())]),
            sets: BTreeMap::from([(POOL.to_owned(), Selection::from_unsorted(usable))]),
            scores: BTreeMap::new(),
            resolved: vec![],
            records: vec![],
            rows: vec![],
            reused: vec![],
        }
    }

    fn advance(&mut self, index: usize, progress: &dyn Progress) -> Result<(), Error> {
        progress.check()?;
        let written = &self.recipe.stages[index];
        let sources = self.sources(index);
        let input = self.input(written, &sources);
        let stage = stages::resolve(written, input.len());
        let settings = serde_json::to_value(&stage).expect("a stage is JSON");
        let fingerprint = self.fingerprint(&stage, &settings, &sources)?;
        let folder = stage::folder(self.folder, index, stage.name());
        let (record, rows) = match self.finished(&folder, &settings, &fingerprint)? {
            Some(found) => {
                self.reused.push(stage.name().to_owned());
                found
            }
            None => {
                // From here on the folder no longer holds the finished run it may have held.
                remove_outputs(self.folder, &[])?;
                let started = Instant::now();
                let context = Context {
                    pool: self.pool,
                    seed: self.recipe.seed,
                    input: &input,
                    sets: &self.sets,
                    scores: &self.scores,
                    progress,
                };
                let outcome =
                    stages::execute(&stage, &context).map_err(|e| e.in_stage(stage.name()))?;
                let mut record = StageRecord {
                    name: stage.name().to_owned(),
                    kind: stage.kind().to_owned(),
                    fingerprint: fingerprint.clone(),
                    settings,
                    rows_in: input.len(),
                    rows_out: outcome.rows.kept().len(),
                    removed: outcome.rows.removed(),
                    info: outcome.info.clone(),
                    files: BTreeMap::new(),
                    seconds: started.elapsed().as_secs_f64(),
                };
                stage::save(&folder, &outcome, &mut record)?;
                (record, outcome.rows)
            }
        };
        let name = stage.name().to_owned();
        self.fingerprints.insert(name.clone(), fingerprint);
        self.sets.insert(name.clone(), rows.kept());
        if matches!(stage, Stage::Score(_)) {
            self.scores.insert(name, rows.clone());
        }
        self.resolved.push(stage);
        self.records.push(record);
        self.rows.push(rows);
        Ok(())
    }

    /// The names of the sets that a stage takes its rows from.
    fn sources(&self, index: usize) -> Vec<String> {
        let named = self.recipe.stages[index].sources();
        if !named.is_empty() {
            return named.into_iter().map(str::to_owned).collect();
        }
        let before = index.checked_sub(1).map(|i| self.recipe.stages[i].name());
        vec![before.unwrap_or(POOL).to_owned()]
    }

    /// The rows that a stage is given: those of its source. A combination is given the rows of all
    /// its sources; with a subset file among them, which removed nothing itself, the whole pool.
    fn input(&self, stage: &Stage, sources: &[String]) -> Selection {
        let set = |name: &String| self.sets.get(name).unwrap_or(&self.sets[POOL]);
        match stage {
            Stage::Combine(_) => {
                sources.iter().map(set).fold(Selection::default(), |all, set| all.union(set))
            }
            _ => set(&sources[0]).clone(),
        }
    }

    /// A digest of everything that the stage's result depends on.
    fn fingerprint(
        &self,
        stage: &Stage,
        settings: &serde_json::Value,
        sources: &[String],
    ) -> Result<String, Error> {
        let mut inputs = Vec::new();
        for source in sources.iter().map(String::as_str).chain(stage.scores()) {
            inputs.extend(self.fingerprints.get(source).cloned());
        }
        for file in files_of(stage) {
            inputs.push(digest_of(&file)?);
        }
        let all = json!({
            "format": FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "pool": self.fingerprints[POOL],
            "seed": self.recipe.seed,
            "settings": settings,
            "inputs": inputs,
        });
        Ok(curate_io::digest::of_bytes(all.to_string().as_bytes()))
    }

    /// The stage's result, if it is in the folder already.
    fn finished(
        &self,
        folder: &Path,
        settings: &serde_json::Value,
        fingerprint: &str,
    ) -> Result<Option<(StageRecord, StageRows)>, Error> {
        let record = match stage::record(folder) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(_) if self.options.overwrite => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        if record.fingerprint == fingerprint {
            return match stage::load(folder, &record) {
                Ok(rows) => Ok(Some((record, rows))),
                Err(_) if self.options.overwrite => Ok(None),
                Err(e) => Err(e.into()),
            };
        }
        if self.options.overwrite {
            return Ok(None);
        }
        let folder = self.folder.to_owned();
        Err(Error::Conflict {
            folder,
            changes: changes(&record.settings, settings),
            stage: record.name,
        })
    }
}

/// What differs between two settings, in words.
fn changes(before: &serde_json::Value, now: &serde_json::Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (before, now) = (before.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let show =
        |value: Option<&serde_json::Value>| value.map_or("absent".to_owned(), |v| v.to_string());
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

/// Removes the outputs of an earlier run from a folder, but for those in `keep`.
fn remove_outputs(folder: &Path, keep: &[PathBuf]) -> Result<(), Error> {
    let subsets = SubsetFormat::ALL.map(SubsetFormat::file_name);
    // The manifest goes first: without it the folder counts as unfinished.
    for name in [MANIFEST, "evidence.parquet", "report.html", "recipe.toml"].iter().chain(&subsets)
    {
        let path = folder.join(name);
        if !keep.contains(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the files that a killed run had not finished.
fn remove_leftovers(folder: &Path) -> Result<(), Error> {
    atomic::remove_leftovers(folder)?;
    for stage in fs::read_dir(folder.join("stages")).into_iter().flatten().flatten() {
        if stage.path().is_dir() {
            atomic::remove_leftovers(&stage.path())?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(IoError::os(path, "removed", e).into())
        }
        _ => Ok(()),
    }
}

/// Removes the folders of stages that the recipe no longer has, so that every stage folder belongs
/// to this run.
fn remove_stale_stages(folder: &Path, records: &[StageRecord]) -> Result<(), Error> {
    let all = folder.join("stages");
    let ours: BTreeSet<PathBuf> = records
        .iter()
        .enumerate()
        .map(|(i, record)| stage::folder(folder, i, &record.name))
        .collect();
    for entry in fs::read_dir(&all).map_err(|e| IoError::os(&all, "read", e))?.flatten() {
        let path = entry.path();
        // Only what a run can have made there.
        if !ours.contains(&path) && path.join("stage.json").exists() {
            fs::remove_dir_all(&path).map_err(|e| IoError::os(&path, "removed", e))?;
        }
    }
    Ok(())
}

fn write_outputs(
    run: &Run,
    folder: &Path,
    pool_record: &PoolRecord,
    started: Instant,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, Error> {
    let recipe_path = folder.join("recipe.toml");
    atomic::write(&recipe_path, run.recipe.to_toml().as_bytes())?;
    let mut outputs = vec![recipe_path];
    let kept: Vec<SampleId> = run.kept.rows().iter().map(|&row| run.pool.ids()[row]).collect();
    let mut files = Vec::new();
    for (format, path) in subset::files_in(folder, &run.recipe.output.formats) {
        subset::write(&path, format, &kept)?;
        files.push(path);
    }
    let evidence_path = folder.join("evidence.parquet");
    evidence::write(run, &evidence_path)?;
    files.push(evidence_path);
    if run.recipe.output.report {
        progress.start("report", 1, "file");
        let path = folder.join("report.html");
        atomic::write(&path, report::of(run, pool_record)?.to_html().as_bytes())?;
        progress.finish();
        files.push(path);
    }
    outputs.extend(files.iter().cloned());
    let manifest = Manifest::new(run, pool_record.clone(), &outputs, started.elapsed())?;
    let path = folder.join(MANIFEST);
    atomic::write(&path, manifest.to_json().as_bytes())?;
    files.push(path);
    remove_outputs(folder, &[&files[..], &[folder.join("recipe.toml")]].concat())?;
    Ok(files)
}

impl Run {
    /// Reads a finished run back.
    ///
    /// # Errors
    /// When there is no finished run in the folder, its files were changed, or its pool is gone.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            let problem = "holds no finished run: it has no manifest.json".to_owned();
            return Err(Error::Run { folder: folder.to_owned(), problem });
        }
        let manifest = Manifest::read(&path)?;
        let recipe_path = folder.join("recipe.toml");
        let text =
            fs::read_to_string(&recipe_path).map_err(|e| IoError::os(&recipe_path, "read", e))?;
        let recipe = Recipe::parse(&text)
            .map_err(|problems| Error::Recipe { path: recipe_path, problems })?;
        let pool = recipe.open_pool(progress)?;
        manifest.pool.check(&pool)?;
        let mut rows = Vec::new();
        for (index, record) in manifest.stages.iter().enumerate() {
            rows.push(stage::load(&stage::folder(folder, index, &record.name), record)?);
        }
        let kept = rows.last().map(StageRows::kept).unwrap_or_default();
        Ok(Self { recipe, pool, records: manifest.stages, rows, kept })
    }

    /// The fault for which a row was set aside when the pool was read.
    pub fn pool_fault(&self, row: usize) -> Option<Fault> {
        let faults = self.pool.faults();
        faults.binary_search_by_key(&row, |&(row, _)| row).ok().map(|at| faults[at].1)
    }
}
