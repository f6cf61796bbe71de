//! Scores of an embedded pool, shard by shard, and what to keep by them.

use std::{
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use curate_core::{
    BLOCK_ROWS, Cut, EmbeddingSource, NoProgress, Progress, SampleId, SourceError, random,
    rank::Direction, stream::StreamedCut,
};
use curate_io::IoError;

use crate::filter::{
    Classifier, Embedded, EmbeddedShard,
    align::{NegClipLossParams, Norm, neg_clip_loss, norm_sim},
};

/// Bytes of a row in the temporary file: a score and an id.
const ROW: usize = 4 + 16;

/// Which embeddings of a pair a score looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Features {
    /// The image's alone.
    #[default]
    Images,
    /// The text's alone.
    Texts,
    /// The image's followed by the text's.
    Both,
}

impl Features {
    /// Length of a row, where an embedding has `dim` numbers.
    pub fn dim(self, dim: usize) -> usize {
        if self == Self::Both { 2 * dim } else { dim }
    }

    /// Some rows of a shard, one after the other.
    fn read(
        self,
        shard: &EmbeddedShard,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<f32>, SourceError> {
        let of = |source: &dyn EmbeddingSource| -> Result<Vec<f32>, SourceError> {
            let mut values = vec![0.0; rows.len() * source.dim()];
            source.read(rows.clone(), &mut values)?;
            Ok(values)
        };
        match self {
            Self::Images => of(&shard.images),
            Self::Texts => of(&shard.texts),
            Self::Both => {
                let dim = shard.images.dim().max(1);
                let (images, texts) = (of(&shard.images)?, of(&shard.texts)?);
                let pairs = images.chunks_exact(dim).zip(texts.chunks_exact(dim));
                Ok(pairs.flat_map(|(image, text)| [image, text].concat()).collect())
            }
        }
    }
}

/// How to score a pair.
#[derive(Clone, Copy)]
pub enum Method<'a> {
    /// The cosine of image and text, as it was computed while embedding.
    Cosine,
    /// [`neg_clip_loss`]. Looks at the whole pool: holds 40 bytes a row and a batch of embeddings,
    /// and keeps every shard's file open.
    NegClipLoss(NegClipLossParams),
    /// [`norm_sim`] to these target vectors, of images or texts.
    NormSim {
        /// The target vectors, one after the other.
        target: &'a [f32],
        /// The norm.
        norm: Norm,
        /// [`Features::Images`] or [`Features::Texts`].
        of: Features,
    },
    /// The probability of a [`Classifier`].
    Classifier {
        /// The classifier.
        classifier: &'a Classifier,
        /// What it was fitted to.
        of: Features,
    },
}

/// Scores an embedded pool. Memory: one shard, but for [`Method::NegClipLoss`].
///
/// # Errors
/// When a shard cannot be read, the temporary file cannot be written, or the caller cancels.
///
/// # Panics
/// When target or classifier are for vectors of another length.
pub fn score(
    embedded: &Embedded,
    method: Method<'_>,
    progress: &dyn Progress,
) -> Result<Scores, SourceError> {
    let mut scores = Scores::new()?;
    if let Method::NegClipLoss(params) = method {
        let (images, texts, ids) = embedded.whole()?;
        let found = neg_clip_loss(&images, &texts, &ids, &params, progress)?;
        scores.push(&ids, &found)?;
        return scores.written();
    }
    progress.start("score", embedded.rows() as u64, "pairs");
    for shard in 0..embedded.shards() {
        progress.check()?;
        let (ids, found) = score_shard(embedded, shard, method)?;
        scores.push(&ids, &found)?;
        progress.advance(ids.len() as u64);
    }
    progress.finish();
    scores.written()
}

