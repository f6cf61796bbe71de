//! What bfloat16 and 8-bit integers change in a network's answers, and what they do not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{collections::BTreeSet, path::PathBuf};

use common::{distance, largest, path, tiny, tiny_tokens};
use curate_core::{Cut, NoProgress, Selection};
use curate_dfn::{
    Arithmetic, Network, NetworkError,
    filter::{PairScores, score_pairs},
};
use curate_io::{Pool, PoolOptions};

/// The least and the most that the largest output is off, of the largest there is.
const NEAR: [(Arithmetic, f32, f32); 2] =
    [(Arithmetic::Bf16, 1e-4, 0.02), (Arithmetic::Int8, 1e-4, 0.05)];

fn network(arithmetic: Arithmetic) -> Network {
    Network::open(&path("tiny")).unwrap().with_arithmetic(arithmetic).unwrap()
}

fn demo(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name)
}

#[test]
fn features_are_near_open_clips_and_not_those_of_f32() {
    for (arithmetic, least, most) in NEAR {
        let network = network(arithmetic);
        for (found, exact) in [
            (network.image_features(&tiny("pixels")).unwrap(), tiny("image_features")),
            (network.text_features(&tiny_tokens()).unwrap(), tiny("text_features")),
        ] {
            let off = distance(&found, &exact) / largest(&exact);
            assert!(off > least && off < most, "{arithmetic:?} {off}");
        }
    }
}

#[test]
fn bytes_depend_neither_on_the_batch_nor_on_threads() {
    let (pixels, tokens) = (tiny("pixels").repeat(9), tiny_tokens().repeat(5));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (arithmetic, ..) in NEAR {
        let network = network(arithmetic);
        let (images, texts) =
            (network.image_features(&pixels).unwrap(), network.text_features(&tokens).unwrap());
        let alone = pixels.chunks(3 * 32 * 32).flat_map(|one| network.image_features(one).unwrap());
        assert_eq!(alone.collect::<Vec<f32>>(), images);
        let alone = tokens.chunks(24).flat_map(|one| network.text_features(one).unwrap());
        assert_eq!(alone.collect::<Vec<f32>>(), texts);
        assert_eq!(one.install(|| network.image_features(&pixels).unwrap()), images);
    }
}

#[test]
fn the_fingerprint_tells_them_apart() {
    let fingerprints = Arithmetic::ALL.map(|arithmetic| network(arithmetic).fingerprint());
    assert_eq!(BTreeSet::from(fingerprints.clone()).len(), 3);
    for (arithmetic, fingerprint) in Arithmetic::ALL.into_iter().zip(fingerprints) {
        let twice = network(arithmetic).with_arithmetic(arithmetic).unwrap();
        assert_eq!((twice.arithmetic(), twice.fingerprint()), (arithmetic, fingerprint));
    }
}

#[test]
fn what_was_rounded_does_not_come_back() {
    for (first, second) in
        [(Arithmetic::Int8, Arithmetic::F32), (Arithmetic::Bf16, Arithmetic::Int8)]
    {
        let refused = network(first).with_arithmetic(second).err();
        assert_eq!(refused, Some(NetworkError::Rounded { found: first, asked: second }));
    }
    let said =
        NetworkError::Rounded { found: Arithmetic::Int8, asked: Arithmetic::F32 }.to_string();
    assert_eq!(
        said,
        "arithmetic: the network is in int8 already and cannot go on in f32; open it again"
    );
}

/// The network of the demonstration, which was trained, on 400 of its pairs.
#[test]
fn a_cut_by_scores_that_are_off_keeps_nearly_the_same_pairs() {
    let pool = Pool::open(&demo("pool"), PoolOptions::default(), &NoProgress).unwrap();
    let rows = Selection::all(400);
    let open = || Network::open(&demo("filter")).unwrap();
    let exact = score_pairs(&open(), &pool, &rows, &NoProgress).unwrap();
    for (arithmetic, correlation, kept) in
        [(Arithmetic::Bf16, 0.999, 57), (Arithmetic::Int8, 0.99, 54)]
    {
        let network = open().with_arithmetic(arithmetic).unwrap();
        let near = score_pairs(&network, &pool, &rows, &NoProgress).unwrap();
        let found = rank_correlation(exact.scores(), near.scores());
        assert!(found > correlation && found < 1.0, "{arithmetic:?} {found}");
        let (exact, near) = (best(&exact), best(&near));
        assert_eq!((exact.len(), near.len()), (60, 60));
        assert!(exact.intersection(&near).count() >= kept, "{arithmetic:?} {exact:?} {near:?}");
    }
}

fn best(scores: &PairScores) -> BTreeSet<usize> {
    scores.select(Cut::Fraction(0.15)).unwrap().iter().collect()
}

fn rank_correlation(exact: &[f32], near: &[f32]) -> f64 {
    let ranks = |scores: &[f32]| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut ranks = vec![0.0; scores.len()];
        order.iter().enumerate().for_each(|(rank, &row)| ranks[row] = rank as f64);
        ranks
    };
    let apart: f64 = ranks(exact).iter().zip(ranks(near)).map(|(a, b)| (a - b) * (a - b)).sum();
    let n = exact.len() as f64;
    1.0 - 6.0 * apart / (n * (n * n - 1.0))
}
