//! Where the best candidate changes, and what one pool is worth in samples of another.

use super::best::lowest;
use super::candidate::{Candidate, Resolved, resolve_all};
use crate::error::{Check, ScalingError};
use crate::fit::Fit;
use crate::law::Law;
use crate::stats::{central, expanded_level};
use crate::uncertainty::{Ensemble, Interval, check_level};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Budgets looked at between the ends of a range before a crossing is bisected.
const STEPS: usize = 240;
/// The same for each draw, whose crossing is looked for near a known one.
const DRAW_STEPS: usize = 60;

/// How many times fewer or more samples a multiplier is looked for.
const REACH: f64 = 1e4;

/// A budget at which the best candidate changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// Best below.
    pub from: String,
    /// Best above.
    pub to: String,
    /// Samples seen at the switch, with the interval over draws; an end outside the range is the
    /// range's end.
    pub samples: Interval,
    /// Share of draws in which `to` overtakes `from` nowhere in the range.
    pub never: f64,
}

fn check_range(low: f64, high: f64) -> Result<(), ScalingError> {
    let mut check = Check::default();
    check.require(low > 0.0 && low.is_finite(), "range.low", low, "above 0");
    check.require(high > low && high.is_finite(), "range.high", high, format!("above {low}"));
    Ok(check.finish()?)
}

fn budgets(low: f64, high: f64, steps: usize) -> Vec<f64> {
    (0..=steps).map(|i| low * (high / low).powf(i as f64 / steps as f64)).collect()
}

/// The samples in `[low, high]` where `f` turns from positive to negative, by bisection in logs.
fn bisect(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..50 {
        let middle = (low * high).sqrt();
        if f(middle) > 0.0 { low = middle } else { high = middle }
    }
    (low * high).sqrt()
}

/// Every change of the best candidate between `low` and `high` samples.
///
/// # Errors
/// As [`super::best_pool`], and a range that is none.
pub fn switch_points<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    (low, high): (f64, f64),
    level: f64,
) -> Result<Vec<Switch>, ScalingError> {
    check_level(level)?;
    check_range(low, high)?;
    let resolved = resolve_all(fit, candidates)?;
    let (grid, coarse) = (budgets(low, high, STEPS), budgets(low, high, DRAW_STEPS));
    let best_at = |samples: f64| {
        lowest(&resolved.iter().map(|c| c.at(fit.theta(), samples)).collect::<Vec<_>>())
    };
    let best: Vec<usize> = grid.iter().map(|&n| best_at(n)).collect();
    let mut switches = Vec::new();
    for (pair, ends) in best.windows(2).zip(grid.windows(2)) {
        let (from, to) = (&resolved[pair[0]], &resolved[pair[1]]);
        if pair[0] == pair[1] {
            continue;
        }
        let gap = |theta: &[f64], n: f64| to.at(theta, n) - from.at(theta, n);
        let estimate = bisect(ends[0], ends[1], |n| gap(fit.theta(), n));
        let crossing = |theta: &Vec<f64>| overtakes(&coarse, |n| gap(theta, n));
        let found: Vec<Option<f64>> = draws.thetas.par_iter().map(crossing).collect();
        let never = found.iter().filter(|c| c.is_none()).count() as f64;
        let values = found.iter().map(|c| c.unwrap_or(high)).collect();
        let (low, high) = central(values, expanded_level(level, fit.freedom()));
        switches.push(Switch {
            from: candidates[pair[0]].name.clone(),
            to: candidates[pair[1]].name.clone(),
            samples: Interval { estimate, low, high },
            never: never / draws.thetas.len().max(1) as f64,
        });
    }
    Ok(switches)
}

/// First budget at which the gap is not positive; the first of the grid if it starts so.
fn overtakes(grid: &[f64], gap: impl Fn(f64) -> f64) -> Option<f64> {
    let at = grid.iter().position(|&n| gap(n) <= 0.0)?;
    Some(if at == 0 { grid[0] } else { bisect(grid[at - 1], grid[at], gap) })
}

/// What a pool is worth in samples of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multiplier {
    /// Samples of the first candidate.
    pub samples: f64,
    /// Samples of the second that reach the same metric, over `samples`; infinite where the second
    /// never reaches it within the range looked at (10^4 times more).
    pub multiplier: Interval,
    /// Share of draws in which the second never reaches it.
    pub never: f64,
}

/// How many times more samples `other` needs to match `candidate` at `samples`.
///
/// # Errors
/// As [`super::best_pool`].
pub fn samples_multiplier<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidate: &Candidate,
    other: &Candidate,
    samples: f64,
    level: f64,
) -> Result<Multiplier, ScalingError> {
    check_level(level)?;
    check_range(samples, f64::MAX)?;
    let (ours, theirs) = (candidate.resolve(fit)?, other.resolve(fit)?);
    let ratio =
        |theta: &[f64]| matching(&theirs, theta, ours.at(theta, samples), samples) / samples;
    let values: Vec<f64> = draws.thetas.par_iter().map(|theta| ratio(theta)).collect();
    let never = values.iter().filter(|m| m.is_infinite()).count() as f64;
    let share = never / values.len().max(1) as f64;
    let (low, high) = central(values, expanded_level(level, fit.freedom()));
    let multiplier = Interval { estimate: ratio(fit.theta()), low, high };
    Ok(Multiplier { samples, multiplier, never: share })
}

/// Samples at which a candidate first reaches `target`; infinite if never.
fn matching<L: Law>(of: &Resolved<'_, L>, theta: &[f64], target: f64, around: f64) -> f64 {
    let gap = |n: f64| of.at(theta, n) - target;
    let reach = budgets(around / REACH, around * REACH, DRAW_STEPS);
    overtakes(&reach, gap).unwrap_or(f64::INFINITY)
}
