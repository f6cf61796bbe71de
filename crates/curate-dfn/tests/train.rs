//! Losses, gradients and optimizer steps against open_clip 3.3.0's, on every device compiled in.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::{Device, Tensor, TensorData};
use common::{Arrays, bytes, distance, largest, path, tiny, tiny_tokens};
use curate_core::{NoProgress, Progress, SampleId};
use curate_device::DeviceName;
use curate_dfn::{
    Network, OpenClipConfig, Weights,
    network::read_folder,
    train::{Batch, DeviceNetwork, Loss, Pairs, TrainError, TrainParams, Trainer},
};

fn devices() -> Vec<Device> {
    DeviceName::found().into_iter().map(|name| name.open().unwrap()).collect()
}

fn table(data: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(data.to_vec(), [data.len() / columns, columns]), device)
}

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().unwrap()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let off = distance(found, expected);
    assert!(off <= tolerance * largest(expected).max(1e-6), "{what}: off by {off}");
}

fn full() -> (OpenClipConfig, Weights, Arrays) {
    let (config, weights) = read_folder(&path("full")).unwrap();
    (config, weights, Arrays::read("full/reference.safetensors"))
}

/// The 13 pairs of the second network.
fn full_batch() -> Batch {
    let network = Network::open(&path("full")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&bytes("full/manifest.json")).unwrap();
    let files = manifest["images"].as_array().unwrap().iter();
    let file = |f: &serde_json::Value| f["file"].as_str().unwrap().replace("images", "full");
    let tokens = Arrays::read("full/reference.safetensors").i64("text_ids");
    Batch {
        ids: (0..13).map(SampleId).collect(),
        pixels: files.flat_map(|f| network.transform().apply(&bytes(&file(f))).unwrap()).collect(),
        tokens: tokens[..13 * 16].iter().map(|&t| u32::try_from(t).unwrap()).collect(),
        bad: 0,
    }
}

#[test]
fn losses_and_their_gradients_are_open_clips() {
    let (_, _, reference) = full();
    let (images, texts) = (reference.f32("image_features"), reference.f32("text_features"));
    let texts = &texts[..13 * 64];
    let scale = reference.f32("logit_scale_exp");
    for device in devices() {
        let device = device.autodiff();
        let leaf = |data: &[f32], columns| table(data, columns, &device).require_grad();
        for (loss, name, bias) in [
            (Loss::Clip, "loss_clip", 0.0),
            (Loss::Clip, "loss_clip_logit_bias_-2.5", -2.5),
            (Loss::SigLip, "loss_siglip_bias_-2.5", -2.5),
        ] {
            let (i, t) = (leaf(&images, 64), leaf(texts, 64));
            let log_scale = leaf(&[scale[0].ln()], 1);
            let bias = leaf(&[bias], 1);
            let value =
                loss.apply(i.clone(), t.clone(), log_scale.clone().exp(), bias.clone()).unwrap();
            let found = value.clone().without_autodiff().into_scalar::<f32>();
            close(&[found], &reference.f32(name), 1e-5, name);
            let gradients = value.backward();
            let short = if loss == Loss::Clip { "loss_clip" } else { "loss_siglip" };
            for (leaf, part) in [(&i, "image"), (&t, "text"), (&log_scale, "logit_scale")] {
                let expected = reference.f32(&format!("{short}_grad_{part}"));
                close(&numbers(leaf.grad(&gradients).unwrap()), &expected, 1e-4, part);
            }
            if loss == Loss::SigLip {
                let expected = reference.f32("loss_siglip_grad_bias");
                close(&numbers(bias.grad(&gradients).unwrap()), &expected, 1e-4, "bias");
            }
        }
    }
}

#[test]
fn features_on_a_device_agree_with_the_cpu_path() {
    for quick_gelu in [false, true] {
        let (mut config, weights) = read_folder(&path("tiny")).unwrap();
        config.model_cfg.quick_gelu = quick_gelu;
        let cpu = Network::new(config.clone(), &weights).unwrap();
        for device in devices() {
            let network = DeviceNetwork::new(&config.model_cfg, &weights, &device).unwrap();
            let images = numbers(network.image_features(&tiny("pixels")).unwrap());
            close(&images, &cpu.image_features(&tiny("pixels")).unwrap(), 1e-5, "images");
            let texts = numbers(network.text_features(&tiny_tokens()).unwrap());
            close(&texts, &cpu.text_features(&tiny_tokens()).unwrap(), 1e-5, "texts");
        }
    }
}

