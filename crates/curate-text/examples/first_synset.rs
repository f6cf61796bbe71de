//! Prints the offset and part of speech of the first synset of every line of a file, as
//! `tests/data/wordnet_golden.py answers` does, and how long that took.
//!
//! `cargo run --release --example first_synset -- /usr/share/wordnet WORDS.txt [repeated]`
#![allow(clippy::print_stderr, reason = "an example is a program")]

use curate_text::wordnet::{Morphy, WordNet};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(words)) = (arguments.next(), arguments.next()) else {
        return Err("usage: first_synset WORDNET_DIR WORDS.txt [repeated]".into());
    };
    let start = Instant::now();
    let wordnet = WordNet::read(folder)?;
    let loading = start.elapsed();
    let repeated = arguments.next().is_some_and(|word| word == "repeated");
    let wordnet = if repeated { wordnet.with_morphy(Morphy::Repeated) } else { wordnet };
    let text = std::fs::read_to_string(words)?;
    let words: Vec<&str> = text.lines().collect();
    let start = Instant::now();
    let found: Vec<_> = words.iter().map(|word| wordnet.first_synset(word)).collect();
    let elapsed = start.elapsed();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (word, synset) in words.iter().zip(found) {
        match synset {
            Some(synset) => writeln!(out, "{word}\t{} {}", synset.offset, synset.pos.letter())?,
            None => writeln!(out, "{word}\t-")?,
        }
    }
    eprintln!("{wordnet:?}: read in {loading:?}; {} words in {elapsed:?}", words.len());
    Ok(())
}
