//! The networks of labels: linear, with a hidden layer, or of convolutions.

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use curate_dfn::train::ops;

use crate::model::{draws, linear};

/// What a network of labels is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Numbers of a row.
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
    /// Elements of a hidden layer, or of the first convolution.
    pub(crate) hidden: Option<usize>,
    /// Whether rows are the pixels of square pictures.
    pub(crate) pictures: bool,
}

/// Colors of a pixel.
const COLORS: usize = 3;
/// Convolutions; each halves the picture's sides and doubles the channels.
const CONVOLUTIONS: usize = 3;

/// A convolution of 3 x 3 pixels that halves both sides.
#[derive(Module, Debug)]
struct Convolution {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Convolution {
    fn new(inputs: usize, outputs: usize, seed: u64, name: &str, device: &Device) -> Self {
        let bound = 1.0 / (9.0 * inputs as f64).sqrt();
        let weight = draws(seed, &format!("{name}.weight"), outputs * inputs * 9, bound);
        let bias = draws(seed, &format!("{name}.bias"), outputs, bound);
        Self {
            weight: Param::from_data(TensorData::new(weight, [outputs, inputs, 3, 3]), device),
            bias: Param::from_data(TensorData::new(bias, [outputs]), device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::halving_convolution(x, self.weight.val(), self.bias.val())
    }
}

#[derive(Module, Debug)]
pub(crate) struct Net {
    convolutions: Vec<Convolution>,
    hidden: Option<Linear>,
    last: Linear,
}

impl Net {
    pub(crate) fn new(shape: Shape, seed: u64, device: &Device) -> Self {
        let Shape { inputs, classes, hidden, pictures } = shape;
        let mut convolutions = Vec::new();
        let mut width = inputs;
        if pictures {
            let mut channels = hidden.unwrap_or(16);
            width = COLORS;
            for at in 0..CONVOLUTIONS {
                let name = format!("class.convolution.{at}");
                convolutions.push(Convolution::new(width, channels, seed, &name, device));
                width = channels;
                channels *= 2;
            }
        }
        let hidden = hidden.filter(|_| !pictures);
        let layer = hidden.map(|size| linear(width, size, seed, "class.hidden", device));
        let width = hidden.unwrap_or(width);
        Self {
            convolutions,
            hidden: layer,
            last: linear(width, classes, seed, "class.last", device),
        }
    }

    /// The logits of rows.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.features(x))
    }

    /// What the last layer sees of rows.
    pub(crate) fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let x = if self.convolutions.is_empty() { x } else { self.look(x) };
        match &self.hidden {
            Some(hidden) => ops::gelu(hidden.forward(x)),
            None => x,
        }
    }

    /// The last layer's answer to one row of features.
    #[cfg(test)]
    pub(crate) fn last(&self, features: &[f32]) -> Vec<f32> {
        let row = TensorData::new(features.to_vec(), [1, features.len()]);
        let row = Tensor::<2>::from_data(row, &Device::flex());
        self.last.forward(row).into_data().try_to_vec::<f32>().expect("logits are f32")
    }

    /// The mean of the last convolution over the picture.
    fn look(&self, x: Tensor<2>) -> Tensor<2> {
        let [n, numbers] = x.dims();
        let side = (numbers / COLORS).isqrt();
        let mut picture = x.reshape([n, COLORS, side, side]);
        for convolution in &self.convolutions {
            picture = convolution.forward(picture);
        }
        let [n, channels, height, width] = picture.dims();
        let flat: Tensor<3> = picture.reshape([n, channels, height * width]);
        flat.mean_dim(2).reshape([n, channels])
    }
}

/// Whether so many numbers are the pixels of a square picture of three colors.
pub(crate) fn is_picture(numbers: usize) -> bool {
    let side = (numbers / COLORS).isqrt();
    numbers > 0 && side * side * COLORS == numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_squares_of_three_colors() {
        let found: Vec<usize> = (0..60).filter(|n| is_picture(*n)).collect();
        assert_eq!(found, [3, 12, 27, 48]);
    }

    #[test]
    fn logits_have_a_row_for_each_picture() {
        let device = Device::flex();
        let shape = Shape { inputs: 3 * 8 * 8, classes: 5, hidden: Some(4), pictures: true };
        let net = Net::new(shape, 1, &device);
        let x = Tensor::<2>::ones([2, 3 * 8 * 8], &device);
        let logits = net.forward(x);
        assert_eq!(logits.dims(), [2, 5]);
        let values = logits.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values[..5], values[5..], "equal pictures");
    }
}
