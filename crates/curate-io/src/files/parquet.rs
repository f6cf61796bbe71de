//! clip-retrieval's metadata.

use std::path::{Path, PathBuf};

use curate_core::SampleId;

use super::{CAPTIONS, Found, KEYS, Table};
use crate::{IoError, Sample, datacomp::read_samples, pool::Shard, table::Reader};

pub(super) struct Parquet(pub(super) PathBuf);

impl Table for Parquet {
    fn names(&self, found: &mut Found<'_>) -> Result<bool, IoError> {
        let reader = Reader::open(&self.0)?;
        let there = reader.text_columns();
        let has = |name: &&str| there.iter().any(|column| column == name);
        let id = ["uid"].iter().chain(&KEYS).find(|name| has(name));
        match id {
            Some(id) => reader.each_text(id, None, |value| found.add(id, value))?,
            None => found.ids.ids = vec![SampleId(0); reader.rows()],
        }
        if let Some(caption) = CAPTIONS.iter().find(|name| has(name)) {
            let mut row = 0;
            reader.each_text(caption, None, |text| {
                found.caption(row, text);
                row += 1;
            })?;
        }
        Ok(id.is_some())
    }

    fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        Ok(Reader::open(&self.0)?.numeric_columns())
    }

    fn column(&self, name: &str, _: usize) -> Result<Option<Vec<f32>>, IoError> {
        let reader = Reader::open(&self.0)?;
        let there = reader.columns().iter().any(|column| column == name);
        there.then(|| reader.f32(name)).transpose()
    }

    fn labels(&self, field: &str, rows: usize) -> Result<Vec<Option<String>>, IoError> {
        let reader = Reader::open(&self.0)?;
        match reader.text_columns().iter().any(|column| column == field) {
            true => reader.text(field, None),
            false => Ok(vec![None; rows]),
        }
    }

    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError> {
        let mut samples = read_samples(&self.0, shard, rows, ids)?;
        for sample in &mut samples {
            let caption = sample.fields.get("caption").cloned();
            sample.caption = sample.caption.take().or(caption);
        }
        Ok(samples)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}
