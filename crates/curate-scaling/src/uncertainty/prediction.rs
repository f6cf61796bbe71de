//! A predicted metric with its doubt, and whether the runs support the question.

use super::ensemble::{Ensemble, Interval};
use crate::error::ScalingError;
use crate::fit::{Fit, OutOfRange, RangeAxis};
use crate::law::{Law, Point};
use serde::{Deserialize, Serialize};

/// A predicted metric, how sure it is, and whether the runs support the question.
///
/// ```
/// use curate_scaling::fit::RangeAxis;
/// use curate_scaling::{FitParams, NoProgress, Point, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let far = Point::new().samples(1e9).unique(5e8);
/// let found = fit.predict_interval("good", &far, 0.9)?;
/// assert!(found.new_run.high - found.new_run.low > found.curve.high - found.curve.low);
/// // The largest run saw 80 million samples, in 8 epochs.
/// assert!(found.is_extrapolation() && found.is_outside(RangeAxis::Samples));
/// assert!(!found.is_outside(RangeAxis::Epochs));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Predicted metric.
    pub metric: f64,
    /// Where the curve lies.
    pub curve: Interval,
    /// Where one new measurement would lie: the curve's doubt and the noise of one run.
    pub new_run: Interval,
    /// Where the question lies outside what the runs span; empty where they support it.
    pub out_of_range: Vec<OutOfRange>,
}

impl Prediction {
    /// Whether the question lies outside what the runs span in any quantity, so that the
    /// prediction rests on the law alone. Intervals of one law do not hold the doubt about the law;
    /// those of a [`Blend`](crate::decide::Blend) of several do.
    pub fn is_extrapolation(&self) -> bool {
        !self.out_of_range.is_empty()
    }

    /// Whether the question lies outside what the runs span in this quantity.
    pub fn is_outside(&self, axis: RangeAxis) -> bool {
        self.out_of_range.iter().any(|found| found.axis == axis)
    }
}

impl<L: Law> Fit<L> {
    /// Predicted metric of a run on `pool` with intervals of `level` from the covariance (delta
    /// method, Student's t): at once, and as good as the quadratic picture is. For a bootstrap's,
    /// see [`Ensemble::predict_interval`].
    ///
    /// # Errors
    /// As [`Fit::predict`], a level outside `(0, 1)`, and data that do not determine every
    /// direction of the parameters.
    pub fn predict_interval(
        &self,
        pool: &str,
        at: &Point<'_>,
        level: f64,
    ) -> Result<Prediction, ScalingError> {
        let metric = self.predict(pool, at)?;
        let index = self.pool_index(pool)?;
        let by = |theta: &[f64]| self.law().eval(at, &self.layout.local(theta, index), None);
        Ok(Prediction {
            metric,
            curve: self.curve_interval(level, by)?,
            new_run: self.new_run_interval(level, by)?,
            out_of_range: self.out_of_range(at),
        })
    }
}

impl Ensemble {
    /// Predicted metric of a run on `pool` with intervals of `level` over the draws.
    ///
    /// # Errors
    /// As [`Fit::predict`] and [`Ensemble::interval`].
    pub fn predict_interval<L: Law>(
        &self,
        fit: &Fit<L>,
        pool: &str,
        at: &Point<'_>,
        level: f64,
    ) -> Result<Prediction, ScalingError> {
        let metric = fit.predict(pool, at)?;
        let index = fit.pool_index(pool)?;
        let by = |theta: &[f64]| fit.law().eval(at, &fit.layout.local(theta, index), None);
        Ok(Prediction {
            metric,
            curve: self.interval(fit, level, by)?,
            new_run: self.new_run_interval(fit, level, by)?,
            out_of_range: fit.out_of_range(at),
        })
    }
}
