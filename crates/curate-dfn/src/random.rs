//! Draws that depend on a seed and a name or an id, never on a stream.

use curate_core::{SampleId, random};

/// `n` normal numbers with mean 0, for a seed and a purpose (Box and Muller 1958).
pub(crate) fn normal(seed: u64, purpose: &str, n: usize, deviation: f32) -> Vec<f32> {
    let seed = random::derive(seed, purpose);
    let unit = |i: u64, half: u64| random::unit(seed, SampleId::from_halves(half, i));
    let draw = |i: u64| {
        let radius = (-2.0 * (1.0 - unit(i, 0)).ln()).sqrt();
        (radius * (std::f64::consts::TAU * unit(i, 1)).cos()) as f32 * deviation
    };
    (0..n as u64).map(draw).collect()
}

/// The numbers `0..n` in an order that depends on the seed alone.
#[cfg(any(feature = "train", test))]
pub(crate) fn shuffled(seed: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_cached_key(|&i| (random::hash(seed, SampleId(i as u128)), i));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_their_deviation_and_repeat() {
        let draws = normal(3, "x", 20_000, 0.5);
        let mean = draws.iter().sum::<f32>() / 2e4;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 2e4;
        assert!(mean.abs() < 0.02 && (variance - 0.25).abs() < 0.01, "{mean} {variance}");
        assert_eq!(draws[..10], normal(3, "x", 10, 0.5));
        assert_ne!(draws[..10], normal(3, "y", 10, 0.5));
    }

    #[test]
    fn a_shuffle_holds_every_number_once() {
        let mut order = shuffled(1, 100);
        assert_ne!(order, shuffled(2, 100));
        assert_ne!(order[..5], [0, 1, 2, 3, 4]);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
