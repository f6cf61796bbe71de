//! The folder that an embedding is written to: what it is to hold, and who writes to it.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use curate_io::{
    IoError, Kind, atomic,
    lock::FolderLock,
    manifest::{self, Contents, ShardEntry, Work},
    npy::Precision,
    stamp::{Check, Input, Stamp},
};
use serde::{Deserialize, Serialize};

use crate::{
    Arithmetic, Reading,
    filter::record::{Files, name},
};

/// The manifest of an embedding: written before its first shard, completed after its last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    work: Work,
    /// The [fingerprint](crate::Network::fingerprint) of the network.
    network: String,
    /// By what captions and images were read; early manifests do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reading: Option<Reading>,
    /// What the network's layers multiplied.
    #[serde(default, skip_serializing_if = "Arithmetic::is_usual")]
    arithmetic: Arithmetic,
    /// The name of the embeddings.
    name: String,
    precision: Precision,
    /// The shards of images, of a pool that has them apart from its own.
    images: Vec<Input>,
    #[serde(flatten)]
    pub(super) contents: Contents,
}

/// What decides the bytes of an embedding beside its pairs.
pub(super) struct Made<'a> {
    pub(super) network: &'a str,
    pub(super) reading: Reading,
    pub(super) arithmetic: Arithmetic,
    pub(super) name: &'a str,
    pub(super) precision: Precision,
}

impl Manifest {
    /// The manifest of a folder; `None` where it has none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, IoError> {
        let found: Option<Self> = manifest::read(folder, Work::Embedding)?;
        Ok(found.filter(|found| found.work == Work::Embedding))
    }

    /// An error when an embedding made otherwise would not be the same.
    fn check_made(&self, made: &Made<'_>, folder: &Path) -> Result<(), IoError> {
        let problem = if self.arithmetic != made.arithmetic {
            let (found, asked) = (self.arithmetic.name(), made.arithmetic.name());
            &format!("was embedded with the network's layers in {found}, not in {asked}")
        } else if self.network != made.network {
            "was embedded with another network, or with other settings for images and captions"
        } else if self.name != made.name || self.precision != made.precision {
            "was embedded with other settings: another name of the arrays, or another precision"
        } else {
            return Ok(());
        };
        Err(IoError::new(Kind::Disagree, folder, problem, "choose another folder"))
    }

    /// An error when the folder holds a finished shard that is not among `shards`: to take it for one of
    /// this pool would be wrong, and to leave it there too.
    fn check_shards(&self, shards: &[ShardEntry], folder: &Path) -> Result<(), IoError> {
        let left = self.contents.shards.iter().find(|shard| {
            let is_listed = shards.iter().any(|other| other.name == shard.name);
            !is_listed && Files::new(folder, &shard.name).record.exists()
        });
        let Some(left) = left else { return Ok(()) };
        let path = Files::new(folder, &left.name).record;
        let problem = "is of a shard that the pool does not have";
        let remedy = "choose another folder, or remove this file and those beside it of its name";
        Err(IoError::new(Kind::Disagree, path, problem, remedy))
    }

    /// An error when a table of scores lies among those of the shards and is none of them.
    pub(super) fn check_foreign(&self, folder: &Path) -> Result<(), IoError> {
        let ours: std::collections::BTreeSet<&str> =
            self.contents.shards.iter().map(|shard| &*shard.name).collect();
        let foreign = scored_shards(folder)?.into_iter().find(|shard| !ours.contains(&**shard));
        let Some(foreign) = foreign else { return Ok(()) };
        let path = Files::new(folder, &foreign).scores;
        let problem = "is of no shard that was embedded into this folder";
        Err(IoError::new(Kind::Disagree, path, problem, "move it to another folder"))
    }
}

/// The names of the shards in a folder that have scores, sorted.
pub(super) fn scored_shards(folder: &Path) -> Result<Vec<String>, IoError> {
    let entries = std::fs::read_dir(folder).map_err(|e| IoError::os(folder, "read", e))?;
    let name = |entry: std::fs::DirEntry| {
        entry.file_name().to_str()?.strip_suffix(".scores.parquet").map(str::to_owned)
    };
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

/// The names that files of shards get: the shards' own, but for one that is the manifest's.
pub(super) fn file_name(shard: &str) -> String {
    let is_taken = Work::Embedding.last_file(shard) == Work::Embedding.file();
    if is_taken { format!("{shard}_") } else { shard.to_owned() }
}

/// A folder that an embedding is written to, and nothing else meanwhile.
pub(super) struct OutFolder<'a> {
    out: &'a Path,
    /// Whether this process embeds a part of the shards.
    is_part: bool,
    _lock: FolderLock,
}

impl<'a> OutFolder<'a> {
    /// Locks the folder, for this process alone or, for a part of the shards, with others, and removes what a run
    /// that was killed left half written.
    pub(super) fn take(out: &'a Path, is_part: bool) -> Result<Self, IoError> {
        let lock = if is_part { FolderLock::share(out) } else { FolderLock::take(out) }?;
        atomic::remove_leftovers(out)?;
        Ok(Self { out, is_part, _lock: lock })
    }

