//! Levenberg-Marquardt in a box.
//!
//! The residuals' curvature (`J' W J`) is nearly singular on the ridges that these laws have, so
//! every step is damped in proportion to the curvature's diagonal, and the damping follows how well
//! the quadratic picture foresaw the last gain (Nielsen 1999). Bounds are kept by projection: a
//! coordinate at a bound that the gradient pushes against does not move, and a step that would leave
//! the box is clamped to it.

use super::problem::{Evaluation, Problem};
use crate::law::Law;
use crate::linalg::Square;

/// Where a search ended.
#[derive(Debug, Clone)]
pub(crate) struct Solution {
    pub(crate) x: Vec<f64>,
    pub(crate) objective: f64,
    /// Largest gradient component, relative to what its curvature and the objective allow: the
    /// cosine between residuals and a parameter's direction for least squares.
    pub(crate) gradient: f64,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// Scaled gradient below which a least-squares search has arrived.
const GRADIENT_GOAL: f64 = 1e-12;
/// Scaled gradient that still counts as arrived when no step improves the objective any more.
pub(super) const GRADIENT_FAIR: f64 = 1e-5;

/// Damping of the first step, relative to the curvature's diagonal.
const START_DAMPING: f64 = 1e-2;

/// Steps in a row that may gain too little: damping can make a few of them small.
const PATIENCE: usize = 4;

/// Coordinates that may move: not at a bound that the gradient pushes against.
pub(super) fn movable(x: &[f64], gradient: &[f64], bounds: &[(f64, f64)]) -> Vec<usize> {
    let free = |&i: &usize| {
        let (low, high) = bounds[i];
        !(x[i] <= low && gradient[i] > 0.0 || x[i] >= high && gradient[i] < 0.0)
    };
    (0..x.len()).filter(free).collect()
}

pub(super) fn scaled_gradient(at: &Evaluation, moving: &[usize]) -> f64 {
    let size = |&i: &usize| {
        let allowed = (2.0 * at.curvature.at(i, i) * at.objective).sqrt();
        // A direction without curvature may not show as infinite: files hold finite numbers only.
        if at.gradient[i] == 0.0 { 0.0 } else { (at.gradient[i] / allowed).abs().min(1e300) }
    };
    moving.iter().map(size).fold(0.0, f64::max)
}

/// The damped Gauss-Newton step on the moving coordinates, `None` if it cannot be solved.
pub(super) fn damped_step(at: &Evaluation, moving: &[usize], damping: f64) -> Option<Vec<f64>> {
    let mut matrix = Square::zeros(moving.len());
    for (r, &i) in moving.iter().enumerate() {
        for (c, &j) in moving[..=r].iter().enumerate() {
            matrix.set(r, c, at.curvature.at(i, j));
        }
        let diagonal = at.curvature.at(i, i);
        matrix.set(r, r, diagonal + damping * diagonal + f64::MIN_POSITIVE);
    }
    let mut step: Vec<f64> = moving.iter().map(|&i| -at.gradient[i]).collect();
    if !matrix.factor() {
        return None;
    }
    matrix.solve_factored(&mut step);
    step.iter().all(|s| s.is_finite()).then_some(step)
}

/// What the quadratic model says the step gains.
fn expected_gain(at: &Evaluation, step: &[f64]) -> f64 {
    let mut gain = 0.0;
    for (i, &si) in step.iter().enumerate().filter(|(_, s)| **s != 0.0) {
        let below: f64 = (0..i).map(|j| at.curvature.at(i, j) * step[j]).sum();
        gain -= si * (at.gradient[i] + below + 0.5 * at.curvature.at(i, i) * si);
    }
    gain
}

/// Minimizes the objective from `start` by Levenberg-Marquardt with a projected step, until it
/// arrives or several steps in a row gain less than `worthwhile` of the objective.
pub(crate) fn levenberg_marquardt<L: Law>(
    problem: &Problem<'_, L>,
    start: Vec<f64>,
    max_iterations: usize,
    worthwhile: f64,
) -> Solution {
    let mut walk = Walk::from(problem, start);
    for iteration in 0..max_iterations {
        let moving = movable(&walk.x, &walk.here.gradient, &problem.bounds);
        if walk.here.objective == 0.0 || scaled_gradient(&walk.here, &moving) <= GRADIENT_GOAL {
            return walk.end(iteration, GRADIENT_GOAL);
        }
        match walk.step(&moving, worthwhile) {
            Step::Onward => {}
            Step::TooLittle => return walk.end(iteration + 1, GRADIENT_GOAL),
            Step::Stuck => return walk.end(iteration + 1, GRADIENT_FAIR),
        }
    }
    walk.end(max_iterations, GRADIENT_FAIR)
}

/// A search on its way.
struct Walk<'p, 'd, L> {
    problem: &'p Problem<'d, L>,
    x: Vec<f64>,
    here: Evaluation,
    /// Where the next point is evaluated; swapped with `here` when it is taken.
    there: Evaluation,
    damping: f64,
    /// Factor of the next rise of the damping; doubles with every refused step, so that a search
    /// in a bend does not creep towards the damping it needs.
    growth: f64,
    small_gains: usize,
}

/// What became of a step.
enum Step {
    Onward,
    /// Several in a row gained too little to be worthwhile.
    TooLittle,
    /// None of any length would gain.
    Stuck,
}

impl<'p, 'd, L: Law> Walk<'p, 'd, L> {
    fn from(problem: &'p Problem<'d, L>, x: Vec<f64>) -> Self {
        let (mut here, there) = (Evaluation::new(x.len()), Evaluation::new(x.len()));
        problem.evaluate(&x, true, &mut here);
        Walk { problem, x, here, there, damping: START_DAMPING, growth: 2.0, small_gains: 0 }
    }

