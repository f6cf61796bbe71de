//! Prints the most probable languages of each line of a file, with a fastText model such as
//! lid.176.
//!
//! `cargo run --release -p curate-text --example language -- lid.176.ftz CAPTIONS.txt`
#![allow(clippy::print_stdout, reason = "an example is a program")]

use curate_text::fasttext::Model;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(model), Some(captions)) = (arguments.next(), arguments.next()) else {
        return Err("usage: language MODEL CAPTIONS.txt".into());
    };
    let model = Model::read(model)?;
    for caption in std::fs::read_to_string(captions)?.lines() {
        println!("{}\t{caption}", languages(&model, caption));
    }
    Ok(())
}

/// The three most probable languages with their probabilities: `en 0.98, nl 0.01, de 0.01`.
fn languages(model: &Model, caption: &str) -> String {
    let found = model.predict(caption, 3, 0.0);
    let name = |label: &str| label.strip_prefix("__label__").unwrap_or(label).to_owned();
    let found = found.iter().map(|one| format!("{} {:.2}", name(one.label), one.probability));
    found.collect::<Vec<_>>().join(", ")
}

#[test]
fn it_runs() {
    let model = Model::read("tests/data/fasttext/softmax.ftz").unwrap();
    let found = languages(&model, "the house and the dog");
    assert!(found.starts_with("en "), "{found}");
    assert_eq!(found.split(", ").count(), 3);
}
