//! The manifest: what went in, what was done, what came out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use curate_core::Progress;
use curate_io::{
    IoError, Kind, Pool, atomic, digest, ids::IdOrigins, pool::SkippedShard, watched::Watched,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    folder::{FORMAT, MANIFEST},
    record::StageRecord,
};

/// The run folder's record of its pool.
const POOL: &str = "pool.json";

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
    /// Where the ids of its rows come from.
    #[serde(default)]
    pub ids: IdOrigins,
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
    /// What the run folder knows of its pool.
    pub(crate) fn known(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(POOL)).ok()?).ok()
    }

    /// Writes the record to the run folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), IoError> {
        let text = serde_json::to_string_pretty(self).expect("a record is JSON");
        atomic::write(&folder.join(POOL), text.as_bytes())
    }

    /// Digests every file of a pool. Digests of files that have not changed since are taken from
    /// what is `known`.
    pub(crate) fn new(
        pool: &Pool,
        known: Option<&Self>,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let known = known.iter().flat_map(|record| &record.files);
        let known: BTreeMap<&Path, &FileRecord> = known.map(|f| (&*f.path, f)).collect();
        progress.start("digest pool", pool.watched().len() as u64, "files");
        let mut files = Vec::with_capacity(pool.watched().len());
        for file in pool.watched() {
            progress.check()?;
            files.push(FileRecord::new(file, known.get(&*file.path).copied())?);
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
        Ok(Self {
            path: pool.path().to_owned(),
            format: pool.format().to_string(),
            digest: digest::of_bytes(named.join("\n").as_bytes()),
            files,
            skipped: pool.skipped().to_vec(),
            ids: pool.id_origins(),
            quarantined,
            notes: pool.notes().to_vec(),
        })
    }

    /// The first file that is not in both records with one digest, and how many there are.
    pub(crate) fn difference(&self, other: &Self) -> Option<(PathBuf, usize)> {
        let of = |record: &Self| -> BTreeMap<PathBuf, String> {
            record.files.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect()
        };
        let (ours, theirs) = (of(self), of(other));
        let all: BTreeSet<&PathBuf> = ours.keys().chain(theirs.keys()).collect();
        let mut differ = all.into_iter().filter(|path| ours.get(*path) != theirs.get(*path));
        let first = differ.next()?.clone();
        Some((first, 1 + differ.count()))
    }

    /// An error when a file of the pool is no longer the one that was curated.
    pub(crate) fn check(&self, pool: &Pool) -> Result<(), Error> {
        if !pool.files().iter().eq(self.files.iter().map(|file| &file.path)) {
            let problem = "has other files than when it was curated";
            return Err(changed(pool.path(), problem).into());
        }
        Ok(self.files.iter().try_for_each(FileRecord::check)?)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The pool of a run as it is, and as the run folder knows it.
pub(crate) struct PoolNow {
    pub(crate) pool: PoolRecord,
    known: Option<PoolRecord>,
}

impl PoolNow {
    /// The pool of a finished run, whose files were found unchanged.
    pub(crate) fn unchanged(pool: PoolRecord) -> Self {
        Self { pool, known: None }
    }

    /// A pool whose files are those of a record, as a folder knows it. A folder that knows none is told.
    pub(crate) fn of(pool: PoolRecord, folder: &Path) -> Result<Self, Error> {
        let known = PoolRecord::known(folder);
        if known.is_none() {
            pool.save(folder)?;
        }
        Ok(Self { pool, known })
    }

    /// Digests the pool's files. The folder keeps what it knows where that differs, until a stage
    /// replaces its results: a run that is refused for another pool must be refused the next time too,
    /// by the name of the file.
    pub(crate) fn look(pool: &Pool, folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let known = PoolRecord::known(folder);
        let now = Self { pool: PoolRecord::new(pool, known.as_ref(), progress)?, known };
        if !now.has_changed() {
            now.pool.save(folder)?;
        }
        Ok(now)
    }

    /// Whether the folder knows another pool.
    pub(crate) fn has_changed(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.digest != self.pool.digest)
    }

    /// The first file that differs from what the folder knows, and how many do.
    pub(crate) fn difference(&self) -> Option<(PathBuf, usize)> {
        self.pool.difference(self.known.as_ref()?)
    }
}

impl FileRecord {
    /// Looks at a file; takes the digest of a `known` record where length and time are the same.
    pub(crate) fn new(file: &Watched, known: Option<&Self>) -> Result<Self, IoError> {
        let Watched { path, bytes, modified } = file.clone();
        let unchanged = known.filter(|f| f.bytes == bytes && f.modified == modified);
        let sha256 = match unchanged {
            Some(known) => known.sha256.clone(),
            None => digest::of_file(&path)?,
        };
        Ok(Self { path, bytes, modified, sha256 })
    }

    /// An error when the file has other contents.
    pub(crate) fn check(&self) -> Result<(), IoError> {
        match Self::new(&Watched::of(&self.path)?, Some(self))?.sha256 == self.sha256 {
            true => Ok(()),
            false => Err(changed(&self.path, "has changed since it was curated")),
        }
    }
}

fn changed(path: &Path, problem: &str) -> IoError {
    IoError::new(Kind::Disagree, path, problem, "run the recipe again")
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
    /// Ids that do not stay although they occur again in the pool ([`crate::run::Run::removed_with_repeats`]).
    #[serde(default)]
    pub removed_with_repeats: usize,
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
    /// Reads the manifest of a finished run.
    ///
    /// # Errors
    /// When there is none in the folder, and as [`Self::read`].
    pub fn of_run(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            let problem = "holds no finished run: it has no manifest.json".to_owned();
            return Err(Error::Run { folder: folder.to_owned(), problem });
        }
        Self::read(&path)
    }

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
