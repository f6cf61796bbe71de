//! Prints the ImageNet id of the first synset of each word given, as NLTK finds it.
//!
//! `cargo run --release -p curate-text --example first_synset -- /usr/share/wordnet tench mice`
#![allow(clippy::print_stdout, reason = "an example is a program")]

use curate_text::wordnet::WordNet;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: first_synset WORDNET_FOLDER WORD...")?;
    let wordnet = WordNet::read(folder)?;
    if wordnet.version() != Some("3.0") {
        println!("ImageNet's ids are those of WordNet 3.0; these are not.");
    }
    for word in arguments {
        println!("{word}\t{}", id(&wordnet, &word));
    }
    Ok(())
}

/// `n01440764`, or `-` for a word that WordNet does not have.
fn id(wordnet: &WordNet, word: &str) -> String {
    match wordnet.first_synset(word) {
        Some(synset) => format!("{}{:08}", synset.pos.letter(), synset.offset),
        None => "-".to_owned(),
    }
}

#[test]
fn it_runs() {
    let wordnet = WordNet::read("tests/data/wordnet").unwrap();
    assert_eq!(id(&wordnet, "Tench"), "n01440764");
    assert_eq!(id(&wordnet, "mice"), id(&wordnet, "mouse"));
    assert_eq!(id(&wordnet, "tench,"), "-");
}
