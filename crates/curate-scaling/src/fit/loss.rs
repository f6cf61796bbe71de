//! What residuals cost, and where they are taken.

use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

/// What a residual `r` (prediction minus observation) costs; costs are **summed**, since a mean
/// makes optimizers stop early (arXiv:2404.10102).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `r^2`.
    #[default]
    LeastSquares,
    /// `r^2 / 2` up to `delta`, then linear.
    Huber {
        /// Where it becomes linear, in units of the space (or of sigma, if rows have one).
        delta: f64,
    },
    /// Huber, with predictions above the observation costing `over` times as much: a cautious
    /// (above one: optimistic) view.
    Asymmetric {
        /// Where it becomes linear.
        delta: f64,
        /// Cost of a prediction that is too high, relative to one too low.
        over: f64,
    },
}

impl Loss {
    /// Records what no loss can have.
    pub(crate) fn check(self, check: &mut Checker) {
        let (delta, over) = match self {
            Loss::LeastSquares => return,
            Loss::Huber { delta } => (delta, 1.0),
            Loss::Asymmetric { delta, over } => (delta, over),
        };
        check.that(delta > 0.0 && delta.is_finite(), "loss.delta", delta, "finite and above 0");
        check.that(over > 0.0 && over.is_finite(), "loss.over", over, "finite and above 0");
    }

    /// Cost, its derivative, and the weight `derivative / r` of iterated least squares.
    pub(crate) fn cost(self, r: f64) -> (f64, f64, f64) {
        match self {
            Loss::LeastSquares => (r * r, 2.0 * r, 2.0),
            Loss::Huber { delta } => huber(r, delta),
            Loss::Asymmetric { delta, over } => {
                let factor = if r > 0.0 { over } else { 1.0 };
                let (cost, slope, weight) = huber(r, delta);
                (factor * cost, factor * slope, factor * weight)
            }
        }
    }
}

fn huber(r: f64, delta: f64) -> (f64, f64, f64) {
    let size = r.abs();
    if size <= delta {
        (0.5 * r * r, r, 1.0)
    } else {
        (delta * (size - 0.5 * delta), delta * r.signum(), delta / size)
    }
}

/// Where residuals are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// Differences of the metric.
    #[default]
    Metric,
    /// Differences of its logarithm.
    Log,
}

impl Space {
    /// The metric in this space.
    pub(crate) fn forward(self, y: f64) -> f64 {
        if self == Space::Log { y.ln() } else { y }
    }

    /// Back to the metric.
    pub(crate) fn inverse(self, z: f64) -> f64 {
        if self == Space::Log { z.exp() } else { z }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_by_hand() {
        assert_eq!(Loss::LeastSquares.cost(-3.0), (9.0, -6.0, 2.0));
        assert_eq!(Loss::Huber { delta: 1.0 }.cost(-3.0), (2.5, -1.0, 1.0 / 3.0));
        assert_eq!(Loss::Huber { delta: 1.0 }.cost(0.5), (0.125, 0.5, 1.0));
        assert_eq!(Loss::Asymmetric { delta: 1.0, over: 10.0 }.cost(3.0).0, 25.0);
        assert_eq!(Loss::Asymmetric { delta: 1.0, over: 10.0 }.cost(-3.0).0, 2.5);
    }
}
