//! Prints the most probable label of every line of a file, and how long that took.
//!
//! `cargo run --release --example predict -- MODEL LINES.txt > labels.txt`
#![allow(clippy::print_stderr, reason = "an example is a program")]

use curate_text::fasttext::Model;
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(model), Some(lines)) = (arguments.next(), arguments.next()) else {
        return Err("usage: predict MODEL LINES.txt".into());
    };
    let start = Instant::now();
    let model = Model::read(model)?;
    let loading = start.elapsed();
    let text = std::fs::read_to_string(lines)?;
    let lines: Vec<&str> = text.split('\n').collect();
    let start = Instant::now();
    let found: Vec<_> = lines.iter().map(|line| model.predict(line, 1, 0.0)).collect();
    let elapsed = start.elapsed();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for predictions in found {
        match predictions.first() {
            Some(first) => writeln!(out, "{} {}", first.label, first.probability)?,
            None => writeln!(out)?,
        }
    }
    let rate = lines.len() as f64 / elapsed.as_secs_f64();
    eprintln!("read in {loading:?}; {} lines in {elapsed:?}: {rate:.0} a second", lines.len());
    Ok(())
}
