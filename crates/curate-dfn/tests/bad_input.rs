//! Every public function of the crate that takes data: bad input is an error that names it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::path;
use curate_dfn::{
    Network, NetworkError, OpenClipConfig, Tokenizer, Transform, Weights,
    network::{read_folder, write_folder},
    tokenizer::SpecialText,
};

fn tiny() -> (OpenClipConfig, Weights) {
    read_folder(&path("tiny")).unwrap()
}

#[test]
fn weights_that_are_not_finite_are_refused_at_loading_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = tiny();
    write_folder(folder.path(), &config, &weights).unwrap();
    let file = folder.path().join("open_clip_model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    // The last number of the file is one of the last array.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let error = Network::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("` holds NaN at element ") && error.contains("`visual."), "{error}");
    let blended = weights.blend(&weights, f32::NAN).unwrap_err();
    assert!(blended.to_string().starts_with("`share` is NaN"), "{blended}");
}

#[test]
fn a_network_takes_its_own_weights_and_inputs_only() {
    let (config, weights) = tiny();
    let mut other = config.clone();
    other.model_cfg.text_cfg.layers += 1;
    let error = Network::new(other.clone(), &weights).err().unwrap();
    assert!(matches!(&error, NetworkError::Weights(p) if p.contains("is missing")), "{error}");
    let more = Weights::random(&other.model_cfg, 1);
    let error = Network::new(config.clone(), &more).err().unwrap().to_string();
    assert!(error.contains("belongs to no such network"), "{error}");
    assert!(weights.blend(&more, 0.5).unwrap_err().to_string().contains("differ"));
    other.model_cfg.vision_cfg.patch_size = 0;
    let error = Network::new(other, &weights).err().unwrap();
    assert!(matches!(error, NetworkError::Config(_)), "{error}");
    assert!(weights.data("no such parameter").is_none());

    let network = Network::new(config.clone(), &weights).unwrap();
    let error = network.image_features(&[0.5; 7]).unwrap_err().to_string();
    assert!(error.starts_with("images: 7 numbers"), "{error}");
    let error = network.embed_images(&[0.5; 7]).unwrap_err().to_string();
    assert!(error.starts_with("images: 7 numbers"), "{error}");
    let error = network.text_features(&[1; 25]).unwrap_err().to_string();
    assert!(error.starts_with("tokens: 25 numbers"), "{error}");
    let context = config.model_cfg.text_cfg.context_length;
    let error = network.text_features(&vec![49_408; context]).unwrap_err().to_string();
    assert!(error.starts_with("tokens: 49408 is not in"), "{error}");
    assert!(network.image_features(&[]).unwrap().is_empty());
    assert!(network.text_features(&[]).unwrap().is_empty());
    let small = Transform::new(&config.preprocess_cfg, 16);
    let error = network.with_transform(small).err().unwrap();
    assert_eq!(error, NetworkError::ImageSize { found: 16, expected: 32 });
}

#[test]
fn what_decides_the_outputs_decides_the_fingerprint_and_nothing_else_does() {
    let (config, weights) = tiny();
    let network = || Network::new(config.clone(), &weights).unwrap();
    let print = network().fingerprint();
    assert_eq!(network().fingerprint(), print);
    let half = weights.rounded_to_half();
    assert_ne!(Network::new(config.clone(), &half).unwrap().fingerprint(), print);
    let plain = network().with_tokenizer(Tokenizer::new(SpecialText::Plain));
    assert_ne!(plain.fingerprint(), print);
    let same = network().with_tokenizer(Tokenizer::default());
    assert_eq!(same.fingerprint(), print);
    let few = curate_dfn::image::Limits { pixels: 9 };
    let transform = network().transform().clone().with_limits(few);
    assert_ne!(network().with_transform(transform).unwrap().fingerprint(), print);
    let mut colder = config.clone();
    colder.preprocess_cfg.mean = [0.0; 3];
    assert_ne!(Network::new(colder, &weights).unwrap().fingerprint(), print);
}
