//! The best mixture of domains under epoch caps.

use crate::error::{Check, ParamsError, ScalingError};
use crate::fit::Fit;
use crate::law::{Law, Point};
use serde::{Deserialize, Serialize};

/// Options of a mixture optimum, not yet checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureParams {
    samples: f64,
    parameters: f64,
    unique: Vec<f64>,
    max_epochs: f64,
    floor: f64,
}

/// Options of a mixture optimum that passed [`MixtureParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidMixtureParams(MixtureParams);

/// The best mixture, beside the one that no cap restrains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureOptimum {
    /// Names of the domains.
    pub domains: Vec<String>,
    /// Best weights under the caps.
    pub weights: Vec<f64>,
    /// Mean of the fits' metrics there.
    pub metric: f64,
    /// Epochs of each domain; NaN for unknown sizes.
    pub epochs: Vec<f64>,
    /// Whether each domain is at its cap.
    pub at_cap: Vec<bool>,
    /// Best weights without caps.
    pub unconstrained: Vec<f64>,
    /// Mean of the fits' metrics there.
    pub unconstrained_metric: f64,
}

impl MixtureParams {
    /// A budget of `samples` samples seen by a model of `parameters`; no caps.
    pub fn new(samples: f64, parameters: f64) -> Self {
        let (unique, max_epochs) = (Vec::new(), f64::INFINITY);
        MixtureParams { samples, parameters, unique, max_epochs, floor: 0.0 }
    }

    /// Caps each domain at `max_epochs` passes over its `unique` samples (in the fit's order of
    /// domains): weight `j` is at most `max_epochs unique_j / samples`.
    pub fn epoch_caps(mut self, unique: Vec<f64>, max_epochs: f64) -> Self {
        (self.unique, self.max_epochs) = (unique, max_epochs);
        self
    }

    /// Least weight of every domain, for example because a law is singular at zero.
    pub fn floor(mut self, floor: f64) -> Self {
        self.floor = floor;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    /// All violations at once, each with field, value and allowed range.
    pub fn check(self) -> Result<ValidMixtureParams, ParamsError> {
        let mut check = Check::default();
        check.require(self.samples > 0.0, "samples", self.samples, "above 0");
        check.require(self.parameters > 0.0, "parameters", self.parameters, "above 0");
        check.require(self.max_epochs > 0.0, "max_epochs", self.max_epochs, "above 0");
        check.require((0.0..1.0).contains(&self.floor), "floor", self.floor, "in [0, 1)");
        for (j, &unique) in self.unique.iter().enumerate() {
            check.require(unique > 0.0, format!("unique[{j}]"), unique, "above 0");
        }
        check.finish()?;
        Ok(ValidMixtureParams(self))
    }
}

impl ValidMixtureParams {
    /// The mixture with the lowest mean metric over `fits` (one for each validation domain), by
    /// projected gradient descent from several starting mixtures.
    ///
    /// # Errors
    /// A law without mixture, fits of other domains, and caps that leave no mixture.
    pub fn optimum<L: Law>(&self, fits: &[&Fit<L>]) -> Result<MixtureOptimum, ScalingError> {
        let Some(first) = fits.first() else {
            return Err(refuse("mixing", "there is no fit", "pass at least one"));
        };
        let (domains, law) = (&first.domains, first.law().name());
        let count = domains.len();
        if fits.iter().any(|fit| fit.domains != *domains) {
            return Err(refuse(law, "the fits have other domains", "fit them to the same columns"));
        }
        if !self.0.unique.is_empty() && self.0.unique.len() != count {
            let remedy = "give the size of every domain, in the order of the fit's domains";
            return Err(refuse(law, "the caps are for other domains", remedy));
        }
        let objective =
            |weights: &[f64], grad: &mut [f64]| mean_metric(fits, &self.0, weights, grad);
        let mut probe = vec![0.0; count];
        if count == 0 || objective(&vec![1.0 / count as f64; count], &mut probe).is_none() {
            return Err(refuse(law, "it has no mixture", "fit a mixing law"));
        }
        let caps: Vec<f64> = self.caps(count);
        let floor = self.0.floor.max(1e-9);
        if caps.iter().sum::<f64>() < 1.0 || floor * count as f64 > 1.0 {
            let remedy = "allow more epochs, a smaller budget, or a smaller floor";
            return Err(refuse(law, "the caps and the floor leave no mixture", remedy));
        }
        let open = vec![1.0; count];
        let (weights, metric) = descend(floor, &caps, objective);
        let (unconstrained, unconstrained_metric) = descend(floor, &open, objective);
        let epochs = |(w, u): (&f64, &f64)| w * self.0.samples / u;
        Ok(MixtureOptimum {
            domains: domains.clone(),
            at_cap: weights.iter().zip(&caps).map(|(w, c)| *w >= c - 1e-7 && *c < 1.0).collect(),
            epochs: weights.iter().zip(&self.0.unique).map(epochs).collect(),
            weights,
            metric,
            unconstrained,
            unconstrained_metric,
        })
    }

