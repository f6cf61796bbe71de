//! Does the law find the pool to train on, for budgets beyond its runs? The claim of Goyal et al.
//! 2024 (arXiv 2404.07177), at a size that two cores train in minutes.
//!
//! # Protocol, fixed before the first run
//! - A *study* is a pool in four buckets of equal size, best first, and a model. Its candidates are
//!   the best bucket, the best two, the best three, and everything.
//! - Budgets are 1, 2, 4, 8, 16 and 32 times a bucket, so a bucket is seen up to 32 times. Five
//!   seeds draw rows, noise, weights and order.
//! - The law sees what `curate plan run` would: the *buckets'* runs, at up to four times a bucket.
//!   It is weighed from all laws, as `curate plan fit` does without `--law`, and asked for the best
//!   candidate at 8, 16 and 32 times.
//! - The truth is the mean error of the five trainings of each candidate at that budget. A choice is
//!   *right* if no candidate is better, or if the better ones cannot be told from it by the 95 %
//!   interval of their differences seed by seed. *Regret* is its mean error less the least.
//! - After the first look, runs of a quarter and a half of a bucket were added, and every study is
//!   judged a second time with a law that sees them, too: [`Design::Fresh`]. The bars are the same.
//! - The same on image-text pairs: a part of the demonstration pool in buckets by the similarity of
//!   image and caption, two projections, zero-shot accuracy over subcategories on held-out rows.
//! - Beside the law: always the best bucket, always everything, and the candidate that was best in
//!   the largest small runs (which must train the unions, too).

mod clothes;
mod judge;
mod pairs;
mod study;

pub use judge::{Answers, Choice, Design, judge};
pub use study::{Run, Study, Train, Trained};

use crate::{Claim, Kind, OutOfReach, fashion};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Trainings of each pool at each budget.
pub const SEEDS: u64 = 5;

#[derive(Serialize)]
struct Report {
    seeds: u64,
    studies: Vec<Answers>,
    claims: Vec<Claim>,
    out_of_reach: Vec<OutOfReach>,
    runs: Vec<Trained>,
}

/// Trains on Fashion-MNIST, and writes `docs/results/compute_aware.json` and the book's plots below
/// `root`.
///
/// # Errors
/// Missing data, and files that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let data = fashion::FashionMnist::read(&fashion::folder())?;
    let train =
        |noise: &clothes::Noise| Ok((noise.name, clothes::study(&data, noise).train(SEEDS)?));
    report(root, "compute-aware", clothes::NOISE.iter().map(train).collect::<Result<_>>()?)
}

/// Trains on the demonstration pool, below `data/pool`, and writes
/// `docs/results/compute_aware_demo.json` and a plot below `root`. Runs are kept in
/// `data/compute-aware`, where a study that was interrupted goes on.
///
/// # Errors
/// As [`write_results`].
pub fn write_demo_results(root: &Path) -> Result<PathBuf> {
    let trained = pairs::train(&root.join("data/pool"), &root.join("data/compute-aware"))?;
    report(root, "compute-aware-demo", vec![("demo", trained)])
}

/// Judges trainings, whose plots have the names given.
fn report(root: &Path, id: &str, trained: Vec<(&str, Trained)>) -> Result<PathBuf> {
    let (mut studies, mut runs) = (Vec::new(), Vec::new());
    for (plot, trained) in trained {
        for design in [Design::Repeats, Design::Fresh] {
            let (answers, drawn) = judge(&trained, design)?;
            if design == Design::Fresh {
                let path = root.join(format!("docs/src/img/compute-aware-{plot}.svg"));
                std::fs::write(&path, drawn).with_context(|| path.display().to_string())?;
            }
            studies.push(answers);
        }
        runs.push(trained);
    }
    let claims = [Design::Repeats, Design::Fresh].map(|design| claims(&studies, design)).concat();
    let out_of_reach = out_of_reach();
    crate::write(root, id, &Report { seeds: SEEDS, studies, claims, out_of_reach, runs })
}

