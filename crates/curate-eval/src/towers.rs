//! Two projections on frozen features, trained with CLIP's loss (arXiv:2103.00020).

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Tensor, TensorData, activation},
};
use curate_core::{SampleId, random};
use curate_dfn::train::{Loss, loss::normalize};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Features of pictures, `n x d`, and of texts, `m x e`. A pair is a row of each.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    /// Pictures.
    pub images: ArrayView2<'a, f32>,
    /// Texts.
    pub texts: ArrayView2<'a, f32>,
}

/// How to train. Every selection to compare gets the same.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainParams {
    /// Elements of the hidden layers.
    pub hidden: usize,
    /// Elements of an embedding.
    pub dim: usize,
    /// Pairs of a step; all of them where there are fewer.
    pub batch: usize,
    /// Steps: with the batch, the samples seen.
    pub steps: usize,
    /// Largest learning rate, reached after a tenth of the steps; then it falls as a cosine.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Seed of the weights and the batches.
    pub seed: u64,
}

impl Default for TrainParams {
    fn default() -> Self {
        Self {
            hidden: 256,
            dim: 128,
            batch: 512,
            steps: 400,
            rate: 2e-3,
            weight_decay: 0.01,
            seed: 0,
        }
    }
}

/// A training that cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error("{0} pairs are too few: a contrast needs at least two")]
    TooFew(usize),
    /// A pair names a row that does not exist.
    #[error("pair {index} is ({image}, {text}), but there are {images} pictures and {texts} texts")]
    OutOfRange {
        /// The pair.
        index: usize,
        /// Its picture.
        image: usize,
        /// Its text.
        text: usize,
        /// Pictures there are.
        images: usize,
        /// Texts there are.
        texts: usize,
    },
    /// The loss is no number any more.
    #[error(
        "the loss of step {step} is {loss}; its batch has the pairs {pairs:?} and more; look for bad features, or lower the rate"
    )]
    Diverged {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
        /// The first pairs of its batch.
        pairs: Vec<(usize, usize)>,
    },
}

#[derive(Module, Debug)]
struct Projection {
    first: Linear,
    second: Linear,
}

impl Projection {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        normalize(self.second.forward(activation::gelu(self.first.forward(x))))
    }
}

#[derive(Module, Debug)]
struct Model {
    image: Projection,
    text: Projection,
    logit_scale: Param<Tensor<1>>,
}

impl Model {
    fn new(image: usize, text: usize, params: &TrainParams, device: &Device) -> Self {
        let projection = |inputs: usize, name: &str| Projection {
            first: linear(inputs, params.hidden, params.seed, &format!("{name}.first"), device),
            second: linear(
                params.hidden,
                params.dim,
                params.seed,
                &format!("{name}.second"),
                device,
            ),
        };
        let initial = (1.0_f32 / 0.07).ln();
        Self {
            image: projection(image, "image"),
            text: projection(text, "text"),
            logit_scale: Param::from_data(TensorData::from([initial]), device),
        }
    }

    /// The mean of the two cross-entropies of a batch whose pairs are the diagonal.
    fn loss(&self, images: Tensor<2>, texts: Tensor<2>) -> Tensor<1> {
        let (images, texts) = (self.image.forward(images), self.text.forward(texts));
        let scale = self.logit_scale.val().clamp(0.0, 100.0_f64.ln()).exp().unsqueeze::<2>();
        let bias = scale.zeros_like();
        Loss::Clip.apply(images, texts, scale, bias)
    }
}

/// A layer whose weights are hashes: uniform within `1 / sqrt(inputs)`, as PyTorch's.
fn linear(inputs: usize, outputs: usize, seed: u64, name: &str, device: &Device) -> Linear {
    let bound = 1.0 / (inputs as f64).sqrt();
    let draws = |part: &str, count: usize| -> Vec<f32> {
        let seed = random::derive(seed, &format!("{name}.{part}"));
        let draw = |i| (2.0 * random::unit(seed, SampleId::from(u128::from(i))) - 1.0) * bound;
        (0..count as u64).map(|i| draw(i) as f32).collect()
    };
    let weight = TensorData::new(draws("weight", inputs * outputs), [inputs, outputs]);
    let bias = TensorData::new(draws("bias", outputs), [outputs]);
    Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)) }
}

/// Two trained projections into one space.
#[derive(Debug, Clone)]
pub struct Towers(Model);

/// Trains two projections on `pairs`, each a row of the pictures and one of the texts, from the
/// start or from `start`.
///
/// # Errors
/// Fewer than two pairs, a pair without its rows, and a loss that is no number.
pub fn train(
    data: &Pairs<'_>,
    pairs: &[(usize, usize)],
    start: Option<&Towers>,
    params: &TrainParams,
) -> Result<Towers, TrainError> {
    check(data, pairs)?;
    let device = Device::flex().autodiff();
    let mut model = match start {
        Some(Towers(model)) => model.clone().train(),
        None => Model::new(data.images.ncols(), data.texts.ncols(), params, &device),
    };
    let mut optimiser = AdamWConfig::new().with_weight_decay(params.weight_decay).init();
    let mut batches = Batches::new(pairs, params);
    for step in 0..params.steps {
        let batch = batches.next_batch();
        let images = gather(data.images, batch.iter().map(|pair| pair.0), &device);
        let texts = gather(data.texts, batch.iter().map(|pair| pair.1), &device);
        let loss = model.loss(images, texts);
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            batch.truncate(8);
            return Err(TrainError::Diverged { step, loss: value, pairs: batch.clone() });
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimiser.step(rate(params, step), model, gradients);
    }
    Ok(Towers(model.valid()))
}

