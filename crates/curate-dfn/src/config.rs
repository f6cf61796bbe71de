//! What a network looks like: open_clip's model and preprocessing configs.

mod preprocess;
mod spelled;

use std::path::Path;

use curate_io::{IoError, Kind};
use serde::{Deserialize, Serialize};

pub use preprocess::{Interpolation, OPENAI_MEAN, OPENAI_STD, PreprocessConfig, ResizeMode};

/// The largest edge, width or count that a config may ask for; more is a slip of the pen.
const MOST: usize = 1 << 20;

/// The shape of a two-tower CLIP, as the `model_cfg` of an `open_clip_config.json`.
///
/// Keys that change the network in a way this crate does not know are refused, never ignored: a
/// wrong activation moves features by little and scores by enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Length of the joint embedding.
    pub embed_dim: usize,
    /// QuickGELU (`x * sigmoid(1.702 x)`, OpenAI's networks) instead of the exact GELU.
    #[serde(default)]
    pub quick_gelu: bool,
    /// The image tower.
    pub vision_cfg: VisionConfig,
    /// The text tower.
    pub text_cfg: TextConfig,
    /// The logit scale before training, as a logarithm; ln(1/0.07) if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_logit_scale: Option<f64>,
    /// The logit bias before training; its presence means that the network has one (SigLIP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_logit_bias: Option<f64>,
}

/// The image tower: a vision transformer with a class token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Edge of the square input in pixels.
    #[serde(default = "default_image_size")]
    pub image_size: usize,
    /// Transformer blocks.
    #[serde(default = "default_layers")]
    pub layers: usize,
    /// Width of a token.
    #[serde(default = "default_vision_width")]
    pub width: usize,
    /// Edge of a patch in pixels.
    #[serde(default = "default_patch")]
    pub patch_size: usize,
    /// Width of an attention head.
    #[serde(default = "default_head_width")]
    pub head_width: usize,
    /// Width of the hidden layer, in widths of a token.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
}

/// The text tower: a causal transformer, pooled at the end-of-text token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Tokens of a text, start and end included.
    #[serde(default = "default_context")]
    pub context_length: usize,
    /// Entries of the vocabulary; the end-of-text token is the last.
    #[serde(default = "default_vocabulary")]
    pub vocab_size: usize,
    /// Width of a token.
    #[serde(default = "default_text_width")]
    pub width: usize,
    /// Attention heads.
    #[serde(default = "default_heads")]
    pub heads: usize,
    /// Transformer blocks.
    #[serde(default = "default_layers")]
    pub layers: usize,
    /// Width of the hidden layer, in widths of a token.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
}

fn default_image_size() -> usize {
    224
}
fn default_layers() -> usize {
    12
}
fn default_vision_width() -> usize {
    768
}
fn default_patch() -> usize {
    16
}
fn default_head_width() -> usize {
    64
}
fn default_mlp_ratio() -> f64 {
    4.0
}
fn default_context() -> usize {
    77
}
fn default_vocabulary() -> usize {
    crate::tokenizer::END as usize + 1
}
fn default_text_width() -> usize {
    512
}
fn default_heads() -> usize {
    8
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            context_length: default_context(),
            vocab_size: default_vocabulary(),
            width: default_text_width(),
            heads: default_heads(),
            layers: default_layers(),
            mlp_ratio: default_mlp_ratio(),
        }
    }
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            image_size: default_image_size(),
            layers: default_layers(),
            width: default_vision_width(),
            patch_size: default_patch(),
            head_width: default_head_width(),
            mlp_ratio: default_mlp_ratio(),
        }
    }
}

impl VisionConfig {
    /// Attention heads; 0 where heads have no width, which is not a network ([`ModelConfig::problem`]).
    pub fn heads(&self) -> usize {
        self.width.checked_div(self.head_width).unwrap_or(0)
    }

    /// Patches along an edge; 0 where patches have no size, which is not a network.
    pub fn grid(&self) -> usize {
        self.image_size.checked_div(self.patch_size).unwrap_or(0)
    }

