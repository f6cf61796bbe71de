//! Reading single columns of Parquet files, block by block.

use std::{ops::Range, path::Path, sync::Arc};

use arrow_array::{ArrayRef, cast::AsArray, types};
use arrow_schema::{DataType, Schema};
use curate_core::{Progress, ScoreColumn};
use parquet::arrow::{ProjectionMask, arrow_reader::ArrowReaderOptions};

use super::{
    file::{check_ascending, check_ids, check_numbers, guarded, open, pages, selection},
    names, raw_text,
    types::{
        Precision, decoded, is_name, is_number, is_surely_vectors, is_text, is_text_or_bytes,
        is_vectors, nanoseconds,
    },
    values::{self, Real},
};
use crate::{
    error::{IoError, Kind},
    spool::Spool,
    vectors::{StoredArray, list},
};

/// Vectors that are decoded at once.
const VECTORS_AT_ONCE: usize = 4096;

/// What names rows.
const NAMES: &str = "text or whole numbers";

/// Other values that are decoded at once: they stay in a core's cache.
const AT_ONCE: usize = 8192;

/// A Parquet file, open for reading single columns.
pub struct Reader<'a> {
    path: &'a Path,
    rows: usize,
    schema: Arc<Schema>,
    /// Rows of each row group.
    groups: Vec<usize>,
    /// The only row group that is read.
    group: Option<usize>,
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
        let schema = Arc::new(nanoseconds(builder.schema(), builder.parquet_schema()));
        let groups = builder.metadata().row_groups().iter();
        let groups = groups.map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).collect();
        Ok(Self { path, rows, schema, groups, group: None })
    }

    /// The parts of the file, its row groups, each as a file of its own: to look at several columns of
    /// many rows side by side without holding all.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Self> + '_ {
        self.groups.iter().enumerate().map(|(group, &rows)| Self {
            path: self.path,
            rows,
            schema: Arc::clone(&self.schema),
            groups: vec![rows],
            group: Some(self.group.unwrap_or(group)),
        })
    }

    /// Rows of a file that nothing names, so that their numbers are their names.
    ///
    /// # Errors
    /// When the file declares more rows than its bytes can hold.
    pub(crate) fn numbered_rows(&self) -> Result<usize, IoError> {
        check_ids(self.path, None).map(|()| self.rows)
    }

    /// Reads and unpacks all pages of all columns, and compares the checksums that they have.
    ///
    /// # Errors
    /// When a page cannot be read, or the caller cancels.
    pub fn verify(&self, progress: &dyn Progress) -> Result<(), IoError> {
        guarded(self.path, || pages(self.path, progress))
    }

    /// Rows in the file.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in file order.
    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// True when a column of this name is there.
    pub fn has(&self, column: &str) -> bool {
        self.schema.fields().iter().any(|field| field.name() == column)
    }

    /// The columns that hold single numbers, in file order, without those that hold nothing but gaps.
    /// Flags, dates and times are numbers too, see [`Self::f64`]. A name that two columns share is not
    /// among these.
    pub fn numeric_columns(&self) -> Vec<String> {
        self.columns_where(|t| is_number(t) && *t != DataType::Null)
    }

    /// The columns that hold text, in file order. A name that two columns share is not among these.
    pub fn text_columns(&self) -> Vec<String> {
        self.columns_where(is_text)
    }

    /// The columns that hold vectors: lists of floats, and lists of other numbers that all have one
    /// length. A name that two columns share is not among these.
    pub fn vector_columns(&self) -> Vec<String> {
        self.columns_where(is_surely_vectors)
    }

    /// The columns that [`Self::vectors`] reads, among them lists of whole numbers and lists of lists,
    /// which may mean something else than vectors.
    pub fn list_columns(&self) -> Vec<String> {
        self.columns_where(is_vectors)
    }

    /// Those of these columns that can name rows: text, bytes or whole numbers. The first that there is.
    ///
    /// # Errors
    /// When there are only such that cannot.
    pub fn name_column<'n>(&self, wanted: &[&'n str]) -> Result<Option<&'n str>, IoError> {
        let there: Vec<&str> = wanted.iter().copied().filter(|name| self.has(name)).collect();
        let mut found = there.iter().map(|name| self.find(name, NAMES, is_name).map(|_| *name));
        match (found.find(Result::is_ok), there.first()) {
            (Some(found), _) => found.map(Some),
            (None, Some(first)) => self.find(first, NAMES, is_name).map(|_| None),
            (None, None) => Ok(None),
        }
    }

    /// A column of vectors, unpacked into a temporary file: lists of numbers of any type, or lists of
    /// those, one after the other. Their length is the one that most of the first rows have; a gap,
    /// and a list of another length, is a vector of NaN, which is a fault of its row.
    ///
    /// # Errors
    /// When there is no such column, or it cannot be read.
    pub fn vectors(&self, column: &str) -> Result<StoredArray, IoError> {
        let at = self.find(column, "vectors", is_vectors)?;
        let what = format!("column `{column}`");
        let at_once = check_numbers(self.path, at, &what, VECTORS_AT_ONCE)?;
        let mut spool = Spool::new()?;
        self.each_of(at, None, at_once, |array| {
            let (numbers, rows) = values::vectors(array).map_err(|e| self.unreadable(at, e))?;
            let length = |row: &Option<Range<usize>>| row.as_ref().map_or(0, Range::len);
            spool.expect_width(rows.iter().map(length));
            let dim = spool.dim();
            rows.into_iter().try_for_each(|row| {
                let vector = row.filter(|row| Some(row.len()) == dim).map(|row| &numbers[row]);
                spool.push(self.path, &what, vector)
            })
        })?;
        spool.finish(self.path, &what)
    }

    fn columns_where(&self, wanted: impl Fn(&DataType) -> bool) -> Vec<String> {
        let fields = self.schema.fields();
        let once = |name: &str| fields.iter().filter(|field| field.name() == name).count() == 1;
        let fits = fields.iter().filter(|f| wanted(f.data_type()) && once(f.name()));
        fits.map(|field| field.name().clone()).collect()
    }

    /// A numeric column in single precision; a gap is a NaN. Types are read as [`Self::f64`] says.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn f32(&self, column: &str) -> Result<Vec<f32>, IoError> {
        let at = self.find(column, "numbers", is_number)?;
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each(at, None, |array| {
            f32::append(array, &mut values).map_err(|e| self.unreadable(at, e))
        })?;
        Ok(values)
    }

    /// A numeric column in double precision, widened without loss from single; a gap is a NaN.
    ///
    /// A decimal becomes the nearest double. A flag is 0 or 1. Dates, times of day, timestamps and
    /// durations are the integers that pyarrow casts them to: days since 1970, and counts of the
    /// unit in the file since midnight, since 1970 in UTC, or as they are. (Parquet has no seconds:
    /// those are stored as milliseconds.) Digits in a text are no number.
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
        let at = self.find(column, "numbers", is_number)?;
        let mut values = Vec::new();
        self.each(at, None, |array| {
            values.clear();
            f64::append(array, &mut values).map_err(|e| self.unreadable(at, e))?;
            each(&values);
            Ok(())
        })
    }

    /// A numeric column in its own precision: half and single floats as such, all else as doubles.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or cannot be read.
    pub fn scores(&self, column: &str) -> Result<ScoreColumn, IoError> {
        Ok(match self.precision(column) {
            Precision::Half => ScoreColumn::Half(self.f32(column)?),
            Precision::Single => self.f32(column)?.into(),
            Precision::Double => self.f64(column)?.into(),
        })
    }

    /// The precision of a column's numbers, in which other tools compare them with a threshold:
    /// double for all but halves and singles.
    pub fn precision(&self, column: &str) -> Precision {
        let field = self.schema.field_with_name(column);
        field.map_or(Precision::Double, |field| Precision::of(field.data_type()))
    }

    /// A column of counts or indices; a gap is `None`.
    ///
    /// # Errors
    /// When there is no such column, it holds no unsigned numbers, or cannot be read.
    pub fn u64(&self, column: &str) -> Result<Vec<Option<u64>>, IoError> {
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each_u64(column, |value| values.push(value))?;
        Ok(values)
    }

    /// Hands every count or index of a column to `each`, in row order; a gap is `None`.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn each_u64(&self, column: &str, mut each: impl FnMut(Option<u64>)) -> Result<(), IoError> {
        let at = self.find(column, "unsigned numbers", DataType::is_unsigned_integer)?;
        self.each(at, None, |array| {
            match array.data_type() {
                DataType::UInt8 => values::widened::<types::UInt8Type>(array).for_each(&mut each),
                DataType::UInt16 => values::widened::<types::UInt16Type>(array).for_each(&mut each),
                DataType::UInt32 => values::widened::<types::UInt32Type>(array).for_each(&mut each),
                _ => values::widened::<types::UInt64Type>(array).for_each(&mut each),
            }
            Ok(())
        })
    }

    /// A column of flags.
    ///
    /// # Errors
    /// When there is no such column, it holds no flags, or cannot be read.
    pub fn bool(&self, column: &str) -> Result<Vec<bool>, IoError> {
        let at = self.find(column, "flags", |t| *t == DataType::Boolean)?;
        let mut values = Vec::with_capacity(self.rows.min(1 << 24));
        self.each(at, None, |array| {
            values.extend(array.as_boolean().iter().map(|flag| flag.unwrap_or(false)));
            Ok(())
        })?;
        Ok(values)
    }

    /// A text column; a gap is `None`, and so are bytes that are no text. With `rows`, only those,
    /// ascending.
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
        let at = self.find(column, "text", is_text_or_bytes)?;
        rows.map_or(Ok(()), |rows| check_ascending(self.path, rows, self.rows))?;
        self.each(at, rows, |array| {
            names::each_text(array, &mut each);
            Ok(())
        })
    }

    /// Hands every uid of a column to `each`, in row order, as hexadecimal digits: text, bytes of
    /// text, or the 16 bytes of the number, the highest first, as a UUID has them.
    ///
    /// # Errors
    /// When there is no such column, it holds something else, cannot be read, or declares more rows than its
    /// bytes can hold ids: 16 a byte beyond the first 1,048,576.
    pub fn each_uid(
        &self,
        column: &str,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), IoError> {
        let at = self.find(column, "hexadecimal text or 16 bytes", is_text_or_bytes)?;
        check_ids(self.path, Some(at))?;
        self.each(at, None, |array| {
            names::each_uid(array, &mut each);
            Ok(())
        })
    }

    /// Hands every row's name to `each`, in row order: text as it is, bytes that are no text as
    /// hexadecimal digits, whole numbers as a person writes them.
    ///
    /// # Errors
    /// When there is no such column, it holds something else, cannot be read, or declares too many rows as
    /// [`Self::each_uid`] says.
    pub fn each_name(&self, column: &str, each: impl FnMut(Option<&str>)) -> Result<(), IoError> {
        check_ids(self.path, Some(self.find(column, NAMES, is_name)?))?;
        self.each_label(column, each)
    }

    /// [`Self::each_name`] for names that many rows share.
    ///
    /// # Errors
    /// When there is no such column, it holds something else, or cannot be read.
    pub fn each_label(
        &self,
        column: &str,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), IoError> {
        let at = self.find(column, NAMES, is_name)?;
        self.each(at, None, |array| {
            names::each_name(array, &mut each);
            Ok(())
        })
    }

    /// The place of a column that fits.
    fn find(
        &self,
        column: &str,
        what: &str,
        fits: impl Fn(&DataType) -> bool,
    ) -> Result<usize, IoError> {
        let fields = self.schema.fields();
        let mut named = (0..fields.len()).filter(|&at| fields[at].name() == column);
        let Some(at) = named.next() else {
            let problem = format!("has no column `{column}`; it has {}", list(&self.columns()));
            return Err(IoError::new(Kind::NotFound, self.path, problem, "name one of those"));
        };
        let more = named.count();
        if more > 0 {
            let problem = format!("has {} columns of the name `{column}`", more + 1);
            let remedy = "write the file again with one column of that name";
            return Err(IoError::new(Kind::Disagree, self.path, problem, remedy));
        }
        if fits(fields[at].data_type()) {
            return Ok(at);
        }
        let problem = format!("column `{column}` holds {}, not {what}", fields[at].data_type());
        Err(IoError::new(Kind::Disagree, self.path, problem, format!("name a column of {what}")))
    }

    /// An error about what a column holds.
    fn unreadable(&self, at: usize, error: impl std::fmt::Display) -> IoError {
        let column = self.schema.field(at).name();
        IoError::malformed(self.path, format!("column `{column}` cannot be read: {error}"))
    }

    fn each(
        &self,
        at: usize,
        rows: Option<&[usize]>,
        each: impl FnMut(&ArrayRef) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        self.each_of(at, rows, AT_ONCE, each)
    }

    fn each_of(
        &self,
        at: usize,
        rows: Option<&[usize]>,
        at_once: usize,
        each: impl FnMut(&ArrayRef) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        guarded(self.path, || self.each_unguarded(at, rows, at_once, each))
    }

    fn each_unguarded(
        &self,
        at: usize,
        rows: Option<&[usize]>,
        at_once: usize,
        mut each: impl FnMut(&ArrayRef) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        let options = ArrowReaderOptions::new().with_schema(Arc::new(decoded(&self.schema)));
        let builder = open(self.path, options)?;
        // By its place: a mask of names takes their dots for paths.
        let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
        let mut builder = builder.with_projection(mask).with_batch_size(at_once);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows, self.rows));
        }
        if let Some(group) = self.group {
            builder = builder.with_row_groups(vec![group]);
        }
        let reader = builder.build().map_err(|e| self.unreadable(at, e))?;
        let (mut read, wanted) = (0, rows.map_or(self.rows, <[usize]>::len));
        for batch in reader {
            match batch {
                Ok(batch) => {
                    read += batch.num_rows();
                    each(batch.column(0))?;
                }
                // A text that is no UTF-8 fails with all that are read beside it: once more as bytes.
                Err(e) if self.group.is_none() && is_text(self.schema.field(at).data_type()) => {
                    let rest = raw_text::each(self.path, at, rows, read..wanted, &mut each);
                    return rest?.ok_or_else(|| self.unreadable(at, e));
                }
                Err(e) => return Err(self.unreadable(at, e)),
            }
        }
        if read != wanted {
            return Err(self.unreadable(at, format!("it ends after {read} of {wanted} rows")));
        }
        Ok(())
    }
}
