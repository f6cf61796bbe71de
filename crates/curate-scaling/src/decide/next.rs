//! Which small run would settle a decision.

use super::best::lowest;
use super::blend::{Blend, Draw, Line};
use super::candidate::Candidate;
use crate::argument::check_positive;
use crate::error::ScalingError;
use crate::fit::{Fit, Space};
use crate::law::Law;
use crate::uncertainty::Ensemble;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

/// A run that could be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// What to train on.
    pub candidate: Candidate,
    /// Samples seen.
    pub samples: f64,
}

/// What a run would tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What to train on.
    pub candidate: String,
    /// Samples seen.
    pub samples: f64,
    /// Share of the doubt (variance) about the decision that the run's outcome would remove, over
    /// the pairs that the decision rests on.
    pub settles: f64,
    /// The same for each million samples trained: what a cheap run is worth.
    pub settles_per_million: f64,
    /// Spread (standard deviation) of the run's outcome over the draws: where the draws disagree.
    pub spread: f64,
}

/// Ranks `experiments` by how much of the doubt about the decision at `samples` they would settle.
///
/// The decision rests on the gaps between the best candidate and each rival. Over the draws, the
/// outcome of a run and a gap vary together; measuring the outcome with the fit's noise leaves
/// `1 - cov^2 / (var_gap (var_run + noise^2))` of the gap's variance. Rivals weigh by how often
/// they win, plus a little. Cheap runs far from the question can settle more than dear ones near
/// it.
///
/// ```
/// use curate_scaling::decide::{Candidate, Experiment, next_experiment};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;
/// let pools = Candidate::cumulative(&["good", "fair", "poor"]);
/// let run = |i: usize, samples| Experiment { candidate: pools[i].clone(), samples };
/// let found = next_experiment(&fit, &draws, &pools, 3e8, &[run(0, 1e7), run(1, 1.6e8)])?;
/// assert_eq!(found[0].candidate, "good+fair"); // The rival, at half the budget.
/// assert!(found[0].settles > 0.3);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// As [`super::best_pool`], no experiments, and one whose samples are not positive.
pub fn next_experiment<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    samples: f64,
    experiments: &[Experiment],
) -> Result<Vec<Proposal>, ScalingError> {
    Blend::one(fit, draws)?.next_experiment(candidates, samples, experiments)
}

impl<'a, L: Law> Blend<'a, L> {
    /// As [`next_experiment`], of all its laws together.
    ///
    /// # Errors
    /// As [`next_experiment`].
    pub fn next_experiment(
        &self,
        candidates: &'a [Candidate],
        samples: f64,
        experiments: &'a [Experiment],
    ) -> Result<Vec<Proposal>, ScalingError> {
        check(samples, experiments)?;
        let rivals = self.rivals(&self.lines(candidates)?, samples);
        let mut proposals: Vec<Proposal> = experiments
            .iter()
            .map(|experiment| self.propose(&rivals, experiment))
            .collect::<Result<_, ScalingError>>()?;
        proposals.sort_by(|a, b| b.settles.total_cmp(&a.settles));
        Ok(proposals)
    }

    fn rivals(&self, lines: &[Line<'_, L>], samples: f64) -> Vec<Rival> {
        let best = lowest(&lines.iter().map(|line| line.estimate(samples)).collect::<Vec<_>>());
        let under = |draw: &Draw<'_>| -> Vec<f64> {
            lines.iter().map(|line| line.at(draw, samples)).collect()
        };
        let values: Vec<Vec<f64>> = self.draws().iter().map(under).collect();
        let rival = |rival: usize| {
            let gap = values.iter().map(|v| v[rival] - v[best]).collect();
            let wins = values.iter().filter(|v| lowest(v) == rival).count();
            // A little for rivals that never win, so that one certain decision still ranks its runs.
            let weight = (wins as f64 + 0.01 * values.len() as f64) / values.len() as f64;
            Rival { gap, weight }
        };
        (0..lines.len()).filter(|&i| i != best).map(rival).collect()
    }

    fn propose(
        &self,
        rivals: &[Rival],
        experiment: &'a Experiment,
    ) -> Result<Proposal, ScalingError> {
        let run = self.line(&experiment.candidate)?;
        let space = self.space();
        let measured = |draw: &Draw<'_>| space.forward(run.at(draw, experiment.samples));
        let outcome: Vec<f64> = self.draws().iter().map(measured).collect();
        let noise = self.noise_variance();
        let weight: f64 = rivals.iter().map(|rival| rival.weight).sum();
        let settled = |rival: &Rival| rival.weight * explained(&outcome, &rival.gap, noise);
        let settles = rivals.iter().map(settled).sum::<f64>() / weight.max(f64::MIN_POSITIVE);
        let deviation = covariance(&outcome, &outcome).sqrt();
        let center = run.checked_estimate(experiment.samples)?;
        Ok(Proposal {
            candidate: experiment.candidate.name().into(),
            samples: experiment.samples,
            settles,
            settles_per_million: settles / (experiment.samples / 1e6),
            spread: if space == Space::Log { deviation * center } else { deviation },
        })
    }
}

fn check(samples: f64, experiments: &[Experiment]) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    check_positive(&mut check, "samples", samples);
    check.that(!experiments.is_empty(), "experiments", "empty", "at least one run");
    for experiment in experiments {
        check_positive(&mut check, "experiment.samples", experiment.samples);
    }
    Ok(check.finish()?)
}

/// A candidate that might be better than the best.
struct Rival {
    /// How far it is behind, in each draw.
    gap: Vec<f64>,
    weight: f64,
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>() / count
}

/// Share of the gap's variance that a noisy measurement of the outcome explains.
fn explained(outcome: &[f64], gap: &[f64], noise: f64) -> f64 {
    let (spread, doubt) = (covariance(outcome, outcome) + noise, covariance(gap, gap));
    let shared = covariance(outcome, gap);
    if spread > 0.0 && doubt > 0.0 { shared * shared / (spread * doubt) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_explains_what_it_shares() {
        let gap = [1.0, -1.0, 2.0, -2.0];
        let same: Vec<f64> = gap.iter().map(|g| 3.0 * g).collect();
        assert!((explained(&same, &gap, 0.0) - 1.0).abs() < 1e-15);
        // var = 22.5; noise of the same size halves what is learned.
        assert!((explained(&same, &gap, 22.5) - 0.5).abs() < 1e-15);
        assert_eq!(explained(&[1.0, 1.0, -1.0, -1.0], &[1.0, -1.0, 1.0, -1.0], 0.0), 0.0);
        assert_eq!(explained(&[1.0; 4], &gap, 0.0), 0.0);
    }
}
