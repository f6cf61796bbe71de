//! The training loop.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Device, Gradients, Tensor};
use curate_core::{Cancelled, ParamsError, Progress, SampleId, random};
use curate_device::DeviceError;
use curate_io::{IoError, digest};

use crate::{
    NetworkError,
    config::ModelConfig,
    random::shuffled,
    train::{
        AdamW, Batch, DeviceNetwork, Pairs, Schedule, StepReport, TrainParams, loss::normalize,
        model::values, ops,
    },
    weights::{Weights, parameters},
};

/// The largest logarithm of the logit scale: a scale of 100.
const LARGEST_LOGIT_SCALE: f32 = 4.605_170_2;

/// Training cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Settings outside their range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The pairs do not make one batch.
    #[error("{pairs} pairs make no batch of {batch}: give more pairs or a smaller batch")]
    TooFew {
        /// Pairs there are.
        pairs: usize,
        /// Pairs of a batch.
        batch: usize,
    },
    /// A batch has fewer than two pairs that can be read.
    #[error("step {step}: {bad} of the batch's pairs cannot be read, fewer than 2 are left")]
    NoPairs {
        /// The step.
        step: usize,
        /// Pairs that cannot be read.
        bad: usize,
    },
    /// The loss or a gradient is NaN or infinite.
    #[error(
        "step {step}: the {what} is {value}; the batch: {}; lower the learning rate, clip the \
         gradients, or look at these samples",
        list(ids)
    )]
    NotFinite {
        /// The step.
        step: usize,
        /// Loss or norm of the gradients.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The pairs of the batch.
        ids: Vec<SampleId>,
    },
    /// A file.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Weights, or a batch, that are not the network's.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The caller asked to stop; the state is saved.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn list(ids: &[SampleId]) -> String {
    let shown: Vec<String> = ids.iter().take(8).map(SampleId::to_string).collect();
    let more = ids.len() - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// A run of training.
pub struct Trainer {
    params: TrainParams,
    initial: Weights,
    axes: BTreeMap<String, usize>,
    pub(crate) network: DeviceNetwork,
    pub(crate) optimizer: AdamW,
    pub(crate) history: Vec<StepReport>,
    pub(crate) fingerprint: String,
    /// That of the pairs of the run.
    pub(crate) pairs: String,
}

impl Trainer {
    /// A run that starts from these weights. `device` is a plain device; gradients are added here.
    ///
    /// # Errors
    /// When a setting is outside its range, or the weights are not those of the config or not finite.
    pub fn new(
        config: &ModelConfig,
        weights: &Weights,
        params: TrainParams,
        device: Device,
    ) -> Result<Self, TrainError> {
        params.check()?;
        let axes = parameters(config).into_iter().map(|(name, shape)| (name, shape.len()));
        Ok(Self {
            axes: axes.collect(),
            network: DeviceNetwork::new(config, weights, &device.autodiff())?,
            optimizer: AdamW::new(&params),
            history: Vec::new(),
            fingerprint: fingerprint(config, weights, &params),
            pairs: String::new(),
            initial: weights.clone(),
            params,
        })
    }

    /// What the steps so far did.
    pub fn history(&self) -> &[StepReport] {
        &self.history
    }

