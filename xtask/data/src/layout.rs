//! A pool on disk: `metadata/*.parquet` with their `.npz`, `shards/*.tar`, and `pool.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::digest::{self, Parts};
use crate::features::Features;
use crate::joint::Quality;
use crate::packages::Package;
use crate::row::{Row, Sample};
use crate::shard::{self, Style};
use crate::{npz, table};

/// A named block of embeddings, rows as in the pool.
pub(crate) type Member<'a> = (&'a str, &'a Features);

/// `pool.json`: what the pool is and how to check it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) rows: usize,
    pub(crate) packages: Vec<PackageNote>,
    pub(crate) sources: BTreeMap<String, SourceNote>,
    pub(crate) caption_kinds: BTreeMap<String, usize>,
    pub(crate) licenses: BTreeMap<String, usize>,
    pub(crate) blank_pictures: usize,
    pub(crate) embeddings: Vec<EmbeddingNote>,
    pub(crate) joint_space: Quality,
    pub(crate) shards: Vec<ShardNote>,
    /// SHA-256 of every other file, by path.
    pub(crate) digests: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackageNote {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) client: String,
    pub(crate) sha256: String,
}

impl From<&Package> for PackageNote {
    fn from(package: &Package) -> Self {
        Self {
            name: package.name.clone(),
            version: package.version.clone(),
            client: format!("{:?}", package.client).to_lowercase(),
            sha256: package.sha256.clone(),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SourceNote {
    pub(crate) license: String,
    pub(crate) rows: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EmbeddingNote {
    pub(crate) member: String,
    pub(crate) width: usize,
    pub(crate) encoder: String,
    pub(crate) package: String,
    pub(crate) package_sha256: String,
    pub(crate) processing: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardNote {
    pub(crate) shard: String,
    pub(crate) metadata: String,
    pub(crate) rows: usize,
}

/// Counts by source, licence and kind.
pub(crate) fn count(manifest: &mut Manifest, rows: &[&Row]) {
    manifest.rows = rows.len();
    manifest.blank_pictures = rows.iter().filter(|row| row.std == 0.0).count();
    for row in rows {
        let source = manifest.sources.entry(row.source.clone()).or_default();
        source.license.clone_from(&row.license);
        source.rows += 1;
        *manifest.caption_kinds.entry(row.caption_kind.to_string()).or_default() += 1;
        *manifest.licenses.entry(row.license.clone()).or_default() += 1;
    }
}

/// A folder that takes its name only when it is complete.
#[derive(Debug)]
pub(crate) struct Draft {
    partial: PathBuf,
    target: PathBuf,
}

impl Draft {
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let mut name = target.file_name().context("the output needs a name")?.to_owned();
        name.push(".partial");
        let partial = target.with_file_name(name);
        remove(&partial)?;
        for folder in ["metadata", "shards"] {
            let folder = partial.join(folder);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(Self { partial, target: target.to_owned() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.partial
    }

    /// Writes samples and embeddings and notes the shards.
    pub(crate) fn fill(
        &self,
        manifest: &mut Manifest,
        samples: &[Sample],
        members: &[Member<'_>],
        rows_a_shard: usize,
        style: Style,
    ) -> Result<()> {
        for (index, samples) in samples.chunks(rows_a_shard).enumerate() {
            shard::write(&self.partial.join("shards"), index, samples, style)?;
            let stem = stem(samples);
            let rows: Vec<_> = samples.iter().map(|sample| &sample.row).collect();
            let metadata = self.partial.join("metadata");
            table::write(&metadata.join(format!("{stem}.parquet")), &rows)?;
            let from = index * rows_a_shard;
            let blocks: Vec<_> = members
                .iter()
                .map(|(name, features)| (*name, features.take(from..from + samples.len())))
                .collect();
            npz::write(&metadata.join(format!("{stem}.npz")), &blocks)?;
            let note =
                ShardNote { shard: format!("{index:08}"), metadata: stem, rows: samples.len() };
            manifest.shards.push(note);
        }
        Ok(())
    }

    /// Adds digests and `pool.json`, then puts the folder in place of the old one.
    pub(crate) fn publish(self, mut manifest: Manifest) -> Result<Manifest> {
        manifest.digests = digests(&self.partial)?;
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        std::fs::write(self.partial.join("pool.json"), text)
            .with_context(|| format!("cannot write pool.json into {}", self.partial.display()))?;
        remove(&self.target)?;
        std::fs::rename(&self.partial, &self.target)
            .with_context(|| format!("cannot move the pool to {}", self.target.display()))?;
        Ok(manifest)
    }
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the old {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// DataComp names its files by 32 hexadecimal digits: here, of the uids inside.
fn stem(samples: &[Sample]) -> String {
    let mut parts = Parts::default();
    samples.iter().for_each(|sample| parts.add(sample.row.uid.as_bytes()));
    parts.hex()[..32].to_owned()
}

fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
                digests.insert(name, digest::hex(&std::fs::read(&path)?));
            }
        }
    }
    Ok(digests)
}

/// Reads `pool.json`.
pub(crate) fn manifest(pool: &Path) -> Result<Manifest> {
    let path = pool.join("pool.json");
    let bytes = std::fs::read(&path)
        .with_context(|| format!("{} is missing: run `cargo xtask data build`", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is of another version", path.display()))
}

/// Reads samples and the named embeddings of a pool of full style.
pub(crate) fn read<const N: usize>(
    pool: &Path,
    manifest: &Manifest,
    names: [&str; N],
) -> Result<(Vec<Sample>, [Features; N])> {
    let mut samples = Vec::with_capacity(manifest.rows);
    let mut members = names.map(|_| Features { width: 0, data: Vec::new() });
    for note in &manifest.shards {
        samples.extend(shard::read(&pool.join("shards").join(format!("{}.tar", note.shard)))?);
        for (member, name) in members.iter_mut().zip(names) {
            let path = pool.join("metadata").join(format!("{}.npz", note.metadata));
            let block = npz::read(&path, name)?;
            member.width = block.width;
            member.data.extend(block.data);
        }
    }
    Ok((samples, members))
}
