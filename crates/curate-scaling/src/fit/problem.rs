//! The objective of a fit, with its gradient and its curvature.

use super::layout::Layout;
use super::loss::{Loss, Space};
use super::params::{FitParams, base_name};
use crate::law::{Law, ParamSpec, Point};
use crate::linalg::Square;
use crate::observation::Observations;

/// One observation, ready for the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) point: Point<'a>,
    pub(crate) pool: usize,
    /// The metric in the fit's space.
    pub(crate) target: f64,
    /// One over sigma in the fit's space; one without.
    pub(crate) scale: f64,
    pub(crate) weight: f64,
}

/// A pull towards a value of a searched parameter.
#[derive(Debug, Clone, Copy)]
struct Pull {
    coordinate: usize,
    center: f64,
    spread: f64,
    strength: f64,
}

/// Everything that the search needs to evaluate a point.
#[derive(Debug, Clone)]
pub(crate) struct Problem<'a, L> {
    pub(crate) law: &'a L,
    pub(crate) layout: &'a Layout,
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) free: Vec<usize>,
    pub(crate) specs: Vec<ParamSpec>,
    pub(crate) bounds: Vec<(f64, f64)>,
    /// For each pool, the search coordinate of each of the law's parameters.
    coordinates: Vec<Vec<Option<usize>>>,
    base: Vec<f64>,
    pulls: Vec<Pull>,
    expected: f64,
    loss: Loss,
    space: Space,
}

/// Objective, gradient and curvature (iterated least squares) at one point.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    pub(crate) objective: f64,
    pub(crate) gradient: Vec<f64>,
    pub(crate) curvature: Square,
}

impl Evaluation {
    pub(crate) fn new(size: usize) -> Self {
        Evaluation {
            objective: f64::INFINITY,
            gradient: vec![0.0; size],
            curvature: Square::zeros(size),
        }
    }

    fn clear(&mut self) {
        self.objective = 0.0;
        self.gradient.fill(0.0);
        self.curvature.cells.fill(0.0);
    }
}

/// The rows of a table as the search reads them.
pub(crate) fn rows<'a>(data: &'a Observations, pools: &[String], space: Space) -> Vec<Row<'a>> {
    let row = |o: &'a crate::Observation| {
        let slope = if space == Space::Log { o.value } else { 1.0 };
        Row {
            point: o.point(),
            pool: pools.iter().position(|p| *p == o.pool).expect("pools come from the rows"),
            target: space.forward(o.value),
            scale: o.sigma.map_or(1.0, |sigma| slope / sigma),
            weight: o.weight.unwrap_or(1.0),
        }
    };
    data.rows().iter().map(row).collect()
}

impl<'a, L: Law> Problem<'a, L> {
    pub(crate) fn new(params: &'a FitParams<L>, layout: &'a Layout, rows: Vec<Row<'a>>) -> Self {
        let free = layout.free();
        let specs = layout.search_specs(&params.law);
        let bounds = specs.iter().map(ParamSpec::search_range).collect();
        let coordinate = |slot: &usize| free.iter().position(|f| f == slot);
        let coordinates =
            layout.of_pool.iter().map(|slots| slots.iter().map(coordinate).collect()).collect();
        let base = layout.slots.iter().map(|s| s.fixed.unwrap_or(f64::NAN)).collect();
        let mut problem = Problem {
            law: &params.law,
            layout,
            rows,
            free,
            specs,
            bounds,
            coordinates,
            base,
            pulls: Vec::new(),
            expected: 1.0,
            loss: params.loss,
            space: params.space,
        };
        problem.expected = problem.sigma(params);
        problem.pulls = problem.pulls_of(params);
        problem
    }

    fn pulls_of(&self, params: &FitParams<L>) -> Vec<Pull> {
        let half = if self.loss == Loss::LeastSquares { 1.0 } else { 0.5 };
        let sigma = self.expected;
        let mut pulls = Vec::new();
        for (name, prior) in &params.priors {
            for (coordinate, &slot) in self.free.iter().enumerate() {
                let own = &self.layout.slots[slot].name;
                if own == name || (base_name(own) == name) {
                    let center = self.specs[coordinate].transform.forward(prior.center);
                    let (spread, strength) = (prior.spread, half * (sigma / prior.spread).powi(2));
                    pulls.push(Pull { coordinate, center, spread, strength });
                }
            }
        }
        pulls
    }

    /// The expected size of residuals over sigma.
    fn sigma(&self, params: &FitParams<L>) -> f64 {
        let known = self.rows.iter().any(|r| r.scale != 1.0);
        if known { 1.0 } else { params.noise.unwrap_or(1.0) }
    }

    /// The expected size of residuals over sigma; `None` where no parameter has a prior.
    pub(crate) fn expected_noise(&self) -> Option<f64> {
        (!self.pulls.is_empty()).then_some(self.expected)
    }

