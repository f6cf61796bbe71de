//! The datasets of an HDF5 file beside its vectors.

use std::path::{Path, PathBuf};

use curate_core::SampleId;

use super::{CAPTIONS, Found, Table, bare};
use crate::{IoError, Sample, hdf5_file, pool::Shard};

pub(super) struct Hdf5(pub(super) PathBuf);

impl Table for Hdf5 {
    fn names(&self, found: &mut Found<'_>) -> Result<bool, IoError> {
        let rows = hdf5_file::rows(&self.0)?;
        for column in ["uid", "key"] {
            if let Some(values) = hdf5_file::text(&self.0, column, rows)? {
                values.iter().for_each(|value| found.add(column, value.as_deref()));
                return Ok(true);
            }
        }
        found.ids.ids = vec![SampleId(0); rows];
        Ok(false)
    }

    fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        hdf5_file::numeric_columns(&self.0)
    }

    fn column(&self, name: &str, rows: usize) -> Result<Option<Vec<f32>>, IoError> {
        hdf5_file::column(&self.0, name, rows)
    }

    fn labels(&self, field: &str, rows: usize) -> Result<Vec<Option<String>>, IoError> {
        Ok(hdf5_file::text(&self.0, field, rows)?.unwrap_or_else(|| vec![None; rows]))
    }

    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError> {
        let all = shard.rows.len();
        let mut captions = None;
        for name in CAPTIONS {
            captions = captions.or(hdf5_file::text(&self.0, name, all)?);
        }
        let caption = |row: usize| captions.as_ref().and_then(|texts| texts[row].clone());
        let sample = |&row| Sample { caption: caption(row), ..bare(shard, row, ids) };
        Ok(rows.iter().map(sample).collect())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}
