//! What a fit found, and what it can be asked.

use super::layout::{Layout, Slot};
use super::params::FitParams;
use super::problem::{Problem, rows};
use crate::error::ScalingError;
use crate::law::{Field, Law, LawKind, Point, check_point, check_theta};
use crate::observation::{Metric, Observations};
use crate::span::Span;
use crate::warning::Warning;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A pool as the data describe it: medians of its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolInfo {
    /// The pool's name.
    pub name: String,
    /// Distinct samples.
    pub unique: Option<f64>,
    /// Parameters of the models trained on it.
    pub parameters: Option<f64>,
}

/// A point at which the search came to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minimum {
    /// Objective there.
    pub objective: f64,
    /// All parameters, in the order of [`Fit::slots`].
    pub theta: Vec<f64>,
    /// Starting points that led to it.
    pub hits: usize,
    /// Scaled gradient: for least squares, the largest cosine between the residuals and the
    /// direction of a parameter.
    pub gradient: f64,
    /// Whether the search ended because it had arrived.
    pub converged: bool,
    /// Parameters at an end of their allowed range.
    pub at_bounds: Vec<String>,
}

/// How well the data determine the parameters at the optimum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curvature {
    /// Ratio of the best to the least determined direction of the scaled Jacobian; `None` when a
    /// direction is not determined at all.
    pub condition: Option<f64>,
    /// Parameters that make up the least determined direction.
    pub weakest: Vec<String>,
    /// Covariance of the searched parameters in search coordinates, row by row; `None` without
    /// degrees of freedom or with a direction that is not determined.
    pub covariance: Option<Vec<f64>>,
}

/// What the runs span; `None` where the runs do not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRange {
    /// Samples seen.
    pub samples: Option<Span>,
    /// Epochs: samples seen over distinct samples.
    pub epochs: Option<Span>,
    /// Model parameters.
    pub parameters: Option<Span>,
}

/// A quantity whose range the runs set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeAxis {
    /// Samples seen.
    Samples,
    /// Samples seen over distinct samples.
    Epochs,
    /// Model parameters.
    Parameters,
}

impl fmt::Display for RangeAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RangeAxis::Samples => "samples",
            RangeAxis::Epochs => "epochs",
            RangeAxis::Parameters => "parameters",
        })
    }
}

/// A question outside what the runs span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutOfRange {
    /// What is outside.
    pub axis: RangeAxis,
    /// The value asked about.
    pub value: f64,
    /// What the runs span.
    pub span: Span,
}

/// A fitted law: parameters, what the search found, and what the data could not tell.
///
/// ```
/// use curate_scaling::{FitParams, NoProgress, Point, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// assert!(fit.r_squared(&runs)? > 0.999);
/// assert!((-0.32..-0.28).contains(&fit.get("b[good]")?)); // The runs were made with -0.30.
///
/// // Four epochs of the good pool, with where the curve and a new run would lie.
/// let at = Point::new().samples(4e7).unique(1e7);
/// let found = fit.predict_interval("good", &at, 0.9)?;
/// assert_eq!(found.metric, fit.predict("good", &at)?);
/// assert!(found.curve.low > 0.67 && found.curve.high < 0.68);
/// assert!(!found.is_extrapolation());
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked<L>", bound(deserialize = "L: Law + Deserialize<'de>"))]
pub struct Fit<L = LawKind> {
    pub(crate) params: FitParams<L>,
    pub(crate) layout: Layout,
    pub(crate) pools: Vec<PoolInfo>,
    /// Never empty; best first.
    pub(crate) minima: Vec<Minimum>,
    pub(crate) curvature: Curvature,
    pub(crate) noise: Option<f64>,
    pub(crate) observations: usize,
    pub(crate) range: DataRange,
    pub(crate) metric: Metric,
    pub(crate) domains: Vec<String>,
    pub(crate) digest: String,
    pub(crate) warnings: Vec<Warning>,
}

/// A fit as a file has it, whose parts may not fit together.
#[derive(Deserialize)]
struct Unchecked<L> {
    params: FitParams<L>,
    layout: Layout,
    pools: Vec<PoolInfo>,
    minima: Vec<Minimum>,
    curvature: Curvature,
    noise: Option<f64>,
    observations: usize,
    range: DataRange,
    metric: Metric,
    domains: Vec<String>,
    digest: String,
    warnings: Vec<Warning>,
}

