//! All runs of a comparison: which are missing, what they cost, and carrying them out.

use std::path::Path;

use curate_core::{Progress, Quiet, params::Checker};
use curate_io::atomic;

use crate::compare::{
    Arena, Compare, CompareError, Cost, Entry, Existing, Record, Report, Score,
    folder::{Folder, Kind, Manifest},
    trial::Trial,
    workers::{Part, in_threads},
};

/// How a folder of a comparison is called.
const COMPARISON: Kind = Kind { what: "a comparison", manifest: "comparison.json", runs: "runs" };

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
        let manifest = Manifest::of(compare, arena, entries);
        let folder = Folder::look(folder, COMPARISON, manifest, existing)?;
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for seed in 0..compare.params.seeds {
            for &budget in &compare.params.budgets {
                for (at, entry) in entries.iter().enumerate() {
                    match folder.read::<Record>(entry, (budget, seed))? {
                        Some(record) => records.push(record),
                        None => missing.push((at, budget, seed)),
                    }
                }
            }
        }
        Ok(Self { compare, arena, entries, folder, records, missing })
    }

    /// The same with one task's part of the runs: of all runs, made or not, every one whose number leaves
    /// `index` when it is divided by `tasks`. [`Self::make`] makes them.
    ///
    /// # Panics
    /// When there are no tasks.
    #[must_use]
    pub fn part(mut self, index: usize, tasks: usize) -> Self {
        let (budgets, entries) = (&self.compare.params.budgets, self.entries);
        let ours = |at: usize, budget: u64, seed: u64| {
            let place = budgets.iter().take_while(|one| **one != budget).count();
            ((seed as usize * budgets.len() + place) * entries.len() + at) % tasks == index
        };
        self.missing.retain(|&(at, budget, seed)| ours(at, budget, seed));
        self.records.retain(|record| {
            let at = entries.iter().take_while(|entry| entry.name != record.selection).count();
            ours(at, record.budget, record.seed)
        });
        self
    }

    /// What there is to do.
    pub fn cost(&self) -> Cost {
        let samples =
            self.missing.iter().map(|(_, budget, _)| self.compare.samples_seen(*budget)).sum();
        Cost {
            runs: self.records.len() + self.missing.len(),
            made: self.records.len(),
            samples,
            operations: samples as f64 * self.compare.operations_per_sample(self.arena),
            at_once: self.compare.at_once(self.missing.len()),
        }
    }

    /// Trains so many steps of a run on every thread and throws the models away, so that a caller with a
    /// clock knows how long the runs will take; the samples that were seen.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn rehearse(&self, steps: usize, progress: &dyn Progress) -> Result<u64, CompareError> {
        let Some(&(at, _, seed)) = self.missing.first() else { return Ok(0) };
        let budget = (steps * self.compare.params.batch) as u64;
        let threads = self.compare.at_once(self.missing.len());
        let run = |()| {
            let done = self.trial((at, budget, seed)).rehearse(&Quiet(progress));
            done.map_err(|problem| self.in_run((at, budget, seed), problem))
        };
        in_threads(&vec![(); threads], threads, run)?;
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
        let made = self.train(progress)?;
        self.records.extend(made);
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

    /// Makes the missing runs and writes each when it is done; how many they were. Other processes can make
    /// other parts of the runs at the same time, and [`Self::run`] reads them all.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn make(&self, progress: &dyn Progress) -> Result<usize, CompareError> {
        let _lock = self.folder.begin_shared()?;
        Ok(self.train(progress)?.len())
    }

    fn train(&self, progress: &dyn Progress) -> Result<Vec<Record>, CompareError> {
        let cost = self.cost();
        progress.start("train", cost.samples, "samples");
        let one = |run| self.make_one(run, progress);
        let made = in_threads(&self.missing, cost.at_once, one);
        progress.finish();
        made
    }

    fn make_one(
        &self,
        run: (usize, u64, u64),
        progress: &dyn Progress,
    ) -> Result<Record, CompareError> {
        progress.check()?;
        let (at, budget, seed) = run;
        let entry = &self.entries[at];
        let inputs = self.folder.inputs_of(entry, (budget, seed));
        let record = self.trial(run).run(inputs, &Part(progress));
        let record = record.map_err(|problem| self.in_run(run, problem))?;
        self.folder.write(entry, (budget, seed), &record)?;
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
