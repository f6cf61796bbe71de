//! How to reshard, and what was done.

use serde::{Deserialize, Serialize};

use crate::shard::{BadShards, SkippedShard};

/// How to reshard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReshardOptions {
    /// Samples in an output shard; the last one may have fewer.
    pub samples_per_shard: usize,
    /// Mix the samples on their way.
    pub shuffle: Option<Shuffle>,
    /// What to do with an input shard that cannot be read.
    pub bad_shards: BadShards,
    /// Replace what an earlier call with other settings wrote.
    pub overwrite: bool,
}

impl Default for ReshardOptions {
    fn default() -> Self {
        Self {
            samples_per_shard: 10_000,
            shuffle: None,
            bad_shards: BadShards::Error,
            overwrite: false,
        }
    }
}

/// A shuffle buffer: of the samples that wait in it, a random one goes when the next comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Samples that wait; as many as there are for a full shuffle.
    pub buffer: usize,
    /// The same seed gives the same order.
    pub seed: u64,
}

/// What was resharded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resharded {
    /// Input shards that were read.
    pub input_shards: usize,
    /// Samples in them.
    pub input_samples: usize,
    /// Samples written, repeats included.
    pub written: usize,
    /// Output shards.
    pub output_shards: usize,
    /// Output shards that an earlier call had written.
    pub found_written: usize,
    /// Samples left out because their record has no usable `uid`, or they have no record and their
    /// key is in no selection.
    pub without_id: usize,
    /// Different ids of the selection that no sample has.
    pub ids_without_sample: usize,
    /// Samples with the id of an earlier sample: they are written too, under the same keys.
    pub repeated_samples: usize,
    /// Input shards that were left out.
    pub skipped: Vec<SkippedShard>,
}
