//! Arrow columns, by the capsules that pyarrow, polars, pandas and DuckDB hand out.

use std::{ops::Range, sync::Arc};

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, OffsetSizeTrait, StructArray,
    cast::AsArray, types,
};
use arrow_schema::DataType;
use curate::core::{EmbeddingSource, SourceError};
use half::f16;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyArray;

use crate::errors::Failure;

/// True for an object that hands out Arrow data.
pub(crate) fn is_arrow(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.hasattr("__arrow_c_stream__")? || object.hasattr("__arrow_c_array__")?)
}

/// The parts of a column.
pub(crate) fn chunks(argument: &str, object: &Bound<'_, PyAny>) -> Result<Vec<ArrayRef>, Failure> {
    let wrong = |error: PyErr| Failure::input(argument, error.to_string());
    let array: AnyArray = object.extract().map_err(wrong)?;
    let reader = array.into_reader().map_err(wrong)?;
    let chunks: Result<Vec<ArrayRef>, _> = reader.collect();
    chunks.map_err(|error| Failure::input(argument, error.to_string()))
}

/// Where the numbers of a part lie.
enum Numbers {
    Half(Arc<arrow_array::Float16Array>),
    Single(Arc<arrow_array::Float32Array>),
    Double(Arc<arrow_array::Float64Array>),
}

/// A part of a column of vectors: its numbers lie one after the other.
struct Part {
    /// The rows of the column that it holds.
    rows: Range<usize>,
    /// From the first vector of the part on.
    numbers: Numbers,
}

/// A column of vectors, which are read where they lie.
pub(crate) struct ArrowVectors {
    parts: Vec<Part>,
    rows: usize,
    dim: usize,
}

impl ArrowVectors {
    /// The vectors of a column of lists, or of the only such column of a table.
    pub(crate) fn of(argument: &str, object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        let mut found = Self { parts: Vec::new(), rows: 0, dim: 0 };
        for chunk in chunks(argument, object)? {
            let chunk = match chunk.as_struct_opt() {
                Some(table) => column_of_vectors(argument, table)?,
                None => chunk,
            };
            found.add(argument, &chunk)?;
        }
        Ok(found)
    }

    fn add(&mut self, argument: &str, chunk: &ArrayRef) -> Result<(), Failure> {
        if chunk.is_empty() {
            return Ok(());
        }
        if chunk.null_count() > 0 {
            let row = (0..chunk.len()).find(|&row| chunk.is_null(row)).unwrap_or(0) + self.rows;
            return Err(Failure::input(
                argument,
                format!("row {row} holds no vector: leave it out"),
            ));
        }
        let Lists { dim, numbers } = Lists::of(argument, chunk, self.rows)?;
        if self.rows > 0 && dim != self.dim {
            let problem = format!("vectors of {} and of {dim} numbers: give one length", self.dim);
            return Err(Failure::input(argument, problem));
        }
        let rows = self.rows..self.rows + chunk.len();
        self.rows = rows.end;
        self.dim = dim;
        self.parts.push(Part { rows, numbers: typed(argument, &numbers)? });
        Ok(())
    }

    /// The part that holds a row.
    fn part(&self, row: usize) -> Option<&Part> {
        let at = self.parts.partition_point(|part| part.rows.end <= row);
        self.parts.get(at)
    }
}

/// The only column of lists of numbers of a table.
fn column_of_vectors(argument: &str, table: &StructArray) -> Result<ArrayRef, Failure> {
    let is_vectors = |array: &&ArrayRef| {
        matches!(
            array.data_type(),
            DataType::FixedSizeList(..) | DataType::List(_) | DataType::LargeList(_)
        )
    };
    let mut columns = table.columns().iter().filter(is_vectors);
    match (columns.next(), columns.next()) {
        (Some(only), None) => Ok(Arc::clone(only)),
        (first, _) => {
            let how_many = if first.is_some() { "several columns" } else { "no column" };
            let names = table.column_names().join(", ");
            let problem = format!(
                "the table has {how_many} of vectors (its columns: {names}): give one column of \
                 lists of numbers, or a NumPy array ({argument}.to_numpy())"
            );
            Err(Failure::input(argument, problem))
        }
    }
}

/// Lists of one length, one after the other.
struct Lists {
    dim: usize,
    /// Those of the lists, and no others that lie around them.
    numbers: ArrayRef,
}

