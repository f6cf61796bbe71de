//! Tokens against open_clip 3.3.0's.

#![allow(clippy::unwrap_used, reason = "tests")]

use curate_dfn::{Tokenizer, tokenizer::clean};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    cleaned: String,
    bpe_ids: Vec<u32>,
    ids_77: Vec<u32>,
    ids_ctx: Vec<u32>,
}

#[derive(Deserialize)]
struct Tiny {
    context_length: usize,
    cases: Vec<TinyCase>,
}

#[derive(Deserialize)]
struct TinyCase {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn every_case_has_open_clips_text_and_tokens() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/tokenizer_cases.json")).unwrap();
    assert_eq!(cases.len(), 30);
    let tokenizer = Tokenizer::default();
    for case in cases {
        assert_eq!(clean(&case.text), case.cleaned, "{:?}", case.text);
        assert_eq!(tokenizer.encode(&case.text), case.bpe_ids, "{:?}", case.text);
        assert_eq!(tokenizer.tokens(&case.text, 77), case.ids_77, "{:?}", case.text);
        assert_eq!(tokenizer.tokens(&case.text, 16), case.ids_ctx, "{:?}", case.text);
    }
}

#[test]
fn the_tiny_networks_texts_have_its_tokens() {
    let tiny: Tiny = serde_json::from_str(include_str!("fixtures/tokenizer_tiny.json")).unwrap();
    let tokenizer = Tokenizer::default();
    for case in tiny.cases {
        assert_eq!(tokenizer.tokens(&case.text, tiny.context_length), case.ids, "{:?}", case.text);
    }
}
