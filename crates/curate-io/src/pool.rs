//! A pool of samples: ids, captions and images on demand, columns and named embeddings.

mod images;
mod joined;
mod labels;
mod listed;
mod remembered;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use curate_core::{NoProgress, Progress, SampleId, ScoreColumn, Selection, fault::Fault};

use crate::{
    arrays_beside::array_of,
    error::{IoError, Kind},
    ids::IdOrigins,
    layout::{Detail, FilesWanted, Numbers},
    layouts::detect,
    listing::{Listing, ShardRule},
    restarts::Restarts,
    url::{self, UrlOptions, is_url},
    vectors::{Embedding, list},
    watched::Watched,
};

pub use crate::{
    layouts::Format,
    shard::{BadShards, IdsFrom, Sample, Shard, SkippedShard},
};

use images::{Images, image_files};
pub use labels::LabelCounts;

use remembered::Remembered;

/// How to open a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolOptions {
    /// The layout; `None` looks at the files.
    pub format: Option<Format>,
    /// What to do with a shard that cannot be read.
    pub bad_shards: BadShards,
    /// What ids are made from where samples have keys alone. `None` is the key, and an error where
    /// keys begin anew in every shard.
    pub ids: Option<IdsFrom>,
}

/// A pool of samples on disk.
pub struct Pool {
    path: PathBuf,
    format: Format,
    listing: Listing,
    /// The shards of images where its own have none, and what was found there.
    image_shards: Option<PathBuf>,
    images: OnceLock<Option<Images>>,
    embeddings: Remembered,
}

impl Pool {
    /// Opens a pool: reads every shard's ids, finds missing, damaged and disagreeing files, and
    /// lists rows that cannot be used.
    ///
    /// `path` is a folder, a single file, or a pattern such as `shards/{00000..00099}.tar`, of
    /// which every file must exist.
    ///
    /// # Errors
    /// When there is no pool there, or a shard cannot be read and [`BadShards::Error`] holds.
    pub fn open(
        path: &Path,
        options: PoolOptions,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        if is_url(path) {
            let wanted = FilesWanted::Embeddings;
            return Self::open_url(path, options, wanted, &UrlOptions::from_env(), progress);
        }
        Self::open_here(path, path, options, &[], None, progress)
    }

    /// Opens one of the [`pieces`](crate::pieces) of a pool under the name that its shard has there: see
    /// [`shard_names`](crate::shard_names).
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub fn open_piece(piece: &Path, name: &str, options: PoolOptions) -> Result<Self, IoError> {
        Self::open_here(piece, piece, options, &[], Some(name), &NoProgress)
    }

