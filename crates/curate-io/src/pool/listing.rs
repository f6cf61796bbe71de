//! The rows of a pool, shard by shard, and what is wrong with them.

use std::path::{Path, PathBuf};

use curate_core::{Progress, SampleId, fault::Fault};
use rayon::prelude::*;

use crate::{IoError, Kind};

use super::{
    BadShards, Shard, SkippedShard,
    layout::stem,
    places::{companions, part_beside},
};

/// What a layout knows of a pool once its shards are read.
pub(crate) struct Listing {
    pub(crate) shards: Vec<Shard>,
    pub(crate) skipped: Vec<SkippedShard>,
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
}

/// Which shards are taken.
#[derive(Clone, Copy)]
pub(crate) struct ShardRule<'a> {
    pub(crate) bad_shards: BadShards,
    /// The embeddings that a shard must have.
    pub(crate) embeddings: &'a [&'a str],
}

impl ShardRule<'_> {
    /// An error unless the shard has the embeddings asked for. Where a bad shard is an error, it
    /// comes when the embedding is opened.
    fn check(self, file: &Path, rows: usize) -> Result<(), IoError> {
        if self.bad_shards == BadShards::Skip {
            for name in self.embeddings {
                part_beside(name, file, rows)?;
            }
        }
        Ok(())
    }
}

/// The ids of one shard, and its rows that cannot be used.
#[derive(Default)]
pub(crate) struct ShardIds {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
}

impl Listing {
    /// Reads all shards in parallel and lists their rows in order of the files. Answers what else
    /// `read` found in each shard that was read, beside the shard's file.
    pub(crate) fn read<T: Send>(
        task: &str,
        files: Vec<PathBuf>,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
        read: impl Fn(&Path) -> Result<(ShardIds, T), IoError> + Sync,
    ) -> Result<(Self, Vec<(PathBuf, T)>), IoError> {
        progress.start(task, files.len() as u64, "shards");
        let found: Vec<_> = files
            .par_iter()
            .map(|file| {
                progress.check().map_err(|_| IoError::cancelled(file))?;
                if !file.exists() {
                    let remedy = "fetch it, or leave it out of the pattern";
                    let problem = "is in the pattern but does not exist";
                    return Err(IoError::new(Kind::NotFound, file, problem, remedy));
                }
                let found = read(file).and_then(|(ids, rest)| {
                    rule.check(file, ids.ids.len())?;
                    Ok((ids, rest))
                });
                progress.advance(1);
                found
            })
            .collect();
        progress.finish();
        let mut listing = Self { shards: vec![], skipped: vec![], ids: vec![], faults: vec![] };
        let mut rest = Vec::new();
        for (file, found) in files.into_iter().zip(found) {
            match found {
                Ok((ids, found)) => {
                    listing.add(&file, ids);
                    rest.push((file, found));
                }
                Err(e) if rule.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                    listing.skipped.push(SkippedShard { name: stem(&file), reason: e.problem });
                }
                Err(e) => return Err(e),
            }
        }
        Ok((listing, rest))
    }

    fn add(&mut self, file: &Path, read: ShardIds) {
        let first = self.ids.len();
        let files = companions(file);
        let rows = first..first + read.ids.len();
        self.shards.push(Shard { name: stem(file), rows, files });
        self.ids.extend(read.ids);
        self.faults.extend(read.faults.into_iter().map(|(row, fault)| (first + row, fault)));
    }
}

pub(super) fn add_duplicates(listing: &mut Listing) {
    let mut order: Vec<usize> = (0..listing.ids.len()).collect();
    order.sort_unstable_by_key(|&row| (listing.ids[row], row));
    let repeats = order.windows(2).filter(|w| listing.ids[w[0]] == listing.ids[w[1]]);
    listing.faults.extend(repeats.map(|w| (w[1], Fault::DuplicateId)));
    // One fault a row: the first found, that is, the one of the row itself.
    listing.faults.sort_by_key(|&(row, _)| row);
    listing.faults.dedup_by_key(|(row, _)| *row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_later_repeats_of_an_id_are_faults() {
        let mut listing = Listing {
            shards: vec![],
            skipped: vec![],
            ids: [5, 3, 5, 5].map(SampleId).to_vec(),
            faults: vec![(2, Fault::CaptionMissing)],
        };
        add_duplicates(&mut listing);
        assert_eq!(listing.faults, [(2, Fault::CaptionMissing), (3, Fault::DuplicateId)]);
    }
}
