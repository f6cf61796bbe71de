//! The laws: what each predicts, which parameters it has, and its analytic gradient.
//!
//! A law sees one [`Point`] (a training run, real or imagined) and a vector of parameters in
//! natural units, in the order of [`Law::params`]. Sharing between pools, bounds and transforms
//! are the fitter's business.

mod chinchilla;
mod data_constrained;
mod downstream;
mod kind;
mod mixing;
mod over_training;
mod power;
mod qqt;

pub use chinchilla::Chinchilla;
pub use data_constrained::{DataConstrained, Decay};
pub use downstream::LossToError;
pub use kind::LawKind;
pub use mixing::{AdditiveMixing, ExponentialMixing};
pub use over_training::OverTraining;
pub use power::{Power, ShiftedPower};
pub use qqt::{HalfLife, Qqt, QqtForm, normaliser_from_unit_samples, unit_samples_from_normaliser};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A quantity of a run that a law may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Samples (or tokens) seen, repeats included.
    Samples,
    /// Distinct samples (or tokens) in the pool.
    Unique,
    /// Model parameters.
    Parameters,
    /// Loss of the same model on the upstream task.
    UpstreamLoss,
    /// Weights of the mixture's domains.
    Mixture,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Samples => "samples",
            Field::Unique => "unique",
            Field::Parameters => "parameters",
            Field::UpstreamLoss => "upstream_loss",
            Field::Mixture => "weight_<domain>",
        })
    }
}

/// One training run as a law sees it. A quantity that is not known is NaN; [`Law::needs`] says
/// which must be known.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// Samples (or tokens) seen, repeats included.
    pub samples: f64,
    /// Distinct samples (or tokens) in the pool.
    pub unique: f64,
    /// Model parameters.
    pub parameters: f64,
    /// Loss of the same model on the upstream task.
    pub upstream_loss: f64,
    /// Weights of the mixture's domains, in the table's order.
    pub mixture: &'a [f64],
}

impl Point<'_> {
    /// A run of `samples` samples from a pool of `unique` distinct ones, nothing else known.
    pub fn new(samples: f64, unique: f64) -> Point<'static> {
        Point { samples, unique, parameters: f64::NAN, upstream_loss: f64::NAN, mixture: &[] }
    }

    /// The value of a field; the first weight stands for the mixture.
    pub(crate) fn field(&self, field: Field) -> f64 {
        match field {
            Field::Samples => self.samples,
            Field::Unique => self.unique,
            Field::Parameters => self.parameters,
            Field::UpstreamLoss => self.upstream_loss,
            Field::Mixture => self.mixture.first().copied().unwrap_or(f64::NAN),
        }
    }
}

/// The coordinates in which a parameter is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    Linear,
    /// `ln x`, for `x > 0`.
    Log,
    /// `ln(-x)`, for `x < 0`.
    NegativeLog,
}

impl Transform {
    /// From natural units to search coordinates.
    pub fn forward(self, x: f64) -> f64 {
        match self {
            Transform::Linear => x,
            Transform::Log => x.ln(),
            Transform::NegativeLog => (-x).ln(),
        }
    }

    /// From search coordinates to natural units.
    pub fn inverse(self, u: f64) -> f64 {
        match self {
            Transform::Linear => u,
            Transform::Log => u.exp(),
            Transform::NegativeLog => -u.exp(),
        }
    }

    /// Derivative of the natural value by the search coordinate, at natural value `x`.
    pub fn slope(self, x: f64) -> f64 {
        match self {
            Transform::Linear => 1.0,
            Transform::Log | Transform::NegativeLog => x,
        }
    }
}

/// A parameter of a law: its name, unit, allowed range and search coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// The name used in options and reports.
    pub name: Cow<'static, str>,
    /// Its unit, in words.
    pub unit: &'static str,
    /// Smallest allowed value.
    pub lower: f64,
    /// Largest allowed value; may be infinite.
    pub upper: f64,
    /// Search coordinates.
    pub transform: Transform,
}

impl ParamSpec {
    /// A parameter searched as it is.
    pub fn linear(name: &'static str, unit: &'static str, lower: f64, upper: f64) -> Self {
        let transform = Transform::Linear;
        ParamSpec { name: Cow::Borrowed(name), unit, lower, upper, transform }
    }

