//! How far the data let the parameters wander around an optimum.

use super::loss::Loss;
use super::problem::{Evaluation, Problem};
use super::result::Curvature;
use crate::law::Law;
use crate::linalg::Square;

/// Share of the largest eigenvalue below which a direction counts as not determined at all: what
/// rounding makes of zero.
const NOTHING: f64 = 1e-15;
/// Part of the weakest direction from which a parameter is named.
const STRONG: f64 = 0.3;

/// Residual standard deviation in the fit's space, corrected for the searched parameters.
pub(super) fn noise<L: Law>(problem: &Problem<'_, L>, x: &[f64]) -> Option<f64> {
    let freedom = problem.rows.len().checked_sub(x.len()).filter(|f| *f > 0)?;
    let mut sum = 0.0;
    problem.for_each_row(x, |row, residual, _| sum += (residual / row.scale).powi(2));
    Some((sum / freedom as f64).sqrt())
}

/// Runs that the expected noise counts for where parameters have priors: a few runs fitted by many
/// parameters leave no residuals to speak of.
const NOISE_RUNS: f64 = 4.0;

/// Residuals where parameters have priors.
pub(crate) struct Guarded {
    /// Their standard deviation over sigma, with the expected noise.
    pub(crate) over_sigma: f64,
    /// The same in the fit's space.
    pub(crate) noise: f64,
    /// Degrees of freedom of both.
    pub(crate) freedom: f64,
}

impl Guarded {
    pub(crate) fn of<L: Law>(problem: &Problem<'_, L>, x: &[f64], expected: f64) -> Guarded {
        let freedom = NOISE_RUNS + problem.rows.len().saturating_sub(x.len()) as f64;
        let count = problem.rows.len().max(1) as f64;
        let (mut over_sigma, mut plain) = (NOISE_RUNS * expected * expected, 0.0);
        problem.for_each_row(x, |row, residual, _| {
            over_sigma += residual * residual;
            plain += (residual / row.scale).powi(2);
            plain += NOISE_RUNS * (expected / row.scale).powi(2) / count;
        });
        Guarded {
            over_sigma: (over_sigma / freedom).sqrt(),
            noise: (plain / freedom).sqrt(),
            freedom,
        }
    }
}

/// Condition, weakest direction and covariance at `x`, over parameters away from their bounds: at a
/// bound the objective's slope decides, and its curvature says nothing of doubt.
///
/// The matrix `J' W J` is scaled to ones on its diagonal first, so that its condition measures how
/// parameters trade off and not the units they are in. Its eigenvectors serve for both the condition
/// and the inverse, so that a covariance is only given where every direction is determined.
pub(super) fn curvature<L: Law>(problem: &Problem<'_, L>, x: &[f64], loss: Loss) -> Curvature {
    let inside = |&i: &usize| x[i] > problem.bounds[i].0 && x[i] < problem.bounds[i].1;
    let inside: Vec<usize> = (0..x.len()).filter(inside).collect();
    let mut at = Evaluation::new(x.len());
    problem.evaluate(x, true, &mut at);
    let scale: Vec<f64> = inside.iter().map(|&i| at.curvature.at(i, i).sqrt()).collect();
    let scaled = scaled(&at.curvature, &inside, &scale);
    if inside.is_empty() || scaled.cells.iter().any(|c| !c.is_finite()) {
        return Curvature { condition: None, weakest: Vec::new(), covariance: None };
    }
    let (values, vectors) = scaled.eigen();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let weakest = (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
    let determined = values[weakest] > NOTHING * largest;
    let name = |r: usize| problem.layout.slots[problem.free[inside[r]]].name.clone();
    let strong = |r: &usize| vectors[weakest][*r].abs() > STRONG;
    let factor = Spread::of(problem, x, loss).map(|spread| spread.covariance_factor());
    Curvature {
        condition: determined.then(|| (largest / values[weakest]).sqrt()),
        weakest: (0..inside.len()).filter(strong).map(name).collect(),
        covariance: factor.filter(|_| determined).map(|factor| {
            let mut cells = vec![0.0; x.len() * x.len()];
            for (r, &i) in inside.iter().enumerate() {
                for (c, &j) in inside.iter().enumerate() {
                    let cell: f64 =
                        (0..values.len()).map(|k| vectors[k][r] * vectors[k][c] / values[k]).sum();
                    cells[i * x.len() + j] = factor * cell / (scale[r] * scale[c]);
                }
            }
            cells
        }),
    }
}

/// The rows and columns `inside` of a curvature, over the product of their scales.
fn scaled(curvature: &Square, inside: &[usize], scale: &[f64]) -> Square {
    let mut scaled = Square::zeros(inside.len());
    for (r, &i) in inside.iter().enumerate() {
        for (c, &j) in inside[..=r].iter().enumerate() {
            scaled.set(r, c, curvature.at(i, j) / (scale[r] * scale[c]));
        }
    }
    scaled.mirror();
    scaled
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

/// Share of residuals within `delta` of zero, from a window wide enough to count some: with a small
/// delta few of a few residuals lie inside by chance, and their share would be noise. The density is
/// about even near zero, so that of half the median residual stands for it.
fn share_near_zero(sizes: &mut [f64], delta: f64) -> f64 {
    sizes.sort_by(f64::total_cmp);
    let width = delta.max(0.5 * sizes[sizes.len() / 2]);
    let inside = sizes.iter().filter(|size| **size <= width).count().max(1);
    inside as f64 / sizes.len() as f64 * delta / width
}
