//! The objective along one parameter, everything else refitted.

use super::{Interval, check_level};
use crate::error::ScalingError;
use crate::fit::problem::{Problem, rows};
use crate::fit::search::{Spread, minimise, starting_points};
use crate::fit::{Fit, Layout};
use crate::law::Law;
use crate::observation::Observations;
use crate::stats::student_two_sided;
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

/// The objective along one parameter.
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

/// Profiles `parameter` (`name`, or `name[pool]`) over `values` in natural units.
///
/// # Errors
/// An unknown or fixed parameter, values outside its range, and a table other than the one fitted.
pub fn profile<L: Law>(
    fit: &Fit<L>,
    data: &Observations,
    parameter: &str,
    values: &[f64],
) -> Result<Profile, ScalingError> {
    fit.check_data(data)?;
    let slot = fit.slot(parameter)?;
    let free = fit.problem(data);
    let x = free.coordinates_of(fit.theta());
    let unit = Spread::of(&free, &x, fit.params().loss).map_or(f64::NAN, |spread| spread.rise());
    if fit.slots()[slot].fixed.is_some() {
        return Err(ScalingError::NotAnswerable {
            law: fit.law().name(),
            problem: format!("`{parameter}` is fixed"),
            remedy: "fit it first, then profile it".into(),
        });
    }
    let mut starts: Vec<Vec<f64>> = fit.minima.iter().take(8).map(|m| m.theta.clone()).collect();
    let drawn = starting_points(&free, fit.params(), data, &fit.pool_names());
    starts.extend(drawn.iter().take(16).map(|x| free.theta(x)));
    let first = |&value: &f64| point(fit, data, parameter, value, &starts);
    let mut points: Vec<ProfilePoint> = values.par_iter().map(first).collect::<Result<_, _>>()?;
    // A valley that the minima do not lie in is found from the neighbour that does.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&i, &j| points[i].value.total_cmp(&points[j].value));
    for _ in 0..2 {
        for pair in order.windows(2) {
            let start = [points[pair[0]].theta.clone()];
            let again = point(fit, data, parameter, points[pair[1]].value, &start)?;
            if again.objective < points[pair[1]].objective {
                points[pair[1]] = again;
            }
        }
        order.reverse();
    }
    Ok(Profile {
        parameter: parameter.into(),
        points,
        estimate: fit.theta()[slot],
        objective: fit.objective(),
        unit,
        freedom: fit.freedom() as f64,
    })
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
        .map(|theta| minimise(&problem, problem.coordinates_of(theta), &params))
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
    pub fn threshold(&self, level: f64) -> f64 {
        self.objective + self.unit * student_two_sided(level, self.freedom.max(1.0)).powi(2)
    }

    /// Likelihood interval: an end is infinite where the profile's values do not reach the
    /// threshold on that side, so the data do not bound the parameter there.
    ///
    /// # Errors
    /// A level outside `(0, 1)`.
    pub fn interval(&self, level: f64) -> Result<Interval, ScalingError> {
        check_level(level)?;
        let threshold = self.threshold(level);
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
