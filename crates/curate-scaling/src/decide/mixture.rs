//! The best mixture of domains under epoch caps.

use crate::argument::check_positive;
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::{Law, Point};
use curate_core::ParamsError;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

/// Least weight that any domain gets: laws with a power of the weight are singular at zero.
const FLOOR: f64 = 1e-9;
/// Most steps of one descent.
const STEPS: usize = 2000;

/// Options of a mixture optimum, not yet checked.
///
/// ```
/// use curate_scaling::decide::MixtureParams;
/// use curate_scaling::law::{ExponentialMixing, Law};
/// use curate_scaling::{FitParams, Metric, NoProgress, Observation, Observations};
///
/// // Runs of two domains that follow the law exactly; code lowers the loss, web raises it.
/// let (law, theta) = (ExponentialMixing { domains: 2 }, [1.5, -0.6, 0.4]);
/// let mut rows = Vec::new();
/// for code in [0.1, 0.3, 0.5, 0.7, 0.9] {
///     let row = Observation::new("mix", 1.0).mixture(vec![code, 1.0 - code]);
///     rows.push(Observation { value: law.predict(&row.point(), &theta)?, ..row });
/// }
/// let runs = Observations::new(Metric::Loss, vec!["code".into(), "web".into()], rows)?;
/// let fit = FitParams::new(law.clone()).fit(&runs, &NoProgress)?;
///
/// // A billion samples, at most four passes over 100 million of code and a billion of web.
/// let params = MixtureParams::new(1e9).epoch_caps(vec![1e8, 1e9], 4.0).check()?;
/// let best = params.optimum(&[&fit])?;
/// assert!((best.weights[0] - 0.4).abs() < 1e-6 && best.at_cap[0]);
/// assert!(best.unconstrained[0] > 0.99);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureParams {
    samples: f64,
    parameters: Option<f64>,
    caps: Option<EpochCaps>,
    floor: f64,
}

/// How often each domain may be passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EpochCaps {
    unique: Vec<f64>,
    max_epochs: f64,
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
    /// Epochs of each domain; empty without [`MixtureParams::epoch_caps`].
    pub epochs: Vec<f64>,
    /// Whether each domain is at its cap.
    pub at_cap: Vec<bool>,
    /// Best weights without caps.
    pub unconstrained: Vec<f64>,
    /// Mean of the fits' metrics there.
    pub unconstrained_metric: f64,
}

impl MixtureParams {
    /// A budget of `samples` samples; no caps.
    pub fn new(samples: f64) -> Self {
        MixtureParams { samples, parameters: None, caps: None, floor: 0.0 }
    }

    /// Sets the model's parameters, for laws that know them.
    pub fn parameters(mut self, parameters: f64) -> Self {
        self.parameters = Some(parameters);
        self
    }

    /// Caps each domain at `max_epochs` passes over its `unique` samples (in the fit's order of
    /// domains): weight `j` is at most `max_epochs unique_j / samples`.
    pub fn epoch_caps(mut self, unique: Vec<f64>, max_epochs: f64) -> Self {
        self.caps = Some(EpochCaps { unique, max_epochs });
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
        let mut check = Checker::default();
        check_positive(&mut check, "samples", self.samples);
        if let Some(parameters) = self.parameters {
            check_positive(&mut check, "parameters", parameters);
        }
        if let Some(EpochCaps { unique, max_epochs }) = &self.caps {
            check.that(*max_epochs > 0.0, "max_epochs", max_epochs, "above 0");
            for (j, &unique) in unique.iter().enumerate() {
                check.that(unique > 0.0, format!("unique[{j}]"), unique, "above 0");
            }
        }
        check.that((0.0..1.0).contains(&self.floor), "floor", self.floor, "in [0, 1)");
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
        self.check_fits(first, fits)?;
        let caps = self.weight_caps(domains.len());
        let floor = self.0.floor.max(FLOOR);
        if caps.iter().sum::<f64>() < 1.0 || floor * domains.len() as f64 > 1.0 {
            let remedy = "allow more epochs, a smaller budget, or a smaller floor";
            return Err(refuse(law, "the caps and the floor leave no mixture", remedy));
        }
        let objective =
            |weights: &[f64], grad: &mut [f64]| mean_metric(fits, &self.0, weights, grad);
        let capped = descend(floor, &caps, objective);
        let open = descend(floor, &vec![1.0; domains.len()], objective);
        let weights = capped.weights;
        Ok(MixtureOptimum {
            domains: domains.clone(),
            at_cap: weights.iter().zip(&caps).map(|(w, c)| *w >= c - 1e-7 && *c < 1.0).collect(),
            epochs: self.epochs(&weights),
            weights,
            metric: capped.metric,
            unconstrained: open.weights,
            unconstrained_metric: open.metric,
        })
    }

