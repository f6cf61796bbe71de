//! Times steps of training: `cargo run --release -p curate-dfn --example train_step -- FOLDER STEPS`.
//!
//! The folder holds `open_clip_config.json`, `open_clip_model.safetensors`, and one batch as raw
//! values: `pixels.f32` and `tokens.u32`. Prints the seconds and the loss of every step as JSON.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, fs, path::Path, time::Instant};

use curate_core::SampleId;
use curate_device::DeviceName;
use curate_dfn::{
    network::read_folder,
    train::{Batch, TrainParams, Trainer},
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, steps] = &args[..] else {
        return Err("give the folder and the number of steps".into());
    };
    let folder = Path::new(folder);
    let (config, weights) = read_folder(folder)?;
    let config = config.model_cfg;
    let words = |name: &str| fs::read(folder.join(name)).map(|b| b.as_chunks::<4>().0.to_vec());
    let pixels = words("pixels.f32")?.into_iter().map(f32::from_le_bytes).collect();
    let tokens: Vec<u32> = words("tokens.u32")?.into_iter().map(u32::from_le_bytes).collect();
    let n = tokens.len() / config.text_cfg.context_length;
    let ids = (0..n as u128).map(SampleId::from).collect();
    let batch = Batch { ids, pixels, tokens, bad: 0 };
    let params = TrainParams {
        steps: 10_000,
        batch: n,
        micro_batch: n,
        warmup: 0,
        augment: None,
        ..TrainParams::default()
    };
    let device = DeviceName::Cpu.open()?;
    let mut trainer = Trainer::new(&config, &weights, params, device)?;
    let mut seconds = Vec::new();
    for _ in 0..steps.parse::<usize>()? {
        let start = Instant::now();
        trainer.step(&batch)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let losses: Vec<f64> = trainer.history().iter().map(|report| report.loss).collect();
    println!("{}", serde_json::json!({ "seconds": seconds, "losses": losses }));
    Ok(())
}
