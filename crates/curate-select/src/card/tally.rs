//! Tests by axis, task and set.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    SelectError,
    card::{Alike, Axis, LeftOut, Outcome, TaskMean, Z},
};

/// All seeds of a test.
#[derive(Default)]
struct Test {
    accuracies: BTreeMap<u64, f64>,
    samples: Option<u64>,
}

impl Test {
    fn mean(&self) -> f64 {
        self.accuracies.values().sum::<f64>() / self.accuracies.len() as f64
    }

    /// The variance of the mean that comes from drawing the test samples: seeds share them.
    fn variance(&self) -> Option<f64> {
        let mean = self.mean();
        Some(mean * (1.0 - mean) / self.samples? as f64)
    }
}

/// The tests of one task, by set.
type Task = BTreeMap<String, Test>;

#[derive(Default)]
pub(super) struct Tally {
    sets: Vec<String>,
    tasks: BTreeMap<Axis, BTreeMap<String, Task>>,
}

impl Tally {
    /// A set exists.
    pub(super) fn name(&mut self, set: &str) {
        if !self.sets.iter().any(|known| known == set) {
            self.sets.push(set.to_owned());
        }
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(String::as_str)
    }

    pub(super) fn add(&mut self, outcome: Outcome) -> Result<(), SelectError> {
        let Outcome { set, axis, task, accuracy, samples, seed } = outcome;
        let wrong = |problem: String| {
            SelectError::card(&set, format!("in the {} test `{task}`: {problem}", axis.name()))
        };
        if !(0.0..=1.0).contains(&accuracy) {
            let problem =
                format!("accuracy {accuracy} is not from 0 to 1: give shares, not percent");
            return Err(wrong(problem));
        }
        if samples == Some(0) {
            return Err(wrong(
                "it has no samples: leave `samples` out where it is not known".into(),
            ));
        }
        let tests = self.tasks.entry(axis).or_default().entry(task.clone()).or_default();
        let test = tests.entry(set.clone()).or_default();
        if !test.accuracies.is_empty() && test.samples != samples {
            let problem = "it has several numbers of `samples`: give the same for each seed";
            return Err(wrong(problem.into()));
        }
        test.samples = samples;
        if test.accuracies.insert(seed, accuracy).is_some() {
            return Err(wrong(format!("it is there twice with seed {seed}: leave one of them")));
        }
        self.name(&set);
        Ok(())
    }

    /// Over the tasks that all sets with this axis have.
    pub(super) fn mean(&self, set: &str, axis: Axis) -> Option<TaskMean> {
        let all = self.tested(axis);
        let tests = self.of(axis).filter(|(_, task)| task.len() == all.len());
        let tests: Option<Vec<&Test>> = tests.map(|(_, task)| task.get(set)).collect();
        let tests = tests.filter(|tests| !tests.is_empty())?;
        let count = tests.len() as f64;
        let variance: Option<f64> = tests.iter().map(|test| test.variance()).sum();
        Some(TaskMean {
            accuracy: tests.iter().map(|test| test.mean()).sum::<f64>() / count,
            half_width: variance.map(|variance| Z * variance.sqrt() / count),
            tasks: tests.len(),
        })
    }

    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let of = |axis: Axis| {
            let all = self.tested(axis);
            self.of(axis).filter_map(move |(name, task)| {
                let lacking = all.iter().filter(|&&set| !task.contains_key(set));
                let lacking: Vec<String> = lacking.map(|&set| set.to_owned()).collect();
                (!lacking.is_empty()).then(|| LeftOut { axis, task: name.clone(), lacking })
            })
        };
        Axis::ALL.into_iter().flat_map(of).collect()
    }

    /// Of the tasks that means hold.
    pub(super) fn alike(&self) -> Vec<Alike> {
        let of = |axis: Axis| {
            let all = self.tested(axis).len();
            self.of(axis).filter(move |(_, task)| task.len() == all).filter_map(
                move |(name, task)| {
                    let mut means = task.values().map(Test::mean);
                    let accuracy = means.next()?;
                    let alike = all > 1 && means.all(|mean| mean == accuracy);
                    alike.then(|| Alike { axis, task: name.clone(), accuracy })
                },
            )
        };
        Axis::ALL.into_iter().flat_map(of).collect()
    }

    fn of(&self, axis: Axis) -> impl Iterator<Item = (&String, &Task)> {
        self.tasks.get(&axis).into_iter().flatten()
    }

    /// The sets that have a test of an axis.
    fn tested(&self, axis: Axis) -> BTreeSet<&str> {
        self.of(axis).flat_map(|(_, task)| task.keys()).map(String::as_str).collect()
    }
}
