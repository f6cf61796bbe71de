//! DataComp at small scale (Gadre et al. 2023, arXiv 2304.14108): one pool of image-text pairs, filters of it, the same
//! training on what each keeps, at two budgets. Does the order of the filters carry over?
//!
//! The protocol was fixed before the first run: the pool, its clean sets and the questions of
//! [`dfn_small`](crate::dfn_small) (half of the captions exchanged), filters that keep 30 %, two projections of frozen
//! features (256 hidden units, embeddings of 128, steps of 512 pairs), 100 and 800 steps, five seeds, each with its own
//! noise, filters, weights and order. The number that ranks is the mean of four tasks, as DataComp's is of 38:
//! zero-shot accuracy over subcategories, of all test pictures and of those of unseen concepts, and recall of the right
//! caption among all, of seen concepts and of unseen ones.

mod claims;
mod strategies;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use curate_core::{NoProgress, random};
use curate_eval::{ProbeParams, compare::Mean};
use curate_select::spearman;
use rayon::prelude::*;
use serde::Serialize;

pub use strategies::Strategy;

use crate::{
    Claim, OutOfReach,
    dfn_small::{
        Outcome, answer,
        protocol::{Data, SEEDS},
    },
    intervals::Plot,
    tiny::{difference, mean},
    write,
};

/// Steps of 512 pairs: the small budget and the large one.
pub const STEPS: [usize; 2] = [100, 800];

/// One training.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// What was kept.
    pub strategy: Strategy,
    /// Steps.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
    /// Pairs to train on.
    pub pairs: usize,
    /// Zero-shot accuracy over subcategories.
    pub zero_shot: f64,
    /// The mean of the four tasks.
    pub average: f64,
}

/// A strategy at a budget, over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The strategy.
    pub strategy: Strategy,
    /// The strategy in words.
    pub name: &'static str,
    /// Steps.
    pub steps: usize,
    /// Pairs to train on, the mean over seeds.
    pub pairs: f64,
    /// Zero-shot accuracy over subcategories.
    pub zero_shot: Mean,
    /// The mean of the four tasks.
    pub average: Mean,
    /// Its difference from that of no filter, seed by seed.
    pub difference: Mean,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Pairs of the pool.
    pub pool: usize,
    /// Every strategy at every budget.
    pub arms: Vec<Summary>,
    /// Rank correlation of the two budgets: by zero-shot accuracy, and by the mean of the tasks.
    pub rank_correlation: [Option<f64>; 2],
    /// The claims.
    pub claims: Vec<Claim>,
    /// What cannot be looked at.
    pub out_of_reach: Vec<OutOfReach>,
    /// Every training.
    pub trials: Vec<Trial>,
}

/// Filters the pool in every way, and trains on what is kept.
///
/// # Errors
/// Data that does not fit the protocol.
fn run(data: &Data, seeds: u64, steps: [usize; 2]) -> Result<Report> {
    let mut trials = Vec::new();
    for seed in 0..seeds {
        trials.extend(one_seed(data, seed, steps)?);
    }
    report(data.pool.len(), trials, steps)
}

fn one_seed(data: &Data, seed: u64, steps: [usize; 2]) -> Result<Vec<Trial>> {
    let (pool, _) = data.noisy_pool(seed);
    let kept = strategies::all(data, &pool, seed)?;
    let questions = data.questions();
    let wanted: Vec<(usize, usize)> =
        (0..kept.len()).flat_map(|at| steps.map(|steps| (at, steps))).collect();
    let trial = |&(at, steps): &(usize, usize)| -> Result<Trial> {
        let (strategy, rows) = &kept[at];
        let pairs: Vec<(usize, usize)> = rows.iter().map(|&row| pool[row]).collect();
        let probe = ProbeParams::new().steps(steps).seed(random::derive(seed, "model")).check()?;
        let towers = probe.run(&data.pairs(), &pairs, &NoProgress)?;
        let found = answer(data, &towers, &questions)?;
        let Outcome { subcategory, subcategory_unseen, recall_seen, recall_unseen } = found;
        let average = (subcategory + subcategory_unseen + recall_seen + recall_unseen) / 4.0;
        let (strategy, pairs) = (*strategy, pairs.len());
        Ok(Trial { strategy, steps, seed, pairs, zero_shot: subcategory, average })
    };
    wanted.par_iter().map(trial).collect()
}

