//! What DataComp's command answers.

use std::collections::BTreeMap;

use curate_core::SampleId;

use crate::verdict::DropReason;

/// The ids that a rule keeps of a folder, for pools whose verdicts are too many to hold.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Subset {
    /// The ids, sorted, repeats included.
    #[serde(skip)]
    pub ids: Vec<SampleId>,
    /// Rows read.
    pub rows: usize,
    /// Rows dropped, by the first part of the rule that dropped them.
    pub dropped: BTreeMap<DropReason, usize>,
    /// The score from which rows stay.
    pub threshold: Option<f64>,
}
