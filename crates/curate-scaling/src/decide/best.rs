//! The best pool for a budget, and how often it wins.

use super::blend::Blend;
use super::candidate::Candidate;
use crate::argument::check_question;
use crate::error::ScalingError;
use crate::fit::{Fit, OutOfRange};
use crate::law::Law;
use crate::uncertainty::{Ensemble, Interval};
use serde::{Deserialize, Serialize};

/// One candidate at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The candidate.
    pub name: String,
    /// Predicted metric, with its interval over the draws.
    pub metric: Interval,
    /// Share of draws in which it is the best; draws in which several are equally good are split.
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
    winner: Option<String>,
    tied: Vec<String>,
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

    /// The candidate to train on; `None` where the law predicts the same for the best and another,
    /// so that it cannot tell them apart.
    pub fn winner(&self) -> Option<&Ranked> {
        self.winner.is_some().then(|| self.best())
    }

    /// The candidates that are predicted equal to the best, with it; empty where it is alone.
    pub fn tied(&self) -> &[String] {
        &self.tied
    }

    /// The candidate with the best prediction; one of several where there is no
    /// [`BestPool::winner`].
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
    Blend::one(fit, draws)?.best_pool(candidates, samples, level)
}

impl<'a, L: Law> Blend<'a, L> {
    /// As [`best_pool`], of all its laws together. Draws in which several candidates are equally
    /// good count for each of them in equal parts.
    ///
    /// # Errors
    /// As [`best_pool`], and a prediction that is no number.
    pub fn best_pool(
        &self,
        candidates: &'a [Candidate],
        samples: f64,
        level: f64,
    ) -> Result<BestPool, ScalingError> {
        check_question(samples, level)?;
        let lines = self.lines(candidates)?;
        let estimates: Vec<f64> =
            lines.iter().map(|line| line.checked_estimate(samples)).collect::<Result<_, _>>()?;
        let mut values = vec![Vec::with_capacity(self.draws().len()); lines.len()];
        let (mut wins, mut regret) = (vec![0.0; lines.len()], vec![0.0; lines.len()]);
        let one = 1.0 / self.draws().len() as f64;
        for draw in self.draws() {
            let drawn: Vec<f64> = lines.iter().map(|line| line.at(draw, samples)).collect();
            let best = drawn[lowest(&drawn)];
            let winners = drawn.iter().filter(|v| equal(**v, best)).count() as f64;
            for (i, &value) in drawn.iter().enumerate() {
                wins[i] += if equal(value, best) { one / winners } else { 0.0 };
                regret[i] += one * (value - best);
                values[i].push(value);
            }
        }
        let rank = |(i, values): (usize, Vec<f64>)| Ranked {
            name: candidates[i].name().into(),
            metric: self.spread(values, estimates[i], level),
            wins: wins[i],
            regret: regret[i],
            out_of_range: lines[i].out_of_range(samples),
        };
        let mut ranking: Vec<Ranked> = values.into_iter().enumerate().map(rank).collect();
        ranking.sort_by(|a, b| a.metric.estimate.total_cmp(&b.metric.estimate));
        let best = &ranking[0];
        let ties = ranking.iter().filter(|r| equal(r.metric.estimate, best.metric.estimate));
        let tied: Vec<String> = ties.map(|r| r.name.clone()).collect();
        let tied = if tied.len() > 1 { tied } else { Vec::new() };
        let winner = tied.is_empty().then(|| best.name.clone());
        Ok(BestPool { law: self.law(), samples, winner, tied, ranking })
    }
}

/// Whether two metrics are the same but for rounding.
fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
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
            if rank == 0 && ranking.winner.is_some() {
                joined[at].best_of.push(ranking.law.clone());
            }
        }
    }
    joined.sort_by(|a, b| b.wins.total_cmp(&a.wins));
    joined
}