fn report(pool: usize, trials: Vec<Trial>, steps: [usize; 2]) -> Result<Report> {
    let mut arms = Vec::new();
    for steps in steps {
        for strategy in Strategy::ALL {
            arms.push(summary(&trials, strategy, steps)?);
        }
    }
    let rank_correlation = [
        agreement(&arms, steps, |arm| arm.zero_shot.mean)?,
        agreement(&arms, steps, |arm| arm.average.mean)?,
    ];
    let claims = claims::claims(&arms, steps, rank_correlation)?;
    let out_of_reach = claims::out_of_reach();
    Ok(Report { pool, arms, rank_correlation, claims, out_of_reach, trials })
}

fn summary(trials: &[Trial], strategy: Strategy, steps: usize) -> Result<Summary> {
    let of = |strategy: Strategy| -> Vec<&Trial> {
        trials.iter().filter(|trial| trial.strategy == strategy && trial.steps == steps).collect()
    };
    let averages = |strategy| of(strategy).iter().map(|trial| trial.average).collect::<Vec<f64>>();
    let own = of(strategy);
    let zero_shot: Vec<f64> = own.iter().map(|trial| trial.zero_shot).collect();
    Ok(Summary {
        strategy,
        name: strategy.in_words(),
        steps,
        pairs: own.iter().map(|trial| trial.pairs as f64).sum::<f64>() / own.len() as f64,
        zero_shot: mean(&zero_shot)?,
        average: mean(&averages(strategy))?,
        difference: difference(&averages(strategy), &averages(Strategy::NoFilter))?,
    })
}

/// The rank correlation of the strategies at the two budgets.
fn agreement(
    arms: &[Summary],
    steps: [usize; 2],
    of: impl Fn(&Summary) -> f64,
) -> Result<Option<f64>> {
    let at = |steps: usize| -> Vec<f64> {
        arms.iter().filter(|arm| arm.steps == steps).map(&of).collect()
    };
    Ok(spearman(&at(steps[0]), &at(steps[1]))?)
}

/// Runs the experiment on `data/pool` below `root` and writes `docs/results/datacomp_tiny.json` there.
///
/// # Errors
/// When the pool is missing, or a file cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let report = run(&Data::load(root)?, SEEDS, STEPS)?;
    let at = |steps: usize, strategy: Strategy| {
        let found = report.arms.iter().find(|arm| arm.steps == steps && arm.strategy == strategy);
        found.map(|arm| arm.difference).context("a strategy was not run")
    };
    let row = |strategy: Strategy| -> Result<(String, Vec<Mean>)> {
        let marks = STEPS.map(|steps| at(steps, strategy)).into_iter().collect::<Result<_>>()?;
        Ok((strategy.in_words().to_owned(), marks))
    };
    let filters = Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::NoFilter);
    let plot = Plot {
        title: "Filters of pairs: the mean of four tasks against that of no filter",
        axis: "points, with 95 % intervals over five seeds",
        marks: &["100 steps", "800 steps"],
        rows: filters.map(row).collect::<Result<_>>()?,
    };
    plot.write(&root.join("docs/src/img/datacomp-tiny.svg"))?;
    write(root, "datacomp-tiny", &report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trials in which a strategy scores by its place, at the large budget in another order.
    fn made() -> Vec<Trial> {
        let mut trials = Vec::new();
        for seed in 0..2 {
            for (at, strategy) in Strategy::ALL.into_iter().enumerate() {
                for steps in STEPS {
                    // At the large budget the first two change places.
                    let place = if steps == STEPS[1] && at < 2 { 1 - at } else { at };
                    let average = 0.1 * place as f64 + 0.001 * seed as f64;
                    let zero_shot = 0.1 * at as f64;
                    trials.push(Trial { strategy, steps, seed, pairs: 9, zero_shot, average });
                }
            }
        }
        trials
    }

    #[test]
    fn orders_are_compared_between_budgets_and_differences_seed_by_seed() -> Result<()> {
        let report = report(100, made(), STEPS)?;
        assert_eq!(report.arms.len(), 2 * Strategy::ALL.len());
        let [zero_shot, average] = report.rank_correlation;
        let n = Strategy::ALL.len() as f64;
        assert!((zero_shot.context("defined")? - 1.0).abs() < 1e-12);
        let expected = 1.0 - 6.0 * 2.0 / (n * (n * n - 1.0));
        assert!((average.context("defined")? - expected).abs() < 1e-12);
        let random = &report.arms[1];
        assert_eq!(random.strategy, Strategy::Random);
        assert!((random.difference.mean - 0.1).abs() < 1e-12);
        assert!(report.claims.iter().any(|claim| claim.passed));
        Ok(())
    }
}
