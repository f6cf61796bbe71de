//! What a look into neighboring clusters found, as a stage tells it.

use curate_dedup::Duplicates;
use serde::{Deserialize, Serialize};

/// What a look into neighboring clusters found.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ProbingTold {
    pairs: u64,
    rows_with_a_nearer_match: usize,
    recall_sample: usize,
    duplicates_in_sample: usize,
    recall_without: Option<f64>,
    recall: Option<f64>,
}

impl ProbingTold {
    /// With recall at the threshold that decided; `None` where no cluster was looked into.
    pub(crate) fn of(found: &Duplicates, threshold: Option<f64>) -> Option<Self> {
        let probing = found.probing()?;
        let recall = found.recall(1.0 - threshold.unwrap_or(1.0))?;
        Some(Self {
            pairs: probing.pairs,
            rows_with_a_nearer_match: probing.improved,
            recall_sample: recall.sampled,
            duplicates_in_sample: recall.duplicates,
            recall_without: Some(recall.share_without_probing()),
            recall: Some(recall.share()),
        })
    }
}
