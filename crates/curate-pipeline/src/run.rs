//! A finished run in memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, Selection, fault::Fault};
use curate_io::{IoError, Pool};
use curate_report::counted;

use crate::{
    Error, Recipe, folder as layout,
    manifest::Manifest,
    record::{self as stage_files, StageRecord},
    rows::{RemovedRows, StageRows},
};

pub use crate::folder::FORMAT;

/// A run in memory: what reports, explanations and new cuts are made of.
pub struct Run {
    /// The recipe with every default.
    pub recipe: Recipe,
    /// The pool.
    pub pool: Pool,
    /// The stages' records, in order.
    pub records: Vec<StageRecord>,
    /// The rows that stay.
    pub kept: Selection,
    /// The folder, where the stages' verdicts lie.
    pub folder: PathBuf,
}

impl Run {
    /// Reads a finished run back.
    ///
    /// # Errors
    /// When there is no finished run in the folder, its files were changed, or its pool is gone.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, Error> {
        let manifest = Manifest::of_run(folder)?;
        let recipe_path = folder.join(layout::RECIPE);
        let text =
            fs::read_to_string(&recipe_path).map_err(|e| IoError::os(&recipe_path, "read", e))?;
        let recipe = Recipe::parse(&text)
            .map_err(|problems| Error::Recipe { path: recipe_path, problems })?;
        let pool = recipe.open_pool(progress)?;
        manifest.pool.check(&pool)?;
        for (index, record) in manifest.stages.iter().enumerate() {
            stage_files::check(&layout::of_stage(folder, index, &record.name), record)?;
        }
        let folder = folder.to_owned();
        let kept = Selection::default();
        let mut run = Self { recipe, pool, records: manifest.stages, kept, folder };
        if let Some(last) = run.records.len().checked_sub(1) {
            run.kept = run.stage_rows(last)?.kept();
        }
        Ok(run)
    }

    /// A stage's verdict on each row that it was given, read from the folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stage_rows(&self, index: usize) -> Result<StageRows, IoError> {
        stage_files::rows(&self.stage_folder(index))
    }

    /// The rows that a stage removed, one after the other, without holding all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn removed_rows(&self, index: usize) -> Result<RemovedRows, IoError> {
        stage_files::removed_rows(&self.stage_folder(index))
    }

    pub(crate) fn stage_folder(&self, index: usize) -> PathBuf {
        layout::of_stage(&self.folder, index, &self.records[index].name)
    }

    /// How many ids do not stay although they occur again in the pool: the first usable row of an id is
    /// judged, and its repeats, which could have been kept, are not.
    pub fn removed_with_repeats(&self) -> usize {
        let faults = self.pool.faults().iter().filter(|(_, fault)| *fault == Fault::DuplicateId);
        let mut repeated: Vec<SampleId> = faults.map(|&(row, _)| self.pool.ids()[row]).collect();
        if repeated.is_empty() {
            return 0;
        }
        repeated.sort_unstable();
        repeated.dedup();
        // A repeat is set aside, so that of an id one row is kept at most.
        let is_repeated = |row: &usize| repeated.binary_search(&self.pool.ids()[*row]).is_ok();
        repeated.len() - self.kept.rows().iter().filter(|row| is_repeated(row)).count()
    }

    /// [`Self::removed_with_repeats`] in words; `None` where there are none.
    pub(crate) fn repeats_note(&self) -> Option<String> {
        let said = match self.removed_with_repeats() {
            0 => return None,
            1 => "1 id that does not stay occurs again".to_owned(),
            count => format!("{} that do not stay occur again", counted(count as u64, "id")),
        };
        Some(format!(
            "{said} in the pool: only the first row of an id is judged, so a repeat with another caption \
             or score could not take its place"
        ))
    }

    /// The fault for which a row was set aside when the pool was read.
    pub fn pool_fault(&self, row: usize) -> Option<Fault> {
        let faults = self.pool.faults();
        faults.binary_search_by_key(&row, |&(row, _)| row).ok().map(|at| faults[at].1)
    }
}
