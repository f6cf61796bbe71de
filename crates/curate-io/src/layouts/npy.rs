//! npy files of vectors, one pool in the order of their names.

use std::path::{Path, PathBuf};

use super::clip_retrieval;
use crate::{
    error::IoError,
    layout::{Certainty, Layout, OpenShard, ShardRows, Sign},
};

pub(super) struct NpyFiles;

impl Layout for NpyFiles {
    fn name(&self) -> &'static str {
        "npy files"
    }

    fn signs(&self) -> &'static [Sign] {
        &[Sign { folder: "", ending: "npy", certainty: Certainty::Companions }]
    }

    fn endings(&self) -> &'static [&'static str] {
        &["npy"]
    }

    /// A file of clip-retrieval's is described beside its folder, even where that folder alone was
    /// named.
    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        clip_retrieval::open(file)
    }

    fn reopen(&self, file: &Path, rows: usize) -> Result<Box<dyn OpenShard>, IoError> {
        Ok(clip_retrieval::reopen(file, rows))
    }

    fn companions(&self, file: &Path) -> Vec<PathBuf> {
        clip_retrieval::companions(file)
    }

    #[cfg(feature = "object-store")]
    fn fetched_beside(&self, _: crate::layout::FilesWanted) -> &'static [&'static str] {
        &[]
    }
}
