//! How images become numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// OpenAI's mean of the red, green and blue values, which every CLIP here was trained with.
pub const OPENAI_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// OpenAI's standard deviation of the red, green and blue values.
pub const OPENAI_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// How an image is brought to the size of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeMode {
    /// The short side becomes the size, then the center is cut out.
    #[default]
    Shortest,
    /// The long side becomes the size, the rest is filled.
    Longest,
    /// Both sides become the size; proportions are lost.
    Squash,
}

impl fmt::Display for ResizeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shortest => "shortest",
            Self::Longest => "longest",
            Self::Squash => "squash",
        })
    }
}

/// How pixels between pixels are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Cubic with a = -0.5, as PIL's BICUBIC.
    #[default]
    Bicubic,
    /// Linear, as PIL's BILINEAR.
    Bilinear,
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bicubic => "bicubic",
            Self::Bilinear => "bilinear",
        })
    }
}

/// How images become numbers, as the `preprocess_cfg` of an `open_clip_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Edge of the square in pixels; the network's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "edge")]
    pub size: Option<usize>,
    /// Colors; only `RGB` is known.
    #[serde(default = "rgb")]
    pub mode: String,
    /// Mean of each color.
    #[serde(default = "openai_mean")]
    pub mean: [f32; 3],
    /// Standard deviation of each color.
    #[serde(default = "openai_std")]
    pub std: [f32; 3],
    /// How pixels between pixels are computed.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// How the image is brought to size.
    #[serde(default)]
    pub resize_mode: ResizeMode,
    /// The side before the center is cut out, in pixels; `size` if left out. The short side or both, as
    /// the mode says. open_clip has no such key; `transformers` has it as `size` beside `crop_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize_size: Option<usize>,
    /// What [`ResizeMode::Longest`] fills with, before mean and deviation.
    #[serde(default)]
    pub fill_color: u8,
}

fn rgb() -> String {
    "RGB".to_owned()
}
fn openai_mean() -> [f32; 3] {
    OPENAI_MEAN
}
fn openai_std() -> [f32; 3] {
    OPENAI_STD
}

/// open_clip writes the size as a number or as two equal ones.
fn edge<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        One(usize),
        Two([usize; 2]),
    }
    match Option::<Size>::deserialize(from)? {
        None => Ok(None),
        Some(Size::One(edge)) => Ok(Some(edge)),
        Some(Size::Two([height, width])) if height == width => Ok(Some(height)),
        Some(Size::Two(_)) => Err(serde::de::Error::custom("the size must be a square")),
    }
}

impl Default for PreprocessConfig {
    fn default() -> Self {
        Self {
            size: None,
            mode: rgb(),
            mean: OPENAI_MEAN,
            std: OPENAI_STD,
            interpolation: Interpolation::Bicubic,
            resize_mode: ResizeMode::Shortest,
            resize_size: None,
            fill_color: 0,
        }
    }
}

impl PreprocessConfig {
    /// What is wrong with [`Self::resize_size`] where the network sees `edge` pixels, and no side is longer
    /// than `most`.
    pub(super) fn problem_of_resize(&self, edge: usize, most: usize) -> Option<String> {
        let side = self.resize_size?;
        if self.resize_mode == ResizeMode::Longest {
            return Some("`preprocess_cfg.resize_size` does not go with `longest`".to_owned());
        }
        (!(edge..=most).contains(&side)).then(|| {
            format!(
                "`preprocess_cfg.resize_size` is {side}, but must be from {edge}, the size of the \
                 network, to {most}"
            )
        })
    }
}
