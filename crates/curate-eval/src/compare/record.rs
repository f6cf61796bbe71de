//! What one training answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Accuracy;

/// What one training answered: the content of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The selection's name.
    pub selection: String,
    /// Samples that were to be seen.
    pub budget: u64,
    /// The seed of weights and order.
    pub seed: u64,
    /// Samples that were seen: whole batches.
    pub samples: u64,
    /// Different samples to train on.
    pub unique: usize,
    /// Different samples that were seen.
    pub distinct: usize,
    /// How often the most frequent sample was seen.
    pub most: u64,
    /// The answers, by task.
    pub tasks: BTreeMap<String, Task>,
    /// The answers on pools from other sources, by pool and task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shifted: BTreeMap<String, BTreeMap<String, Task>>,
    /// Identifies everything that the training depended on.
    pub inputs: String,
}

/// How well a model did one task. All are shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The task's one number: top-1 accuracy, or the mean of recall at 1 of both ways.
    pub score: f64,
    /// Rows that were asked.
    pub rows: usize,
    /// Everything that was measured, by name. `converged` is 1 where the linear probe reached its minimum.
    pub measures: BTreeMap<String, f64>,
    /// The class that was found least often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_class: Option<String>,
}

impl Task {
    pub(crate) fn classification(found: &Accuracy, rows: usize, classes: &[String]) -> Self {
        let measures = [
            ("top-1", found.top_1),
            ("top-5", found.top_5),
            ("mean-per-class", found.mean_per_class),
            ("worst-class", found.worst),
        ];
        Self {
            score: found.top_1,
            rows,
            measures: measures.map(|(name, value)| (name.to_owned(), value)).into(),
            worst_class: classes.get(found.worst_class).cloned(),
        }
    }
}

/// The number by which selections are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The mean of all tasks' scores.
    #[default]
    Average,
    /// The mean of recall at 1 from image to text and from text to image.
    Retrieval,
    /// Top-1 accuracy among the classes' descriptions.
    ZeroShot,
    /// Top-1 accuracy of logistic regression on the images' embeddings.
    LinearProbe,
    /// Top-1 accuracy of the images' nearest labeled neighbors.
    Neighbors,
    /// Top-1 accuracy of a model that learns labels.
    Labels,
}

impl Score {
    /// The name of its task; `None` for the average.
    pub(crate) fn task(self) -> Option<&'static str> {
        match self {
            Self::Average => None,
            Self::Retrieval => Some("retrieval"),
            Self::ZeroShot => Some("zero-shot"),
            Self::LinearProbe => Some("linear-probe"),
            Self::Neighbors => Some("neighbors"),
            Self::Labels => Some("labels"),
        }
    }

    /// The number of a record; `None` where that task was not asked.
    pub fn of(self, record: &Record) -> Option<f64> {
        self.of_tasks(&record.tasks)
    }

    /// [`Self::of`] answers by task, for example those on a pool from another source.
    pub fn of_tasks(self, tasks: &BTreeMap<String, Task>) -> Option<f64> {
        match self.task() {
            Some(task) => tasks.get(task).map(|task| task.score),
            None => {
                let sum: f64 = tasks.values().map(|task| task.score).sum();
                (!tasks.is_empty()).then(|| sum / tasks.len() as f64)
            }
        }
    }
}
