//! Keys that begin anew in every shard, so that most samples would be taken for repeats.

use std::path::Path;

use curate_core::SampleId;

use crate::error::{IoError, Kind};

/// How the keys of shards go with those of the first.
#[derive(Debug, Default)]
pub struct Restarts {
    /// The ids of the first shard that has some, sorted.
    pub(crate) first: Vec<SampleId>,
    /// Shards after it.
    others: usize,
    /// Those of them of which most keys are the first one's.
    restarted: Vec<String>,
}

impl Restarts {
    /// Adds a shard of which these ids stand for keys; one without keys says nothing.
    pub(crate) fn add_keys(&mut self, shard: &str, ids: &[SampleId]) {
        if !ids.is_empty() {
            self.add(shard, ids, &vec![true; ids.len()]);
        }
    }

    /// Adds a shard: the ids of its rows, and which of them stand for keys.
    pub(crate) fn add(&mut self, shard: &str, ids: &[SampleId], keyed: &[bool]) {
        let keys = || ids.iter().zip(keyed).filter(|&(_, &keyed)| keyed).map(|(&id, _)| id);
        if self.first.is_empty() {
            self.first = keys().collect();
            self.first.sort_unstable();
            return;
        }
        self.others += 1;
        let there = keys().filter(|id| self.first.binary_search(id).is_ok()).count();
        if 2 * there > keys().count() {
            self.restarted.push(shard.to_owned());
        }
    }

    /// Adds what was found of a shard by itself.
    pub fn join(&mut self, shard: &str, found: Self) {
        self.add_keys(shard, &found.first);
    }

    /// An error where at least half of the other shards have the keys of the first.
    ///
    /// # Errors
    /// Then: it names the first of them.
    pub fn check(&self, pool: &Path) -> Result<(), IoError> {
        let Some(example) = self.restarted.first() else { return Ok(()) };
        if 2 * self.restarted.len() < self.others {
            return Ok(());
        }
        let problem = format!(
            "has keys that begin anew in every shard, `{example}` for one, and no `uid`: all but one \
             of the samples of a key would be quarantined as repeats"
        );
        let remedy = "ask for ids from shard and key (`shard-and-key`), or from the key alone (`key`) \
                      where samples of one key are the same";
        Err(IoError::new(Kind::Disagree, pool, problem, remedy))
    }
}
