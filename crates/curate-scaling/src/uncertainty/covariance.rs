//! The quadratic picture around the optimum.

use super::{Ensemble, Interval, check_level};
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::{Law, Transform};
use crate::linalg::Square;
use crate::stats::{Dice, student_two_sided};
use serde::{Deserialize, Serialize};

/// The hash stream of draws from the covariance.
const STREAM: u64 = 3;

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
        check_level(level)?;
        let t = student_two_sided(level, self.freedom().max(1) as f64);
        let plain = |(slot, value): (&crate::fit::Slot, &f64)| ParameterDoubt {
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

    /// Interval of a predicted metric by the delta method and Student's t: where the curve lies,
    /// or with `new_run` where one new measurement would. `None` when the covariance is not
    /// determined.
    ///
    /// # Errors
    /// A level outside `(0, 1)`.
    pub fn metric_interval(
        &self,
        level: f64,
        new_run: bool,
        metric: impl Fn(&[f64]) -> f64,
    ) -> Result<Option<Interval>, ScalingError> {
        check_level(level)?;
        let Some(covariance) = self.covariance() else { return Ok(None) };
        let space = self.params().space;
        let estimate = metric(self.theta());
        let slope = |&(slot, transform): &(usize, Transform)| {
            let step = 1e-5;
            let moved = |sign: f64| {
                let mut theta = self.theta().to_vec();
                theta[slot] = transform.inverse(transform.forward(theta[slot]) + sign * step);
                space.forward(metric(&theta))
            };
            (moved(1.0) - moved(-1.0)) / (2.0 * step)
        };
        let gradient: Vec<f64> = self.transforms().iter().map(slope).collect();
        let own = if new_run { self.noise.unwrap_or(0.0).powi(2) } else { 0.0 };
        let t = student_two_sided(level, self.freedom().max(1) as f64);
        let half = t * (covariance.form(&gradient, &gradient).max(0.0) + own).sqrt();
        let center = space.forward(estimate);
        let (low, high) = (space.inverse(center - half), space.inverse(center + half));
        Ok(Some(Interval { estimate, low, high }))
    }

    /// Draws from the normal distribution of the covariance: an [`Ensemble`] without refitting,
    /// as good as the quadratic picture is.
    ///
    /// # Errors
    /// A covariance that the data do not determine.
    pub fn covariance_ensemble(&self, draws: usize, seed: u64) -> Result<Ensemble, ScalingError> {
        let undetermined = || ScalingError::NotAnswerable {
            law: self.law().name(),
            problem: "the data do not determine every direction of the parameters".into(),
            remedy: "fix a parameter or add a prior, or use a bootstrap".into(),
        };
        let covariance = self.covariance().ok_or_else(undetermined)?;
        let moving: Vec<usize> =
            (0..covariance.size).filter(|&i| covariance.at(i, i) > 0.0).collect();
        let mut factor = Square::zeros(moving.len());
        for (r, &i) in moving.iter().enumerate() {
            for (c, &j) in moving.iter().enumerate() {
                factor.set(r, c, covariance.at(i, j));
            }
        }
        if !factor.factor() {
            return Err(undetermined());
        }
        let (transforms, specs) = (self.transforms(), self.law().params());
        let draw = |draw: usize| {
            let dice = Dice::new(seed, STREAM, draw as u64);
            let normals: Vec<f64> = (0..moving.len()).map(|i| dice.normal(i)).collect();
            let mut theta = self.theta().to_vec();
            for (r, &i) in moving.iter().enumerate() {
                let (slot, transform) = transforms[i];
                let spec = &specs[self.layout.slots[slot].parameter];
                let shift: f64 = (0..=r).map(|c| factor.at(r, c) * normals[c]).sum();
                let moved = transform.inverse(transform.forward(theta[slot]) + shift);
                theta[slot] = moved.clamp(spec.lower, spec.upper);
            }
            theta
        };
        let thetas = (0..draws).map(draw).collect();
        Ok(Ensemble { thetas, failed: 0, source: "covariance".into(), seed })
    }
}
