//! DP4TL at small scale (Zhang et al. 2023, arXiv 2310.08782): source classes are pruned for a target, a network is
//! trained on the rest, and a linear probe of it tells the target's classes.
//!
//! The protocol was fixed before the first run. A seed draws three of Fashion-MNIST's ten classes as the target; the
//! pictures of the other seven among 30,000 are the source, and 70 clusters of them its classes. Fifty pictures of
//! each target class vote, and teach the probe; all test pictures of these classes judge. Pre-training: a hidden layer
//! of 64, eight epochs, so that a source half as large takes half the steps, as in the paper. Label mapping asks a
//! network with a hidden layer of 32 that saw the whole source for three epochs; feature mapping the centroids of the
//! clusters. Random classes are drawn three times and averaged; the worst are those with the fewest votes of feature
//! mapping. Beside choices of classes two of pictures, of which the same share stays: the moderate coreset, by the
//! distance to the center of their class, and those with the largest gradients (EL2N of the network that label mapping
//! asks). Five seeds.

mod claims;

use std::path::{Path, PathBuf};

use anyhow::Result;
use curate_cluster::{Clustering, KMeansParams, Metric};
use curate_core::{Cut, NoProgress, Rows, SampleId, random, rank::Direction};
use curate_eval::{ClassNet, ClassifierParams, compare::Mean, distill::scores::el2n};
use curate_transfer::{Control, ModerateParams, Order, Ranking, Target, TransferParams};
use ndarray::Array2;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Claim, OutOfReach,
    fashion::{CLASSES, Labeled},
    intervals::Plot,
    tiny::{difference, fashion, mean, probe, shuffled, train, unit},
    write,
};

/// Sizes of the experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Protocol {
    /// Classes of the target.
    pub target: usize,
    /// Clusters of the source, its classes.
    pub clusters: usize,
    /// Target pictures of each class that vote and teach.
    pub shots: usize,
    /// Elements of the hidden layer.
    pub hidden: usize,
    /// Epochs of pre-training.
    pub epochs: usize,
    /// Seeds.
    pub seeds: u64,
}

/// That of the result file.
pub const PROTOCOL: Protocol =
    Protocol { target: 3, clusters: 70, shots: 50, hidden: 64, epochs: 8, seeds: 5 };
/// Pictures that source and target are taken from.
const POOL: usize = 30_000;
/// Hidden elements and epochs of the network that label mapping asks.
const SURROGATE: (usize, usize) = (32, 3);
/// Shares of classes that are pruned.
const PRUNED: [f64; 3] = [0.4, 0.6, 0.8];
/// Times that random classes are drawn.
const DRAWS: u64 = 3;
const BATCH: usize = 128;

/// How the kept classes were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// All classes.
    Everything,
    /// By label mapping.
    LabelMapping,
    /// By feature mapping.
    FeatureMapping,
    /// At random.
    Random,
    /// Those with the fewest votes of feature mapping.
    Worst,
    /// Pictures at a middling distance from the center of their class.
    Moderate,
    /// Pictures with the largest gradients of the loss by the logits.
    GradientNorm,
}

impl Arm {
    const CHOICES: [Self; 6] = [
        Self::LabelMapping,
        Self::FeatureMapping,
        Self::Random,
        Self::Worst,
        Self::Moderate,
        Self::GradientNorm,
    ];

    fn in_words(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::LabelMapping => "label mapping",
            Self::FeatureMapping => "feature mapping",
            Self::Random => "random classes",
            Self::Worst => "fewest votes",
            Self::Moderate => "moderate pictures",
            Self::GradientNorm => "largest gradients",
        }
    }
}

/// One choice of one seed.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The choice.
    pub arm: Arm,
    /// The share of classes that were pruned.
    pub pruned: f64,
    /// The seed.
    pub seed: u64,
    /// Accuracy on the target.
    pub accuracy: f64,
    /// The share of the source's pictures that were kept, and so of the steps.
    pub rows: f64,
    /// Kept classes that got no vote.
    pub arbitrary: usize,
}

