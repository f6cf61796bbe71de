//! Embeddings on disk.

use curate::{
    core::{EmbeddingSource, Selection},
    io::Embedding,
};
use ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;

use crate::{errors::Failure, input::numbers, watch::released};

/// An embedding of a pool: vectors that are read where they lie on disk, float32 when read.
///
/// Methods take it where they take arrays, so that vectors need not fit into memory.
#[pyclass(frozen, module = "curate", name = "Embedding")]
pub(crate) struct PoolEmbedding {
    pub(crate) vectors: Embedding,
}

#[pymethods]
impl PoolEmbedding {
    /// Rows and numbers in each.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.vectors.rows(), self.vectors.dim())
    }

    /// Some rows as an array, float32 of shape (n, d), in ascending order; all rows unless given.
    #[pyo3(signature = (rows = None))]
    fn read<'py>(
        slf: Bound<'py, Self>,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyArray2<f32>>, Failure> {
        let (all, dim) = slf.get().shape();
        let rows = numbers::rows("rows", rows, all)?;
        let (py, this) = (slf.py(), slf.unbind());
        let read = released(py, move || {
            let vectors = &this.get().vectors;
            let wanted = rows.as_ref().map_or(all, Selection::len);
            let mut out = Array2::<f32>::zeros((wanted, dim));
            let space = out.as_slice_mut().unwrap_or_default();
            match &rows {
                Some(rows) => vectors.gather(rows.rows(), space)?,
                None => vectors.read(0..all, space)?,
            }
            Ok(out)
        })?;
        Ok(read.into_pyarray(py))
    }

    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: Bound<'py, Self>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> Result<Bound<'py, PyAny>, Failure> {
        if copy == Some(false) {
            return Err(Failure::input("copy", "vectors on disk become an array only by a copy"));
        }
        let array = Self::read(slf, None)?;
        match dtype {
            Some(dtype) => Ok(array.call_method1("astype", (dtype,))?),
            None => Ok(array.into_any()),
        }
    }

    fn __len__(&self) -> usize {
        self.vectors.rows()
    }

    fn __repr__(&self) -> String {
        format!("<curate.Embedding of {} rows of {} numbers>", self.shape().0, self.shape().1)
    }
}
