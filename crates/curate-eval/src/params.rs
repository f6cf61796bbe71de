//! How to train the probe.

use burn::tensor::Device;
use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{
    Order, Repeats,
    fit::{Fit, steps_of},
    order::times_seen,
};

/// How to train; every selection to compare gets the same. [`ProbeParams::check`] makes it usable.
///
/// ```
/// use curate_eval::ProbeParams;
///
/// assert!(ProbeParams::new().steps(60).check().is_ok());
/// let error = ProbeParams::new().batch(1).rate(f64::NAN).check().unwrap_err();
/// assert_eq!(error.violations.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeParams {
    /// Elements of the hidden layers.
    pub(crate) hidden: usize,
    /// Elements of an embedding.
    pub(crate) dim: usize,
    /// Pairs of a step.
    pub(crate) batch: usize,
    /// Steps: with the batch, the samples seen.
    pub(crate) steps: usize,
    /// Largest learning rate.
    pub(crate) rate: f64,
    /// Decoupled weight decay.
    pub(crate) weight_decay: f32,
    /// Seed of the weights and the batches.
    pub(crate) seed: u64,
    /// In which order pairs are seen.
    pub(crate) order: Order,
}

impl Default for ProbeParams {
    fn default() -> Self {
        Self {
            hidden: 256,
            dim: 128,
            batch: 512,
            steps: 400,
            rate: 2e-3,
            weight_decay: 0.01,
            seed: 0,
            order: Order::Epochs,
        }
    }
}

impl ProbeParams {
    /// Embeddings of 128 numbers from hidden layers of 256; 400 steps of 512 pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Elements of the hidden layers.
    pub fn hidden(mut self, hidden: usize) -> Self {
        self.hidden = hidden;
        self
    }

    /// Elements of an embedding.
    pub fn dim(mut self, dim: usize) -> Self {
        self.dim = dim;
        self
    }

    /// Pairs of a step. A selection of fewer pairs is seen several times in a step.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Steps: with the batch, the samples seen.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// As many whole steps as see at most so many samples; call it after [`Self::batch`].
    pub fn samples(mut self, samples: u64) -> Self {
        self.steps = steps_of(samples, self.batch);
        self
    }

    /// In which order pairs are seen.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Largest learning rate, reached after a tenth of the steps; then it falls as a cosine.
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Decoupled weight decay.
    pub fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Seed of the weights and the batches.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The probe, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Probe, ParamsError> {
        let mut check = Checker::default();
        check.that(self.hidden > 0, "hidden", self.hidden, "at least 1");
        check.that(self.dim > 0, "dim", self.dim, "at least 1");
        let contrast = "at least 2: a pair is told from others";
        check.that(self.batch > 1, "batch", self.batch, contrast);
        check.that(self.steps > 0, "steps", self.steps, "at least 1");
        let (rate, decay) = (self.rate, self.weight_decay);
        check.that(rate.is_finite() && rate > 0.0, "rate", rate, "a number above 0");
        let fits = decay.is_finite() && decay >= 0.0;
        check.that(fits, "weight_decay", decay, "a number from 0 on");
        check.that(self.order != Order::Shards(0), "order", "shards of 0", "shards of at least 1");
        check.finish()?;
        Ok(Probe { params: self, device: Device::flex() })
    }
}

/// A small model to judge selections by, with valid parameters.
#[derive(Clone, Debug)]
pub struct Probe {
    pub(crate) params: ProbeParams,
    pub(crate) device: Device,
}

impl Probe {
    /// Trains on this device instead of the CPU.
    pub fn on(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// How often [`Self::run`] sees each of `n` pairs.
    pub fn times_seen(&self, n: usize) -> Vec<u64> {
        let ProbeParams { batch, steps, order, seed, .. } = self.params;
        times_seen(n, batch, order, seed, steps)
    }

    /// What [`Self::run`] sees of `n` pairs.
    pub fn repeats(&self, n: usize) -> Repeats {
        Repeats::of(&self.times_seen(n))
    }

    pub(crate) fn fit(&self) -> Fit<'_> {
        let ProbeParams { batch, steps, rate, weight_decay, seed, order, .. } = self.params;
        Fit { batch, steps, rate, weight_decay, seed, order, unit: "pairs", device: &self.device }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_value_is_named() {
        let wrong = ProbeParams::new().hidden(0).dim(0).batch(1).steps(0).rate(0.0);
        let wrong = wrong.weight_decay(f32::NAN).order(Order::Shards(0));
        let error = wrong.check().unwrap_err();
        let fields: Vec<&str> = error.violations.iter().map(|v| &*v.field).collect();
        assert_eq!(fields, ["hidden", "dim", "batch", "steps", "rate", "weight_decay", "order"]);
    }
}
