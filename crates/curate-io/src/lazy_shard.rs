//! A shard of a pool that is open, or is opened when it is first asked for something.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    error::IoError,
    layout::{Layout, OpenShard},
};

/// A shard whose rows are listed.
pub(crate) struct LazyShard {
    layout: &'static dyn Layout,
    file: PathBuf,
    rows: usize,
    open: OnceLock<Box<dyn OpenShard>>,
}

impl LazyShard {
    /// One that was opened to list its rows.
    pub(crate) fn opened(
        layout: &'static dyn Layout,
        file: PathBuf,
        rows: usize,
        open: Box<dyn OpenShard>,
    ) -> Self {
        Self { layout, file, rows, open: open.into() }
    }

    /// One of which so many rows were listed before.
    pub(crate) fn listed(layout: &'static dyn Layout, file: PathBuf, rows: usize) -> Self {
        Self { layout, file, rows, open: OnceLock::new() }
    }

    /// The shard's file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn get(&self) -> Result<&dyn OpenShard, IoError> {
        if let Some(open) = self.open.get() {
            return Ok(&**open);
        }
        // Two threads may open it at once; one of them is dropped.
        let open = self.layout.reopen(&self.file, self.rows)?;
        Ok(&**self.open.get_or_init(|| open))
    }
}
