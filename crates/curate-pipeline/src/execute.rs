//! Carrying out a recipe.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use curate_core::{Progress, SampleId};
use curate_io::{IoError, Pool, atomic, digest, lock::FolderLock, subset, watched::Watched};

use crate::{
    Error, Recipe,
    advance::{RunOptions, Stages},
    error::StageError,
    evidence, folder,
    manifest::{Manifest, PoolNow, PoolRecord},
    recipe,
    record::StageRecord,
    report,
    run::Run,
};

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Rows of the pool.
    pub rows: usize,
    /// Rows that stay.
    pub kept: usize,
    /// Rows that were set aside when the pool was read.
    pub quarantined: usize,
    /// What a person should know of the pool's files although their rows can be used, and of ids whose
    /// repeats were not judged.
    pub notes: Vec<String>,
    /// The stages, in order.
    pub stages: Vec<StageRecord>,
    /// Names of stages that were read instead of computed.
    pub reused: Vec<String>,
    /// The files to look at and to use.
    pub files: Vec<PathBuf>,
}

/// Carries out a recipe and writes everything to the folder `out`.
///
/// Stages whose result is there already, for the same settings, inputs and pool, are read. A run
/// that stopped, for whatever reason, goes on at the stage that it had not finished.
///
/// What the recipe asks for in `[evaluate]` is left to the caller, since this crate trains nothing; one that
/// does not train either asks [`Recipe::check_no_training`] first.
///
/// # Errors
/// When a file cannot be read or written, a stage cannot do what it was asked, the folder holds
/// results of other settings (and [`RunOptions::overwrite`] is not set), or the caller cancels.
pub fn run(
    recipe: &Recipe,
    out: &Path,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<RunSummary, Error> {
    let pool = open(recipe, out, progress)?;
    folder::check_ours(out)?;
    let _lock = FolderLock::take(out)?;
    run_opened(recipe, pool, out, options, progress)
}

/// The pool of a recipe, once it is known that the run folder can be written to.
pub(crate) fn open(recipe: &Recipe, out: &Path, progress: &dyn Progress) -> Result<Pool, Error> {
    let problems = recipe::problems(recipe);
    if !problems.is_empty() {
        return Err(Error::Recipe { path: recipe.name.clone().into(), problems });
    }
    let pool = recipe.open_pool(progress)?;
    check_sources(recipe, &pool)?;
    folder::check_apart(out, &pool)?;
    Ok(pool)
}

/// [`run`] in a folder that is locked.
pub(crate) fn run_opened(
    recipe: &Recipe,
    pool: Pool,
    out: &Path,
    options: RunOptions,
    progress: &dyn Progress,
) -> Result<RunSummary, Error> {
    let started = Instant::now();
    folder::remove_leftovers(out)?;
    let now = PoolNow::look(&pool, out, progress)?;
    let mut stages = Stages::new(recipe, &pool, out, options, &now);
    for stage in &recipe.stages {
        stages.advance(stage, progress)?;
    }
    progress.stage(None);
    let finished = stages.finished();
    // Until the new manifest is there, the folder holds no finished run.
    folder::remove(&out.join(folder::MANIFEST))?;
    folder::remove_stale_stages(out, finished.records.iter().map(|record| &*record.name))?;
    let recipe = Recipe { stages: finished.completed, ..recipe.clone() };
    let kept = finished.earlier.into_last();
    let run = Run { recipe, pool, records: finished.records, kept, folder: out.to_owned() };
    let files = write_outputs(&run, out, now.pool, started, progress)?;
    folder::remove_all(&out.join(folder::TASKS))?;
    Ok(RunSummary {
        rows: run.pool.len(),
        kept: run.kept.len(),
        quarantined: run.pool.faults().len(),
        notes: run.pool.notes().iter().cloned().chain(run.repeats_note()).collect(),
        stages: run.records,
        reused: finished.reused,
        files,
    })
}

/// Finds misspelt embeddings, columns and files, and devices that are not there, before the first stage
/// spends its time.
pub(crate) fn check_sources(recipe: &Recipe, pool: &Pool) -> Result<(), Error> {
    for stage in &recipe.stages {
        let reads = stage.settings().reads();
        for name in reads.embeddings {
            pool.embedding(name)?;
        }
        for column in reads.columns {
            pool.expect_column(column)?;
        }
        if let Some(device) = reads.device {
            device.engine().map_err(|e| StageError::from(e).in_stage(stage.name()))?;
        }
        let mut paths = reads.files.into_iter().chain(reads.networks);
        if let Some(missing) = paths.find(|path| !path.exists()) {
            let error = std::io::ErrorKind::NotFound.into();
            return Err(IoError::os(missing, "read", error).into());
        }
    }
    Ok(())
}

fn write_outputs(
    run: &Run,
    out: &Path,
    pool: PoolRecord,
    started: Instant,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, Error> {
    let recipe_path = out.join(folder::RECIPE);
    atomic::write(&recipe_path, run.recipe.to_toml().as_bytes())?;
    let kept: Vec<SampleId> = run.kept.rows().iter().map(|&row| run.pool.ids()[row]).collect();
    let mut files = Vec::new();
    for (format, path) in subset::files_in(out, &run.recipe.output.formats) {
        subset::write(&path, format, &kept)?;
        files.push(path);
    }
    let evidence_path = out.join(folder::EVIDENCE);
    let gone = evidence::write(run, &evidence_path)?;
    files.push(evidence_path);
    if run.recipe.output.report {
        progress.start("report", 1, "file");
        let path = out.join(folder::REPORT);
        atomic::write(&path, report::of(run, &pool, &gone)?.to_html().as_bytes())?;
        progress.advance(1);
        progress.finish();
        files.push(path);
    }
    // Cards of the report show captions and images: those of the files that were judged.
    run.pool.watched().iter().try_for_each(Watched::check)?;
    let outputs = [std::slice::from_ref(&recipe_path), &files].concat();
    let path = out.join(folder::MANIFEST);
    atomic::write(&path, manifest(run, pool, &outputs, started)?.to_json().as_bytes())?;
    files.push(path.clone());
    folder::remove_outputs(out, &[&outputs[..], &[path]].concat())?;
    Ok(files)
}

fn manifest(
    run: &Run,
    pool: PoolRecord,
    outputs: &[PathBuf],
    started: Instant,
) -> Result<Manifest, Error> {
    let digests = digest::of_files(outputs)?;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Manifest {
        format: folder::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: run.recipe.name.clone(),
        seed: run.recipe.seed,
        rows: run.pool.len(),
        kept: run.kept.len(),
        removed_with_repeats: run.removed_with_repeats(),
        pool,
        stages: run.records.clone(),
        outputs: outputs.iter().map(name).zip(digests).collect(),
        seconds: started.elapsed().as_secs_f64(),
    })
}