    /// Tries one damped step and takes it if it lowers the objective.
    fn step(&mut self, moving: &[usize], worthwhile: f64) -> Step {
        let next = self.proposed(moving);
        let moved: Vec<f64> = next.iter().zip(&self.x).map(|(a, b)| a - b).collect();
        // Of the step as the box lets it be: a clamped step may gain nothing.
        let expected = expected_gain(&self.here, &moved);
        self.problem.evaluate(&next, true, &mut self.there);
        let gain = self.here.objective - self.there.objective;
        // Below the objective's rounding only the gradient tells whether a step was good.
        let rounding = expected > 0.0 && expected <= 1e-13 * self.here.objective;
        let flatter = || scaled_gradient(&self.there, moving) < scaled_gradient(&self.here, moving);
        if expected > 0.0 && (gain > 0.0 || rounding && flatter()) {
            self.take(next, gain, expected, worthwhile)
        } else {
            self.refuse(expected)
        }
    }

    fn proposed(&self, moving: &[usize]) -> Vec<f64> {
        let mut next = self.x.clone();
        if let Some(step) = damped_step(&self.here, moving, self.damping) {
            for (&i, s) in moving.iter().zip(step) {
                let (low, high) = self.problem.bounds[i];
                next[i] = (self.x[i] + s).clamp(low, high);
            }
        }
        next
    }

    fn take(&mut self, next: Vec<f64>, gain: f64, expected: f64, worthwhile: f64) -> Step {
        // Nielsen's rule: less damping the better the picture foresaw the gain, by at most ten
        // times, and smoothly, since a threshold makes the damping swing.
        let quality = (2.0 * gain / expected - 1.0).clamp(-1.0, 1.0);
        self.damping = (self.damping * (1.0 - quality.powi(3)).clamp(0.1, 2.0)).max(1e-15);
        self.growth = 2.0;
        std::mem::swap(&mut self.here, &mut self.there);
        self.x = next;
        let small = gain < worthwhile * self.here.objective;
        self.small_gains = if small { self.small_gains + 1 } else { 0 };
        if self.small_gains == PATIENCE { Step::TooLittle } else { Step::Onward }
    }

    fn refuse(&mut self, expected: f64) -> Step {
        let negligible = expected.abs() <= 1e-16 * self.here.objective;
        self.damping *= self.growth;
        self.growth *= 2.0;
        if negligible || self.damping > 1e14 { Step::Stuck } else { Step::Onward }
    }

    /// The account of the search; it has arrived if its gradient is at most `goal`.
    fn end(self, iterations: usize, goal: f64) -> Solution {
        let moving = movable(&self.x, &self.here.gradient, &self.problem.bounds);
        let gradient = scaled_gradient(&self.here, &moving);
        let objective = self.here.objective;
        let converged = objective == 0.0 || gradient <= goal;
        Solution { x: self.x, objective, gradient, iterations, converged }
    }
}
