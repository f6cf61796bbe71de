//! AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) as burn optimizes modules, by the steps of `curate-dfn`: on the
//! CPU one pass over memory, where burn's own makes a dozen.

use burn::{
    optim::{AdamW, AdamWState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Tensor},
};
use curate_dfn::train::{AdamWStep, Moved};

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-5;

/// AdamW with burn's usual settings.
#[derive(Clone)]
pub(crate) struct OnePass {
    pub(crate) weight_decay: f32,
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
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => {
                (momentum.time + 1, (momentum.moment_1, momentum.moment_2))
            }
            None => (1, (gradient.zeros_like(), gradient.zeros_like())),
        };
        let decay = rate * f64::from(self.weight_decay);
        let step = AdamWStep::new(BETAS, EPSILON, time, rate, decay);
        let Moved { value, m, v } = step.take(value, gradient, moments);
        let momentum = AdaptiveMomentumState { time, moment_1: m, moment_2: v, max_moment_2: None };
        (value, Some(AdamWState { momentum }))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::{optim::AdamWConfig, tensor::TensorData};

    use super::*;

    #[test]
    fn one_pass_is_burns_adamw() {
        let device = Device::flex();
        let table = |salt: f32| {
            let numbers: Vec<f32> = (0..35).map(|i| (i as f32 * 0.9 + salt).sin()).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [7, 5]), &device)
        };
        let numbers = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().unwrap();
        let (ours, burns) =
            (OnePass { weight_decay: 0.1 }, AdamWConfig::new().with_weight_decay(0.1).build());
        let (mut a, mut b, mut of_a, mut of_b) = (table(0.0), table(0.0), None, None);
        for step in 0..20 {
            let (rate, gradient) = (0.01 * f64::from(step % 3 + 1), table(step as f32));
            (a, of_a) = ours.step(rate, a, gradient.clone(), of_a);
            (b, of_b) = burns.step(rate, b, gradient, of_b);
            for (a, b) in numbers(a.clone()).iter().zip(numbers(b.clone())) {
                assert!((a - b).abs() < 1e-6, "{step}: {a} {b}");
            }
        }
        assert_ne!(numbers(a), numbers(table(0.0)), "it moves");
    }
}
