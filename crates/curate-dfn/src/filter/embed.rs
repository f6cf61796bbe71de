//! Images and texts of a pool to embeddings, shard by shard.

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use curate_core::{Cancelled, Progress, SampleId};
use curate_io::{
    Embedding, IoError, Kind, Pool, atomic, digest, npy,
    pool::Shard,
    table::{self, Column},
    vectors::Npz,
};
use half::f16;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{Network, filter::align::dot};

/// Samples that are read, decoded and embedded together; what is held in memory beside a shard's
/// embeddings. The results do not depend on it.
const CHUNK: usize = 256;

/// How embeddings are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Half precision, as DataComp's embeddings. Scores are computed before rounding.
    F16,
}

/// How to embed a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedParams {
    /// The folder to write to: `SHARD.npz`, `SHARD.scores.parquet` and `SHARD.json` for each shard.
    pub out: PathBuf,
    /// The name of the embeddings: arrays `NAME_img` and `NAME_txt`.
    pub name: String,
    /// How they are stored.
    pub precision: Precision,
}

/// A row that could not be embedded; its embeddings and score are NaN, which a pool sets aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The sample.
    pub id: SampleId,
    /// Why.
    pub reason: String,
}

/// What a shard's record says; written last, it makes the shard count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    fingerprint: String,
    rows: usize,
    bad: Vec<BadRow>,
}

/// What [`embed`] did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedReport {
    /// Rows of the pool.
    pub rows: usize,
    /// Shards that were embedded now.
    pub shards: usize,
    /// Shards that an earlier run had finished.
    pub reused: usize,
    /// Rows that could not be embedded.
    pub bad: Vec<BadRow>,
}

/// Embeds a pool and scores its pairs by their cosine. An interrupted run goes on at its
/// unfinished shard, with the same bytes.
///
/// Memory: the network, the embeddings of a shard, and some hundred images.
///
/// # Errors
/// When the pool cannot be read or a file cannot be written, when the folder holds the shards of
/// another network or pool, or the caller cancels.
pub fn embed(
    network: &Network,
    fingerprint: &str,
    pool: &Pool,
    params: &EmbedParams,
    progress: &dyn Progress,
) -> Result<EmbedReport, IoError> {
    let mut report = EmbedReport { rows: pool.len(), ..EmbedReport::default() };
    progress.start("embed", pool.len() as u64, "pairs");
    for shard in pool.shards() {
        let files = Files::new(&params.out, &shard.name);
        let fingerprint = shard_fingerprint(fingerprint, pool, shard, params);
        let done = files.record(&fingerprint)?;
        let record = match done {
            Some(record) => {
                report.reused += 1;
                progress.advance(record.rows as u64);
                record
            }
            None => {
                report.shards += 1;
                embed_shard(network, pool, shard, params, &files, fingerprint, progress)?
            }
        };
        report.bad.extend(record.bad);
    }
    progress.finish();
    Ok(report)
}

fn embed_shard(
    network: &Network,
    pool: &Pool,
    shard: &Shard,
    params: &EmbedParams,
    files: &Files,
    fingerprint: String,
    progress: &dyn Progress,
) -> Result<Record, IoError> {
    let rows: Vec<usize> = shard.rows.clone().collect();
    let (mut images, mut texts, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in rows.chunks(CHUNK) {
        progress.check().map_err(|Cancelled| IoError::cancelled(&params.out))?;
        let pairs = embed_chunk(network, pool, chunk)?;
        images.extend(pairs.images);
        texts.extend(pairs.texts);
        bad.extend(pairs.bad);
        progress.advance(chunk.len() as u64);
    }
    let dim = network.dim();
    let scores: Vec<f32> =
        images.chunks_exact(dim).zip(texts.chunks_exact(dim)).map(|(i, t)| dot(i, t)).collect();
    let arrays =
        [(format!("{}_img", params.name), images), (format!("{}_txt", params.name), texts)];
    write_npz(&files.arrays, &arrays, rows.len(), dim, params.precision)?;
    let ids = rows.iter().map(|&row| pool.ids()[row].to_string()).collect();
    let columns = vec![("uid", Column::Text(ids)), ("score", Column::F32(scores))];
    table::write(&files.scores, columns)?;
    let record = Record { fingerprint, rows: rows.len(), bad };
    let mut json = serde_json::to_vec_pretty(&record).expect("a record is JSON");
    json.push(b'\n');
    atomic::write(&files.record, &json)?;
    Ok(record)
}

struct Chunk {
    images: Vec<f32>,
    texts: Vec<f32>,
    bad: Vec<BadRow>,
}

fn embed_chunk(network: &Network, pool: &Pool, rows: &[usize]) -> Result<Chunk, IoError> {
    let samples = pool.samples(rows, true)?;
    let pixels: Vec<Result<Vec<f32>, String>> = samples
        .par_iter()
        .map(|sample| {
            if sample.caption.is_none() {
                return Err("the sample has no caption".to_owned());
            }
            let file = sample.image.as_ref().ok_or("the sample has no image")?;
            network.transform().apply(file).map_err(|e| e.to_string())
        })
        .collect();
    let dim = network.dim();
    let mut chunk = Chunk {
        images: vec![f32::NAN; rows.len() * dim],
        texts: vec![f32::NAN; rows.len() * dim],
        bad: vec![],
    };
    let (mut good, mut numbers, mut captions) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (sample, pixels)) in samples.iter().zip(pixels).enumerate() {
        match pixels {
            Ok(pixels) => {
                good.push(i);
                numbers.extend(pixels);
                captions.push(sample.caption.as_deref().unwrap_or_default());
            }
            Err(reason) => chunk.bad.push(BadRow { id: sample.id, reason }),
        }
    }
    let embedded = [
        (&mut chunk.images, network.embed_images(&numbers)),
        (&mut chunk.texts, network.embed_texts(&captions)),
    ];
    for (out, embedded) in embedded {
        for (&i, row) in good.iter().zip(embedded.chunks_exact(dim)) {
            out[i * dim..(i + 1) * dim].copy_from_slice(row);
        }
    }
    Ok(chunk)
}

