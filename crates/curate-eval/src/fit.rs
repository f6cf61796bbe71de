//! The one way in which every model is trained.

use burn::{
    module::Module,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor},
};
use curate_core::Progress;

use crate::{EvalError, Order, adam::OnePass, order::Batches};

/// How to train, whatever the model.
pub(crate) struct Fit<'a> {
    pub(crate) batch: usize,
    pub(crate) steps: usize,
    pub(crate) rate: f64,
    pub(crate) weight_decay: f32,
    pub(crate) seed: u64,
    pub(crate) order: Order,
    /// What a sample is called.
    pub(crate) unit: &'static str,
    pub(crate) device: &'a Device,
}

impl Fit<'_> {
    /// The device with gradients.
    pub(crate) fn device(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Minimizes `loss` of batches of positions in a selection of `n` samples.
    pub(crate) fn run<M: Module>(
        &self,
        model: M,
        n: usize,
        loss: impl Fn(&M, &[usize]) -> Result<Tensor<1>, EvalError>,
        progress: &dyn Progress,
    ) -> Result<M, EvalError> {
        self.run_watched(model, n, loss, |_, _| Ok(()), progress)
    }

    /// [`Self::run`] with a look at the model after every step.
    pub(crate) fn run_watched<M: Module>(
        &self,
        model: M,
        n: usize,
        loss: impl Fn(&M, &[usize]) -> Result<Tensor<1>, EvalError>,
        watch: impl FnMut(usize, &M) -> Result<(), EvalError>,
        progress: &dyn Progress,
    ) -> Result<M, EvalError> {
        progress.start("train", (self.steps * self.batch) as u64, self.unit);
        let trained = self.take_steps(model, n, loss, watch, progress);
        progress.finish();
        Ok(trained?.valid())
    }

    fn take_steps<M: Module>(
        &self,
        mut model: M,
        n: usize,
        loss: impl Fn(&M, &[usize]) -> Result<Tensor<1>, EvalError>,
        mut watch: impl FnMut(usize, &M) -> Result<(), EvalError>,
        progress: &dyn Progress,
    ) -> Result<M, EvalError> {
        let mut batches = Batches::new(n, self.batch, self.order, self.seed);
        let mut optimizer = ModuleOptimizer::from(OnePass { weight_decay: self.weight_decay });
        for step in 0..self.steps {
            progress.check()?;
            let batch = batches.next_batch();
            let loss = loss(&model, batch)?;
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                let samples = batch.iter().copied().take(8).collect();
                return Err(EvalError::Diverged { step, loss: value, samples });
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(self.rate_at(step), model, gradients);
            progress.metric("loss", f64::from(value));
            progress.advance(batch.len() as u64);
            watch(step + 1, &model)?;
        }
        Ok(model)
    }

    /// Rises over the first tenth of the steps, then falls to zero as a cosine.
    fn rate_at(&self, step: usize) -> f64 {
        let warm = (self.steps / 10).max(1);
        if step < warm {
            return self.rate * (step + 1) as f64 / warm as f64;
        }
        let done = (step - warm) as f64 / (self.steps - warm).max(1) as f64;
        self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// Whole steps of `batch` samples in a budget of samples.
pub(crate) fn steps_of(samples: u64, batch: usize) -> usize {
    usize::try_from(samples).unwrap_or(usize::MAX).checked_div(batch).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_zero() {
        let device = Device::flex();
        let fit = Fit {
            batch: 1,
            steps: 100,
            rate: 1.0,
            weight_decay: 0.0,
            seed: 0,
            order: Order::Epochs,
            unit: "pairs",
            device: &device,
        };
        assert!((fit.rate_at(0) - 0.1).abs() < 1e-12);
        assert!((fit.rate_at(9) - 1.0).abs() < 1e-12);
        assert!((fit.rate_at(55) - 0.5).abs() < 1e-12);
        assert!(fit.rate_at(99) < 1e-3);
    }

    #[test]
    fn a_budget_is_cut_to_whole_steps() {
        assert_eq!((steps_of(1000, 512), steps_of(511, 512), steps_of(1024, 512)), (1, 0, 2));
    }
}
