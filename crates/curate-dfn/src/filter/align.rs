//! Scores of pairs from embeddings alone. Rows with a NaN have the score NaN and change no other.
//!
//! | score | source | better |
//! |---|---|---|
//! | [`cosines`] | CLIP score (Hessel et al. 2021; DFN, arXiv 2309.17425) | higher |
//! | [`neg_clip_loss`] | Wang et al. 2024, arXiv 2405.19547, equation 1 | higher |
//! | [`norm_sim`] | the same, equation 4 | higher |

use curate_core::{
    BLOCK_ROWS, Cancelled, EmbeddingSource, ParamsError, Progress, SampleId, SourceError,
    params::Checker, random,
};
use curate_kernels::{Matrix, Then};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{NetworkError, filter::FilterError};

/// Rows whose products with all others are held at a time.
const ROWS: usize = 96;

/// The inner product: eight sums, each in element order, added in order. The same bytes on every
/// machine (a fused multiply-add is a slow call where a build does not count on the instruction),
/// and short enough chains for vector registers.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.into_iter().chain(rest).fold(0.0, |sum, x| sum + x)
}

/// The inner product of each image embedding with its text embedding: the cosine, where both have
/// length 1. Reads both in blocks.
///
/// # Errors
/// When the sources differ in shape, the embeddings cannot be read, or the caller cancels.
pub fn cosines(
    images: &dyn EmbeddingSource,
    texts: &dyn EmbeddingSource,
    progress: &dyn Progress,
) -> Result<Vec<f32>, FilterError> {
    check_pairs(images, texts)?;
    let (rows, dim) = (images.rows(), images.dim());
    let mut scores = Vec::with_capacity(rows);
    for_blocks(rows, |block| {
        progress.check()?;
        let mut both = [vec![0.0; block.len() * dim], vec![0.0; block.len() * dim]];
        images.read(block.clone(), &mut both[0])?;
        texts.read(block, &mut both[1])?;
        let pairs = both[0].par_chunks_exact(dim).zip(both[1].par_chunks_exact(dim));
        scores.par_extend(pairs.map(|(image, text)| dot(image, text)));
        Ok(())
    })?;
    Ok(scores)
}

/// An error unless two sources hold as many vectors of one length, which is above 0.
fn check_pairs(
    images: &dyn EmbeddingSource,
    texts: &dyn EmbeddingSource,
) -> Result<(), FilterError> {
    FilterError::unless_width("images", images.dim(), images.dim().max(1))?;
    FilterError::unless_width("texts", texts.dim(), images.dim())?;
    FilterError::unless_rows("texts", texts.rows(), images.rows())
}

fn for_blocks(
    rows: usize,
    mut each: impl FnMut(std::ops::Range<usize>) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    (0..rows).step_by(BLOCK_ROWS).try_for_each(|first| each(first..rows.min(first + BLOCK_ROWS)))
}

/// How to compute [`neg_clip_loss`].
///
/// ```
/// use curate_core::{NoProgress, SampleId};
/// use curate_dfn::filter::align::{NegClipLossParams, neg_clip_loss};
/// use ndarray::array;
///
/// let params = NegClipLossParams::new().temperature(0.07).batch(3).partitions(1);
/// assert!(params.check().is_ok());
/// // Two pairs that agree, and one whose caption is that of the first.
/// let images = array![[1.0_f32, 0.0], [0.0, 1.0], [0.0, 1.0]];
/// let texts = array![[1.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0]];
/// let ids = [1_u64, 2, 3].map(SampleId::from);
/// let scores = neg_clip_loss(&images, &texts, &ids, &params, &NoProgress)?;
/// assert!(scores[0] > scores[2] && scores[1] > scores[2]);
/// # Ok::<(), curate_dfn::filter::FilterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NegClipLossParams {
    /// The temperature: 0.01 for OpenAI's networks, 0.07 for DFN's, whose logit scale was not
    /// trained.
    pub temperature: f32,
    /// Pairs of a batch. The batches of a partition differ by at most one pair.
    pub batch: usize,
    /// Random partitions to average over.
    pub partitions: usize,
    /// The seed of the partitions.
    pub seed: u64,
}

