//! A quasi-Newton finish for robust losses.
//!
//! Where a Huber cost is linear, iterated least squares takes the curvature of a chord for that of
//! the cost, which has none, and creeps. BFGS learns the curvature from the gradients themselves.
//! It starts from the iterated curvature, and starts over whenever a coordinate meets or leaves its
//! bound, since what was learned belongs to the coordinates that moved.

use super::problem::{Evaluation, Problem};
use super::solver::{GRADIENT_FAIR, Solution, damped_step, movable, scaled_gradient};
use crate::law::Law;
use crate::linalg::Square;

/// Gain, relative to the objective, that counts as none: its rounding.
const NO_GAIN: f64 = 1e-13;
/// Steps without a gain after which the search has arrived.
const QUIET: usize = 5;
/// The same when a line search finds nothing.
const QUIET_WITHOUT_STEP: usize = 3;
/// Lengths tried on a line.
const LENGTHS: usize = 30;

/// Finishes a search with BFGS (weak Wolfe line search), whose steps know the curvature of the
/// linear parts of a robust loss, which iterated least squares does not.
pub(crate) fn polish<L: Law>(
    problem: &Problem<'_, L>,
    from: Solution,
    max_iterations: usize,
) -> Solution {
    let mut search = QuasiNewton::from(problem, from.x);
    let mut quiet = 0;
    let mut iterations = from.iterations;
    for _ in 0..max_iterations {
        iterations += 1;
        let before = search.here.objective;
        match search.step() {
            Some(gain) => quiet = if gain <= NO_GAIN * before { quiet + 1 } else { 0 },
            None if quiet > QUIET_WITHOUT_STEP => break,
            None => {
                // A stale curvature can point nowhere: start over from the current one, once or
                // twice.
                quiet += 2;
                search.restart();
            }
        }
        if quiet > QUIET {
            break;
        }
    }
    search.end(iterations, quiet > QUIET)
}

struct QuasiNewton<'p, 'd, L> {
    problem: &'p Problem<'d, L>,
    x: Vec<f64>,
    here: Evaluation,
    /// Coordinates that are not held at a bound.
    moving: Vec<usize>,
    /// Inverse of the curvature on them.
    inverse: Square,
}

impl<'p, 'd, L: Law> QuasiNewton<'p, 'd, L> {
    fn from(problem: &'p Problem<'d, L>, x: Vec<f64>) -> Self {
        let here = Evaluation::new(x.len());
        let mut search =
            QuasiNewton { problem, x, here, moving: Vec::new(), inverse: Square::zeros(0) };
        search.restart();
        search
    }

    /// Forgets what was learned of the curvature.
    fn restart(&mut self) {
        self.problem.evaluate(&self.x, true, &mut self.here);
        self.moving = movable(&self.x, &self.here.gradient, &self.problem.bounds);
        self.inverse = initial_inverse(&self.here, &self.moving);
    }

    /// One step and its gain; `None` where the line has nothing lower.
    fn step(&mut self) -> Option<f64> {
        let direction = direction(&self.inverse, &self.here.gradient, &self.moving);
        let (next, there) = line_search(self.problem, &self.x, &self.here, &direction)?;
        let gain = self.here.objective - there.objective;
        if movable(&next, &there.gradient, &self.problem.bounds) == self.moving {
            let moving = self.moving.iter();
            let (step, bend) = moving
                .map(|&i| (next[i] - self.x[i], there.gradient[i] - self.here.gradient[i]))
                .unzip();
            update_inverse(&mut self.inverse, step, bend);
            (self.x, self.here) = (next, there);
        } else {
            self.x = next;
            self.restart();
        }
        Some(gain)
    }

    fn end(mut self, iterations: usize, quiet: bool) -> Solution {
        self.problem.evaluate(&self.x, true, &mut self.here);
        let moving = movable(&self.x, &self.here.gradient, &self.problem.bounds);
        let gradient = scaled_gradient(&self.here, &moving);
        let objective = self.here.objective;
        let converged = objective == 0.0 || gradient <= GRADIENT_FAIR || quiet;
        Solution { x: self.x, objective, gradient, iterations, converged }
    }
}

