//! What other folders know of a pool: arrays of its rows, and rows that cannot be used.

use std::{collections::BTreeSet, path::PathBuf};

use curate_core::fault::Fault;

use crate::{
    arrays_beside::{Place, places_in},
    error::{IoError, Kind},
    pool::Pool,
    watched::Watched,
};

impl Pool {
    /// Takes embeddings from these npz files too, one of each shard in order. They are as long as the
    /// shards, and hold no name that a shard has an array of: both is an error of [`Pool::embedding`].
    ///
    /// # Errors
    /// When there are more or fewer files than shards, or one cannot be read.
    pub fn join_arrays(&mut self, files: Vec<PathBuf>) -> Result<(), IoError> {
        if files.len() != self.shards().len() {
            let (files, shards) = (files.len(), self.shards().len());
            let problem = format!("has {shards} shards, but {files} files of arrays are given");
            return Err(IoError::new(Kind::Disagree, self.path(), problem, "give one a shard"));
        }
        for (shard, file) in self.listing.shards.iter_mut().zip(&files) {
            self.listing.watched.push(Watched::of(file)?);
            shard.files.push(file.clone());
        }
        self.listing.watched.sort_unstable();
        self.listing.joined = files;
        Ok(())
    }

    /// Adds rows that cannot be used; of a row that is known to have a fault that one stays. A later row
    /// of the same id is no longer a repeat.
    pub fn add_faults(&mut self, faults: impl IntoIterator<Item = (usize, Fault)>) {
        let known = &mut self.listing.faults;
        known.retain(|&(_, fault)| fault != Fault::DuplicateId);
        known.extend(faults);
        // The first found stays; the sort is stable.
        known.sort_by_key(|&(row, _)| row);
        known.dedup_by_key(|(row, _)| *row);
        self.listing.add_duplicates();
    }

    /// Where the embeddings of a shard lie.
    pub(super) fn places(&self, shard: usize) -> Result<Vec<(String, Place)>, IoError> {
        let mut places = self.listing.open[shard].get()?.embeddings()?;
        let Some(file) = self.listing.joined.get(shard) else { return Ok(places) };
        let here: BTreeSet<String> = places.iter().map(|(name, _)| name.clone()).collect();
        for (name, place) in places_in(file)? {
            if here.contains(&name) {
                let shard = self.shards()[shard].files[0].display().to_string();
                let problem = format!("has an array `{name}`, and so has {shard}");
                let remedy = "give one of them another name";
                return Err(IoError::new(Kind::Disagree, file, problem, remedy));
            }
            places.push((name, place));
        }
        Ok(places)
    }
}