    /// Tokens: the class token and the patches.
    pub fn tokens(&self) -> usize {
        1 + self.grid() * self.grid()
    }

    /// Width of the hidden layer of a block.
    pub fn hidden(&self) -> usize {
        (self.width as f64 * self.mlp_ratio) as usize
    }
}

impl TextConfig {
    /// Width of the hidden layer of a block.
    pub fn hidden(&self) -> usize {
        (self.width as f64 * self.mlp_ratio) as usize
    }
}

/// The names that [`ModelConfig::named`] knows.
pub const NAMES: [&str; 8] = [
    "ViT-B-32",
    "ViT-B-32-quickgelu",
    "ViT-B-16",
    "ViT-B-16-quickgelu",
    "ViT-L-14",
    "ViT-L-14-quickgelu",
    "ViT-H-14-quickgelu",
    "ViT-H-14-378-quickgelu",
];

impl ModelConfig {
    /// Multiplications and additions of embedding one pair: the linear layers and attention, over all
    /// tokens that fit.
    pub fn operations_per_pair(&self) -> f64 {
        let tower = |tokens: usize, width: usize, hidden: usize, layers: usize| {
            let linear = 2 * tokens * width * (4 * width + 2 * hidden);
            (layers * (linear + 4 * tokens * tokens * width) + 2 * width * self.embed_dim) as f64
        };
        let (v, t) = (&self.vision_cfg, &self.text_cfg);
        let patches = 2 * (v.tokens() - 1) * 3 * v.patch_size * v.patch_size * v.width;
        let image = tower(v.tokens(), v.width, v.hidden(), v.layers) + patches as f64;
        image + tower(t.context_length, t.width, t.hidden(), t.layers)
    }

    /// The config of one of open_clip's models ([`NAMES`]); `None` for other names.
    ///
    /// ```
    /// use curate_dfn::ModelConfig;
    ///
    /// let config = ModelConfig::named("ViT-H-14-378-quickgelu").unwrap();
    /// assert_eq!((config.embed_dim, config.vision_cfg.heads()), (1024, 16));
    /// assert!(config.quick_gelu);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let plain = name.strip_suffix("-quickgelu").unwrap_or(name);
        let vision = VisionConfig::default();
        let text = TextConfig::default();
        let (embed_dim, vision_cfg, text_cfg) = match plain {
            "ViT-B-32" => (512, VisionConfig { patch_size: 32, ..vision }, text),
            "ViT-B-16" => (512, VisionConfig { patch_size: 16, ..vision }, text),
            "ViT-L-14" => (
                768,
                VisionConfig { patch_size: 14, width: 1024, layers: 24, ..vision },
                TextConfig { width: 768, heads: 12, ..text },
            ),
            "ViT-H-14" | "ViT-H-14-378" => (
                1024,
                VisionConfig {
                    image_size: if plain == "ViT-H-14" { 224 } else { 378 },
                    patch_size: 14,
                    width: 1280,
                    head_width: 80,
                    layers: 32,
                    ..vision
                },
                TextConfig { width: 1024, heads: 16, layers: 24, ..text },
            ),
            _ => return None,
        };
        NAMES.contains(&name).then_some(Self {
            embed_dim,
            quick_gelu: name != plain,
            vision_cfg,
            text_cfg,
            init_logit_scale: None,
            init_logit_bias: None,
        })
    }

    /// What is wrong with the numbers; `None` when nothing is.
    pub fn problem(&self) -> Option<String> {
        let (v, t) = (&self.vision_cfg, &self.text_cfg);
        let numbers = [
            ("embed_dim", self.embed_dim),
            ("vision_cfg.image_size", v.image_size),
            ("vision_cfg.width", v.width),
            ("vision_cfg.patch_size", v.patch_size),
            ("vision_cfg.head_width", v.head_width),
            ("vision_cfg hidden width", v.hidden()),
            ("text_cfg.context_length", t.context_length),
            ("text_cfg.vocab_size", t.vocab_size),
            ("text_cfg.width", t.width),
            ("text_cfg.heads", t.heads),
            ("text_cfg hidden width", t.hidden()),
        ];
        let wrong = numbers.iter().find(|(_, n)| !(1..=MOST).contains(n));
        if let Some((name, n)) = wrong {
            return Some(format!("`{name}` is {n}, but must be from 1 to {MOST}"));
        }
        if !v.image_size.is_multiple_of(v.patch_size) {
            let (size, patch) = (v.image_size, v.patch_size);
            return Some(format!("image_size {size} is no multiple of patch_size {patch}"));
        }
        if !v.width.is_multiple_of(v.head_width) {
            let (width, head) = (v.width, v.head_width);
            return Some(format!("vision width {width} is no multiple of head_width {head}"));
        }
        if !t.width.is_multiple_of(t.heads) {
            return Some(format!("text width {} is no multiple of {} heads", t.width, t.heads));
        }
        if t.context_length < 2 {
            return Some("`text_cfg.context_length` has no room for start and end".to_owned());
        }
        (v.layers > MOST || t.layers > MOST).then(|| "too many layers".to_owned())
    }

    /// The logit scale before training, as a logarithm.
    pub fn logit_scale(&self) -> f32 {
        self.init_logit_scale.unwrap_or_else(|| (1.0_f64 / 0.07).ln()) as f32
    }
}

