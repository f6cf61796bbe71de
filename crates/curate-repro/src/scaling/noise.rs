//! The noise of synthetic tables.
//!
//! A copy of how `curate-scaling` draws, on purpose: the tables of a study belong to the study, and
//! must not change when the library draws otherwise.

use std::f64::consts::PI;

/// Draws that are a hash of a stream, a table and an index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    key: u64,
}

impl Noise {
    pub(super) fn new(stream: u64, table: u64) -> Noise {
        Noise { key: scramble(scramble(scramble(0) ^ stream) ^ table) }
    }

    fn uniform(self, i: usize) -> f64 {
        (scramble(self.key ^ i as u64) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The `i`-th standard normal value (Box and Muller).
    pub(super) fn normal(self, i: usize) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform(2 * i)).ln()).sqrt();
        radius * (2.0 * PI * self.uniform(2 * i + 1)).cos()
    }
}

/// The finalizer of SplitMix64.
fn scramble(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