    /// The parameters now.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&self) -> Result<Weights, TrainError> {
        Ok(self.network.weights(&self.initial)?)
    }

    /// Trains until all steps are done. With a `checkpoint` file, goes on from it when it is there
    /// and saves to it; the losses are then those of a run that was never interrupted.
    ///
    /// # Errors
    /// When the pairs make no batch, a loss is not finite, a file or the device fails, or the
    /// caller cancels. After a cancellation the checkpoint holds all steps done.
    pub fn run(
        &mut self,
        pairs: &dyn Pairs,
        checkpoint: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<(), TrainError> {
        let TrainParams { steps, batch, .. } = self.params;
        if pairs.len() < batch {
            return Err(TrainError::TooFew { pairs: pairs.len(), batch });
        }
        self.pairs = pairs.fingerprint();
        if let Some(file) = checkpoint.filter(|file| file.exists()) {
            self.load(file)?;
        }
        progress.start("train", (steps * batch) as u64, "pairs");
        progress.advance((self.optimizer.step * batch) as u64);
        let done = self.remaining_steps(pairs, checkpoint, progress);
        progress.finish();
        done
    }

    fn remaining_steps(
        &mut self,
        pairs: &dyn Pairs,
        checkpoint: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<(), TrainError> {
        let TrainParams { steps, batch, checkpoint_every, .. } = self.params;
        while self.optimizer.step < steps {
            if progress.is_cancelled() {
                checkpoint.map_or(Ok(()), |file| self.save(file))?;
                return Err(Cancelled.into());
            }
            let report = self.step(&self.batch(pairs)?)?;
            progress.metric("step", self.optimizer.step as f64);
            progress.metric("loss", report.loss);
            progress.advance(batch as u64);
            let done = self.optimizer.step;
            if let Some(file) =
                checkpoint.filter(|_| done.is_multiple_of(checkpoint_every) || done == steps)
            {
                self.save(file)?;
            }
        }
        Ok(())
    }

    /// The batch of the next step: the pairs of an epoch come in a shuffled order, a rest that
    /// makes no batch is left out.
    fn batch(&self, pairs: &dyn Pairs) -> Result<Batch, TrainError> {
        let (step, size) = (self.optimizer.step, self.params.batch);
        let batches = pairs.len() / size;
        let (epoch, at) = (step / batches, step % batches);
        let seed = random::derive(self.params.seed, &format!("epoch {epoch}"));
        let order = shuffled(seed, pairs.len());
        let batch = pairs.batch(&order[at * size..(at + 1) * size], seed)?;
        if batch.ids.len() < 2 {
            return Err(TrainError::NoPairs { step, bad: batch.bad });
        }
        Ok(batch)
    }

    /// One step of the optimizer on a batch.
    ///
    /// # Errors
    /// When the loss or a gradient is not finite, or the device fails. The parameters are then as
    /// before.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, TrainError> {
        let step = self.optimizer.step;
        let not_finite = |what, value: f64| match value.is_finite() {
            true => Ok(()),
            false => Err(TrainError::NotFinite { step, what, value, ids: batch.ids.clone() }),
        };
        let (loss, mut gradients) = self.gradients(batch)?;
        not_finite("loss", loss)?;
        let gradient_norm = norm(&gradients)?;
        not_finite("norm of the gradients", gradient_norm)?;
        if let Some(largest) = self.params.clip_norm {
            let share = largest / (gradient_norm + 1e-6);
            if share < 1.0 {
                gradients.values_mut().for_each(|g| *g = g.clone().mul_scalar(share));
            }
        }
        let TrainParams { lr, warmup, steps, .. } = self.params;
        let lr = Schedule { lr, warmup, steps }.at(step);
        let axes = &self.axes;
        self.optimizer.update(&mut self.network, gradients, lr, |name| axes[name]);
        let scale = self.network.parameters()["logit_scale"].clone().without_autodiff();
        self.network.set("logit_scale", scale.clamp(0.0, LARGEST_LOGIT_SCALE));
        let logit_scale = f64::from(values(self.network.scale())?[0]);
        let report = StepReport { step, loss, gradient_norm, lr, logit_scale, bad: batch.bad };
        self.history.push(report);
        Ok(report)
    }

    /// The loss of a batch and the gradient of every parameter.
    ///
    /// # Errors
    /// When the batch is not one of whole pairs, or the device fails.
    pub fn gradients(
        &self,
        batch: &Batch,
    ) -> Result<(f64, BTreeMap<String, Tensor<2>>), TrainError> {
        self.check(batch)?;
        if batch.ids.len() <= self.params.micro_batch {
            let network = &self.network;
            let images = normalize(network.image_features(&batch.pixels)?);
            let texts = normalize(network.text_features(&batch.tokens)?);
            let loss = self.params.loss.apply(images, texts, network.scale(), network.bias())?;
            let value = f64::from(loss.clone().without_autodiff().into_scalar::<f32>());
            let mut all = BTreeMap::new();
            self.collect(&mut loss.backward(), &mut all);
            return Ok((value, all));
        }
        self.cached_gradients(batch)
    }

    /// An error unless a batch has one image and one text for each id.
    fn check(&self, batch: &Batch) -> Result<(), NetworkError> {
        let config = self.network.config();
        let size = config.vision_cfg.image_size;
        let pairs = batch.ids.len();
        for (argument, found, each) in [
            ("images", batch.pixels.len(), 3 * size * size),
            ("tokens", batch.tokens.len(), config.text_cfg.context_length),
        ] {
            NetworkError::unless_some(argument, found, each)?;
            if found != pairs * each {
                return Err(NetworkError::NotWhole { argument, found, each: pairs * each });
            }
        }
        Ok(())
    }

    /// The same in little memory (Gao et al. 2021, arXiv 2101.06983): features without gradients,
    /// the gradient of the loss by the features, then each part again with it.
    fn cached_gradients(
        &self,
        batch: &Batch,
    ) -> Result<(f64, BTreeMap<String, Tensor<2>>), TrainError> {
        let n = batch.ids.len();
        let parts = || {
            let size = self.params.micro_batch;
            let pixels = batch.pixels.chunks(batch.pixels.len() / n * size);
            let tokens = batch.tokens.chunks(batch.tokens.len() / n * size);
            pixels.zip(tokens)
        };
        let frozen = self.network.frozen();
        let (mut images, mut texts) = (Vec::new(), Vec::new());
        for (pixels, tokens) in parts() {
            images.push(normalize(frozen.image_features(pixels)?));
            texts.push(normalize(frozen.text_features(tokens)?));
        }
        let leaf = |parts: Vec<Tensor<2>>| Tensor::cat(parts, 0).autodiff().require_grad();
        let (images, texts) = (leaf(images), leaf(texts));
        let network = &self.network;
        let loss = self.params.loss.apply(
            images.clone(),
            texts.clone(),
            network.scale(),
            network.bias(),
        )?;
        let value = f64::from(loss.clone().without_autodiff().into_scalar::<f32>());
        let mut from_loss = loss.backward();
        let mut all = BTreeMap::new();
        self.collect(&mut from_loss, &mut all);
        let known = "a leaf has a gradient";
        let (by_images, by_texts) =
            (images.grad(&from_loss).expect(known), texts.grad(&from_loss).expect(known));
        let mut first = 0;
        for (pixels, tokens) in parts() {
            let images = normalize(network.image_features(pixels)?);
            let texts = normalize(network.text_features(tokens)?);
            let [rows, dim] = images.dims();
            let part = |by: &Tensor<2>| by.clone().slice([first..first + rows, 0..dim]).autodiff();
            let surrogate = (images * part(&by_images)).sum() + (texts * part(&by_texts)).sum();
            self.collect(&mut surrogate.backward(), &mut all);
            first += rows;
        }
        Ok((value, all))
    }

    /// Adds the gradients of the parameters to those collected.
    fn collect(&self, from: &mut Gradients, to: &mut BTreeMap<String, Tensor<2>>) {
        for (name, parameter) in self.network.parameters() {
            let Some(gradient) = parameter.grad_remove(from) else { continue };
            let sum = match to.remove(name) {
                Some(other) => other + gradient,
                None => gradient,
            };
            to.insert(name.clone(), sum);
        }
    }
}

/// The norm of all gradients together.
fn norm(gradients: &BTreeMap<String, Tensor<2>>) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for gradient in gradients.values() {
        let squares = ops::sum_of_squares(gradient.clone());
        sum += f64::from(squares.into_scalar::<f32>());
    }
    Ok(sum.sqrt())
}

/// What must be the same for a checkpoint to be gone on from.
fn fingerprint(config: &ModelConfig, weights: &Weights, params: &TrainParams) -> String {
    let mut bytes = serde_json::to_vec(&(config, params)).expect("settings are JSON");
    for (name, array) in weights.arrays() {
        bytes.extend(name.as_bytes());
        bytes.extend(array.data.iter().flat_map(|x| x.to_le_bytes()));
    }
    digest::of_bytes(&bytes)
}
