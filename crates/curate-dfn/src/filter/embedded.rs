//! Reading what [`embed`](super::embed()) wrote.

use std::path::{Path, PathBuf};

use curate_core::{EmbeddingSource, SampleId};
use curate_io::{Embedding, IoError, Kind, npz::Npz, table};

use crate::filter::embed::Files;

/// The folder of an embedded pool: its shards in the order of their names, opened one at a time.
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
    /// Opens the folder of an embedded pool. `name` is that of the embeddings.
    ///
    /// # Errors
    /// When there is no embedded shard, or one is not finished.
    pub fn open(folder: &Path, name: &str) -> Result<Self, IoError> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .map_err(|e| IoError::os(folder, "read", e))?
            .flatten()
            .filter_map(|e| {
                e.file_name().to_str()?.strip_suffix(".scores.parquet").map(str::to_owned)
            })
            .collect();
        names.sort_unstable();
        if names.is_empty() {
            let remedy = "embed a pool into it first";
            return Err(IoError::new(Kind::NotFound, folder, "holds no embedded shard", remedy));
        }
        let mut shards = Vec::with_capacity(names.len());
        for shard in names {
            let files = Files::new(folder, &shard);
            let Some(record) = files.any_record()? else {
                let remedy = "run the embedding again to finish it";
                return Err(IoError::new(Kind::Truncated, &files.record, "is missing", remedy));
            };
            shards.push((shard, record.rows));
        }
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), shards })
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shards.iter().map(|(_, rows)| rows).sum()
    }

    /// Opens a shard.
    ///
    /// # Errors
    /// When a file is missing, damaged, or has other embeddings or rows.
    pub fn shard(&self, shard: usize) -> Result<EmbeddedShard, IoError> {
        let (name, rows) = &self.shards[shard];
        let files = Files::new(&self.folder, name);
        let mut npz = Npz::open(&files.arrays)?;
        let images = Embedding::new(vec![npz.array(&format!("{}_img", self.name))?])?;
        let texts = Embedding::new(vec![npz.array(&format!("{}_txt", self.name))?])?;
        let (ids, scores) = self.scored(shard)?;
        for (file, found) in [(&files.arrays, images.rows()), (&files.arrays, texts.rows())] {
            if found != *rows {
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
    pub fn scored(&self, shard: usize) -> Result<(Vec<SampleId>, Vec<f32>), IoError> {
        let (name, rows) = &self.shards[shard];
        let files = Files::new(&self.folder, name);
        let (ids, scores) = read_scores(&files.scores)?;
        if ids.len() != *rows {
            let problem = format!("has {} rows, but its record says {rows}", ids.len());
            let remedy = "embed the shard again";
            return Err(IoError::new(Kind::Disagree, &files.scores, problem, remedy));
        }
        Ok((ids, scores))
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
            ids.extend(self.scored(shard)?.0);
        }
        Ok((Embedding::new(images)?, Embedding::new(texts)?, ids))
    }
}

/// The columns `uid` and `score` of a table.
///
/// # Errors
/// When the file cannot be read, or a `uid` is no id.
pub fn read_scores(file: &Path) -> Result<(Vec<SampleId>, Vec<f32>), IoError> {
    let table = table::Reader::open(file)?;
    let (mut ids, mut wrong) = (Vec::with_capacity(table.rows()), None);
    table.each_text("uid", None, |uid| match uid.and_then(|uid| uid.parse().ok()) {
        Some(id) => ids.push(id),
        None => wrong = wrong.or(Some(ids.len())),
    })?;
    if let Some(row) = wrong {
        return Err(IoError::malformed(file, format!("row {}: `uid` is no id", row + 1)));
    }
    Ok((ids, table.f32("score")?))
}
