//! Scores of pairs in memory, and what to keep by them.

use curate_core::{
    Cut, CutError, Progress, Removal, SampleId, Selection,
    rank::{Direction, Outcome},
};
use curate_io::{IoError, Pool};

use crate::{
    Network,
    filter::{
        BadRow, FilterError,
        align::dot,
        chunk::{EMBEDDED_TOGETHER, embed_chunk},
    },
};

/// The rule under which pairs go whose score is too low.
pub const LOW_SCORE: &str = "low-score";

/// A pair that cannot be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPair {
    /// Its row of the pool.
    pub row: usize,
    /// What is wrong with it.
    pub bad: BadRow,
}

impl BadPair {
    /// The reason for its removal.
    pub fn removal(&self) -> Removal {
        Removal::new(self.row, self.bad.kind.fault().name())
    }
}

/// The score of every pair that was asked for. Any cut is a view on it; rows are those of the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PairScores {
    rows: Selection,
    ids: Vec<SampleId>,
    scores: Vec<f32>,
    bad: Vec<BadPair>,
}

/// The cosine of image and caption of some rows of a pool, as [`Embed`](super::Embed) writes it. Holds
/// the network and some hundred images; the scores do not depend on which rows are scored together.
///
/// # Errors
/// When a row is beyond the pool, the pool cannot be read, the network's vocabulary is not CLIP's, or the
/// caller cancels. A pair that cannot be scored is not an error: see [`PairScores::bad`].
pub fn score_pairs(
    network: &Network,
    pool: &Pool,
    rows: &Selection,
    progress: &dyn Progress,
) -> Result<PairScores, FilterError> {
    if let Some(row) = rows.rows().last().copied().filter(|&row| row >= pool.len()) {
        return Err(FilterError::RowsMismatch {
            argument: "rows",
            found: row + 1,
            expected: pool.len(),
        });
    }
    progress.start("embed", rows.len() as u64, "pairs");
    let mut found = PairScores {
        rows: rows.clone(),
        ids: rows.iter().map(|row| pool.ids()[row]).collect(),
        scores: Vec::with_capacity(rows.len()),
        bad: Vec::new(),
    };
    let done = rows.rows().chunks(EMBEDDED_TOGETHER).try_for_each(|rows| {
        progress.check().map_err(|_| IoError::cancelled(pool.path()))?;
        found.add(network, pool, rows)?;
        progress.advance(rows.len() as u64);
        Ok(())
    });
    progress.finish();
    done.map(|()| found)
}

impl PairScores {
    fn add(&mut self, network: &Network, pool: &Pool, rows: &[usize]) -> Result<(), FilterError> {
        let chunk = embed_chunk(network, pool, rows)?;
        let dim = network.dim();
        let pairs = chunk.images.chunks_exact(dim).zip(chunk.texts.chunks_exact(dim));
        self.scores.extend(pairs.map(|(image, text)| dot(image, text)));
        // Bad rows come in the order of the rows, so one walk finds the row of each, repeated ids too.
        let mut bad = chunk.bad.into_iter().peekable();
        for &row in rows {
            if let Some(bad) = bad.next_if(|bad| bad.id == pool.ids()[row]) {
                self.bad.push(BadPair { row, bad });
            }
        }
        Ok(())
    }

    /// The rows that were scored, bad ones included.
    pub fn rows(&self) -> &Selection {
        &self.rows
    }

    /// The score of each of [`Self::rows`]; NaN for a bad one.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The pairs that cannot be scored, and why, in row order.
    pub fn bad(&self) -> &[BadPair] {
        &self.bad
    }

    /// The rows that stay: the highest scores, ties by id. A fraction is one of all rows, bad ones
    /// included.
    ///
    /// # Errors
    /// When the cut is out of range, or an epsilon.
    pub fn select(&self, cut: Cut) -> Result<Selection, CutError> {
        Ok(self.outcome(cut)?.kept)
    }

    /// The rows that stay, and the lowest score that stays.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn outcome(&self, cut: Cut) -> Result<Outcome, CutError> {
        let Outcome { kept, threshold } =
            cut.apply(&self.scores, &self.ids, Direction::HigherIsBetter)?;
        let rows = self.rows.rows();
        Ok(Outcome { kept: kept.iter().map(|place| rows[place]).collect(), threshold })
    }

    /// Why each row that does not stay goes, in row order.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn removals(&self, cut: Cut) -> Result<Vec<Removal>, CutError> {
        let Outcome { kept, threshold } = self.outcome(cut)?;
        let mut bad = self.bad.iter().peekable();
        let mut removals = Vec::with_capacity(self.rows.len() - kept.len());
        for (row, &score) in self.rows.iter().zip(&self.scores) {
            if let Some(bad) = bad.next_if(|bad| bad.row == row) {
                removals.push(bad.removal());
            } else if !kept.contains(row) {
                removals.push(low(row, score, threshold));
            }
        }
        Ok(removals)
    }
}

/// The removal of a row whose score is too low. Without a threshold the cut kept nothing.
pub(super) fn low(row: usize, score: f32, threshold: Option<f64>) -> Removal {
    Removal { value: Some(f64::from(score)), threshold, ..Removal::new(row, LOW_SCORE) }
}
