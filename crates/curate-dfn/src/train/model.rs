//! The two towers on a burn device, with gradients.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use curate_device::DeviceError;
use curate_kernels::train::Sequences;

use crate::{
    NetworkError,
    config::ModelConfig,
    cpu::{patchify, pooled},
    train::ops,
    weights::{Array, Weights},
};

/// A network on a device. Its features agree with [`crate::Network`]'s within 1e-5 of the largest;
/// unlike those they may depend on the batch in the last bits.
#[derive(Clone)]
pub struct DeviceNetwork {
    config: ModelConfig,
    device: Device,
    /// Every parameter as a table: a vector is one row, a convolution one row a filter.
    parameters: BTreeMap<String, Tensor<2>>,
}

impl DeviceNetwork {
    /// Moves weights to a device. With the device's autodiff, the parameters have gradients.
    ///
    /// # Errors
    /// When the config describes no network, or the weights are not those of the config or not finite.
    pub fn new(
        config: &ModelConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        if let Some(problem) = config.problem() {
            return Err(NetworkError::Config(problem));
        }
        weights.check(config)?;
        let table =
            |(name, array): (&String, &Array)| (name.clone(), tracked(table_of(array, device)));
        let parameters = weights.arrays().iter().map(table).collect();
        Ok(Self { config: config.clone(), device: device.clone(), parameters })
    }

    /// The parameters by name, each as a table.
    pub fn parameters(&self) -> &BTreeMap<String, Tensor<2>> {
        &self.parameters
    }

    /// A parameter's values without gradients, out of the network until [`Self::set`] puts others in: what nobody
    /// else holds need not be copied to be changed.
    pub(crate) fn take(&mut self, name: &str) -> Tensor<2> {
        let values = self.parameters.remove(name);
        values.unwrap_or_else(|| panic!("no parameter `{name}`")).without_autodiff()
    }

    /// Replaces a parameter's values.
    pub(crate) fn set(&mut self, name: &str, values: Tensor<2>) {
        let values = if self.device.is_autodiff() { values.autodiff() } else { values };
        self.parameters.insert(name.to_owned(), tracked(values));
    }

    /// The config.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same parameters without gradients.
    pub fn frozen(&self) -> Self {
        let parameters = self.parameters.iter();
        Self {
            config: self.config.clone(),
            device: self.device.clone().without_autodiff(),
            parameters: parameters
                .map(|(name, p)| (name.clone(), p.clone().without_autodiff()))
                .collect(),
        }
    }