/// A choice over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The choice.
    pub arm: Arm,
    /// The choice in words.
    pub name: &'static str,
    /// The share of classes that were pruned.
    pub pruned: f64,
    /// The share of the source's pictures that were kept, on average.
    pub rows: f64,
    /// Kept classes that got no vote, on average.
    pub arbitrary: f64,
    /// Accuracy on the target.
    pub accuracy: Mean,
    /// Its difference from everything's, seed by seed.
    pub difference: Mean,
    /// Its difference from that of as many random classes.
    pub over_random: Option<Mean>,
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

/// Source and target of one seed.
struct Task<'a> {
    protocol: &'a Protocol,
    seed: u64,
    /// Pictures of the source, with their clusters as classes.
    source: Labeled,
    clustering: Clustering,
    /// Target pictures that vote and teach, and those that judge.
    known: Labeled,
    asked: Labeled,
}

impl<'a> Task<'a> {
    fn new(pool: &Labeled, test: &Labeled, protocol: &'a Protocol, seed: u64) -> Result<Self> {
        let wanted = &shuffled(CLASSES, random::derive(seed, "target"))[..protocol.target];
        let place = |class: usize| wanted.iter().position(|&wanted| wanted == class);
        let of_target = |given: &Labeled, rows: &[usize]| {
            let mut taken = given.take(rows);
            taken.class.iter_mut().for_each(|class| *class = place(*class).unwrap_or(0));
            taken
        };
        let rows = pool.by_class(CLASSES, random::derive(seed, "shots"));
        let known: Vec<usize> =
            wanted.iter().flat_map(|&c| rows[c].iter().copied().take(protocol.shots)).collect();
        let asked: Vec<usize> =
            (0..test.class.len()).filter(|&row| place(test.class[row]).is_some()).collect();
        let others: Vec<usize> =
            (0..pool.class.len()).filter(|&row| place(pool.class[row]).is_none()).collect();
        let mut source = pool.take(&others);
        let vectors = unit(&source.pixels);
        let vectors = Rows::new(&vectors)?;
        let k_means = KMeansParams::new(protocol.clusters).metric(Metric::Spherical).seed(seed);
        let clustering = k_means.check()?.run(&vectors, &NoProgress)?.clustering().clone();
        let clusters = clustering.assignment.cluster();
        anyhow::ensure!(clusters.len() == source.class.len(), "a picture without light");
        source.class = clusters.iter().map(|&cluster| cluster as usize).collect();
        let (known, asked) = (of_target(pool, &known), of_target(test, &asked));
        Ok(Self { protocol, seed, source, clustering, known, asked })
    }

    fn params(&self, hidden: usize, epochs: usize, rows: usize) -> ClassifierParams {
        let steps = (epochs * rows).div_ceil(BATCH);
        ClassifierParams::mlp(hidden).batch(BATCH).steps(steps).rate(2e-3).seed(self.seed)
    }

    /// The ranking of a choice; random ones differ by `draw`.
    fn ranking(&self, arm: Arm, draw: u64) -> Result<Ranking> {
        let labels: Vec<u32> = self.source.class.iter().map(|&class| class as u32).collect();
        let classes = self.protocol.clusters;
        let params = TransferParams::new(classes).metric(Metric::Spherical);
        let vectors = unit(&self.known.pixels);
        let features =
            Target::Features { features: &vectors, centroids: self.clustering.centroids.view() };
        let transfer = match arm {
            Arm::Worst => params.order(Order::Fewest),
            _ => params.seed(random::derive(self.seed, &format!("random {draw}"))),
        };
        let transfer = transfer.check()?;
        Ok(match arm {
            Arm::Random => transfer.control(&labels, Control::Random)?,
            Arm::LabelMapping => {
                let logits = self.surrogate()?.scores(&self.known.pixels)?;
                let logits = Array2::from_shape_vec((self.known.class.len(), classes), logits)?;
                transfer.run(&labels, Target::Logits(&logits), &NoProgress)?
            }
            _ => transfer.run(&labels, features, &NoProgress)?,
        })
    }

