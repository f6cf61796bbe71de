//! AdamW and its learning rate.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::train::{DeviceNetwork, TrainParams};

/// The learning rate of each step: a straight line up, half a cosine down to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The largest rate.
    pub lr: f64,
    /// Steps of the rise.
    pub warmup: usize,
    /// Steps in all.
    pub steps: usize,
}

impl Schedule {
    /// The learning rate of a step, counted from 0, as open_clip's `cosine_lr`.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let done = (step - self.warmup) as f64;
        let all = self.steps.saturating_sub(self.warmup).max(1) as f64;
        0.5 * self.lr * (1.0 + (std::f64::consts::PI * done / all).cos())
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).
pub struct AdamW {
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    /// Steps done.
    pub(crate) step: usize,
    /// First and second moment of each parameter.
    pub(crate) moments: BTreeMap<String, (Tensor<2>, Tensor<2>)>,
}

/// open_clip's rule: no decay for vectors and scalars, nor for what is named a norm, a bias or the
/// logit scale.
pub(crate) fn decays(name: &str, axes: usize) -> bool {
    axes >= 2 && !["bn", "ln", "bias", "logit_scale"].iter().any(|part| name.contains(part))
}

impl AdamW {
    /// An optimiser at its first step.
    pub fn new(params: &TrainParams) -> Self {
        let TrainParams { beta1, beta2, eps, weight_decay, .. } = *params;
        Self { beta1, beta2, eps, weight_decay, step: 0, moments: BTreeMap::new() }
    }

    /// Moves every parameter that has a gradient. `axes` tells the axes of a parameter on disk.
    pub fn update(
        &mut self,
        network: &mut DeviceNetwork,
        gradients: BTreeMap<String, Tensor<2>>,
        lr: f64,
        axes: impl Fn(&str) -> usize,
    ) {
        self.step += 1;
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let correction1 = 1.0 - self.beta1.powi(power);
        let correction2 = (1.0 - self.beta2.powi(power)).sqrt();
        for (name, gradient) in gradients {
            let value = network.parameters()[&name].clone().without_autodiff();
            let (m, v) = self.moments.remove(&name).unwrap_or_else(|| {
                let zeros = gradient.zeros_like();
                (zeros.clone(), zeros)
            });
            let m = m.mul_scalar(self.beta1) + gradient.clone().mul_scalar(1.0 - self.beta1);
            let v = v.mul_scalar(self.beta2) + gradient.square().mul_scalar(1.0 - self.beta2);
            let spread = v.clone().sqrt().div_scalar(correction2).add_scalar(self.eps);
            let step = (m.clone() / spread).mul_scalar(lr / correction1);
            let decay = if decays(&name, axes(&name)) { lr * self.weight_decay } else { 0.0 };
            network.set(&name, value.mul_scalar(1.0 - decay) - step);
            self.moments.insert(name, (m, v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_in_a_line_and_falls_on_a_cosine() {
        let schedule = Schedule { lr: 2.0, warmup: 4, steps: 12 };
        let rates: Vec<f64> = (0..12).map(|step| schedule.at(step)).collect();
        assert_eq!(rates[..5], [0.5, 1.0, 1.5, 2.0, 2.0]);
        assert!((rates[8] - 1.0).abs() < 1e-12 && rates[11] > 0.0);
        assert!(schedule.at(12).abs() < 1e-12);
        assert_eq!(Schedule { lr: 1.0, warmup: 0, steps: 5 }.at(0), 1.0);
    }

    #[test]
    fn what_decays_is_open_clips_choice() {
        assert!(decays("visual.proj", 2) && decays("positional_embedding", 2));
        assert!(decays("visual.conv1.weight", 4));
        for (name, axes) in [
            ("visual.class_embedding", 1),
            ("ln_final.weight", 1),
            ("logit_scale", 0),
            ("a.bias", 2),
        ] {
            assert!(!decays(name, axes), "{name}");
        }
    }
}
