//! Which files of a pool behind a URL are needed, and their way into the cache.

use std::path::{Path, PathBuf};

use curate_core::Progress;
use rayon::prelude::*;

use crate::{
    IoError, Kind,
    files::CLIP_RETRIEVAL,
    pool::{Format, Pattern, layout},
};

use super::{
    RemoteOptions, Wanted,
    cache::{Mirror, check_room},
    store::{Object, Store},
};

/// The folders of a pool that hold its files.
const FOLDERS: [&str; 4] = ["metadata", "shards", CLIP_RETRIEVAL[0], CLIP_RETRIEVAL[1]];

/// The endings of files that are pools by themselves.
const ENDINGS: [&str; 6] = ["tar", "parquet", "npy", "jsonl", "h5", "hdf5"];

/// Fetches what is needed of a pool, and answers where it lies then.
pub(super) fn pool(
    url: &Path,
    format: Option<Format>,
    wanted: Wanted,
    options: &RemoteOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    let text = url.to_str().unwrap_or_default().trim_end_matches('/');
    let (above, last) = text.rsplit_once('/').unwrap_or((text, ""));
    let is_file = above.contains("://") && ENDINGS.iter().any(|e| ending_of(last) == Some(*e));
    let folder = if is_file { above } else { text };
    let store = Store::open(folder, options)?;
    // Apart, so that a pool that was opened without embeddings has none the next time either.
    let purpose = if wanted == Wanted::Embeddings { " with embeddings" } else { "" };
    let mut mirror = Mirror::open(&format!("{folder}{purpose}"), options)?;
    if is_file {
        let objects = named(&store, last, wanted)?;
        bring(&store, &mut mirror, &objects, options, progress)?;
        return Ok(mirror.folder.join(last));
    }
    let mut objects = store.list(&FOLDERS)?;
    let part = Part::of(&objects, url, format, wanted)?;
    objects.retain(|object| part.holds(&object.name));
    bring(&store, &mut mirror, &objects, options, progress)?;
    // A file that is gone there would be taken for a shard here.
    let there = |name: &str| objects.binary_search_by(|o| o.name.as_str().cmp(name)).is_ok();
    mirror.forget(|name| part.holds(name) && !there(name))?;
    Ok(mirror.folder)
}

fn ending_of(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// The files of a name or a pattern, and those beside them. A file of a pattern that is not there is
/// left to the reader, which knows what the user wants of it; a single one is an error.
fn named(store: &Store, name: &str, wanted: Wanted) -> Result<Vec<Object>, IoError> {
    let pattern = Pattern::of(Path::new(name));
    let names = match &pattern {
        None => vec![name.to_owned()],
        Some(pattern) => {
            let files = pattern.files(Path::new(name))?;
            files.iter().map(|file| file.to_string_lossy().into_owned()).collect()
        }
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
fn companions(name: &str, wanted: Wanted) -> Vec<String> {
    let Some((stem, ending)) = name.rsplit_once('.') else { return vec![] };
    let mut found = Vec::new();
    if ending == "tar" {
        found.push(format!("{stem}_stats.json"));
    }
    if wanted == Wanted::Embeddings && ["tar", "parquet", "jsonl"].contains(&ending) {
        found.push(format!("{stem}.npz"));
    }
    if wanted == Wanted::Embeddings && ["parquet", "jsonl"].contains(&ending) {
        found.push(format!("{stem}.npy"));
    }
    found
}

/// The files of a folder that belong to its layout.
struct Part {
    folders: Vec<&'static str>,
    endings: Vec<&'static str>,
}

impl Part {
    fn of(
        objects: &[Object],
        url: &Path,
        format: Option<Format>,
        wanted: Wanted,
    ) -> Result<Self, IoError> {
        let is = |name: &str, folder: &str, ending: &str| {
            folder_of(name) == folder && ending_of(name) == Some(ending)
        };
        let has = |folder: &str, ending: &str| objects.iter().any(|o| is(&o.name, folder, ending));
        let shards = (wanted == Wanted::Shards).then_some(Format::Webdataset);
        let Some(format) = shards.or(format).or_else(|| layout(has)) else {
            let problem = "holds no pool, or nothing at all";
            let remedy = "name the folder that holds parquet, tar, npy, jsonl or HDF5 files";
            return Err(IoError::new(Kind::NotFound, url, problem, remedy));
        };
        let inner = |folder: &'static str, ending| if has(folder, ending) { folder } else { "" };
        let [images, texts] = CLIP_RETRIEVAL;
        let (folders, mut endings) = match format {
            Format::Datacomp => (vec![inner("metadata", "parquet")], vec!["parquet"]),
            Format::Webdataset => (vec![inner("shards", "tar")], vec!["tar", "json"]),
            Format::Jsonl => (vec![inner("metadata", "jsonl")], vec!["jsonl"]),
            Format::Hdf5 => (vec![""], vec!["h5", "hdf5"]),
            Format::Npy => (vec![""], vec!["npy"]),
            Format::ClipRetrieval => (vec!["metadata", images, texts], vec!["parquet", "npy"]),
        };
        if wanted == Wanted::Embeddings {
            endings.extend(["npz", "npy"]);
        }
        let found = Self { folders, endings };
        if objects.iter().any(|object| found.holds(&object.name)) {
            return Ok(found);
        }
        let problem = format!("holds no file for {format}");
        Err(IoError::new(Kind::NotFound, url, problem, "check the URL"))
    }

    fn holds(&self, name: &str) -> bool {
        let ending = ending_of(name).unwrap_or_default();
        let counts = ending != "json" || name.ends_with("_stats.json");
        counts && self.endings.contains(&ending) && self.folders.contains(&folder_of(name))
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Fetches the files that are not here as they are there, several at once.
fn bring(
    store: &Store,
    mirror: &mut Mirror,
    objects: &[Object],
    options: &RemoteOptions,
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
