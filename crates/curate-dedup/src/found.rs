//! What a search found of one row.

use serde::{Deserialize, Serialize};

/// The most similar preferred row of a row, as a search inside its cluster finds it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The row of the source.
    pub row: usize,
    /// The largest similarity to a preferred row, at least 0.
    pub similarity: f32,
    /// That row of the source, if the similarity is above 0.
    pub cause: Option<usize>,
}