impl<L: Law> TryFrom<Unchecked<L>> for Fit<L> {
    type Error = &'static str;

    fn try_from(read: Unchecked<L>) -> Result<Self, Self::Error> {
        let fit = Fit {
            params: read.params,
            layout: read.layout,
            pools: read.pools,
            minima: read.minima,
            curvature: read.curvature,
            noise: read.noise,
            observations: read.observations,
            range: read.range,
            metric: read.metric,
            domains: read.domains,
            digest: read.digest,
            warnings: read.warnings,
        };
        fit.consistency().map(|()| fit)
    }
}

impl<L: Law> Fit<L> {
    /// The fitted law.
    pub fn law(&self) -> &L {
        &self.params.law
    }

    /// The options of the fit.
    pub fn params(&self) -> &FitParams<L> {
        &self.params
    }

    /// The pools, in order of first appearance.
    pub fn pools(&self) -> &[PoolInfo] {
        &self.pools
    }

    /// Every distinct minimum found, best first; the first is the fit. Searches that stalled on
    /// the way are not minima and are left out.
    pub fn minima(&self) -> &[Minimum] {
        &self.minima
    }

    /// How well the data determine the parameters.
    pub fn curvature(&self) -> &Curvature {
        &self.curvature
    }

    /// Standard deviation of residuals in the fit's space, corrected for the parameters searched;
    /// `None` without degrees of freedom.
    pub fn noise(&self) -> Option<f64> {
        self.noise
    }

    /// Number of observations used.
    pub fn observations(&self) -> usize {
        self.observations
    }

    /// What the runs span.
    pub fn range(&self) -> &DataRange {
        &self.range
    }

    /// Error or loss.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Names of the mixture's domains.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// SHA-256 of the table fitted, as [`Observations::digest`] has it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the data or the search leave doubtful.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What each entry of [`Fit::theta`] is.
    pub fn slots(&self) -> &[Slot] {
        &self.layout.slots
    }

    /// All parameters in natural units.
    pub fn theta(&self) -> &[f64] {
        &self.minima[0].theta
    }

    /// The objective at the fit: a sum over the rows.
    pub fn objective(&self) -> f64 {
        self.minima[0].objective
    }

    /// The value of a parameter, `name` or `name[pool]`.
    ///
    /// # Errors
    /// An unknown name, with the known ones.
    pub fn get(&self, name: &str) -> Result<f64, ScalingError> {
        Ok(self.theta()[self.slot(name)?])
    }

    pub(crate) fn slot(&self, name: &str) -> Result<usize, ScalingError> {
        self.layout.find(name).ok_or_else(|| ScalingError::Unknown {
            what: "parameter",
            name: name.into(),
            known: self.layout.names(),
        })
    }

    /// The law's parameters as `pool` has them, from a full vector like [`Fit::theta`]. A pool
    /// that the fit has not seen is allowed if every parameter is shared.
    ///
    /// # Errors
    /// A vector of another length than the fit's, and an unknown pool when pools have parameters
    /// of their own.
    pub fn pool_theta(&self, theta: &[f64], pool: &str) -> Result<Vec<f64>, ScalingError> {
        check_theta(theta, self.slots().len())?;
        Ok(self.layout.local(theta, self.pool_index(pool)?))
    }

    /// The pool whose parameters stand for `name`: its own, or any where all are shared.
    pub(crate) fn pool_index(&self, name: &str) -> Result<usize, ScalingError> {
        let known = self.pools.iter().position(|p| p.name == name);
        known.or(self.params.per_pool.is_empty().then_some(0)).ok_or_else(|| {
            let known = self.pool_names().join(", ");
            ScalingError::Unknown { what: "pool", name: name.into(), known }
        })
    }

    /// Predicted metric of a run on `pool`.
    ///
    /// # Errors
    /// An unknown pool when pools have parameters of their own; a quantity that the law needs and
    /// the point lacks, by name; one that no run can have.
    pub fn predict(&self, pool: &str, at: &Point<'_>) -> Result<f64, ScalingError> {
        self.check_mixture(at)?;
        self.law().predict(at, &self.layout.local(self.theta(), self.pool_index(pool)?))
    }

