//! Doubts that do not stop a fit.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A doubt that does not stop a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The same run appears more than once and counts as often.
    RepeatedRows {
        /// Rows, counted from 1, that repeat an earlier one.
        rows: Vec<usize>,
    },
    /// No run repeats its data, so the law's repetition parameters are guesses.
    NoRepeats {
        /// Parameters that the data say nothing about.
        parameters: Vec<String>,
    },
    /// No pool has two budgets that repeat nothing, so that a floor of the error and what repeats lose look
    /// alike.
    OnlyRepeats {
        /// No pool has more distinct samples than this.
        unique: f64,
    },
    /// A pool has runs at one budget only.
    OneBudget {
        /// The pools.
        pools: Vec<String>,
    },
    /// Numbers so small that they may be in thousands, millions or billions.
    SmallUnits {
        /// `samples` or `parameters`.
        field: String,
        /// Largest value in the table.
        largest: f64,
    },
    /// Samples and distinct samples differ so much that their units may differ.
    UnitsDiffer {
        /// Epochs implied.
        epochs: f64,
    },
    /// Directions of the parameters that the data barely determine.
    Ridge {
        /// Parameters that trade off against each other.
        parameters: Vec<String>,
        /// Condition of the scaled Jacobian; `None` when singular.
        condition: Option<f64>,
    },
    /// Parameters ended at an end of their range.
    AtBounds {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// As many parameters as observations: the curve passes through the points and there is no
    /// measure of doubt.
    NoFreedom,
    /// The best search stopped before it had arrived.
    NotConverged {
        /// Its scaled gradient.
        gradient: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::RepeatedRows { rows } => write!(
                f,
                "rows {rows:?} repeat earlier ones exactly and count twice; drop them unless the \
                 runs were made again"
            ),
            Warning::NoRepeats { parameters } => write!(
                f,
                "no run sees its pool more than once, so {} cannot be identified; fix them, or add \
                 a run of several epochs",
                parameters.join(", ")
            ),
            Warning::OnlyRepeats { unique } => write!(
                f,
                "no pool has two budgets that see each of its samples at most once, so that a law cannot tell \
                 a floor of the error from what repeats lose, and promises too much of larger pools: add \
                 runs below {unique:.0} samples"
            ),
            Warning::OneBudget { pools } => write!(
                f,
                "runs at one budget only ({}): the parameters that such a pool has of its own rest \
                 on the other pools; add a run at another budget",
                pools.join(", ")
            ),
            Warning::SmallUnits { field, largest } => write!(
                f,
                "the largest value of {field} is {largest}; if the column is in thousands, \
                 millions or billions, write plain counts"
            ),
            Warning::UnitsDiffer { epochs } => write!(
                f,
                "samples over unique gives {epochs:.3e} epochs; check that both columns are plain \
                 counts"
            ),
            Warning::Ridge { parameters, condition } => write!(
                f,
                "{} trade off against each other (condition {}); fix one, add a prior, or rely on \
                 intervals of predictions rather than on their values",
                if parameters.is_empty() { "parameters".to_owned() } else { parameters.join(", ") },
                condition.map_or("infinite".into(), |c| format!("{c:.0}"))
            ),
            Warning::AtBounds { parameters } => write!(
                f,
                "{} ended at an end of the allowed range; the data want more than the law allows, \
                 or say nothing about them: fix them or choose a simpler law",
                parameters.join(", ")
            ),
            Warning::NoFreedom => f.write_str(
                "as many parameters as observations: there is no measure of doubt; add runs or fix \
                 parameters",
            ),
            Warning::NotConverged { gradient } => write!(
                f,
                "the search stopped early (scaled gradient {gradient:.1e}); raise max_iterations \
                 or starts"
            ),
        }
    }
}
