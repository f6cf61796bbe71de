//! The objective along one parameter, everything else refitted.

use super::ensemble::Interval;
use crate::argument;
use crate::error::ScalingError;
use crate::fit::problem::{Problem, rows};
use crate::fit::search::minimize;
use crate::fit::spread::Spread;
use crate::fit::start::starting_points;
use crate::fit::{Fit, Layout};
use crate::law::Law;
use crate::observation::Observations;
use crate::stats::student_two_sided;
use crate::task::Task;
use curate_core::Progress;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One point of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfilePoint {
    /// The parameter's value.
    pub value: f64,
    /// Smallest objective with the parameter held there.
    pub objective: f64,
    /// All parameters there, in the order of [`Fit::slots`].
    pub theta: Vec<f64>,
}

/// Minima of the fit that every point is searched from.
const MINIMA: usize = 8;
/// Drawn starting points that every point is searched from.
const STARTS: usize = 16;
/// Sweeps from neighbor to neighbor: one up, one down.
const SWEEPS: usize = 2;

/// The objective along one parameter: what [`profile`] finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The parameter.
    pub parameter: String,
    /// The values asked for, and what they cost.
    pub points: Vec<ProfilePoint>,
    /// The value at the fit.
    pub estimate: f64,
    /// The objective at the fit.
    pub objective: f64,
    /// How much the objective may rise for one squared Student's t.
    unit: f64,
    freedom: f64,
}

/// Profiles `parameter` (`name`, or `name[pool]`) over `values` in natural units. `progress` hears
/// of one task, in refits.
///
/// ```
/// use curate_scaling::uncertainty::profile;
/// use curate_scaling::{FitParams, NoProgress, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let floors: Vec<f64> = (0..=8).map(|i| 0.05 * f64::from(i)).collect();
/// let found = profile(&fit, &runs, "d", &floors, &NoProgress)?;
/// let interval = found.interval(0.9)?;
/// assert!(interval.low < 0.1 && 0.1 < interval.high); // The runs were made with 0.1.
/// assert!(found.better().is_none()); // No point lies below the fit: it is no local minimum.
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// An unknown or fixed parameter, values outside its range, a table other than the one fitted, and
/// [`ScalingError::Cancelled`].
pub fn profile<L: Law>(
    fit: &Fit<L>,
    data: &Observations,
    parameter: &str,
    values: &[f64],
    progress: &dyn Progress,
) -> Result<Profile, ScalingError> {
    fit.check_data(data)?;
    let slot = fit.slot(parameter)?;
    if fit.slots()[slot].fixed.is_some() {
        return Err(ScalingError::NotAnswerable {
            law: fit.law().name(),
            problem: format!("`{parameter}` is fixed"),
            remedy: "fit it first, then profile it".into(),
        });
    }
    let free = fit.problem(data);
    let x = free.coordinates_of(fit.theta());
    let unit = Spread::of(&free, &x, fit.params().loss).map_or(f64::NAN, |spread| spread.rise());
    let mut starts: Vec<Vec<f64>> =
        fit.minima.iter().take(MINIMA).map(|m| m.theta.clone()).collect();
    let drawn = starting_points(&free, fit.params(), data, &fit.pool_names());
    starts.extend(drawn.iter().take(STARTS).map(|x| free.theta(x)));
    let refits = values.len() + SWEEPS * values.len().saturating_sub(1);
    let task = Task::start(progress, &format!("profile {parameter}"), refits, "refits");
    let first = |&value: &f64| task.unit(|| point(fit, data, parameter, value, &starts))?;
    let mut points: Vec<ProfilePoint> = values.par_iter().map(first).collect::<Result<_, _>>()?;
    sweep(&mut points, |value, start| {
        task.unit(|| point(fit, data, parameter, value, &[start.to_vec()]))?
    })?;
    Ok(Profile {
        parameter: parameter.into(),
        points,
        estimate: fit.theta()[slot],
        objective: fit.objective(),
        unit,
        freedom: fit.freedom() as f64,
    })
}