fn params(batch: usize, micro_batch: usize) -> TrainParams {
    TrainParams { batch, micro_batch, lr: 1e-3, warmup: 0, augment: None, ..TrainParams::default() }
}

#[test]
fn gradients_of_every_parameter_are_open_clips() {
    let (config, weights, reference) = full();
    let norms: serde_json::Value = serde_json::from_slice(&bytes("full/grad_norms.json")).unwrap();
    let batch = full_batch();
    for device in devices() {
        for micro_batch in [13, 5, 1] {
            let params = params(13, micro_batch);
            let trainer =
                Trainer::new(&config.model_cfg, &weights, params, device.clone()).unwrap();
            let (loss, gradients) = trainer.gradients(&batch).unwrap();
            close(&[loss as f32], &[norms["loss"].as_f64().unwrap() as f32], 1e-5, "loss");
            let gradients: BTreeMap<_, _> =
                gradients.into_iter().map(|(name, g)| (name, numbers(g))).collect();
            let mut checked = 0;
            for (name, norm) in norms["grad_norms"].as_object().unwrap() {
                let found = gradients[name].iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
                let norm = norm.as_f64().unwrap();
                assert!((found - norm).abs() <= 1e-4 * norm, "{name}: {found} for {norm}");
                let whole = format!("grad.{name}");
                if reference.names().any(|n| n == whole) {
                    close(&gradients[name], &reference.f32(&whole), 1e-4, name);
                    checked += 1;
                }
            }
            assert!(checked >= 8 && gradients.len() >= 50, "{checked} of {}", gradients.len());
        }
    }
}

#[test]
fn gradients_of_the_tiny_network_are_open_clips() {
    let (config, weights) = read_folder(&path("tiny")).unwrap();
    let batch = Batch {
        ids: (0..6).map(SampleId).collect(),
        pixels: tiny("pixels"),
        tokens: tiny_tokens()[..6 * 24].to_vec(),
        bad: 0,
    };
    let file = std::fs::File::open(path("tiny/reference.npz")).unwrap();
    let names = ndarray_npy::NpzReader::new(file).unwrap().names().unwrap();
    for device in devices() {
        let trainer = Trainer::new(&config.model_cfg, &weights, params(6, 6), device).unwrap();
        let (loss, gradients) = trainer.gradients(&batch).unwrap();
        close(&[loss as f32], &tiny("clip_loss"), 1e-5, "loss");
        let of_reference = names.iter().filter_map(|name| name.strip_prefix("grad."));
        for name in of_reference {
            let name = name.trim_end_matches(".npy");
            let expected = tiny(&format!("grad.{name}"));
            close(&numbers(gradients[name].clone()), &expected, 1e-4, name);
        }
    }
}

#[test]
fn five_steps_of_adamw_have_open_clips_losses() {
    let (config, weights, _) = full();
    let expected: serde_json::Value =
        serde_json::from_slice(&bytes("full/adamw_losses.json")).unwrap();
    let batch = full_batch();
    for device in devices() {
        // A schedule so long that the rate is constant.
        let params = TrainParams { steps: 10_000_000, ..params(13, 13) };
        let mut trainer = Trainer::new(&config.model_cfg, &weights, params, device).unwrap();
        for expected in expected["losses"].as_array().unwrap() {
            let report = trainer.step(&batch).unwrap();
            let expected = expected.as_f64().unwrap();
            assert!((report.loss - expected).abs() < 2e-4, "{report:?} for {expected}");
        }
    }
}

/// Pairs made of the golden ones.
struct Golden(Batch);

impl Pairs for Golden {
    fn len(&self) -> usize {
        self.0.ids.len()
    }

