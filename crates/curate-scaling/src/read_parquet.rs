//! Tables of runs in Parquet files, as text by column.

use crate::error::ScalingError;
use std::collections::BTreeMap;
use std::fs::File;

/// One line as text by column, before it is understood.
pub(crate) type Line = (usize, BTreeMap<String, String>);

/// The rows of a Parquet file, counted from 1.
#[cfg(feature = "parquet")]
pub(crate) fn parquet_lines(file: File, name: &str) -> Result<Vec<Line>, ScalingError> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let broken = |problem: String, remedy: &str| ScalingError::BadTable {
        place: name.into(),
        problem,
        remedy: remedy.into(),
    };
    let damaged = |e: parquet::errors::ParquetError| {
        broken(e.to_string(), "write the file again, or save the runs as CSV")
    };
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let mut lines = Vec::new();
    for (i, row) in reader.get_row_iter(None).map_err(damaged)?.enumerate() {
        let mut cells = BTreeMap::new();
        for (column, field) in row.map_err(damaged)?.get_column_iter() {
            let text = match field {
                Field::Null => continue,
                Field::Str(text) => text.clone(),
                Field::Double(number) => number.to_string(),
                Field::Float(number) => number.to_string(),
                Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
                    let problem = format!("`{column}` holds lists or groups");
                    return Err(broken(problem, "give it plain columns of numbers and names"));
                }
                number => number.to_string(),
            };
            cells.insert(column.clone(), text);
        }
        lines.push((i + 1, cells));
    }
    Ok(lines)
}

#[cfg(not(feature = "parquet"))]
pub(crate) fn parquet_lines(_: File, name: &str) -> Result<Vec<Line>, ScalingError> {
    Err(ScalingError::BadTable {
        place: name.into(),
        problem: "this build does not read Parquet".into(),
        remedy: "turn on the feature `parquet` of curate-scaling, or save the runs as CSV".into(),
    })
}
