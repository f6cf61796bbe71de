//! Levenberg-Marquardt in a box, and a quasi-Newton finish for robust losses.

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
const GRADIENT_FAIR: f64 = 1e-5;

/// Damping of the first step, relative to the curvature's diagonal.
const START_DAMPING: f64 = 1e-2;

/// Steps in a row that may gain too little: damping can make a few of them small.
const PATIENCE: usize = 4;

/// Coordinates that may move: not at a bound that the gradient pushes against.
fn movable(x: &[f64], gradient: &[f64], bounds: &[(f64, f64)]) -> Vec<usize> {
    let free = |&i: &usize| {
        let (low, high) = bounds[i];
        !(x[i] <= low && gradient[i] > 0.0 || x[i] >= high && gradient[i] < 0.0)
    };
    (0..x.len()).filter(free).collect()
}

fn scaled_gradient(at: &Evaluation, moving: &[usize]) -> f64 {
    let size = |&i: &usize| {
        let allowed = (2.0 * at.curvature.at(i, i) * at.objective).sqrt();
        // A direction without curvature may not show as infinite: files hold finite numbers only.
        if at.gradient[i] == 0.0 { 0.0 } else { (at.gradient[i] / allowed).abs().min(1e300) }
    };
    moving.iter().map(size).fold(0.0, f64::max)
}

/// The damped Gauss-Newton step on the moving coordinates, `None` if it cannot be solved.
fn damped_step(at: &Evaluation, moving: &[usize], damping: f64) -> Option<Vec<f64>> {
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

/// Minimises the objective from `start` by Levenberg-Marquardt with a projected step, until it
/// arrives or several steps in a row gain less than `worthwhile` of the objective.
pub(crate) fn levenberg_marquardt<L: Law>(
    problem: &Problem<'_, L>,
    start: Vec<f64>,
    max_iterations: usize,
    worthwhile: f64,
) -> Solution {
    let size = start.len();
    let (mut here, mut there) = (Evaluation::new(size), Evaluation::new(size));
    let mut x = start;
    problem.evaluate(&x, true, &mut here);
    let (mut damping, mut growth, mut small_gains) = (START_DAMPING, 2.0, 0);
    let solution = |x: Vec<f64>, at: &Evaluation, iterations, stuck: bool| {
        let gradient = scaled_gradient(at, &movable(&x, &at.gradient, &problem.bounds));
        let goal = if stuck { GRADIENT_FAIR } else { GRADIENT_GOAL };
        let converged = at.objective == 0.0 || gradient <= goal;
        Solution { x, objective: at.objective, gradient, iterations, converged }
    };
    for iteration in 0..max_iterations {
        let moving = movable(&x, &here.gradient, &problem.bounds);
        if here.objective == 0.0 || scaled_gradient(&here, &moving) <= GRADIENT_GOAL {
            return solution(x, &here, iteration, false);
        }
        let mut next = x.clone();
        if let Some(step) = damped_step(&here, &moving, damping) {
            for (&i, s) in moving.iter().zip(step) {
                next[i] = (x[i] + s).clamp(problem.bounds[i].0, problem.bounds[i].1);
            }
        }
        let moved: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let expected = expected_gain(&here, &moved);
        problem.evaluate(&next, true, &mut there);
        let gain = here.objective - there.objective;
        // Below the objective's rounding only the gradient tells whether a step was good.
        let rounding = expected > 0.0 && expected <= 1e-13 * here.objective;
        let flatter = || scaled_gradient(&there, &moving) < scaled_gradient(&here, &moving);
        if expected > 0.0 && (gain > 0.0 || rounding && flatter()) {
            let quality = (2.0 * gain / expected - 1.0).clamp(-1.0, 1.0);
            damping = (damping * (1.0 - quality.powi(3)).clamp(0.1, 2.0)).max(1e-15);
            growth = 2.0;
            std::mem::swap(&mut here, &mut there);
            x = next;
            small_gains = if gain < worthwhile * here.objective { small_gains + 1 } else { 0 };
            if small_gains == PATIENCE {
                return solution(x, &here, iteration + 1, false);
            }
        } else {
            let negligible = expected.abs() <= 1e-16 * here.objective;
            damping *= growth;
            growth *= 2.0;
            if negligible || damping > 1e14 {
                return solution(x, &here, iteration, true);
            }
        }
    }
    solution(x, &here, max_iterations, true)
}

/// Finishes a search with BFGS (weak Wolfe line search), whose steps know the curvature of the
/// linear parts of a robust loss, which iterated least squares does not.
pub(crate) fn polish<L: Law>(
    problem: &Problem<'_, L>,
    from: Solution,
    max_iterations: usize,
) -> Solution {
    let size = from.x.len();
    let mut here = Evaluation::new(size);
    let mut x = from.x;
    problem.evaluate(&x, true, &mut here);
    let mut moving = movable(&x, &here.gradient, &problem.bounds);
    let mut inverse = initial_inverse(&here, &moving);
    let mut quiet = 0;
    let mut iterations = from.iterations;
    for _ in 0..max_iterations {
        iterations += 1;
        let direction = direction(&inverse, &here.gradient, &moving);
        let Some((next, there)) = line_search(problem, &x, &here, &direction) else {
            if quiet > 3 {
                break;
            }
            // A stale curvature can point nowhere: start over from the current one, once or twice.
            quiet += 2;
            problem.evaluate(&x, true, &mut here);
            moving = movable(&x, &here.gradient, &problem.bounds);
            inverse = initial_inverse(&here, &moving);
            continue;
        };
        let gain = here.objective - there.objective;
        quiet = if gain <= 1e-13 * here.objective { quiet + 1 } else { 0 };
        let still = movable(&next, &there.gradient, &problem.bounds);
        if still == moving {
            update_inverse(&mut inverse, &moving, (&x, &here.gradient), (&next, &there.gradient));
            (x, here) = (next, there);
        } else {
            x = next;
            problem.evaluate(&x, true, &mut here);
            moving = still;
            inverse = initial_inverse(&here, &moving);
        }
        if quiet > 5 {
            break;
        }
    }
    problem.evaluate(&x, true, &mut here);
    let gradient = scaled_gradient(&here, &movable(&x, &here.gradient, &problem.bounds));
    let converged = here.objective == 0.0 || gradient <= GRADIENT_FAIR || quiet > 5;
    Solution { x, objective: here.objective, gradient, iterations, converged }
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

/// A step that lowers the objective and flattens the slope, clamped to the box.
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
    for _ in 0..30 {
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

/// The BFGS update of the inverse curvature.
fn update_inverse(
    inverse: &mut Square,
    moving: &[usize],
    (x, gradient): (&[f64], &[f64]),
    (next, next_gradient): (&[f64], &[f64]),
) {
    let s: Vec<f64> = moving.iter().map(|&i| next[i] - x[i]).collect();
    let y: Vec<f64> = moving.iter().map(|&i| next_gradient[i] - gradient[i]).collect();
    let curvature = dot(&s, &y);
    if curvature <= 1e-300 {
        return;
    }
    let n = moving.len();
    let hy: Vec<f64> = (0..n).map(|r| (0..n).map(|c| inverse.at(r, c) * y[c]).sum()).collect();
    let factor = (1.0 + dot(&y, &hy) / curvature) / curvature;
    for r in 0..n {
        for c in 0..n {
            let change = factor * s[r] * s[c] - (hy[r] * s[c] + s[r] * hy[c]) / curvature;
            inverse.set(r, c, inverse.at(r, c) + change);
        }
    }
}
