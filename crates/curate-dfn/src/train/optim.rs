//! AdamW and its learning rate.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

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

/// A step of AdamW for one parameter, on any device.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    beta1: f64,
    beta2: f64,
    /// `sqrt(1 - beta2^t)`.
    correction2: f64,
    eps: f64,
    /// Learning rate over `1 - beta1^t`.
    rate: f64,
    /// What decay leaves of a value.
    keeps: f64,
}

impl AdamWStep {
    /// Step number `step`, counted from 1. `betas` and `eps` are Adam's, `decay` is the share of a value that the step
    /// takes away.
    pub fn new(betas: [f64; 2], eps: f64, step: usize, lr: f64, decay: f64) -> Self {
        let [beta1, beta2] = betas;
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        Self {
            beta1,
            beta2,
            correction2: (1.0 - beta2.powi(power)).sqrt(),
            eps,
            rate: lr / (1.0 - beta1.powi(power)),
            keeps: 1.0 - decay,
        }
    }

    /// Moves a parameter and its moments against a gradient, all of one shape and without gradients of their own.
    pub fn take<const D: usize>(
        self,
        value: Tensor<D>,
        gradient: Tensor<D>,
        (m, v): (Tensor<D>, Tensor<D>),
    ) -> Moved<D> {
        match value.device().without_autodiff() == Device::flex() {
            true => self.on_host(value, gradient, m, v),
            false => self.on_device(value, gradient, m, v),
        }
    }

    /// Operation by operation on the device.
    fn on_device<const D: usize>(
        self,
        value: Tensor<D>,
        gradient: Tensor<D>,
        m: Tensor<D>,
        v: Tensor<D>,
    ) -> Moved<D> {
        let m = m.mul_scalar(self.beta1) + gradient.clone().mul_scalar(1.0 - self.beta1);
        let v = v.mul_scalar(self.beta2) + gradient.square().mul_scalar(1.0 - self.beta2);
        let spread = v.clone().sqrt().div_scalar(self.correction2).add_scalar(self.eps);
        let step = (m.clone() / spread).mul_scalar(self.rate);
        Moved { value: value.mul_scalar(self.keeps) - step, m, v }
    }

    /// The same operations on the CPU, number by number: one pass over memory instead of fourteen.
    fn on_host<const D: usize>(
        self,
        value: Tensor<D>,
        gradient: Tensor<D>,
        m: Tensor<D>,
        v: Tensor<D>,
    ) -> Moved<D> {
        const SINGLE: &str = "a parameter has single precision";
        let device = value.device();
        let gradient = gradient.into_data();
        let gradient = gradient.as_slice::<f32>().expect(SINGLE);
        // What only they hold is changed where it lies.
        let [mut value, mut m, mut v] = [value, m, v].map(Tensor::into_data);
        let [values, means, squares] =
            [&mut value, &mut m, &mut v].map(|data| data.as_mut_slice::<f32>().expect(SINGLE));
        let [beta1, beta2] = [self.beta1, self.beta2].map(|x| x as f32);
        let [new1, new2] = [self.beta1, self.beta2].map(|x| (1.0 - x) as f32);
        let [correction2, eps] = [self.correction2, self.eps].map(|x| x as f32);
        let [rate, keeps] = [self.rate, self.keeps].map(|x| x as f32);
        let parts = values.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
        let parts = parts.zip(means.par_chunks_mut(PART)).zip(squares.par_chunks_mut(PART));
        parts.for_each(|(((value, gradient), m), v)| {
            for (((value, g), m), v) in value.iter_mut().zip(gradient).zip(m).zip(v) {
                *m = *m * beta1 + g * new1;
                *v = *v * beta2 + g * g * new2;
                let spread = v.sqrt() / correction2 + eps;
                *value = *value * keeps - *m / spread * rate;
            }
        });
        let tensor = |data: TensorData| Tensor::from_data(data, &device);
        Moved { value: tensor(value), m: tensor(m), v: tensor(v) }
    }
}

/// Numbers that a thread takes at a time.
const PART: usize = 1 << 14;

/// A parameter and its moments after a step.
#[derive(Clone, Debug)]
pub struct Moved<const D: usize> {
    /// The parameter.
    pub value: Tensor<D>,
    /// The first moment.
    pub m: Tensor<D>,
    /// The second moment.
    pub v: Tensor<D>,
}

/// open_clip's rule: no decay for vectors and scalars, nor for what is named a norm, a bias or the
/// logit scale.
pub(crate) fn decays(name: &str, axes: usize) -> bool {
    axes >= 2 && !["bn", "ln", "bias", "logit_scale"].iter().any(|part| name.contains(part))
}

impl AdamW {
    /// An optimizer at its first step.
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
        for (name, gradient) in gradients {
            let value = network.take(&name);
            let zeros = || (gradient.zeros_like(), gradient.zeros_like());
            let (m, v) = self.moments.remove(&name).unwrap_or_else(zeros);
            let decay = if decays(&name, axes(&name)) { lr * self.weight_decay } else { 0.0 };
            let betas = [self.beta1, self.beta2];
            let step = AdamWStep::new(betas, self.eps, self.step, lr, decay);
            let moved = step.take(value, gradient, (m, v));
            network.set(&name, moved.value);
            self.moments.insert(name, (moved.m, moved.v));
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

    /// The CPU's one pass and the operations of other devices, three steps.
    #[test]
    fn both_ways_of_a_step_give_the_same_bytes() {
        let of = |seed: u32| {
            let data = (0..40_000_u32)
                .map(|i| (i.wrapping_mul(seed).wrapping_add(seed) >> 8) as f32 / 8e6 - 1.0)
                .collect();
            Tensor::<2>::from_data(TensorData::new::<f32, _>(data, [200, 200]), &Device::flex())
        };
        let zeros = of(1).zeros_like();
        let start = || Moved { value: of(2_654_435_761), m: zeros.clone(), v: zeros.clone() };
        let (mut host, mut device) = (start(), start());
        for (t, seed) in [(1, 40_503), (2, 2_246_822_519), (3, 3_266_489_917)] {
            let step = AdamWStep::new([0.9, 0.98], 1e-6, t, 1e-3, 1e-3 * 0.2);
            host = step.on_host(host.value, of(seed), host.m, host.v);
            device = step.on_device(device.value, of(seed), device.m, device.v);
        }
        let bytes = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(bytes(host.m), bytes(device.m));
        assert_eq!(bytes(host.v), bytes(device.v));
        assert_eq!(bytes(host.value), bytes(device.value));
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
