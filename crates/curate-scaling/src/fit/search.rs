//! Multi-start search, and the account of what it found.

use super::layout::Layout;
use super::params::{FitParams, Loss, ValidFitParams};
use super::problem::{Evaluation, Problem, rows};
use super::solver::{Solution, levenberg_marquardt, polish};
use super::{Curvature, DataRange, Fit, Minimum, PoolInfo, Span};
use crate::check;
use crate::error::ScalingError;
use crate::law::{Law, Summary};
use crate::linalg::Square;
use crate::observation::Observations;
use crate::stats::Dice;
use rayon::prelude::*;

/// Candidate starting points looked at for each one searched from.
const CANDIDATES: usize = 8;
/// Multiple of the best first stage's objective from which a start is not polished.
const HOPELESS: f64 = 5.0;
/// The hash stream of starting points.
const STREAM: u64 = 1;

/// Fits the law from every starting point and reports all distinct minima.
pub(crate) fn fit<L: Law>(
    params: ValidFitParams<L>,
    data: &Observations,
) -> Result<Fit<L>, ScalingError> {
    let params = params.0;
    let names = data.pools();
    let layout = Layout::new(&params, &names);
    check::known_names(&params, &layout)?;
    check::identifiable(&params, &layout, &names, data)?;
    let problem = Problem::new(&params, &layout, rows(data, &names, params.space));
    let starts = starting_points(&problem, &params, data, &names);
    let solutions = minimise_all(&problem, starts, &params);
    let minima = distinct(&problem, solutions);
    if minima.is_empty() {
        let (law, starts) = (params.law.name(), params.starts);
        return Err(ScalingError::NoFiniteStart { law, starts });
    }
    let x = problem.coordinates_of(&minima[0].theta);
    let noise = noise(&problem, &x);
    let curvature = curvature(&problem, &x, params.loss);
    let mut fit = Fit {
        pools: pool_infos(data, &names),
        minima,
        curvature,
        noise,
        observations: data.rows().len(),
        range: range(data),
        metric: data.metric(),
        domains: data.domains().to_vec(),
        digest: data.digest(),
        warnings: Vec::new(),
        layout: layout.clone(),
        params: params.clone(),
    };
    fit.warnings = check::warnings(&fit, data);
    Ok(fit)
}

/// Searches from every point. Robust losses are polished only where the first stage came within
/// [`HOPELESS`] of the best: the others stand on plateaus, where polishing is long and in vain.
fn minimise_all<L: Law>(
    problem: &Problem<'_, L>,
    starts: Vec<Vec<f64>>,
    params: &FitParams<L>,
) -> Vec<Solution> {
    let mut found: Vec<Solution> =
        starts.into_par_iter().map(|x| approach(problem, x, params)).collect();
    found.retain(|s| s.objective.is_finite());
    if params.loss == Loss::LeastSquares {
        return found;
    }
    let best = found.iter().map(|s| s.objective).fold(f64::INFINITY, f64::min);
    found.retain(|s| s.objective <= HOPELESS * best);
    found.into_par_iter().map(|s| polish(problem, s, params.max_iterations)).collect()
}