    /// Refuses laws without mixtures, fits and caps of other domains, and a missing model size.
    fn check_fits<L: Law>(&self, first: &Fit<L>, fits: &[&Fit<L>]) -> Result<(), ScalingError> {
        let (count, law) = (first.domains.len(), first.law().name());
        if fits.iter().any(|fit| fit.domains != first.domains) {
            return Err(refuse(law, "the fits have other domains", "fit them to the same columns"));
        }
        if self.0.caps.as_ref().is_some_and(|caps| caps.unique.len() != count) {
            let remedy = "give the size of every domain, in the order of the fit's domains";
            return Err(refuse(law, "the caps are for other domains", remedy));
        }
        let even = vec![1.0 / count as f64; count];
        let mut probe = vec![0.0; count];
        if count == 0 || mean_metric(fits, &self.0, &even, &mut probe).is_none() {
            return Err(refuse(law, "it has no mixture", "fit a mixing law"));
        }
        let at = self.0.point(&even);
        let remedy = "set it with `MixtureParams::parameters`";
        fits.iter().try_for_each(|fit| fit.check_point(&at, "the mixture", remedy))
    }

    fn epochs(&self, weights: &[f64]) -> Vec<f64> {
        let sizes = self.0.caps.iter().flat_map(|caps| &caps.unique);
        weights.iter().zip(sizes).map(|(w, unique)| w * self.0.samples / unique).collect()
    }

    /// The largest weight of each domain.
    fn weight_caps(&self, count: usize) -> Vec<f64> {
        let Some(EpochCaps { unique, max_epochs }) = &self.0.caps else { return vec![1.0; count] };
        unique.iter().map(|unique| (max_epochs * unique / self.0.samples).min(1.0)).collect()
    }
}

impl MixtureParams {
    fn point<'a>(&self, weights: &'a [f64]) -> Point<'a> {
        let at = Point::new().samples(self.samples).mixture(weights);
        self.parameters.map_or(at, |parameters| at.parameters(parameters))
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
        let at = params.point(weights);
        if !fit.law().mixture_gradient(&at, &local, &mut by_weight) {
            return None;
        }
        sum += share * fit.law().eval(&at, &local, None);
        grad.iter_mut().zip(&by_weight).for_each(|(g, b)| *g += share * b);
    }
    Some(sum)
}

/// The nearest point with `floor <= w_j <= cap_j` and `sum w_j = 1`: every weight is shifted by one
/// level and clamped (the condition of the optimum), and the level is found by bisection, which cannot
/// fail as the sum rises with it.
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

/// A mixture and its metric.
struct Found {
    weights: Vec<f64>,
    metric: f64,
}

/// Projected gradient descent from the middle and from near each corner: the metric need not be
/// convex in the weights, and its minima under caps lie near corners.
fn descend(
    floor: f64,
    caps: &[f64],
    objective: impl Fn(&[f64], &mut [f64]) -> Option<f64>,
) -> Found {
    let count = caps.len();
    let corner = |j: usize| {
        (0..count).map(|i| if i == j { 0.8 } else { 0.2 / count as f64 }).collect::<Vec<f64>>()
    };
    let middle = vec![1.0 / count as f64; count];
    let starts = std::iter::once(middle).chain((0..count).map(corner));
    let mut best = Found { weights: Vec::new(), metric: f64::INFINITY };
    for start in starts {
        let found = descend_from(project(&start, floor, caps), floor, caps, &objective);
        if found.metric < best.metric {
            best = found;
        }
    }
    best
}

/// One descent, with a step that grows while it pays and shrinks where it does not: the curvature
/// of these laws differs by orders of magnitude between domains, so no fixed step serves.
fn descend_from(
    mut weights: Vec<f64>,
    floor: f64,
    caps: &[f64],
    objective: impl Fn(&[f64], &mut [f64]) -> Option<f64>,
) -> Found {
    let (mut grad, mut next_grad) = (vec![0.0; caps.len()], vec![0.0; caps.len()]);
    let mut metric = objective(&weights, &mut grad).unwrap_or(f64::INFINITY);
    let mut step = 0.1 / grad.iter().fold(1e-12, |m: f64, g| m.max(g.abs()));
    for _ in 0..STEPS {
        let moved: Vec<f64> = weights.iter().zip(&grad).map(|(w, g)| w - step * g).collect();
        let next = project(&moved, floor, caps);
        let change = next.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let next_metric = objective(&next, &mut next_grad).unwrap_or(f64::INFINITY);
        if next_metric <= metric {
            (weights, metric) = (next, next_metric);
            std::mem::swap(&mut grad, &mut next_grad);
            step *= 1.6;
        } else {
            step *= 0.4;
        }
        if change < 1e-11 {
            break;
        }
    }
    Found { weights, metric }
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
        let w = descend(0.0, &[0.5, 1.0, 1.0], objective).weights;
        for (got, want) in w.iter().zip([0.5, 0.3, 0.2]) {
            assert!((got - want).abs() < 1e-6, "{w:?}");
        }
    }

    #[test]
    fn violations_are_collected() {
        let bad = MixtureParams::new(0.0).parameters(-1.0).epoch_caps(vec![0.0], 0.0).floor(1.0);
        assert_eq!(bad.check().unwrap_err().violations.len(), 5);
    }
}
