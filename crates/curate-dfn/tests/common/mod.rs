//! Golden data for the tests.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use curate_dfn::config::{ModelConfig, OpenClipConfig, TextConfig, VisionConfig};
use safetensors::{Dtype, SafeTensors};

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Arrays of a safetensors file.
pub struct Arrays(BTreeMap<String, (Vec<usize>, Dtype, Vec<u8>)>);

impl Arrays {
    pub fn read(name: &str) -> Self {
        let file = bytes(name);
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let array = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            (name, (view.shape().to_vec(), view.dtype(), view.data().to_vec()))
        };
        Self(tensors.tensors().into_iter().map(array).collect())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn shape(&self, name: &str) -> &[usize] {
        &self.0[name].0
    }

    pub fn u8(&self, name: &str) -> &[u8] {
        assert_eq!(self.0[name].1, Dtype::U8, "{name}");
        &self.0[name].2
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        let (_, dtype, data) = &self.0[name];
        assert_eq!(*dtype, Dtype::F32, "{name}");
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        let (_, dtype, data) = &self.0[name];
        assert_eq!(*dtype, Dtype::I64, "{name}");
        data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

/// An array of the tiny network's `reference.npz`.
pub fn tiny(name: &str) -> Vec<f32> {
    let file = fs::File::open(path("tiny/reference.npz")).unwrap();
    let mut npz = ndarray_npy::NpzReader::new(file).unwrap();
    let array: ndarray::ArrayD<f32> = npz.by_name(&format!("{name}.npy")).unwrap();
    array.iter().copied().collect()
}

/// The tiny network's token ids.
pub fn tiny_tokens() -> Vec<u32> {
    let file = fs::File::open(path("tiny/reference.npz")).unwrap();
    let mut npz = ndarray_npy::NpzReader::new(file).unwrap();
    let array: ndarray::ArrayD<i32> = npz.by_name("token_ids.npy").unwrap();
    array.iter().map(|&id| u32::try_from(id).unwrap()).collect()
}

/// The largest difference between two arrays.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// The largest absolute value.
pub fn largest(a: &[f32]) -> f32 {
    a.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// A network that is small enough to embed a hundred pairs in a moment.
pub fn small_config() -> OpenClipConfig {
    let vision_cfg = VisionConfig {
        image_size: 32,
        layers: 1,
        width: 32,
        patch_size: 16,
        head_width: 16,
        ..VisionConfig::default()
    };
    let text_cfg =
        TextConfig { context_length: 12, width: 32, heads: 2, layers: 1, ..TextConfig::default() };
    let model_cfg = ModelConfig {
        embed_dim: 16,
        quick_gelu: false,
        vision_cfg,
        text_cfg,
        init_logit_scale: None,
        init_logit_bias: None,
    };
    OpenClipConfig { model_cfg, preprocess_cfg: curate_dfn::PreprocessConfig::default() }
}
