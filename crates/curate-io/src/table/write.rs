//! Writing Parquet: the same columns give the same bytes.

use std::{path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float16Array, Float32Array, Float64Array, RecordBatch,
    StringArray, UInt32Array, UInt64Array,
};
use arrow_schema::{Field, Schema};
use half::f16;
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    errors::ParquetError,
    file::properties::{WriterProperties, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};

use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
};

/// Rows of a row group: what is held until it is written, and what a reader takes in parts holds.
const ROWS_A_GROUP: usize = 1 << 17;

/// Columns whose values are all different: a dictionary of them is begun, found too large and given up, in every
/// row group.
const ALL_DIFFERENT: [&str; 2] = ["uid", "row"];

/// A column of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Flags.
    Bool(Vec<bool>),
    /// 32-bit counts or indices.
    U32(Vec<u32>),
    /// 64-bit counts or indices.
    U64(Vec<u64>),
    /// 64-bit counts or indices, some missing.
    OptU64(Vec<Option<u64>>),
    /// Half precision, to which each number is rounded; NaN is a value, not a gap.
    F16(Vec<f32>),
    /// Single precision; NaN is a value, not a gap.
    F32(Vec<f32>),
    /// Double precision; NaN is a value, not a gap.
    F64(Vec<f64>),
    /// Double precision, some missing.
    OptF64(Vec<Option<f64>>),
    /// Text.
    Text(Vec<String>),
    /// Text, some missing.
    OptText(Vec<Option<String>>),
}

impl Column {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::OptU64(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::OptF64(v) => v.len(),
            Self::Text(v) => v.len(),
            Self::OptText(v) => v.len(),
        }
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_optional(&self) -> bool {
        matches!(self, Self::OptU64(_) | Self::OptF64(_) | Self::OptText(_))
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Self::Bool(v) => Arc::new(BooleanArray::from(v)),
            Self::U32(v) => Arc::new(UInt32Array::from(v)),
            Self::U64(v) => Arc::new(UInt64Array::from(v)),
            Self::OptU64(v) => Arc::new(UInt64Array::from(v)),
            Self::F16(v) => {
                Arc::new(Float16Array::from_iter_values(v.into_iter().map(f16::from_f32)))
            }
            Self::F32(v) => Arc::new(Float32Array::from(v)),
            Self::F64(v) => Arc::new(Float64Array::from(v)),
            Self::OptF64(v) => Arc::new(Float64Array::from(v)),
            Self::Text(v) => Arc::new(StringArray::from(v)),
            Self::OptText(v) => Arc::new(StringArray::from(v)),
        }
    }
}

/// Writes named columns of one length as Parquet. The same columns give the same bytes.
///
/// # Errors
/// When the columns differ in length, or the bytes do not reach the disk.
pub fn write(path: &Path, columns: Vec<(&str, Column)>) -> Result<(), IoError> {
    Writer::create(path, columns)?.finish()
}

/// A Parquet file written in parts; it is there, whole, after [`Writer::finish`].
pub struct Writer<'a> {
    path: &'a Path,
    schema: Arc<Schema>,
    inner: ArrowWriter<AtomicFile>,
}

impl<'a> Writer<'a> {
    /// Starts a file with its first rows, which say what columns there are.
    ///
    /// # Errors
    /// When the columns differ in length, or the file cannot be written.
    pub fn create(path: &'a Path, columns: Vec<(&str, Column)>) -> Result<Self, IoError> {
        // By the kind of column, not by what it holds today: the schema is the same for every run.
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns
            .into_iter()
            .map(|(name, column)| {
                let optional = column.is_optional();
                let array = column.into_array();
                (Field::new(name, array.data_type().clone(), optional), array)
            })
            .unzip();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROWS_A_GROUP))
            .set_created_by(concat!("curate ", env!("CARGO_PKG_VERSION")).to_owned());
        let plain = |properties: WriterPropertiesBuilder, name: &&str| {
            properties.set_column_dictionary_enabled(ColumnPath::from(*name), false)
        };
        let properties = ALL_DIFFERENT.iter().fold(properties, plain).build();
        let file = AtomicFile::create(path)?;
        let inner = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|e| written(path, e))?;
        let mut writer = Self { path, schema, inner };
        writer.add(arrays)?;
        Ok(writer)
    }

    /// Adds rows: the same columns, in the same order.
    ///
    /// # Errors
    /// When the columns differ in length or are others than the first, or cannot be written.
    pub fn write(&mut self, columns: Vec<Column>) -> Result<(), IoError> {
        self.add(columns.into_iter().map(Column::into_array).collect())
    }

    fn add(&mut self, arrays: Vec<ArrayRef>) -> Result<(), IoError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| {
            let remedy = "give the columns of the first rows, all of one length";
            IoError::new(Kind::Disagree, self.path, format!("cannot be written: {e}"), remedy)
        })?;
        self.inner.write(&batch).map_err(|e| written(self.path, e))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn finish(self) -> Result<(), IoError> {
        let file = self.inner.into_inner().map_err(|e| written(self.path, e))?;
        file.commit()
    }
}

fn written(path: &Path, error: ParquetError) -> IoError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(inner) => IoError::os(path, "written", *inner),
            Err(inner) => {
                IoError::new(Kind::Os, path, format!("could not be written: {inner}"), "")
            }
        },
        other => IoError::new(Kind::Os, path, format!("could not be written: {other}"), ""),
    }
}
