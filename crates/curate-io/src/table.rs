//! Small Parquet tables: a run's own results, and single columns of other people's files.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, UInt32Array, UInt64Array, cast::AsArray, types,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector},
    },
    basic::Compression,
    errors::ParquetError,
    file::properties::WriterProperties,
};

use crate::{
    IoError, Kind,
    atomic::AtomicFile,
    vectors::{Part, Spool, list},
};

/// Vectors that are decoded at once.
const VECTORS_AT_ONCE: usize = 4096;

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
    /// Single precision; NaN is a value, not a gap.
    F32(Vec<f32>),
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
            Self::F32(v) => v.len(),
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
            Self::F32(v) => Arc::new(Float32Array::from(v)),
            Self::OptF64(v) => Arc::new(Float64Array::from(v)),
            Self::Text(v) => Arc::new(StringArray::from(v)),
            Self::OptText(v) => Arc::new(StringArray::from(v)),
        }
    }
}

/// Writes named columns of one length as Parquet. The same columns give the same bytes.
///
/// # Errors
/// When the bytes do not reach the disk.
///
/// # Panics
/// When the columns differ in length.
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
    /// When the file cannot be written.
    ///
    /// # Panics
    /// When the columns differ in length.
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
            .set_created_by(concat!("curate ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
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
    /// When the rows cannot be written.
    ///
    /// # Panics
    /// When the columns differ in length, or are others than the first.
    pub fn write(&mut self, columns: Vec<Column>) -> Result<(), IoError> {
        self.add(columns.into_iter().map(Column::into_array).collect())
    }

    fn add(&mut self, arrays: Vec<ArrayRef>) -> Result<(), IoError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        let batch = batch.expect("the same columns of one length");
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

/// A Parquet file, open for reading single columns.
pub struct Reader<'a> {
    path: &'a Path,
    rows: usize,
    schema: Arc<Schema>,
}

impl<'a> Reader<'a> {
    /// Opens a file and reads its schema.
    ///
    /// # Errors
    /// When it is no Parquet file, or is cut off.
    pub fn open(path: &'a Path) -> Result<Self, IoError> {
        let builder = guarded(path, || open(path))?;
        let rows = builder.metadata().file_metadata().num_rows();
        let rows = usize::try_from(rows).map_err(|e| {
            IoError::malformed(path, "declares an impossible number of rows").caused_by(e)
        })?;
        Ok(Self { path, rows, schema: Arc::clone(builder.schema()) })
    }

    /// Rows in the file.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in file order.
    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The columns that hold single numbers, in file order.
    pub fn numeric_columns(&self) -> Vec<String> {
        self.columns_where(|t| t.is_numeric())
    }

    /// The columns that hold text, in file order.
    pub fn text_columns(&self) -> Vec<String> {
        self.columns_where(is_text)
    }

    /// The columns that hold vectors: lists of floats.
    pub fn vector_columns(&self) -> Vec<String> {
        self.columns_where(is_vectors)
    }

    /// A column of vectors, unpacked into a temporary file; a gap is a vector of NaN.
    ///
    /// # Errors
    /// When there is no such column, its vectors differ in length, or it cannot be read.
    pub fn vectors(&self, column: &str) -> Result<Part, IoError> {
        self.expect_type(column, "vectors", is_vectors)?;
        let what = format!("column `{column}`");
        let mut spool = Spool::new()?;
        let mut failed = None;
        self.each_of(column, None, VECTORS_AT_ONCE, |array| {
            if failed.is_none() {
                let mut push = |vector: Option<&[f32]>| spool.push(self.path, &what, vector);
                failed = each_vector(array, &mut push).err();
            }
        })?;
        failed.map_or_else(|| spool.finish(self.path, &what), Err)
    }

    fn columns_where(&self, wanted: impl Fn(&DataType) -> bool) -> Vec<String> {
        let fields = self.schema.fields().iter().filter(|field| wanted(field.data_type()));
        fields.map(|field| field.name().clone()).collect()
    }

    /// A numeric column in single precision; a gap is a NaN.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn f32(&self, column: &str) -> Result<Vec<f32>, IoError> {
        self.expect_type(column, "numbers", DataType::is_numeric)?;
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each(column, None, |array| append_f32(array, &mut values))?;
        Ok(values)
    }

    /// A numeric column in double precision, widened without loss from single; a gap is a NaN.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn f64(&self, column: &str) -> Result<Vec<f64>, IoError> {
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each_f64(column, |value| values.push(value))?;
        Ok(values)
    }

    /// Hands every value of a numeric column to `each`, in row order, as [`Self::f64`] would.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn each_f64(&self, column: &str, mut each: impl FnMut(f64)) -> Result<(), IoError> {
        self.expect_type(column, "numbers", DataType::is_numeric)?;
        self.each(column, None, |array| each_f64(array, &mut each))
    }

    /// Whether a column holds numbers of single or half precision.
    pub fn holds_singles(&self, column: &str) -> bool {
        let field = self.schema.field_with_name(column);
        field.is_ok_and(|f| matches!(f.data_type(), DataType::Float32 | DataType::Float16))
    }

    /// A column of counts or indices; a gap is `None`.
    ///
    /// # Errors
    /// When there is no such column, it holds no unsigned numbers, or cannot be read.
    pub fn u64(&self, column: &str) -> Result<Vec<Option<u64>>, IoError> {
        self.expect_type(column, "unsigned numbers", DataType::is_unsigned_integer)?;
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each(column, None, |array| match array.data_type() {
            DataType::UInt32 => values
                .extend(array.as_primitive::<types::UInt32Type>().iter().map(|v| v.map(u64::from))),
            _ => values.extend(array.as_primitive::<types::UInt64Type>()),
        })?;
        Ok(values)
    }

    /// A column of flags.
    ///
    /// # Errors
    /// When there is no such column, it holds no flags, or cannot be read.
    pub fn bool(&self, column: &str) -> Result<Vec<bool>, IoError> {
        self.expect_type(column, "flags", |t| *t == DataType::Boolean)?;
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each(column, None, |array| {
            values.extend(array.as_boolean().iter().map(|flag| flag.unwrap_or(false)));
        })?;
        Ok(values)
    }

    /// A text column; a gap is `None`. With `rows`, only those, ascending.
    ///
    /// # Errors
    /// When there is no such column, it holds no text, or cannot be read.
    pub fn text(
        &self,
        column: &str,
        rows: Option<&[usize]>,
    ) -> Result<Vec<Option<String>>, IoError> {
        let mut values = Vec::new();
        self.each_text(column, rows, |text| values.push(text.map(str::to_owned)))?;
        Ok(values)
    }

    /// Hands every value of a text column to `each`, in row order.
    ///
    /// # Errors
    /// When there is no such column, it holds no text, or cannot be read.
    pub fn each_text(
        &self,
        column: &str,
        rows: Option<&[usize]>,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), IoError> {
        self.expect_type(column, "text", is_text)?;
        self.each(column, rows, |array| match array.data_type() {
            DataType::LargeUtf8 => {
                array
                    .as_any()
                    .downcast_ref::<LargeStringArray>()
                    .into_iter()
                    .flatten()
                    .for_each(&mut each);
            }
            DataType::Utf8View => {
                array
                    .as_any()
                    .downcast_ref::<StringViewArray>()
                    .into_iter()
                    .flatten()
                    .for_each(&mut each);
            }
            _ => array
                .as_any()
                .downcast_ref::<StringArray>()
                .into_iter()
                .flatten()
                .for_each(&mut each),
        })
    }

    fn expect_type(
        &self,
        column: &str,
        what: &str,
        fits: impl Fn(&DataType) -> bool,
    ) -> Result<(), IoError> {
        let Ok(field) = self.schema.field_with_name(column) else {
            let problem = format!("has no column `{column}`; it has {}", list(&self.columns()));
            return Err(IoError::new(Kind::NotFound, self.path, problem, "name one of those"));
        };
        if fits(field.data_type()) {
            return Ok(());
        }
        let problem = format!("column `{column}` holds {}, not {what}", field.data_type());
        Err(IoError::new(Kind::Disagree, self.path, problem, format!("name a column of {what}")))
    }

    fn each(
        &self,
        column: &str,
        rows: Option<&[usize]>,
        each: impl FnMut(&ArrayRef),
    ) -> Result<(), IoError> {
        self.each_of(column, rows, 65_536, each)
    }

    fn each_of(
        &self,
        column: &str,
        rows: Option<&[usize]>,
        at_once: usize,
        each: impl FnMut(&ArrayRef),
    ) -> Result<(), IoError> {
        guarded(self.path, || self.each_unguarded(column, rows, at_once, each))
    }

    fn each_unguarded(
        &self,
        column: &str,
        rows: Option<&[usize]>,
        at_once: usize,
        mut each: impl FnMut(&ArrayRef),
    ) -> Result<(), IoError> {
        let builder = open(self.path)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        let mut builder = builder.with_projection(mask).with_batch_size(at_once);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows, self.rows));
        }
        let cut = |e: String| {
            IoError::malformed(self.path, format!("column `{column}` cannot be read: {e}"))
        };
        let reader = builder.build().map_err(|e| cut(e.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|e: ArrowError| cut(e.to_string()))?;
            each(batch.column(0));
        }
        Ok(())
    }
}

