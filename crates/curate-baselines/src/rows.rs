//! Columns of one metadata shard.

use std::path::Path;

use curate_core::SampleId;
use curate_io::{IoError, table::Reader};
use curate_text::rules::Failure;

use crate::rule;

/// The ids of a shard, in row order.
pub(crate) fn ids(reader: &Reader<'_>, file: &Path) -> Result<Vec<SampleId>, IoError> {
    let mut ids = Vec::with_capacity(reader.rows().min(1 << 24));
    let mut bad = None;
    reader.each_text("uid", None, |text| {
        let id = text.unwrap_or_default().parse();
        if bad.is_none() && id.is_err() {
            bad = Some((ids.len(), text.unwrap_or_default().chars().take(64).collect::<String>()));
        }
        ids.push(id.unwrap_or_else(|_| SampleId::from(0)));
    })?;
    match bad {
        None => Ok(ids),
        Some((row, text)) => {
            Err(IoError::malformed(file, format!("row {row}: uid `{text}` is no hexadecimal id")))
        }
    }
}

/// Widths and heights; a gap is NaN.
pub(crate) fn sizes(reader: &Reader<'_>) -> Result<Vec<(f64, f64)>, IoError> {
    let widths = reader.f64("original_width")?;
    let heights = reader.f64("original_height")?;
    Ok(widths.into_iter().zip(heights).collect())
}

/// Why each row goes by its caption, if it does. A missing caption always goes.
pub(crate) fn captions(
    reader: &Reader<'_>,
    judge: impl Fn(usize, &str) -> Result<(), Failure>,
) -> Result<Vec<Option<&'static str>>, IoError> {
    let mut reasons = Vec::with_capacity(reader.rows().min(1 << 24));
    reader.each_text("text", None, |text| {
        let row = reasons.len();
        reasons.push(match text.map(|text| judge(row, text)) {
            None => Some("no caption"),
            Some(Ok(())) => None,
            Some(Err(failure)) => Some(rule(&failure)),
        });
    })?;
    Ok(reasons)
}

/// A score column: its values, widened without loss, and whether it holds single precision.
pub(crate) struct Scores {
    pub(crate) values: Vec<f64>,
    single: bool,
}

impl Scores {
    pub(crate) fn read(reader: &Reader<'_>, column: &str) -> Result<Self, IoError> {
        Ok(Self { values: reader.f64(column)?, single: reader.holds_singles(column) })
    }

    /// A threshold as numpy compares it with the column: in single precision for single precision.
    pub(crate) fn own(&self, threshold: f64) -> f64 {
        if self.single { f64::from(threshold as f32) } else { threshold }
    }
}
