//! Folders as Hugging Face's tools leave them: the cache of `huggingface_hub`, and the layout of
//! `transformers`' `CLIPModel`.

mod clip_config;
mod processor;
pub(crate) mod shards;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_io::{IoError, Kind};

use crate::{
    config::OpenClipConfig,
    weights::{Array, Weights},
};

use clip_config::ClipConfig;
pub(crate) use shards::pickled;

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

/// Reads a folder of `transformers`' `CLIPModel`: `config.json`, `model.safetensors` (or the files
/// that `model.safetensors.index.json` names) and, where it is there, `preprocessor_config.json`. The center of an image is cut as open_clip cuts it (where the
/// rest is odd, `transformers` cuts one pixel further up or left).
///
/// # Errors
/// When a file is missing, the model is no CLIP of vision transformers, or the weights are not its.
pub(crate) fn read_clip_model(folder: &Path) -> Result<(OpenClipConfig, Weights), IoError> {
    let file = folder.join("config.json");
    let text = curate_io::files::read(&file)?;
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
    let preprocess_cfg = processor::read(folder, model_cfg.vision_cfg.image_size)?;
    let (path, files) = shards::of(folder)?;
    let weights = Weights::read_with(&path, &files, &model_cfg, renamed)?;
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