    fn batch(&self, rows: &[usize], seed: u64) -> Result<Batch, curate_io::IoError> {
        let mut batch = Batch::default();
        for &row in rows {
            batch.ids.push(self.0.ids[row]);
            let pixels = &self.0.pixels[row * 3072..(row + 1) * 3072];
            let shift = (seed % 7) as f32 * 0.01;
            batch.pixels.extend(pixels.iter().map(|x| x + shift));
            batch.tokens.extend(&self.0.tokens[row * 16..(row + 1) * 16]);
        }
        Ok(batch)
    }
}

/// Pairs that say they are others.
struct Others(Batch);

impl Pairs for Others {
    fn len(&self) -> usize {
        self.0.ids.len()
    }

    fn fingerprint(&self) -> String {
        "others".to_owned()
    }

    fn batch(&self, rows: &[usize], seed: u64) -> Result<Batch, curate_io::IoError> {
        Golden(self.0.clone()).batch(rows, seed)
    }
}

/// Cancels after so many pairs.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn start(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, by: u64) {
        self.0.fetch_sub(by.min(self.0.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_losses_and_weights() {
    let (config, weights, _) = full();
    let params = TrainParams {
        steps: 9,
        checkpoint_every: 4,
        clip_norm: Some(1.0),
        warmup: 2,
        ..params(4, 3)
    };
    let pairs = Golden(full_batch());
    let trainer = || {
        let device = DeviceName::Cpu.open().unwrap();
        Trainer::new(&config.model_cfg, &weights, params.clone(), device).unwrap()
    };
    let mut whole = trainer();
    whole.run(&pairs, None, &NoProgress).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let stopped = trainer().run(&pairs, Some(&file), &StopAfter(AtomicU64::new(5 * 4)));
    assert!(matches!(stopped, Err(TrainError::Cancelled(_))));
    let mut resumed = trainer();
    resumed.run(&pairs, Some(&file), &NoProgress).unwrap();
    assert_eq!(resumed.history(), whole.history());
    assert_eq!(resumed.weights().unwrap(), whole.weights().unwrap());
    assert!(whole.history()[8].loss < whole.history()[0].loss, "it learns");
    let error = trainer().run(&Others(pairs.0.clone()), Some(&file), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("weights or pairs"), "{error}");
    let other = TrainParams { lr: 2e-3, ..params.clone() };
    let device = DeviceName::Cpu.open().unwrap();
    let mut other = Trainer::new(&config.model_cfg, &weights, other, device).unwrap();
    let error = other.run(&pairs, Some(&file), &NoProgress).unwrap_err().to_string();
    assert!(error.contains("other settings"), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_its_samples() {
    let (config, weights, _) = full();
    let device = DeviceName::Cpu.open().unwrap();
    let mut trainer = Trainer::new(&config.model_cfg, &weights, params(13, 13), device).unwrap();
    let mut batch = full_batch();
    batch.pixels[5000] = f32::NAN;
    let before = trainer.weights().unwrap();
    let error = trainer.step(&batch).unwrap_err();
    assert!(matches!(&error, TrainError::NotFinite { step: 0, what: "loss", .. }));
    let text = error.to_string();
    assert!(text.contains(&SampleId(7).to_string()) && text.contains("and 5 more"), "{text}");
    assert_eq!(trainer.weights().unwrap(), before);
    assert!(trainer.step(&full_batch()).is_ok());
    let pairs = Golden(full_batch());
    let device = DeviceName::Cpu.open().unwrap();
    let mut trainer = Trainer::new(&config.model_cfg, &weights, params(14, 14), device).unwrap();
    let error = trainer.run(&pairs, None, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("13 pairs make no batch of 14"), "{error}");
}

#[test]
fn the_logit_scale_stays_within_1_and_100() {
    let (config, weights, _) = full();
    for lr in [50.0, 1.0] {
        let params = TrainParams { lr, clip_norm: None, ..params(13, 13) };
        let device = DeviceName::Cpu.open().unwrap();
        let mut trainer = Trainer::new(&config.model_cfg, &weights, params, device).unwrap();
        let report = trainer.step(&full_batch()).unwrap();
        assert!((1.0..=100.001).contains(&report.logit_scale), "{report:?}");
    }
}