/// Inverse of the iterated-least-squares curvature on the moving coordinates.
fn initial_inverse(at: &Evaluation, moving: &[usize]) -> Square {
    let n = moving.len();
    let mut inverse = Square::zeros(n);
    for column in 0..n {
        let mut unit = Evaluation::new(at.gradient.len());
        unit.curvature = at.curvature.clone();
        unit.gradient[moving[column]] = -1.0;
        let solved = damped_step(&unit, moving, 1e-6);
        for row in 0..n {
            let scale = 1.0 / at.curvature.at(moving[row], moving[row]).max(1e-300);
            let plain = if row == column { scale } else { 0.0 };
            inverse.set(row, column, solved.as_ref().map_or(plain, |s| s[row]));
        }
    }
    inverse
}

fn direction(inverse: &Square, gradient: &[f64], moving: &[usize]) -> Vec<f64> {
    let mut direction = vec![0.0; gradient.len()];
    for (r, &i) in moving.iter().enumerate() {
        let dot: f64 =
            moving.iter().enumerate().map(|(c, &j)| inverse.at(r, c) * gradient[j]).sum();
        direction[i] = -dot;
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A step that lowers the objective and flattens the slope (weak Wolfe conditions), clamped to the
/// box. Both are needed: the first alone lets steps shrink to nothing, and only the second makes sure
/// that the update sees upward curvature. The length doubles until it is too long, then halves the
/// bracket, since costs that turn linear give interpolation nothing to go by.
fn line_search<L: Law>(
    problem: &Problem<'_, L>,
    x: &[f64],
    here: &Evaluation,
    direction: &[f64],
) -> Option<(Vec<f64>, Evaluation)> {
    let slope = dot(&here.gradient, direction);
    if slope >= 0.0 || slope.is_nan() {
        return None;
    }
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
    let mut best: Option<(Vec<f64>, Evaluation)> = None;
    for _ in 0..LENGTHS {
        let mut at_bound = false;
        let clamped = |(i, &xi): (usize, &f64)| {
            let (low, high) = problem.bounds[i];
            let to = xi + length * direction[i];
            at_bound |= to < low || to > high;
            to.clamp(low, high)
        };
        let next: Vec<f64> = x.iter().enumerate().map(clamped).collect();
        let mut there = Evaluation::new(x.len());
        problem.evaluate(&next, false, &mut there);
        let lower = there.objective <= here.objective + 1e-4 * length * slope;
        let flat = dot(&there.gradient, direction) >= 0.9 * slope;
        if lower && there.objective < here.objective {
            best = Some((next, there));
        }
        // Beyond a bound the slope along the line is no guide: the next step turns at the bound.
        match (lower, flat || at_bound) {
            (true, true) => break,
            (true, false) => low = length,
            (false, _) => high = length,
        }
        length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * length };
    }
    best
}

/// The BFGS update of the inverse curvature by a step and the change of the gradient along it.
fn update_inverse(inverse: &mut Square, step: Vec<f64>, bend: Vec<f64>) {
    let curvature = dot(&step, &bend);
    // Without upward curvature along the step the inverse would lose its definiteness.
    if curvature <= 1e-300 {
        return;
    }
    let n = step.len();
    let turned: Vec<f64> =
        (0..n).map(|r| (0..n).map(|c| inverse.at(r, c) * bend[c]).sum()).collect();
    let factor = (1.0 + dot(&bend, &turned) / curvature) / curvature;
    for r in 0..n {
        for c in 0..n {
            let change = factor * step[r] * step[c]
                - (turned[r] * step[c] + step[r] * turned[c]) / curvature;
            inverse.set(r, c, inverse.at(r, c) + change);
        }
    }
}
