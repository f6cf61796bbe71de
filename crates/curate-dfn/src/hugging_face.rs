//! Folders as Hugging Face's tools leave them: the cache of `huggingface_hub`, and the layout of
//! `transformers`' `CLIPModel`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_io::{IoError, Kind};
use serde::Deserialize;

use crate::{
    config::{
        Interpolation, ModelConfig, OpenClipConfig, PreprocessConfig, ResizeMode, TextConfig,
        VisionConfig,
    },
    weights::{Array, Weights},
};

/// Where the files of a cached repository lie: `models--ORG--NAME` holds `refs/REVISION` (the name of
/// a snapshot) and `snapshots/COMMIT`. `None` for other folders.
///
/// # Errors
/// When the folder is such a cache and what it refers to is not there.
pub(crate) fn snapshot(folder: &Path) -> Result<Option<PathBuf>, IoError> {
    let snapshots = folder.join("snapshots");
    if !snapshots.is_dir() {
        return Ok(None);
    }
    let main = folder.join("refs/main");
    let there = |name: &str| Some(snapshots.join(name.trim())).filter(|path| path.is_dir());
    if let Ok(commit) = std::fs::read_to_string(&main) {
        let remedy = "fetch the repository again, or name one of the folders in snapshots/";
        let problem = format!("names snapshot {}, which is not there", commit.trim());
        let missing = || IoError::new(Kind::NotFound, &main, problem, remedy);
        return there(&commit).ok_or_else(missing).map(Some);
    }
    let entries = std::fs::read_dir(&snapshots).map_err(|e| IoError::os(&snapshots, "read", e))?;
    let mut all: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(Some(only)),
        _ => {
            let problem = "holds several snapshots or none, and refs/main does not choose";
            Err(IoError::new(Kind::NotFound, &snapshots, problem, "name one of its folders"))
        }
    }
}

/// `config.json` of a `CLIPModel`; what is left out has `transformers`' defaults.
#[derive(Deserialize)]
struct ClipConfig {
    model_type: String,
    #[serde(default = "projection")]
    projection_dim: usize,
    #[serde(default)]
    text_config: Tower,
    #[serde(default)]
    vision_config: Tower,
}

fn projection() -> usize {
    512
}

#[derive(Default, Deserialize)]
struct Tower {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_attention_heads: Option<usize>,
    num_hidden_layers: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
    max_position_embeddings: Option<usize>,
    vocab_size: Option<usize>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
    num_channels: Option<usize>,
}

impl Tower {
    fn act(&self) -> &str {
        self.hidden_act.as_deref().unwrap_or("quick_gelu")
    }

    fn problem(&self, name: &str) -> Option<String> {
        let act = self.act();
        if !["quick_gelu", "gelu"].contains(&act) {
            return Some(format!("`{name}.hidden_act` is {act}, but must be quick_gelu or gelu"));
        }
        if let Some(eps) = self.layer_norm_eps.filter(|&eps| eps != 1e-5) {
            return Some(format!("`{name}.layer_norm_eps` is {eps}, but must be 1e-5"));
        }
        let channels = self.num_channels.filter(|&channels| channels != 3)?;
        Some(format!("`{name}.num_channels` is {channels}, but must be 3"))
    }
}

impl ClipConfig {
    fn problem(&self) -> Option<String> {
        if self.model_type != "clip" {
            return Some(format!("`model_type` is {}, but must be clip", self.model_type));
        }
        let (text, vision) = (&self.text_config, &self.vision_config);
        if text.act() != vision.act() {
            let (text, vision) = (text.act(), vision.act());
            return Some(format!("the towers' activations differ: {text} and {vision}"));
        }
        text.problem("text_config").or_else(|| vision.problem("vision_config"))
    }

    fn model(&self) -> ModelConfig {
        let (t, v) = (&self.text_config, &self.vision_config);
        let text_width = t.hidden_size.unwrap_or(512);
        let width = v.hidden_size.unwrap_or(768);
        let ratio = |tower: &Tower, width: usize, usual: usize| {
            tower.intermediate_size.unwrap_or(usual) as f64 / width.max(1) as f64
        };
        ModelConfig {
            embed_dim: self.projection_dim,
            quick_gelu: t.act() == "quick_gelu",
            vision_cfg: VisionConfig {
                image_size: v.image_size.unwrap_or(224),
                layers: v.num_hidden_layers.unwrap_or(12),
                width,
                patch_size: v.patch_size.unwrap_or(32),
                head_width: width / v.num_attention_heads.unwrap_or(12).max(1),
                mlp_ratio: ratio(v, width, 3072),
            },
            text_cfg: TextConfig {
                context_length: t.max_position_embeddings.unwrap_or(77),
                vocab_size: t.vocab_size.unwrap_or(49_408),
                width: text_width,
                heads: t.num_attention_heads.unwrap_or(8),
                layers: t.num_hidden_layers.unwrap_or(12),
                mlp_ratio: ratio(t, text_width, 2048),
            },
            init_logit_scale: None,
            init_logit_bias: None,
        }
    }
}

/// `preprocessor_config.json`.
#[derive(Default, Deserialize)]
struct Processor {
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    /// PIL's number of the filter.
    resample: Option<u8>,
    do_center_crop: Option<bool>,
}

