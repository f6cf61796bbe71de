//! Reading what [`Embed`](super::Embed) wrote.

use std::{
    iter::Peekable,
    path::{Path, PathBuf},
};

use curate_core::{EmbeddingSource, SampleId};
use curate_io::{Embedding, IoError, Kind, manifest::Work, npz::Npz, stamp::Check, table};

use crate::filter::{
    BadPair,
    out_folder::{Manifest, file_name, scored_shards},
    record::Files,
};

/// The folder of an embedded pool: its shards in the order of the pool, opened one at a time.
pub struct Embedded {
    folder: PathBuf,
    name: String,
    /// Name and rows of each shard.
    shards: Vec<(String, usize)>,
}

/// One shard of an [`Embedded`] pool.
pub struct EmbeddedShard {
    /// Embeddings of the images; NaN where a row was bad.
    pub images: Embedding,
    /// Embeddings of the texts.
    pub texts: Embedding,
    /// The ids.
    pub ids: Vec<SampleId>,
    /// The cosine of each pair; NaN where a row was bad.
    pub scores: Vec<f32>,
}

impl Embedded {
    /// Opens the folder of an embedded pool. `name` is that of the embeddings. Its files are believed by
    /// their lengths and 64 KiB of each.
    ///
    /// # Errors
    /// When there is no embedded shard, when one is not finished, is missing, or is not the one that was
    /// written, or when there is one that is not of this embedding. Early versions wrote no manifest: what
    /// lies in such a folder is taken for all.
    pub fn open(folder: &Path, name: &str) -> Result<Self, IoError> {
        Self::open_checked(folder, name, Check::Sample)
    }

    /// [`Embedded::open`], with its files compared as thoroughly as `check` says.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_checked(folder: &Path, name: &str, check: Check) -> Result<Self, IoError> {
        let shards = match Manifest::read(folder)? {
            Some(manifest) => {
                manifest.contents.check(folder, Work::Embedding)?;
                manifest.check_foreign(folder)?;
                manifest.contents.check_bytes(folder, Work::Embedding, check)?;
                manifest.contents.shards.into_iter().map(|shard| (shard.name, shard.rows)).collect()
            }
            None => Self::without_manifest(folder)?,
        };
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), shards })
    }

    /// The shards of a folder that an early version wrote.
    fn without_manifest(folder: &Path) -> Result<Vec<(String, usize)>, IoError> {
        let names = scored_shards(folder)?;
        if names.is_empty() {
            let remedy = "embed a pool into it first";
            return Err(IoError::new(Kind::NotFound, folder, "holds no embedded shard", remedy));
        }
        let remedy = "run the embedding again to finish it";
        let mut shards = Vec::with_capacity(names.len());
        for shard in names {
            let files = Files::new(folder, &shard);
            let Some(record) = files.record()? else {
                return Err(IoError::new(Kind::Truncated, &files.record, "is missing", remedy));
            };
            if !record.is_early() {
                let manifest = folder.join(Work::Embedding.file());
                let problem = "is missing or damaged: it says which shards there should be";
                let remedy = "remove it if it is there, and run the embedding again";
                return Err(IoError::new(Kind::Truncated, manifest, problem, remedy));
            }
            shards.push((shard, record.rows));
        }
        Ok(shards)
    }

    /// The shard of this name.
    pub fn shard_named(&self, name: &str) -> Option<usize> {
        let name = file_name(name);
        self.shards.iter().position(|(other, _)| *other == name)
    }

    /// The npz file of a shard, with its arrays `NAME_img` and `NAME_txt`.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn arrays(&self, shard: usize) -> Result<PathBuf, IoError> {
        Ok(Files::new(&self.folder, self.named(shard)?.0).arrays)
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shards.iter().map(|(_, rows)| rows).sum()
    }

    /// Number of rows of a shard.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn shard_rows(&self, shard: usize) -> Result<usize, IoError> {
        Ok(self.named(shard)?.1)
    }

    /// Opens a shard.
    ///
    /// # Errors
    /// When a file is missing, damaged, or has other embeddings or rows.
    pub fn shard(&self, shard: usize) -> Result<EmbeddedShard, IoError> {
        let (name, rows) = self.named(shard)?;
        let files = Files::new(&self.folder, name);
        let mut npz = Npz::open(&files.arrays)?;
        let images = Embedding::new(vec![npz.array(&format!("{}_img", self.name))?])?;
        let texts = Embedding::new(vec![npz.array(&format!("{}_txt", self.name))?])?;
        let ScoreTable { ids, scores } = self.scored(shard)?;
        for (file, found) in [(&files.arrays, images.rows()), (&files.arrays, texts.rows())] {
            if found != rows {
                let problem = format!("has {found} rows, but its record says {rows}");
                let remedy = "embed the shard again";
                return Err(IoError::new(Kind::Disagree, file, problem, remedy));
            }
        }
        Ok(EmbeddedShard { images, texts, ids, scores })
    }

    /// The ids and cosines of a shard.
    ///
    /// # Errors
    /// When its table is missing or damaged.
    pub fn scored(&self, shard: usize) -> Result<ScoreTable, IoError> {
        let (name, rows) = self.named(shard)?;
        let files = Files::new(&self.folder, name);
        let reader = table::Reader::open(&files.scores)?;
        let ids = ids_of(&files.scores, &reader)?;
        let table = ScoreTable { ids, scores: reader.f32("score")? };
        if table.ids.len() != rows {
            let problem = format!("has {} rows, but its record says {rows}", table.ids.len());
            let remedy = "embed the shard again";
            return Err(IoError::new(Kind::Disagree, &files.scores, problem, remedy));
        }
        Ok(table)
    }

    /// The pairs of a shard that could not be embedded, with their rows counted from the shard's first.
    ///
    /// # Errors
    /// When its record or its table is missing or damaged.
    pub fn bad(&self, shard: usize) -> Result<Vec<BadPair>, IoError> {
        let (name, _) = self.named(shard)?;
        let record = Files::new(&self.folder, name).record()?;
        let mut bad = record.map(|record| record.bad).unwrap_or_default().into_iter().peekable();
        if bad.peek().is_none() {
            return Ok(Vec::new());
        }
        let ScoreTable { ids, scores } = self.scored(shard)?;
        let rows = ids.iter().zip(&scores).enumerate().filter(|(_, (_, score))| score.is_nan());
        let pairs = rows.filter_map(|(row, (id, _))| {
            let bad = bad.next_if(|bad| bad.id == *id)?;
            Some(BadPair { row, bad })
        });
        Ok(pairs.collect())
    }

    /// Name and rows of a shard.
    fn named(&self, shard: usize) -> Result<(&str, usize), IoError> {
        if let Some((name, rows)) = self.shards.get(shard) {
            return Ok((name, *rows));
        }
        let problem = format!("has no shard {shard}: there are {}", self.shards.len());
        Err(IoError::new(Kind::NotFound, &self.folder, problem, "count shards from 0"))
    }

    /// Images, texts and ids of all shards as one. Every shard's file stays open.
    ///
    /// # Errors
    /// As [`Embedded::shard`].
    pub fn whole(&self) -> Result<(Embedding, Embedding, Vec<SampleId>), IoError> {
        let (mut images, mut texts, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (shard, (name, _)) in self.shards.iter().enumerate() {
            let mut npz = Npz::open(&Files::new(&self.folder, name).arrays)?;
            images.push(npz.array(&format!("{}_img", self.name))?);
            texts.push(npz.array(&format!("{}_txt", self.name))?);
            ids.extend(self.scored(shard)?.ids);
        }
        Ok((Embedding::new(images)?, Embedding::new(texts)?, ids))
    }
}

