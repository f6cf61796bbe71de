//! Multi-start search, and the account of what it found.

use super::layout::Layout;
use super::loss::Loss;
use super::params::{FitParams, ValidFitParams};
use super::polish::polish;
use super::problem::{Problem, rows};
use super::result::{DataRange, Fit, Minimum, PoolInfo};
use super::solver::{Solution, levenberg_marquardt};
use super::spread::{Guarded, curvature, noise};
use super::start::starting_points;
use super::{doubts, identify};
use crate::error::ScalingError;
use crate::law::Law;
use crate::observation::{Observation, Observations};
use crate::span::Span;
use crate::task::Task;
use curate_core::{Cancelled, Progress};
use rayon::prelude::*;

/// Multiple of the best first stage's objective from which a start is not polished.
const HOPELESS: f64 = 5.0;

impl<L: Law> FitParams<L> {
    /// Checks the options and fits the law to the table.
    ///
    /// # Errors
    /// As [`FitParams::check`] and [`ValidFitParams::fit`].
    pub fn fit(self, data: &Observations, progress: &dyn Progress) -> Result<Fit<L>, ScalingError> {
        self.check()?.fit(data, progress)
    }
}

impl<L: Law> ValidFitParams<L> {
    /// Fits the law to the table from every starting point and reports all distinct minima.
    /// `progress` hears of one task, or of two with a robust loss, in starting points.
    ///
    /// # Errors
    /// Rows that lack what the law needs, data that cannot identify its parameters, a search that
    /// finds no finite objective, and [`ScalingError::Cancelled`].
    pub fn fit(self, data: &Observations, progress: &dyn Progress) -> Result<Fit<L>, ScalingError> {
        let params = self.0;
        let names = data.pools();
        let layout = Layout::new(&params, &names);
        identify::known_names(&params, &layout)?;
        identify::identifiable(&params, &layout, &names, data)?;
        let problem = Problem::new(&params, &layout, rows(data, &names, params.space));
        let starts = starting_points(&problem, &params, data, &names);
        let minima = distinct(&problem, minimize_all(&problem, starts, &params, progress)?);
        if minima.is_empty() {
            let (law, starts) = (params.law.name(), params.starts);
            return Err(ScalingError::NoFiniteStart { law, starts });
        }
        let x = problem.coordinates_of(&minima[0].theta);
        let mut fit = Fit {
            pools: pool_infos(data, &names),
            minima,
            curvature: curvature(&problem, &x, params.loss),
            noise: match problem.expected_noise() {
                Some(expected) => Some(Guarded::of(&problem, &x, expected).noise),
                None => noise(&problem, &x),
            },
            observations: data.rows().len(),
            range: range(data),
            metric: data.metric(),
            domains: data.domains().to_vec(),
            digest: data.digest(),
            warnings: Vec::new(),
            layout: layout.clone(),
            params: params.clone(),
        };
        fit.warnings = doubts::warnings(&fit, data);
        Ok(fit)
    }
}

/// Searches from every point. Robust losses are polished only where the first stage came within
/// [`HOPELESS`] of the best: the others stand on plateaus, where polishing is long and in vain.
fn minimize_all<L: Law>(
    problem: &Problem<'_, L>,
    starts: Vec<Vec<f64>>,
    params: &FitParams<L>,
    progress: &dyn Progress,
) -> Result<Vec<Solution>, Cancelled> {
    let law = params.law.name();
    let searches = Task::start(progress, &format!("fit {law}"), starts.len(), "starts");
    let mut found: Vec<Solution> = starts
        .into_par_iter()
        .map(|x| searches.unit(|| approach(problem, x, params)))
        .collect::<Result<_, _>>()?;
    drop(searches);
    found.retain(|s| s.objective.is_finite());
    if params.loss == Loss::LeastSquares {
        return Ok(found);
    }
    let best = found.iter().map(|s| s.objective).fold(f64::INFINITY, f64::min);
    found.retain(|s| s.objective <= HOPELESS * best);
    let polishing = Task::start(progress, &format!("polish {law}"), found.len(), "starts");
    let each = |s| polishing.unit(|| polish(problem, s, params.max_iterations));
    found.into_par_iter().map(each).collect()
}