    /// One draw of what could have been: targets off those of `from` by the noise of a run, priors
    /// off theirs by their spread. Where everything is linear and normal, the optima of such draws
    /// are draws of the posterior.
    pub(crate) fn perturb(
        &mut self,
        from: &Problem<'_, L>,
        noise: f64,
        luck: impl Fn(usize) -> f64,
    ) {
        let rows = self.rows.len();
        for (i, (row, measured)) in self.rows.iter_mut().zip(&from.rows).enumerate() {
            row.target = measured.target + noise / row.scale * luck(i);
        }
        let heavier = (noise / self.expected).powi(2);
        for (i, (pull, known)) in self.pulls.iter_mut().zip(&from.pulls).enumerate() {
            let (low, high) = self.bounds[pull.coordinate];
            pull.center = (known.center + known.spread * luck(rows + i)).clamp(low, high);
            pull.strength = heavier * known.strength;
        }
    }

    /// All parameters in natural units from search coordinates.
    pub(crate) fn theta(&self, x: &[f64]) -> Vec<f64> {
        let mut theta = self.base.clone();
        for ((&slot, spec), &u) in self.free.iter().zip(&self.specs).zip(x) {
            theta[slot] = spec.transform.inverse(u).clamp(spec.lower, spec.upper);
        }
        theta
    }

    /// Search coordinates from all parameters in natural units.
    pub(crate) fn coordinates_of(&self, theta: &[f64]) -> Vec<f64> {
        let inside = |(i, &slot): (usize, &usize)| {
            let (low, high) = self.bounds[i];
            self.specs[i].transform.forward(theta[slot]).clamp(low, high)
        };
        self.free.iter().enumerate().map(inside).collect()
    }

    fn locals(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        (0..self.layout.of_pool.len()).map(|pool| self.layout.local(theta, pool)).collect()
    }

    /// The objective alone; infinite where the law has no finite value.
    pub(crate) fn objective(&self, x: &[f64]) -> f64 {
        let locals = self.locals(&self.theta(x));
        let cost = |row: &Row<'_>| {
            let predicted = self.law.eval(&row.point, &locals[row.pool], None);
            let residual = (self.space.forward(predicted) - row.target) * row.scale;
            row.weight * self.loss.cost(residual).0
        };
        let pulls = self.pulls.iter().map(|p| p.strength * (x[p.coordinate] - p.center).powi(2));
        let sum = self.rows.iter().map(cost).sum::<f64>() + pulls.sum::<f64>();
        if sum.is_finite() { sum } else { f64::INFINITY }
    }

    /// Calls `each(row, residual in the fit's space over sigma, its gradient in search
    /// coordinates)` for every row.
    pub(crate) fn for_each_row(&self, x: &[f64], mut each: impl FnMut(&Row<'_>, f64, &[f64])) {
        let theta = self.theta(x);
        let locals = self.locals(&theta);
        let slopes: Vec<f64> = (self.free.iter().zip(&self.specs))
            .map(|(&slot, spec)| spec.transform.slope(theta[slot]))
            .collect();
        let mut by_parameter = vec![0.0; locals.first().map_or(0, Vec::len)];
        let mut by_coordinate = vec![0.0; x.len()];
        for row in &self.rows {
            let local = &locals[row.pool];
            let predicted = self.law.eval(&row.point, local, Some(&mut by_parameter));
            let stretch = if self.space == Space::Log { 1.0 / predicted } else { 1.0 };
            by_coordinate.fill(0.0);
            for (by, coordinate) in by_parameter.iter().zip(&self.coordinates[row.pool]) {
                if let Some(i) = *coordinate {
                    by_coordinate[i] = by * slopes[i] * stretch * row.scale;
                }
            }
            let residual = (self.space.forward(predicted) - row.target) * row.scale;
            each(row, residual, &by_coordinate);
        }
    }

    /// Objective, gradient and, if asked, curvature at `x`.
    pub(crate) fn evaluate(&self, x: &[f64], with_curvature: bool, out: &mut Evaluation) {
        out.clear();
        self.for_each_row(x, |row, residual, by| {
            let (cost, slope, weight) = self.loss.cost(residual);
            out.objective += row.weight * cost;
            let slope = row.weight * slope;
            out.gradient.iter_mut().zip(by).for_each(|(g, b)| *g += slope * b);
            if with_curvature {
                out.curvature.add_outer(by, row.weight * weight);
            }
        });
        for pull in &self.pulls {
            let (i, off) = (pull.coordinate, x[pull.coordinate] - pull.center);
            out.objective += pull.strength * off * off;
            out.gradient[i] += 2.0 * pull.strength * off;
            out.curvature.set(i, i, out.curvature.at(i, i) + 2.0 * pull.strength);
        }
        if !out.objective.is_finite() {
            out.objective = f64::INFINITY;
        }
    }
}
