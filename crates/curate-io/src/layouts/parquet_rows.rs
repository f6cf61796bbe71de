//! Rows that a Parquet file describes: DataComp's metadata and clip-retrieval's.

use std::path::Path;

use crate::{
    error::IoError,
    layout::{Names, Numbers},
    shard::Sample,
    table::Reader,
};

pub(super) fn numeric_columns(file: &Path) -> Result<Option<Vec<String>>, IoError> {
    Ok(Some(Reader::open(file)?.numeric_columns()))
}

pub(super) fn column(file: &Path, name: &str) -> Result<Numbers, IoError> {
    let reader = Reader::open(file)?;
    if reader.has(name) { Ok(Numbers::Values(reader.scores(name)?)) } else { Ok(Numbers::Missing) }
}

pub(super) fn each_label(
    file: &Path,
    field: &str,
    each: &mut dyn FnMut(Option<&str>),
) -> Result<(), IoError> {
    let reader = Reader::open(file)?;
    if reader.has(field) {
        return reader.each_label(field, each);
    }
    (0..reader.rows()).for_each(|_| each(None));
    Ok(())
}

/// Notes the rows without a caption.
pub(super) fn captions(
    reader: &Reader<'_>,
    column: &str,
    names: &mut Names<'_>,
) -> Result<(), IoError> {
    let mut row = 0;
    reader.each_text(column, None, |text| {
        names.caption(row, text);
        row += 1;
    })
}

/// The texts of these rows, ascending: the caption is the column `text`.
pub(super) fn samples(file: &Path, rows: &[usize]) -> Result<Vec<Sample>, IoError> {
    let reader = Reader::open(file)?;
    let mut samples = vec![Sample::default(); rows.len()];
    if reader.has("text") {
        let captions = reader.text("text", Some(rows))?;
        samples.iter_mut().zip(captions).for_each(|(sample, caption)| sample.caption = caption);
    }
    let columns = reader.text_columns().into_iter();
    for column in columns.filter(|column| !["uid", "text"].contains(&column.as_str())) {
        for (sample, value) in samples.iter_mut().zip(reader.text(&column, Some(rows))?) {
            if let Some(value) = value {
                sample.fields.insert(column.clone(), value);
            }
        }
    }
    Ok(samples)
}
