//! Vectors from Python, read where they lie.

use std::ops::Range;

use curate::{
    core::{EmbeddingSource, SourceError},
    io::{Embedding, vectors::StoredArray},
};
use half::f16;
use ndarray::{ArrayView2, Axis};
use numpy::{
    Element, PyArray2, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray2, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::{prelude::*, types::PyString};

use crate::{
    embedding::PoolEmbedding,
    errors::Failure,
    input::{
        array::check_array,
        arrow::{ArrowVectors, is_arrow},
        frozen::Frozen,
    },
};

/// The vectors of an argument, borrowed for as long as this lives: until then rust-numpy refuses to lend
/// the array to anybody who would write to it, and NumPy refuses assignments ([`Frozen`]).
pub(crate) enum Vectors<'py> {
    Half(Lent<'py, f16>),
    Single(Lent<'py, f32>),
    Double(Lent<'py, f64>),
    Arrow(ArrowVectors),
    Pool(Py<PoolEmbedding>),
    File(Embedding),
}

impl<'py> Vectors<'py> {
    /// The vectors that an object holds: a NumPy array of two axes, whatever can become one without
    /// being copied, an Arrow column of lists, an embedding of a pool, or the path of an npy file.
    pub(crate) fn of(argument: &str, object: &Bound<'py, PyAny>) -> Result<Self, Failure> {
        if let Ok(embedding) = object.cast::<PoolEmbedding>() {
            return Ok(Self::Pool(embedding.clone().unbind()));
        }
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return Self::of_array(argument, array);
        }
        if object.is_instance_of::<PyString>() || object.hasattr("__fspath__")? {
            let path: std::path::PathBuf = object.extract()?;
            let file = StoredArray::open_npy(&path)?;
            return Ok(Self::File(Embedding::new(vec![file])?));
        }
        if is_arrow(object)? {
            return Ok(Self::Arrow(ArrowVectors::of(argument, object)?));
        }
        let array = as_array(argument, object)?;
        let array = array.cast::<PyUntypedArray>().map_err(PyErr::from)?;
        Self::of_array(argument, array)
    }

    fn of_array(argument: &str, array: &Bound<'py, PyUntypedArray>) -> Result<Self, Failure> {
        check_array(argument, array, 2)?;
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 2) => Ok(Self::Half(Lent::new(argument, array)?)),
            (b'f', 4) => Ok(Self::Single(Lent::new(argument, array)?)),
            (b'f', 8) => Ok(Self::Double(Lent::new(argument, array)?)),
            _ => {
                let problem = format!(
                    "an array of {dtype}: give float16, float32 or float64, for example \
                     {argument}.astype(numpy.float32)"
                );
                Err(Failure::input(argument, problem))
            }
        }
    }

    /// The vectors as methods read them.
    pub(crate) fn source(&self) -> Box<dyn EmbeddingSource + '_> {
        match self {
            Self::Single(lent) => Box::new(lent.array.as_array()),
            Self::Half(lent) => Box::new(Widened(lent.array.as_array())),
            Self::Double(lent) => Box::new(Widened(lent.array.as_array())),
            Self::Arrow(column) => Box::new(Borrowed(column)),
            Self::Pool(embedding) => Box::new(Borrowed(&embedding.get().vectors)),
            Self::File(file) => Box::new(Borrowed(file)),
        }
    }
}

/// A view of what becomes a NumPy array without a copy (DLPack, the array protocol), or of a list of
/// lists.
fn as_array<'py>(argument: &str, object: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Failure> {
    let numpy = object.py().import("numpy")?;
    let made = if object.hasattr("__dlpack__")? {
        numpy.getattr("from_dlpack")?.call1((object,))
    } else {
        numpy.getattr("asarray")?.call1((object,))
    };
    made.map_err(|error| {
        let remedy = "give a NumPy array of two axes, or one on the CPU that needs no gradient";
        Failure::input(argument, format!("it cannot be read as an array ({error}): {remedy}"))
    })
}

/// An array whose numbers are borrowed.
pub(crate) struct Lent<'py, T: Element> {
    array: PyReadonlyArray2<'py, T>,
    _frozen: Frozen<'py>,
}

impl<'py, T: Element> Lent<'py, T> {
    /// Borrows an array whose element type was looked at.
    fn new(argument: &str, array: &Bound<'py, PyUntypedArray>) -> Result<Self, Failure> {
        let typed = array.cast::<PyArray2<T>>().map_err(PyErr::from)?;
        let lent = typed.try_readonly();
        let array = lent.map_err(|error| Failure::input(argument, error.to_string()))?;
        Ok(Self { array, _frozen: Frozen::new(typed.as_any())? })
    }
}

/// A source that somebody else holds.
struct Borrowed<'a, S>(&'a S);

impl<S: EmbeddingSource> EmbeddingSource for Borrowed<'_, S> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.0.read(rows, out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        self.0.gather(rows, out)
    }

    fn in_memory(&self, rows: Range<usize>) -> Option<&[f32]> {
        self.0.in_memory(rows)
    }
}

/// Numbers that become f32 when they are read, block by block.
struct Widened<'a, T>(ArrayView2<'a, T>);

/// A number as f32: rounded once where it is wider.
trait Narrow: Copy + Sync {
    fn narrow(self) -> f32;
}

impl Narrow for f16 {
    fn narrow(self) -> f32 {
        self.to_f32()
    }
}

impl Narrow for f64 {
    fn narrow(self) -> f32 {
        self as f32
    }
}

impl<T: Narrow> EmbeddingSource for Widened<'_, T> {
    fn rows(&self) -> usize {
        self.0.nrows()
    }

    fn dim(&self) -> usize {
        self.0.ncols()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let dim = self.0.ncols();
        if rows.end > self.0.nrows() {
            return Err(SourceError::OutOfRange { row: rows.end - 1, rows: self.0.nrows() });
        }
        if out.len() != rows.len() * dim {
            let (expected, received) = (rows.len() * dim, out.len());
            return Err(SourceError::WrongSpace { expected, received });
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(dim.max(1))) {
            let numbers = self.0.index_axis(Axis(0), row);
            out.iter_mut().zip(numbers).for_each(|(out, number)| *out = number.narrow());
        }
        Ok(())
    }
}