/// The Parquet reader panics on some damaged files; here that is an error like the others.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, IoError>) -> Result<T, IoError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(IoError::malformed(path, "is damaged: the Parquet reader gave up on it"))
    })
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, IoError> {
    let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| IoError::malformed(path, format!("is no Parquet file, or is cut off: {e}")))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_vectors(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().is_floating()
        }
        _ => false,
    }
}

/// Hands every list of an array to `each`.
fn each_vector(
    array: &ArrayRef,
    each: &mut impl FnMut(Option<&[f32]>) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let mut numbers = Vec::new();
    let bounds: Vec<Range<usize>> = match array.data_type() {
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            append_f32(list.values(), &mut numbers);
            let width = list.value_length().unsigned_abs() as usize;
            (0..list.len()).map(|row| row * width..(row + 1) * width).collect()
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            append_f32(list.values(), &mut numbers);
            let bounds = list.value_offsets().windows(2);
            bounds.map(|w| w[0].unsigned_abs() as usize..w[1].unsigned_abs() as usize).collect()
        }
        _ => {
            let list = array.as_list::<i32>();
            append_f32(list.values(), &mut numbers);
            let bounds = list.value_offsets().windows(2);
            bounds.map(|w| w[0].unsigned_abs() as usize..w[1].unsigned_abs() as usize).collect()
        }
    };
    for (row, bounds) in bounds.into_iter().enumerate() {
        each(array.is_valid(row).then(|| &numbers[bounds]))?;
    }
    Ok(())
}

