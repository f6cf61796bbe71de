//! Concept-complexity pruning at small scale (Abbas et al. 2024, arXiv 2401.04578): pictures are kept by the complexity
//! of their concept, by their distance to it, or at random, and the same network learns what is kept.
//!
//! The protocol was fixed before the first run: 20,000 pictures of Fashion-MNIST's training part, pixels scaled to
//! length 1, 100 concepts by k-means; 20, 40, 60 and 80 % kept by the quotas of complexity (the paper's settings), by
//! self-supervised prototypes (farthest from their centroids), and at random; a hidden layer of 64, 1,000 steps of 128
//! pictures whatever is kept; five seeds, each with its own clusters, draws and weights; judged on the 10,000 test
//! pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use curate_cluster::{Clusters, KMeansParams, Metric};
use curate_core::{Cut, NoProgress, Rows};
use curate_eval::{ClassifierParams, compare::Mean};
use curate_prune::{ConceptPruneParams, Control, Inputs};
use ndarray::Array2;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Claim, Kind, OutOfReach,
    fashion::{CLASSES, Labeled},
    intervals::Plot,
    tiny::{difference, fashion, mean, right, train, unit},
    write,
};

/// Sizes of the experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Protocol {
    /// Concepts.
    pub clusters: usize,
    /// Elements of the hidden layer.
    pub hidden: usize,
    /// Steps of 128 pictures.
    pub steps: usize,
    /// Seeds.
    pub seeds: u64,
}

/// That of the result file.
pub const PROTOCOL: Protocol = Protocol { clusters: 100, hidden: 64, steps: 1_000, seeds: 5 };
/// Pictures to choose from.
const POOL: usize = 20_000;
/// Shares that are kept.
const KEPT: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// How the kept pictures were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// All pictures.
    Everything,
    /// Quotas by the complexity of concepts.
    Complexity,
    /// Those farthest from their centroids.
    Prototypes,
    /// At random.
    Random,
}

impl Arm {
    const CHOICES: [Self; 3] = [Self::Complexity, Self::Prototypes, Self::Random];

    fn in_words(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Complexity => "quotas by complexity",
            Self::Prototypes => "farthest from prototypes",
            Self::Random => "at random",
        }
    }
}

/// One training.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The choice.
    pub arm: Arm,
    /// The share that was kept.
    pub kept: f64,
    /// The seed.
    pub seed: u64,
    /// Accuracy on the test pictures.
    pub accuracy: f64,
}

/// A choice over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The choice.
    pub arm: Arm,
    /// The choice in words.
    pub name: &'static str,
    /// The share that was kept.
    pub kept: f64,
    /// Accuracy on the test pictures.
    pub accuracy: Mean,
    /// Its difference from everything's, seed by seed.
    pub difference: Mean,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How.
    pub protocol: Protocol,
    /// Every choice at every share.
    pub arms: Vec<Summary>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// What cannot be looked at.
    pub out_of_reach: Vec<OutOfReach>,
    /// Every training.
    pub trials: Vec<Trial>,
}

/// What a seed shares.
struct Task<'a> {
    pool: &'a Labeled,
    test: &'a Labeled,
    rows: &'a Rows<'a>,
    clusters: Clusters,
    protocol: &'a Protocol,
    seed: u64,
}

impl Task<'_> {
    fn trial(&self, arm: Arm, kept: f64) -> Result<Trial> {
        let prune = ConceptPruneParams::paper().clusters(self.protocol.clusters).seed(self.seed);
        let prune = match arm {
            Arm::Everything | Arm::Complexity => prune,
            Arm::Prototypes => prune.control(Control::Ssp),
            Arm::Random => prune.control(Control::Random),
        };
        let inputs = Inputs { clusters: Some(&self.clusters), ..Inputs::default() };
        let concepts = prune.check()?.run_with(self.rows, inputs, &NoProgress)?;
        let kept_rows = match arm {
            Arm::Everything => (0..self.pool.class.len()).collect(),
            _ => concepts.select(Cut::Fraction(kept))?.rows().to_vec(),
        };
        let Protocol { hidden, steps, .. } = *self.protocol;
        let params = ClassifierParams::mlp(hidden).steps(steps).rate(2e-3).seed(self.seed);
        let net = train(&params, &self.pool.take(&kept_rows), CLASSES)?;
        let accuracy = right(&net, self.test, CLASSES)?;
        Ok(Trial { arm, kept, seed: self.seed, accuracy })
    }
}

fn clusters(rows: &Rows<'_>, protocol: &Protocol, seed: u64) -> Result<Clusters> {
    let k_means = KMeansParams::new(protocol.clusters).metric(Metric::Spherical).seed(seed);
    Ok(k_means.check()?.run(rows, &NoProgress)?)
}

