//! The minimum of a smooth convex function: L-BFGS (Nocedal and Wright 2006, algorithm 7.5).

/// Pairs of steps and gradients that are remembered.
const REMEMBERED: usize = 10;
/// Share of the promised descent that a step has to bring (Armijo).
const ENOUGH: f64 = 1e-4;
/// Halvings of a step before the fit ends: the numbers allow no descent.
const MOST_HALVINGS: usize = 50;

/// Where the search ended.
pub(crate) struct Found {
    pub(crate) at: Vec<f64>,
    pub(crate) steps: usize,
    /// Whether the gradient is as small as was asked for.
    pub(crate) converged: bool,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// One over their inner product.
    scale: f64,
}

/// Minimizes from `at`, until no entry of the gradient is larger than `tolerance` or `most` steps are done.
pub(crate) fn minimize(
    mut at: Vec<f64>,
    of: impl Fn(&[f64]) -> (f64, Vec<f64>),
    most: usize,
    tolerance: f64,
) -> Found {
    let (mut value, mut gradient) = of(&at);
    let mut pairs: Vec<Pair> = Vec::new();
    let small = |gradient: &[f64]| gradient.iter().all(|g| g.abs() <= tolerance);
    for steps in 0..most {
        if small(&gradient) {
            return Found { at, steps, converged: true };
        }
        let direction = direction(&gradient, &pairs);
        let slope = dot(&direction, &gradient);
        // The first step has no scale of its own yet.
        let first = if pairs.is_empty() { 1.0 / norm(&gradient).max(1.0) } else { 1.0 };
        let mut length = first;
        let mut halvings = 0;
        let (next, next_value, next_gradient) = loop {
            let next: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (found, slopes) = of(&next);
            if found <= value + ENOUGH * length * slope {
                break (next, found, slopes);
            }
            halvings += 1;
            if halvings > MOST_HALVINGS {
                return Found { converged: small(&gradient), at, steps };
            }
            length *= 0.5;
        };
        remember(&mut pairs, &at, &next, &gradient, &next_gradient);
        (at, value, gradient) = (next, next_value, next_gradient);
    }
    Found { converged: small(&gradient), at, steps: most }
}

fn remember(pairs: &mut Vec<Pair>, at: &[f64], next: &[f64], before: &[f64], after: &[f64]) {
    let step: Vec<f64> = next.iter().zip(at).map(|(a, b)| a - b).collect();
    let change: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    let product = dot(&step, &change);
    // A pair without curvature says nothing; rounding makes such near the minimum.
    if product > f64::EPSILON * norm(&step) * norm(&change) {
        if pairs.len() == REMEMBERED {
            pairs.remove(0);
        }
        pairs.push(Pair { step, change, scale: 1.0 / product });
    }
}

/// The two loops over remembered pairs.
fn direction(gradient: &[f64], pairs: &[Pair]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = pair.scale * dot(&pair.step, &q);
        add(&mut q, -weight, &pair.change);
        weights.push(weight);
    }
    if let Some(last) = pairs.last() {
        let scale = 1.0 / (last.scale * dot(&last.change, &last.change));
        q.iter_mut().for_each(|x| *x *= scale);
    }
    for (pair, weight) in pairs.iter().zip(weights.iter().rev()) {
        let back = pair.scale * dot(&pair.change, &q);
        add(&mut q, weight - back, &pair.step);
    }
    q.iter_mut().for_each(|x| *x = -*x);
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn add(to: &mut [f64], weight: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, x)| *to += weight * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_conditioned_bowl() {
        let scale = [1.0, 1e3, 1e-2];
        let of = |x: &[f64]| {
            let value = x.iter().zip(scale).map(|(x, s)| 0.5 * s * (x - 1.0).powi(2)).sum();
            (value, x.iter().zip(scale).map(|(x, s)| s * (x - 1.0)).collect())
        };
        let found = minimize(vec![0.0; 3], of, 200, 1e-10);
        assert!(found.converged && found.at.iter().all(|x| (x - 1.0).abs() < 1e-7));
        assert!(found.steps < 60, "{}", found.steps);
        let short = minimize(vec![0.0; 3], of, 2, 1e-10);
        assert_eq!((short.steps, short.converged), (2, false));
        assert_eq!(minimize(vec![1.0; 3], of, 2, 0.0).steps, 0, "already there");
    }
}
