//! Why a row was removed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason for one removal. Every row that a method removes has exactly one.
///
/// ```
/// use curate_core::Removal;
///
/// let removal = Removal::new(7, "semantic-duplicate").compared(0.98, 0.95).caused_by(3);
/// assert_eq!(removal.to_string(), "row 7: semantic-duplicate, 0.98 against 0.95, because of row 3");
/// ```
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

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.rule)?;
        // Values are f32 that became f64: six digits show what was compared, not the conversion.
        let short = |x: f64| (x * 1e6).round() / 1e6;
        match (self.value, self.threshold) {
            (Some(value), Some(threshold)) => {
                write!(f, ", {} against {}", short(value), short(threshold))?;
            }
            (Some(value), None) => write!(f, ", {}", short(value))?,
            _ => {}
        }
        if let Some(cause) = self.cause {
            write!(f, ", because of row {cause}")?;
        }
        match self.cluster {
            Some(cluster) => write!(f, ", in cluster {cluster}"),
            None => Ok(()),
        }
    }
}