    /// A small network that saw the whole source.
    fn surrogate(&self) -> Result<ClassNet> {
        let (hidden, epochs) = SURROGATE;
        let params = self.params(hidden, epochs, self.source.class.len());
        train(&params, &self.source, self.protocol.clusters)
    }

    /// The share of pictures that a choice of pictures, not of classes, keeps.
    fn pictures(&self, arm: Arm, share: f64) -> Result<Vec<usize>> {
        let (class, classes) = (&self.source.class, self.protocol.clusters);
        let kept = match arm {
            Arm::Moderate => {
                let labels: Vec<u32> = class.iter().map(|&class| class as u32).collect();
                let vectors = unit(&self.source.pixels);
                let moderate = ModerateParams::new(classes).check()?;
                moderate.run(&vectors, &labels, &NoProgress)?.select(Cut::Fraction(share))?
            }
            _ => {
                let logits = self.surrogate()?.scores(&self.source.pixels)?;
                let norms = el2n(&logits, class, classes)?;
                let ids: Vec<SampleId> = (0..norms.len() as u128).map(SampleId).collect();
                Cut::Fraction(share).apply(&norms, &ids, Direction::HigherIsBetter)?.kept
            }
        };
        Ok(kept.rows().to_vec())
    }

    /// Pre-trains on these rows, and probes.
    fn accuracy(&self, rows: &[usize]) -> Result<f64> {
        let mut kept = self.source.take(rows);
        let mut classes = kept.class.clone();
        classes.sort_unstable();
        classes.dedup();
        let place = |class: &usize| classes.binary_search(class).unwrap_or(0);
        kept.class.iter_mut().for_each(|class| *class = place(class));
        let params = self.params(self.protocol.hidden, self.protocol.epochs, rows.len());
        let net = train(&params, &kept, classes.len())?;
        probe(&net, &self.known, &self.asked, self.protocol.target)
    }

    fn trials(&self) -> Result<Vec<Trial>> {
        let all: Vec<usize> = (0..self.source.class.len()).collect();
        let mut trials = vec![self.trial(Arm::Everything, 0.0, &all, 0)?];
        for arm in [Arm::Moderate, Arm::GradientNorm] {
            for pruned in PRUNED {
                trials.push(self.trial(arm, pruned, &self.pictures(arm, 1.0 - pruned)?, 0)?);
            }
        }
        for arm in [Arm::LabelMapping, Arm::FeatureMapping, Arm::Random, Arm::Worst] {
            for draw in 0..(if arm == Arm::Random { DRAWS } else { 1 }) {
                let ranking = self.ranking(arm, draw)?;
                for pruned in PRUNED {
                    let keep = ((1.0 - pruned) * self.protocol.clusters as f64).round() as usize;
                    let kept = ranking.select(Cut::Top(keep))?;
                    trials.push(self.trial(arm, pruned, kept.rows(), ranking.arbitrary(keep))?);
                }
            }
        }
        Ok(trials)
    }

    fn trial(&self, arm: Arm, pruned: f64, rows: &[usize], arbitrary: usize) -> Result<Trial> {
        let (accuracy, seed) = (self.accuracy(rows)?, self.seed);
        let rows = rows.len() as f64 / self.source.class.len() as f64;
        Ok(Trial { arm, pruned, seed, accuracy, rows, arbitrary })
    }
}

