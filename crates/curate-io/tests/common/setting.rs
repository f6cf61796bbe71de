//! A pool of tar shards, a selection of it, and folders to write it to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use curate_core::{NoProgress, SampleId};
use curate_io::{
    IoError,
    reshard::{ReshardOptions, Resharded, reshard},
    subset::{self, SubsetFormat},
};
use tempfile::TempDir;

use super::tar_of;

/// Shards of three samples in `in`, some of which `wanted.npy` has, for output shards of two.
pub(crate) struct Setting(TempDir);

impl Setting {
    /// So many shards; `image` is that of each sample, and `wanted` says of the number of a sample, from 0,
    /// whether the selection has it.
    pub(crate) fn new(shards: usize, image: &[u8], wanted: impl Fn(u128) -> bool) -> Self {
        let setting = Self(tempfile::tempdir().unwrap());
        fs::create_dir(setting.path("in")).unwrap();
        (0..shards).for_each(|shard| setting.write_input(shard, image));
        let ids = (0..3 * shards as u128).filter(|&i| wanted(i)).map(|i| SampleId(i + 1));
        setting.select(&ids.collect::<Vec<_>>());
        setting
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn input(&self, shard: usize) -> PathBuf {
        self.path(&format!("in/{shard:05}.tar"))
    }

    /// The selection.
    pub(crate) fn select(&self, ids: &[SampleId]) {
        subset::write(&self.path("wanted.npy"), SubsetFormat::Npy, ids).unwrap();
    }

    /// A shard with this image in its samples.
    pub(crate) fn write_input(&self, shard: usize, image: &[u8]) {
        let members: Vec<(String, Vec<u8>)> = (3 * shard..3 * shard + 3)
            .flat_map(|i| {
                let record = format!("{{\"uid\": \"{:032x}\"}}", i + 1);
                [(format!("{i}.json"), record.into_bytes()), (format!("{i}.png"), image.to_vec())]
            })
            .collect();
        let members: Vec<(&str, &[u8])> =
            members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        fs::write(self.input(shard), tar_of(&members)).unwrap();
    }

    pub(crate) fn call(&self, out: &str, options: ReshardOptions) -> Result<Resharded, IoError> {
        let options = ReshardOptions { samples_per_shard: 2, ..options };
        reshard(&self.path("in"), &self.path("wanted.npy"), &self.path(out), options, &NoProgress)
    }

    /// The files of a folder, without the one that names it; of a folder in it the name alone.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        files(&self.path(folder))
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.map(|e| (e.file_name().into_string().unwrap(), e.path()));
    files
        .filter(|(name, _)| name != "meta.json")
        .map(|(name, path)| (name, fs::read(path).unwrap_or_default()))
        .collect()
}
