//! Keys of open_clip's configs that change nothing here: its defaults, spelled out, and what only
//! training looks at.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The values that a key may have; none if any value is one, since nothing here depends on it.
type Keys = Vec<(&'static str, Vec<Value>)>;

fn model() -> Keys {
    // The towers' parts are the same in both classes of open_clip; a scale with an axis is read, too.
    let any = ["custom_text", "nonscalar_logit_scale", "output_dict"].map(|key| (key, vec![]));
    let mut keys = any.to_vec();
    keys.push(("cast_dtype", vec![Value::Null]));
    keys.push(("multimodal_cfg", vec![Value::Null]));
    keys
}

/// Of both towers.
fn tower() -> Keys {
    let off = |key| (key, vec![json!(false)]);
    let mut keys = [
        "final_ln_after_pool",
        "output_tokens",
        "qk_norm",
        "scaled_cosine_attn",
        "scale_heads",
        "scale_attn_inner",
        "scale_attn",
        "scale_fc",
    ]
    .map(off)
    .to_vec();
    keys.push(("ls_init_value", vec![Value::Null]));
    keys.push(("act_kwargs", vec![Value::Null, json!({})]));
    keys.push(("norm_kwargs", vec![Value::Null, json!({}), json!({"eps": 1e-5})]));
    keys.push(("block_type", vec![Value::Null, json!("default")]));
    keys
}

fn vision() -> Keys {
    let mut keys = tower();
    // Dropped in training alone, or parts of a pooler and of towers that are refused by their name.
    let any = [
        "patch_dropout",
        "attn_pooler_queries",
        "attn_pooler_heads",
        "timm_model_pretrained",
        "timm_pool",
        "timm_proj",
        "timm_proj_bias",
        "timm_drop",
        "timm_drop_path",
    ];
    keys.extend(any.map(|key| (key, vec![])));
    keys.push(("attentional_pool", vec![json!(false)]));
    keys.push(("no_ln_pre", vec![json!(false)]));
    keys.push(("pos_embed_type", vec![json!("learnable")]));
    keys.push(("pool_type", vec![json!("tok")]));
    keys.push(("timm_model_name", vec![Value::Null, json!("")]));
    keys
}

fn text() -> Keys {
    let mut keys = tower();
    let any = ["eos_id", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type"];
    keys.extend(any.map(|key| (key, vec![])));
    for name in ["hf_tokenizer_name", "hf_model_name"] {
        keys.push((name, vec![Value::Null, json!("")]));
    }
    keys.push(("tokenizer_mode", vec![Value::Null]));
    keys.push(("tokenizer_kwargs", vec![Value::Null, json!({})]));
    keys.push(("embed_cls", vec![json!(false)]));
    keys.push(("pad_id", vec![json!(0)]));
    keys.push(("no_causal_mask", vec![json!(false)]));
    keys.push(("pool_type", vec![json!("argmax")]));
    keys.push(("proj_bias", vec![json!(false)]));
    keys.push(("proj_type", vec![json!("linear")]));
    keys
}

/// Takes out of an `open_clip_config.json` what changes nothing. Answers every key that asks for what this
/// crate does not compute.
pub(super) fn settle(config: &mut Value) -> Vec<String> {
    if let Some(preprocess) = config.get_mut("preprocess_cfg").and_then(Value::as_object_mut) {
        // open_clip takes its default there.
        preprocess.retain(|_, value| !value.is_null());
    }
    let Some(network) = config.get_mut("model_cfg").and_then(Value::as_object_mut) else {
        return vec![];
    };
    let mut problems = without(network, &model(), "model_cfg");
    for (tower, keys) in [("vision_cfg", vision()), ("text_cfg", text())] {
        if let Some(found) = network.get_mut(tower).and_then(Value::as_object_mut) {
            problems.extend(without(found, &keys, &format!("model_cfg.{tower}")));
        }
    }
    let size = network.get_mut("vision_cfg").and_then(|vision| vision.get_mut("image_size"));
    if let Some(size) = size
        && let Some([height, width]) = size.as_array().map(Vec::as_slice)
    {
        if height != width {
            problems
                .push(format!("`model_cfg.vision_cfg.image_size` is {size}, which is no square"));
        }
        *size = height.clone();
    }
    problems
}

fn without(found: &mut Map<String, Value>, keys: &Keys, of: &str) -> Vec<String> {
    let wrong = keys.iter().filter_map(|(key, values)| {
        let value = found.remove(*key)?;
        let holds = values.is_empty() || values.iter().any(|v| same(v, &value));
        (!holds).then(|| format!("`{of}.{key}` is {value}, but must be {}", values[0]))
    });
    wrong.collect()
}

/// Every key of a section that its type does not take. serde stops at the first, so each is tried alone:
/// every key has a default, or is reported as missing by whoever reads the whole.
pub(super) fn wrong_keys<T: DeserializeOwned>(section: Option<&Value>, of: &str) -> Vec<String> {
    let keys = section.and_then(Value::as_object).into_iter().flatten();
    let wrong = keys.filter(|(_, value)| !is_tower(value)).filter_map(|(key, value)| {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        let error = serde_json::from_value::<T>(Value::Object(alone)).err()?.to_string();
        (!error.starts_with("missing field")).then(|| format!("`{of}.{key}`: {error}"))
    });
    wrong.collect()
}

/// A section inside another, whose keys are looked at on their own.
fn is_tower(value: &Value) -> bool {
    value.is_object()
}

/// Whether two values are equal; numbers as numbers, so that 0 is 0.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(model: &str, vision: &str, text: &str) -> Value {
        let json = format!(
            r#"{{"model_cfg": {{"embed_dim": 8, {model} "vision_cfg": {{{vision}}},
            "text_cfg": {{{text}}}}}, "preprocess_cfg": {{"size": null, "fill_color": 0}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    /// Every field of open_clip 3.3's `CLIPVisionCfg` and `CLIPTextCfg` at its default.
    #[test]
    fn defaults_of_open_clip_spelled_out_change_nothing() {
        let both = r#""ls_init_value": null, "final_ln_after_pool": false, "output_tokens": false,
            "act_kwargs": null, "norm_kwargs": null, "block_type": null, "qk_norm": false,
            "scaled_cosine_attn": false, "scale_heads": false, "scale_attn_inner": false,
            "scale_attn": false, "scale_fc": false, "layers": 12, "mlp_ratio": 4.0, "#;
        let vision = format!(
            r#"{both} "width": 768, "head_width": 64, "patch_size": 16, "image_size": [224, 224],
            "patch_dropout": 0.5, "attentional_pool": false, "attn_pooler_queries": 256,
            "attn_pooler_heads": 8, "no_ln_pre": false, "pos_embed_type": "learnable",
            "pool_type": "tok", "timm_model_name": null, "timm_model_pretrained": false,
            "timm_pool": "avg", "timm_proj": "linear", "timm_proj_bias": false, "timm_drop": 0.0,
            "timm_drop_path": null"#
        );
        let text = format!(
            r#"{both} "context_length": 77, "vocab_size": 49408, "hf_tokenizer_name": null,
            "tokenizer_mode": null, "tokenizer_kwargs": null, "width": 512, "heads": 8,
            "embed_cls": false, "pad_id": 0, "eos_id": 2, "no_causal_mask": false,
            "pool_type": "argmax", "proj_bias": false, "proj_type": "linear",
            "hf_model_name": null, "hf_model_pretrained": true, "hf_proj_type": "mlp",
            "hf_pooler_type": "mean_pooler""#
        );
        let model =
            r#""custom_text": true, "nonscalar_logit_scale": false, "init_logit_bias": null,"#;
        let mut spelled = config(model, &vision, &text);
        assert!(settle(&mut spelled).is_empty());
        let read =
            |value: Value| serde_json::from_value::<super::super::OpenClipConfig>(value).unwrap();
        assert_eq!(
            read(spelled),
            read(serde_json::json!(
                {"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}}
            ))
        );
    }

    #[test]
    fn what_open_clip_would_compute_otherwise_is_refused_by_name() {
        for (model, vision, text, why) in [
            ("", r#""ls_init_value": 1e-5"#, "", "vision_cfg.ls_init_value"),
            ("", r#""pool_type": "avg""#, "", "vision_cfg.pool_type"),
            ("", r#""no_ln_pre": true"#, "", "vision_cfg.no_ln_pre"),
            ("", r#""pos_embed_type": "sin_cos_2d""#, "", "vision_cfg.pos_embed_type"),
            ("", r#""attentional_pool": true"#, "", "vision_cfg.attentional_pool"),
            ("", r#""image_size": [64, 48]"#, "", "vision_cfg.image_size` is [64,48]"),
            ("", r#""timm_model_name": "convnext""#, "", "vision_cfg.timm_model_name"),
            ("", r#""norm_kwargs": {"eps": 1e-6}"#, "", "vision_cfg.norm_kwargs"),
            ("", "", r#""no_causal_mask": true"#, "text_cfg.no_causal_mask"),
            ("", "", r#""pool_type": "last""#, "text_cfg.pool_type"),
            ("", "", r#""embed_cls": true"#, "text_cfg.embed_cls"),
            ("", "", r#""act_kwargs": {"approximate": "tanh"}"#, "text_cfg.act_kwargs"),
            ("", "", r#""hf_tokenizer_name": "timm/x""#, "text_cfg.hf_tokenizer_name"),
            ("", "", r#""tokenizer_kwargs": {"clean": "canonicalize"}"#, "tokenizer_kwargs"),
            (r#""multimodal_cfg": {"width": 8},"#, "", "", "model_cfg.multimodal_cfg"),
        ] {
            let problem = settle(&mut config(model, vision, text)).join("; ");
            assert!(problem.contains(why), "{problem}");
        }
    }
}
