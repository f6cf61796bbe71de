//! How to reshard, and what was done.

use serde::{Deserialize, Serialize};

use crate::{
    shard::{BadShards, IdsFrom, SkippedShard},
    stamp::Check,
};

/// How to reshard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReshardOptions {
    /// Samples in an output shard; the last one may have fewer.
    pub samples_per_shard: usize,
    /// Mix the samples on their way.
    pub shuffle: Option<Shuffle>,
    /// What to do with an input shard that cannot be read.
    pub bad_shards: BadShards,
    /// What ids are made from where samples have keys alone; `None` is the key.
    pub ids: Option<IdsFrom>,
    /// How thoroughly shards that an earlier call wrote are compared before they count: with
    /// [`Check::Whole`], byte by byte with what would be written now, which reads them and what they were
    /// made from. So are those in any case whose file, or one that they were made from, was touched since.
    pub check: Check,
    /// Do one task's part of the work, which others share, instead of all of it.
    pub part: Option<Part>,
    /// Replace what an earlier call with other settings wrote.
    pub overwrite: bool,
}

impl Default for ReshardOptions {
    fn default() -> Self {
        Self {
            samples_per_shard: 10_000,
            shuffle: None,
            bad_shards: BadShards::Error,
            ids: None,
            check: Check::Sample,
            part: None,
            overwrite: false,
        }
    }
}

impl ReshardOptions {
    pub(super) fn skips(&self) -> bool {
        self.bad_shards == BadShards::Skip
    }
}

/// One of several tasks that share a resharding, as processes or machines that see the same folders: it reads
/// the input shards, and writes the output shards, whose number leaves `index` when it is divided by `tasks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of the task, from 0.
    pub index: usize,
    /// How many there are.
    pub tasks: usize,
}

impl Part {
    /// Whether the shard of this number is its own.
    pub(super) fn has(self, shard: usize) -> bool {
        shard % self.tasks == self.index
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
    /// Those of them that were this call's to write: all, or a task's part.
    pub own_shards: usize,
    /// Whether the folder is complete. A task finds it so where a call without a part came before, and says no
    /// more of the input then.
    pub complete: bool,
    /// Output shards that an earlier call had written.
    pub found_written: usize,
    /// Output shards that an earlier call had written and that were written again: their files are not
    /// what it wrote, or what they were made from has changed since.
    pub written_again: usize,
    /// Samples left out because the `uid` of their record is no id.
    pub without_id: usize,
    /// Samples left out because their record is not a JSON object.
    pub bad_records: usize,
    /// Samples left out because the selection does not have their id.
    pub not_selected: usize,
    /// Members left out because an earlier one of their sample has their name.
    pub repeated_members: usize,
    /// Different ids of the selection that no sample has.
    pub ids_without_sample: usize,
    /// Samples with the id of an earlier sample: they are written too, under the same keys unless one
    /// follows the other.
    pub repeated_samples: usize,
    /// Input shards that were left out.
    pub skipped: Vec<SkippedShard>,
    /// What a person should know of input shards although their samples can be read.
    pub notes: Vec<String>,
}