/// The network, the pool's rows and what is written: with another of them the bytes would differ.
fn shard_fingerprint(network: &str, pool: &Pool, shard: &Shard, params: &EmbedParams) -> String {
    let mut bytes = format!("1 {network} {} {:?}", params.name, params.precision).into_bytes();
    for row in shard.rows.clone() {
        bytes.extend(pool.ids()[row].0.to_le_bytes());
    }
    for file in &shard.files {
        let length = std::fs::metadata(file).map_or(0, |m| m.len());
        bytes.extend(length.to_le_bytes());
    }
    digest::of_bytes(&bytes)
}

struct Files {
    arrays: PathBuf,
    scores: PathBuf,
    record: PathBuf,
}

impl Files {
    fn new(out: &Path, shard: &str) -> Self {
        Self {
            arrays: out.join(format!("{shard}.npz")),
            scores: out.join(format!("{shard}.scores.parquet")),
            record: out.join(format!("{shard}.json")),
        }
    }

    /// The record of a finished shard; `None` where there is none.
    fn record(&self, fingerprint: &str) -> Result<Option<Record>, IoError> {
        let Some(record) = self.any_record()? else { return Ok(None) };
        if record.fingerprint == fingerprint {
            return Ok(Some(record));
        }
        let problem = "was embedded with another network, other settings or another pool";
        Err(IoError::new(Kind::Disagree, &self.record, problem, "choose another folder"))
    }

    fn any_record(&self) -> Result<Option<Record>, IoError> {
        let text = match std::fs::read(&self.record) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IoError::os(&self.record, "read", e)),
        };
        let record = serde_json::from_slice(&text).map_err(|e| {
            IoError::malformed(&self.record, "is no record of an embedded shard").caused_by(e)
        })?;
        Ok(Some(record))
    }
}

/// Writes arrays as numpy's `savez` does, so that pools and numpy read them.
fn write_npz(
    path: &Path,
    arrays: &[(String, Vec<f32>)],
    rows: usize,
    dim: usize,
    precision: Precision,
) -> Result<(), IoError> {
    let failed = |e: zip::result::ZipError| {
        IoError::new(Kind::Os, path, format!("could not be written: {e}"), "")
    };
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, values) in arrays {
        zip.start_file(format!("{name}.npy"), options).map_err(failed)?;
        let (descr, bytes): (_, Vec<u8>) = match precision {
            Precision::F32 => ("'<f4'", values.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Precision::F16 => {
                let half = values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes());
                ("'<f2'", half.collect())
            }
        };
        let written = zip
            .write_all(&npy::header_bytes(descr, &[rows, dim]))
            .and_then(|()| zip.write_all(&bytes));
        written.map_err(|e| IoError::os(path, "written", e))?;
    }
    let file = zip.finish().map_err(failed)?;
    atomic::write(path, file.get_ref())
}

/// What [`embed`] wrote, in the order of the pool.
pub struct Embedded {
    /// Embeddings of the images; NaN where a row was bad.
    pub images: Embedding,
    /// Embeddings of the texts.
    pub texts: Embedding,
    /// The ids.
    pub ids: Vec<SampleId>,
    /// The cosine of each pair; NaN where a row was bad.
    pub scores: Vec<f32>,
    /// Rows that could not be embedded.
    pub bad: Vec<BadRow>,
}

impl Embedded {
    /// Opens the folder of an embedded pool, shards in the order of their names.
    ///
    /// # Errors
    /// When a file is missing, damaged, or the shard of another name.
    pub fn open(folder: &Path, name: &str) -> Result<Self, IoError> {
        let mut shards: Vec<String> = std::fs::read_dir(folder)
            .map_err(|e| IoError::os(folder, "read", e))?
            .flatten()
            .filter_map(|e| {
                e.file_name().to_str()?.strip_suffix(".scores.parquet").map(str::to_owned)
            })
            .collect();
        shards.sort_unstable();
        if shards.is_empty() {
            let remedy = "embed a pool into it first";
            return Err(IoError::new(Kind::NotFound, folder, "holds no embedded shard", remedy));
        }
        let (mut images, mut texts) = (Vec::new(), Vec::new());
        let (mut ids, mut scores, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for shard in &shards {
            let files = Files::new(folder, shard);
            let Some(record) = files.any_record()? else {
                let remedy = "run the embedding again to finish it";
                return Err(IoError::new(Kind::Truncated, &files.record, "is missing", remedy));
            };
            let mut npz = Npz::open(&files.arrays)?;
            images.push(npz.array(&format!("{name}_img"))?);
            texts.push(npz.array(&format!("{name}_txt"))?);
            let table = table::Reader::open(&files.scores)?;
            for uid in table.text("uid", None)? {
                let id = uid.as_deref().and_then(|uid| uid.parse().ok());
                ids.push(id.ok_or_else(|| IoError::malformed(&files.scores, "`uid` holds no id"))?);
            }
            scores.extend(table.f32("score")?);
            bad.extend(record.bad);
        }
        Ok(Self {
            images: Embedding::new(images)?,
            texts: Embedding::new(texts)?,
            ids,
            scores,
            bad,
        })
    }
}
