//! `config.json` of `transformers`' `CLIPModel`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::{ModelConfig, TextConfig, VisionConfig},
    tokenizer::END,
};

/// Keys that change no embedding: names, versions, what training begins with and drops, and what
/// `transformers` keeps for generating texts.
const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "logit_scale_init_value",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
];

/// The keys that are not known to change nothing, unless their value is nothing.
fn unknown(other: &BTreeMap<String, Value>, of: &str) -> Option<String> {
    let empty = |v: &Value| v.is_null() || v.as_object().is_some_and(serde_json::Map::is_empty);
    let unknown =
        other.iter().filter(|(key, value)| !(HARMLESS.contains(&&***key) || empty(value)));
    let named: Vec<String> = unknown
        .map(|(key, value)| {
            format!("`{of}{key}` is {value}, and its effect on the network is not known")
        })
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}

/// `config.json` of a `CLIPModel`; what is left out has `transformers`' defaults.
#[derive(Deserialize)]
pub(super) struct ClipConfig {
    model_type: String,
    #[serde(default = "projection")]
    projection_dim: usize,
    #[serde(default)]
    text_config: Option<Tower>,
    #[serde(default)]
    vision_config: Option<Tower>,
    /// Where it is there, it counts, filled with the defaults, and `text_config` does not.
    text_config_dict: Option<Tower>,
    vision_config_dict: Option<Tower>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

fn projection() -> usize {
    512
}

#[derive(Clone, Default, Deserialize)]
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
    eos_token_id: Option<u64>,
    /// In the towers' own configs; the network's is the one beside the towers.
    #[serde(rename = "projection_dim")]
    _projection_dim: Option<usize>,
    #[serde(rename = "model_type")]
    _model_type: Option<String>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
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
        if let Some(channels) = self.num_channels.filter(|&channels| channels != 3) {
            return Some(format!("`{name}.num_channels` is {channels}, but must be 3"));
        }
        if let (Some(width), Some(heads)) = (self.hidden_size, self.num_attention_heads)
            && !width.is_multiple_of(heads.max(1))
        {
            return Some(format!("`{name}.hidden_size` {width} is no multiple of {heads} heads"));
        }
        unknown(&self.other, &format!("{name}."))
    }
}

impl ClipConfig {
    /// What this crate does not compute; `None` where there is nothing.
    pub(super) fn problem(&self) -> Option<String> {
        if self.model_type != "clip" {
            return Some(format!("`model_type` is {}, but must be clip", self.model_type));
        }
        let (text, vision) = self.towers();
        if text.act() != vision.act() {
            let (text, vision) = (text.act(), vision.act());
            return Some(format!("the towers' activations differ: {text} and {vision}"));
        }
        let problem = text.problem("text_config").or_else(|| vision.problem("vision_config"));
        // Texts are pooled at their largest token; transformers means that by 2, too.
        let ends = [2, u64::from(END), text.vocab_size.unwrap_or(0).saturating_sub(1) as u64];
        problem.or_else(|| unknown(&self.other, "")).or_else(|| {
            let end = text.eos_token_id.filter(|end| !ends.contains(end))?;
            Some(format!("`text_config.eos_token_id` is {end}, but must be {END}"))
        })
    }

    /// The text and the image tower, as `transformers` merges the older keys into the newer.
    fn towers(&self) -> (Tower, Tower) {
        let merged = |old: &Option<Tower>, new: &Option<Tower>| {
            let mut tower = old.as_ref().or(new.as_ref()).cloned().unwrap_or_default();
            let extra = new.iter().flat_map(|new| new.other.clone());
            tower.other.extend(extra);
            tower
        };
        (
            merged(&self.text_config_dict, &self.text_config),
            merged(&self.vision_config_dict, &self.vision_config),
        )
    }

    pub(super) fn model(&self) -> ModelConfig {
        let (t, v) = &self.towers();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ClipConfig {
        serde_json::from_str(json).unwrap()
    }

    /// `CLIPConfig(text_config={...}, text_config_dict={...})` in transformers: the older key's values,
    /// filled with the defaults, replace all of the newer key's.
    #[test]
    fn the_older_keys_replace_the_newer_with_their_defaults() {
        let clip = read(
            r#"{"model_type": "clip",
            "text_config": {"hidden_size": 64, "num_hidden_layers": 2, "hidden_act": "gelu"},
            "text_config_dict": {"hidden_size": 128, "num_attention_heads": 4},
            "vision_config": {"hidden_size": 96, "image_size": 64}, "vision_config_dict": null}"#,
        );
        assert_eq!(clip.problem(), None);
        let model = clip.model();
        let text = &model.text_cfg;
        assert_eq!((text.width, text.heads, text.layers, text.hidden()), (128, 4, 12, 2048));
        assert!(model.quick_gelu, "the default, not text_config's");
        assert_eq!((model.vision_cfg.width, model.vision_cfg.image_size), (96, 64));
    }

    #[test]
    fn keys_that_are_not_known_are_refused_and_harmless_ones_pass() {
        let with = |key: &str| read(&format!(r#"{{"model_type": "clip", {key}}}"#)).problem();
        for harmless in [
            r#""architectures": ["CLIPModel"], "torch_dtype": "float32", "dtype": "float32""#,
            r#""text_config": {"top_k": 50, "pruned_heads": {}, "eos_token_id": 2, "prefix": null}"#,
            r#""vision_config": {"model_type": "clip_vision_model", "projection_dim": 512}"#,
        ] {
            assert_eq!(with(harmless), None, "{harmless}");
        }
        for (key, why) in [
            (r#""quantization_config": {"bits": 4}"#, "`quantization_config` is {\"bits\":4}"),
            (r#""text_config": {"pruned_heads": {"0": [1]}}"#, "`text_config.pruned_heads` is"),
            (r#""vision_config": {"use_head": 1}"#, "`vision_config.use_head` is 1"),
            (r#""vision_config_dict": {"hidden_act": "relu"}"#, "activations differ"),
            (r#""text_config_dict": {"layer_norm_eps": 1e-6}"#, "`text_config.layer_norm_eps` is"),
            (r#""text_config": {"eos_token_id": 7}"#, "`text_config.eos_token_id` is 7"),
            (r#""vision_config": {"hidden_size": 10, "num_attention_heads": 4}"#, "4 heads"),
        ] {
            let problem = with(key).unwrap_or_default();
            assert!(problem.contains(why), "{key}: {problem}");
        }
    }
}
