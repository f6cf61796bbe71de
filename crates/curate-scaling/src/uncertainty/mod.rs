//! How sure a fit is: covariance, bootstrap, profile likelihood.
//!
//! Three views that cost more the more they show. The **covariance** is a quadratic picture around
//! the optimum, free of charge. A **bootstrap** refits resampled data and sees curved and lopsided
//! doubt; decisions use it. A **profile** refits along one parameter and shows flat valleys and
//! second minima that both others miss.

mod bootstrap;
mod covariance;
mod profile;

pub use bootstrap::{BootstrapParams, Resample, ValidBootstrapParams};
pub use covariance::ParameterDoubt;
pub use profile::{Profile, ProfilePoint, profile};

use crate::error::{Check, ParamsError};
use crate::fit::Fit;
use crate::law::Law;
use crate::stats::{Dice, central, expanded_level};
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

/// Parameter vectors that the data allow, each in the order of [`Fit::slots`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// One vector a draw.
    pub thetas: Vec<Vec<f64>>,
    /// Draws whose search ended nowhere finite; they are left out of `thetas`.
    pub failed: usize,
    /// Where the draws come from: `residual`, `case` or `covariance`.
    pub source: String,
    /// Seed of the draws.
    pub seed: u64,
}

/// The hash stream of measurement noise in prediction intervals.
const NOISE_STREAM: u64 = 4;

impl Ensemble {
    /// Interval of a quantity over the draws, for example a curve's value: percentiles, set a
    /// little wider than `level` to make up for the fit's few degrees of freedom (Hesterberg's
    /// expanded percentiles).
    pub fn interval<L: Law>(
        &self,
        fit: &Fit<L>,
        level: f64,
        quantity: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Interval {
        let values = self.thetas.par_iter().map(|t| quantity(t)).collect();
        let (low, high) = central(values, expanded_level(level, fit.freedom()));
        Interval { estimate: quantity(fit.theta()), low, high }
    }

    /// Interval of a **new measurement** of a predicted metric: the draws' spread plus the noise
    /// of one run.
    pub fn prediction_interval<L: Law>(
        &self,
        fit: &Fit<L>,
        level: f64,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Interval {
        let (space, noise) = (fit.params().space, fit.noise.unwrap_or(0.0));
        let measured = |(draw, theta): (usize, &Vec<f64>)| {
            let luck = Dice::new(self.seed, NOISE_STREAM, draw as u64).normal(0);
            space.inverse(space.forward(metric(theta)) + noise * luck)
        };
        let values = self.thetas.iter().enumerate().map(measured).collect();
        let (low, high) = central(values, expanded_level(level, fit.freedom()));
        Interval { estimate: metric(fit.theta()), low, high }
    }

    /// Interval of each parameter, in the order of [`Fit::slots`].
    pub fn parameter_intervals<L: Law>(&self, fit: &Fit<L>, level: f64) -> Vec<Interval> {
        (0..fit.slots().len()).map(|i| self.interval(fit, level, |theta| theta[i])).collect()
    }
}

/// Refuses a level that is no probability strictly between 0 and 1.
pub(crate) fn check_level(level: f64) -> Result<(), ParamsError> {
    let mut check = Check::default();
    check.require(level > 0.0 && level < 1.0, "level", level, "between 0 and 1");
    check.finish()
}
