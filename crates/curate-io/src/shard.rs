//! Shards and the samples in them: what all layouts and their readers speak of.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use curate_core::SampleId;
use serde::{Deserialize, Serialize};

/// What to do with a shard that cannot be read.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadShards {
    /// Stop with an error.
    #[default]
    Error,
    /// Leave the whole shard out, and say so.
    Skip,
}

/// What the id of a sample is made from that has a key and no `uid`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdsFrom {
    /// The key alone: two samples of one key are one.
    Key,
    /// The name of the shard and the key, for keys that begin anew in every shard.
    ShardAndKey,
}

/// A part of a pool: a tar file, or a Parquet file with its npz file.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The name without folder and ending; with its folder's where another shard has the same.
    pub name: String,
    /// Its rows in the pool.
    pub rows: Range<usize>,
    /// Its files.
    pub files: Vec<PathBuf>,
}

/// A shard that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedShard {
    /// The name without folder and ending.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a person wants to see of a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its id.
    pub id: SampleId,
    /// The shard it lies in.
    pub shard: String,
    /// Its key in the shard, where it has one.
    pub key: Option<String>,
    /// Its caption.
    pub caption: Option<String>,
    /// The bytes of its image file.
    pub image: Option<Vec<u8>>,
    /// Other columns, as text.
    pub fields: BTreeMap<String, String>,
}

/// Those of ascending rows of a pool that lie in a range, counted from its start.
pub(crate) fn rows_within(rows: &[usize], range: &Range<usize>) -> Vec<usize> {
    let from = rows.partition_point(|&row| row < range.start);
    let to = rows.partition_point(|&row| row < range.end);
    rows[from..to].iter().map(|row| row - range.start).collect()
}
