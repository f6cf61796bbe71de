//! A binary quality classifier on features: the filter that does without a contrast.

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Tensor, TensorData, activation},
};
use curate_core::{SampleId, random};

use crate::{Pairs, TrainError, TrainParams};

/// A logistic regression on the features of picture and text side by side.
#[derive(Debug, Clone)]
pub struct Classifier(Model);

#[derive(Module, Debug)]
struct Model {
    linear: Linear,
}

/// Learns to tell `good` pairs from those of the `pool`, as the binary filters of arXiv:2309.17425
/// do. Every step takes as many of the one as of the other.
///
/// # Errors
/// Fewer than two pairs on a side, and a loss that is no number.
pub fn classify(
    data: &Pairs<'_>,
    good: &[(usize, usize)],
    pool: &[(usize, usize)],
    params: &TrainParams,
) -> Result<Classifier, TrainError> {
    if good.len().min(pool.len()) < 2 {
        return Err(TrainError::TooFew(good.len().min(pool.len())));
    }
    let device = Device::flex().autodiff();
    let width = data.images.ncols() + data.texts.ncols();
    let zeros = |shape: &[usize]| TensorData::zeros::<f32, _>(shape.to_vec());
    let mut model = Model {
        linear: Linear {
            weight: Param::from_data(zeros(&[width, 1]), &device),
            bias: Some(Param::from_data(zeros(&[1]), &device)),
        },
    };
    let mut optimiser = AdamWConfig::new().with_weight_decay(params.weight_decay).init();
    let half = (params.batch / 2).max(1);
    let seed = random::derive(params.seed, "classifier");
    let signs: Vec<f32> = (0..2 * half).map(|i| if i < half { 1.0 } else { -1.0 }).collect();
    for step in 0..params.steps {
        let draw = |from: &[(usize, usize)], side: u128, i: usize| {
            let id = SampleId::from(((step * half + i) as u128) << 1 | side);
            from[(random::unit(seed, id) * from.len() as f64) as usize]
        };
        let batch: Vec<(usize, usize)> = (0..half)
            .map(|i| draw(good, 0, i))
            .chain((0..half).map(|i| draw(pool, 1, i)))
            .collect();
        let logits = model.linear.forward(side_by_side(data, &batch, &device));
        let signs = TensorData::new(signs.clone(), [2 * half, 1]);
        let signs = Tensor::<2>::from_data(signs, &device);
        let loss = activation::log_sigmoid(logits * signs).mean().neg();
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            let pairs = batch[..batch.len().min(8)].to_vec();
            return Err(TrainError::Diverged { step, loss: value, pairs });
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimiser.step(params.rate, model, gradients);
    }
    Ok(Classifier(model.valid()))
}

fn side_by_side(data: &Pairs<'_>, pairs: &[(usize, usize)], device: &Device) -> Tensor<2> {
    let width = data.images.ncols() + data.texts.ncols();
    let mut values: Vec<f32> = Vec::with_capacity(pairs.len() * width);
    for &(image, text) in pairs {
        values.extend(data.images.row(image));
        values.extend(data.texts.row(text));
    }
    Tensor::from_data(TensorData::new(values, [pairs.len(), width]), device)
}

impl Classifier {
    /// The logit of each pair: above zero it looks like the good ones.
    pub fn scores(&self, data: &Pairs<'_>, pairs: &[(usize, usize)]) -> Vec<f32> {
        let device = Device::flex();
        let logits = |block: &[(usize, usize)]| {
            let logits = self.0.linear.forward(side_by_side(data, block, &device)).into_data();
            logits.try_to_vec::<f32>().expect("logits are f32")
        };
        pairs.chunks(4096).flat_map(logits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_good_ones_score_higher() {
        let images = Array2::from_shape_fn((40, 3), |(i, j)| ((i * 3 + j) % 7) as f32 / 7.0);
        let texts =
            Array2::from_shape_fn((40, 2), |(i, j)| if i < 20 && j == 0 { 1.0 } else { 0.1 });
        let data = Pairs { images: images.view(), texts: texts.view() };
        let pairs: Vec<(usize, usize)> = (0..40).map(|i| (i, i)).collect();
        let params = TrainParams { steps: 80, batch: 16, rate: 0.05, ..TrainParams::default() };
        let found = classify(&data, &pairs[..10], &pairs[30..], &params).expect("fine data");
        let scores = found.scores(&data, &pairs[10..30]);
        assert!(scores[..10].iter().all(|s| *s > 0.0) && scores[10..].iter().all(|s| *s < 0.0));
        let few = classify(&data, &pairs[..1], &pairs[30..], &params).map(|_| ());
        assert_eq!(few, Err(TrainError::TooFew(1)));
    }
}
