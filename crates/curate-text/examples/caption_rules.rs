//! Applies the caption part of DataComp's `basic_filter` to a file of captions, one per line, and
//! says why each of the others is dropped.
//!
//! `cargo run --release -p curate-text --example caption_rules -- CAPTIONS.txt [lid.176.bin]`
//!
//! Without a model the built-in identifier of 16 languages decides what is English, which is not
//! quite DataComp's answer.
#![allow(clippy::print_stdout, reason = "an example is a program")]

use curate_text::language::{BuiltIn, FastTextLanguage, LanguageId};
use curate_text::rules::basic_caption;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let captions = arguments.next().ok_or("usage: caption_rules CAPTIONS.txt [MODEL]")?;
    let language_id: Box<dyn LanguageId> = match arguments.next() {
        Some(model) => Box::new(FastTextLanguage::read(model)?),
        None => Box::new(BuiltIn),
    };
    for line in judge(&std::fs::read_to_string(captions)?, &language_id) {
        println!("{line}");
    }
    Ok(())
}

/// A line of text for each caption: `keep`, or the reason to drop it.
fn judge(captions: &str, language_id: &dyn LanguageId) -> Vec<String> {
    let word = |caption| match basic_caption(caption, language_id) {
        Ok(()) => format!("keep  {caption}"),
        Err(failure) => format!("drop  {caption}  ({failure})"),
    };
    captions.lines().map(word).collect()
}

#[test]
fn it_runs() {
    let captions = "a black cat on the roof\nIMG_0001.JPG\nun chat noir sur le toit\n";
    let judged = judge(captions, &BuiltIn);
    assert_eq!(judged[0], "keep  a black cat on the roof");
    assert_eq!(judged[1], "drop  IMG_0001.JPG  (too few words: 1, must be at least 3)");
    assert_eq!(judged[2], "drop  un chat noir sur le toit  (not English: fr)");
}
