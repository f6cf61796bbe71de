//! One answer on every processor: digests of results, written down once. `cargo xtask arm` asks an emulated 64-bit
//! ARM for the same.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_cluster::{KMeansParams, Metric};
use curate_core::{Given, NoProgress, Rows, SampleId, fault::NormPolicy, random};
use curate_dedup::SemanticDedupParams;
use ndarray::Array2;

/// Vectors around 60 centers whose spectrum falls: searches look at heads, integers and f32.
fn vectors() -> Array2<f32> {
    let number = |of: usize, t: usize, seed| {
        random::unit(seed, SampleId::from_halves(of as u64, t as u64)) as f32 - 0.5
    };
    let near = |i: usize| if i % 7 == 6 { i - 1 } else { i };
    Array2::from_shape_fn((9_000, 64), |(i, t)| {
        let noise = 0.01 * number(i, t, 3);
        noise + (number(i % 60, t, 1) + number(near(i), t, 2)) / (1 + t / 4) as f32
    })
}

/// Of k-means by cosine and by distance, centroids and labels each, and of the similarities of duplicates.
const WRITTEN: [u64; 5] = [
    0x9927_eb01_62ae_afb1,
    0x0ace_c9ef_c987_fb20,
    0xbf07_62db_7cc7_5fb2,
    0x53ed_a031_52a8_8109,
    0x4cff_04d2_a5bd_3d67,
];

/// FNV-1a of 64 bits.
fn digest(words: impl IntoIterator<Item = u32>) -> u64 {
    let bytes = words.into_iter().flat_map(u32::to_le_bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn centroids_labels_and_similarities_have_these_bytes() {
    let vectors = vectors();
    let given = Given { norm: NormPolicy::Any, ..Given::default() };
    let rows = Rows::read(&vectors, given, &NoProgress).unwrap();
    let mut found = Vec::new();
    for metric in [Metric::Spherical, Metric::Euclidean] {
        let k_means = KMeansParams::new(1_000).iterations(3).metric(metric).check().unwrap();
        let clusters = k_means.run(&rows, &NoProgress).unwrap();
        let clustering = clusters.clustering();
        found.push(digest(clustering.centroids.iter().map(|x| x.to_bits())));
        found.push(digest(clustering.assignment.cluster().iter().copied()));
    }
    let dedup = SemanticDedupParams::new().clusters(12).check().unwrap();
    let duplicates = dedup.run(&rows, &NoProgress).unwrap();
    let similarities = duplicates.similarities().iter().map(|x| x.to_bits());
    found.push(digest(similarities));
    assert_eq!(found, WRITTEN, "{found:#x?}");
}
