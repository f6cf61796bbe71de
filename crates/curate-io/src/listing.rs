//! The rows of a pool, shard by shard, and what is wrong with them.

use std::path::{Path, PathBuf};

use curate_core::{Progress, SampleId, fault::Fault, guard};
use rayon::prelude::*;

use crate::{
    arrays_beside::array_of,
    error::{IoError, Kind},
    ids::{IdOrigins, id_in_shard},
    layout::{Detail, Layout, OpenShard, RowIds, ShardRows, is_blank},
    lazy_shard::LazyShard,
    repeats::rows_of_repeated,
    restarts::Restarts,
    shard::{BadShards, IdsFrom, Sample, Shard, SkippedShard, rows_within},
    shard_files::{passed_over, shard_names},
    watched::Watched,
};

/// The shards of a pool, and what is known of their rows.
#[derive(Default)]
pub(crate) struct Listing {
    /// What the layout takes for shards, those that were left out included.
    pub(crate) found: Vec<PathBuf>,
    pub(crate) shards: Vec<Shard>,
    /// As many, in the same order.
    pub(crate) open: Vec<LazyShard>,
    /// As many npz files of other folders, or none.
    pub(crate) joined: Vec<PathBuf>,
    pub(crate) skipped: Vec<SkippedShard>,
    pub(crate) ids: Vec<SampleId>,
    pub(crate) faults: Vec<(usize, Fault)>,
    /// What a person should know of files whose rows can be used all the same.
    pub(crate) notes: Vec<String>,
    pub(crate) restarts: Restarts,
    /// The files of all shards, as they were before they were read.
    pub(crate) watched: Vec<Watched>,
    pub(crate) origins: IdOrigins,
}

/// Which shards are taken.
#[derive(Clone, Copy)]
pub(crate) struct ShardRule<'a> {
    pub(crate) bad_shards: BadShards,
    /// The embeddings that a shard must have.
    pub(crate) embeddings: &'a [&'a str],
    pub(crate) ids: Option<IdsFrom>,
    /// The name of the one shard, where it is a part of a larger pool.
    pub(crate) name: Option<&'a str>,
}

impl ShardRule<'_> {
    /// An error unless the shard has the embeddings asked for. Where a bad shard is an error, it
    /// comes when the embedding is opened.
    fn check(self, file: &Path, rows: usize, shard: &dyn OpenShard) -> Result<(), IoError> {
        if self.bad_shards == BadShards::Skip {
            for name in self.embeddings {
                array_of(name, file, rows, shard.embeddings()?)?;
            }
        }
        Ok(())
    }
}

