//! How to split compute between model size and data, repeats included.

use crate::error::{Check, ParamsError, ScalingError};
use crate::fit::Fit;
use crate::law::{Field, Law, Point};
use serde::{Deserialize, Serialize};

/// Options of a compute-optimal allocation, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AllocationParams {
    compute: f64,
    unique: f64,
    max_epochs: f64,
}

/// Options of an allocation that passed [`AllocationParams::check`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidAllocationParams(AllocationParams);

/// The split of a compute budget that the law likes best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Training compute, FLOP.
    pub compute: f64,
    /// Model parameters.
    pub parameters: f64,
    /// Samples (or tokens) seen.
    pub samples: f64,
    /// Samples seen over distinct samples; zero with unlimited data.
    pub epochs: f64,
    /// Predicted metric.
    pub metric: f64,
    /// Whether the epoch cap binds.
    pub at_cap: bool,
}

impl AllocationParams {
    /// Unlimited data, any number of epochs, `C = 6 N D`.
    pub fn new(compute: f64) -> Self {
        AllocationParams { compute, unique: f64::INFINITY, max_epochs: f64::INFINITY }
    }

    /// Sets the distinct samples available.
    pub fn unique(mut self, unique: f64) -> Self {
        self.unique = unique;
        self
    }

    /// Sets the most epochs allowed.
    pub fn max_epochs(mut self, epochs: f64) -> Self {
        self.max_epochs = epochs;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    /// All violations at once, each with field, value and allowed range.
    pub fn check(self) -> Result<ValidAllocationParams, ParamsError> {
        let mut check = Check::default();
        let compute = self.compute > 0.0 && self.compute.is_finite();
        check.require(compute, "compute", self.compute, "a positive number of FLOP");
        check.require(self.unique > 0.0, "unique", self.unique, "above 0");
        check.require(self.max_epochs > 0.0, "max_epochs", self.max_epochs, "above 0");
        check.finish()?;
        Ok(ValidAllocationParams(self))
    }
}

impl ValidAllocationParams {
    /// The best split for the law's parameters on `pool`, with the parameter vector `theta` (the
    /// fit's own or a draw's).
    ///
    /// # Errors
    /// A law without model size, and an unknown pool.
    pub fn optimum<L: Law>(
        &self,
        fit: &Fit<L>,
        theta: &[f64],
        pool: &str,
    ) -> Result<Allocation, ScalingError> {
        if !fit.law().needs().contains(&Field::Parameters) {
            return Err(ScalingError::NotAnswerable {
                law: fit.law().name(),
                problem: "it does not know model size".into(),
                remedy: "fit chinchilla, data-constrained or over-training".into(),
            });
        }
        let AllocationParams { compute, unique, max_epochs } = self.0;
        let local = fit.pool_theta(theta, pool)?;
        let metric = |log_samples: f64| {
            let samples = log_samples.exp();
            let parameters = compute / (6.0 * samples);
            let at = Point { parameters, ..Point::new(samples, unique.min(f64::MAX)) };
            fit.law().predict(&at, &local)
        };
        let most = (compute / 6.0).min(unique * max_epochs);
        let log_samples = minimum(most.min(1.0).ln(), most.ln(), metric);
        let samples = log_samples.exp();
        Ok(Allocation {
            compute,
            parameters: compute / (6.0 * samples),
            samples,
            epochs: samples / unique,
            metric: metric(log_samples),
            at_cap: samples >= unique * max_epochs * (1.0 - 1e-6),
        })
    }
}

/// Minimum in `[low, high]`: a scan, since repeats can make valleys, then golden sections.
fn minimum(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const STEPS: usize = 400;
    let at = |i: usize| low + (high - low) * i as f64 / STEPS as f64;
    let best = (0..=STEPS).min_by(|&i, &j| f(at(i)).total_cmp(&f(at(j)))).unwrap_or(0);
    let (mut a, mut b) = (at(best.saturating_sub(1)), at((best + 1).min(STEPS)));
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..80 {
        let (c, d) = (b - golden * (b - a), a + golden * (b - a));
        if f(c) < f(d) { b = d } else { a = c }
    }
    let inner = 0.5 * (a + b);
    [at(best), inner, low, high].into_iter().min_by(|x, y| f(*x).total_cmp(&f(*y))).unwrap_or(inner)
}
