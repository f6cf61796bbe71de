//! Two projections and CLIP's loss (arXiv 2103.00020).

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use curate_core::{SampleId, random};
use curate_dfn::train::{Loss, loss::normalize, ops::gelu};

use crate::ProbeParams;

#[derive(Module, Debug)]
pub(crate) struct Projection {
    first: Linear,
    second: Linear,
}

impl Projection {
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        normalize(self.second.forward(gelu(self.first.forward(x))))
    }

    /// Length of a feature that goes in.
    pub(crate) fn width(&self) -> usize {
        self.first.weight.dims()[0]
    }

    /// Length of an embedding.
    pub(crate) fn dim(&self) -> usize {
        self.second.weight.dims()[1]
    }
}

#[derive(Module, Debug)]
pub(crate) struct Model {
    pub(crate) image: Projection,
    pub(crate) text: Projection,
    logit_scale: Param<Tensor<1>>,
}

impl Model {
    pub(crate) fn new(image: usize, text: usize, params: &ProbeParams, device: &Device) -> Self {
        let projection = |inputs: usize, name: &str| Projection {
            first: linear(inputs, params.hidden, params.seed, &format!("{name}.first"), device),
            second: linear(
                params.hidden,
                params.dim,
                params.seed,
                &format!("{name}.second"),
                device,
            ),
        };
        let initial = (1.0_f32 / 0.07).ln();
        Self {
            image: projection(image, "image"),
            text: projection(text, "text"),
            logit_scale: Param::from_data(TensorData::from([initial]), device),
        }
    }

    /// Embeddings of a batch's images and texts.
    pub(crate) fn embed(&self, images: Tensor<2>, texts: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        (self.image.forward(images), self.text.forward(texts))
    }

    /// The mean of the two cross-entropies of the embeddings of a batch whose pairs are the diagonal.
    pub(crate) fn loss(&self, images: Tensor<2>, texts: Tensor<2>) -> Tensor<1> {
        let scale = self.logit_scale.val().clamp(0.0, 100.0_f64.ln()).exp().unsqueeze::<2>();
        let bias = scale.zeros_like();
        let loss = Loss::Clip.apply(images, texts, scale, bias);
        loss.expect("the two towers embed a batch's pairs alike")
    }
}

/// A layer whose weights are hashes: uniform within `1 / sqrt(inputs)`, as PyTorch's.
pub(crate) fn linear(
    inputs: usize,
    outputs: usize,
    seed: u64,
    name: &str,
    device: &Device,
) -> Linear {
    let bound = 1.0 / (inputs as f64).sqrt();
    let draw = |part: &str, count| draws(seed, &format!("{name}.{part}"), count, bound);
    let weight = TensorData::new(draw("weight", inputs * outputs), [inputs, outputs]);
    let bias = TensorData::new(draw("bias", outputs), [outputs]);
    Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)) }
}

/// Hashes, uniform within a bound.
pub(crate) fn draws(seed: u64, name: &str, count: usize, bound: f64) -> Vec<f32> {
    let seed = random::derive(seed, name);
    let draw = |i| (2.0 * random::unit(seed, SampleId::from(u128::from(i))) - 1.0) * bound;
    (0..count as u64).map(|i| draw(i) as f32).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::towers::{Towers, gather};

    /// The loss of a batch by its definition, in double precision.
    fn loss_by_hand(images: &[f32], texts: &[f32], n: usize, scale: f64) -> f64 {
        let dim = images.len() / n;
        let logit = |i: usize, j: usize| {
            let (a, b) = (&images[i * dim..][..dim], &texts[j * dim..][..dim]);
            scale * a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let cross = |logits: Vec<f64>, own: usize| {
            logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[own]
        };
        let rows: f64 = (0..n).map(|i| cross((0..n).map(|j| logit(i, j)).collect(), i)).sum();
        let columns: f64 = (0..n).map(|i| cross((0..n).map(|j| logit(j, i)).collect(), i)).sum();
        0.5 * (rows + columns) / n as f64
    }

    #[test]
    fn the_loss_is_the_mean_of_both_cross_entropies() {
        let params = ProbeParams::new().hidden(8).dim(4);
        let device = Device::flex();
        let model = Model::new(3, 5, &params, &device);
        let data = |d: usize| {
            Array2::from_shape_fn((6, d), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 5.0 - 1.0)
        };
        let (images, texts) = (data(3), data(5));
        let rows: Vec<usize> = (0..6).collect();
        let of = |table| gather(table, &rows, &device).expect("rows that are there");
        let (a, b) = model.embed(of(&images), of(&texts));
        let found = model.loss(a, b).into_scalar::<f32>();
        let towers = Towers(model);
        let a = towers.images(&images).expect("images of 3 numbers");
        let b = towers.texts(&texts).expect("texts of 5 numbers");
        let expected = loss_by_hand(&a, &b, 6, 1.0 / 0.07);
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} {expected}");
    }
}
