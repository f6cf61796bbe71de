//! The folder of a run: where its files lie, who may write to it, what is removed from it.
//!
//! ```text
//! run/
//!   .lock              held by the run that works on the folder
//!   stages/NN-NAME/    what a finished stage left
//!   subset.npy …       outputs, written when all stages are finished
//!   manifest.json      written last; without it the folder holds no finished run
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use curate_io::{IoError, Pool, atomic, subset::SubsetFormat};

use crate::{Error, record};

/// The format of run folders. Folders of another format are not read.
pub const FORMAT: u32 = 1;

/// The file that makes a folder count as a finished run.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The recipe with every default.
pub(crate) const RECIPE: &str = "recipe.toml";
/// Why each row that did not stay went.
pub(crate) const EVIDENCE: &str = "evidence.parquet";
/// All of a run to look at.
pub(crate) const REPORT: &str = "report.html";

/// The plan of a run in tasks, and what its tasks left, until the run is finished.
pub(crate) const TASKS: &str = ".curate-tasks";
/// The plan of tasks in a folder of its own.
pub(crate) const PLAN: &str = "plan.json";
/// The rows of a plan's pool.
pub(crate) const LISTING: &str = "pool.listing";

/// The folder of a stage.
pub(crate) fn of_stage(run: &Path, index: usize, name: &str) -> PathBuf {
    stages(run).join(format!("{:02}-{name}", index + 1))
}

fn stages(run: &Path) -> PathBuf {
    run.join("stages")
}

/// Outputs among the shards would be taken for shards.
pub(crate) fn check_apart(folder: &Path, pool: &Pool) -> Result<(), Error> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let shards = pool.shards().iter().flat_map(|shard| shard.files[0].parent());
    let beside = shards.filter_map(|above| above.canonicalize().ok()).any(|above| above == folder);
    if !beside {
        return Ok(());
    }
    let problem = "holds the pool's shards; choose another folder for the run".to_owned();
    Err(Error::Run { folder, problem })
}

/// A folder of embeddings has a manifest of that name too, which a run would remove.
pub(crate) fn check_ours(folder: &Path) -> Result<(), Error> {
    if folder.join(PLAN).exists() {
        // Its recipe.toml and pool.json are the plan's.
        let problem = "holds a plan of tasks; choose another folder".to_owned();
        return Err(Error::Run { folder: folder.to_owned(), problem });
    }
    let text = fs::read(folder.join(MANIFEST)).unwrap_or_default();
    let found = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
    // One that cannot be read is a damaged one of a run.
    if found.is_null() || found.get("stages").is_some() {
        return Ok(());
    }
    let problem = "holds the manifest.json of something else than a run; choose another folder";
    Err(Error::Run { folder: folder.to_owned(), problem: problem.to_owned() })
}

/// Removes the outputs of an earlier run from a folder, but for those in `keep`.
pub(crate) fn remove_outputs(folder: &Path, keep: &[PathBuf]) -> Result<(), Error> {
    let subsets = SubsetFormat::ALL.map(SubsetFormat::file_name);
    // The manifest goes first: without it the folder counts as unfinished.
    for name in [MANIFEST, EVIDENCE, REPORT, RECIPE].iter().chain(&subsets) {
        let path = folder.join(name);
        if !keep.contains(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the files that a killed run had not finished.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<(), Error> {
    atomic::remove_leftovers(folder)?;
    for stage in fs::read_dir(stages(folder)).into_iter().flatten().flatten() {
        if stage.path().is_dir() {
            atomic::remove_leftovers(&stage.path())?;
        }
    }
    Ok(())
}

/// An error where a run lies in a folder that is to hold a plan.
pub(crate) fn check_no_run(folder: &Path) -> Result<(), Error> {
    if !stages(folder).exists() && !folder.join(MANIFEST).exists() {
        return Ok(());
    }
    let problem =
        "holds a run, or the manifest.json of something else; choose another folder for the plan"
            .to_owned();
    Err(Error::Run { folder: folder.to_owned(), problem })
}

/// Removes a folder and all that is in it, if it is there.
pub(crate) fn remove_all(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(IoError::os(folder, "removed", e).into())
        }
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(IoError::os(path, "removed", e).into())
        }
        _ => Ok(()),
    }
}

/// Removes the folders of stages that the recipe no longer has, so that every stage folder belongs
/// to this run: `names` are those of its stages, in order.
pub(crate) fn remove_stale_stages<'a>(
    folder: &Path,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let all = stages(folder);
    let ours: BTreeSet<PathBuf> =
        names.enumerate().map(|(i, name)| of_stage(folder, i, name)).collect();
    for entry in fs::read_dir(&all).map_err(|e| IoError::os(&all, "read", e))?.flatten() {
        let path = entry.path();
        // Only what a run can have made there.
        if !ours.contains(&path) && record::exists(&path) {
            fs::remove_dir_all(&path).map_err(|e| IoError::os(&path, "removed", e))?;
        }
    }
    Ok(())
}
