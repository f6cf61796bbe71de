//! Compares a fastText model's answers with recorded ones.
//!
//! `cargo run --release --example lid_probe -- lid.176.ftz fixtures/datacomp_mini/expected/lid_probe.json`
//!
//! The list holds objects with `text`, `label` and `prob`. Fails if any label differs or any
//! probability by more than 0.000001.
#![allow(clippy::print_stdout, reason = "an example is a program")]

use curate_text::fasttext::Model;
use serde_json::Value;
use std::error::Error;

const TOLERANCE: f64 = 1e-6;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(model), Some(list)) = (arguments.next(), arguments.next()) else {
        return Err("usage: lid_probe MODEL PROBE.json".into());
    };
    let model = Model::read(model)?;
    let probes: Vec<Value> = serde_json::from_slice(&std::fs::read(list)?)?;
    let (mut equal, mut worst) = (0, 0.0_f64);
    for probe in &probes {
        let text = probe["text"].as_str().ok_or("a probe has no text")?;
        let label = probe["label"].as_str().ok_or("a probe has no label")?;
        let probability = probe["prob"].as_f64().ok_or("a probe has no prob")?;
        let found = model.predict(&text.replace('\n', " "), 1, 0.0);
        match found.first() {
            Some(first) if first.label == label => {
                equal += 1;
                worst = worst.max((f64::from(first.probability) - probability).abs());
            }
            other => println!("{text:?}: expected {label} {probability}, found {other:?}"),
        }
    }
    println!("labels equal: {equal} of {}", probes.len());
    println!("largest difference of probabilities: {worst:e}");
    if equal == probes.len() && worst <= TOLERANCE {
        return Ok(());
    }
    Err("the answers differ".into())
}
