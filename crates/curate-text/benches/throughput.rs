//! Lines and words per second of one thread, reading the files not included.
//!
//! ```sh
//! cargo bench -p curate-text                                      # on the test data
//! cargo bench -p curate-text -- lid.176.ftz LINES.txt /usr/share/wordnet WORDS.txt
//! ```
//!
//! The peers' side of the table on the crate's page is the Python package `fasttext-wheel` on the
//! same lines (`model.predict(lines)` and single calls), timed by CPU time.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark is a program")]

use curate_text::{fasttext::Model, wordnet::WordNet};
use std::{hint::black_box, path::PathBuf, time::Instant};

fn main() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    // Cargo adds `--bench`.
    let mut given = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    let mut path = |otherwise: &str| given.next().map_or(data.join(otherwise), PathBuf::from);
    let model = Model::read(path("fasttext/softmax.ftz")).unwrap();
    let lines = std::fs::read_to_string(path("wordnet_golden.tsv")).unwrap();
    let wordnet = WordNet::read(path("wordnet")).unwrap();
    let words = std::fs::read_to_string(path("wordnet_golden.tsv")).unwrap();
    measure("lines per second: language", &lines, |line| {
        black_box(model.predict(line, 1, 0.0));
    });
    measure("words per second: first synset", &words, |line| {
        black_box(wordnet.first_synset(line.split('\t').next().unwrap_or_default()));
    });
}

/// The best of five passes, so that other work on the machine counts least.
fn measure(what: &str, text: &str, ask: impl Fn(&str)) {
    let lines: Vec<&str> = text.lines().collect();
    let pass = |_| {
        let start = Instant::now();
        lines.iter().for_each(|line| ask(line));
        start.elapsed().as_secs_f64()
    };
    let best = (0..5).map(pass).fold(f64::INFINITY, f64::min);
    println!("{what}: {:.0} ({} in {:.1} ms)", lines.len() as f64 / best, lines.len(), best * 1e3);
}
