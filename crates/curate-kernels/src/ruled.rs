//! What decided each pair of a row and a centroid.

use std::ops::AddAssign;

/// How pairs of a row and a centroid were decided. Every pair of every pass is counted once; what decides
/// it changes no answer, only the work.
///
/// ```
/// use curate_kernels::Ruled;
///
/// let ruled = Ruled { pairs: 1_000, bounds: 600, heads: 370, integers: 20, exact: 10 };
/// assert_eq!(ruled.exact_share(), 0.01);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// Rows times centroids, over all passes.
    pub pairs: u64,
    /// Ruled out because the centroid cannot have moved past the row's own since the pass before; no
    /// number of the pair was multiplied.
    pub bounds: u64,
    /// Ruled out by a few numbers along the widest axes, and the lengths of the rest.
    pub heads: u64,
    /// Ruled out by 8-bit integers of whole vectors.
    pub integers: u64,
    /// Computed in f32.
    pub exact: u64,
}

impl Ruled {
    /// The share of pairs that were computed in f32; 0 without pairs.
    pub fn exact_share(&self) -> f64 {
        if self.pairs == 0 { 0.0 } else { self.exact as f64 / self.pairs as f64 }
    }
}

impl AddAssign for Ruled {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.bounds += other.bounds;
        self.heads += other.heads;
        self.integers += other.integers;
        self.exact += other.exact;
    }
}