    /// A positive parameter searched by its logarithm.
    pub fn positive(name: &'static str, unit: &'static str, lower: f64, upper: f64) -> Self {
        ParamSpec { transform: Transform::Log, ..Self::linear(name, unit, lower, upper) }
    }

    /// A negative parameter searched by the logarithm of its size.
    pub fn negative(name: &'static str, unit: &'static str, lower: f64, upper: f64) -> Self {
        ParamSpec { transform: Transform::NegativeLog, ..Self::linear(name, unit, lower, upper) }
    }

    /// The range in search coordinates, smaller end first.
    pub(crate) fn search_range(&self) -> (f64, f64) {
        let (a, b) = (self.transform.forward(self.lower), self.transform.forward(self.upper));
        (a.min(b), a.max(b))
    }
}

/// What the starting points of a fit know about the data: medians, and the smallest metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Median samples seen.
    pub samples: f64,
    /// Median distinct samples; NaN when unknown.
    pub unique: f64,
    /// Median model parameters; NaN when unknown.
    pub parameters: f64,
    /// Median upstream loss; NaN when unknown.
    pub upstream_loss: f64,
    /// Median metric.
    pub metric: f64,
    /// Smallest metric.
    pub lowest: f64,
    /// Largest metric.
    pub highest: f64,
}

/// One pool of a union, for laws that can predict unions.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Distinct samples of the pool.
    pub unique: f64,
    /// The pool's own parameters, in the order of [`Law::params`].
    pub theta: &'a [f64],
}

/// A law of data and compute with an analytic gradient.
pub trait Law: fmt::Debug + Clone + Send + Sync {
    /// Stable name, as read by [`LawKind`]'s `FromStr`.
    fn name(&self) -> &'static str;

    /// The parameters, in the order that every `theta` follows.
    fn params(&self) -> Vec<ParamSpec>;

    /// The quantities that every run must have.
    fn needs(&self) -> &'static [Field];

    /// Predicted metric at `at`; with `grad`, also its derivative by each parameter (natural
    /// units, in the order of [`Law::params`]).
    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64;

    /// A starting point: `unit` holds one uniform draw in `[0, 1)` a parameter.
    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64>;

    /// The parameters that pools usually have of their own, where pools differ in quality.
    fn usually_per_pool(&self) -> &'static [&'static str] {
        &[]
    }

    /// Predicted metric at `at`.
    fn predict(&self, at: &Point<'_>, theta: &[f64]) -> f64 {
        self.eval(at, theta, None)
    }

    /// Predicted metric after `samples` drawn uniformly from the union of disjoint pools; `None`
    /// where the law says nothing about unions.
    fn predict_union(&self, _samples: f64, _members: &[Member<'_>]) -> Option<f64> {
        None
    }

    /// Derivative of the metric by each mixture weight; `false` where the law has no mixture.
    fn mixture_gradient(&self, _at: &Point<'_>, _theta: &[f64], _grad: &mut [f64]) -> bool {
        false
    }
}

/// Log-uniform value in `[low, high]` from a uniform draw.
pub(crate) fn log_between(low: f64, high: f64, unit: f64) -> f64 {
    low * (high / low).powf(unit)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Law, Point};

    /// Compares the analytic gradient with central differences at one point.
    pub(crate) fn assert_gradient<L: Law>(law: &L, at: &Point<'_>, theta: &[f64]) {
        let mut grad = vec![0.0; theta.len()];
        law.eval(at, theta, Some(&mut grad));
        for (i, &analytic) in grad.iter().enumerate() {
            let step = 1e-5 * theta[i].abs().max(1e-6);
            let shifted = |sign: f64| {
                let mut moved = theta.to_vec();
                moved[i] += sign * step;
                law.predict(at, &moved)
            };
            let numeric = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            let rounding = 1e-9 * law.predict(at, theta).abs() / theta[i].abs().max(1e-6);
            assert!(
                (analytic - numeric).abs() <= 1e-5 * analytic.abs() + rounding,
                "{} parameter {i}: analytic {analytic:e}, numeric {numeric:e}",
                law.name()
            );
        }
    }
}