impl Lists {
    fn of(argument: &str, chunk: &ArrayRef, before: usize) -> Result<Self, Failure> {
        match chunk.data_type() {
            DataType::FixedSizeList(_, dim) => {
                let lists: &FixedSizeListArray = chunk.as_fixed_size_list();
                let dim = usize::try_from(*dim).unwrap_or(0);
                let start = usize::try_from(lists.value_offset(0)).unwrap_or(0);
                Ok(Self { dim, numbers: lists.values().slice(start, lists.len() * dim) })
            }
            DataType::List(_) => Self::of_any(argument, chunk.as_list::<i32>(), before),
            DataType::LargeList(_) => Self::of_any(argument, chunk.as_list::<i64>(), before),
            other => {
                let problem = format!(
                    "an Arrow column of {other} holds no vectors: give one of lists of numbers, or a \
                     NumPy array of two axes"
                );
                Err(Failure::input(argument, problem))
            }
        }
    }

    fn of_any<O: OffsetSizeTrait>(
        argument: &str,
        lists: &GenericListArray<O>,
        before: usize,
    ) -> Result<Self, Failure> {
        let lengths = lists.value_offsets().windows(2).map(|ends| ends[1] - ends[0]);
        let mut lengths = lengths.map(|length| length.as_usize());
        let dim = lengths.next().unwrap_or(0);
        if let Some((at, length)) = lengths.enumerate().find(|&(_, length)| length != dim) {
            let row = before + at + 1;
            let problem = format!("row {row} has {length} numbers, the rows before it {dim}");
            return Err(Failure::input(argument, problem));
        }
        let start = lists.value_offsets()[0].as_usize();
        Ok(Self { dim, numbers: lists.values().slice(start, lists.len() * dim) })
    }
}

fn typed(argument: &str, numbers: &ArrayRef) -> Result<Numbers, Failure> {
    if numbers.null_count() > 0 {
        return Err(Failure::input(argument, "a vector lacks a number (null): give all numbers"));
    }
    match numbers.data_type() {
        DataType::Float16 => {
            Ok(Numbers::Half(Arc::new(numbers.as_primitive::<types::Float16Type>().clone())))
        }
        DataType::Float32 => {
            Ok(Numbers::Single(Arc::new(numbers.as_primitive::<types::Float32Type>().clone())))
        }
        DataType::Float64 => {
            Ok(Numbers::Double(Arc::new(numbers.as_primitive::<types::Float64Type>().clone())))
        }
        other => {
            let problem = format!("vectors of {other}: give float16, float32 or float64");
            Err(Failure::input(argument, problem))
        }
    }
}

impl Part {
    /// Writes the vectors `rows` of the column, which this part holds.
    fn read(&self, rows: Range<usize>, dim: usize, out: &mut [f32]) {
        let from = (rows.start - self.rows.start) * dim;
        let places = from..from + rows.len() * dim;
        match &self.numbers {
            Numbers::Single(numbers) => out.copy_from_slice(&numbers.values()[places]),
            Numbers::Half(numbers) => {
                let numbers: &[f16] = &numbers.values()[places];
                out.iter_mut().zip(numbers).for_each(|(out, number)| *out = number.to_f32());
            }
            Numbers::Double(numbers) => {
                let numbers = &numbers.values()[places];
                out.iter_mut().zip(numbers).for_each(|(out, &number)| *out = number as f32);
            }
        }
    }
}

impl EmbeddingSource for ArrowVectors {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        if rows.end > self.rows {
            return Err(SourceError::OutOfRange { row: rows.end - 1, rows: self.rows });
        }
        if out.len() != rows.len() * self.dim {
            let (expected, received) = (rows.len() * self.dim, out.len());
            return Err(SourceError::WrongSpace { expected, received });
        }
        let (mut row, mut out) = (rows.start, out);
        while let Some(part) = (row < rows.end).then(|| self.part(row)).flatten() {
            let end = rows.end.min(part.rows.end);
            let (here, rest) = out.split_at_mut((end - row) * self.dim);
            part.read(row..end, self.dim, here);
            (row, out) = (end, rest);
        }
        Ok(())
    }

    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        let part = self.part(rows.start).filter(|part| rows.end <= part.rows.end)?;
        let from = (rows.start - part.rows.start) * self.dim;
        match &part.numbers {
            Numbers::Single(numbers) => numbers.values().get(from..from + rows.len() * self.dim),
            _ => None,
        }
    }
}