fn check(data: &Pairs<'_>, pairs: &[(usize, usize)]) -> Result<(), TrainError> {
    if pairs.len() < 2 {
        return Err(TrainError::TooFew(pairs.len()));
    }
    let (images, texts) = (data.images.nrows(), data.texts.nrows());
    for (index, &(image, text)) in pairs.iter().enumerate() {
        if image >= images || text >= texts {
            return Err(TrainError::OutOfRange { index, image, text, images, texts });
        }
    }
    Ok(())
}

/// Rises over the first tenth of the steps, then falls to zero as a cosine.
fn rate(params: &TrainParams, step: usize) -> f64 {
    let warm = (params.steps / 10).max(1);
    if step < warm {
        return params.rate * (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (params.steps - warm).max(1) as f64;
    params.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// Epochs one after the other, each in its own order, cut into batches.
struct Batches<'a> {
    pairs: &'a [(usize, usize)],
    seed: u64,
    size: usize,
    epoch: u64,
    order: std::vec::IntoIter<usize>,
    batch: Vec<(usize, usize)>,
}

impl<'a> Batches<'a> {
    fn new(pairs: &'a [(usize, usize)], params: &TrainParams) -> Self {
        Self {
            pairs,
            seed: random::derive(params.seed, "batches"),
            size: params.batch.min(pairs.len()),
            epoch: 0,
            order: Vec::new().into_iter(),
            batch: Vec::new(),
        }
    }

    fn next_batch(&mut self) -> &mut Vec<(usize, usize)> {
        self.batch.clear();
        while self.batch.len() < self.size {
            let Some(next) = self.order.next() else {
                self.order = shuffled(self.pairs.len(), self.seed, self.epoch).into_iter();
                self.epoch += 1;
                continue;
            };
            self.batch.push(self.pairs[next]);
        }
        &mut self.batch
    }
}

fn shuffled(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let seed = random::derive(seed, &epoch.to_string());
    let mut keyed: Vec<(u64, usize)> =
        (0..n).map(|i| (random::hash(seed, SampleId::from(i as u128)), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

fn gather(
    from: ArrayView2<'_, f32>,
    rows: impl ExactSizeIterator<Item = usize>,
    device: &Device,
) -> Tensor<2> {
    let shape = [rows.len(), from.ncols()];
    let values: Vec<f32> = rows.flat_map(|row| from.row(row).into_iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Towers {
    /// Embeddings of pictures, `n x dim`, of length one.
    pub fn images(&self, rows: ArrayView2<'_, f32>) -> Vec<f32> {
        embed(&self.0.image, rows)
    }

    /// Embeddings of texts, `n x dim`, of length one.
    pub fn texts(&self, rows: ArrayView2<'_, f32>) -> Vec<f32> {
        embed(&self.0.text, rows)
    }

    /// The cosine of each pair.
    pub fn cosines(&self, data: &Pairs<'_>, pairs: &[(usize, usize)]) -> Vec<f32> {
        let (images, texts) = (self.images(data.images), self.texts(data.texts));
        let dim = images.len() / data.images.nrows().max(1);
        let cosine = |&(image, text): &(usize, usize)| {
            let (a, b) = (&images[image * dim..][..dim], &texts[text * dim..][..dim]);
            a.iter().zip(b).map(|(a, b)| a * b).sum()
        };
        pairs.par_iter().map(cosine).collect()
    }
}

/// Rows embedded together: the answer does not depend on it beyond rounding, the memory does.
const BLOCK: usize = 4096;

fn embed(projection: &Projection, rows: ArrayView2<'_, f32>) -> Vec<f32> {
    let device = Device::flex();
    let mut out = Vec::new();
    for first in (0..rows.nrows()).step_by(BLOCK) {
        let last = (first + BLOCK).min(rows.nrows());
        let x = gather(rows, first..last, &device);
        let block = projection.forward(x).into_data();
        out.extend(block.try_to_vec::<f32>().expect("embeddings are f32"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_rate_rises_then_falls_to_zero() {
        let params = TrainParams { steps: 100, rate: 1.0, ..TrainParams::default() };
        assert!((rate(&params, 0) - 0.1).abs() < 1e-12);
        assert!((rate(&params, 9) - 1.0).abs() < 1e-12);
        assert!((rate(&params, 55) - 0.5).abs() < 1e-12);
        assert!(rate(&params, 99) < 1e-3);
    }

    #[test]
    fn every_epoch_sees_every_pair_once() {
        let pairs: Vec<(usize, usize)> = (0..10).map(|i| (i, i)).collect();
        let params = TrainParams { batch: 4, ..TrainParams::default() };
        let mut batches = Batches::new(&pairs, &params);
        let seen: Vec<(usize, usize)> = (0..5).flat_map(|_| batches.next_batch().clone()).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, pairs);
        }
        assert_ne!(seen[..10], seen[10..], "each epoch has its own order");
        let few = &pairs[..3];
        assert_eq!(Batches::new(few, &params).next_batch().len(), 3);
    }

    /// The loss of a batch by its definition, in double precision.
    fn loss_by_hand(images: &[f32], texts: &[f32], n: usize, scale: f64) -> f64 {
        let dim = images.len() / n;
        let logit = |i: usize, j: usize| {
            let (a, b) = (&images[i * dim..][..dim], &texts[j * dim..][..dim]);
            scale * a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let cross = |logits: Vec<f64>, own: usize| {
            logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[own]
        };
        let rows: f64 = (0..n).map(|i| cross((0..n).map(|j| logit(i, j)).collect(), i)).sum();
        let columns: f64 = (0..n).map(|i| cross((0..n).map(|j| logit(j, i)).collect(), i)).sum();
        0.5 * (rows + columns) / n as f64
    }

    #[test]
    fn the_loss_is_the_mean_of_both_cross_entropies() {
        let params = TrainParams { hidden: 8, dim: 4, ..TrainParams::default() };
        let device = Device::flex();
        let model = Model::new(3, 5, &params, &device);
        let data = |d: usize| {
            Array2::from_shape_fn((6, d), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 5.0 - 1.0)
        };
        let (images, texts) = (data(3), data(5));
        let found = model
            .loss(gather(images.view(), 0..6, &device), gather(texts.view(), 0..6, &device))
            .into_scalar::<f32>();
        let towers = Towers(model);
        let (a, b) = (towers.images(images.view()), towers.texts(texts.view()));
        let expected = loss_by_hand(&a, &b, 6, 1.0 / 0.07);
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} {expected}");
    }

    /// Noisy pairs of ten concepts.
    fn concepts(n: usize) -> (Array2<f32>, Array2<f32>) {
        let noise = |i: usize, j: usize, salt: u64| {
            (random::unit(salt, SampleId::from((i * 64 + j) as u128)) - 0.5) as f32
        };
        let part = |salt| {
            Array2::from_shape_fn((n, 16), |(i, j)| {
                f32::from(u8::from(i % 10 == j)) + 0.3 * noise(i, j, salt)
            })
        };
        (part(1), part(2))
    }

    #[test]
    fn training_tells_right_from_wrong_pairs_and_repeats_itself() {
        let (images, texts) = concepts(200);
        let data = Pairs { images: images.view(), texts: texts.view() };
        let pairs: Vec<(usize, usize)> = (0..100).map(|i| (i, i)).collect();
        let params =
            TrainParams { hidden: 32, dim: 16, batch: 50, steps: 60, ..TrainParams::default() };
        let towers = train(&data, &pairs, None, &params).expect("the data are fine");
        let right: Vec<(usize, usize)> = (100..200).map(|i| (i, i)).collect();
        let wrong: Vec<(usize, usize)> = (100..199).map(|i| (i, i + 1)).collect();
        let mean = |pairs: &[(usize, usize)]| {
            towers.cosines(&data, pairs).iter().sum::<f32>() / pairs.len() as f32
        };
        assert!(mean(&right) > mean(&wrong) + 0.3, "{} {}", mean(&right), mean(&wrong));
        let again = train(&data, &pairs, None, &params).expect("the data are fine");
        assert_eq!(again.cosines(&data, &right), towers.cosines(&data, &right));
        let other = TrainParams { seed: 1, ..params.clone() };
        let other = train(&data, &pairs, None, &other).expect("the data are fine");
        assert_ne!(other.cosines(&data, &right), towers.cosines(&data, &right));
        let more = train(&data, &pairs, Some(&towers), &params).expect("the data are fine");
        assert_ne!(more.cosines(&data, &right), towers.cosines(&data, &right));
    }

    #[test]
    fn bad_input_is_refused() {
        let (images, texts) = concepts(4);
        let data = Pairs { images: images.view(), texts: texts.view() };
        let params = TrainParams { hidden: 4, dim: 2, steps: 2, ..TrainParams::default() };
        let of = |pairs: &[(usize, usize)]| train(&data, pairs, None, &params).map(|_| ());
        assert_eq!(of(&[(0, 0)]), Err(TrainError::TooFew(1)));
        let error = of(&[(0, 0), (4, 1)]).expect_err("row 4 does not exist").to_string();
        assert!(error.contains("pair 1 is (4, 1)") && error.contains("4 pictures"), "{error}");
        let mut broken = images.clone();
        broken[[2, 3]] = f32::NAN;
        let data = Pairs { images: broken.view(), texts: texts.view() };
        let error = train(&data, &[(0, 0), (2, 2)], None, &params).map(|_| ());
        assert!(matches!(error, Err(TrainError::Diverged { step: 0, .. })), "{error:?}");
    }
}