impl Default for NegClipLossParams {
    /// The paper's: batches of 32,768, temperature 0.01, 10 partitions.
    fn default() -> Self {
        Self { temperature: 0.01, batch: 32_768, partitions: 10, seed: 0 }
    }
}

impl NegClipLossParams {
    /// The defaults, which are the paper's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The temperature; 0.01 unless told.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Pairs of a batch; 32,768 unless told.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Random partitions to average over; 10 unless told.
    pub fn partitions(mut self, partitions: usize) -> Self {
        self.partitions = partitions;
        self
    }

    /// The seed of the partitions; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Every value outside its range.
    ///
    /// # Errors
    /// All of them at once.
    pub fn check(&self) -> Result<(), ParamsError> {
        let mut check = Checker::default();
        let t = self.temperature;
        check.that(t.is_finite() && t > 0.0, "temperature", t, "a number above 0");
        check.that(self.batch > 0, "batch", self.batch, "at least 1");
        check.that(self.partitions > 0, "partitions", self.partitions, "at least 1");
        check.finish()
    }
}

/// negCLIPLoss: the cosine of a pair less what its image and text have with everything else,
/// `cos(i,i) - T/2 (log sum_j exp(cos(i,j)/T) + log sum_j exp(cos(j,i)/T))` over the batch that the
/// pair falls into, as the mean over random partitions of the pool into batches.
///
/// The partition depends on the seed and the ids, not on the order of rows or shards. (The
/// published code draws batches inside each metadata file, and scores a pair of a small last batch
/// higher.) Sums are log-sum-exp: equal pairs at a small temperature do not overflow.
///
/// Cost: `4 * partitions * rows * batch * dim` operations; memory: the embeddings of a batch.
///
/// # Errors
/// When the params are out of range, the sources and ids differ in length, the embeddings cannot be
/// read, or the caller cancels.
pub fn neg_clip_loss(
    images: &dyn EmbeddingSource,
    texts: &dyn EmbeddingSource,
    ids: &[SampleId],
    params: &NegClipLossParams,
    progress: &dyn Progress,
) -> Result<Vec<f32>, FilterError> {
    params.check()?;
    check_pairs(images, texts)?;
    FilterError::unless_rows("ids", ids.len(), images.rows())?;
    let usable: Vec<usize> = cosines(images, texts, progress)?
        .iter()
        .enumerate()
        .filter_map(|(row, cosine)| cosine.is_finite().then_some(row))
        .collect();
    let mut sums = vec![0.0_f64; ids.len()];
    progress.start("negCLIPLoss", (usable.len() * params.partitions) as u64, "pairs");
    let done = (0..params.partitions).try_for_each(|partition| -> Result<(), FilterError> {
        let seed = random::derive(params.seed, &format!("partition {partition}"));
        let mut order = usable.clone();
        order.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row], row));
        let batches = order.len().div_ceil(params.batch).max(1);
        for b in 0..batches {
            progress.check()?;
            let rows = &order[b * order.len() / batches..(b + 1) * order.len() / batches];
            for (&row, score) in rows.iter().zip(batch_scores(images, texts, rows, params)?) {
                sums[row] += f64::from(score);
            }
            progress.advance(rows.len() as u64);
        }
        Ok(())
    });
    progress.finish();
    done?;
    let mut scores = vec![f32::NAN; ids.len()];
    for row in usable {
        scores[row] = (sums[row] / params.partitions as f64) as f32;
    }
    Ok(scores)
}

fn batch_scores(
    images: &dyn EmbeddingSource,
    texts: &dyn EmbeddingSource,
    rows: &[usize],
    params: &NegClipLossParams,
) -> Result<Vec<f32>, SourceError> {
    let dim = images.dim();
    let mut both = [vec![0.0; rows.len() * dim], vec![0.0; rows.len() * dim]];
    images.gather(rows, &mut both[0])?;
    texts.gather(rows, &mut both[1])?;
    let [images, texts] = &both;
    let sums = [log_sums(images, texts, dim, params), log_sums(texts, images, dim, params)];
    let pairs = images.chunks_exact(dim).zip(texts.chunks_exact(dim)).enumerate();
    let half = params.temperature / 2.0;
    Ok(pairs
        .map(|(i, (image, text))| dot(image, text) - half * (sums[0][i] + sums[1][i]))
        .collect())
}