/// Runs every choice on every seed.
///
/// # Errors
/// Pictures that do not fit the protocol.
pub fn run(pool: &Labeled, test: &Labeled, protocol: &Protocol) -> Result<Report> {
    let one = |seed| Task::new(pool, test, protocol, seed)?.trials();
    let trials = (0..protocol.seeds).into_par_iter().map(one).collect::<Result<Vec<_>>>()?.concat();
    let mut arms = vec![summary(&trials, Arm::Everything, 0.0, protocol.seeds)?];
    for pruned in PRUNED {
        for arm in Arm::CHOICES {
            arms.push(summary(&trials, arm, pruned, protocol.seeds)?);
        }
    }
    let (claims, out_of_reach) = (claims::claims(&arms)?, claims::out_of_reach());
    Ok(Report { protocol: protocol.clone(), arms, claims, out_of_reach, trials })
}

/// A choice at a share: random draws are averaged within their seed first.
fn summary(trials: &[Trial], arm: Arm, pruned: f64, seeds: u64) -> Result<Summary> {
    let values = |arm: Arm, pruned: f64, of: &dyn Fn(&Trial) -> f64| -> Vec<f64> {
        let of_seed = |seed| {
            let fits = |t: &&Trial| t.arm == arm && t.pruned == pruned && t.seed == seed;
            let found: Vec<f64> = trials.iter().filter(fits).map(of).collect();
            found.iter().sum::<f64>() / found.len() as f64
        };
        (0..seeds).map(of_seed).collect()
    };
    let accuracies = values(arm, pruned, &|trial| trial.accuracy);
    let everything = values(Arm::Everything, 0.0, &|trial| trial.accuracy);
    Ok(Summary {
        arm,
        name: arm.in_words(),
        pruned,
        rows: mean(&values(arm, pruned, &|trial| trial.rows))?.mean,
        arbitrary: mean(&values(arm, pruned, &|trial| trial.arbitrary as f64))?.mean,
        accuracy: mean(&accuracies)?,
        difference: difference(&accuracies, &everything)?,
        over_random: match arm {
            Arm::Everything | Arm::Random => None,
            _ => {
                let random = values(Arm::Random, pruned, &|trial| trial.accuracy);
                Some(difference(&accuracies, &random)?)
            }
        },
    })
}

/// Runs the experiment and writes `docs/results/dp4tl_tiny.json` below `root`.
///
/// # Errors
/// Fashion-MNIST that is not installed, and a file that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let fashion = fashion()?;
    let report = run(&fashion.train.first(POOL), &fashion.test, &PROTOCOL)?;
    let row = |arm: &Summary| {
        let name = format!("{:.0} % pruned, {}", 100.0 * arm.pruned, arm.name);
        (name, vec![arm.difference])
    };
    let plot = Plot {
        title: "Pruned source classes: accuracy on the target against that of everything",
        axis: "points, with 95 % intervals over five seeds",
        marks: &["linear probe"],
        rows: report.arms[1..].iter().map(row).collect(),
    };
    plot.write(&root.join("docs/src/img/dp4tl-tiny.svg"))?;
    write(root, "dp4tl-tiny", &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::made::bars;

    #[test]
    fn a_tiny_form_prunes_by_every_choice() -> Result<()> {
        let (pool, test) = (bars(CLASSES, 30, 1), bars(CLASSES, 10, 2));
        let protocol =
            Protocol { target: 3, clusters: 10, shots: 8, hidden: 8, epochs: 10, seeds: 2 };
        let report = run(&pool, &test, &protocol)?;
        // Everything; six choices, random ones drawn three times; three shares; two seeds.
        assert_eq!((report.arms.len(), report.trials.len()), (19, 2 * (1 + 3 * 8)));
        for trial in &report.trials {
            assert!((0.0..=1.0).contains(&trial.accuracy), "{trial:?}");
            let most = if trial.arm == Arm::Everything { 1.0 } else { 0.95 };
            assert!(trial.rows > 0.0 && trial.rows <= most, "{trial:?}");
        }
        let everything = &report.arms[0];
        assert!(everything.accuracy.mean > 0.8, "{everything:?}");
        assert_eq!(everything.difference.mean, 0.0);
        assert_eq!(report.claims.len(), 10);
        Ok(())
    }
}
