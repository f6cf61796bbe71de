//! Which files of a pool behind a URL are needed, and their way into the cache.

use std::path::{Path, PathBuf};

use curate_core::Progress;
use rayon::prelude::*;

use super::{
    cache::{Mirror, check_room},
    options::UrlOptions,
    store::{Object, Store},
};
use crate::{
    error::{IoError, Kind},
    layout::{FilesWanted, Needed},
    layouts::{Format, by_ending, by_signs, folders},
    pattern::{expand, is_pattern},
};

/// Fetches what is needed of a pool, and answers where it lies then.
pub(super) fn pool(
    url: &Path,
    format: Option<Format>,
    wanted: FilesWanted,
    options: &UrlOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    let text = url.to_str().unwrap_or_default().trim_end_matches('/');
    let (above, last) = text.rsplit_once('/').unwrap_or((text, ""));
    if is_pattern(above) || last.contains("::") {
        let problem = "is a pattern of several folders or URLs";
        let remedy =
            "name the files of one folder at a time, as in https://host/{00000..00099}.tar";
        return Err(IoError::new(Kind::Unsupported, url, problem, remedy));
    }
    let is_file = above.contains("://") && ending_of(last).and_then(by_ending).is_some();
    let folder = if is_file { above } else { text };
    let store = Store::open(folder, options)?;
    // Apart, so that a pool that was opened without embeddings has none the next time either.
    let purpose = if wanted == FilesWanted::Embeddings { " with embeddings" } else { "" };
    let mut mirror = Mirror::open(&format!("{folder}{purpose}"), options)?;
    if is_file {
        let objects = named(&store, last, wanted)?;
        bring(&store, &mut mirror, &objects, options, progress)?;
        return Ok(mirror.folder.join(last));
    }
    let mut objects = store.list(&folders())?;
    let needed = needed_of(&objects, url, format, wanted)?;
    objects.retain(|object| holds(&needed, &object.name));
    bring(&store, &mut mirror, &objects, options, progress)?;
    // A file that is gone there would be taken for a shard here.
    let there = |name: &str| objects.binary_search_by(|o| o.name.as_str().cmp(name)).is_ok();
    mirror.forget(|name| holds(&needed, name) && !there(name))?;
    Ok(mirror.folder)
}

fn ending_of(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// The files of a name or a pattern, and those beside them. A file of a pattern that is not there is
/// left to the reader, which knows what the user wants of it; a single one is an error.
fn named(store: &Store, name: &str, wanted: FilesWanted) -> Result<Vec<Object>, IoError> {
    let pattern = expand(Path::new(name))?;
    let names = match &pattern {
        None => vec![name.to_owned()],
        Some(files) => files.iter().map(|file| file.to_string_lossy().into_owned()).collect(),
    };
    let found: Vec<Result<Vec<Object>, IoError>> = names
        .par_iter()
        .map(|name| {
            let Some(object) = store.find(name)? else {
                return if pattern.is_some() { Ok(vec![]) } else { Err(store.missing(name)) };
            };
            let mut objects = vec![object];
            for beside in companions(name, wanted) {
                objects.extend(store.find(&beside)?);
            }
            Ok(objects)
        })
        .collect();
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The files that may lie beside a shard.
fn companions(name: &str, wanted: FilesWanted) -> Vec<String> {
    let Some((stem, ending)) = name.rsplit_once('.') else { return vec![] };
    let beside = by_ending(ending).map(|format| format.layout().fetched_beside(wanted));
    beside.into_iter().flatten().map(|end| format!("{stem}{end}")).collect()
}

/// The files of a folder that belong to its layout.
fn needed_of(
    objects: &[Object],
    url: &Path,
    format: Option<Format>,
    wanted: FilesWanted,
) -> Result<Needed, IoError> {
    let is = |name: &str, folder: &str, ending: &str| {
        folder_of(name) == folder && ending_of(name) == Some(ending)
    };
    let has = |folder: &str, ending: &str| objects.iter().any(|o| is(&o.name, folder, ending));
    let shards = (wanted == FilesWanted::Shards).then_some(Format::Webdataset);
    let Some(format) = shards.or(format).or_else(|| by_signs(&has)) else {
        let problem = "holds no pool, or nothing at all";
        let remedy = "name the folder that holds parquet, tar, npy, jsonl or HDF5 files";
        return Err(IoError::new(Kind::NotFound, url, problem, remedy));
    };
    let mut needed = format.layout().needed(&has);
    if wanted == FilesWanted::Embeddings {
        needed.endings.extend(["npz", "npy"]);
    }
    if objects.iter().any(|object| holds(&needed, &object.name)) {
        return Ok(needed);
    }
    let problem = format!("holds no file for {format}");
    Err(IoError::new(Kind::NotFound, url, problem, "check the URL"))
}

/// Whether a file is needed. An ending is what follows the last dot, or more of the name where it
/// begins with `_`.
fn holds(needed: &Needed, name: &str) -> bool {
    let fits = |end: &&str| match end.starts_with('_') {
        true => name.ends_with(*end),
        false => ending_of(name) == Some(*end),
    };
    needed.endings.iter().any(fits) && needed.folders.contains(&folder_of(name))
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Fetches the files that are not here as they are there, several at once.
fn bring(
    store: &Store,
    mirror: &mut Mirror,
    objects: &[Object],
    options: &UrlOptions,
    progress: &dyn Progress,
) -> Result<(), IoError> {
    let missing: Vec<&Object> = objects.iter().filter(|o| !mirror.holds(o)).collect();
    let bytes = missing.iter().map(|object| object.bytes).sum();
    check_room(store.url(), bytes, options)?;
    progress.start("fetch", bytes, "bytes");
    let fetched: Vec<Result<String, IoError>> = missing
        .par_iter()
        .map(|object| store.fetch(object, &mirror.path(object), progress))
        .collect();
    progress.finish();
    let mut failed = None;
    for (object, digest) in missing.into_iter().zip(fetched) {
        match digest {
            Ok(digest) => mirror.add(object, digest),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    // What was fetched before something failed is not fetched again.
    mirror.save()?;
    failed.map_or(Ok(()), Err)
}
