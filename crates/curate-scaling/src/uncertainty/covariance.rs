//! The quadratic picture around the optimum.

use super::ensemble::Interval;
use crate::argument;
use crate::error::ScalingError;
use crate::fit::{Fit, Slot};
use crate::law::{Law, Transform};
use crate::linalg::Square;
use crate::stats::student_two_sided;
use serde::{Deserialize, Serialize};

/// One parameter and its doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParameterDoubt {
    /// `name`, or `name[pool]`.
    pub name: String,
    /// The fitted value.
    pub value: f64,
    /// Standard error in natural units; `None` for fixed parameters, at bounds, or without
    /// degrees of freedom.
    pub standard_error: Option<f64>,
    /// Interval from Student's t in search coordinates, so positive parameters stay positive.
    pub interval: Option<Interval>,
}

impl<L: Law> Fit<L> {
    fn covariance(&self) -> Option<Square> {
        let cells = self.curvature.covariance.clone()?;
        Some(Square { size: self.layout.free().len(), cells })
    }

    fn transforms(&self) -> Vec<(usize, Transform)> {
        let specs = self.law().params();
        let of = |slot: usize| (slot, specs[self.layout.slots[slot].parameter].transform);
        self.layout.free().into_iter().map(of).collect()
    }

    /// Standard error and interval of every parameter.
    ///
    /// # Errors
    /// A level outside `(0, 1)`.
    pub fn parameters(&self, level: f64) -> Result<Vec<ParameterDoubt>, ScalingError> {
        argument::level(level)?;
        let t = student_two_sided(level, self.freedom().max(1) as f64);
        let plain = |(slot, value): (&Slot, &f64)| ParameterDoubt {
            name: slot.name.clone(),
            value: *value,
            standard_error: None,
            interval: None,
        };
        let mut all: Vec<ParameterDoubt> =
            self.slots().iter().zip(self.theta()).map(plain).collect();
        let Some(covariance) = self.covariance() else { return Ok(all) };
        for (i, (slot, transform)) in self.transforms().into_iter().enumerate() {
            let sd = covariance.at(i, i).sqrt();
            if sd == 0.0 {
                continue;
            }
            let value = all[slot].value;
            let end = |sign: f64| transform.inverse(transform.forward(value) + sign * t * sd);
            let (a, b) = (end(-1.0), end(1.0));
            all[slot].standard_error = Some((transform.slope(value) * sd).abs());
            all[slot].interval = Some(Interval { estimate: value, low: a.min(b), high: a.max(b) });
        }
        Ok(all)
    }

    /// Interval of where the curve of a predicted metric lies, by the delta method and Student's t.
    /// `metric` gets vectors like [`Fit::theta`].
    ///
    /// # Errors
    /// A level outside `(0, 1)`, and data that do not determine every direction of the parameters.
    pub fn curve_interval(
        &self,
        level: f64,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Result<Interval, ScalingError> {
        self.delta_interval(level, 0.0, metric)
    }

    /// Interval of where one new measurement of a predicted metric would lie: the curve's doubt
    /// and the noise of one run.
    ///
    /// # Errors
    /// As [`Fit::curve_interval`].
    pub fn new_run_interval(
        &self,
        level: f64,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Result<Interval, ScalingError> {
        self.delta_interval(level, self.noise.unwrap_or(0.0).powi(2), metric)
    }

    /// The delta method: the metric's slope by each search coordinate, by central differences since
    /// a quantity of the caller's has no analytic one, carried through the covariance. `own` is
    /// variance of its own to add.
    fn delta_interval(
        &self,
        level: f64,
        own: f64,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Result<Interval, ScalingError> {
        const STEP: f64 = 1e-5;
        argument::level(level)?;
        let covariance = self.covariance().ok_or_else(|| ScalingError::NotAnswerable {
            law: self.law().name(),
            problem: "the data do not determine every direction of the parameters".into(),
            remedy: "fix a parameter or add a prior, or use a bootstrap".into(),
        })?;
        let space = self.params().space;
        let estimate = metric(self.theta());
        let slope = |&(slot, transform): &(usize, Transform)| {
            let moved = |sign: f64| {
                let mut theta = self.theta().to_vec();
                theta[slot] = transform.inverse(transform.forward(theta[slot]) + sign * STEP);
                space.forward(metric(&theta))
            };
            (moved(1.0) - moved(-1.0)) / (2.0 * STEP)
        };
        let gradient: Vec<f64> = self.transforms().iter().map(slope).collect();
        let t = student_two_sided(level, self.freedom().max(1) as f64);
        let half = t * (covariance.form(&gradient, &gradient).max(0.0) + own).sqrt();
        let center = space.forward(estimate);
        let (low, high) = (space.inverse(center - half), space.inverse(center + half));
        Ok(Interval { estimate, low, high })
    }
}
