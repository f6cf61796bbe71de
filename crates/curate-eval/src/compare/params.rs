//! What every run of a comparison has in common.

use burn::tensor::Device;
use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::Order;

/// More seeds narrow no interval that matters, and each run is a file.
const MOST_SEEDS: u64 = 10_000;
/// Models of this size are small, and a matrix of so many rows and columns fits into memory.
const LARGEST: usize = 32_768;

/// What is trained on every selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Two projections of the features of images and texts, with CLIP's loss.
    #[default]
    Projections,
    /// A linear model of the labels.
    Linear,
    /// A network with one hidden layer, of the labels.
    Mlp,
    /// A network of convolutions on the pictures' pixels, of the labels.
    Cnn,
}

impl Model {
    /// True when the model learns labels, and needs no texts.
    pub fn learns_labels(self) -> bool {
        self != Self::Projections
    }
}

/// How to compare selections. [`CompareParams::check`] makes it usable.
///
/// ```
/// use curate_eval::compare::CompareParams;
///
/// let params = CompareParams { budgets: vec![100], ..CompareParams::default() };
/// let error = params.check().unwrap_err().to_string();
/// assert!(error.contains("`budgets` is 100, but must be at least one batch, 512"), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CompareParams {
    /// The name of the pool's embedding of images; not used by convolutions, which look at pictures.
    pub images: String,
    /// The name of the pool's embedding of texts; not used by models that learn labels.
    pub texts: String,
    /// What is trained.
    pub model: Model,
    /// Samples seen in a training, repeats included; each is cut to whole batches.
    pub budgets: Vec<u64>,
    /// Trainings of each selection and budget; their seeds are 0, 1, ….
    pub seeds: u64,
    /// Share of the pool's rows that nobody trains on, drawn by their ids. `None`: as many as make
    /// [`Self::test_rows`], but at most a tenth. Not used with a test pool.
    pub held_out: Option<f64>,
    /// The most rows that models are tested on.
    pub test_rows: usize,
    /// The most captions of the pool that describe a class, where there are no prompts.
    pub captions: usize,
    /// The most labeled rows of the pool that linear probe and neighbors learn from.
    pub bank: usize,
    /// The side in pixels to which pictures are brought, for convolutions.
    pub pixels: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Elements of hidden layers; channels of the first convolution.
    pub hidden: usize,
    /// Elements of an embedding, for projections.
    pub dim: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// In which order samples are seen.
    pub order: Order,
}

impl Default for CompareParams {
    fn default() -> Self {
        Self {
            images: "img".to_owned(),
            texts: "txt".to_owned(),
            model: Model::Projections,
            budgets: vec![200_000],
            seeds: 3,
            held_out: None,
            test_rows: 2000,
            captions: 80,
            bank: 5000,
            pixels: 32,
            batch: 512,
            hidden: 256,
            dim: 128,
            rate: 2e-3,
            weight_decay: 0.01,
            order: Order::Epochs,
        }
    }
}

impl CompareParams {
    /// The comparison, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(mut self) -> Result<Compare, ParamsError> {
        self.budgets.sort_unstable();
        self.budgets.dedup();
        let mut check = Checker::default();
        let least = if self.model.learns_labels() { 1 } else { 2 };
        check.that(!self.budgets.is_empty(), "budgets", "empty", "at least one budget");
        for &budget in self.budgets.iter().filter(|budget| **budget < self.batch as u64) {
            let allowed = format!("at least one batch, {}", self.batch);
            check.that(false, "budgets", budget, allowed);
        }
        let few = (1..=MOST_SEEDS).contains(&self.seeds);
        check.that(few, "seeds", self.seeds, format!("from 1 to {MOST_SEEDS}"));
        let share = self.held_out.unwrap_or(0.5);
        check.that(share > 0.0 && share < 1.0, "held-out", share, "a number between 0 and 1");
        for (field, value, least) in [
            ("test-rows", self.test_rows, 2),
            ("captions", self.captions, 1),
            ("bank", self.bank, 2),
            ("batch", self.batch, least),
            ("hidden", self.hidden, 1),
            ("dim", self.dim, 1),
            ("pixels", self.pixels, 8),
        ] {
            let fits = (least..=LARGEST).contains(&value);
            check.that(fits, field, value, format!("from {least} to {LARGEST}"));
        }
        let (rate, decay) = (self.rate, self.weight_decay);
        check.that(rate.is_finite() && rate > 0.0, "rate", rate, "a number above 0");
        let fits = decay.is_finite() && decay >= 0.0;
        check.that(fits, "weight-decay", decay, "a number from 0 on");
        check.that(self.order != Order::Shards(0), "order", "shards of 0", "shards of at least 1");
        check.finish()?;
        Ok(Compare { params: self, device: Device::flex(), device_name: "cpu".to_owned() })
    }
}

/// A comparison with valid parameters.
#[derive(Clone, Debug)]
pub struct Compare {
    pub(crate) params: CompareParams,
    pub(crate) device: Device,
    pub(crate) device_name: String,
}

impl Compare {
    /// Trains on this device instead of the CPU, one run after the other.
    pub fn on(mut self, device: Device, name: impl Into<String>) -> Self {
        (self.device, self.device_name) = (device, name.into());
        self
    }

    /// The parameters.
    pub fn params(&self) -> &CompareParams {
        &self.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_value_is_named_and_budgets_are_sorted() {
        let wrong = CompareParams {
            budgets: vec![],
            seeds: 0,
            held_out: Some(1.0),
            test_rows: 1,
            captions: 0,
            bank: 0,
            batch: 1,
            hidden: 1 << 40,
            dim: 0,
            rate: f64::NAN,
            weight_decay: -1.0,
            order: Order::Shards(0),
            ..CompareParams::default()
        };
        let error = wrong.check().unwrap_err();
        assert_eq!(error.violations.len(), 12, "{error}");
        let good = CompareParams { budgets: vec![4096, 1024, 4096], ..CompareParams::default() };
        assert_eq!(good.check().unwrap().params().budgets, [1024, 4096]);
    }
}