/// An `open_clip_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenClipConfig {
    /// The network.
    pub model_cfg: ModelConfig,
    /// Its preprocessing.
    #[serde(default)]
    pub preprocess_cfg: PreprocessConfig,
}

impl OpenClipConfig {
    /// One of open_clip's models by name, with the preprocessing that DFN's releases use with it:
    /// `squash` for the ViT-H, `shortest` for the others.
    pub fn named(name: &str) -> Option<Self> {
        let model_cfg = ModelConfig::named(name)?;
        let squash = name.starts_with("ViT-H");
        let resize_mode = if squash { ResizeMode::Squash } else { ResizeMode::Shortest };
        let preprocess_cfg = PreprocessConfig {
            size: Some(model_cfg.vision_cfg.image_size),
            resize_mode,
            ..PreprocessConfig::default()
        };
        Some(Self { model_cfg, preprocess_cfg })
    }

    /// Whether the text tower has a row for every token of the bundled tokenizer. A network without
    /// can be loaded and given tokens, but no captions. `folder` is the network's, for the error.
    ///
    /// # Errors
    /// When its vocabulary is smaller.
    pub fn takes_captions(&self, folder: &Path) -> Result<(), IoError> {
        let (has, needs) = (self.model_cfg.text_cfg.vocab_size, default_vocabulary());
        if has >= needs {
            return Ok(());
        }
        let problem = format!("`text_cfg.vocab_size` is {has}, but captions have {needs} tokens");
        let remedy = "use a network of CLIP's vocabulary";
        Err(IoError::new(Kind::Unsupported, folder, problem, remedy))
    }

    /// Reads an `open_clip_config.json`.
    ///
    /// # Errors
    /// When the file cannot be read, names a network that this crate does not know, or its numbers
    /// make no network.
    pub fn read(path: &Path) -> Result<Self, IoError> {
        let text = curate_io::files::read(path)?;
        let unknown = |problem: String| {
            let remedy = "this crate reads ViT towers with a class token and CLIP text towers";
            let problem = format!("describes no such network: {problem}");
            IoError::new(Kind::Unsupported, path, problem, remedy)
        };
        let mut json = serde_json::from_slice(&text).map_err(|e| unknown(e.to_string()))?;
        let mut wrong = spelled::settle(&mut json);
        wrong.extend(Self::wrong_keys(&json));
        if !wrong.is_empty() {
            return Err(unknown(wrong.join("; ")));
        }
        let config: Self = serde_json::from_value(json).map_err(|e| unknown(e.to_string()))?;
        match config.problem() {
            None => Ok(config),
            Some(problem) => Err(IoError::malformed(path, problem)),
        }
    }