/// Refits every point from its neighbor's parameters, up and down the values, and keeps what is
/// lower: a valley that neither the minima nor the drawn starts lie in is found from the neighbor
/// that does, and handed on from there.
fn sweep(
    points: &mut [ProfilePoint],
    refit: impl Fn(f64, &[f64]) -> Result<ProfilePoint, ScalingError>,
) -> Result<(), ScalingError> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&i, &j| points[i].value.total_cmp(&points[j].value));
    for _ in 0..SWEEPS {
        for pair in order.windows(2) {
            let again = refit(points[pair[1]].value, &points[pair[0]].theta)?;
            if again.objective < points[pair[1]].objective {
                points[pair[1]] = again;
            }
        }
        order.reverse();
    }
    Ok(())
}

/// The smallest objective with the parameter held at `value`, from each of `starts`.
fn point<L: Law>(
    fit: &Fit<L>,
    data: &Observations,
    parameter: &str,
    value: f64,
    starts: &[Vec<f64>],
) -> Result<ProfilePoint, ScalingError> {
    let params = fit.params().clone().fix(parameter, value).check()?.0;
    let layout = Layout::new(&params, &fit.pool_names());
    let rows = rows(data, &fit.pool_names(), params.space);
    let problem = Problem::new(&params, &layout, rows);
    let found = starts
        .iter()
        .map(|theta| minimize(&problem, problem.coordinates_of(theta), &params))
        .min_by(|a, b| a.objective.total_cmp(&b.objective))
        .expect("a profile has a start");
    let theta = problem.theta(&found.x);
    Ok(ProfilePoint { value, objective: found.objective, theta })
}

impl Profile {
    /// A point clearly below the fit's objective: the fit is a local minimum and needs more
    /// starts.
    pub fn better(&self) -> Option<&ProfilePoint> {
        let lowest = self.points.iter().min_by(|a, b| a.objective.total_cmp(&b.objective))?;
        (lowest.objective < self.objective * (1.0 - 1e-9)).then_some(lowest)
    }

    /// The objective up to which a value is inside the interval of `level`.
    ///
    /// # Errors
    /// A level outside `(0, 1)`.
    pub fn threshold(&self, level: f64) -> Result<f64, ScalingError> {
        argument::level(level)?;
        Ok(self.objective + self.unit * student_two_sided(level, self.freedom.max(1.0)).powi(2))
    }

    /// Likelihood interval: an end is infinite where the profile's values do not reach the
    /// threshold on that side, so the data do not bound the parameter there.
    ///
    /// # Errors
    /// A level outside `(0, 1)`.
    pub fn interval(&self, level: f64) -> Result<Interval, ScalingError> {
        let threshold = self.threshold(level)?;
        let mut points: Vec<(f64, f64)> =
            self.points.iter().map(|p| (p.value, p.objective)).collect();
        points.push((self.estimate, self.objective));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let start = points.iter().position(|p| p.0 == self.estimate).unwrap_or(0);
        let cross = |a: (f64, f64), b: (f64, f64)| {
            a.0 + (b.0 - a.0) * ((threshold - a.1) / (b.1 - a.1)).clamp(0.0, 1.0)
        };
        let above = points[start..].windows(2).find(|w| w[1].1 > threshold);
        let below = points[..=start].windows(2).rev().find(|w| w[0].1 > threshold);
        Ok(Interval {
            estimate: self.estimate,
            low: below.map_or(f64::NEG_INFINITY, |w| cross(w[1], w[0])),
            high: above.map_or(f64::INFINITY, |w| cross(w[0], w[1])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FitParams, example_runs, law::Qqt};
    use curate_core::NoProgress;

    #[test]
    fn a_profile_unmasks_a_local_minimum() {
        let data = example_runs();
        let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
        let fit = params.fit(&data, &NoProgress).unwrap();
        let mut stuck = fit.clone();
        stuck.minima[0].objective *= 1.5;
        let at = [fit.get("d").unwrap()];
        let found = profile(&stuck, &data, "d", &at, &NoProgress).unwrap();
        assert!(found.better().is_some());
        assert!(profile(&fit, &data, "d", &at, &NoProgress).unwrap().better().is_none());
    }
}
