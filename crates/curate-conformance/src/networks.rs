//! Features, losses and gradients against open_clip's.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use curate_core::SampleId;
use curate_device::DeviceName;
use curate_dfn::{
    Network, OpenClipConfig, Weights,
    network::read_folder,
    train::{Batch, DeviceNetwork, Loss, TrainParams, Trainer},
};

use crate::{Check, golden::Golden};

const FEATURES: f64 = 1e-5;
const LOSS: f64 = 1e-5;
const GRADIENTS: f64 = 1e-4;

type Each<'a> = &'a mut dyn FnMut(Check);

fn table(data: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(data.to_vec(), [data.len() / columns, columns]), device)
}

fn numbers(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = tensor.without_autodiff().try_into_data_as::<f32>();
    let data = data.map_err(|e| anyhow::anyhow!("{e}"))?;
    data.try_to_vec().map_err(|e| anyhow::anyhow!("{e}"))
}

/// Losses of given features, with their gradients.
pub(crate) fn losses(device: DeviceName, fixtures: &Path, each: Each<'_>) -> Result<()> {
    let golden = Golden::safetensors(&fixtures.join("full/reference.safetensors"))?;
    let (images, texts) = (golden.get("image_features")?, golden.get("text_features")?);
    let texts = &texts[..images.len()];
    let log_scale = golden.get("logit_scale_exp")?[0].ln();
    let device = device.open()?.autodiff();
    let leaf = |data: &[f32], columns| table(data, columns, &device).require_grad();
    let losses = [
        (Loss::Clip, "loss_clip", "loss_clip", 0.0, "CLIP loss"),
        (Loss::SigLip, "loss_siglip", "loss_siglip_bias_-2.5", -2.5, "SigLIP loss"),
    ];
    for (loss, short, long, bias, name) in losses {
        let (i, t) = (leaf(images, 64), leaf(texts, 64));
        let (scale, bias) = (leaf(&[log_scale], 1), leaf(&[bias], 1));
        let value = loss.apply(i.clone(), t.clone(), scale.clone().exp(), bias.clone())?;
        let found = value.clone().without_autodiff().into_scalar::<f32>();
        each(Check::relative(name, &[found], golden.get(long)?, LOSS));
        let gradients = value.backward();
        let mut leaves = vec![(&i, "image"), (&t, "text"), (&scale, "logit_scale")];
        if loss == Loss::SigLip {
            leaves.push((&bias, "bias"));
        }
        for (leaf, part) in leaves {
            let found = numbers(leaf.grad(&gradients).context("no gradient")?)?;
            let expected = golden.get(&format!("{short}_grad_{part}"))?;
            let name = format!("{name}: gradient by {part}");
            each(Check::relative(name, &found, expected, GRADIENTS));
        }
    }
    Ok(())
}

/// Towers of one block: features against this project's CPU path, which does not use burn; loss and
/// gradients against burn's CPU backend.
pub(crate) fn one_block(device: DeviceName, fixtures: &Path, each: Each<'_>) -> Result<()> {
    let (mut config, _) = read_folder(&fixtures.join("tiny"))?;
    let golden = Golden::npz(&fixtures.join("tiny/reference.npz"))?;
    config.model_cfg.vision_cfg.layers = 1;
    config.model_cfg.text_cfg.layers = 1;
    let weights = Weights::random(&config.model_cfg, 3);
    let batch = tiny_batch(&golden)?;
    features(device, "one block", &config, &weights, &batch, each)?;
    if device == DeviceName::Cpu {
        // The others are compared with this one; the golden networks judge it.
        return Ok(());
    }
    let (loss, expected) = loss_and_gradients(DeviceName::Cpu, &config, &weights, &batch)?;
    let expected = expected.iter().map(|(name, array)| (name.as_str(), array.as_slice()));
    judge(device, "one block", (&config, &weights), &batch, (loss, expected), each)
}

fn features(
    device: DeviceName,
    name: &str,
    config: &OpenClipConfig,
    weights: &Weights,
    batch: &Batch,
    each: Each<'_>,
) -> Result<()> {
    let native = Network::new(config.clone(), weights)?;
    let network = DeviceNetwork::new(&config.model_cfg, weights, &device.open()?)?;
    let found = numbers(network.image_features(&batch.pixels)?)?;
    let expected = native.image_features(&batch.pixels)?;
    each(Check::relative(format!("{name}: image features"), &found, &expected, FEATURES));
    let found = numbers(network.text_features(&batch.tokens)?)?;
    let expected = native.text_features(&batch.tokens)?;
    each(Check::relative(format!("{name}: text features"), &found, &expected, FEATURES));
    Ok(())
}

