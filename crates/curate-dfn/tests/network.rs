//! Features against open_clip 3.3.0's, and their independence of the batch.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::{Arrays, bytes, distance, largest, path, tiny, tiny_tokens};
use curate_dfn::{ModelConfig, Network, OpenClipConfig, Weights, network::read_folder};
use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn network(name: &str) -> Network {
    Network::open(&path(name)).unwrap()
}

/// Transformed images of the second network, in the order of its reference.
fn full_images(network: &Network) -> Vec<f32> {
    let manifest: serde_json::Value = serde_json::from_slice(&bytes("full/manifest.json")).unwrap();
    let files = manifest["images"].as_array().unwrap();
    let name = |file: &serde_json::Value| file["file"].as_str().unwrap().replace("images", "full");
    files.iter().flat_map(|f| network.transform().apply(&bytes(&name(f))).unwrap()).collect()
}

fn full_tokens(reference: &Arrays) -> Vec<u32> {
    reference.i64("text_ids").iter().map(|&id| u32::try_from(id).unwrap()).collect()
}

#[test]
fn features_of_the_tiny_network_are_open_clips() {
    let network = network("tiny");
    let images = network.image_features(&tiny("pixels")).unwrap();
    let expected = tiny("image_features");
    assert!(distance(&images, &expected) <= 1e-5 * largest(&expected));
    let texts = network.text_features(&tiny_tokens()).unwrap();
    let expected = tiny("text_features");
    assert!(distance(&texts, &expected) <= 1e-5 * largest(&expected));
    assert!(
        distance(&network.embed_images(&tiny("pixels")).unwrap(), &tiny("image_normalized"))
            <= 2e-6
    );
}

#[test]
fn features_from_files_of_the_second_network_are_open_clips() {
    let network = network("full");
    let reference = Arrays::read("full/reference.safetensors");
    let images = full_images(&network);
    let features = network.image_features(&images).unwrap();
    let expected = reference.f32("image_features_raw");
    assert!(distance(&features, &expected) <= 1e-5 * largest(&expected));
    assert!(
        distance(&network.embed_images(&images).unwrap(), &reference.f32("image_features")) <= 2e-6
    );
    let texts = network.text_features(&full_tokens(&reference)).unwrap();
    let expected = reference.f32("text_features_raw");
    assert!(distance(&texts, &expected) <= 1e-5 * largest(&expected));
}

#[test]
fn the_activation_matters_more_than_the_tolerance() {
    let (mut config, weights) = read_folder(&path("tiny")).unwrap();
    config.model_cfg.quick_gelu = true;
    let features = Network::new(config, &weights).unwrap().image_features(&tiny("pixels")).unwrap();
    assert!(distance(&features, &tiny("image_features")) > 1e-4);
}