    /// Every key that is not known, or has a value of another type.
    fn wrong_keys(json: &serde_json::Value) -> Vec<String> {
        let at = |path: &str| json.pointer(path);
        let (vision, text) = (at("/model_cfg/vision_cfg"), at("/model_cfg/text_cfg"));
        [
            spelled::wrong_keys::<ModelConfig>(at("/model_cfg"), "model_cfg"),
            spelled::wrong_keys::<VisionConfig>(vision, "model_cfg.vision_cfg"),
            spelled::wrong_keys::<TextConfig>(text, "model_cfg.text_cfg"),
            spelled::wrong_keys::<PreprocessConfig>(at("/preprocess_cfg"), "preprocess_cfg"),
        ]
        .concat()
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let pre = &self.preprocess_cfg;
        let size = pre.size.unwrap_or(self.model_cfg.vision_cfg.image_size);
        if pre.mode != "RGB" {
            return Some(format!("`preprocess_cfg.mode` is {}, but must be RGB", pre.mode));
        }
        if size != self.model_cfg.vision_cfg.image_size {
            let edge = self.model_cfg.vision_cfg.image_size;
            return Some(format!("preprocess size {size} is not the network's image_size {edge}"));
        }
        if pre.std.iter().any(|&std| !(std.is_finite() && std > 0.0)) {
            return Some("`preprocess_cfg.std` must be above 0".to_owned());
        }
        self.model_cfg.problem().or_else(|| pre.problem_of_resize(size, MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<OpenClipConfig, IoError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json).unwrap();
        OpenClipConfig::read(file.path())
    }

    #[test]
    fn the_names_of_the_releases_are_known_and_no_others() {
        for name in NAMES {
            assert_eq!(ModelConfig::named(name).unwrap().problem(), None, "{name}");
        }
        assert!(ModelConfig::named("ViT-H-14").is_none(), "DFN released no such network");
        assert!(ModelConfig::named("RN50").is_none());
        let large = ModelConfig::named("ViT-L-14-quickgelu").unwrap();
        assert_eq!((large.vision_cfg.tokens(), large.vision_cfg.hidden()), (257, 4096));
        let huge = OpenClipConfig::named("ViT-H-14-378-quickgelu").unwrap();
        assert_eq!(huge.preprocess_cfg.resize_mode, ResizeMode::Squash);
        assert_eq!(huge.model_cfg.vision_cfg.tokens(), 730);
    }

    #[test]
    fn what_open_clip_leaves_out_has_its_defaults() {
        let config = read(r#"{"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}}"#);
        let config = config.unwrap();
        assert_eq!(config.model_cfg.vision_cfg, VisionConfig::default());
        assert!(!config.model_cfg.quick_gelu);
        assert_eq!(config.preprocess_cfg, PreprocessConfig::default());
        assert!((config.model_cfg.logit_scale() - 2.659_26).abs() < 1e-5);
    }

    #[test]
    fn what_would_change_the_network_is_refused() {
        for (vision, why) in [
            (r#"{"timm_model_name": "convnext_base"}"#, "timm_model_name"),
            (r#"{"image_size": 225}"#, "multiple of patch_size"),
            (r#"{"width": 100}"#, "multiple of head_width"),
            (r#"{"patch_size": 0}"#, "`vision_cfg.patch_size` is 0"),
            (r#"{"layers": [3, 4, 6, 3]}"#, "no such network"),
        ] {
            let json = format!(
                r#"{{"model_cfg": {{"embed_dim": 8, "vision_cfg": {vision}, "text_cfg": {{}}}}}}"#
            );
            let error = read(&json).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_size_of_two_equal_numbers_is_one() {
        let json = |size: &str| {
            format!(
                r#"{{"model_cfg": {{"embed_dim": 8, "vision_cfg": {{}}, "text_cfg": {{}}}},
                "preprocess_cfg": {{"size": {size}}}}}"#
            )
        };
        assert_eq!(read(&json("[224, 224]")).unwrap().preprocess_cfg.size, Some(224));
        assert!(read(&json("[224, 200]")).is_err());
        assert!(read(&json("256")).unwrap_err().to_string().contains("not the network's"));
    }
}