    /// Opens a pool of which these embeddings will be asked for: with [`BadShards::Skip`], a shard
    /// whose part of one of them cannot be read is left out too.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub fn open_with(
        path: &Path,
        options: PoolOptions,
        embeddings: &[&str],
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        if !is_url(path) {
            return Self::open_here(path, path, options, embeddings, None, progress);
        }
        let wanted =
            if embeddings.is_empty() { FilesWanted::Tables } else { FilesWanted::Embeddings };
        let access = UrlOptions::from_env();
        let here = url::local_with(path, options.format, wanted, &access, progress)?;
        Self::open_here(path, &here, options, embeddings, None, progress)
    }

    /// Opens a pool behind a URL with options of the caller's instead of the environment's.
    ///
    /// # Errors
    /// As [`Pool::open`], and as [`url::local_with`].
    pub fn open_url(
        url: &Path,
        options: PoolOptions,
        wanted: FilesWanted,
        access: &UrlOptions,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        let here = url::local_with(url, options.format, wanted, access, progress)?;
        Self::open_here(url, &here, options, &[], None, progress)
    }

    /// Opens what lies `here`, on this machine, under the name that the caller knows it by.
    fn open_here(
        name: &Path,
        path: &Path,
        options: PoolOptions,
        embeddings: &[&str],
        shard: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        let format = options.format.map_or_else(|| detect(path), Ok)?;
        let (bad_shards, ids) = (options.bad_shards, options.ids);
        let rule = ShardRule { bad_shards, embeddings, ids, name: shard };
        let layout = format.layout();
        let mut listing = Listing::read(layout, path, rule, progress)?;
        if listing.shards.is_empty() {
            let reasons: Vec<_> =
                listing.skipped.iter().map(|s| format!("{}: {}", s.name, s.reason)).collect();
            let problem = format!("has no shard that can be read ({})", reasons.join("; "));
            return Err(IoError::malformed(path, problem));
        }
        listing.add_duplicates();
        listing.watched.sort_unstable();
        let image_shards = layout.image_shards(path);
        let (images, embeddings) = (OnceLock::new(), Remembered::default());
        Ok(Self { path: name.to_owned(), format, listing, image_shards, images, embeddings })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the pool lies on disk.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of rows, those with faults included.
    pub fn len(&self) -> usize {
        self.listing.ids.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.listing.ids.is_empty()
    }

    /// The id of each row. A row whose id is malformed has one of its own, a hash of its place.
    pub fn ids(&self) -> &[SampleId] {
        &self.listing.ids
    }

    /// Where the ids come from.
    pub fn id_origins(&self) -> IdOrigins {
        self.listing.origins
    }

    /// The row of an id; of a repeated id the first that can be used.
    pub fn row_of(&self, id: SampleId) -> Option<usize> {
        let faults = self.faults();
        let usable = |row: &usize| faults.binary_search_by_key(row, |&(row, _)| row).is_err();
        let mut rows = self.ids().iter().enumerate().filter(|&(_, &other)| other == id);
        let first = rows.next()?.0;
        Some(std::iter::once(first).chain(rows.map(|(row, _)| row)).find(usable).unwrap_or(first))
    }

    /// The shards in row order.
    pub fn shards(&self) -> &[Shard] {
        &self.listing.shards
    }

    /// Shards that were left out.
    pub fn skipped(&self) -> &[SkippedShard] {
        &self.listing.skipped
    }

    /// Adds the keys of the first shard to those of others that were opened apart.
    pub fn add_keys_to(&self, restarts: &mut Restarts) {
        if let Some(shard) = self.shards().first() {
            restarts.add_keys(&shard.name, &self.listing.restarts.first);
        }
    }

    /// What a person should know of files whose rows can be used all the same: files that were passed
    /// over, members that repeat, a shard that may be cut off, what is wrong with a record.
    pub fn notes(&self) -> &[String] {
        &self.listing.notes
    }

    /// Rows that cannot be used, in row order, at most one fault per row: malformed ids, repeats of an
    /// earlier id, samples without a caption or an image, records that are no JSON.
    pub fn faults(&self) -> &[(usize, Fault)] {
        &self.listing.faults
    }

    /// The names of the embeddings that every shard has, sorted: arrays of two axes, and columns of
    /// vectors.
    ///
    /// # Errors
    /// When an npz file cannot be read.
    pub fn embedding_names(&self) -> Result<Vec<String>, IoError> {
        let mut common: Option<Vec<String>> = None;
        for at in 0..self.shards().len() {
            let there = self.places(at)?.into_iter().filter(|(_, place)| place.is_sure());
            let names: Vec<String> = there.map(|(name, _)| name).collect();
            common = Some(match common {
                Some(common) => common.into_iter().filter(|name| names.contains(name)).collect(),
                None => names,
            });
        }
        let mut names = common.unwrap_or_default();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The embedding `name`, one vector per row. It is opened once and remembered, with its files
    /// open and what had to be unpacked in a temporary file, until the pool is dropped.
    ///
    /// # Errors
    /// When a shard lacks it, its rows are not those of the shard, or widths differ.
    pub fn embedding(&self, name: &str) -> Result<Embedding, IoError> {
        self.embeddings.get(name, || {
            let arrays = self.shards().iter().enumerate().map(|(at, shard)| {
                array_of(name, &shard.files[0], shard.rows.len(), self.places(at)?)
            });
            Embedding::new(arrays.collect::<Result<_, _>>()?)
        })
    }

    /// The names of the columns of numbers.
    ///
    /// # Errors
    /// When the first shard cannot be read.
    pub fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        for shard in &self.listing.open {
            if let Some(names) = shard.get()?.numeric_columns()? {
                return Ok(names);
            }
        }
        Ok(Vec::new())
    }

    /// Finds a misspelt column before anything is computed, where tables say which columns they have. Records
    /// need not have all the same ones: in JSON lines and tar shards every name passes.
    ///
    /// # Errors
    /// When no shard has such a column of numbers, or one cannot be read.
    pub fn expect_column(&self, name: &str) -> Result<(), IoError> {
        if matches!(self.format, Format::Jsonl | Format::Webdataset) {
            return Ok(());
        }
        let mut there = None;
        for shard in &self.listing.open {
            let names = shard.get()?.numeric_columns()?.unwrap_or_default();
            if names.iter().any(|there| there == name) {
                return Ok(());
            }
            there.get_or_insert(names);
        }
        there.map_or(Ok(()), |there| Err(self.no_column(0, name, there)))
    }

    /// A column of numbers, one per row; NaN where there is none. In the least precision
    /// that holds those of every shard.
    ///
    /// # Errors
    /// When a shard lacks the column, or it holds something else.
    pub fn column(&self, name: &str) -> Result<ScoreColumn, IoError> {
        let shards = self.listing.each_shard(|_, shard| shard.column(name))?;
        let said = shards.iter().any(|numbers| matches!(numbers, Numbers::Values(_)));
        let mut parts = Vec::with_capacity(shards.len());
        for (at, numbers) in shards.into_iter().enumerate() {
            let rows = self.shards()[at].rows.len();
            match numbers {
                Numbers::Values(numbers) => {
                    self.listing.check_rows(at, numbers.len())?;
                    parts.push(numbers);
                }
                Numbers::Unsaid if said || self.is_empty() => {
                    parts.push(ScoreColumn::missing(rows));
                }
                Numbers::Unsaid => return Err(self.no_column(at, name, self.numeric_columns()?)),
                Numbers::Missing => {
                    let there = self.listing.open[at].get()?.numeric_columns().ok().flatten();
                    return Err(self.no_column(at, name, there.unwrap_or_default()));
                }
            }
        }
        Ok(ScoreColumn::concat(&parts))
    }

    /// An error about a column that a shard lacks.
    fn no_column(&self, shard: usize, name: &str, there: Vec<String>) -> IoError {
        let path = match self.listing.open[shard].get() {
            Ok(open) => open.path(),
            Err(e) => return e,
        };
        if there.is_empty() {
            let problem = format!("has no numbers `{name}`, and no others");
            let remedy = "take them from a table of scores by id, or compute them from embeddings";
            return IoError::new(Kind::NotFound, path, problem, remedy);
        }
        let problem = format!("has no numbers `{name}`; it has {}", list(&there));
        IoError::new(Kind::NotFound, path, problem, "name one of those")
    }

    /// A field of text, one per row, for example the source of each sample; all `None` where the pool
    /// has no such field.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub fn labels(&self, field: &str) -> Result<Vec<Option<String>>, IoError> {
        labels::read(&self.listing, field)
    }

    /// How many rows have each text of a field, and how many of those are in `kept`; rows without a text
    /// under `None`. `None` for a field of more than `most` different texts, which are no labels. Memory:
    /// that of the counts.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub fn count_labels(
        &self,
        field: &str,
        kept: &Selection,
        most: usize,
    ) -> Result<Option<LabelCounts>, IoError> {
        labels::count(&self.listing, field, kept, most)
    }

    /// What a person wants to see of some rows, in the order given, without their images.
    ///
    /// # Errors
    /// When a row is not one of the pool's, or a shard cannot be read.
    pub fn samples(&self, rows: &[usize]) -> Result<Vec<Sample>, IoError> {
        self.in_order(rows, |ascending| self.listing.samples(ascending, Detail::Text))
    }

    /// Whether samples may come with images: false where the pool is tables and arrays alone.
    pub fn may_have_images(&self) -> bool {
        self.format == Format::Webdataset || self.image_shards.is_some()
    }

    /// As [`Pool::samples`], with the bytes of their image files where the pool has them.
    ///
    /// # Errors
    /// As [`Pool::samples`].
    pub fn samples_with_images(&self, rows: &[usize]) -> Result<Vec<Sample>, IoError> {
        self.in_order(rows, |ascending| {
            let mut found = self.listing.samples(ascending, Detail::TextAndImage)?;
            if let Some(shards) = &self.image_shards
                && let Some(images) = self.images.get_or_init(|| Images::find(shards))
            {
                images.add(&mut found)?;
            }
            Ok(found)
        })
    }

    /// Reads samples in the order of the pool, which opens each shard once, and gives them out in the
    /// order of `rows`.
    fn in_order(
        &self,
        rows: &[usize],
        read: impl FnOnce(&[usize]) -> Result<Vec<Sample>, IoError>,
    ) -> Result<Vec<Sample>, IoError> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.len()) {
            let problem = format!("has no row {row}; it has {} rows", self.len());
            return Err(IoError::new(Kind::NotFound, &self.path, problem, "count rows from 0"));
        }
        // Samples hold their images' bytes: they are moved, and copied only where a row is asked for
        // twice.
        if rows.is_sorted_by(|a, b| a < b) {
            return read(rows);
        }
        let mut ascending = rows.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        let at = |row| ascending.partition_point(|&other| other < row);
        let mut left = vec![0_usize; ascending.len()];
        rows.iter().for_each(|&row| left[at(row)] += 1);
        let mut found = read(&ascending)?;
        let give = |&row| {
            let place = at(row);
            left[place] -= 1;
            let sample = &mut found[place];
            if left[place] == 0 { std::mem::take(sample) } else { sample.clone() }
        };
        Ok(rows.iter().map(give).collect())
    }

    /// The shards in which the images lie, where they are not in those of the pool.
    pub fn image_files(&self) -> Vec<PathBuf> {
        self.image_shards.as_deref().map_or_else(Vec::new, image_files)
    }

    /// All files of the pool that were read, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.watched().iter().map(|file| file.path.clone()).collect()
    }

    /// All files of the pool, sorted by path, as they were before they were read.
    pub fn watched(&self) -> &[Watched] {
        &self.listing.watched
    }
}
