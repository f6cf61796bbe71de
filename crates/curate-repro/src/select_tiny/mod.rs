//! SELECT at small scale (Xu et al. 2024, arXiv 2410.05057): strategies of curation over one pool of labeled pictures,
//! the same training on each, and what the sets are like.
//!
//! The protocol was fixed before the first run: 30,000 pictures of Fashion-MNIST's training part as the pool, 6,000
//! for each strategy, a hidden layer of 64, 1,000 steps of 128 pictures whatever the set, five seeds (each draws its
//! own sets and weights). Judged on the 10,000 test pictures; on the first 1,000 of them under 16 corruptions at five
//! severities; and by a linear probe of the hidden layer on handwritten digits, 600 to learn from, 1,197 to tell.

mod claims;
mod judge;
mod strategies;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::Result;
use curate_eval::ClassifierParams;
use rayon::prelude::*;
use serde::Serialize;

pub use judge::Trial;
pub use strategies::Strategy;
pub use summary::{Correlation, PROPERTIES, Read, Summary};

use crate::{
    Claim, OutOfReach,
    fashion::Labeled,
    intervals::Plot,
    tiny::{digits, fashion, unit},
    write,
};

/// Sizes of the experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Protocol {
    /// Pictures of each set.
    pub size: usize,
    /// Test pictures that are made worse.
    pub shifted: usize,
    /// Elements of the hidden layer.
    pub hidden: usize,
    /// Steps of 128 pictures.
    pub steps: usize,
    /// Seeds.
    pub seeds: u64,
}

/// That of the result file.
pub const PROTOCOL: Protocol =
    Protocol { size: 6_000, shifted: 1_000, hidden: 64, steps: 1_000, seeds: 5 };
/// Pictures of the pool.
const POOL: usize = 30_000;
/// Digits that the probe learns from.
const TRANSFER: usize = 600;

/// Pictures to choose from, to test on, and of another task: to learn from, and to tell.
#[derive(Debug, Clone)]
pub struct Data {
    /// The pool.
    pub pool: Labeled,
    /// Clean test pictures.
    pub test: Labeled,
    /// The other task.
    pub transfer: (Labeled, Labeled),
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How.
    pub protocol: Protocol,
    /// The best on clean pictures first.
    pub strategies: Vec<Summary>,
    /// For each of [`PROPERTIES`] its rank correlation with base, shifted and transfer accuracy.
    pub correlations: Vec<Correlation>,
    /// Rank correlation of base and transfer accuracy.
    pub base_and_transfer: Option<f64>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// What cannot be looked at.
    pub out_of_reach: Vec<OutOfReach>,
    /// Every set.
    pub trials: Vec<Trial>,
}

/// Trains on every set and judges.
///
/// # Errors
/// Data that does not fit the protocol.
pub fn run(data: &Data, protocol: &Protocol) -> Result<Report> {
    let vectors = unit(&data.pool.pixels);
    let pool = strategies::Pool { given: &data.pool, unit: &vectors };
    let tests = judge::Tests::new(data.test.clone(), protocol.shifted, data.transfer.clone())?;
    let params = ClassifierParams::mlp(protocol.hidden).steps(protocol.steps).rate(2e-3);
    let wanted: Vec<(Strategy, usize, u64)> = Strategy::ALL
        .into_iter()
        .flat_map(|strategy| (0..protocol.seeds).map(move |seed| (strategy, protocol.size, seed)))
        .collect();
    let trial = |&of: &(Strategy, usize, u64)| judge::trial(&pool, &tests, &params, of);
    let trials = wanted.par_iter().map(trial).collect::<Result<Vec<Trial>>>()?;
    report(protocol.clone(), trials)
}

/// Sums up trials, those of a strategy in the order of their seeds.
fn report(protocol: Protocol, trials: Vec<Trial>) -> Result<Report> {
    let mut strategies = Strategy::ALL
        .map(|strategy| Summary::of(strategy, &trials))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    strategies.sort_by(|a, b| b.base.mean.total_cmp(&a.base.mean));
    let (correlations, base_and_transfer) = claims::correlations(&strategies)?;
    let claims = claims::claims(&strategies, &correlations, base_and_transfer)?;
    let out_of_reach = claims::out_of_reach();
    Ok(Report {
        protocol,
        strategies,
        correlations,
        base_and_transfer,
        claims,
        out_of_reach,
        trials,
    })
}

/// Runs the experiment and writes `docs/results/select_tiny.json` below `root`.
///
/// # Errors
/// Fashion-MNIST that is not installed, and a file that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let fashion = fashion()?;
    let digits = digits()?;
    let (known, asked): (Vec<usize>, Vec<usize>) =
        (0..digits.class.len()).partition(|row| *row < TRANSFER);
    let data = Data {
        pool: fashion.train.first(POOL),
        test: fashion.test,
        transfer: (digits.take(&known), digits.take(&asked)),
    };
    let report = run(&data, &PROTOCOL)?;
    let others = report.strategies.iter().filter(|row| row.strategy != Strategy::Expert);
    let row = |row: &Summary| {
        let means = [row.base_difference, row.shifted_difference, row.transfer_difference];
        (row.name.to_owned(), means.to_vec())
    };
    let plot = Plot {
        title: "Ways to curate 6,000 pictures: accuracy against expert labels, balanced",
        axis: "points, with 95 % intervals over five seeds",
        marks: &["base", "shifted", "transfer"],
        rows: others.map(row).collect(),
    };
    plot.write(&root.join("docs/src/img/select-tiny.svg"))?;
    write(root, "select-tiny", &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fashion::CLASSES, tiny::made::bars};

    #[test]
    fn a_tiny_form_tells_good_sets_from_bad_ones() -> Result<()> {
        let data = Data {
            pool: bars(CLASSES, 60, 1),
            test: bars(CLASSES, 12, 2),
            transfer: (bars(4, 10, 3), bars(4, 10, 4)),
        };
        let protocol = Protocol { size: 100, shifted: 10, hidden: 8, steps: 60, seeds: 2 };
        let report = run(&data, &protocol)?;
        let of = |strategy| {
            let found = report.strategies.iter().find(|summary| summary.strategy == strategy);
            found.map(|summary| (summary.base.mean, summary.properties.clone()))
        };
        let (expert, properties) = of(Strategy::Expert).unwrap_or_default();
        let (tail, uneven) = of(Strategy::LongTail).unwrap_or_default();
        assert!(expert > 0.8 && tail < expert, "{expert} {tail}");
        assert!(
            (properties[0] - 10.0).abs() < 1e-9 && uneven[0] < 6.0,
            "{properties:?} {uneven:?}"
        );
        assert_eq!((report.trials.len(), report.strategies.len()), (14, 7));
        assert_eq!(report.claims.len(), 7);
        // The same bytes again.
        let again = run(&data, &protocol)?;
        assert_eq!(serde_json::to_string(&report)?, serde_json::to_string(&again)?);
        Ok(())
    }
}