fn tiny_batch(golden: &Golden) -> Result<Batch> {
    Ok(Batch {
        ids: (0..6).map(SampleId).collect(),
        pixels: golden.get("pixels")?.to_vec(),
        tokens: golden.tokens[..6 * 24].to_vec(),
        bad: 0,
    })
}

/// The tiny network: features, loss and gradients.
pub(crate) fn tiny(device: DeviceName, fixtures: &Path, each: Each<'_>) -> Result<()> {
    let (config, weights) = read_folder(&fixtures.join("tiny"))?;
    let golden = Golden::npz(&fixtures.join("tiny/reference.npz"))?;
    let batch = tiny_batch(&golden)?;
    let network = DeviceNetwork::new(&config.model_cfg, &weights, &device.open()?)?;
    let images = numbers(network.image_features(&batch.pixels)?)?;
    let expected = golden.get("image_features")?;
    each(Check::relative("tiny network: image features", &images, expected, FEATURES));
    let texts = numbers(network.text_features(&golden.tokens)?)?;
    let expected = golden.get("text_features")?;
    each(Check::relative("tiny network: text features", &texts, expected, FEATURES));
    let loss = f64::from(golden.get("clip_loss")?[0]);
    let expected = (loss, golden.gradients());
    judge(device, "tiny network", (&config, &weights), &batch, expected, each)
}

/// The second network, which starts from image files: features, loss and gradients.
pub(crate) fn full(device: DeviceName, fixtures: &Path, each: Each<'_>) -> Result<()> {
    let folder = fixtures.join("full");
    let (config, weights) = read_folder(&folder)?;
    let golden = Golden::safetensors(&folder.join("reference.safetensors"))?;
    let json = |name: &str| -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?)
    };
    let native = Network::new(config.clone(), &weights)?;
    let mut batch = Batch { tokens: golden.tokens[..13 * 16].to_vec(), ..Batch::default() };
    for file in json("manifest.json")?["images"].as_array().context("no images")? {
        let name = file["file"].as_str().context("no file")?.replace("images/", "");
        batch.pixels.extend(native.transform().apply(&fs::read(folder.join(name))?)?);
        batch.ids.push(SampleId(batch.ids.len() as u128));
    }
    let network = DeviceNetwork::new(&config.model_cfg, &weights, &device.open()?)?;
    let images = numbers(network.image_features(&batch.pixels)?)?;
    let expected = golden.get("image_features_raw")?;
    each(Check::relative("second network: image features", &images, expected, FEATURES));
    let texts = numbers(network.text_features(&golden.tokens)?)?;
    let expected = golden.get("text_features_raw")?;
    each(Check::relative("second network: text features", &texts, expected, FEATURES));
    let loss = json("grad_norms.json")?["loss"].as_f64().context("no loss")?;
    let expected = (loss, golden.gradients());
    judge(device, "second network", (&config, &weights), &batch, expected, each)
}

/// The loss of a batch and the gradient of every parameter.
fn loss_and_gradients(
    device: DeviceName,
    config: &OpenClipConfig,
    weights: &Weights,
    batch: &Batch,
) -> Result<(f64, BTreeMap<String, Vec<f32>>)> {
    let size = batch.ids.len();
    let params = TrainParams { batch: size, micro_batch: size, ..TrainParams::default() };
    let trainer = Trainer::new(&config.model_cfg, weights, params, device.open()?)?;
    let (loss, gradients) = trainer.gradients(batch)?;
    let gradients = gradients.into_iter().map(|(name, g)| Ok((name, numbers(g)?)));
    Ok((loss, gradients.collect::<Result<_>>()?))
}

/// Judges the loss, and the gradient that is farthest off.
fn judge<'a>(
    device: DeviceName,
    name: &str,
    (config, weights): (&OpenClipConfig, &Weights),
    batch: &Batch,
    (loss, expected): (f64, impl Iterator<Item = (&'a str, &'a [f32])>),
    each: Each<'_>,
) -> Result<()> {
    let (found, gradients) = loss_and_gradients(device, config, weights, batch)?;
    each(Check::new(format!("{name}: loss"), (found - loss).abs() / loss, LOSS));
    let check = |(parameter, expected): (&str, &[f32])| {
        let found = gradients.get(parameter).map_or(&[][..], Vec::as_slice);
        let title = format!("{name}: gradients, worst {parameter}");
        Check::relative(title, found, expected, GRADIENTS)
    };
    // A NaN counts as the largest.
    let worst = expected.map(check).max_by(|a, b| a.difference.total_cmp(&b.difference));
    each(worst.context("no gradients to compare with")?);
    Ok(())
}