/// Finds the bad pairs of an embedded pool while someone walks its rows, a shard's at a time.
pub(super) struct BadWalk<'a> {
    embedded: &'a Embedded,
    next_shard: usize,
    /// The first row of the shard that is walked, and the one behind its last.
    start: usize,
    end: usize,
    bad: Peekable<std::vec::IntoIter<BadPair>>,
}

impl<'a> BadWalk<'a> {
    pub(super) fn new(embedded: &'a Embedded) -> Self {
        Self { embedded, next_shard: 0, start: 0, end: 0, bad: Vec::new().into_iter().peekable() }
    }

    /// The bad pair at a row; rows have to ascend.
    pub(super) fn at(&mut self, row: usize) -> Result<Option<BadPair>, IoError> {
        while row >= self.end && self.next_shard < self.embedded.shards() {
            self.start = self.end;
            self.end += self.embedded.shard_rows(self.next_shard)?;
            self.bad = self.embedded.bad(self.next_shard)?.into_iter().peekable();
            self.next_shard += 1;
        }
        let here = self.bad.next_if(|pair| self.start + pair.row == row);
        Ok(here.map(|pair| BadPair { row, ..pair }))
    }
}

/// Scores with their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreTable<S = f32> {
    /// The ids.
    pub ids: Vec<SampleId>,
    /// One score for each id.
    pub scores: Vec<S>,
}

/// Reads the columns `uid` and `score` of a Parquet file.
///
/// # Errors
/// When the file cannot be read, or a `uid` is not an id.
pub fn read_scores(file: &Path) -> Result<ScoreTable<f64>, IoError> {
    let table = table::Reader::open(file)?;
    Ok(ScoreTable { ids: ids_of(file, &table)?, scores: table.f64("score")? })
}

fn ids_of(file: &Path, table: &table::Reader<'_>) -> Result<Vec<SampleId>, IoError> {
    let (mut ids, mut wrong) = (Vec::with_capacity(table.rows()), None);
    table.each_text("uid", None, |uid| match uid.and_then(|uid| uid.parse().ok()) {
        Some(id) => ids.push(id),
        None => wrong = wrong.or(Some(ids.len())),
    })?;
    if let Some(row) = wrong {
        return Err(IoError::malformed(file, format!("row {}: `uid` is not an id", row + 1)));
    }
    Ok(ids)
}
