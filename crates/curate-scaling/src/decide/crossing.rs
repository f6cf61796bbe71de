//! Where the best candidate changes, and what one pool is worth in samples of another.

use super::best::{check_question, lowest};
use super::candidate::{Candidate, Resolved, resolve_all};
use crate::argument::{check_level, check_range};
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::Law;
use crate::span::Span;
use crate::stats::{central, expanded_level};
use crate::uncertainty::{Ensemble, Interval};
use curate_core::params::Checker;
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

/// Evenly spaced in logarithms, both ends included.
fn budgets(Span { low, high }: Span, steps: usize) -> Vec<f64> {
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

/// Every change of the best candidate over a range of samples.
///
/// ```
/// use curate_scaling::decide::{Candidate, switch_points};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, Span, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;
/// let candidates = Candidate::cumulative(&["good", "fair", "poor"]);
/// let found = switch_points(&fit, &draws, &candidates, Span::new(1e7, 1e9), 0.9)?;
/// assert_eq!((&*found[0].from, &*found[0].to), ("good", "good+fair"));
/// assert!((2.2e7..2.4e7).contains(&found[0].samples.estimate));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// As [`super::best_pool`], and a range that does not rise from a positive number.
pub fn switch_points<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    range: Span,
    level: f64,
) -> Result<Vec<Switch>, ScalingError> {
    let mut check = Checker::default();
    check_level(&mut check, level);
    check_range(&mut check, range);
    check.finish()?;
    draws.check_fit(fit)?;
    let resolved = resolve_all(fit, candidates)?;
    let grid = budgets(range, STEPS);
    let best_at = |samples: f64| {
        lowest(&resolved.iter().map(|c| c.at(fit.theta(), samples)).collect::<Vec<_>>())
    };
    let best: Vec<usize> = grid.iter().map(|&n| best_at(n)).collect();
    let mut switches = Vec::new();
    for (pair, ends) in best.windows(2).zip(grid.windows(2)) {
        if pair[0] == pair[1] {
            continue;
        }
        let gap =
            |theta: &[f64], n: f64| resolved[pair[1]].at(theta, n) - resolved[pair[0]].at(theta, n);
        let estimate = bisect(ends[0], ends[1], |n| gap(fit.theta(), n));
        let doubt = Crossings::of(fit, draws, range, level, gap);
        switches.push(Switch {
            from: candidates[pair[0]].name().into(),
            to: candidates[pair[1]].name().into(),
            samples: Interval { estimate, low: doubt.low, high: doubt.high },
            never: doubt.never,
        });
    }
    Ok(switches)
}

/// Where the draws put a crossing.
struct Crossings {
    low: f64,
    high: f64,
    never: f64,
}

impl Crossings {
    /// A draw that crosses nowhere counts as crossing at the range's end: leaving it out would make
    /// the interval narrower the less the draws agree.
    fn of<L: Law>(
        fit: &Fit<L>,
        draws: &Ensemble,
        range: Span,
        level: f64,
        gap: impl Fn(&[f64], f64) -> f64 + Sync,
    ) -> Crossings {
        let coarse = budgets(range, DRAW_STEPS);
        let crossing = |theta: &Vec<f64>| overtakes(&coarse, |n| gap(theta, n));
        let found: Vec<Option<f64>> = draws.thetas.par_iter().map(crossing).collect();
        let never = found.iter().filter(|c| c.is_none()).count() as f64;
        let values = found.iter().map(|c| c.unwrap_or(range.high)).collect();
        let (low, high) = central(values, expanded_level(level, fit.freedom()));
        Crossings { low, high, never: never / draws.thetas.len() as f64 }
    }
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
/// ```
/// use curate_scaling::decide::{Candidate, samples_multiplier};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;
/// let (good, poor) = (Candidate::pool("good"), Candidate::pool("poor"));
/// let worth = samples_multiplier(&fit, &draws, &good, &poor, 1e7, 0.9)?;
/// assert!((1.9..2.1).contains(&worth.multiplier.estimate));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
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
    check_question(samples, level)?;
    draws.check_fit(fit)?;
    let (ours, theirs) = (candidate.resolve(fit)?, other.resolve(fit)?);
    let ratio =
        |theta: &[f64]| matching(&theirs, theta, ours.at(theta, samples), samples) / samples;
    let values: Vec<f64> = draws.thetas.par_iter().map(|theta| ratio(theta)).collect();
    let never = values.iter().filter(|m| m.is_infinite()).count() as f64;
    let share = never / values.len() as f64;
    let (low, high) = central(values, expanded_level(level, fit.freedom()));
    let multiplier = Interval { estimate: ratio(fit.theta()), low, high };
    Ok(Multiplier { samples, multiplier, never: share })
}

/// Samples at which a candidate first reaches `target`; infinite if never.
fn matching<L: Law>(of: &Resolved<'_, L>, theta: &[f64], target: f64, around: f64) -> f64 {
    let gap = |n: f64| of.at(theta, n) - target;
    let reach = budgets(Span::new(around / REACH, around * REACH), DRAW_STEPS);
    overtakes(&reach, gap).unwrap_or(f64::INFINITY)
}