    fn caps(&self, count: usize) -> Vec<f64> {
        if self.0.unique.is_empty() {
            return vec![1.0; count];
        }
        let cap = |unique: &f64| (self.0.max_epochs * unique / self.0.samples).min(1.0);
        self.0.unique.iter().map(cap).collect()
    }
}

fn refuse(law: &'static str, problem: &str, remedy: &str) -> ScalingError {
    ScalingError::NotAnswerable { law, problem: problem.into(), remedy: remedy.into() }
}

/// Mean metric of the fits and its gradient by the weights; `None` without a mixture law.
fn mean_metric<L: Law>(
    fits: &[&Fit<L>],
    params: &MixtureParams,
    weights: &[f64],
    grad: &mut [f64],
) -> Option<f64> {
    let share = 1.0 / fits.len() as f64;
    let mut by_weight = vec![0.0; weights.len()];
    let mut sum = 0.0;
    grad.fill(0.0);
    for fit in fits {
        let local = fit.layout.local(fit.theta(), 0);
        let at = Point {
            parameters: params.parameters,
            mixture: weights,
            ..Point::new(params.samples, f64::NAN)
        };
        if !fit.law().mixture_gradient(&at, &local, &mut by_weight) {
            return None;
        }
        sum += share * fit.law().predict(&at, &local);
        grad.iter_mut().zip(&by_weight).for_each(|(g, b)| *g += share * b);
    }
    Some(sum)
}

/// The nearest point with `floor <= w_j <= cap_j` and `sum w_j = 1`: water-filling by bisection.
fn project(point: &[f64], floor: f64, caps: &[f64]) -> Vec<f64> {
    let fill = |level: f64| -> Vec<f64> {
        point.iter().zip(caps).map(|(p, cap)| (p + level).clamp(floor.min(*cap), *cap)).collect()
    };
    let reach = 2.0 + point.iter().fold(0.0f64, |m, p| m.max(p.abs()));
    let (mut low, mut high) = (-reach, reach);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if fill(middle).iter().sum::<f64>() < 1.0 { low = middle } else { high = middle }
    }
    fill(0.5 * (low + high))
}

/// Projected gradient descent with a step that adapts, from the middle and from near each corner.
fn descend(
    floor: f64,
    caps: &[f64],
    objective: impl Fn(&[f64], &mut [f64]) -> Option<f64>,
) -> (Vec<f64>, f64) {
    let count = caps.len();
    let corner = |j: usize| {
        (0..count).map(|i| if i == j { 0.8 } else { 0.2 / count as f64 }).collect::<Vec<f64>>()
    };
    let middle = vec![1.0 / count as f64; count];
    let starts = std::iter::once(middle).chain((0..count).map(corner));
    let mut best = (Vec::new(), f64::INFINITY);
    for start in starts {
        let mut weights = project(&start, floor, caps);
        let (mut grad, mut next_grad) = (vec![0.0; count], vec![0.0; count]);
        let mut value = objective(&weights, &mut grad).unwrap_or(f64::INFINITY);
        let mut step = 0.1 / grad.iter().fold(1e-12, |m: f64, g| m.max(g.abs()));
        for _ in 0..2000 {
            let moved: Vec<f64> = weights.iter().zip(&grad).map(|(w, g)| w - step * g).collect();
            let next = project(&moved, floor, caps);
            let change = next.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let next_value = objective(&next, &mut next_grad).unwrap_or(f64::INFINITY);
            if next_value <= value {
                (weights, value) = (next, next_value);
                std::mem::swap(&mut grad, &mut next_grad);
                step *= 1.6;
            } else {
                step *= 0.4;
            }
            if change < 1e-11 {
                break;
            }
        }
        if value < best.1 {
            best = (weights, value);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_keeps_floor_caps_and_sum() {
        let caps = [0.3, 1.0, 0.5];
        let w = project(&[0.9, 0.1, -2.0], 0.05, &caps);
        assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((w[0] - 0.3).abs() < 1e-12 && (w[2] - 0.05).abs() < 1e-12, "{w:?}");
    }

    #[test]
    fn a_quadratic_under_a_cap_by_hand() {
        // |w - (0.7, 0.2, 0.1)|^2 with the first capped at 0.5: the rest is shared equally.
        let target = [0.7, 0.2, 0.1];
        let objective = |w: &[f64], g: &mut [f64]| {
            g.iter_mut().zip(w).zip(target).for_each(|((g, w), t)| *g = 2.0 * (w - t));
            Some(w.iter().zip(target).map(|(w, t)| (w - t) * (w - t)).sum())
        };
        let (w, _) = descend(0.0, &[0.5, 1.0, 1.0], objective);
        for (got, want) in w.iter().zip([0.5, 0.3, 0.2]) {
            assert!((got - want).abs() < 1e-6, "{w:?}");
        }
    }

    #[test]
    fn violations_are_collected() {
        let bad = MixtureParams::new(0.0, -1.0).epoch_caps(vec![0.0], 0.0).floor(1.0);
        assert_eq!(bad.check().unwrap_err().violations.len(), 5);
    }
}
