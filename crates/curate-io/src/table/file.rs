//! What is asked of a Parquet file before its values are: whether it is one, and whether it can hold
//! what it declares.

use std::{fs::File, ops::Range, path::Path};

use curate_core::{Progress, guard};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    },
    errors::ParquetError,
    file::{
        metadata::{ParquetMetaData, RowGroupMetaData},
        reader::{FileReader, SerializedFileReader},
    },
};

use crate::{
    error::{IoError, Kind},
    files,
    vectors::LONGEST_VECTOR,
};

/// Rows whose names are taken whatever they take in the file.
const ROWS: u64 = 1 << 20;

/// Rows a byte beyond those. Names that differ take more than a bit each; what repeats one is packed
/// smaller, and of rows of one name one is kept.
const ROWS_A_BYTE: u64 = 16;

/// Numbers of vectors in a row group that are taken whatever they take in the file.
const NUMBERS: u64 = 1 << 24;

/// Numbers a byte beyond those.
const NUMBERS_A_BYTE: u64 = 64;

/// Numbers of vectors that are decoded at once.
const NUMBERS_AT_ONCE: u64 = 1 << 22;

/// The Parquet reader panics on some damaged files; here that is an error like the others.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, IoError>,
) -> Result<T, IoError> {
    guard::guarded(read).unwrap_or_else(|_| {
        Err(IoError::malformed(path, "is damaged: the Parquet reader gave up on it"))
    })
}

pub(super) fn open(
    path: &Path,
    options: ArrowReaderOptions,
) -> Result<ParquetRecordBatchReaderBuilder<File>, IoError> {
    ParquetRecordBatchReaderBuilder::try_new_with_options(files::open(path)?, options)
        .map_err(|e| no_table(path, &e))
}

/// The file below Arrow's types.
pub(super) fn open_raw(path: &Path) -> Result<SerializedFileReader<File>, IoError> {
    SerializedFileReader::new(files::open(path)?).map_err(|e| no_table(path, &e))
}

fn no_table(path: &Path, error: &ParquetError) -> IoError {
    IoError::malformed(path, format!("is not a Parquet file, or is cut off: {error}"))
}

/// Reads and unpacks every page.
pub(super) fn pages(path: &Path, progress: &dyn Progress) -> Result<(), IoError> {
    let file = open_raw(path)?;
    for group in 0..file.num_row_groups() {
        let damaged = |column: &str, e: &ParquetError| {
            let problem = format!("column `{column}` cannot be read in row group {group}: {e}");
            IoError::malformed(path, problem)
        };
        let reader = file.get_row_group(group).map_err(|e| damaged("", &e))?;
        for column in 0..reader.num_columns() {
            let name = reader.metadata().column(column).column_path().string();
            let pages = reader.get_column_page_reader(column).map_err(|e| damaged(&name, &e))?;
            for page in pages {
                progress.check().map_err(|_| IoError::cancelled(path))?;
                page.map_err(|e| damaged(&name, &e))?;
            }
        }
    }
    Ok(())
}

/// The leaves of the column at this place of the schema.
pub(super) fn leaves(metadata: &ParquetMetaData, at: usize) -> Range<usize> {
    let schema = metadata.file_metadata().schema_descr();
    let mut of_column =
        (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == at);
    let first = of_column.next().unwrap_or(0);
    first..first + 1 + of_column.count()
}

/// Bytes that a column takes in a row group, and its values.
fn column_of(group: &RowGroupMetaData, leaves: &Range<usize>) -> (u64, u64) {
    let columns = group.columns().get(leaves.clone()).unwrap_or_default().iter();
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    columns.fold((0, 0), |(bytes, values), column| {
        (bytes + count(column.compressed_size()), values.max(count(column.num_values())))
    })
}

/// An error for a file of more rows than the column that names them, or without one the file, can hold:
/// every row takes 16 bytes of memory.
pub(super) fn check_ids(path: &Path, at: Option<usize>) -> Result<(), IoError> {
    let file = files::open(path)?;
    let length = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
    let builder = open(path, ArrowReaderOptions::new())?;
    let metadata = builder.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(u64::MAX);
    let bytes = match at {
        None => length,
        Some(at) => {
            let leaves = leaves(metadata, at);
            // What a footer claims beyond the file is not there.
            metadata.row_groups().iter().map(|g| column_of(g, &leaves).0).sum::<u64>().min(length)
        }
    };
    if rows <= ROWS.saturating_add(bytes.saturating_mul(ROWS_A_BYTE)) {
        return Ok(());
    }
    let what = match at {
        None => "has".to_owned(),
        Some(at) => format!("column `{}` takes", builder.schema().field(at).name()),
    };
    let problem = format!(
        "declares {rows} rows, but {what} {bytes} bytes: more than {ROWS_A_BYTE} rows a byte beyond \
         the first {ROWS} are refused"
    );
    let remedy = "write the file again with an id of its own for every row";
    Err(IoError::new(Kind::Unsupported, path, problem, remedy))
}

/// How many rows of a column of vectors may be decoded at once; an error for one of more numbers than it
/// can hold, or of vectors that are too long.
pub(super) fn check_numbers(
    path: &Path,
    at: usize,
    what: &str,
    most: usize,
) -> Result<usize, IoError> {
    let builder = open(path, ArrowReaderOptions::new())?;
    let metadata = builder.metadata();
    let leaves = leaves(metadata, at);
    let mut at_once = most as u64;
    for group in metadata.row_groups() {
        let (bytes, numbers) = column_of(group, &leaves);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let problem = if numbers > NUMBERS.saturating_add(bytes.saturating_mul(NUMBERS_A_BYTE)) {
            format!(
                "{what} declares {numbers} numbers in {bytes} bytes: more than {NUMBERS_A_BYTE} \
                 numbers a byte beyond the first {NUMBERS} of a row group are refused"
            )
        } else if numbers / rows > LONGEST_VECTOR as u64 {
            let longest = LONGEST_VECTOR;
            format!("{what} holds vectors of {} numbers, more than {longest}", numbers / rows)
        } else {
            at_once = at_once.min((NUMBERS_AT_ONCE / (numbers / rows).max(1)).max(1));
            continue;
        };
        let remedy = "write the file again with one vector a row";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy));
    }
    Ok(usize::try_from(at_once).unwrap_or(most))
}

/// Exactly these ascending rows of a file of `total`.
pub(super) fn selection(rows: &[usize], total: usize) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let Range { start, end } = run[0]..run[0] + run.len();
        selectors.push(RowSelector::skip(start - next));
        selectors.push(RowSelector::select(end - start));
        next = end;
    }
    selectors.push(RowSelector::skip(total.saturating_sub(next)));
    RowSelection::from(selectors)
}
