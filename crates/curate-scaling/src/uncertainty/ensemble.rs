//! Parameter vectors that the data allow, and what they say of any quantity.

use super::resample::Resample;
use crate::argument;
use crate::dice::Dice;
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::Law;
use crate::stats::{central, expanded_level};
use curate_core::params::Checker;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// An estimate with an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value at the fit.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Parameter vectors that the data allow, each in the order of [`Fit::slots`]: what
/// [`BootstrapParams`](super::BootstrapParams) draws.
///
/// ```
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(200).run(&fit, &runs, &NoProgress)?;
/// let floor = draws.interval(&fit, 0.9, |theta| theta[4])?; // `d`, after three exponents.
/// assert_eq!(fit.slots()[4].name, "d");
/// assert!(floor.low < 0.1 && 0.1 < floor.high); // The runs were made with 0.1.
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    pub(crate) thetas: Vec<Vec<f64>>,
    pub(crate) failed: usize,
    pub(crate) source: String,
    pub(crate) seed: u64,
    /// See [`Ensemble::drift`].
    #[serde(default)]
    pub(crate) drift: f64,
}

/// The hash stream of measurement noise in intervals of new runs.
const NOISE_STREAM: u64 = 4;

impl Ensemble {
    /// One vector per draw.
    pub fn thetas(&self) -> &[Vec<f64>] {
        &self.thetas
    }

    /// Draws whose search ended nowhere finite; they are left out of [`Ensemble::thetas`].
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// What was resampled: `residual` or `case`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Seed of the draws.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How far, in the fit's space and for each factor e beyond the largest run, the law may be off
    /// in a way that its parameters do not explain: what it missed when it had to predict the
    /// largest budget from the smaller ones. Zero where that was not asked.
    pub fn drift(&self) -> f64 {
        self.drift
    }

    /// Interval of a quantity over the draws, for example a curve's value: percentiles, set a
    /// little wider than `level` to make up for the fit's few degrees of freedom (Hesterberg's
    /// expanded percentiles). `quantity` gets vectors like [`Fit::theta`].
    ///
    /// # Errors
    /// A level outside `(0, 1)`, no draws, and draws of another fit.
    pub fn interval<L: Law>(
        &self,
        fit: &Fit<L>,
        level: f64,
        quantity: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Result<Interval, ScalingError> {
        argument::level(level)?;
        self.check_fit(fit)?;
        let values = self.thetas.par_iter().map(|t| quantity(t)).collect();
        let (low, high) = central(values, tail_level(fit, self, level));
        Ok(Interval { estimate: quantity(fit.theta()), low, high })
    }

    /// Interval of a **new measurement** of a predicted metric: the draws' spread plus the noise
    /// of one run.
    ///
    /// # Errors
    /// As [`Ensemble::interval`].
    pub fn new_run_interval<L: Law>(
        &self,
        fit: &Fit<L>,
        level: f64,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Result<Interval, ScalingError> {
        argument::level(level)?;
        self.check_fit(fit)?;
        let (space, noise) = (fit.params().space, fit.noise.unwrap_or(0.0));
        let measured = |(draw, theta): (usize, &Vec<f64>)| {
            let luck = Dice::new(self.seed, NOISE_STREAM, draw as u64).normal(0);
            space.inverse(space.forward(metric(theta)) + noise * luck)
        };
        let values = self.thetas.iter().enumerate().map(measured).collect();
        let (low, high) = central(values, tail_level(fit, self, level));
        Ok(Interval { estimate: metric(fit.theta()), low, high })
    }

    /// Interval of each parameter, in the order of [`Fit::slots`].
    ///
    /// # Errors
    /// As [`Ensemble::interval`].
    pub fn parameter_intervals<L: Law>(
        &self,
        fit: &Fit<L>,
        level: f64,
    ) -> Result<Vec<Interval>, ScalingError> {
        (0..fit.slots().len()).map(|i| self.interval(fit, level, |theta| theta[i])).collect()
    }

    /// Refuses draws that no fit can have made, since a law has no value there.
    pub(crate) fn check_values<L: Law>(&self, fit: &Fit<L>) -> Result<(), ScalingError> {
        let specs = fit.law().params();
        let mut check = Checker::default();
        for theta in &self.thetas {
            for (slot, &value) in fit.slots().iter().zip(theta) {
                let spec = &specs[slot.parameter];
                let inside =
                    value >= spec.lower && value <= spec.upper || Some(value) == slot.fixed;
                if !inside {
                    let field = format!("draw of {}", slot.name);
                    let allowed = format!("from {} to {}", spec.lower, spec.upper);
                    check.that(false, field, value, allowed);
                    return Ok(check.finish()?);
                }
            }
        }
        let drift = self.drift >= 0.0 && self.drift.is_finite();
        check.that(drift, "drift", self.drift, "a finite number of at least 0");
        Ok(check.finish()?)
    }

    /// Refuses to speak for a fit without draws, or with draws of another fit.
    pub(crate) fn check_fit<L: Law>(&self, fit: &Fit<L>) -> Result<(), ScalingError> {
        let mut check = Checker::default();
        check.that(!self.thetas.is_empty(), "draws", "empty", "at least one draw that succeeded");
        let count = fit.slots().len();
        if let Some(other) = self.thetas.iter().find(|theta| theta.len() != count) {
            let allowed = format!("of this fit, with {count} parameters each");
            check.that(false, "draws", format!("of {} parameters", other.len()), allowed);
        }
        Ok(check.finish()?)
    }
}

/// The level at which percentiles of a fit's draws make intervals of `level`: draws that resample
/// residuals are too narrow where these have few degrees of freedom, draws of the posterior are not.
pub(crate) fn tail_level<L: Law>(fit: &Fit<L>, draws: &Ensemble, level: f64) -> f64 {
    if draws.source == Resample::Posterior.name() {
        return level;
    }
    expanded_level(level, fit.freedom())
}
