//! What fastText itself answered with the models of `tests/data/fasttext` (recipe: `train.py`).

use curate_text::fasttext::{FastTextError, FormatError, Model};
use serde_json::Value;
use std::path::{Path, PathBuf};

const MODELS: [&str; 12] = [
    "softmax.bin",
    "hs.bin",
    "ova.bin",
    "ns.bin",
    "words.bin",
    "softmax.ftz",
    "softmax_qnorm_cutoff.ftz",
    "hs_dsub.ftz",
    "hs_qnorm.ftz",
    "hs_qnorm_qout_cutoff.ftz",
    "softmax_qout.ftz",
    "pruned_to_words.ftz",
];
/// The largest difference of probabilities that rounding may make.
const TOLERANCE: f64 = 2e-7;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fasttext")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect("the test data holds the file")
}

fn refusal(bytes: &[u8]) -> FormatError {
    Model::from_bytes(bytes).expect_err("must be refused")
}

#[test]
fn predictions_equal_fasttexts() {
    let golden: Value = serde_json::from_slice(&bytes("expected.json")).unwrap();
    let answers = golden["answers"].as_object().unwrap();
    assert_eq!(answers.len(), MODELS.len());
    let mut worst = 0.0_f64;
    for name in MODELS {
        let model = Model::read(folder().join(name)).unwrap();
        for row in answers[name].as_array().unwrap() {
            let text = golden["texts"][row[0].as_u64().unwrap() as usize].as_str().unwrap();
            let k = row[1].as_i64().unwrap().try_into().unwrap_or(usize::MAX);
            let found = model.predict(text, k, row[2].as_f64().unwrap() as f32);
            let expected = row[3].as_array().unwrap();
            let labels: Vec<_> = expected.iter().map(|pair| pair[0].as_str().unwrap()).collect();
            let ours: Vec<_> = found.iter().map(|prediction| prediction.label).collect();
            assert_eq!(ours, labels, "{name} {text:?} k {k}");
            for (prediction, pair) in found.iter().zip(expected) {
                let gap = (f64::from(prediction.probability) - pair[1].as_f64().unwrap()).abs();
                assert!(gap < TOLERANCE, "{name} {text:?}: {prediction:?} for {pair}");
                worst = worst.max(gap);
            }
        }
    }
    println!("largest difference of probabilities: {worst:e}");
}

#[test]
fn only_the_first_line_is_read_and_k_may_be_anything() {
    let model = Model::read(folder().join("hs.bin")).unwrap();
    assert_eq!(model.predict("house\ndom", 3, 0.0), model.predict("house", 3, 0.0));
    assert!(model.predict("house", 0, 0.0).is_empty());
    assert!(model.predict("house", 3, 1.1).is_empty());
    for name in MODELS {
        let model = Model::read(folder().join(name)).unwrap();
        assert!(model.predict("house", 3, f32::NAN).is_empty(), "{name}");
    }
    assert_eq!(model.predict("house", usize::MAX, 0.0).len(), model.labels().len());
}

#[test]
fn every_cut_is_an_error() {
    for name in MODELS {
        let whole = bytes(name);
        // Every length near the sections' borders, and a sample of those inside matrices.
        let dense = (0..200).chain((200..whole.len()).step_by(97));
        for length in dense.chain(whole.len() - 60..whole.len()) {
            let error = refusal(&whole[..length]);
            assert!(!error.field.is_empty() && !error.problem.is_empty());
        }
    }
}

#[test]
fn impossible_fields_are_named() {
    let whole = bytes("hs_qnorm_qout_cutoff.ftz");
    let patched = |offset: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        bytes[offset..offset + value.len()].copy_from_slice(value);
        refusal(&bytes).field
    };
    let huge = i32::MAX.to_le_bytes();
    let negative = (-3_i32).to_le_bytes();
    assert_eq!(patched(0, b"PK\x03\x04"), "magic");
    assert_eq!(patched(4, &99_i32.to_le_bytes()), "version");
    assert_eq!(patched(8, &0_i32.to_le_bytes()), "args.dim");
    assert_eq!(patched(8, &huge), "input.n");
    assert_eq!(patched(8, &negative), "args.dim");
    assert_eq!(patched(28, &huge), "args.wordNgrams");
    assert_eq!(patched(32, &9_i32.to_le_bytes()), "args.loss");
    assert_eq!(patched(36, &1_i32.to_le_bytes()), "args.model");
    assert_eq!(patched(40, &0_i32.to_le_bytes()), "args.bucket");
    assert_eq!(patched(48, &huge), "args.maxn");
    assert_eq!(patched(64, &huge), "dictionary.size");
    assert_eq!(patched(68, &negative), "dictionary.size");
    assert_eq!(patched(72, &0_i32.to_le_bytes()), "dictionary.nlabels");
    assert_eq!(patched(84, &i64::MAX.to_le_bytes()), "dictionary.pruneidx_size");
    // Words and labels that add up, but are more than the file can hold.
    let sizes: Vec<u8> = [i32::MAX, i32::MAX - 300].iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(patched(64, &sizes), "dictionary.size");
}

#[test]
fn hostile_sizes_of_matrices_are_refused() {
    let whole = bytes("words.bin");
    // The output matrix stands last: rows, columns, then 8 rows of 4 floats.
    let head = whole.len() - 8 * 4 * 4 - 16;
    let mut bytes = whole.clone();
    bytes[head..head + 8].copy_from_slice(&i64::MAX.to_le_bytes());
    assert_eq!(refusal(&bytes).field, "output.m");
    bytes[head..head + 8].copy_from_slice(&(-1_i64).to_le_bytes());
    assert_eq!(refusal(&bytes).field, "output.m");
    bytes[head..head + 8].copy_from_slice(&7_i64.to_le_bytes());
    assert_eq!(refusal(&bytes).field, "output.m");
    let mut bytes = whole.clone();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(refusal(&bytes).field, "output.data");
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let missing = Model::read(folder().join("missing.ftz")).unwrap_err();
    assert!(matches!(missing, FastTextError::Io { .. }));
    assert!(missing.to_string().contains("missing.ftz"));
    assert!(matches!(Model::read(folder()), Err(FastTextError::Io { .. })));
    let text = Model::read(folder().join("train.py")).unwrap_err().to_string();
    assert!(text.contains("train.py") && text.contains("`magic`") && text.contains("supervised"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
    /// Whatever is flipped, reading and asking end in an answer or an error.
    #[test]
    fn flipped_bytes_do_no_harm(model in 0..MODELS.len(), at in 0.0..1.0_f64, flip in 1..=255_u8, head: bool) {
        let mut bytes = bytes(MODELS[model]);
        let range = if head { 120 } else { bytes.len() };
        bytes[(at * range as f64) as usize] ^= flip;
        if let Ok(model) = Model::from_bytes(&bytes) {
            let found = model.predict("the house cat __label__de \u{fc}\u{df} dog", 3, 0.0);
            assert!(found.len() <= 3);
        }
    }
}
