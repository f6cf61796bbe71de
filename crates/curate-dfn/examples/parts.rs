//! Seconds of the parts of scoring, for comparison with other programs: the image tower of
//! ViT-B-32 at batch 32, the tokenizer, decoding and resizing.
//!
//! `cargo run --release -p curate-dfn --example parts -- [IMAGE-FILE]`

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::time::Instant;

use curate_dfn::{
    Network, OpenClipConfig, Tokenizer, Transform, Weights,
    image::{Limits, decode},
};

fn main() -> std::io::Result<()> {
    let config = OpenClipConfig::named("ViT-B-32").expect("a name of open_clip's");
    let transform = Transform::new(&config.preprocess_cfg, 224);
    let weights = Weights::random(&config.model_cfg, 0);
    let network = Network::new(config, &weights);
    let images: Vec<f32> =
        (0..32 * 3 * 224 * 224).map(|i| (i % 255) as f32 / 128.0 - 1.0).collect();
    report("image tower, 32 images", 5, || drop(network.image_features(&images)));
    let captions: Vec<String> =
        (0..64).map(|i| format!("a photo of {i} dogs that play in the snow")).collect();
    report("text tower, 64 captions", 5, || drop(network.embed_texts(&captions)));
    let tokenizer = Tokenizer::default();
    let lines: Vec<String> =
        (0..20_000).map(|i| format!("Picture no. {i} of a dog's café &amp; bar")).collect();
    let plain: Vec<String> =
        (0..20_000).map(|i| format!("Picture no. {i} of a dog and its owner, smiling")).collect();
    report("tokenizer, 20,000 plain lines, 1 thread", 5, || {
        plain.iter().for_each(|line| drop(tokenizer.tokens(line, 77)));
    });
    report("tokenizer, 20,000 lines to repair, 1 thread", 2, || {
        lines.iter().for_each(|line| drop(tokenizer.tokens(line, 77)));
    });
    let Some(path) = std::env::args().nth(1) else { return Ok(()) };
    let file = std::fs::read(path)?;
    report("decode, 20 times", 5, || {
        (0..20).for_each(|_| drop(decode(&file, Limits::default())));
    });
    report("decode and transform, 20 times", 5, || {
        (0..20).for_each(|_| drop(transform.apply(&file)));
    });
    Ok(())
}

fn report(what: &str, times: usize, mut work: impl FnMut()) {
    work();
    let best = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    println!("{what}: {:.1} ms (best of {times})", best * 1e3);
}
