//! What "near" means: the one home of distances.

use curate_core::{embedding, rank::Direction};
use serde::{Deserialize, Serialize};

/// What "near" means.
///
/// Three numbers say how near a row `x` is to a centroid `c`:
///
/// | | spherical | Euclidean |
/// |---|---|---|
/// | **value**, which a search makes as large as it can | `<x, c>` | `<x, c> - |c|² / 2` |
/// | **nearness**, which an [`crate::Assignment`] keeps | `<x, c>` | `|x - c|²` |
/// | **distance**, what an objective adds up | `1 - <x, c>` | `|x - c|²` |
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Largest inner product with centroids of length 1. Rows must have length 1 as well.
    #[default]
    Spherical,
    /// Smallest Euclidean distance.
    Euclidean,
}

impl Metric {
    /// What is added to a row's inner products with centroids of length `dim`, one after the other,
    /// so that the largest belongs to the nearest centroid: `-|c|² / 2` when Euclidean, since
    /// `|x - c|² = |x|² - 2 (<x, c> - |c|² / 2)`; nothing when spherical.
    pub fn bias(self, centroids: &[f32], dim: usize) -> Option<Vec<f32>> {
        let half_square = |c: &[f32]| (-0.5 * embedding::dot(c, c)) as f32;
        match self {
            Self::Spherical => None,
            Self::Euclidean => Some(centroids.chunks_exact(dim.max(1)).map(half_square).collect()),
        }
    }

    /// How near a row is, from the value that a search found and the row's squared length.
    pub fn nearness(self, value: f32, square: f64) -> f32 {
        match self {
            Self::Spherical => value,
            // Rounding can leave a row that is its centroid a little below 0.
            Self::Euclidean => (square - 2.0 * f64::from(value)).max(0.0) as f32,
        }
    }

    /// How near two vectors are, in f64 and rounded once.
    pub fn nearness_of(self, row: &[f32], centroid: &[f32]) -> f32 {
        match self {
            Self::Spherical => embedding::dot(row, centroid) as f32,
            Self::Euclidean => self.between(row, centroid) as f32,
        }
    }

    /// How far a row is from the centroid it is so near to.
    ///
    /// `1 - similarity` is computed in f32 when spherical, as the published code does: below a
    /// similarity of 0.5 the subtraction rounds, and rows can tie that their similarities alone would
    /// order.
    pub fn distance(self, nearness: f32) -> f32 {
        match self {
            Self::Spherical => 1.0 - nearness,
            Self::Euclidean => nearness,
        }
    }

    /// The distance of two vectors in f64: `1 - <a, b>` when spherical, `|a - b|²` when Euclidean.
    pub fn between(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            Self::Spherical => 1.0 - embedding::dot(a, b),
            Self::Euclidean => {
                let square = |(&x, &y): (&f32, &f32)| (f64::from(x) - f64::from(y)).powi(2);
                a.iter().zip(b).map(square).sum()
            }
        }
    }

    /// [`Self::between`] from the inner product of the two vectors and the sum of their squared
    /// lengths, and not below 0.
    pub(crate) fn of_product(self, product: f64, squares: f64) -> f64 {
        let distance = match self {
            Self::Spherical => 1.0 - product,
            Self::Euclidean => squares - 2.0 * product,
        };
        distance.max(0.0)
    }

    /// Which nearness is nearer.
    pub fn nearer(self) -> Direction {
        match self {
            Self::Spherical => Direction::HigherIsBetter,
            Self::Euclidean => Direction::LowerIsBetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_hand_computed_case_fit_each_other() {
        let (row, centroid) = ([0.6_f32, 0.8], [1.0_f32, 0.0]);
        let spherical = Metric::Spherical;
        assert_eq!(spherical.bias(&centroid, 2), None);
        assert_eq!(spherical.nearness(0.6, f64::NAN), 0.6);
        assert_eq!(spherical.distance(0.6), 1.0 - 0.6_f32);
        assert!((spherical.between(&row, &centroid) - 0.4).abs() < 1e-7);

        let euclidean = Metric::Euclidean;
        assert_eq!(euclidean.bias(&[1.0, 0.0, 3.0, 4.0], 2), Some(vec![-0.5, -12.5]));
        let nearness = euclidean.nearness(0.6 - 0.5, 1.0);
        assert!((nearness - 0.8).abs() < 1e-6 && euclidean.distance(nearness) == nearness);
        assert!((euclidean.nearness_of(&row, &centroid) - nearness).abs() < 1e-6);
        assert_eq!(euclidean.nearness(0.501, 1.0), 0.0, "never below 0");
        assert_eq!(euclidean.of_product(0.5, 2.0), 1.0);
        assert_eq!(spherical.of_product(1.5, 0.0), 0.0);
    }
}