impl Processor {
    /// Read beside `config.json`; CLIP's own where there is none.
    fn read(folder: &Path) -> Result<Self, IoError> {
        let file = folder.join("preprocessor_config.json");
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| {
                IoError::malformed(&file, "is not a config of an image processor").caused_by(e)
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(IoError::os(&file, "read", e)),
        }
    }

    fn config(&self, folder: &Path, size: usize) -> Result<PreprocessConfig, IoError> {
        let usual = PreprocessConfig::default();
        let interpolation = match self.resample {
            None | Some(3) => Interpolation::Bicubic,
            Some(2) => Interpolation::Bilinear,
            Some(other) => {
                let file = folder.join("preprocessor_config.json");
                let problem = format!("`resample` is {other}");
                let remedy = "bicubic (3) and bilinear (2) are known";
                return Err(IoError::new(Kind::Unsupported, file, problem, remedy));
            }
        };
        let squash = self.do_center_crop == Some(false);
        Ok(PreprocessConfig {
            size: Some(size),
            mean: self.image_mean.unwrap_or(usual.mean),
            std: self.image_std.unwrap_or(usual.std),
            interpolation,
            resize_mode: if squash { ResizeMode::Squash } else { ResizeMode::Shortest },
            ..usual
        })
    }
}

/// Reads a folder of `transformers`' `CLIPModel`: `config.json`, `model.safetensors` and, where it is
/// there, `preprocessor_config.json`. The center of an image is cut as open_clip cuts it (where the
/// rest is odd, `transformers` cuts one pixel further up or left).
///
/// # Errors
/// When a file is missing, the model is no CLIP of vision transformers, or the weights are not its.
pub(crate) fn read_clip_model(folder: &Path) -> Result<(OpenClipConfig, Weights), IoError> {
    let file = folder.join("config.json");
    let text = std::fs::read(&file).map_err(|e| IoError::os(&file, "read", e))?;
    let unsupported = |problem: String| {
        let remedy = "this crate reads open_clip's folders and those of transformers' CLIPModel";
        IoError::new(Kind::Unsupported, &file, problem, remedy)
    };
    let clip: ClipConfig = serde_json::from_slice(&text)
        .map_err(|e| unsupported(format!("describes no CLIPModel: {e}")))?;
    if let Some(problem) = clip.problem() {
        return Err(unsupported(problem));
    }
    let model_cfg = clip.model();
    if let Some(problem) = model_cfg.problem() {
        return Err(IoError::malformed(&file, problem));
    }
    let preprocess_cfg =
        Processor::read(folder)?.config(folder, model_cfg.vision_cfg.image_size)?;
    let weights = Weights::read_with(&folder.join("model.safetensors"), &model_cfg, renamed)?;
    Ok((OpenClipConfig { model_cfg, preprocess_cfg }, weights))
}

/// Arrays of a `CLIPModel` under open_clip's names; those without one keep theirs, and are refused as
/// unknown.
fn renamed(mut arrays: BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let mut all = BTreeMap::new();
    // Positions 0, 1, 2, ..., which old versions stored.
    arrays.retain(|name, _| !name.ends_with(".position_ids"));
    let queries: Vec<String> = arrays.keys().filter(|n| n.contains(".q_proj.")).cloned().collect();
    for query in queries {
        let part = |which: &str| query.replace(".q_proj.", which);
        let [key, value] = [".k_proj.", ".v_proj."].map(part);
        if !(arrays.contains_key(&key) && arrays.contains_key(&value)) {
            continue;
        }
        let parts = [&query, &key, &value].map(|name| arrays.remove(name).expect("looked up"));
        let mut shape = parts[0].shape.clone();
        shape[0] = parts.iter().map(|part| part.shape.first().copied().unwrap_or(0)).sum();
        let data = parts.into_iter().flat_map(|part| part.data).collect();
        let name = name_of(&query.replace(".q_proj.", ".in_proj_"));
        all.insert(name, Array { shape, data });
    }
    for (name, array) in arrays {
        let array = match name.as_str() {
            "text_projection.weight" | "visual_projection.weight" => transposed(array),
            _ => array,
        };
        all.insert(name_of(&name), array);
    }
    all
}

fn name_of(name: &str) -> String {
    const WHOLE: [(&str, &str); 7] = [
        ("text_projection.weight", "text_projection"),
        ("visual_projection.weight", "visual.proj"),
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ];
    const PARTS: [(&str, &str); 12] = [
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
        ("text_model.final_layer_norm.", "ln_final."),
        ("vision_model.pre_layrnorm.", "visual.ln_pre."),
        ("vision_model.post_layernorm.", "visual.ln_post."),
        (".layer_norm1.", ".ln_1."),
        (".layer_norm2.", ".ln_2."),
        (".self_attn.in_proj_", ".attn.in_proj_"),
        (".self_attn.out_proj.", ".attn.out_proj."),
        (".self_attn.", ".attn."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
    ];
    match WHOLE.iter().find(|(theirs, _)| *theirs == name) {
        Some((_, ours)) => (*ours).to_owned(),
        None => PARTS.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to)),
    }
}

fn transposed(array: Array) -> Array {
    let &[rows, columns] = &array.shape[..] else { return array };
    let data = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| row * columns + column))
        .map(|at| array.data[at])
        .collect();
    Array { shape: vec![columns, rows], data }
}