/// Exactly these ascending rows of a file of `total`.
fn selection(rows: &[usize], total: usize) -> RowSelection {
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

fn each_f64(array: &ArrayRef, each: &mut impl FnMut(f64)) {
    macro_rules! hand_over {
        ($type:ty, $convert:expr) => {
            array
                .as_primitive::<$type>()
                .iter()
                .for_each(|value| each(value.map_or(f64::NAN, $convert)))
        };
    }
    match array.data_type() {
        DataType::Float32 => hand_over!(types::Float32Type, f64::from),
        DataType::Float64 => hand_over!(types::Float64Type, |v| v),
        DataType::Float16 => hand_over!(types::Float16Type, |v| v.to_f64()),
        DataType::Int8 => hand_over!(types::Int8Type, f64::from),
        DataType::Int16 => hand_over!(types::Int16Type, f64::from),
        DataType::Int32 => hand_over!(types::Int32Type, f64::from),
        DataType::Int64 => hand_over!(types::Int64Type, |v| v as f64),
        DataType::UInt8 => hand_over!(types::UInt8Type, f64::from),
        DataType::UInt16 => hand_over!(types::UInt16Type, f64::from),
        DataType::UInt32 => hand_over!(types::UInt32Type, f64::from),
        DataType::UInt64 => hand_over!(types::UInt64Type, |v| v as f64),
        // Decimals: no score is one.
        _ => (0..array.len()).for_each(|_| each(f64::NAN)),
    }
}

fn append_f32(array: &ArrayRef, out: &mut Vec<f32>) {
    macro_rules! append {
        ($type:ty, $convert:expr) => {
            out.extend(array.as_primitive::<$type>().iter().map(|v| v.map_or(f32::NAN, $convert)))
        };
    }
    match array.data_type() {
        DataType::Float32 => append!(types::Float32Type, |v| v),
        DataType::Float64 => append!(types::Float64Type, |v| v as f32),
        DataType::Float16 => append!(types::Float16Type, |v| v.to_f32()),
        DataType::Int8 => append!(types::Int8Type, f32::from),
        DataType::Int16 => append!(types::Int16Type, f32::from),
        DataType::Int32 => append!(types::Int32Type, |v| v as f32),
        DataType::Int64 => append!(types::Int64Type, |v| v as f32),
        DataType::UInt8 => append!(types::UInt8Type, f32::from),
        DataType::UInt16 => append!(types::UInt16Type, f32::from),
        DataType::UInt32 => append!(types::UInt32Type, |v| v as f32),
        DataType::UInt64 => append!(types::UInt64Type, |v| v as f32),
        // Decimals: no score is one.
        _ => out.extend(std::iter::repeat_n(f32::NAN, array.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(path: &Path) {
        let columns = vec![
            ("id", Column::Text(vec!["a".into(), "b".into(), "c".into()])),
            ("score", Column::F32(vec![1.0, f32::NAN, 3.0])),
            ("cause", Column::OptU64(vec![None, Some(0), None])),
            ("note", Column::OptText(vec![None, Some("x".into()), None])),
            ("kept", Column::Bool(vec![true, false, true])),
        ];
        write(path, columns).unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        sample(&a);
        sample(&b);
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        let reader = Reader::open(&a).unwrap();
        assert_eq!(reader.rows(), 3);
        let score = reader.f32("score").unwrap();
        assert!(score[1].is_nan() && score[2] == 3.0);
        assert_eq!(reader.u64("cause").unwrap(), [None, Some(0), None]);
        assert_eq!(reader.bool("kept").unwrap(), [true, false, true]);
        assert_eq!(reader.text("note", Some(&[1])).unwrap(), [Some("x".into())]);
        assert_eq!(reader.text("id", Some(&[0, 2])).unwrap(), [Some("a".into()), Some("c".into())]);
        assert_eq!(reader.numeric_columns(), ["score", "cause"]);
    }

    #[test]
    fn a_wrong_column_is_named_with_those_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        sample(&path);
        let reader = Reader::open(&path).unwrap();
        let error = reader.f32("scores").unwrap_err().to_string();
        assert!(error.contains("no column `scores`; it has `id`, `score`"), "{error}");
        let error = reader.f32("id").unwrap_err().to_string();
        assert!(error.contains("column `id` holds Utf8, not numbers"), "{error}");
    }

    #[test]
    fn truncated_and_damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        sample(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = Reader::open(&path).err().expect("a cut file is refused");
            assert_eq!(error.kind, Kind::Malformed, "{error}");
        }
    }
}
