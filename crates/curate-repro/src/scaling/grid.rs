//! Exhaustive search on a grid, as the QQT authors fit: for parity, not for use.

use curate_scaling::law::{Law, Qqt};
use curate_scaling::{Observation, Observations};

/// `count` values from `first` to `last`, both included, evenly spaced.
pub fn linspace(first: f64, last: f64, count: usize) -> Vec<f64> {
    let step = (last - first) / (count.max(2) - 1) as f64;
    let at = |i: usize| if i + 1 == count { last } else { first + step * i as f64 };
    (0..count).map(at).collect()
}

/// The best cell of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The pool.
    pub pool: String,
    /// Its utility exponent.
    pub b: f64,
    /// Its half-life in epochs.
    pub half_life: f64,
    /// Sum of squared errors over its runs.
    pub cost: f64,
}

/// What the released code holds while it searches.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Samples at which the reducible error is one.
    pub unit_samples: f64,
    /// The floor.
    pub d: f64,
}

/// For each pool, in order of first appearance, the pair of exponent and half-life with the least
/// squared error. Of equals the first wins, half-lives turning fastest.
pub fn grid(
    law: &Qqt,
    runs: &Observations,
    given: Given,
    exponents: &[f64],
    half_lives: &[f64],
) -> Vec<Cell> {
    let best = |pool: String| {
        let mine: Vec<&Observation> = runs.rows().iter().filter(|row| row.pool == pool).collect();
        let mut best = Cell { pool, b: f64::NAN, half_life: f64::NAN, cost: f64::INFINITY };
        for &b in exponents {
            for &half_life in half_lives {
                let theta = [given.unit_samples, b, given.d, half_life];
                let error = |row: &&Observation| law.eval(&row.point(), &theta, None) - row.value;
                let cost: f64 = mine.iter().map(|row| error(row).powi(2)).sum();
                if cost < best.cost {
                    (best.b, best.half_life, best.cost) = (b, half_life, cost);
                }
            }
        }
        best
    };
    runs.pools().into_iter().map(best).collect()
}