impl Listing {
    /// Opens all shards of a pool in parallel and lists their rows in order of the files.
    pub(crate) fn read(
        layout: &'static dyn Layout,
        path: &Path,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        let files = layout.shards(path)?;
        progress.start(layout.task(), files.len() as u64, "shards");
        let found: Vec<_> = files
            .par_iter()
            .map(|file| {
                progress.check().map_err(|_| IoError::cancelled(file))?;
                let found = open(layout, file, rule);
                progress.advance(1);
                found
            })
            .collect();
        progress.finish();
        let mut listing = Self { found: files.clone(), ..Self::default() };
        let names = match rule.name.filter(|_| files.len() == 1) {
            Some(name) => vec![name.to_owned()],
            None => shard_names(&files),
        };
        for ((file, name), found) in files.into_iter().zip(names).zip(found) {
            match found {
                Ok(found) => listing.add(layout, (file, name), found, rule.ids)?,
                Err(e) if rule.bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                    listing.skipped.push(SkippedShard { name, reason: e.problem });
                }
                Err(e) => return Err(e),
            }
        }
        if rule.ids.is_none() {
            listing.restarts.check(path)?;
        }
        let first = listing.shards.first().and_then(|shard| shard.files.first());
        listing.notes.extend(passed_over(path, first));
        Ok(listing)
    }

    fn add(
        &mut self,
        layout: &'static dyn Layout,
        (file, name): (PathBuf, String),
        (watched, found, open): Opened,
        ids: Option<IdsFrom>,
    ) -> Result<(), IoError> {
        let first = self.ids.len();
        let rows = first..first + found.ids.len();
        self.origins.add(match &found.ids {
            RowIds::Numbered(rows) => IdOrigins { numbered: *rows, ..IdOrigins::default() },
            RowIds::Keyed(..) if ids == Some(IdsFrom::ShardAndKey) => {
                let IdOrigins { key, hashed, .. } = found.origins;
                IdOrigins { key: 0, hashed: key + hashed, ..found.origins }
            }
            _ => found.origins,
        });
        match found.ids {
            RowIds::Named(ids) => self.ids.extend(ids),
            RowIds::Keyed(found, keyed) if ids == Some(IdsFrom::ShardAndKey) => {
                let found = found.into_iter().zip(keyed);
                self.ids.extend(found.map(|(id, keyed)| match keyed {
                    true => id_in_shard(&name, id),
                    false => id,
                }));
            }
            RowIds::Keyed(found, keyed) => {
                self.restarts.add(&name, &found, &keyed);
                self.ids.extend(found);
            }
            RowIds::Numbered(_) => self.ids.extend(rows.clone().map(|row| SampleId(row as u128))),
        }
        self.faults.extend(found.faults.into_iter().map(|(row, fault)| (first + row, fault)));
        self.notes.extend(open.notes().iter().map(|note| format!("{}: {note}", file.display())));
        let files = files_of(layout, &file);
        self.watched.push(watched);
        for beside in &files[1..] {
            self.watched.push(Watched::of(beside)?);
        }
        self.open.push(LazyShard::opened(layout, file, rows.len(), open));
        self.shards.push(Shard { name, rows, files });
        Ok(())
    }

    /// Asks all open shards in parallel, each with its place, for answers in their order.
    pub(crate) fn each_shard<T: Send>(
        &self,
        ask: impl Fn(usize, &dyn OpenShard) -> Result<T, IoError> + Sync,
    ) -> Result<Vec<T>, IoError> {
        let answers: Vec<Result<T, IoError>> = self
            .open
            .par_iter()
            .enumerate()
            .map(|(at, shard)| guarded(shard.file(), || ask(at, shard.get()?)))
            .collect();
        answers.into_iter().collect()
    }

    /// An error unless a shard gave a value for every row that was listed.
    pub(crate) fn check_rows(&self, shard: usize, values: usize) -> Result<(), IoError> {
        let shard = &self.shards[shard];
        if values == shard.rows.len() {
            return Ok(());
        }
        let problem = "changed while it was read: it has other rows now";
        Err(IoError::new(Kind::Disagree, &shard.files[0], problem, "start again"))
    }

    /// The samples of ascending rows.
    pub(crate) fn samples(&self, rows: &[usize], detail: Detail) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        for (at, (shard, open)) in self.shards.iter().zip(&self.open).enumerate() {
            let local = rows_within(rows, &shard.rows);
            if local.is_empty() {
                continue;
            }
            let found = guarded(open.file(), || open.get()?.samples(&local, detail))?;
            if found.len() < local.len() {
                self.check_rows(at, found.len())?;
            }
            for (mut sample, row) in found.into_iter().zip(local) {
                sample.caption.take_if(|caption| is_blank(caption));
                sample.id = self.ids[shard.rows.start + row];
                sample.shard.clone_from(&shard.name);
                samples.push(sample);
            }
        }
        Ok(samples)
    }

    /// Marks later rows with the id of an earlier one that can be used.
    pub(crate) fn add_duplicates(&mut self) {
        let repeated = rows_of_repeated(&self.ids);
        self.faults.sort_by_key(|&(row, _)| row);
        let is_faulty =
            |row: usize| self.faults.binary_search_by_key(&row, |&(row, _)| row).is_ok();
        let mut repeats = Vec::new();
        for rows in repeated.chunk_by(|&a, &b| self.ids[a] == self.ids[b]) {
            // The first that can be used stays; one with a fault of its own is named by that.
            let mut usable = rows.iter().copied().filter(|&row| !is_faulty(row));
            let _stays = usable.next();
            repeats.extend(usable.map(|row| (row, Fault::DuplicateId)));
        }
        self.faults.extend(repeats);
        // One fault per row: the first found, that is, the one of the row itself. The sort is stable.
        self.faults.sort_by_key(|&(row, _)| row);
        self.faults.dedup_by_key(|(row, _)| *row);
    }
}

/// A shard's file, and those beside it that belong to its rows.
pub(crate) fn files_of(layout: &dyn Layout, file: &Path) -> Vec<PathBuf> {
    let beside = layout.companions(file).into_iter();
    let beside = beside.filter(|other| *other != file && other.exists());
    std::iter::once(file.to_owned()).chain(beside).collect()
}

/// A panic of another's reader is an error about its file.
fn guarded<T>(file: &Path, read: impl FnOnce() -> Result<T, IoError>) -> Result<T, IoError> {
    guard::guarded(read).unwrap_or_else(|message| {
        Err(IoError::malformed(file, format!("made its reader fail inside: {message}")))
    })
}

/// A shard as it was before it was read, and what was read.
type Opened = (Watched, ShardRows, Box<dyn OpenShard>);

fn open(layout: &dyn Layout, file: &Path, rule: ShardRule<'_>) -> Result<Opened, IoError> {
    if !file.exists() {
        return Err(layout.lost(file));
    }
    let watched = Watched::of(file)?;
    let (rows, shard) = guarded(file, || layout.open(file))?;
    rule.check(file, rows.ids.len(), &*shard)?;
    Ok((watched, rows, shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_later_repeats_of_an_id_are_faults() {
        let mut listing = Listing {
            ids: [5, 3, 5, 5, 7, 7, 7].map(SampleId).to_vec(),
            faults: vec![(2, Fault::CaptionMissing), (4, Fault::ImageMissing)],
            ..Listing::default()
        };
        listing.add_duplicates();
        let expected = [
            (2, Fault::CaptionMissing),
            (3, Fault::DuplicateId),
            (4, Fault::ImageMissing),
            (6, Fault::DuplicateId),
        ];
        assert_eq!(listing.faults, expected);
    }
}
