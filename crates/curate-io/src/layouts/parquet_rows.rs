//! Rows that a Parquet file describes: DataComp's metadata and clip-retrieval's.

use std::path::Path;

use crate::{error::IoError, layout::Numbers, shard::Sample, table::Reader};

pub(super) fn numeric_columns(file: &Path) -> Result<Option<Vec<String>>, IoError> {
    Ok(Some(Reader::open(file)?.numeric_columns()))
}

pub(super) fn column(file: &Path, name: &str) -> Result<Numbers, IoError> {
    let reader = Reader::open(file)?;
    if reader.columns().iter().any(|column| column == name) {
        Ok(Numbers::Values(reader.scores(name)?))
    } else {
        Ok(Numbers::Missing)
    }
}

pub(super) fn labels(file: &Path, field: &str) -> Result<Vec<Option<String>>, IoError> {
    let reader = Reader::open(file)?;
    if reader.text_columns().iter().any(|column| column == field) {
        reader.text(field, None)
    } else {
        Ok(vec![None; reader.rows()])
    }
}

/// The texts of these rows, ascending: the caption is the column `text`.
pub(super) fn samples(file: &Path, rows: &[usize]) -> Result<Vec<Sample>, IoError> {
    let reader = Reader::open(file)?;
    let mut samples = vec![Sample::default(); rows.len()];
    for column in reader.text_columns().iter().filter(|column| *column != "uid") {
        for (sample, value) in samples.iter_mut().zip(reader.text(column, Some(rows))?) {
            match (column.as_str(), value) {
                ("text", caption) => sample.caption = caption,
                (name, Some(value)) => drop(sample.fields.insert(name.to_owned(), value)),
                _ => {}
            }
        }
    }
    Ok(samples)
}
