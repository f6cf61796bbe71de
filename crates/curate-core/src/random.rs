//! Random draws without a stream: a hash of a seed and an id.
//!
//! A draw that depends only on the seed and the sample cannot change when the pool is split into
//! other shards, read by other threads or resumed half way.

use crate::SampleId;

/// A uniformly distributed 64-bit number for this seed and this id.
///
/// Three rounds of the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
/// pseudorandom number generators") over the seed and the two halves of the id.
pub fn hash(seed: u64, id: SampleId) -> u64 {
    let (high, low) = id.halves();
    mix(mix(mix(seed) ^ high).wrapping_add(GOLDEN) ^ low)
}

/// A uniformly distributed number in `[0, 1)` for this seed and this id.
pub fn unit(seed: u64, id: SampleId) -> f64 {
    (hash(seed, id) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A seed for one use of a run's seed, so that two stages with the same seed do not draw alike.
pub fn derive(seed: u64, purpose: &str) -> u64 {
    purpose.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_differ_by_seed_and_by_either_half() {
        let n = 100_000_u64;
        let mean = (0..n).map(|i| unit(1, SampleId::from_halves(0, i))).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.005, "mean {mean}");
        let a = hash(1, SampleId::from_halves(0, 1));
        assert_ne!(a, hash(2, SampleId::from_halves(0, 1)));
        assert_ne!(a, hash(1, SampleId::from_halves(1, 0)));
    }

    #[test]
    fn values_are_pinned_because_selections_on_disk_depend_on_them() {
        assert_eq!(hash(0, SampleId(0)), 0xf89a_2566_b582_2c54);
        assert_eq!(hash(7, SampleId::from_halves(3, 5)), 0x11b4_7a55_7909_0412);
        assert_ne!(derive(7, "k-means"), derive(7, "random"));
    }
}
