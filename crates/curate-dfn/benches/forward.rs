//! Times the image tower: `cargo run --release -p curate-dfn --example forward -- FOLDER REPEATS
//! [f32|bf16|int8]`.
//!
//! The folder holds `open_clip_config.json`, `open_clip_model.safetensors` and `pixels.f32`, raw
//! values of a batch. Writes `features.f32` and prints the seconds of every repeat as JSON.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, fs, path::Path, time::Instant};

use curate_dfn::Network;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let (folder, repeats, precision) = match &args[..] {
        [_, folder, repeats] => (folder, repeats, "f32"),
        [_, folder, repeats, precision] => (folder, repeats, &**precision),
        _ => return Err("give the folder and the repeats".into()),
    };
    let folder = Path::new(folder);
    let network = Network::open(folder)?.with_arithmetic(precision.parse()?)?;
    let bytes = fs::read(folder.join("pixels.f32"))?;
    let pixels: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    let mut seconds = Vec::new();
    let mut features = Vec::new();
    for _ in 0..repeats.parse::<usize>()? {
        let start = Instant::now();
        features = network.image_features(&pixels)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let bytes: Vec<u8> = features.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(folder.join("features.f32"), bytes)?;
    println!("{}", serde_json::to_string(&seconds)?);
    Ok(())
}