/// Searches from one point.
pub(crate) fn minimise<L: Law>(
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
fn approach<L: Law>(problem: &Problem<'_, L>, x: Vec<f64>, params: &FitParams<L>) -> Solution {
    let worthwhile = if params.loss == Loss::LeastSquares { 0.0 } else { 1e-4 };
    levenberg_marquardt(problem, x, params.max_iterations, worthwhile)
}

/// Starting points in search coordinates: half of them the best of many drawn, half as drawn.
pub(crate) fn starting_points<L: Law>(
    problem: &Problem<'_, L>,
    params: &FitParams<L>,
    data: &Observations,
    pools: &[String],
) -> Vec<Vec<f64>> {
    let all = data.summary(None);
    let own: Vec<Summary> = pools.iter().map(|p| data.summary(Some(p))).collect();
    let drawn: Vec<Vec<f64>> = (0..params.starts.saturating_mul(CANDIDATES))
        .map(|draw| {
            let theta = start(problem, params, draw, &all, &own);
            problem.coordinates_of(&theta)
        })
        .collect();
    let mut order: Vec<(f64, usize)> =
        drawn.iter().enumerate().map(|(i, x)| (problem.objective(x), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<usize> =
        order.iter().take(params.starts.div_ceil(2)).map(|&(_, i)| i).collect();
    for i in 0..drawn.len() {
        if chosen.len() < params.starts && !chosen.contains(&i) {
            chosen.push(i);
        }
    }
    chosen.into_iter().map(|i| drawn[i].clone()).collect()
}

/// One drawn starting point in natural units; draw 0 is the middle of every range. Shared
/// parameters see all runs, a pool's own only the pool's.
fn start<L: Law>(
    problem: &Problem<'_, L>,
    params: &FitParams<L>,
    draw: usize,
    all: &Summary,
    own: &[Summary],
) -> Vec<f64> {
    let dice = Dice::new(params.seed, STREAM, draw as u64);
    let unit = |slot: usize| if draw == 0 { 0.5 } else { dice.uniform(slot) };
    let slots = &problem.layout.slots;
    let mut theta: Vec<f64> = slots.iter().map(|s| s.fixed.unwrap_or(f64::NAN)).collect();
    for (pool, indices) in problem.layout.of_pool.iter().enumerate() {
        let units: Vec<f64> = indices.iter().map(|&slot| unit(slot)).collect();
        let shared = params.law.start(all, &units);
        let mine = params.law.start(&own[pool], &units);
        for (i, &slot) in indices.iter().enumerate() {
            if slots[slot].fixed.is_none() {
                let is_own = slots[slot].name.contains('[');
                theta[slot] = if is_own { mine[i] } else { shared[i] };
            }
        }
    }
    theta
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

/// Residual standard deviation in the fit's space, corrected for the searched parameters.
fn noise<L: Law>(problem: &Problem<'_, L>, x: &[f64]) -> Option<f64> {
    let freedom = problem.rows.len().checked_sub(x.len()).filter(|f| *f > 0)?;
    let mut sum = 0.0;
    problem.for_each_row(x, |row, residual, _| sum += (residual / row.scale).powi(2));
    Some((sum / freedom as f64).sqrt())
}

/// Condition, weakest direction and covariance at `x`, over parameters away from their bounds.
fn curvature<L: Law>(problem: &Problem<'_, L>, x: &[f64], loss: Loss) -> Curvature {
    let inside = |&i: &usize| x[i] > problem.bounds[i].0 && x[i] < problem.bounds[i].1;
    let inside: Vec<usize> = (0..x.len()).filter(inside).collect();
    let mut at = Evaluation::new(x.len());
    problem.evaluate(x, true, &mut at);
    let scale: Vec<f64> = inside.iter().map(|&i| at.curvature.at(i, i).sqrt()).collect();
    let mut scaled = Square::zeros(inside.len());
    for (r, &i) in inside.iter().enumerate() {
        for (c, &j) in inside[..=r].iter().enumerate() {
            scaled.set(r, c, at.curvature.at(i, j) / (scale[r] * scale[c]));
        }
    }
    scaled.mirror();
    if inside.is_empty() || scaled.cells.iter().any(|c| !c.is_finite()) {
        return Curvature { condition: None, weakest: Vec::new(), covariance: None };
    }
    let (values, vectors) = scaled.eigen();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let weakest = (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
    let determined = values[weakest] > 1e-15 * largest;
    let name = |r: usize| problem.layout.slots[problem.free[inside[r]]].name.clone();
    let strong = |r: &usize| vectors[weakest][*r].abs() > 0.3;
    let variance = Spread::of(problem, x, loss).map(|spread| spread.covariance_factor());
    let covariance = variance.filter(|_| determined).map(|variance| {
        let mut cells = vec![0.0; x.len() * x.len()];
        for (r, &i) in inside.iter().enumerate() {
            for (c, &j) in inside.iter().enumerate() {
                let cell: f64 =
                    (0..values.len()).map(|k| vectors[k][r] * vectors[k][c] / values[k]).sum();
                cells[i * x.len() + j] = variance * cell / (scale[r] * scale[c]);
            }
        }
        cells
    });
    Curvature {
        condition: determined.then(|| (largest / values[weakest]).sqrt()),
        weakest: (0..inside.len()).filter(strong).map(name).collect(),
        covariance,
    }
}

/// What a loss makes of the residuals, for M-estimators' doubt: means of the squared slope (per
/// degree of freedom), of the iterated weight, and of the second derivative.
pub(crate) struct Spread {
    slope_squared: f64,
    weight: f64,
    bend: f64,
}

impl Spread {
    /// `None` without degrees of freedom.
    pub(crate) fn of<L: Law>(problem: &Problem<'_, L>, x: &[f64], loss: Loss) -> Option<Spread> {
        let freedom = problem.rows.len().checked_sub(x.len()).filter(|f| *f > 0)?;
        let (mut slope_squared, mut weight, mut sizes) = (0.0, 0.0, Vec::new());
        problem.for_each_row(x, |row, residual, _| {
            let (_, slope, pull) = loss.cost(residual);
            slope_squared += row.weight * slope * slope / freedom as f64;
            weight += row.weight * pull / problem.rows.len() as f64;
            sizes.push(residual.abs());
        });
        let bend = match loss {
            Loss::LeastSquares => weight,
            Loss::Huber { delta } => share_near_zero(&mut sizes, delta),
            Loss::Asymmetric { delta, over } => {
                0.5 * (1.0 + over) * share_near_zero(&mut sizes, delta)
            }
        };
        Some(Spread { slope_squared, weight, bend })
    }

    /// The factor from the inverse of `J' W J` to the covariance; `2 s^2` for least squares.
    fn covariance_factor(&self) -> f64 {
        self.slope_squared * self.weight / (self.bend * self.bend)
    }

    /// How much the objective rises for one squared Student's t along a profile; `s^2` for least
    /// squares.
    pub(crate) fn rise(&self) -> f64 {
        0.5 * self.slope_squared / self.bend
    }
}

/// Share of residuals within `delta` of zero, from a window wide enough to count some.
fn share_near_zero(sizes: &mut [f64], delta: f64) -> f64 {
    sizes.sort_by(f64::total_cmp);
    let width = delta.max(0.5 * sizes[sizes.len() / 2]);
    let inside = sizes.iter().filter(|size| **size <= width).count().max(1);
    inside as f64 / sizes.len() as f64 * delta / width
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
    let span = |get: &dyn Fn(&crate::Observation) -> f64| {
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
