//! What every law offers: its parameters, its value, its gradient.

use crate::error::ScalingError;
use crate::point::{Field, Point};
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

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

/// A normal prior in search coordinates: for positive parameters `spread` is relative (0.3 is
/// about 30 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Most likely value, natural units.
    pub center: f64,
    /// Standard deviation in search coordinates.
    pub spread: f64,
}

impl Prior {
    /// A prior around `center`.
    pub fn new(center: f64, spread: f64) -> Prior {
        Prior { center, spread }
    }
}

/// What is known of a floor before the runs are seen: about half of the lowest metric, and hardly
/// above it.
pub(super) fn floor_prior(data: &Summary) -> Prior {
    Prior::new(0.5 * data.lowest, 0.3 * data.lowest)
}

/// Spread of parameters of which nothing is known but their order of magnitude.
pub(super) const VAGUE: f64 = 5.0;

/// One pool of a union, for laws that can predict unions.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Distinct samples of the pool.
    pub unique: f64,
    /// The pool's own parameters, in the order of [`Law::params`].
    pub theta: &'a [f64],
}

/// A law of data and compute with an analytic gradient.
///
/// [`Law::predict`] is the way in for users. [`Law::eval`] and the other methods are what a law of
/// your own has to bring; the fitter calls them with vectors of the right length.
///
/// ```
/// use curate_scaling::law::{Law, Point, Power};
///
/// // y = E + A n^-c at n = 100.
/// let value = Power.predict(&Point::new().samples(100.0), &[0.25, 5.0, 0.5])?;
/// assert!((value - 0.75).abs() < 1e-12);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
pub trait Law: fmt::Debug + Clone + Send + Sync {
    /// Stable name, as read by [`LawKind`](crate::LawKind)'s `FromStr`.
    fn name(&self) -> &'static str;

    /// The parameters, in the order that every `theta` follows.
    fn params(&self) -> Vec<ParamSpec>;

    /// The quantities that every run must have.
    fn needs(&self) -> &'static [Field];

    /// Predicted metric at `at`; with `grad`, also its derivative by each parameter (natural
    /// units, in the order of [`Law::params`]).
    ///
    /// The search evaluates this millions of times, so nothing is checked: it is NaN where `at`
    /// lacks a quantity, or `theta`, `grad` or the mixture has another length than the law.
    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64;

    /// A starting point: `unit` holds one uniform draw in `[0, 1)` per parameter. NaN for another
    /// number of draws.
    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64>;

    /// The parameters that pools usually have of their own, where pools differ in quality.
    fn usually_per_pool(&self) -> &'static [&'static str] {
        &[]
    }

    /// What is known of the parameters before the runs are seen: published values, and the runs'
    /// order of magnitude. Wide, so that runs decide where they can; a law with a prior on every
    /// parameter can be fitted to any number of runs, and says how little a few of them tell.
    fn usual_priors(&self, _data: &Summary) -> Vec<(&'static str, Prior)> {
        Vec::new()
    }

    /// Predicted metric at `at`.
    ///
    /// # Errors
    /// A quantity that the law needs and `at` lacks, by name; one that no run can have; a vector
    /// of another length than the law's; a value that is not finite.
    fn predict(&self, at: &Point<'_>, theta: &[f64]) -> Result<f64, ScalingError> {
        check_theta(theta, self.params().len())?;
        check_point(self, at, "the point", "set it on the point")?;
        let value = self.eval(at, theta, None);
        if value.is_finite() {
            return Ok(value);
        }
        Err(ScalingError::NotAnswerable {
            law: self.name(),
            problem: format!("its value at this point is {value}"),
            remedy: "check the units of the point and the parameters' allowed ranges".into(),
        })
    }

    /// Predicted metric after `samples` drawn uniformly from the union of disjoint pools; `None`
    /// where the law says nothing about unions, or there are no members. Unchecked, as
    /// [`Law::eval`].
    fn predict_union(&self, _samples: f64, _members: &[Member<'_>]) -> Option<f64> {
        None
    }

    /// Derivative of the metric by each mixture weight; `false` where the law has no mixture of as
    /// many domains as `at` and `grad`.
    fn mixture_gradient(&self, _at: &Point<'_>, _theta: &[f64], _grad: &mut [f64]) -> bool {
        false
    }
}

/// Refuses a parameter vector of another length than `count`.
pub(crate) fn check_theta(theta: &[f64], count: usize) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    let values = format!("{} values", theta.len());
    check.that(theta.len() == count, "theta", values, format!("{count} values, one per parameter"));
    Ok(check.finish()?)
}

/// Refuses a point that lacks what the law needs, or has what no run can have. `of` says in errors
/// what was to be predicted, `remedy` how to complete it.
pub(crate) fn check_point<L: Law>(
    law: &L,
    at: &Point<'_>,
    of: &str,
    remedy: &str,
) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    for &field in law.needs() {
        let value = at.field(field);
        if value.is_nan() {
            let (law, of, remedy) = (law.name(), of.into(), remedy.into());
            return Err(ScalingError::Missing { law, field, of, remedy });
        }
        match field {
            Field::Mixture => {
                let bad = at.mixture.iter().find(|w| !(w.is_finite() && **w >= 0.0));
                let allowed = "a finite number of at least 0";
                check.that(bad.is_none(), "mixture", bad.unwrap_or(&0.0), allowed);
            }
            // A pool without end is how a user says that nothing repeats.
            Field::Unique => check.that(value > 0.0, "unique", value, "above 0"),
            _ => {
                let holds = value > 0.0 && value.is_finite();
                check.that(holds, field.to_string(), value, "a finite number above 0");
            }
        }
    }
    Ok(check.finish()?)
}

/// Whether a parameter vector and the place for its gradient have the law's length.
pub(super) fn sized(theta: &[f64], grad: Option<&[f64]>, count: usize) -> bool {
    theta.len() == count && grad.is_none_or(|grad| grad.len() == count)
}

/// Log-uniform value in `[low, high]` from a uniform draw.
pub(super) fn log_between(low: f64, high: f64, unit: f64) -> f64 {
    low * (high / low).powf(unit)
}