/// For each row of `a` the log of the sum of `exp(cos / T)` over the rows of `b`.
fn log_sums(a: &[f32], b: &[f32], dim: usize, params: &NegClipLossParams) -> Vec<f32> {
    let all = Matrix::linear(b, dim);
    let n = all.outputs();
    a.par_chunks(ROWS * dim)
        .flat_map_iter(|rows| {
            let mut products = vec![0.0; rows.len() / dim * n];
            all.multiply(rows, Then::Store, &mut products);
            let sums: Vec<f32> = products
                .chunks_exact(n)
                .map(|row| {
                    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f64 = row
                        .iter()
                        .map(|&cosine| f64::from(((cosine - max) / params.temperature).exp()))
                        .sum();
                    max / params.temperature + sum.ln() as f32
                })
                .collect();
            sums
        })
        .collect()
}

/// Which norm of the similarities to the target [`norm_sim`] takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The largest absolute similarity: how near the nearest target is.
    #[default]
    Infinity,
    /// The root of the sum of squares: how much of the target's spread lies in this direction. Its
    /// square is the variance alignment score (arXiv 2402.02055) times the number of targets.
    Two,
}

/// NormSim: the norm of the similarities of each image embedding to the embeddings of a target set,
/// row after row in `target`.
///
/// Cost: `2 * rows * targets * dim` operations, for [`Norm::Two`] `2 * rows * dim^2`.
///
/// # Errors
/// When `target` holds no vector or no whole number of them, the embeddings cannot be read, or the
/// caller cancels.
pub fn norm_sim(
    images: &dyn EmbeddingSource,
    target: &[f32],
    norm: Norm,
    progress: &dyn Progress,
) -> Result<Vec<f32>, FilterError> {
    let dim = images.dim();
    let mut check = Checker::default();
    check.that(!target.is_empty(), "target", "empty", "at least one vector");
    check.finish()?;
    NetworkError::unless_whole("target", target.len(), dim)?;
    // With p = 2 the norm is that of the embedding times the root of the targets' second moment,
    // sqrt(f' (X'X) f).
    let matrix = match norm {
        Norm::Infinity => Matrix::linear(target, dim),
        Norm::Two => Matrix::linear(&second_moment(target, dim), dim),
    };
    let value = |row: &[f32], products: &[f32]| match norm {
        _ if row.iter().any(|x| x.is_nan()) => f32::NAN,
        Norm::Infinity => products.iter().fold(0.0, |max, x| x.abs().max(max)),
        Norm::Two => dot(row, products).max(0.0).sqrt(),
    };
    let mut scores = Vec::with_capacity(images.rows());
    for_blocks(images.rows(), |block| {
        progress.check().map_err(|Cancelled| Cancelled)?;
        let mut rows = vec![0.0; block.len() * dim];
        images.read(block, &mut rows)?;
        scores.par_extend(rows.par_chunks(ROWS * dim).flat_map_iter(|rows| {
            let n = matrix.outputs();
            let mut products = vec![0.0; rows.len() / dim * n];
            matrix.multiply(rows, Then::Store, &mut products);
            let pairs = rows.chunks_exact(dim).zip(products.chunks_exact(n));
            pairs.map(|(row, products)| value(row, products)).collect::<Vec<_>>()
        }));
        Ok(())
    })?;
    Ok(scores)
}

/// `X' X` of rows of length `dim`, summed in f64 in row order.
fn second_moment(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim * dim];
    for row in rows.chunks_exact(dim) {
        for (sums, &a) in sums.chunks_exact_mut(dim).zip(row) {
            sums.iter_mut().zip(row).for_each(|(sum, &b)| *sum += f64::from(a) * f64::from(b));
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