    /// Copies the parameters back.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&self, like: &Weights) -> Result<Weights, DeviceError> {
        let mut weights = like.clone();
        for (name, parameter) in &self.parameters {
            weights.set(name, values(parameter.clone())?);
        }
        Ok(weights)
    }

    /// `exp(logit_scale)`, one number.
    pub fn scale(&self) -> Tensor<2> {
        self.get("logit_scale").exp()
    }

    /// The logit bias, one number; zero without one.
    pub fn bias(&self) -> Tensor<2> {
        let zero = || Tensor::zeros([1, 1], &self.device);
        self.parameters.get("logit_bias").cloned().unwrap_or_else(zero)
    }

    /// Features of transformed images, `n x embed_dim`, before normalization.
    ///
    /// # Errors
    /// When there is no image, or the numbers make no whole ones.
    pub fn image_features(&self, images: &[f32]) -> Result<Tensor<2>, NetworkError> {
        let v = &self.config.vision_cfg;
        let (tokens, width) = (v.tokens(), v.width);
        let size = 3 * v.image_size * v.image_size;
        NetworkError::unless_some("images", images.len(), size)?;
        let n = images.len() / size;
        let patches: Vec<f32> = images
            .chunks_exact(size)
            .flat_map(|image| patchify(image, v.grid(), v.patch_size))
            .collect();
        let patches = self.matrix(patches, 3 * v.patch_size * v.patch_size);
        let patches = patches.matmul(self.get("visual.conv1.weight").transpose());
        let patches: Tensor<3> = patches.reshape([n, tokens - 1, width]);
        let class = self.get("visual.class_embedding").reshape([1, 1, width]);
        let x = Tensor::cat(vec![class.expand([n, 1, width]), patches], 1);
        let positions = self.get("visual.positional_embedding").reshape([1, tokens, width]);
        let x = (x + positions).reshape([n * tokens, width]);
        let x = self.norm("visual.ln_pre", x);
        let class = (0..n).map(|i| i * tokens).collect();
        let of = Sequences { tokens, width, heads: v.heads(), causal: false };
        let x = self.norm("visual.ln_post", self.blocks("visual.", x, v.layers, of, class));
        Ok(x.matmul(self.get("visual.proj")))
    }

    /// Features of tokenized texts, `n x embed_dim`, before normalization.
    ///
    /// # Errors
    /// When there is no text, the tokens make no whole ones, or one is not in the vocabulary.
    pub fn text_features(&self, tokens: &[u32]) -> Result<Tensor<2>, NetworkError> {
        let t = &self.config.text_cfg;
        NetworkError::unless_some("tokens", tokens.len(), t.context_length)?;
        let vocabulary = t.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(NetworkError::Token { token, vocabulary });
        }
        let ends: Vec<usize> = tokens.chunks_exact(t.context_length).map(pooled).collect();
        // No token sees those behind it, so nothing behind the last end matters.
        let length = ends.iter().max().map_or(1, |end| end + 1);
        let kept = tokens.chunks_exact(t.context_length).flat_map(|text| &text[..length]);
        let kept: Vec<usize> = kept.map(|&token| token as usize).collect();
        let x = self.rows(self.get("token_embedding.weight"), &kept);
        let positions = self.get("positional_embedding").slice([0..length, 0..t.width]);
        let x: Tensor<3> = x.reshape([ends.len(), length, t.width]);
        let x =
            (x + positions.reshape([1, length, t.width])).reshape([ends.len() * length, t.width]);
        let ends = ends.iter().enumerate().map(|(i, end)| i * length + end).collect();
        let of = Sequences { tokens: length, width: t.width, heads: t.heads, causal: true };
        let x = self.norm("ln_final", self.blocks("", x, t.layers, of, ends));
        Ok(x.matmul(self.get("text_projection")))
    }

    /// The blocks of a tower; of what comes out only the `pooled` rows, a token of each sequence. Behind the last
    /// attention no other is needed, and none is computed.
    fn blocks(
        &self,
        tower: &str,
        mut x: Tensor<2>,
        layers: usize,
        of: Sequences,
        pooled: Vec<usize>,
    ) -> Tensor<2> {
        if layers == 0 {
            return self.rows(x, &pooled);
        }
        for i in 0..layers {
            let block = format!("{tower}transformer.resblocks.{i}");
            let normed = self.norm(&format!("{block}.ln_1"), x.clone());
            let part = |part: &str| self.get(&format!("{block}.attn.in_proj_{part}"));
            let mut attended = ops::attention(normed, part("weight"), part("bias"), of);
            if i + 1 == layers {
                (x, attended) = (self.rows(x, &pooled), self.rows(attended, &pooled));
            }
            x = x + self.linear(&format!("{block}.attn.out_proj."), attended);
            let normed = self.norm(&format!("{block}.ln_2"), x.clone());
            let hidden = self.linear(&format!("{block}.mlp.c_fc."), normed);
            let hidden = match self.config.quick_gelu {
                true => hidden.clone() * activation::sigmoid(hidden.mul_scalar(1.702)),
                false => ops::gelu(hidden),
            };
            x = x + self.linear(&format!("{block}.mlp.c_proj."), hidden);
        }
        x
    }

    fn norm(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let part = |part: &str| self.get(&format!("{name}.{part}"));
        ops::layer_norm(x, part("weight"), part("bias"))
    }

    fn linear(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        ops::linear(x, self.get(&format!("{name}weight")), self.get(&format!("{name}bias")))
    }

    fn rows(&self, table: Tensor<2>, rows: &[usize]) -> Tensor<2> {
        let rows: Vec<i64> = rows.iter().map(|&row| i64::try_from(row).unwrap_or(0)).collect();
        let n = rows.len();
        let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, [n]), &self.device);
        table.select(0, rows)
    }

    fn matrix(&self, data: Vec<f32>, columns: usize) -> Tensor<2> {
        let rows = data.len() / columns;
        Tensor::from_data(TensorData::new(data, [rows, columns]), &self.device)
    }

    fn get(&self, name: &str) -> Tensor<2> {
        self.parameters.get(name).unwrap_or_else(|| panic!("no parameter `{name}`")).clone()
    }
}

fn tracked(tensor: Tensor<2>) -> Tensor<2> {
    if tensor.is_autodiff() { tensor.require_grad() } else { tensor }
}

/// A parameter as a table: one row for vectors, one a filter for convolutions.
pub(crate) fn table_of(array: &Array, device: &Device) -> Tensor<2> {
    let rows = if array.shape.len() < 2 { 1 } else { array.shape[0] };
    let shape = [rows, array.data.len() / rows];
    Tensor::from_data(TensorData::new(array.data.clone(), shape), device)
}

/// The numbers of a table.
pub(crate) fn values(tensor: Tensor<2>) -> Result<Vec<f32>, DeviceError> {
    let failed = |e: &dyn std::fmt::Display| DeviceError::Failed(e.to_string());
    let data = tensor.without_autodiff().try_into_data_as::<f32>().map_err(|e| failed(&e))?;
    data.try_to_vec::<f32>().map_err(|e| failed(&e))
}
