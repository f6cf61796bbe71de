//! Why a row was removed.

use serde::{Deserialize, Serialize};

/// The reason for one removal. Every row that a stage removes has exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The row of the pool that was removed.
    pub row: usize,
    /// The rule that removed it, for example `fraction` or `embedding-nan`.
    pub rule: String,
    /// The row's value under that rule; `None` where the rule has no number.
    pub value: Option<f64>,
    /// What the value was compared with.
    pub threshold: Option<f64>,
    /// The row that caused the removal, for example the duplicate that stays.
    pub cause: Option<usize>,
    /// The cluster in which the row was judged.
    pub cluster: Option<u32>,
}

impl Removal {
    /// A removal by `rule` with nothing more to say.
    pub fn new(row: usize, rule: impl Into<String>) -> Self {
        Self { row, rule: rule.into(), value: None, threshold: None, cause: None, cluster: None }
    }

    /// Adds the row's value and what it was compared with.
    pub fn compared(mut self, value: f64, threshold: f64) -> Self {
        self.value = Some(value);
        self.threshold = Some(threshold);
        self
    }

    /// Adds the row's value under the rule.
    pub fn valued(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }

    /// Adds the row that caused the removal.
    pub fn caused_by(mut self, row: usize) -> Self {
        self.cause = Some(row);
        self
    }

    /// Adds the cluster in which the row was judged.
    pub fn in_cluster(mut self, cluster: u32) -> Self {
        self.cluster = Some(cluster);
        self
    }
}
