//! A column of text as the bytes that lie there, for one that is not all UTF-8.

use std::{ops::Range, path::Path, sync::Arc};

use arrow_array::{Array, ArrayRef, BinaryViewArray};
use parquet::{
    column::reader::{ColumnReaderImpl, get_typed_column_reader},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
    file::reader::FileReader,
};

use super::file::{leaves, open_raw};
use crate::error::IoError;

/// Values that are read at once.
const AT_ONCE: usize = 8192;

/// Hands the values of a column to `each` as arrays of bytes: those in the range `part` of `rows`, or of
/// all rows. `None` where they cannot be read in this way either.
pub(super) fn each(
    path: &Path,
    at: usize,
    rows: Option<&[usize]>,
    part: Range<usize>,
    each: &mut impl FnMut(&ArrayRef) -> Result<(), IoError>,
) -> Result<Option<()>, IoError> {
    let file = open_raw(path)?;
    let leaves = leaves(file.metadata(), at);
    let mut wanted = Wanted { rows, part, row: 0 };
    for group in 0..file.num_row_groups() {
        let column = file.get_row_group(group).and_then(|g| g.get_column_reader(leaves.start));
        let Ok(column) = column else { return Ok(None) };
        let mut column = get_typed_column_reader::<ByteArrayType>(column);
        loop {
            let Ok(values) = next(&mut column) else { return Ok(None) };
            if values.is_empty() {
                break;
            }
            let taken = wanted.of(&values);
            if !taken.is_empty() {
                each(&(Arc::new(taken) as ArrayRef))?;
            }
        }
    }
    Ok((wanted.part.is_empty()).then_some(()))
}

/// The next values, a gap as `None`.
fn next(
    column: &mut ColumnReaderImpl<ByteArrayType>,
) -> Result<Vec<Option<ByteArray>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, ..) = column.read_records(AT_ONCE, Some(&mut levels), None, &mut values)?;
    if values.len() == records {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|&level| if level > 0 { values.next() } else { None }).collect())
}

/// Which values are still to be handed on.
struct Wanted<'a> {
    rows: Option<&'a [usize]>,
    part: Range<usize>,
    row: usize,
}

impl Wanted<'_> {
    fn of(&mut self, values: &[Option<ByteArray>]) -> BinaryViewArray {
        let start = self.row;
        self.row += values.len();
        let mut taken = Vec::new();
        while let Some(place) = self.part.clone().next() {
            let row = self.rows.map_or(Some(place), |rows| rows.get(place).copied());
            let Some(row) = row.filter(|row| *row < self.row) else { break };
            self.part.start += 1;
            if let Some(value) = row.checked_sub(start).and_then(|at| values.get(at)) {
                taken.push(value.as_ref().map(ByteArray::data));
            }
        }
        BinaryViewArray::from_iter(taken)
    }
}
