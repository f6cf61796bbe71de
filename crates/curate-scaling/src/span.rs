//! A range of numbers.

use serde::{Deserialize, Serialize};

/// A range of numbers: what the runs span, or the budgets to look at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
}

impl Span {
    /// From `low` to `high`, both included.
    pub fn new(low: f64, high: f64) -> Span {
        Span { low, high }
    }
}
