//! Fitting a law to a table of runs.

mod layout;
mod params;
pub(crate) mod problem;
pub(crate) mod search;
pub(crate) mod solver;

pub(crate) use layout::Layout;
pub use layout::Slot;
pub use params::{FitParams, Loss, Prior, Space, ValidFitParams};

use crate::check::Warning;
use crate::error::ScalingError;
use crate::law::{Law, LawKind, Point};
use crate::observation::{Metric, Observations};
use problem::{Problem, rows};
use serde::{Deserialize, Serialize};

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

/// A span of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
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

/// A question outside what the runs span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutOfRange {
    /// `samples`, `epochs` or `parameters`.
    pub axis: String,
    /// The value asked about.
    pub value: f64,
    /// What the runs span.
    pub span: Span,
}

/// A fitted law: parameters, what the search found, and what the data could not tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit<L = LawKind> {
    pub(crate) params: FitParams<L>,
    pub(crate) layout: Layout,
    pub(crate) pools: Vec<PoolInfo>,
    /// Every distinct minimum found, best first; the first is the fit. Searches that stalled on
    /// the way are not minima and are left out.
    pub minima: Vec<Minimum>,
    /// How well the data determine the parameters.
    pub curvature: Curvature,
    /// Standard deviation of residuals in the fit's space, corrected for the parameters searched;
    /// `None` without degrees of freedom.
    pub noise: Option<f64>,
    /// Observations used.
    pub observations: usize,
    /// What the runs span.
    pub range: DataRange,
    /// Error or loss.
    pub metric: Metric,
    /// Names of the mixture's domains.
    pub domains: Vec<String>,
    /// SHA-256 of the table.
    pub digest: String,
    /// What the data or the search leave doubtful.
    pub warnings: Vec<Warning>,
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
    /// An unknown pool when pools have parameters of their own.
    pub fn pool_theta(&self, theta: &[f64], pool: &str) -> Result<Vec<f64>, ScalingError> {
        let known = self.pools.iter().position(|p| p.name == pool);
        if let Some(index) = known.or(self.params.per_pool.is_empty().then_some(0)) {
            return Ok(self.layout.local(theta, index));
        }
        let known = self.pools.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        Err(ScalingError::Unknown { what: "pool", name: pool.into(), known })
    }

    /// Predicted metric of a run on `pool`.
    ///
    /// # Errors
    /// An unknown pool when pools have parameters of their own.
    pub fn predict(&self, pool: &str, at: &Point<'_>) -> Result<f64, ScalingError> {
        Ok(self.law().predict(at, &self.pool_theta(self.theta(), pool)?))
    }

    /// Degrees of freedom: observations minus parameters searched.
    pub fn freedom(&self) -> usize {
        self.observations.saturating_sub(self.layout.free().len())
    }

    /// Where a run lies outside what the data span, by more than rounding.
    pub fn out_of_range(&self, at: &Point<'_>) -> Vec<OutOfRange> {
        let axes = [
            ("samples", at.samples, self.range.samples),
            ("epochs", at.samples / at.unique, self.range.epochs),
            ("parameters", at.parameters, self.range.parameters),
        ];
        let outside = |(axis, value, span): (&str, f64, Option<Span>)| {
            let span = span?;
            let inside = value.is_nan() || value >= span.low * 0.999 && value <= span.high * 1.001;
            (!inside).then(|| OutOfRange { axis: axis.into(), value, span })
        };
        axes.into_iter().filter_map(outside).collect()
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
