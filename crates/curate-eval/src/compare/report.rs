//! The ranking of selections at each budget.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::compare::{Entry, Record, Score, stats::Mean};

/// A ranking for each budget, and every run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The number that ranks.
    pub score: Score,
    /// Share of intervals that hold the true mean.
    pub level: f64,
    /// Rows that models were tested on.
    pub test_rows: usize,
    /// Ids of each selection that were not trained on, by reason.
    pub left_out: BTreeMap<String, BTreeMap<String, usize>>,
    /// The rankings, by rising budget.
    pub rankings: Vec<Ranking>,
    /// All runs.
    pub runs: Vec<Record>,
}

/// Selections at one budget, the best first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// Samples that were to be seen.
    pub budget: u64,
    /// Samples that were seen.
    pub samples: u64,
    /// The selections.
    pub selections: Vec<Ranked>,
    /// True when every other selection is known to be worse than the best.
    pub settled: bool,
}

/// A selection among others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Its name.
    pub name: String,
    /// Different samples to train on.
    pub unique: usize,
    /// Samples seen for each of them.
    pub epochs: f64,
    /// Different samples that were seen, the mean over seeds.
    pub distinct: f64,
    /// How often the most frequent sample was seen, the most of all seeds.
    pub most: u64,
    /// Its score over seeds.
    pub score: Mean,
    /// By how much it is behind the best, seed by seed; `None` for the best. Negative.
    pub behind: Option<Mean>,
    /// The mean score of each task.
    pub tasks: BTreeMap<String, f64>,
    /// Its mean score on each pool from another source; none of a pool that was not asked for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shifted: BTreeMap<String, f64>,
}

impl Report {
    pub(crate) fn of(
        records: &[Record],
        entries: &[Entry],
        test_rows: usize,
        score: Score,
        level: f64,
    ) -> Self {
        let left_out = entries.iter().filter(|entry| !entry.left_out.is_empty());
        let left_out = left_out.map(|entry| (entry.name.clone(), entry.left_out.clone()));
        let budgets = records.chunk_by(|a, b| a.budget == b.budget);
        let rankings = budgets.map(|records| Ranking::of(records, score, level));
        Self {
            score,
            level,
            test_rows,
            left_out: left_out.collect(),
            rankings: rankings.collect(),
            runs: records.to_vec(),
        }
    }

    /// The runs as a table that scaling laws are fitted to: pool, samples, unique, error. An error of 0,
    /// which laws cannot take the logarithm of, is written as half a wrong answer.
    pub fn runs_csv(&self) -> String {
        let least = 0.5 / self.test_rows.max(1) as f64;
        let mut csv = "pool,samples,unique,error\n".to_owned();
        for run in &self.runs {
            let error = (1.0 - self.score.of(run).unwrap_or(0.0)).max(least);
            // Writing to a string does not fail.
            let _ = writeln!(csv, "{},{},{},{error}", run.selection, run.samples, run.unique);
        }
        csv
    }
}

impl Ranking {
    /// The selections that cannot be told from the best.
    pub fn equals(&self) -> impl Iterator<Item = &Ranked> {
        self.selections[1..].iter().filter(|r| r.behind.is_some_and(|mean| !mean.settled()))
    }

    fn of(records: &[Record], ranks_by: Score, level: f64) -> Self {
        let mut found = Vec::new();
        for runs in records.chunk_by(|a, b| a.selection == b.selection) {
            // That the task is asked was settled before the first run.
            let scores: Vec<f64> = runs.iter().filter_map(|run| ranks_by.of(run)).collect();
            found.push((runs, scores));
        }
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        found.sort_by(|(_, a), (_, b)| mean(b).total_cmp(&mean(a)));
        let best = found.first().map(|(_, scores)| scores.clone()).unwrap_or_default();
        let ranked = found.iter().enumerate().filter_map(|(at, (runs, scores))| {
            let differences: Vec<f64> = scores.iter().zip(&best).map(|(a, b)| a - b).collect();
            let behind = if at == 0 { None } else { Mean::of(&differences, level) };
            Some(Ranked { behind, ..Ranked::of(runs, ranks_by, Mean::of(scores, level)?) })
        });
        let selections: Vec<Ranked> = ranked.collect();
        let others = selections.iter().filter_map(|ranked| ranked.behind);
        let settled = others.clone().count() > 0 && others.clone().all(|mean| mean.settled());
        let first = &records[0];
        Self { budget: first.budget, samples: first.samples, selections, settled }
    }
}

impl Ranked {
    fn of(runs: &[Record], ranks_by: Score, score: Mean) -> Self {
        let n = runs.len() as f64;
        let mut tasks: BTreeMap<String, f64> = BTreeMap::new();
        for (name, task) in runs.iter().flat_map(|run| &run.tasks) {
            *tasks.entry(name.clone()).or_default() += task.score / n;
        }
        let mut shifted: BTreeMap<String, f64> = BTreeMap::new();
        for (pool, tasks) in runs.iter().flat_map(|run| &run.shifted) {
            if let Some(score) = ranks_by.of_tasks(tasks) {
                *shifted.entry(pool.clone()).or_default() += score / n;
            }
        }
        let first = &runs[0];
        Self {
            name: first.selection.clone(),
            unique: first.unique,
            epochs: first.samples as f64 / first.unique as f64,
            distinct: runs.iter().map(|run| run.distinct as f64).sum::<f64>() / n,
            most: runs.iter().map(|run| run.most).max().unwrap_or(0),
            score,
            behind: None,
            tasks,
            shifted,
        }
    }
}
