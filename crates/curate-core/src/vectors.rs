//! The vectors of some rows of a source.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{EmbeddingSource, Selection, SourceError, embedding};

/// Whether vectors have to be scaled to have length 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scale {
    /// Every vector has length 1 to the bit: scaling would change nothing.
    Done,
    /// Some do not.
    Needed,
}

/// The vectors of some rows of a source; row `i` is the `i`-th of those rows.
#[derive(Clone, Copy)]
pub struct Vectors<'r> {
    source: &'r dyn EmbeddingSource,
    rows: &'r Selection,
    scale: Scale,
}

impl<'r> Vectors<'r> {
    pub(crate) fn new(source: &'r dyn EmbeddingSource, rows: &'r Selection, scale: Scale) -> Self {
        Self { source, rows, scale }
    }
}

impl Vectors<'_> {
    /// True when these are all rows of the source, so that a row's place is its number.
    fn are_all(&self) -> bool {
        self.rows.len() == self.source.rows()
    }

    fn scale(&self, vectors: &mut [f32]) {
        if self.scale == Scale::Needed {
            vectors.chunks_exact_mut(self.source.dim().max(1)).for_each(embedding::normalize);
        }
    }

    fn source_row(&self, place: usize) -> Result<usize, SourceError> {
        let rows = self.rows.rows();
        let found = rows.get(place).copied();
        found.ok_or(SourceError::OutOfRange { row: place, rows: rows.len() })
    }
}

impl EmbeddingSource for Vectors<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.source.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        if self.are_all() {
            self.source.read(rows, out)?;
        } else if let Some(last) = rows.end.checked_sub(1) {
            self.source_row(last)?;
            self.source.gather(&self.rows.rows()[rows], out)?;
        }
        self.scale(out);
        Ok(())
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let rows =
            rows.iter().map(|&place| self.source_row(place)).collect::<Result<Vec<_>, _>>()?;
        self.source.gather(&rows, out)?;
        self.scale(out);
        Ok(())
    }

    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        let as_they_lie = self.are_all() && self.scale == Scale::Done;
        as_they_lie.then(|| self.source.in_memory(rows)).flatten()
    }
}
