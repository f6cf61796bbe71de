//! What 8-bit integers change in a network's answers, and what they do not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::BTreeSet, path::PathBuf};

use common::{distance, largest, path, tiny, tiny_tokens};
use curate_core::{Cut, NoProgress, Selection};
use curate_dfn::{
    Arithmetic, Network,
    filter::{PairScores, score_pairs},
};
use curate_io::{Pool, PoolOptions};

fn network() -> Network {
    Network::open(&path("tiny")).unwrap().in_int8()
}

fn demo(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name)
}

#[test]
fn features_are_near_open_clips_and_not_those_of_f32() {
    for (found, exact) in [
        (network().image_features(&tiny("pixels")).unwrap(), tiny("image_features")),
        (network().text_features(&tiny_tokens()).unwrap(), tiny("text_features")),
    ] {
        let off = distance(&found, &exact) / largest(&exact);
        assert!(off > 1e-4 && off < 0.05, "{off}");
    }
}

#[test]
fn bytes_depend_neither_on_the_batch_nor_on_threads() {
    let network = network();
    let (pixels, tokens) = (tiny("pixels").repeat(9), tiny_tokens().repeat(5));
    let (images, texts) =
        (network.image_features(&pixels).unwrap(), network.text_features(&tokens).unwrap());
    let alone: Vec<f32> =
        pixels.chunks(3 * 32 * 32).flat_map(|one| network.image_features(one).unwrap()).collect();
    assert_eq!(alone, images);
    let alone: Vec<f32> =
        tokens.chunks(24).flat_map(|one| network.text_features(one).unwrap()).collect();
    assert_eq!(alone, texts);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| network.image_features(&pixels).unwrap()), images);
}

#[test]
fn the_fingerprint_tells_them_apart() {
    let exact = Network::open(&path("tiny")).unwrap();
    assert_eq!(exact.arithmetic(), Arithmetic::F32);
    let (before, near) = (exact.fingerprint(), exact.in_int8());
    assert_eq!(near.arithmetic(), Arithmetic::Int8);
    assert_ne!(near.fingerprint(), before);
    assert_eq!(near.fingerprint(), network().in_int8().fingerprint(), "twice is once");
}

/// The network of the demonstration, which was trained, on 400 of its pairs.
#[test]
fn a_cut_by_scores_of_integers_keeps_nearly_the_same_pairs() {
    let pool = Pool::open(&demo("pool"), PoolOptions::default(), &NoProgress).unwrap();
    let rows = Selection::all(400);
    let open = || Network::open(&demo("filter")).unwrap();
    let exact = score_pairs(&open(), &pool, &rows, &NoProgress).unwrap();
    let near = score_pairs(&open().in_int8(), &pool, &rows, &NoProgress).unwrap();
    let ranks = |scores: &[f32]| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut ranks = vec![0.0; scores.len()];
        order.iter().enumerate().for_each(|(rank, &row)| ranks[row] = rank as f64);
        ranks
    };
    let n = exact.scores().len() as f64;
    let apart: f64 = ranks(exact.scores())
        .iter()
        .zip(ranks(near.scores()))
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    let correlation = 1.0 - 6.0 * apart / (n * (n * n - 1.0));
    assert!(correlation > 0.99 && correlation < 1.0, "{correlation}");
    let kept = |scores: &PairScores| -> BTreeSet<usize> {
        scores.select(Cut::Fraction(0.15)).unwrap().iter().collect()
    };
    let (exact, near) = (kept(&exact), kept(&near));
    assert_eq!((exact.len(), near.len()), (60, 60));
    assert!(exact.intersection(&near).count() >= 54, "{exact:?} {near:?}");
}