/// Searches from one point.
pub(crate) fn minimize<L: Law>(
    problem: &Problem<'_, L>,
    x: Vec<f64>,
    params: &FitParams<L>,
) -> Solution {
    let found = approach(problem, x, params);
    if params.loss == Loss::LeastSquares || !found.objective.is_finite() {
        return found;
    }
    polish(problem, found, params.max_iterations)
}

/// Levenberg-Marquardt: the whole search for least squares, the first stage for robust losses.
/// Iterated least squares converges slowly on linear costs, so the first stage only goes as far as
/// it gains well, and the quasi-Newton finish does the rest.
fn approach<L: Law>(problem: &Problem<'_, L>, x: Vec<f64>, params: &FitParams<L>) -> Solution {
    let worthwhile = if params.loss == Loss::LeastSquares { 0.0 } else { 1e-4 };
    levenberg_marquardt(problem, x, params.max_iterations, worthwhile)
}

/// Groups solutions that are the same point; the best first, then the others that have arrived.
fn distinct<L: Law>(problem: &Problem<'_, L>, mut solutions: Vec<Solution>) -> Vec<Minimum> {
    solutions.sort_by(|a, b| a.objective.total_cmp(&b.objective));
    let mut kept: Vec<(Solution, usize)> = Vec::new();
    for solution in solutions {
        match kept.iter_mut().find(|(other, _)| same(&solution, other)) {
            Some((_, hits)) => *hits += 1,
            None => kept.push((solution, 1)),
        }
    }
    let arrived = |(rank, (s, _)): &(usize, (Solution, usize))| *rank == 0 || s.converged;
    let listed = kept.into_iter().enumerate().filter(arrived);
    listed.map(|(_, (solution, hits))| minimum(problem, &solution, hits)).collect()
}

fn same(a: &Solution, b: &Solution) -> bool {
    let close = |(p, q): (&f64, &f64)| (p - q).abs() <= 1e-3 * (1.0 + p.abs().max(q.abs()));
    let objective = (a.objective - b.objective).abs() <= 1e-6 * b.objective.abs();
    objective && a.x.iter().zip(&b.x).all(close)
}

fn minimum<L: Law>(problem: &Problem<'_, L>, solution: &Solution, hits: usize) -> Minimum {
    let at_bound = |(i, &x): (usize, &f64)| {
        let (low, high) = problem.bounds[i];
        (x <= low || x >= high).then(|| problem.layout.slots[problem.free[i]].name.clone())
    };
    Minimum {
        objective: solution.objective,
        theta: problem.theta(&solution.x),
        hits,
        gradient: solution.gradient,
        converged: solution.converged,
        at_bounds: solution.x.iter().enumerate().filter_map(at_bound).collect(),
    }
}

fn pool_infos(data: &Observations, names: &[String]) -> Vec<PoolInfo> {
    let info = |name: &String| {
        let summary = data.summary(Some(name));
        let known = |x: f64| (!x.is_nan()).then_some(x);
        PoolInfo {
            name: name.clone(),
            unique: known(summary.unique),
            parameters: known(summary.parameters),
        }
    };
    names.iter().map(info).collect()
}

fn range(data: &Observations) -> DataRange {
    let span = |get: &dyn Fn(&Observation) -> f64| {
        let known = data.rows().iter().map(get).filter(|x| !x.is_nan());
        let (low, high) = known
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        (low <= high).then_some(Span { low, high })
    };
    DataRange {
        samples: span(&|o| o.point().samples),
        epochs: span(&|o| o.point().samples / o.point().unique),
        parameters: span(&|o| o.point().parameters),
    }
}