fn score_shard(
    embedded: &Embedded,
    shard: usize,
    method: Method<'_>,
) -> Result<(Vec<SampleId>, Vec<f32>), SourceError> {
    if let Method::Cosine = method {
        return Ok(embedded.scored(shard)?);
    }
    let shard = embedded.shard(shard)?;
    let found = match method {
        Method::NormSim { target, norm, of: Features::Texts } => {
            norm_sim(&shard.texts, target, norm, &NoProgress)?
        }
        Method::NormSim { target, norm, .. } => norm_sim(&shard.images, target, norm, &NoProgress)?,
        Method::Classifier { classifier, of } => {
            let mut found = Vec::with_capacity(shard.ids.len());
            for first in (0..shard.ids.len()).step_by(BLOCK_ROWS) {
                let rows = first..shard.ids.len().min(first + BLOCK_ROWS);
                found.extend(classifier.scores(&of.read(&shard, rows)?));
            }
            found
        }
        Method::Cosine | Method::NegClipLoss(_) => unreachable!("answered above"),
    };
    Ok((shard.ids, found))
}

/// Scores with their ids, in a temporary file: as many as the pool has rows.
pub struct Scores {
    file: BufWriter<File>,
    rows: usize,
    unscored: usize,
}

impl Scores {
    fn new() -> Result<Self, SourceError> {
        let file = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        Ok(Self { file, rows: 0, unscored: 0 })
    }

    fn push(&mut self, ids: &[SampleId], scores: &[f32]) -> Result<(), SourceError> {
        for (id, score) in ids.iter().zip(scores) {
            self.rows += 1;
            self.unscored += usize::from(score.is_nan());
            self.file.write_all(&score.to_le_bytes()).map_err(failed)?;
            self.file.write_all(&id.0.to_le_bytes()).map_err(failed)?;
        }
        Ok(())
    }

    fn written(mut self) -> Result<Self, SourceError> {
        self.file.flush().map_err(failed)?;
        Ok(self)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows whose score is NaN.
    pub fn unscored(&self) -> usize {
        self.unscored
    }

    /// Hands every score and id to `each`, in the order of the pool.
    ///
    /// # Errors
    /// When the file cannot be read, or the first that `each` answers.
    pub fn each<E: From<SourceError>>(
        &self,
        mut each: impl FnMut(f32, SampleId) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut file = BufReader::with_capacity(ROW << 12, self.file.get_ref());
        file.rewind().map_err(failed)?;
        for _ in 0..self.rows {
            let mut row = [0; ROW];
            file.read_exact(&mut row).map_err(failed)?;
            let (score, id) = row.split_first_chunk::<4>().expect("a row has 20 bytes");
            let id = id.first_chunk::<16>().expect("a row has 20 bytes");
            each(f32::from_le_bytes(*score), SampleId(u128::from_le_bytes(*id)))?;
        }
        Ok(())
    }

    /// What a cut keeps; the same decision as [`Cut::apply`] on all scores.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn keep(&self, cut: Cut) -> Result<StreamedCut, SourceError> {
        StreamedCut::find(cut, Direction::HigherIsBetter, |each| {
            self.each(|score, id| {
                each(score, id);
                Ok::<(), SourceError>(())
            })
        })
    }
}

fn failed(error: io::Error) -> SourceError {
    IoError::os(std::env::temp_dir(), "written", error).into()
}

/// At most `most` rows of an embedded pool that have embeddings, one after the other in the order of
/// the pool: those whose draw for the seed is smallest, whatever the shards.
///
/// # Errors
/// When a shard cannot be read, or the caller cancels.
pub fn sample(
    embedded: &Embedded,
    of: Features,
    most: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<f32>, SourceError> {
    let mut chosen = BinaryHeap::new();
    for shard in 0..embedded.shards() {
        progress.check()?;
        let (ids, scores) = embedded.scored(shard)?;
        for (row, (id, score)) in ids.into_iter().zip(scores).enumerate() {
            if !score.is_nan() {
                chosen.push((random::hash(seed, id), id, (shard, row)));
                if chosen.len() > most {
                    chosen.pop();
                }
            }
        }
    }
    let mut places: Vec<(usize, usize)> = chosen.into_iter().map(|(.., at)| at).collect();
    places.sort_unstable();
    let mut rows = Vec::new();
    for places in places.chunk_by(|a, b| a.0 == b.0) {
        progress.check()?;
        let shard = embedded.shard(places[0].0)?;
        for &(_, row) in places {
            rows.extend(of.read(&shard, row..row + 1)?);
        }
    }
    Ok(rows)
}
