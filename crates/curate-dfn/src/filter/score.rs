//! Scores of an embedded pool, shard by shard, and what to keep by them.

use std::{
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use curate_core::{
    BLOCK_ROWS, Cut, EmbeddingSource, NoProgress, ParamsError, Progress, Removal, SampleId,
    Selection, SourceError, fault::Fault, params::Checker, random, rank::Direction,
    stream::StreamedCut,
};
use curate_io::IoError;
use serde::{Deserialize, Serialize};

use crate::filter::{
    Classifier, Embedded, EmbeddedShard, FilterError, ScoreTable,
    align::{NegClipLossParams, Norm, neg_clip_loss, norm_sim},
    embedded::BadWalk,
    pairs::low,
};

/// Bytes of a row in the temporary file: a score and an id.
const ROW: usize = 4 + 16;

/// Which embeddings of a pair a score looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// How to score the pairs of an embedded pool; [`ScoreParams::check`] makes it usable.
///
/// ```
/// use curate_dfn::filter::{Features, ScoreParams, align::Norm};
///
/// assert!(ScoreParams::default().check().is_ok(), "the cosine");
/// let both = ScoreParams::NormSim { norm: Norm::Infinity, of: Features::Both };
/// let error = both.check().unwrap_err().to_string();
/// assert_eq!(error, "`of` is both, but must be images or texts");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum ScoreParams {
    /// The cosine of image and text, as it was computed while embedding.
    #[default]
    Cosine,
    /// [`neg_clip_loss`]. Looks at the whole pool: holds 40 bytes a row and a batch of embeddings,
    /// and keeps every shard's file open.
    NegClipLoss(NegClipLossParams),
    /// [`norm_sim`] to [`ScoreInputs::target`], of images or texts.
    NormSim {
        /// The norm.
        norm: Norm,
        /// [`Features::Images`] or [`Features::Texts`].
        of: Features,
    },
    /// The probability of [`ScoreInputs::classifier`].
    Classifier {
        /// What it was fitted to.
        of: Features,
    },
}

impl ScoreParams {
    /// The score, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Scorer, ParamsError> {
        let mut check = Checker::default();
        match self {
            Self::NegClipLoss(params) => check.take(params.check()),
            Self::NormSim { of, .. } => {
                check.that(of != Features::Both, "of", "both", "images or texts");
            }
            Self::Cosine | Self::Classifier { .. } => {}
        }
        check.finish()?;
        Ok(Scorer(self))
    }
}

/// What some scores compare every pair with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScoreInputs<'a> {
    /// The target vectors of [`ScoreParams::NormSim`], one after the other.
    pub target: Option<&'a [f32]>,
    /// The classifier of [`ScoreParams::Classifier`].
    pub classifier: Option<&'a Classifier>,
}

/// Scores pairs, with valid parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scorer(ScoreParams);

impl Scorer {
    /// Scores an embedded pool. Memory: one shard, but for [`ScoreParams::NegClipLoss`].
    ///
    /// # Errors
    /// When a shard cannot be read, the temporary file cannot be written, the score compares with
    /// something ([`Self::run_with`]), or the caller cancels.
    pub fn run(&self, embedded: &Embedded, progress: &dyn Progress) -> Result<Scores, FilterError> {
        self.run_with(embedded, ScoreInputs::default(), progress)
    }