/// The bars were fixed before the first run.
fn claims(all: &[Answers], design: Design) -> Vec<Claim> {
    let studies: Vec<&Answers> = all.iter().filter(|study| study.design == design).collect();
    let mean = |of: &dyn Fn(&Answers) -> f64| {
        studies.iter().map(|study| of(study)).sum::<f64>() / studies.len() as f64
    };
    let (kind, runs) = match design {
        Design::Repeats => (Kind::ScaledDown, "runs of 1 to 4 times a bucket"),
        Design::Fresh => (Kind::ScaledDownAfterLook, "runs of 1/4 to 4 times a bucket"),
    };
    let named = |what: &str| format!("{what}; {runs}");
    let law = mean(&|study| study.law.regret);
    let mut claims = Vec::new();
    if design == Design::Repeats {
        let changed = studies.iter().filter(|study| study.best_changes).count() as f64;
        let name = "studies whose best pool changes from the least budget to the largest";
        claims.push(Claim::at_least(name, kind, 1.0, changed).quoting(
            "curation cannot be agnostic of the compute that a model will be trained for (abstract)",
        ));
    }
    let name = named("the law's pool is right at 8, 16 and 32 times a bucket (share)");
    claims.push(
        Claim::at_least(name, kind, 0.75, mean(&|study| study.law.right))
            .quoting("the fitted laws choose the best pool for a budget"),
    );
    claims.push(Claim::at_most(named("the law's mean regret (points)"), kind, 1.0, law));
    for (at, rule) in judge::BASELINES.iter().enumerate() {
        let name = named(&format!("the law's regret less that of: {rule} (points)"));
        let regret = mean(&|study| study.baselines[at].regret);
        claims.push(Claim::at_most(name, kind, 0.0, law - regret));
    }
    let name = named("error of predictions of unions (points)");
    claims.push(
        Claim::at_most(name, kind, 2.0, mean(&|study| study.union_error))
            .quoting("unions are estimated from their buckets, without training on them"),
    );
    let factors: Vec<f64> = studies.iter().filter_map(|study| study.crossing_factor()).collect();
    if !factors.is_empty() {
        let name = named(
            "where everything overtakes the best bucket, predicted over measured (factor, worst)",
        );
        claims.push(Claim::at_most(name, kind, 2.0, factors.into_iter().fold(1.0, f64::max)));
    }
    let name = named("90 % intervals hold larger runs (share)");
    claims.push(Claim::at_least(name, kind, 0.8, mean(&|study| study.held)));
    claims
}

fn out_of_reach() -> Vec<OutOfReach> {
    let one = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![
        one(
            "the top 10 % of DataComp-medium's 128 million pairs loses to the top 20 % from about 100 million samples on",
            "needs CLIP trained on millions of pairs; the law itself is compared with the released parameters in the chapter on scaling",
        ),
        one(
            "after about 450 million samples unfiltered LAION beats its best tenth",
            "the runs behind it were not published",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made law of errors, in place of trainings: errors fall as a power of the samples, slower
    /// on worse buckets and on repeats.
    fn made(pool: &[usize], times: f64, seed: u64) -> f64 {
        let buckets = pool.len() as f64;
        let b = pool.iter().map(|bucket| 0.30 - 0.05 * *bucket as f64).sum::<f64>() / buckets;
        let fresh = times.min(buckets);
        let repeats = (times / buckets).max(1.0).ln();
        let luck = 1e-4 * (seed as f64 - 2.0);
        0.5 * (4.0 * fresh).powf(-b) * (-0.25 * b * repeats).exp() + luck
    }

    fn trained() -> Trained {
        let mut runs = Vec::new();
        for pool in study::pools() {
            for times in study::TIMES {
                for seed in 0..SEEDS {
                    let error = made(&pool, times, seed);
                    runs.push(Run { pool: study::name(&pool), times, seed, error });
                }
            }
        }
        Trained { study: "made".into(), bucket: 1000, runs }
    }

    #[test]
    fn the_best_pool_of_a_made_law_is_found_beyond_its_runs() {
        let (answers, plot) = judge(&trained(), Design::Fresh).unwrap();
        assert_eq!(answers.choices.len(), 3);
        assert!(answers.best_changes, "{answers:#?}");
        assert!(answers.law.regret < 1.0, "{answers:#?}");
        let fixed = &answers.baselines[..2];
        assert!(fixed.iter().all(|rule| rule.regret > answers.law.regret), "{answers:#?}");
        assert!(answers.law.right > 0.0 && answers.baselines[0].right == 0.0, "{answers:#?}");
        assert!(plot.starts_with("<svg") && answers.held > 0.0);
        assert_eq!(claims(&[answers], Design::Fresh).len(), 8);
    }

    #[test]
    fn a_tiny_study_is_trained_alike_twice() {
        let train = |rows: &[usize], samples: u64, seed: u64| {
            Ok(1.0 / (rows.len() as f64 + samples as f64 + seed as f64))
        };
        let buckets = |seed: u64| (0..4).map(|b| vec![b, b + 4 * seed as usize + 4]).collect();
        let study = Study { name: "tiny".into(), bucket: 2, buckets: &buckets, train: &train };
        let (a, b) = (study.train(2).unwrap(), study.train(2).unwrap());
        assert_eq!(a.runs, b.runs);
        assert_eq!(a.runs.len(), 7 * 8 * 2);
        let everything = a.runs.iter().find(|run| run.pool == "q1+q2+q3+q4" && run.times == 32.0);
        assert_eq!(everything.map(|run| run.error), Some(1.0 / (8.0 + 64.0)));
    }
}
