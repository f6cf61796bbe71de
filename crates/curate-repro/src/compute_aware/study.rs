//! A pool in buckets, and every training of it.

use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;

/// Buckets of a pool.
pub(super) const BUCKETS: usize = 4;
/// Budgets, as multiples of a bucket.
pub(super) const TIMES: [f64; 8] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
/// The least budget of the protocol as it was fixed first.
pub(super) const LEAST: f64 = 1.0;
/// The largest budget that laws see.
pub(super) const SEEN: f64 = 4.0;
/// The largest budget.
pub(super) const LARGEST: f64 = 32.0;

/// The error of a model trained on rows, for so many samples, with a seed.
pub type Train<'a> = dyn Fn(&[usize], u64, u64) -> Result<f64> + Sync + 'a;

/// A pool in buckets of equal size, and what a model makes of some of its rows.
pub struct Study<'a> {
    /// Its name in the report.
    pub name: String,
    /// Rows of a bucket.
    pub bucket: usize,
    /// The rows of each bucket, best first, for a seed.
    pub buckets: &'a (dyn Fn(u64) -> Vec<Vec<usize>> + Sync),
    /// How a model is trained.
    pub train: &'a Train<'a>,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The bucket or union.
    pub pool: String,
    /// The budget, as a multiple of a bucket.
    pub times: f64,
    /// Its seed.
    pub seed: u64,
    /// The share of wrong answers.
    pub error: f64,
}

/// All trainings of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trained {
    /// The study.
    pub study: String,
    /// Rows of a bucket.
    pub bucket: usize,
    /// Its trainings.
    pub runs: Vec<Run>,
}

/// The buckets alone, then the unions of the best two, three, and all.
pub(super) fn pools() -> Vec<Vec<usize>> {
    let alone = (0..BUCKETS).map(|bucket| vec![bucket]);
    alone.chain((2..=BUCKETS).map(|count| (0..count).collect())).collect()
}

/// `q1` for the best bucket, `q1+q2` for the best two: the names of
/// [`Candidate::cumulative`](curate_scaling::decide::Candidate::cumulative).
pub(super) fn name(pool: &[usize]) -> String {
    pool.iter().map(|bucket| format!("q{}", bucket + 1)).collect::<Vec<_>>().join("+")
}

impl Study<'_> {
    /// Trains every pool at every budget with every seed, as many at a time as there are threads.
    ///
    /// # Errors
    /// Those of the trainings.
    pub fn train(&self, seeds: u64) -> Result<Trained> {
        let mut asked = Vec::new();
        // The longest first, so that no thread ends alone with one.
        for times in TIMES.into_iter().rev() {
            for pool in pools() {
                asked.extend((0..seeds).map(|seed| (times, pool.clone(), seed)));
            }
        }
        let one = |(times, pool, seed): &(f64, Vec<usize>, u64)| {
            let buckets = (self.buckets)(*seed);
            let rows: Vec<usize> =
                pool.iter().flat_map(|&bucket| &buckets[bucket]).copied().collect();
            let error = (self.train)(&rows, (times * self.bucket as f64) as u64, *seed)?;
            Ok(Run { pool: name(pool), times: *times, seed: *seed, error })
        };
        let runs = asked.par_iter().with_max_len(1).map(one).collect::<Result<_>>()?;
        Ok(Trained { study: self.name.clone(), bucket: self.bucket, runs })
    }
}

impl Trained {
    /// The errors of a pool at a budget, by seed.
    pub(super) fn errors(&self, pool: &str, times: f64) -> Vec<f64> {
        let mut of: Vec<&Run> =
            self.runs.iter().filter(|run| run.pool == pool && run.times == times).collect();
        of.sort_by_key(|run| run.seed);
        of.into_iter().map(|run| run.error).collect()
    }

    /// Their mean.
    pub(super) fn mean(&self, pool: &str, times: f64) -> f64 {
        let errors = self.errors(pool, times);
        errors.iter().sum::<f64>() / errors.len() as f64
    }
}