    /// Says what the folder is to hold.
    pub(super) fn begin(
        self,
        made: &Made<'_>,
        shards: Vec<ShardEntry>,
        images: &[PathBuf],
        check: Check,
    ) -> Result<Writing<'a>, IoError> {
        // Looked for before the manifest is: what another process embeds comes after its manifest.
        let any_embedded = !scored_shards(self.out)?.is_empty();
        let earlier = self.earlier(&shards)?;
        let path = self.out.join(Work::Embedding.file());
        if earlier.is_none() && path.exists() {
            let problem = "is not the manifest of an embedding";
            let remedy = "choose another folder; if it is one that was damaged, remove it";
            return Err(IoError::new(Kind::Disagree, path, problem, remedy));
        }
        if let Some(earlier) = &earlier {
            earlier.check_made(made, self.out)?;
            earlier.check_shards(&shards, self.out)?;
        }
        let known = earlier.as_ref().map_or(&[][..], |earlier| &earlier.images);
        // A part that finds its shards done leaves a folder whole that is.
        let whole = self.is_part && earlier.as_ref().is_some_and(|there| there.contents.complete);
        let manifest = Manifest {
            work: Work::Embedding,
            network: made.network.to_owned(),
            reading: Some(made.reading.clone()),
            arithmetic: made.arithmetic,
            name: made.name.to_owned(),
            precision: made.precision,
            images: inputs(images, known, any_embedded, check)?,
            contents: Contents { complete: false, shards },
        };
        let writing =
            Writing { folder: self, manifest, images: images.to_vec(), whole: Cell::new(true) };
        if !whole {
            writing.begin_shard()?;
        }
        Ok(writing)
    }

    /// The manifest of an earlier run; without one, no file may lie where a shard's is to be.
    fn earlier(&self, shards: &[ShardEntry]) -> Result<Option<Manifest>, IoError> {
        if let Some(earlier) = Manifest::read(self.out)? {
            return Ok(Some(earlier));
        }
        let free = |shard: &ShardEntry| Files::new(self.out, &shard.name).check_free();
        match shards.iter().try_for_each(free) {
            Ok(()) => Ok(None),
            // A process that shares the folder may have begun meanwhile.
            Err(error) => Manifest::read(self.out)?.map(Some).ok_or(error),
        }
    }
}

/// What the shards of images are; an error when one has changed since it was embedded.
fn inputs(
    images: &[PathBuf],
    known: &[Input],
    any_embedded: bool,
    check: Check,
) -> Result<Vec<Input>, IoError> {
    let input = |path: &PathBuf| {
        let known = known.iter().find(|known| known.file == name(path));
        match known {
            Some(known) if known.holds(path, check)? => known.at_its_time(path),
            _ if any_embedded => {
                let problem = "has changed since pairs were embedded with its images";
                let remedy = "choose another folder";
                Err(IoError::new(Kind::Disagree, path, problem, remedy))
            }
            _ => Input::of(path),
        }
    };
    images.iter().map(input).collect()
}

/// The folder of an embedding that is not complete.
pub(super) struct Writing<'a> {
    folder: OutFolder<'a>,
    manifest: Manifest,
    images: Vec<PathBuf>,
    /// Whether the folder still says that it is whole.
    whole: Cell<bool>,
}

impl Writing<'_> {
    /// Before a file of a shard is written: the folder is not whole from here on.
    pub(super) fn begin_shard(&self) -> Result<(), IoError> {
        if self.whole.replace(false) {
            manifest::write(self.folder.out, Work::Embedding, &self.manifest)?;
        }
        Ok(())
    }

    pub(super) fn files(&self, shard: &str) -> Files {
        Files::new(self.folder.out, &file_name(shard))
    }

    /// Says that all shards are there.
    ///
    /// # Errors
    /// When images were changed meanwhile, or a file cannot be read or written.
    pub(super) fn end(mut self) -> Result<(), IoError> {
        self.check_images()?;
        for shard in &mut self.manifest.contents.shards {
            let files = Files::new(self.folder.out, &shard.name);
            let record = files.record()?;
            shard.files = record.map(|record| record.files).unwrap_or_default();
            shard.files.insert(name(&files.record), Stamp::of(&files.record)?);
        }
        self.manifest.contents.complete = true;
        manifest::write(self.folder.out, Work::Embedding, &self.manifest)
    }
    /// After a part of the shards, others are still to come, unless the folder was whole before; returns whether
    /// it is.
    ///
    /// # Errors
    /// When images were changed meanwhile.
    pub(super) fn end_part(self) -> Result<bool, IoError> {
        self.check_images()?;
        Ok(self.whole.get())
    }

    fn check_images(&self) -> Result<(), IoError> {
        let images = self.images.iter().zip(&self.manifest.images);
        images.into_iter().try_for_each(|(path, input)| input.check_untouched(path))
    }
}