    /// [`Self::run`] for scores that compare with something.
    ///
    /// # Errors
    /// As [`Self::run`], and when target or classifier are for vectors of another length.
    pub fn run_with(
        &self,
        embedded: &Embedded,
        inputs: ScoreInputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Scores, FilterError> {
        let mut scores = Scores::new()?;
        if let ScoreParams::NegClipLoss(params) = self.0 {
            let (images, texts, ids) = embedded.whole()?;
            let found = neg_clip_loss(&images, &texts, &ids, &params, progress)?;
            scores.push(&ids, &found)?;
            return Ok(scores.written()?);
        }
        progress.start("score", embedded.rows() as u64, "pairs");
        let done = (0..embedded.shards()).try_for_each(|shard| -> Result<(), FilterError> {
            progress.check()?;
            let ScoreTable { ids, scores: found } = self.score_shard(embedded, shard, inputs)?;
            scores.push(&ids, &found)?;
            progress.advance(ids.len() as u64);
            Ok(())
        });
        progress.finish();
        done?;
        Ok(scores.written()?)
    }

    fn score_shard(
        &self,
        embedded: &Embedded,
        shard: usize,
        inputs: ScoreInputs<'_>,
    ) -> Result<ScoreTable, FilterError> {
        let scores = match self.0 {
            // That of a whole pool has been answered before.
            ScoreParams::Cosine | ScoreParams::NegClipLoss(_) => {
                return Ok(embedded.scored(shard)?);
            }
            ScoreParams::NormSim { norm, of } => {
                let target = inputs.target.ok_or(FilterError::Missing { input: "target" })?;
                let shard = embedded.shard(shard)?;
                let source = if of == Features::Texts { &shard.texts } else { &shard.images };
                (norm_sim(source, target, norm, &NoProgress)?, shard.ids)
            }
            ScoreParams::Classifier { of } => {
                let classifier =
                    inputs.classifier.ok_or(FilterError::Missing { input: "classifier" })?;
                let shard = embedded.shard(shard)?;
                (classified(classifier, &shard, of)?, shard.ids)
            }
        };
        Ok(ScoreTable { ids: scores.1, scores: scores.0 })
    }
}

fn classified(
    classifier: &Classifier,
    shard: &EmbeddedShard,
    of: Features,
) -> Result<Vec<f32>, FilterError> {
    let (found, expected) = (classifier.coefficients.len(), of.dim(shard.images.dim()));
    FilterError::unless_width("classifier", found, expected)?;
    let mut scores = Vec::with_capacity(shard.ids.len());
    for first in (0..shard.ids.len()).step_by(BLOCK_ROWS) {
        let rows = first..shard.ids.len().min(first + BLOCK_ROWS);
        scores.extend(classifier.scores(&of.read(shard, rows)?)?);
    }
    Ok(scores)
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

    /// What a cut keeps, found without holding the scores: the same decision as [`Cut::apply`] on all
    /// of them.
    ///
    /// # Errors
    /// When the cut is out of range or the file cannot be read.
    pub fn streamed(&self, cut: Cut) -> Result<StreamedCut, SourceError> {
        StreamedCut::find(cut, Direction::HigherIsBetter, |each| {
            self.each(|score, id| {
                each(score, id);
                Ok::<(), SourceError>(())
            })
        })
    }

    /// The rows that stay, counted over all shards; eight bytes for each. A fraction is one of all rows,
    /// bad ones included.
    ///
    /// # Errors
    /// As [`Self::streamed`].
    pub fn select(&self, cut: Cut) -> Result<Selection, SourceError> {
        let mut streamed = self.streamed(cut)?;
        let (mut row, mut kept) = (0, Vec::new());
        self.each(|score, id| {
            if streamed.keeps(score, id) {
                kept.push(row);
            }
            row += 1;
            Ok::<(), SourceError>(())
        })?;
        Ok(Selection::from_unsorted(kept))
    }

    /// Why each row that does not stay goes, handed to `each` in row order. `embedded` is the pool that
    /// was scored: it knows what is wrong with bad rows.
    ///
    /// # Errors
    /// As [`Self::streamed`], and when a shard's record cannot be read.
    pub fn removals(
        &self,
        cut: Cut,
        embedded: &Embedded,
        mut each: impl FnMut(Removal),
    ) -> Result<(), FilterError> {
        FilterError::unless_rows("embedded", embedded.rows(), self.rows)?;
        let mut streamed = self.streamed(cut)?;
        let threshold = streamed.threshold.map(f64::from);
        let (mut row, mut bad) = (0, BadWalk::new(embedded));
        self.each(|score, id| -> Result<(), FilterError> {
            // Every row is asked, since a cut counts ties in the order of the rows.
            let stays = streamed.keeps(score, id);
            match bad.at(row)? {
                Some(pair) => each(pair.removal()),
                None if score.is_nan() => each(Removal::new(row, Fault::ScoreMissing.name())),
                None if !stays => each(low(row, score, threshold)),
                None => {}
            }
            row += 1;
            Ok(())
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
        let ScoreTable { ids, scores } = embedded.scored(shard)?;
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
