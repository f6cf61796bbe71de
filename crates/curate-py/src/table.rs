//! Tables for Python: Arrow capsules, which every data frame takes.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, StructArray,
    UInt64Array, cast::AsArray,
};
use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use curate::core::{Removal, SampleId};
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyBytes, PyCapsule, PyDict},
};
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};

use crate::{errors::Failure, input::ids::Ids};

/// A table: columns of equal length.
///
/// It is Arrow data (`__arrow_c_stream__`), so `pyarrow.table(t)`, `polars.DataFrame(t)`,
/// `pandas.DataFrame.from_arrow(t)` and DuckDB take it without a copy; `to_pandas` and the like do the
/// same.
#[pyclass(frozen, module = "curate")]
pub(crate) struct Table {
    pub(crate) batch: RecordBatch,
}

/// A column by name.
pub(crate) type Column = (&'static str, ArrayRef);

impl Table {
    pub(crate) fn new(columns: Vec<Column>) -> Result<Self, Failure> {
        let fields = columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), array.is_nullable()));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(schema), arrays);
        let batch = batch.map_err(|error| Failure::input("columns", error.to_string()))?;
        Ok(Self { batch })
    }
}

/// Texts as a column.
pub(crate) fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Texts as a column, some of which are missing.
pub(crate) fn optional_texts(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// Truth values as a column.
pub(crate) fn truths(values: impl IntoIterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values.into_iter().collect::<Vec<_>>()))
}

/// Numbers as a column.
pub(crate) fn doubles(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

/// Whole numbers as a column.
pub(crate) fn wholes(values: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<UInt64Array>())
}

/// Why rows went, in the columns of a run's `evidence.parquet`, without the stage.
pub(crate) fn evidence(removals: &[Removal], ids: Option<&Ids>) -> Result<Table, Failure> {
    let id = |row: usize| ids.map_or(SampleId(row as u128), |ids| ids.ids[row]).to_string();
    let cause = |removal: &Removal| removal.cause.map(id);
    Table::new(vec![
        ("uid", texts(removals.iter().map(|removal| id(removal.row)))),
        ("row", wholes(removals.iter().map(|removal| Some(removal.row as u64)))),
        ("rule", texts(removals.iter().map(|removal| removal.rule.clone()))),
        ("value", doubles(removals.iter().map(|removal| removal.value))),
        ("threshold", doubles(removals.iter().map(|removal| removal.threshold))),
        ("cause_uid", optional_texts(removals.iter().map(cause))),
        ("cause_row", wholes(removals.iter().map(|removal| removal.cause.map(|row| row as u64)))),
        ("cluster", wholes(removals.iter().map(|removal| removal.cluster.map(u64::from)))),
    ])
}

#[pymethods]
impl Table {
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// The names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        let schema = self.batch.schema();
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// A column as a list; `None` where there is no value.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> Result<Bound<'py, PyAny>, Failure> {
        let found = self.batch.column_by_name(name);
        let column = found.ok_or_else(|| {
            let known = self.column_names().join(", ");
            Failure::input("name", format!("there is no column {name}: the columns are {known}"))
        })?;
        Ok(listed(py, column)?)
    }

    /// A dictionary of lists by column name.
    fn to_dict<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>, Failure> {
        let columns = PyDict::new(py);
        for name in self.column_names() {
            columns.set_item(&name, self.column(py, &name)?)?;
        }
        Ok(columns)
    }

    /// A `pyarrow.Table`; pyarrow has to be installed.
    fn to_pyarrow<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.getattr("table")?.call1((slf,))
    }

    /// A `pandas.DataFrame`; pandas and pyarrow have to be installed.
    fn to_pandas<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::to_pyarrow(slf)?.call_method0("to_pandas")
    }

    /// A `polars.DataFrame`; polars has to be installed.
    fn to_polars<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.getattr("DataFrame")?.call1((slf,))
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let fields = self.batch.schema().fields().clone();
        let field = Arc::new(Field::new_struct("", fields, false));
        let table: ArrayRef = Arc::new(StructArray::from(self.batch.clone()));
        let reader = Box::new(ArrayIterator::new([Ok(table)], field));
        Ok(to_stream_pycapsule(py, reader, requested_schema)?)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> Result<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,)), Failure> {
        let bytes = stream(&self.batch).map_err(wrong)?;
        Ok((py.get_type::<Self>().getattr("_restore")?, (PyBytes::new(py, &bytes),)))
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        let mut batches = StreamReader::try_new(state, None).map_err(wrong)?;
        let batch = batches
            .next()
            .unwrap_or_else(|| Err(ArrowError::IpcError("it holds no table".to_owned())));
        Ok(Self { batch: batch.map_err(wrong)? })
    }

    fn __repr__(&self) -> String {
        let names = self.column_names().join(", ");
        format!("<curate.Table of {} rows: {names}>", self.batch.num_rows())
    }

    fn _repr_html_(slf: Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("curate._show")?.getattr("table_html")?.call1((slf,))?.extract()
    }
}

/// A table's bytes that cannot be written or read.
fn wrong(error: ArrowError) -> Failure {
    Failure::input("state", error.to_string())
}

/// A table as Arrow's stream.
fn stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn listed<'py>(py: Python<'py>, column: &ArrayRef) -> PyResult<Bound<'py, PyAny>> {
    match column.data_type() {
        DataType::UInt64 => {
            let numbers = column.as_primitive::<arrow_array::types::UInt64Type>();
            numbers.iter().collect::<Vec<_>>().into_bound_py_any(py)
        }
        DataType::Boolean => column.as_boolean().iter().collect::<Vec<_>>().into_bound_py_any(py),
        DataType::Float64 => {
            let numbers = column.as_primitive::<arrow_array::types::Float64Type>();
            numbers.iter().collect::<Vec<_>>().into_bound_py_any(py)
        }
        _ => column.as_string::<i32>().iter().collect::<Vec<_>>().into_bound_py_any(py),
    }
}
