//! What the stages before one have left.

use std::path::PathBuf;

use curate_core::{ScoreColumn, Selection};
use curate_io::{IoError, Pool};

use crate::{record, rows::StageRows};

/// The name that stands for the whole pool where a stage asks for its input.
pub const POOL: &str = "pool";

/// What the pool and the stages carried out so far have left, by name: sets of rows in memory, and what
/// was said of each row on disk, where a stage that asks reads it.
#[derive(Clone)]
pub(crate) struct Earlier {
    pool: Selection,
    stages: Vec<Left>,
}

/// What one stage left.
#[derive(Clone)]
pub(crate) struct Left {
    /// The stage's name.
    pub(crate) name: String,
    /// The stage's folder, with its centroids.
    pub(crate) folder: PathBuf,
    /// The rows that it was given.
    pub(crate) given: Selection,
    /// The rows that stay.
    pub(crate) kept: Selection,
}

impl Earlier {
    /// Before the first stage: the rows of the pool that were not set aside when it was read.
    pub(crate) fn new(pool: &Pool) -> Self {
        let faults = pool.faults();
        let usable = |row: &usize| faults.binary_search_by_key(row, |&(row, _)| row).is_err();
        let usable = (0..pool.len()).filter(usable);
        Self { pool: Selection::from_unsorted(usable.collect()), stages: vec![] }
    }

    /// Takes what the next stage left.
    pub(crate) fn push(&mut self, left: Left) {
        self.stages.push(left);
    }

    /// The rows of the pool that were not set aside when it was read.
    pub(crate) fn pool(&self) -> &Selection {
        &self.pool
    }

    /// The rows that the last stage left; those of the pool before the first.
    pub(crate) fn last(&self) -> &Selection {
        self.stages.last().map_or(&self.pool, |stage| &stage.kept)
    }

    /// The rows that a stage left, or the pool's.
    pub(crate) fn set(&self, name: &str) -> Option<&Selection> {
        if name == POOL {
            return Some(&self.pool);
        }
        self.find(name).map(|stage| &stage.kept)
    }

    /// The rows that the last stage left, once no other set is needed.
    pub(crate) fn into_last(mut self) -> Selection {
        self.stages.pop().map_or(self.pool, |stage| stage.kept)
    }

    /// A stage by name.
    pub(crate) fn find(&self, name: &str) -> Option<&Left> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

impl Left {
    /// Its verdict on each row that it was given.
    pub(crate) fn rows(&self) -> Result<StageRows, IoError> {
        record::rows(&self.folder)
    }

    /// Its numbers of these rows; NaN for a row that it was not given or did not leave.
    pub(crate) fn values_of(&self, rows: &Selection) -> Result<ScoreColumn, IoError> {
        let values = record::values(&self.folder)?;
        if *rows == self.given && self.kept.len() == self.given.len() {
            return Ok(values);
        }
        let place = |row| self.given.position(row).filter(|_| self.kept.contains(row));
        Ok(values.gather(rows.iter().map(place)))
    }
}
