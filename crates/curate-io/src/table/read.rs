//! Reading single columns of Parquet files, block by block.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use arrow_array::{ArrayRef, cast::AsArray, types};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use curate_core::ScoreColumn;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    },
};

use super::values::{Real, each_vector};
use crate::{
    error::{IoError, Kind},
    spool::Spool,
    vectors::{StoredArray, list},
};

/// Vectors that are decoded at once.
const VECTORS_AT_ONCE: usize = 4096;

/// Other values that are decoded at once: they stay in a core's cache.
const AT_ONCE: usize = 8192;

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
    /// When it is not a Parquet file, or is cut off.
    pub fn open(path: &'a Path) -> Result<Self, IoError> {
        let builder = guarded(path, || open(path, ArrowReaderOptions::new()))?;
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
    pub fn vectors(&self, column: &str) -> Result<StoredArray, IoError> {
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
        self.each(column, None, |array| f32::append(array, &mut values))?;
        Ok(values)
    }

    /// A numeric column in double precision, widened without loss from single; a gap is a NaN.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn f64(&self, column: &str) -> Result<Vec<f64>, IoError> {
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each_f64(column, |block| values.extend_from_slice(block))?;
        Ok(values)
    }

    /// Hands the values of a numeric column to `each`, block by block in row order, as
    /// [`Self::f64`] would.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn each_f64(&self, column: &str, mut each: impl FnMut(&[f64])) -> Result<(), IoError> {
        self.expect_type(column, "numbers", DataType::is_numeric)?;
        let mut values = Vec::new();
        self.each_of(column, None, AT_ONCE, |array| {
            values.clear();
            f64::append(array, &mut values);
            each(&values);
        })
    }

    /// A numeric column in its own precision: single, half and single floats alike, or double.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn scores(&self, column: &str) -> Result<ScoreColumn, IoError> {
        let single = self.holds_singles(column);
        Ok(if single { self.f32(column)?.into() } else { self.f64(column)?.into() })
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
    /// When there is no such column, it holds no text, or cannot be read, and when `rows` do not
    /// ascend or are not all in the file.
    pub fn text(
        &self,
        column: &str,
        rows: Option<&[usize]>,
    ) -> Result<Vec<Option<String>>, IoError> {
        let mut values = Vec::new();
        self.each_text(column, rows, |text| values.push(text.map(str::to_owned)))?;
        Ok(values)
    }

    /// Hands every value of a text column to `each`, in row order. With `rows`, only those.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn each_text(
        &self,
        column: &str,
        rows: Option<&[usize]>,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), IoError> {
        self.expect_type(column, "text", is_text)?;
        rows.map_or(Ok(()), |rows| self.expect_ascending(rows))?;
        self.each(column, rows, |array| array.as_string_view().iter().for_each(&mut each))
    }

    /// Refuses rows that a selection of runs cannot say.
    fn expect_ascending(&self, rows: &[usize]) -> Result<(), IoError> {
        let remedy = "ask for rows of the file, each once, in ascending order";
        let wrong = |problem| Err(IoError::new(Kind::Disagree, self.path, problem, remedy));
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            return wrong(format!("row {} is asked for after row {}", pair[1], pair[0]));
        }
        match rows.last() {
            Some(&row) if row >= self.rows => {
                wrong(format!("has {} rows, but row {row} is asked for", self.rows))
            }
            _ => Ok(()),
        }
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
        self.each_of(column, rows, AT_ONCE, each)
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
        let options = ArrowReaderOptions::new().with_schema(Arc::new(as_views(&self.schema)));
        let builder = open(self.path, options)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        let mut builder = builder.with_projection(mask).with_batch_size(at_once);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows, self.rows));
        }
        let cut = |e: String| {
            IoError::malformed(self.path, format!("column `{column}` cannot be read: {e}"))
        };
        let reader = builder.build().map_err(|e| cut(e.to_string()))?;
        let (mut read, wanted) = (0, rows.map_or(self.rows, <[usize]>::len));
        for batch in reader {
            let batch = batch.map_err(|e: ArrowError| cut(e.to_string()))?;
            read += batch.num_rows();
            each(batch.column(0));
        }
        if read != wanted {
            return Err(cut(format!("it ends after {read} of {wanted} rows")));
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

fn open(
    path: &Path,
    options: ArrowReaderOptions,
) -> Result<ParquetRecordBatchReaderBuilder<File>, IoError> {
    let file = File::open(path).map_err(|e| IoError::os(path, "read", e))?;
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|e| IoError::malformed(path, format!("is not a Parquet file, or is cut off: {e}")))
}

/// The schema with every text as a view into the page that it came in, which spares a copy.
fn as_views(schema: &Schema) -> Schema {
    let as_view = |field: &Arc<Field>| {
        let field = field.as_ref().clone();
        let text = is_text(field.data_type());
        if text { field.with_data_type(DataType::Utf8View) } else { field }
    };
    let fields: Vec<Field> = schema.fields().iter().map(as_view).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Text as such, or as numbers of a dictionary, which only its writer's memory had: the file has text.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_vectors(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().is_floating()
        }
        _ => false,
    }
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
