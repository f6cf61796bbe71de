//! All runs of a comparison: which are missing, what they cost, and carrying them out.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use burn::tensor::Device;
use curate_core::{Progress, Quiet, params::Checker};
use curate_io::atomic;
use serde::Serialize;

use crate::{
    compare::{
        Arena, Compare, CompareError, Entry, Existing, Model, Record, Report, Score,
        folder::Folder, trial::Trial,
    },
    fit::steps_of,
};

/// Selections, the pool, and the folder of their runs.
pub struct Contest<'a> {
    compare: &'a Compare,
    arena: &'a Arena,
    entries: &'a [Entry],
    folder: Folder,
    /// One for each run that is made.
    records: Vec<Record>,
    /// Runs to make: entry, budget, seed.
    missing: Vec<(usize, u64, u64)>,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Runs in all.
    pub runs: usize,
    /// Runs that are made already.
    pub made: usize,
    /// Samples that the others will see.
    pub samples: u64,
    /// Floating-point operations of their trainings, about.
    pub operations: f64,
    /// Runs that are trained at the same time.
    pub at_once: usize,
}

impl<'a> Contest<'a> {
    /// Reads which runs of a comparison are made. Writes nothing.
    ///
    /// # Errors
    /// When two selections have one name, or the folder holds runs of other settings, another pool or other
    /// selections of these names, unless they may be replaced.
    pub fn open(
        compare: &'a Compare,
        arena: &'a Arena,
        entries: &'a [Entry],
        folder: &Path,
        existing: Existing,
    ) -> Result<Self, CompareError> {
        for (at, entry) in entries.iter().enumerate() {
            if entries[..at].iter().any(|other| other.name == entry.name) {
                return Err(CompareError::SameName(entry.name.clone()));
            }
        }
        let folder = Folder::look(folder, compare, arena, entries, existing)?;
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for seed in 0..compare.params.seeds {
            for &budget in &compare.params.budgets {
                for (at, entry) in entries.iter().enumerate() {
                    match folder.read(entry, budget, seed)? {
                        Some(record) => records.push(record),
                        None => missing.push((at, budget, seed)),
                    }
                }
            }
        }
        Ok(Self { compare, arena, entries, folder, records, missing })
    }

    /// What there is to do.
    pub fn cost(&self) -> Cost {
        let samples = self.missing.iter().map(|(_, budget, _)| self.seen(*budget)).sum();
        Cost {
            runs: self.records.len() + self.missing.len(),
            made: self.records.len(),
            samples,
            operations: samples as f64 * self.operations_per_sample(),
            at_once: self.at_once(),
        }
    }

    fn seen(&self, budget: u64) -> u64 {
        let batch = self.compare.params.batch;
        (steps_of(budget, batch) * batch) as u64
    }

    /// Forward and backward: three times two operations a weight.
    fn operations_per_sample(&self) -> f64 {
        let params = &self.compare.params;
        let wide = |dim: usize| (dim * params.hidden) as f64;
        let images = self.arena.images.table().dim();
        let classes = self.arena.classes.len();
        6.0 * match params.model {
            Model::Projections => {
                let texts = self.arena.texts.as_ref().map_or(0, |texts| texts.table().dim());
                wide(images + texts) + 2.0 * wide(params.dim) + (params.batch * params.dim) as f64
            }
            Model::Linear => (images * classes) as f64,
            Model::Mlp => wide(images) + wide(classes),
            Model::Cnn => {
                // Sides halve and channels double, so the second and third convolution cost alike.
                let (channels, pixels) = (params.hidden as f64, (images / 3) as f64 / 4.0);
                9.0 * pixels * channels * (3.0 + channels / 2.0 + channels / 2.0)
                    + 4.0 * wide(classes)
            }
        }
    }

    /// On the CPU as many runs as there are threads; a device is shared badly.
    fn at_once(&self) -> usize {
        let threads =
            if self.compare.device == Device::flex() { rayon::current_num_threads() } else { 1 };
        threads.clamp(1, self.missing.len().max(1))
    }