/// Runs every choice on every seed.
///
/// # Errors
/// Pictures that do not fit the protocol.
pub fn run(pool: &Labeled, test: &Labeled, protocol: &Protocol) -> Result<Report> {
    let vectors: Array2<f32> = unit(&pool.pixels);
    let rows = Rows::new(&vectors)?;
    let one = |seed: u64| -> Result<Vec<Trial>> {
        let clusters = clusters(&rows, protocol, seed)?;
        let task = Task { pool, test, rows: &rows, clusters, protocol, seed };
        let mut trials = vec![task.trial(Arm::Everything, 1.0)?];
        for kept in KEPT {
            for arm in Arm::CHOICES {
                trials.push(task.trial(arm, kept)?);
            }
        }
        Ok(trials)
    };
    let trials = (0..protocol.seeds).into_par_iter().map(one).collect::<Result<Vec<_>>>()?.concat();
    let mut arms = vec![summary(&trials, Arm::Everything, 1.0)?];
    for kept in KEPT {
        for arm in Arm::CHOICES {
            arms.push(summary(&trials, arm, kept)?);
        }
    }
    let claims = claims(&trials, &arms)?;
    Ok(Report { protocol: protocol.clone(), arms, claims, out_of_reach: out_of_reach(), trials })
}

fn accuracies(trials: &[Trial], arm: Arm, kept: f64) -> Vec<f64> {
    let of = trials.iter().filter(|trial| trial.arm == arm && trial.kept == kept);
    of.map(|trial| trial.accuracy).collect()
}

fn summary(trials: &[Trial], arm: Arm, kept: f64) -> Result<Summary> {
    let own = accuracies(trials, arm, kept);
    Ok(Summary {
        arm,
        name: arm.in_words(),
        kept,
        accuracy: mean(&own)?,
        difference: difference(&own, &accuracies(trials, Arm::Everything, 1.0))?,
    })
}

/// Bars fixed before the first run.
fn claims(trials: &[Trial], arms: &[Summary]) -> Result<Vec<Claim>> {
    let lead = |over: Arm| -> Result<f64> {
        let one = |&kept: &f64| {
            let (own, other) =
                (accuracies(trials, Arm::Complexity, kept), accuracies(trials, over, kept));
            Ok(difference(&own, &other)?.mean)
        };
        let found: Vec<f64> = KEPT.iter().map(one).collect::<Result<_>>()?;
        Ok(found.iter().sum::<f64>() / found.len() as f64)
    };
    let at = |kept: f64| -> Result<f64> {
        let found = arms.iter().find(|row| row.arm == Arm::Complexity && row.kept == kept);
        Ok(found.context("a share was not run")?.difference.mean)
    };
    let kind = Kind::ScaledDown;
    Ok(vec![
        Claim::at_least("quotas by complexity are above prototypes, mean of the four shares", kind, 0.0, lead(Arm::Prototypes)?)
            .quoting("DBP above SSP pruning at every balance ratio (LAION-50M; second hand)"),
        Claim::at_least("quotas by complexity are above random, mean of the four shares", kind, 0.0, lead(Arm::Random)?)
            .quoting("pruned sets beat the whole one at a fraction of the cost"),
        Claim::at_least("40 % by complexity loses nothing: difference from everything", kind, -0.01, at(0.4)?)
            .quoting("ImageNet 64.1 % with 27.7 % of the training cost, 63.0 % with all (112 of 277 million after deduplication)"),
    ])
}

fn out_of_reach() -> Vec<OutOfReach> {
    let one = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![one(
        "CLIP ViT-B/32 on LAION-CAT-440M pruned to 84 to 222 million pairs",
        "a pool that is not here, and weeks of GPUs; clothes are few concepts, well separated, and hardly repeat",
    )]
}

/// Runs the experiment and writes `docs/results/dbp_tiny.json` below `root`.
///
/// # Errors
/// Fashion-MNIST that is not installed, and a file that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let fashion = fashion()?;
    let report = run(&fashion.train.first(POOL), &fashion.test, &PROTOCOL)?;
    let row = |arm: &Summary| {
        let name = format!("{:.0} % kept, {}", 100.0 * arm.kept, arm.name);
        (name, vec![arm.difference])
    };
    let plot = Plot {
        title: "Pruned pictures: accuracy against that of everything",
        axis: "points, with 95 % intervals over five seeds",
        marks: &["test pictures"],
        rows: report.arms[1..].iter().map(row).collect(),
    };
    plot.write(&root.join("docs/src/img/dbp-tiny.svg"))?;
    write(root, "dbp-tiny", &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::made::bars;

    #[test]
    fn a_tiny_form_keeps_shares_by_every_choice() -> Result<()> {
        let (pool, test) = (bars(CLASSES, 30, 1), bars(CLASSES, 10, 2));
        let protocol = Protocol { clusters: 10, hidden: 8, steps: 60, seeds: 2 };
        let report = run(&pool, &test, &protocol)?;
        assert_eq!((report.arms.len(), report.trials.len()), (13, 26));
        assert!(report.arms[0].accuracy.mean > 0.8, "{:?}", report.arms[0]);
        for row in &report.arms {
            assert!((0.0..=1.0).contains(&row.accuracy.mean) && row.difference.mean.abs() < 0.9);
        }
        assert_eq!(report.claims.len(), 3);
        Ok(())
    }
}
