//! How to split compute between model size and data, repeats included.

use crate::argument::check_positive;
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::{Field, Law, Point};
use crate::uncertainty::{Ensemble, Interval};
use curate_core::ParamsError;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

/// Options of a compute-optimal allocation, not yet checked.
///
/// ```
/// use curate_scaling::decide::AllocationParams;
/// use curate_scaling::law::{Chinchilla, Law};
/// use curate_scaling::{FitParams, Metric, NoProgress, Observation, Observations};
///
/// // Runs that follow the law exactly, at three sizes and four budgets.
/// let (law, theta) = (Chinchilla::default(), [1.7, 400.0, 0.34, 410.0, 0.28]);
/// let mut rows = Vec::new();
/// for parameters in [1e7, 1e8, 1e9] {
///     for samples in [1e9, 4e9, 2e10, 1e11] {
///         let row = Observation::new("web", 1.0).samples(samples).parameters(parameters);
///         rows.push(Observation { value: law.predict(&row.point(), &theta)?, ..row });
///     }
/// }
/// let runs = Observations::new(Metric::Loss, vec![], rows)?;
/// let fit = FitParams::new(law).fit(&runs, &NoProgress)?;
///
/// let split = AllocationParams::new(1e21).check()?.optimum(&fit, "web")?;
/// assert!((6.0 * split.parameters * split.samples / 1e21 - 1.0).abs() < 1e-9);
/// assert!((1e9..4e9).contains(&split.parameters));
/// // With fewer samples than that, and two passes over them at most, the model grows.
/// let few = AllocationParams::new(1e21).unique(1e10).max_epochs(2.0).check()?;
/// assert!(few.optimum(&fit, "web")?.at_cap);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AllocationParams {
    compute: f64,
    unique: Option<f64>,
    max_epochs: Option<f64>,
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
    /// Samples seen over distinct samples; `None` with unlimited data.
    pub epochs: Option<f64>,
    /// Predicted metric.
    pub metric: f64,
    /// Whether the epoch cap binds.
    pub at_cap: bool,
}

/// How far the draws spread the split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AllocationIntervals {
    /// Samples (or tokens) seen.
    pub samples: Interval,
    /// Model parameters.
    pub parameters: Interval,
}

impl AllocationParams {
    /// Unlimited data, any number of epochs, `C = 6 N D`.
    pub fn new(compute: f64) -> Self {
        AllocationParams { compute, unique: None, max_epochs: None }
    }

    /// Sets the distinct samples available.
    pub fn unique(mut self, unique: f64) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Sets the most epochs allowed.
    pub fn max_epochs(mut self, epochs: f64) -> Self {
        self.max_epochs = Some(epochs);
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    /// All violations at once, each with field, value and allowed range.
    pub fn check(self) -> Result<ValidAllocationParams, ParamsError> {
        let mut check = Checker::default();
        check_positive(&mut check, "compute", self.compute);
        for (name, option) in [("unique", self.unique), ("max_epochs", self.max_epochs)] {
            if let Some(value) = option {
                check.that(value > 0.0, name, value, "above 0");
            }
        }
        check.finish()?;
        Ok(ValidAllocationParams(self))
    }
}

impl ValidAllocationParams {
    /// The best split for the fit's parameters on `pool`.
    ///
    /// # Errors
    /// A law without model size, and an unknown pool.
    pub fn optimum<L: Law>(&self, fit: &Fit<L>, pool: &str) -> Result<Allocation, ScalingError> {
        self.under(fit, fit.theta(), pool)
    }

    /// Intervals of the best split over the draws.
    ///
    /// # Errors
    /// As [`ValidAllocationParams::optimum`] and [`Ensemble::interval`].
    pub fn intervals<L: Law>(
        &self,
        fit: &Fit<L>,
        draws: &Ensemble,
        pool: &str,
        level: f64,
    ) -> Result<AllocationIntervals, ScalingError> {
        self.optimum(fit, pool)?;
        let of = |what: fn(&Allocation) -> f64| {
            draws.interval(fit, level, |theta| {
                self.under(fit, theta, pool).map_or(f64::NAN, |found| what(&found))
            })
        };
        Ok(AllocationIntervals {
            samples: of(|found| found.samples)?,
            parameters: of(|found| found.parameters)?,
        })
    }

    fn under<L: Law>(
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
        let compute = self.0.compute;
        let unique = self.0.unique.unwrap_or(f64::INFINITY);
        let limit = unique * self.0.max_epochs.unwrap_or(f64::INFINITY);
        let local = fit.pool_theta(theta, pool)?;
        let metric = |log_samples: f64| {
            let samples = log_samples.exp();
            let run = Point::new().samples(samples).unique(unique.min(f64::MAX));
            fit.law().eval(&run.parameters(compute / (6.0 * samples)), &local, None)
        };
        let most = (compute / 6.0).min(limit);
        let log_samples = minimum(most.min(1.0).ln(), most.ln(), metric);
        let samples = log_samples.exp();
        Ok(Allocation {
            compute,
            parameters: compute / (6.0 * samples),
            samples,
            epochs: unique.is_finite().then_some(samples / unique),
            metric: metric(log_samples),
            at_cap: samples >= limit * (1.0 - 1e-6),
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