    /// Trains so many steps of a run on every thread and throws the models away, so that a caller with a
    /// clock knows how long the runs will take; the samples that were seen.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn rehearse(&self, steps: usize, progress: &dyn Progress) -> Result<u64, CompareError> {
        let Some(&(at, _, seed)) = self.missing.first() else { return Ok(0) };
        let budget = (steps * self.compare.params.batch) as u64;
        let run = || self.trial((at, budget, seed)).rehearse(&Quiet(progress));
        let threads = self.at_once();
        let answers: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            started.into_iter().map(|one| one.join().expect("no run panics")).collect()
        });
        for answer in answers {
            answer.map_err(|problem| self.in_run((at, budget, seed), problem))?;
        }
        Ok(threads as u64 * budget)
    }

    /// Makes the missing runs, writes each when it is done, and answers all. Also writes the table of runs
    /// that scaling laws are fitted to, and the report.
    ///
    /// # Errors
    /// When a training or a file fails, or the caller stops it; runs that were finished are kept.
    pub fn run(
        mut self,
        score: Score,
        level: f64,
        progress: &dyn Progress,
    ) -> Result<Report, CompareError> {
        let mut check = Checker::default();
        check.that(level > 0.0 && level < 1.0, "level", level, "a number between 0 and 1");
        check.finish()?;
        self.arena.check_asked(self.compare, score)?;
        let _lock = self.folder.begin()?;
        let cost = self.cost();
        progress.start("train", cost.samples, "samples");
        let made = self.make(cost.at_once, progress);
        progress.finish();
        self.records.extend(made?);
        let names: Vec<&str> = self.entries.iter().map(Entry::name).collect();
        let place = |record: &Record| names.iter().position(|name| *name == record.selection);
        self.records.sort_by_key(|record| (record.budget, place(record), record.seed));
        let report = Report::of(&self.records, self.entries, self.arena.test_rows(), score, level);
        let path = self.folder.path();
        atomic::write(&path.join("runs.csv"), report.runs_csv().as_bytes())?;
        let mut json = serde_json::to_vec_pretty(&report).expect("a report is JSON");
        json.push(b'\n');
        atomic::write(&path.join("report.json"), &json)?;
        Ok(report)
    }

    /// Threads of their own take one run after the other. Runs are no tasks of the shared pool: one that
    /// waits there for its products would begin another, and all would be in memory at once.
    fn make(&self, at_once: usize, progress: &dyn Progress) -> Result<Vec<Record>, CompareError> {
        let queue = Mutex::new(self.missing.iter());
        let failed = Mutex::new(None);
        let take = || {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.next().copied()
        };
        let work = || {
            let mut made = Vec::new();
            while let Some(run) = take() {
                let stop = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                if stop {
                    break;
                }
                match self.make_one(run, progress) {
                    Ok(record) => made.push(record),
                    Err(error) => {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.get_or_insert(error);
                    }
                }
            }
            made
        };
        let made = thread::scope(|scope| {
            let started: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            let joined = started.into_iter().map(|one| one.join().expect("no run panics"));
            joined.flatten().collect::<Vec<_>>()
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(made),
        }
    }

    fn make_one(
        &self,
        run: (usize, u64, u64),
        progress: &dyn Progress,
    ) -> Result<Record, CompareError> {
        progress.check()?;
        let (at, budget, seed) = run;
        let entry = &self.entries[at];
        let inputs = self.folder.inputs_of(entry, budget, seed);
        let record = self.trial(run).run(inputs, &Part(progress));
        let record = record.map_err(|problem| self.in_run(run, problem))?;
        self.folder.write(entry, &record)?;
        Ok(record)
    }

    fn trial(&self, (at, budget, seed): (usize, u64, u64)) -> Trial<'_> {
        let entry = &self.entries[at];
        Trial { compare: self.compare, arena: self.arena, entry, budget, seed }
    }

    fn in_run(&self, run: (usize, u64, u64), problem: crate::EvalError) -> CompareError {
        let (at, budget, seed) = run;
        let name = &self.entries[at].name;
        CompareError::Run {
            run: format!("selection `{name}`, {budget} samples, seed {seed}"),
            problem,
        }
    }
}

/// The progress of one run among several: what it does counts, its own beginning and end do not.
struct Part<'a>(&'a dyn Progress);

impl Progress for Part<'_> {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}

    fn advance(&self, by: u64) {
        self.0.advance(by);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