#[test]
fn batches_of_1_7_and_64_have_the_same_bytes() {
    let network = network("tiny");
    let (pixels, tokens) = (tiny("pixels").repeat(11), tiny_tokens().repeat(8));
    let (pixels, tokens) = (&pixels[..64 * 3 * 32 * 32], &tokens[..64 * 24]);
    let together =
        (network.image_features(pixels).unwrap(), network.text_features(tokens).unwrap());
    for batch in [1, 7] {
        let images: Vec<f32> = pixels
            .chunks(batch * 3 * 32 * 32)
            .flat_map(|b| network.image_features(b).unwrap())
            .collect();
        assert!(images == together.0, "images in batches of {batch}");
        let texts: Vec<f32> =
            tokens.chunks(batch * 24).flat_map(|b| network.text_features(b).unwrap()).collect();
        assert!(texts == together.1, "texts in batches of {batch}");
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(
            pool.install(|| network.image_features(pixels).unwrap()) == together.0,
            "{threads} threads"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn neighbors_do_not_matter(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let network = network("tiny");
        let pixels = tiny("pixels");
        let alone = network.image_features(&pixels).unwrap();
        let image = |i: &usize| pixels[i * 3072..(i + 1) * 3072].to_vec();
        let shuffled: Vec<f32> = order.iter().flat_map(image).collect();
        let features = network.image_features(&shuffled).unwrap();
        for (at, i) in order.iter().enumerate() {
            prop_assert!(features[at * 64..(at + 1) * 64] == alone[i * 64..(i + 1) * 64]);
        }
    }
}

#[test]
fn what_follows_the_end_of_a_text_is_not_read() {
    let network = network("tiny");
    let mut tokens = tiny_tokens();
    let features = network.text_features(&tokens[..24]).unwrap();
    let end = tokens[..24].iter().enumerate().max_by_key(|&(i, t)| (t, 24 - i)).unwrap().0;
    assert!(end < 23, "the reference has texts of different lengths");
    tokens[end + 1] = 5;
    assert_eq!(network.text_features(&tokens[..24]).unwrap(), features);
}

/// Writes the tiny network's file again with other types, names or shapes.
fn rewritten(
    change: impl Fn(&str, &TensorView<'_>) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
) -> tempfile::NamedTempFile {
    let file = bytes("tiny/open_clip_model.safetensors");
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut all = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        for (name, dtype, shape, data) in change(&name, &view) {
            all.insert(name, (dtype, shape, data));
        }
    }
    let views = all
        .iter()
        .map(|(n, (d, s, data))| (n.as_str(), TensorView::new(*d, s.clone(), data).unwrap()));
    let out = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(out.path(), safetensors::serialize(views, None).unwrap()).unwrap();
    out
}

fn floats(view: &TensorView<'_>) -> Vec<f32> {
    view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn same(name: &str, view: &TensorView<'_>) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
}

fn tiny_config() -> ModelConfig {
    OpenClipConfig::read(&path("tiny/open_clip_config.json")).unwrap().model_cfg
}

#[test]
fn half_precision_files_and_wrapped_names_load() {
    let config = OpenClipConfig::read(&path("tiny/open_clip_config.json")).unwrap();
    let exact = network("tiny").image_features(&tiny("pixels")).unwrap();
    let half = rewritten(|name, view| {
        let data = floats(view).iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        vec![(format!("module.{name}"), Dtype::F16, view.shape().to_vec(), data)]
    });
    let brain = rewritten(|name, view| {
        let data = floats(view).iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
        vec![(name.to_owned(), Dtype::BF16, view.shape().to_vec(), data)]
    });
    for (file, tolerance) in [(half, 2e-3), (brain, 2e-2)] {
        let weights = Weights::read(file.path(), &config.model_cfg).unwrap();
        let features = Network::new(config.clone(), &weights)
            .unwrap()
            .image_features(&tiny("pixels"))
            .unwrap();
        let off = distance(&features, &exact) / largest(&exact);
        assert!(off > 1e-6 && off < tolerance, "{off}");
    }
}

#[test]
fn doubles_are_the_same_network() {
    let file = rewritten(|name, view| {
        let data = floats(view).iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
        vec![(name.to_owned(), Dtype::F64, view.shape().to_vec(), data)]
    });
    let (_, weights) = read_folder(&path("tiny")).unwrap();
    assert_eq!(Weights::read(file.path(), &tiny_config()).unwrap(), weights);
}

#[test]
fn wrong_weights_are_refused_with_every_reason() {
    let file = rewritten(|name, view| match name {
        "visual.proj" => vec![],
        "ln_final.bias" => vec![(name.into(), Dtype::F32, vec![32], view.data()[..128].to_vec())],
        "text_projection" => vec![same(name, view), same("extra.weight", view)],
        "logit_scale" => vec![(name.into(), Dtype::I32, vec![], vec![0; 4])],
        _ => vec![same(name, view)],
    });
    let error = Weights::read(file.path(), &tiny_config()).unwrap_err().to_string();
    for part in [
        "`visual.proj` [64, 64] is missing",
        "`ln_final.bias` is [32], but must be [64]",
        "`extra.weight` belongs to no such network",
        "`logit_scale` holds I32, not floats",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let wrong = ModelConfig::named("ViT-B-32").unwrap();
    let error = Weights::read(&path("tiny/open_clip_model.safetensors"), &wrong).unwrap_err();
    assert!(error.to_string().contains("more; name the config"), "{error}");
    std::fs::write(file.path(), b"no such thing").unwrap();
    let error = Weights::read(file.path(), &tiny_config()).unwrap_err().to_string();
    assert!(error.contains("is not a safetensors file"), "{error}");
}

#[test]
fn what_is_saved_loads_as_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = read_folder(&path("tiny")).unwrap();
    curate_dfn::network::write_folder(folder.path(), &config, &weights).unwrap();
    let (again_config, again) = read_folder(folder.path()).unwrap();
    assert_eq!((again_config, again), (config, weights));
}

/// `F.interpolate(mode="bicubic", antialias=True)` of the tiny network's 4 x 4 grid; the numbers are
/// means of the table's constant rows and of a ramp, which cubic filters keep.
#[test]
fn position_embeddings_follow_the_image_size() {
    let mut config = tiny_config();
    config.vision_cfg.image_size = 64;
    config.text_cfg.context_length = 48;
    let file = rewritten(|name, view| {
        let mut copy = same(name, view);
        if name == "visual.positional_embedding" {
            // Each patch's row holds its column on the grid.
            let column = |i: usize| if i == 0 { 9.0 } else { ((i - 1) % 4) as f32 };
            copy.3 = (0..17).flat_map(|i| column(i).to_le_bytes().repeat(64)).collect();
        }
        vec![copy]
    });
    let weights = Weights::read(file.path(), &config).unwrap();
    assert_eq!(weights.interpolated(), ["positional_embedding", "visual.positional_embedding"]);
    let table = weights.data("visual.positional_embedding").unwrap();
    assert_eq!(table.len(), 65 * 64);
    assert_eq!(table[0], 9.0, "the class token keeps its row");
    // Column 3 of 8 lies at (3 + 0.5) / 2 - 0.5 = 1.25 of 4; far from the border a ramp is kept.
    let at = |row: usize, column: usize| table[(1 + row * 8 + column) * 64];
    assert!((at(4, 3) - 1.25).abs() < 1e-6, "{}", at(4, 3));
    assert_eq!(at(0, 3), at(7, 3));
    let (old, new) = (tiny_config(), weights.data("positional_embedding").unwrap());
    let old = Weights::read(&path("tiny/open_clip_model.safetensors"), &old).unwrap();
    let old = old.data("positional_embedding").unwrap();
    assert_eq!(new[..64], old[..64]);
    assert!((new[64] - (0.75 * old[0] + 0.25 * old[64])).abs() < 1e-7);
}

type Renamed = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// An array of a block, under the names that `transformers` gives; one array for each of query, key and
/// value.
fn insert_block(all: &mut Renamed, tower: &str, block: &str, shape: Vec<usize>, data: Vec<f32>) {
    let (i, part) = block.split_once('.').unwrap();
    let layer = format!("{tower}.encoder.layers.{i}");
    if let Some(kind) = part.strip_prefix("attn.in_proj_") {
        for (third, which) in data.chunks_exact(data.len() / 3).zip(["q", "k", "v"]) {
            let shape = [&[shape[0] / 3], &shape[1..]].concat();
            let name = format!("{layer}.self_attn.{which}_proj.{kind}");
            all.insert(name, (shape, third.to_vec()));
        }
        return;
    }
    let part = part
        .replace("attn.", "self_attn.")
        .replace("ln_", "layer_norm")
        .replace("c_fc", "fc1")
        .replace("c_proj", "fc2");
    all.insert(format!("{layer}.{part}"), (shape, data));
}

/// The tiny network's folder as `transformers` would hold it.
fn clip_model(folder: &std::path::Path) {
    let file = bytes("tiny/open_clip_model.safetensors");
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let mut all = Renamed::new();
    for (name, view) in tensors.tensors() {
        let (shape, data) = (view.shape().to_vec(), floats(&view));
        let (tower, rest) = match name.strip_prefix("visual.") {
            Some(rest) => ("vision_model", rest),
            None => ("text_model", name.as_str()),
        };
        if let Some(block) = rest.strip_prefix("transformer.resblocks.") {
            insert_block(&mut all, tower, block, shape, data);
            continue;
        }
        let transposed = || {
            let (rows, columns) = (shape[0], shape[1]);
            let at = |i: usize| data[i % rows * columns + i / rows];
            (vec![columns, rows], (0..rows * columns).map(at).collect::<Vec<f32>>())
        };
        let (name, array) = match name.as_str() {
            "visual.proj" => ("visual_projection.weight", transposed()),
            "text_projection" => ("text_projection.weight", transposed()),
            "visual.class_embedding" => ("vision_model.embeddings.class_embedding", (shape, data)),
            "visual.conv1.weight" => {
                ("vision_model.embeddings.patch_embedding.weight", (shape, data))
            }
            "visual.positional_embedding" => {
                ("vision_model.embeddings.position_embedding.weight", (shape, data))
            }
            "positional_embedding" => {
                ("text_model.embeddings.position_embedding.weight", (shape, data))
            }
            "token_embedding.weight" => {
                ("text_model.embeddings.token_embedding.weight", (shape, data))
            }
            "visual.ln_pre.weight" => ("vision_model.pre_layrnorm.weight", (shape, data)),
            "visual.ln_pre.bias" => ("vision_model.pre_layrnorm.bias", (shape, data)),
            "visual.ln_post.weight" => ("vision_model.post_layernorm.weight", (shape, data)),
            "visual.ln_post.bias" => ("vision_model.post_layernorm.bias", (shape, data)),
            "ln_final.weight" => ("text_model.final_layer_norm.weight", (shape, data)),
            "ln_final.bias" => ("text_model.final_layer_norm.bias", (shape, data)),
            other => (other, (shape, data)),
        };
        all.insert(name.to_owned(), array);
    }
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = all
        .iter()
        .map(|(name, (shape, data))| {
            (name, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
        })
        .collect();
    let positions: Vec<u8> = (0..24_i64).flat_map(i64::to_le_bytes).collect();
    let ids = TensorView::new(Dtype::I64, vec![1, 24], &positions).unwrap();
    let views = bytes
        .iter()
        .map(|(n, s, data)| (n.as_str(), TensorView::new(Dtype::F32, s.to_vec(), data).unwrap()));
    let views = views.chain([("text_model.embeddings.position_ids", ids)]);
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

/// Splits the weights as `save_pretrained(max_shard_size=...)` does.
fn in_two_files(folder: &std::path::Path) {
    let whole = folder.join("model.safetensors");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::remove_file(whole).unwrap();
    let mut map = serde_json::Map::new();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    for (i, part) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", i + 1);
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), name.as_str().into())));
        let part = part.iter().map(|(name, view)| (name, view));
        std::fs::write(folder.join(name), safetensors::serialize(part, None).unwrap()).unwrap();
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// Twice the multiply-accumulates of open_clip's `model_profile.csv`.
#[test]
fn operations_are_those_of_open_clips_profile() {
    for (name, gmacs) in [("ViT-B-32", 7.40), ("ViT-L-14", 87.73)] {
        let found = curate_dfn::ModelConfig::named(name).unwrap().operations_per_pair() / 2e9;
        assert!((found / gmacs - 1.0).abs() < 0.03, "{name}: {found}");
    }
}

#[test]
fn a_folder_of_transformers_clip_model_is_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    clip_model(folder.path());
    let (ours, weights) = read_folder(&path("tiny")).unwrap();
    let (v, t) = (&ours.model_cfg.vision_cfg, &ours.model_cfg.text_cfg);
    let mut json = serde_json::json!({
        "model_type": "clip",
        "projection_dim": ours.model_cfg.embed_dim,
        "text_config": {
            "hidden_size": t.width, "intermediate_size": t.hidden(), "vocab_size": t.vocab_size,
            "num_attention_heads": t.heads, "num_hidden_layers": t.layers,
            "max_position_embeddings": t.context_length, "hidden_act": "gelu",
        },
        "vision_config": {
            "hidden_size": v.width, "intermediate_size": v.hidden(), "image_size": v.image_size,
            "num_attention_heads": v.heads(), "num_hidden_layers": v.layers,
            "patch_size": v.patch_size, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        },
    });
    let write = |json: &serde_json::Value| {
        std::fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
    };
    write(&json);
    let preprocessor = r#"{"resample": 3, "size": {"shortest_edge": 32}, "crop_size": 32}"#;
    std::fs::write(folder.path().join("preprocessor_config.json"), preprocessor).unwrap();
    let (config, found) = read_folder(folder.path()).unwrap();
    assert_eq!(found.arrays(), weights.arrays());
    assert_eq!(config.model_cfg, ours.model_cfg);
    assert_eq!(config.preprocess_cfg.size, Some(32));
    in_two_files(folder.path());
    assert_eq!(read_folder(folder.path()).unwrap().1, found);
    for (pointer, value, why) in [
        ("/vision_config/hidden_act", "quick_gelu".into(), "activations differ"),
        ("/vision_config/layer_norm_eps", 1e-6.into(), "layer_norm_eps"),
        ("/model_type", "siglip".into(), "must be clip"),
        ("/text_config/num_hidden_layers", 9.into(), "is missing"),
    ] {
        let was = json.pointer(pointer).cloned().unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        write(&json);
        let error = read_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        *json.pointer_mut(pointer).unwrap() = was;
    }
}

#[test]
fn a_cache_of_the_hub_is_read_through_its_reference() {
    let cache = tempfile::tempdir().unwrap();
    let root = cache.path().join("models--org--net");
    let (config, weights) = read_folder(&path("tiny")).unwrap();
    let write = |commit: &str| {
        let folder = root.join("snapshots").join(commit);
        curate_dfn::network::write_folder(&folder, &config, &weights).unwrap();
    };
    write("aaa");
    assert_eq!(read_folder(&root).unwrap().1, weights, "the only snapshot");
    write("bbb");
    let error = read_folder(&root).unwrap_err().to_string();
    assert!(error.contains("several snapshots"), "{error}");
    std::fs::create_dir(root.join("refs")).unwrap();
    std::fs::write(root.join("refs/main"), "bbb").unwrap();
    assert_eq!(read_folder(&root).unwrap().1, weights);
    std::fs::write(root.join("refs/main"), "ccc\n").unwrap();
    let error = read_folder(&root).unwrap_err().to_string();
    assert!(error.contains("names snapshot ccc, which is not there"), "{error}");
}

#[test]
fn half_precision_is_stored_without_loss_of_what_was_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = read_folder(&path("tiny")).unwrap();
    let rounded = weights.rounded_to_half();
    assert_ne!(rounded, weights);
    curate_dfn::network::write_folder_half(folder.path(), &config, &rounded).unwrap();
    assert_eq!(read_folder(folder.path()).unwrap().1, rounded);
    let size = |file: &std::path::Path| std::fs::metadata(file).unwrap().len();
    let half = size(&folder.path().join("open_clip_model.safetensors"));
    assert!(half < size(&path("tiny/open_clip_model.safetensors")) * 6 / 10);
    assert_eq!(curate_dfn::network::openai_templates().len(), 80);
    assert!(curate_dfn::network::openai_templates().iter().all(|t| t.matches("{}").count() == 1));
}
