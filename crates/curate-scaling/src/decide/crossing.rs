//! Where the best candidate changes, and what one pool is worth in samples of another.

use super::best::lowest;
use super::blend::{Blend, Draw, Line};
use super::candidate::Candidate;
use crate::argument::{check_level, check_question, check_range};
use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::Law;
use crate::span::Span;
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
    Blend::one(fit, draws)?.switch_points(candidates, range, level)
}

impl<'a, L: Law> Blend<'a, L> {
    /// As [`switch_points`], of all its laws together.
    ///
    /// # Errors
    /// As [`switch_points`].
    pub fn switch_points(
        &self,
        candidates: &'a [Candidate],
        range: Span,
        level: f64,
    ) -> Result<Vec<Switch>, ScalingError> {
        let mut check = Checker::default();
        check_level(&mut check, level);
        check_range(&mut check, range);
        check.finish()?;
        let lines = self.lines(candidates)?;
        let grid = budgets(range, STEPS);
        let best_at = |&samples: &f64| {
            lowest(&lines.iter().map(|line| line.estimate(samples)).collect::<Vec<_>>())
        };
        let best: Vec<usize> = grid.iter().map(best_at).collect();
        let mut switches = Vec::new();
        for (pair, ends) in best.windows(2).zip(grid.windows(2)) {
            let (from, to) = (&lines[pair[0]], &lines[pair[1]]);
            let gap = |samples: f64| to.estimate(samples) - from.estimate(samples);
            // Curves that only touch, as those of pools that the law cannot tell apart, do not cross.
            if pair[0] == pair[1] || !(gap(ends[0]) > 0.0 && gap(ends[1]) < 0.0) {
                continue;
            }
            let estimate = bisect(ends[0], ends[1], gap);
            let doubt = self.crossings(range, level, from, to);
            switches.push(Switch {
                from: candidates[pair[0]].name().into(),
                to: candidates[pair[1]].name().into(),
                samples: Interval { estimate, low: doubt.low, high: doubt.high },
                never: doubt.never,
            });
        }
        Ok(switches)
    }

    /// A draw that crosses nowhere counts as crossing at the range's end: leaving it out would make
    /// the interval narrower the less the draws agree.
    fn crossings(
        &self,
        range: Span,
        level: f64,
        from: &Line<'_, L>,
        to: &Line<'_, L>,
    ) -> Crossings {
        let coarse = budgets(range, DRAW_STEPS);
        let crossing = |draw: &Draw<'_>| overtakes(&coarse, |n| to.at(draw, n) - from.at(draw, n));
        let found: Vec<Option<f64>> = self.draws().par_iter().map(crossing).collect();
        let never = found.iter().filter(|c| c.is_none()).count() as f64;
        let values = found.iter().map(|c| c.unwrap_or(range.high)).collect();
        let Interval { low, high, .. } = self.spread(values, f64::NAN, level);
        Crossings { low, high, never: never / self.draws().len() as f64 }
    }
}

/// Where the draws put a crossing.
struct Crossings {
    low: f64,
    high: f64,
    never: f64,
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
    Blend::one(fit, draws)?.samples_multiplier(candidate, other, samples, level)
}

impl<'a, L: Law> Blend<'a, L> {
    /// As [`samples_multiplier`], of all its laws together.
    ///
    /// # Errors
    /// As [`samples_multiplier`].
    pub fn samples_multiplier(
        &self,
        candidate: &'a Candidate,
        other: &'a Candidate,
        samples: f64,
        level: f64,
    ) -> Result<Multiplier, ScalingError> {
        check_question(samples, level)?;
        let (ours, theirs) = (self.line(candidate)?, self.line(other)?);
        let ratio = |draw: &Draw<'_>| {
            let target = ours.at(draw, samples);
            matching(samples, |n| theirs.at(draw, n) - target) / samples
        };
        let values: Vec<f64> = self.draws().par_iter().map(ratio).collect();
        let never = values.iter().filter(|m| m.is_infinite()).count() as f64;
        let never = never / values.len() as f64;
        let target = ours.estimate(samples);
        let estimate = matching(samples, |n| theirs.estimate(n) - target) / samples;
        Ok(Multiplier { samples, multiplier: self.spread(values, estimate, level), never })
    }
}

/// Samples at which a gap first closes; infinite if never.
fn matching(around: f64, gap: impl Fn(f64) -> f64) -> f64 {
    let reach = budgets(Span::new(around / REACH, around * REACH), DRAW_STEPS);
    overtakes(&reach, gap).unwrap_or(f64::INFINITY)
}
