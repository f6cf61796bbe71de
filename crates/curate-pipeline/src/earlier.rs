//! What the stages before one have left.

use std::path::{Path, PathBuf};

use curate_core::Selection;
use curate_io::Pool;

use crate::rows::StageRows;

/// The name that stands for the whole pool where a stage asks for its input.
pub const POOL: &str = "pool";

/// What the pool and the stages carried out so far have left, by name. Lent to the stages after
/// them: nothing here is copied for a stage that asks.
pub(crate) struct Earlier {
    pool: Selection,
    stages: Vec<Left>,
}

/// What one stage left.
pub(crate) struct Left {
    /// The stage's name.
    pub(crate) name: String,
    /// The stage's folder, with its centroids.
    pub(crate) folder: PathBuf,
    /// Its verdict on each row.
    pub(crate) rows: StageRows,
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

    /// A stage's verdict on each row that it was given.
    pub(crate) fn rows(&self, name: &str) -> Option<&StageRows> {
        self.find(name).map(|stage| &stage.rows)
    }

    /// A stage's folder.
    pub(crate) fn folder(&self, name: &str) -> Option<&Path> {
        self.find(name).map(|stage| &*stage.folder)
    }

    /// The verdicts of all stages, in order, and the rows that the last one left.
    pub(crate) fn into_parts(self) -> (Vec<StageRows>, Selection) {
        let mut kept = self.pool;
        let take = |stage: Left| {
            kept = stage.kept;
            stage.rows
        };
        let rows = self.stages.into_iter().map(take).collect();
        (rows, kept)
    }

    fn find(&self, name: &str) -> Option<&Left> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}
