//! What training can be told.

use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

/// Which loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Softmax over the batch in both directions (Radford et al. 2021, arXiv 2103.00020, figure 3).
    #[default]
    Clip,
    /// A sigmoid for each pair of the batch (Zhai et al. 2023, arXiv 2303.15343, equation 1).
    SigLip,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, counted from 0.
    pub step: usize,
    /// The loss of its batch.
    pub loss: f64,
    /// The norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// The logit scale (not its logarithm) after the step.
    pub logit_scale: f64,
    /// Pairs that could not be read.
    pub bad: usize,
}

/// Changes of the images while training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// The share of the area that a random crop keeps at least; 1 with [`Augment::ratio`] 1 keeps
    /// the whole image.
    pub scale: f64,
    /// The largest change of proportions of a crop, for example 4/3; 1 for none.
    pub ratio: f64,
    /// Mirror half of the images. Only where left and right mean nothing: it spoils captions that
    /// speak of them, and all writing.
    pub flip: bool,
}

impl Default for Augment {
    /// open_clip's: crops of at least 90 % of the area, proportions up to 4/3, no mirroring.
    fn default() -> Self {
        Self { scale: 0.9, ratio: 4.0 / 3.0, flip: false }
    }
}

/// How to train.
///
/// ```
/// use curate_dfn::train::{Loss, TrainParams};
///
/// let params = TrainParams::new().steps(200).batch(64).micro_batch(16).loss(Loss::SigLip);
/// assert!(params.check().is_ok());
/// assert_eq!((params.batch, params.micro_batch, params.lr), (64, 16, 5e-4));
/// let wrong = params.lr(0.0).steps(0).check().unwrap_err();
/// assert_eq!(wrong.violations.len(), 2, "both at once");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainParams {
    /// The loss.
    pub loss: Loss,
    /// Steps of the optimizer.
    pub steps: usize,
    /// Pairs of a step.
    pub batch: usize,
    /// Pairs whose activations are held at a time. Smaller needs less memory and a second forward
    /// pass (Gao et al. 2021, arXiv 2101.06983); the gradients are those of the whole batch.
    pub micro_batch: usize,
    /// The largest learning rate.
    pub lr: f64,
    /// Steps until the learning rate is reached; then it falls to 0 on half a cosine.
    pub warmup: usize,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// What keeps the step finite where the second moment is 0.
    pub eps: f64,
    /// Decoupled weight decay of matrices; norms, biases, the class embedding and the logit scale
    /// have none.
    pub weight_decay: f64,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Changes of the images; none if left out.
    pub augment: Option<Augment>,
    /// The seed of shuffles and augmentation.
    pub seed: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
}

impl Default for TrainParams {
    /// DataComp's settings (Gadre et al. 2023, arXiv 2304.14108, table 8) at a batch for one
    /// machine.
    fn default() -> Self {
        Self {
            loss: Loss::Clip,
            steps: 1000,
            batch: 256,
            micro_batch: 256,
            lr: 5e-4,
            warmup: 100,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-6,
            weight_decay: 0.2,
            clip_norm: None,
            augment: Some(Augment::default()),
            seed: 0,
            checkpoint_every: 500,
        }
    }
}

impl TrainParams {
    /// The defaults, which are DataComp's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pairs of a step, all of whose activations are held at a time; 256 unless told.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self.micro_batch = batch;
        self
    }

    /// Pairs whose activations are held at a time, fewer than [`Self::batch`]: say that first.
    pub fn micro_batch(mut self, micro_batch: usize) -> Self {
        self.micro_batch = micro_batch;
        self
    }

    /// The decays of both moments; 0.9 and 0.98 unless told.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.beta1 = beta1;
        self.beta2 = beta2;
        self
    }

    /// The loss; CLIP's unless told.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Steps of the optimizer; 1,000 unless told.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The largest learning rate; 5e-4 unless told.
    pub fn lr(mut self, lr: f64) -> Self {
        self.lr = lr;
        self
    }

    /// Steps until the learning rate is reached; 100 unless told.
    pub fn warmup(mut self, warmup: usize) -> Self {
        self.warmup = warmup;
        self
    }

    /// Decoupled weight decay; 0.2 unless told.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// The largest norm of all gradients together; none unless told.
    pub fn clip_norm(mut self, clip_norm: Option<f64>) -> Self {
        self.clip_norm = clip_norm;
        self
    }

    /// Changes of the images; open_clip's unless told.
    pub fn augment(mut self, augment: Option<Augment>) -> Self {
        self.augment = augment;
        self
    }

    /// The seed of shuffles and augmentation; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Steps between checkpoints; 500 unless told.
    pub fn checkpoint_every(mut self, checkpoint_every: usize) -> Self {
        self.checkpoint_every = checkpoint_every;
        self
    }

    /// Every value outside its range.
    ///
    /// # Errors
    /// All of them at once.
    pub fn check(&self) -> Result<(), ParamsError> {
        let mut check = Checker::default();
        let at_least_1 = "at least 1";
        check.that(self.steps > 0, "steps", self.steps, at_least_1);
        check.that(self.batch > 1, "batch", self.batch, "at least 2: a pair is told from others");
        check.that(self.micro_batch > 0, "micro_batch", self.micro_batch, at_least_1);
        check.that(
            self.checkpoint_every > 0,
            "checkpoint_every",
            self.checkpoint_every,
            at_least_1,
        );
        let positive = |x: f64| x.is_finite() && x > 0.0;
        check.that(positive(self.lr), "lr", self.lr, "a number above 0");
        check.that(positive(self.eps), "eps", self.eps, "a number above 0");
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            check.that((0.0..1.0).contains(&beta), name, beta, "from 0 to below 1");
        }
        let decay = self.weight_decay;
        check.that(decay.is_finite() && decay >= 0.0, "weight_decay", decay, "a number from 0 on");
        if let Some(norm) = self.clip_norm {
            check.that(positive(norm), "clip_norm", norm, "a number above 0");
        }
        if let Some(Augment { scale, ratio, .. }) = self.augment {
            check.that(scale > 0.0 && scale <= 1.0, "augment.scale", scale, "above 0, at most 1");
            check.that((1.0..=10.0).contains(&ratio), "augment.ratio", ratio, "from 1 to 10");
        }
        check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_value_is_named() {
        assert!(TrainParams::default().check().is_ok());
        let wrong = TrainParams {
            steps: 0,
            batch: 1,
            micro_batch: 0,
            lr: f64::NAN,
            beta1: 1.0,
            beta2: -0.1,
            eps: 0.0,
            weight_decay: -1.0,
            clip_norm: Some(0.0),
            augment: Some(Augment { scale: 0.0, ratio: 0.5, flip: false }),
            checkpoint_every: 0,
            ..TrainParams::default()
        };
        let fields: Vec<_> =
            wrong.check().unwrap_err().violations.into_iter().map(|v| v.field).collect();
        assert_eq!(fields.len(), 12, "{fields:?}");
    }
}