    /// Refuses weights for other domains than the fit's.
    fn check_mixture(&self, at: &Point<'_>) -> Result<(), ScalingError> {
        let given = at.mixture.len();
        let needed = self.law().needs().contains(&Field::Mixture) && given > 0;
        let mut check = Checker::default();
        let names = self.domains.join(", ");
        let allowed = format!("{} weights, for {names}", self.domains.len());
        let matches = !needed || given == self.domains.len();
        check.that(matches, "mixture", format!("{given} weights"), allowed);
        Ok(check.finish()?)
    }

    /// Refuses a point that the law cannot be evaluated at; `of` says what was to be predicted.
    pub(crate) fn check_point(
        &self,
        at: &Point<'_>,
        of: &str,
        remedy: &str,
    ) -> Result<(), ScalingError> {
        self.check_mixture(at)?;
        check_point(self.law(), at, of, remedy)
    }

    /// Degrees of freedom: observations minus parameters searched.
    pub fn freedom(&self) -> usize {
        self.observations.saturating_sub(self.layout.free().len())
    }

    /// Where a run lies outside what the data span, by more than rounding.
    pub fn out_of_range(&self, at: &Point<'_>) -> Vec<OutOfRange> {
        let axes = [
            (RangeAxis::Samples, at.samples, self.range.samples),
            (RangeAxis::Epochs, at.samples / at.unique, self.range.epochs),
            (RangeAxis::Parameters, at.parameters, self.range.parameters),
        ];
        let outside = |(axis, value, span): (RangeAxis, f64, Option<Span>)| {
            let span = span?;
            let inside = value.is_nan() || value >= span.low * 0.999 && value <= span.high * 1.001;
            (!inside).then_some(OutOfRange { axis, value, span })
        };
        axes.into_iter().filter_map(outside).collect()
    }

    /// What every fit that was made holds, and one that was read from a file may not.
    fn consistency(&self) -> Result<(), &'static str> {
        let (slots, specs) = (self.layout.slots.len(), self.law().params().len());
        let layout = self.layout.slots.iter().all(|slot| slot.parameter < specs)
            && !self.pools.is_empty()
            && self.layout.of_pool.len() == self.pools.len()
            && self
                .layout
                .of_pool
                .iter()
                .all(|of| of.len() == specs && of.iter().all(|i| *i < slots));
        if !layout {
            return Err("its layout does not fit its law and pools");
        }
        if self.minima.is_empty() || self.minima.iter().any(|m| m.theta.len() != slots) {
            return Err("its minima do not fit its layout");
        }
        let free = self.layout.free().len();
        if self.curvature.covariance.as_ref().is_some_and(|cells| cells.len() != free * free) {
            return Err("its covariance does not fit its layout");
        }
        Ok(())
    }

    /// Refuses a table other than the one fitted.
    pub(crate) fn check_data(&self, data: &Observations) -> Result<(), ScalingError> {
        let received = data.digest();
        if received == self.digest {
            return Ok(());
        }
        Err(ScalingError::OtherData { expected: self.digest.clone(), received })
    }

    pub(crate) fn pool_names(&self) -> Vec<String> {
        self.pools.iter().map(|p| p.name.clone()).collect()
    }

    pub(crate) fn problem<'a>(&'a self, data: &'a Observations) -> Problem<'a, L> {
        let rows = rows(data, &self.pool_names(), self.params.space);
        Problem::new(&self.params, &self.layout, rows)
    }

    /// Residuals, observation minus prediction, in the fit's space.
    ///
    /// # Errors
    /// A table other than the one fitted.
    pub fn residuals(&self, data: &Observations) -> Result<Vec<f64>, ScalingError> {
        self.check_data(data)?;
        let problem = self.problem(data);
        let mut residuals = Vec::with_capacity(problem.rows.len());
        let x = problem.coordinates_of(self.theta());
        problem.for_each_row(&x, |row, residual, _| residuals.push(-residual / row.scale));
        Ok(residuals)
    }

    /// Share of the metric's variance that the fit explains, in units of the metric.
    ///
    /// # Errors
    /// A table other than the one fitted.
    pub fn r_squared(&self, data: &Observations) -> Result<f64, ScalingError> {
        self.check_data(data)?;
        let mean = data.rows().iter().map(|r| r.value).sum::<f64>() / data.rows().len() as f64;
        let (mut left, mut total) = (0.0, 0.0);
        for row in data.rows() {
            left += (row.value - self.predict(&row.pool, &row.point())?).powi(2);
            total += (row.value - mean).powi(2);
        }
        Ok(1.0 - left / total)
    }
}
