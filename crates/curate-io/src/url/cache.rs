//! Files of URLs on this machine, and what is known of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{options::UrlOptions, store::Object};
use crate::{
    atomic, digest,
    error::{IoError, Kind},
};

/// The record of what was fetched.
const RECORD: &str = ".curate-remote.json";

/// The folder of this machine that stands for one behind a URL.
pub(super) struct Mirror {
    pub(super) folder: PathBuf,
    record: Record,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    url: String,
    files: BTreeMap<String, Fetched>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fetched {
    bytes: u64,
    tag: Option<String>,
    sha256: String,
}

impl Mirror {
    pub(super) fn open(url: &str, options: &UrlOptions) -> Result<Self, IoError> {
        let folder = options.cache.join(&digest::of_bytes(url.as_bytes())[..16]);
        fs::create_dir_all(&folder).map_err(|e| IoError::os(&folder, "created", e))?;
        // A record that cannot be read costs fetching again, no more.
        let record = fs::read(folder.join(RECORD)).ok();
        let record: Record =
            record.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Self { folder, record: Record { url: url.to_owned(), ..record } })
    }

    pub(super) fn path(&self, object: &Object) -> PathBuf {
        object.name.split('/').fold(self.folder.clone(), |path, part| path.join(part))
    }

    /// True when the file is here as it is there. Without a tag or a date nobody can tell, and it is
    /// fetched again; the length of the file on this disk is asked for too, since somebody may have cut
    /// it off.
    pub(super) fn holds(&self, object: &Object) -> bool {
        let same = |known: &Fetched| known.bytes == object.bytes && known.tag == object.tag;
        let here = fs::metadata(self.path(object)).is_ok_and(|file| file.len() == object.bytes);
        here && object.tag.is_some() && self.record.files.get(&object.name).is_some_and(same)
    }

    pub(super) fn add(&mut self, object: &Object, sha256: String) {
        let fetched = Fetched { bytes: object.bytes, tag: object.tag.clone(), sha256 };
        self.record.files.insert(object.name.clone(), fetched);
    }

    /// Removes files that an earlier call fetched and that are no longer there.
    pub(super) fn forget(&mut self, gone: impl Fn(&str) -> bool) -> Result<(), IoError> {
        let names: Vec<String> = self.record.files.keys().filter(|n| gone(n)).cloned().collect();
        for name in names {
            let path = self.folder.join(&name);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(IoError::os(&path, "removed", e));
                }
                _ => drop(self.record.files.remove(&name)),
            }
        }
        self.save()
    }

    pub(super) fn save(&self) -> Result<(), IoError> {
        let text = serde_json::to_vec_pretty(&self.record).expect("a record is JSON");
        atomic::write(&self.folder.join(RECORD), &text)
    }
}

/// Refuses to fetch more than the cache may hold.
pub(super) fn check_room(url: &str, more: u64, options: &UrlOptions) -> Result<(), IoError> {
    let there = if more > 0 { bytes_in(&options.cache) } else { 0 };
    if there.saturating_add(more) <= options.limit {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
    let problem = format!(
        "needs {:.2} GiB more, {} holds {:.2} GiB and may hold {:.2}",
        gib(more),
        options.cache.display(),
        gib(there),
        gib(options.limit)
    );
    let remedy = "raise CURATE_CACHE_LIMIT (in GiB), or remove folders there that no run needs";
    Err(IoError::new(Kind::DiskFull, url, problem, remedy))
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_in(&entry.path()),
            _ => entry.metadata().map_or(0, |file| file.len()),
        })
        .sum()
}
