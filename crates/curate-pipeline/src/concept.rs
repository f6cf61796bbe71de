//! Concepts: what became of each, and what it is about.

use curate_io::Pool;
use serde::{Deserialize, Serialize};

use crate::{Error, page::spread, rows::StageRows, words::telling};

/// What is known of a concept. A control asks for no complexity, and an empty cluster has no spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Concept {
    /// Its rows.
    pub(crate) size: usize,
    /// Rows of it that stay.
    pub(crate) quota: usize,
    /// Its share of the rows that stay, before bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) complexity: Option<f64>,
    /// Mean distance of its rows to its centroid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intra: Option<f64>,
    /// Mean distance of its centroid to the nearest others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter: Option<f64>,
}

impl Concept {
    /// Rows that do not stay.
    pub(crate) fn lost(&self) -> usize {
        self.size.saturating_sub(self.quota)
    }

    /// The share of its rows that do not stay.
    pub(crate) fn share_lost(&self) -> f64 {
        self.lost() as f64 / self.size.max(1) as f64
    }
}

/// Captions that are read to find the words of all concepts, and of one.
const CAPTIONS: usize = 8192;
const CAPTIONS_A_CONCEPT: usize = 256;

/// The commonest telling words of the captions of each concept, from some of its rows, evenly spread.
pub(crate) fn words(
    pool: &Pool,
    rows: &StageRows,
    concepts: usize,
) -> Result<Vec<Vec<String>>, Error> {
    let each = (CAPTIONS / concepts.max(1)).clamp(1, CAPTIONS_A_CONCEPT);
    let mut members = vec![Vec::new(); concepts];
    for (position, concept) in rows.cluster.iter().enumerate() {
        let of = concept.and_then(|concept| members.get_mut(concept as usize));
        of.into_iter().for_each(|rows_of| rows_of.push(rows.row(position) as u32));
    }
    let mut looked_at: Vec<(usize, usize)> = Vec::new();
    for (concept, members) in members.into_iter().enumerate() {
        looked_at.extend(spread(&members, each).into_iter().map(|row| (row as usize, concept)));
    }
    looked_at.sort_unstable();
    let rows: Vec<usize> = looked_at.iter().map(|&(row, _)| row).collect();
    let samples = pool.samples(&rows)?;
    let mut captions = vec![Vec::new(); concepts];
    for ((_, concept), sample) in looked_at.iter().zip(&samples) {
        captions[*concept].extend(sample.caption.as_deref());
    }
    Ok(telling(&captions))
}
