//! AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), on the CPU in one pass over memory.

use burn::{
    optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Tensor, TensorData},
};
use rayon::prelude::*;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-5;
/// Numbers that a thread takes at a time.
const PART: usize = 1 << 14;

/// burn's AdamW, whose dozen passes over memory are one on the CPU.
#[derive(Clone)]
pub(crate) struct OnePass {
    weight_decay: f32,
    burns: AdamW,
}

impl OnePass {
    pub(crate) fn new(weight_decay: f32) -> Self {
        let config = AdamWConfig::new().with_beta_1(BETA_1).with_beta_2(BETA_2);
        let config = config.with_epsilon(EPSILON).with_weight_decay(weight_decay);
        Self { weight_decay, burns: config.build() }
    }
}

impl Optimizer for OnePass {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        value: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let (shape, device) = (value.dims(), value.device());
        if device != Device::flex() {
            return self.burns.step(rate, value, gradient, state);
        }
        let (time, m, v) = match state {
            Some(AdamWState { momentum }) => {
                (momentum.time + 1, numbers(momentum.moment_1), numbers(momentum.moment_2))
            }
            None => (1, vec![0.0; shape.iter().product()], vec![0.0; shape.iter().product()]),
        };
        let (mut value, gradient, mut m, mut v) = (numbers(value), numbers(gradient), m, v);
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        let [of_m, of_v] = [BETA_1, BETA_2].map(|beta| 1.0 / (1.0 - beta.powi(power)));
        let keeps = (1.0 - rate * f64::from(self.weight_decay)) as f32;
        let rate = rate as f32;
        let parts = value.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
        let parts = parts.zip(m.par_chunks_mut(PART)).zip(v.par_chunks_mut(PART));
        parts.for_each(|(((value, gradient), m), v)| {
            for (((value, g), m), v) in value.iter_mut().zip(gradient).zip(m).zip(v) {
                *m = *m * BETA_1 + g * (1.0 - BETA_1);
                *v = *v * BETA_2 + g * g * (1.0 - BETA_2);
                let step = *m * of_m / ((*v * of_v).sqrt() + EPSILON);
                *value = *value * keeps - step * rate;
            }
        });
        let tensor = |numbers| Tensor::from_data(TensorData::new(numbers, shape), &device);
        let (moment_1, moment_2) = (tensor(m), tensor(v));
        let momentum = AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None };
        (tensor(value), Some(AdamWState { momentum }))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("a parameter has single precision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_is_burns_adamw() {
        let device = Device::flex();
        let table = |salt: f32| {
            let numbers: Vec<f32> = (0..35).map(|i| (i as f32 * 0.9 + salt).sin()).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [7, 5]), &device)
        };
        let ours = OnePass::new(0.1);
        let (mut a, mut b, mut of_a, mut of_b) = (table(0.0), table(0.0), None, None);
        for step in 0..20 {
            let (rate, gradient) = (0.01 * f64::from(step % 3 + 1), table(step as f32));
            (a, of_a) = ours.step(rate, a, gradient.clone(), of_a);
            (b, of_b) = ours.burns.step(rate, b, gradient, of_b);
            for (a, b) in numbers(a.clone()).iter().zip(numbers(b.clone())) {
                assert!((a - b).abs() < 1e-6, "{step}: {a} {b}");
            }
        }
        assert_ne!(numbers(a), numbers(table(0.0)), "it moves");
    }
}
