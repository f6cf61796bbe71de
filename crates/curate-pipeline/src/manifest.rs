//! The manifest: what went in, what was done, what came out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use curate_core::Progress;
use curate_io::{IoError, Kind, Pool, atomic, digest, pool::SkippedShard};
use serde::{Deserialize, Serialize};

use crate::{Error, folder::FORMAT, record::StageRecord};

/// What is known of the pool of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The path as the run was given it.
    pub path: PathBuf,
    /// The layout.
    pub format: String,
    /// A digest of the digests of all files.
    pub digest: String,
    /// The files, sorted.
    pub files: Vec<FileRecord>,
    /// Shards that were left out.
    pub skipped: Vec<SkippedShard>,
    /// Rows set aside when the pool was read, by fault.
    pub quarantined: BTreeMap<String, usize>,
    /// What a person should know of its files although their rows can be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A file of the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970; tells whether the digest still holds.
    pub modified: u64,
    /// Its SHA-256.
    pub sha256: String,
}

impl PoolRecord {
    /// Digests every file of a pool. Digests of files that have not changed since are taken from
    /// the run folder.
    pub(crate) fn new(pool: &Pool, folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let cache_path = folder.join("pool.json");
        let known: BTreeMap<PathBuf, FileRecord> = fs::read(&cache_path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok())
            .map(|record| record.files.into_iter().map(|f| (f.path.clone(), f)).collect())
            .unwrap_or_default();
        let paths = pool.files();
        progress.start("digest pool", paths.len() as u64, "files");
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            progress.check()?;
            files.push(FileRecord::new(&path, known.get(&path))?);
            progress.advance(1);
        }
        progress.finish();
        let mut quarantined = BTreeMap::new();
        for (_, fault) in pool.faults() {
            *quarantined.entry(fault.name().to_owned()).or_default() += 1;
        }
        let named: Vec<String> = files
            .iter()
            .map(|f| format!("{} {}", f.path.file_name().unwrap_or_default().display(), f.sha256))
            .collect();
        let record = Self {
            path: pool.path().to_owned(),
            format: pool.format().to_string(),
            digest: digest::of_bytes(named.join("\n").as_bytes()),
            files,
            skipped: pool.skipped().to_vec(),
            quarantined,
            notes: pool.notes().to_vec(),
        };
        let text = serde_json::to_string_pretty(&record).expect("a record is JSON");
        atomic::write(&cache_path, text.as_bytes())?;
        Ok(record)
    }

    /// An error when a file of the pool is no longer the one that was curated.
    pub(crate) fn check(&self, pool: &Pool) -> Result<(), Error> {
        let changed = |path: &Path, problem: &str| {
            Err(IoError::new(Kind::Disagree, path, problem, "run the recipe again").into())
        };
        if !pool.files().iter().eq(self.files.iter().map(|file| &file.path)) {
            return changed(pool.path(), "has other files than when it was curated");
        }
        for file in &self.files {
            if FileRecord::new(&file.path, Some(file))?.sha256 != file.sha256 {
                return changed(&file.path, "has changed since it was curated");
            }
        }
        Ok(())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl FileRecord {
    /// Looks at a file; takes the digest of a `known` record where length and time are the same.
    fn new(path: &Path, known: Option<&Self>) -> Result<Self, IoError> {
        let found = fs::metadata(path).map_err(|e| IoError::os(path, "read", e))?;
        let since = found.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let modified = since.map_or(0, |since| since.as_nanos() as u64);
        let unchanged = known.filter(|f| f.bytes == found.len() && f.modified == modified);
        let sha256 = match unchanged {
            Some(known) => known.sha256.clone(),
            None => digest::of_file(path)?,
        };
        Ok(Self { path: path.to_owned(), bytes: found.len(), modified, sha256 })
    }
}

/// A finished run on paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the run folder.
    pub format: u32,
    /// The version of this program.
    pub version: String,
    /// The recipe's name.
    pub name: String,
    /// The seed of all random draws.
    pub seed: u64,
    /// Rows of the pool.
    pub rows: usize,
    /// Rows that stay.
    pub kept: usize,
    /// The pool.
    pub pool: PoolRecord,
    /// The stages, in order.
    pub stages: Vec<StageRecord>,
    /// SHA-256 of every file written.
    pub outputs: BTreeMap<String, String>,
    /// Seconds of this invocation; those of a stage that was read are in its record.
    pub seconds: f64,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is damaged, or of another format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read(path).map_err(|e| IoError::os(path, "read", e))?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|e| IoError::malformed(path, "is not a manifest of a run").caused_by(e))?;
        if manifest.format != FORMAT {
            let problem =
                format!("has run format {}, this program reads {}", manifest.format, FORMAT);
            let remedy = format!("use curate {}", manifest.version);
            return Err(IoError::new(Kind::Unsupported, path, problem, remedy).into());
        }
        Ok(manifest)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest is JSON") + "\n"
    }
}
