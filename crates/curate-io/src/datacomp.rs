//! DataComp's layout: `metadata/NAME.parquet` beside `NAME.npz`, rows in the same order, and
//! `shards/*.tar` where the images were downloaded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use curate_core::{NoProgress, Progress, SampleId, fault::Fault};
use rayon::prelude::*;

use crate::{
    IoError, Sample, digest,
    pool::{BadShards, Listing, Shard, ShardIds, ShardRule, no_column, shard_files, stem},
    table::Reader,
    webdataset::WebDataset,
};

/// Beyond so many shards the images are not looked for: finding one by its id reads the list of
/// members of every shard.
const MOST_IMAGE_SHARDS: usize = 200;

/// The files of a pool in DataComp's layout.
pub(crate) struct DataComp {
    tables: Vec<PathBuf>,
    /// The folder of the image shards, if there is one.
    shards: Option<PathBuf>,
    images: OnceLock<Option<Images>>,
}

/// Where the image of each id is.
struct Images {
    pool: WebDataset,
    rows: BTreeMap<SampleId, usize>,
    listing: Listing,
}

impl DataComp {
    pub(crate) fn open(
        path: &Path,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
    ) -> Result<(Listing, Self), IoError> {
        let metadata = path.join("metadata");
        let folder = if metadata.is_dir() { metadata } else { path.to_owned() };
        let files = shard_files(&folder, "parquet")?;
        let read = |file: &Path| Ok((read_ids(file)?, ()));
        let (listing, read) = Listing::read("read metadata", files, rule, progress, read)?;
        let shards =
            [path.join("shards"), folder.join("../shards")].into_iter().find(|s| s.is_dir());
        let tables = read.into_iter().map(|(file, ())| file).collect();
        Ok((listing, Self { tables, shards, images: OnceLock::new() }))
    }

    pub(crate) fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        self.tables.first().map_or(Ok(vec![]), |file| Ok(Reader::open(file)?.numeric_columns()))
    }

    pub(crate) fn column(&self, name: &str) -> Result<Vec<f32>, IoError> {
        let shards: Vec<_> = self
            .tables
            .par_iter()
            .map(|file| {
                let reader = Reader::open(file)?;
                let there = reader.numeric_columns();
                if !reader.columns().iter().any(|column| column == name) {
                    return Err(no_column(file, name, &there));
                }
                reader.f32(name)
            })
            .collect();
        Ok(shards.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(crate) fn labels(&self, field: &str) -> Result<Vec<Option<String>>, IoError> {
        let shards: Vec<_> = self
            .tables
            .par_iter()
            .map(|file| {
                let reader = Reader::open(file)?;
                match reader.text_columns().iter().any(|column| column == field) {
                    true => reader.text(field, None),
                    false => Ok(vec![None; reader.rows()]),
                }
            })
            .collect();
        Ok(shards.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(crate) fn samples(
        &self,
        listing: &Listing,
        rows: &[usize],
        images: bool,
    ) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        for (shard, file) in listing.shards.iter().zip(&self.tables) {
            let from = rows.partition_point(|&row| row < shard.rows.start);
            let to = rows.partition_point(|&row| row < shard.rows.end);
            if from < to {
                let local: Vec<usize> =
                    rows[from..to].iter().map(|row| row - shard.rows.start).collect();
                samples.extend(read_samples(file, shard, &local, &listing.ids)?);
            }
        }
        if images {
            self.add_images(&mut samples)?;
        }
        Ok(samples)
    }

    fn add_images(&self, samples: &mut [Sample]) -> Result<(), IoError> {
        let Some(images) = self.images.get_or_init(|| self.find_images()) else { return Ok(()) };
        for sample in samples {
            let Some(&row) = images.rows.get(&sample.id) else { continue };
            let found = images.pool.samples(&images.listing, &[row], true)?.swap_remove(0);
            sample.key = found.key;
            sample.image = found.image;
        }
        Ok(())
    }

    /// Images are for looking at: shards that cannot be read cost their images, not the run.
    fn find_images(&self) -> Option<Images> {
        let folder = self.shards.as_ref()?;
        if shard_files(folder, "tar").ok()?.len() > MOST_IMAGE_SHARDS {
            return None;
        }
        let rule = ShardRule { bad_shards: BadShards::Skip, embeddings: &[] };
        let (listing, pool) = WebDataset::open(folder, rule, &NoProgress).ok()?;
        let rows = listing.ids.iter().enumerate().map(|(row, &id)| (id, row)).collect();
        Some(Images { pool, rows, listing })
    }
}

/// The ids of one metadata table.
fn read_ids(file: &Path) -> Result<ShardIds, IoError> {
    let reader = Reader::open(file)?;
    let mut found = ShardIds::default();
    reader.each_text("uid", None, |uid| {
        let row = found.ids.len();
        let id = uid.and_then(|uid| uid.parse().ok());
        if id.is_none() {
            found.faults.push((row, Fault::MalformedId));
        }
        found.ids.push(id.unwrap_or_else(|| substitute_id(file, row)));
    })?;
    if reader.text_columns().iter().any(|column| column == "text") {
        let mut row = 0;
        reader.each_text("text", None, |text| {
            if text.is_none() {
                found.faults.push((row, Fault::CaptionMissing));
            }
            row += 1;
        })?;
    }
    found.faults.sort_by_key(|&(row, _)| row);
    Ok(found)
}

/// An id for a row that has none, so that evidence can name it.
pub(crate) fn substitute_id(file: &Path, row: usize) -> SampleId {
    id_of_text(&format!("{}/{row}", stem(file)))
}

/// The first 128 bits of the SHA-256 of a text.
pub fn id_of_text(text: &str) -> SampleId {
    digest::of_bytes(text.as_bytes())[..32].parse().expect("a digest is hexadecimal")
}

pub(crate) fn read_samples(
    file: &Path,
    shard: &Shard,
    rows: &[usize],
    ids: &[SampleId],
) -> Result<Vec<Sample>, IoError> {
    let reader = Reader::open(file)?;
    let mut samples: Vec<Sample> = rows
        .iter()
        .map(|row| Sample {
            id: ids[shard.rows.start + row],
            shard: shard.name.clone(),
            ..Sample::default()
        })
        .collect();
    for column in reader.text_columns().iter().filter(|column| *column != "uid") {
        for (sample, value) in samples.iter_mut().zip(reader.text(column, Some(rows))?) {
            match (column.as_str(), value) {
                ("text", caption) => sample.caption = caption,
                (name, Some(value)) => drop(sample.fields.insert(name.to_owned(), value)),
                _ => {}
            }
        }
    }
    Ok(samples)
}
