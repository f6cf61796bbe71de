//! The best pool for a budget, and how often it wins.

use super::candidate::{Candidate, resolve_all};
use crate::argument::{check_level, check_positive};
use crate::error::ScalingError;
use crate::fit::{Fit, OutOfRange};
use crate::law::Law;
use crate::uncertainty::{Ensemble, Interval};
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

/// One candidate at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The candidate.
    pub name: String,
    /// Predicted metric, with its interval over the draws.
    pub metric: Interval,
    /// Share of draws in which it is the best.
    pub wins: f64,
    /// Mean loss against each draw's best, in units of the metric: the price of choosing it.
    pub regret: f64,
    /// Where the question lies outside what the data span.
    pub out_of_range: Vec<OutOfRange>,
}

/// The candidates at one budget, best prediction first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestPool {
    law: String,
    samples: f64,
    /// Never empty.
    ranking: Vec<Ranked>,
}

impl BestPool {
    /// The law.
    pub fn law(&self) -> &str {
        &self.law
    }

    /// Samples seen.
    pub fn samples(&self) -> f64 {
        self.samples
    }

    /// All candidates, best prediction first.
    pub fn ranking(&self) -> &[Ranked] {
        &self.ranking
    }

    /// The candidate with the best prediction.
    pub fn best(&self) -> &Ranked {
        &self.ranking[0]
    }
}

/// Ranks `candidates` for a budget of `samples`, with the share of draws that each wins.
///
/// ```
/// use curate_scaling::decide::{Candidate, best_pool};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;
/// let candidates = Candidate::cumulative(&["good", "fair", "poor"]);
/// let small = best_pool(&fit, &draws, &candidates, 1e7, 0.9)?;
/// let large = best_pool(&fit, &draws, &candidates, 1e9, 0.9)?;
/// assert_eq!(small.best().name, "good");
/// assert_ne!(large.best().name, "good");
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// What [`Candidate::check`] refuses, no candidates, no draws or draws of another fit, samples that
/// are not positive, and a level outside `(0, 1)`.
pub fn best_pool<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    samples: f64,
    level: f64,
) -> Result<BestPool, ScalingError> {
    check_question(samples, level)?;
    draws.check_fit(fit)?;
    let resolved = resolve_all(fit, candidates)?;
    let (mut wins, mut regret) = (vec![0; candidates.len()], vec![0.0; candidates.len()]);
    let draws_made = draws.thetas.len() as f64;
    for theta in &draws.thetas {
        let values: Vec<f64> = resolved.iter().map(|c| c.at(theta, samples)).collect();
        let best = lowest(&values);
        wins[best] += 1;
        regret.iter_mut().zip(&values).for_each(|(r, v)| *r += (v - values[best]) / draws_made);
    }
    let rank = |(i, candidate): (usize, &Candidate)| {
        Ok(Ranked {
            name: candidate.name().into(),
            metric: draws.interval(fit, level, |theta| resolved[i].at(theta, samples))?,
            wins: f64::from(wins[i]) / draws_made,
            regret: regret[i],
            out_of_range: resolved[i].out_of_range(samples),
        })
    };
    let mut ranking: Vec<Ranked> =
        candidates.iter().enumerate().map(rank).collect::<Result<_, ScalingError>>()?;
    ranking.sort_by(|a, b| a.metric.estimate.total_cmp(&b.metric.estimate));
    Ok(BestPool { law: fit.law().name().into(), samples, ranking })
}

pub(super) fn check_question(samples: f64, level: f64) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    check_positive(&mut check, "samples", samples);
    check_level(&mut check, level);
    Ok(check.finish()?)
}

/// Index of the lowest value; the first of equals.
pub(super) fn lowest(values: &[f64]) -> usize {
    (0..values.len()).min_by(|&i, &j| values[i].total_cmp(&values[j])).unwrap_or(0)
}

/// How often a candidate wins when several laws have an equal say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consensus {
    /// The candidate.
    pub name: String,
    /// Mean share of draws over the laws.
    pub wins: f64,
    /// Laws whose best prediction it is.
    pub best_of: Vec<String>,
}

/// Joins the rankings of several laws at one budget, since laws that fit the data equally well can
/// disagree beyond it. Most wins first.
pub fn across_laws(rankings: &[BestPool]) -> Vec<Consensus> {
    let mut joined: Vec<Consensus> = Vec::new();
    for ranking in rankings {
        for (rank, row) in ranking.ranking.iter().enumerate() {
            let at = joined.iter().position(|c| c.name == row.name).unwrap_or_else(|| {
                let name = row.name.clone();
                joined.push(Consensus { name, wins: 0.0, best_of: Vec::new() });
                joined.len() - 1
            });
            joined[at].wins += row.wins / rankings.len() as f64;
            if rank == 0 {
                joined[at].best_of.push(ranking.law.clone());
            }
        }
    }
    joined.sort_by(|a, b| b.wins.total_cmp(&a.wins));
    joined
}
