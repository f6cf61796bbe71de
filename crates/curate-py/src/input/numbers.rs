//! Numbers of rows from Python: scores, and rows by number.

use arrow_array::{Array, cast::AsArray, types};
use arrow_schema::DataType;
use curate::core::{ScoreColumn, Selection};
use half::f16;
use numpy::{PyArrayDescrMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::{
    errors::Failure,
    input::{
        array::check_array,
        arrow::{chunks, is_arrow},
    },
};

/// A score for each row: a NumPy array of one axis, an Arrow column, or a list. NaN, and a null, is a row
/// without one.
pub(crate) fn scores(argument: &str, object: &Bound<'_, PyAny>) -> Result<ScoreColumn, Failure> {
    if !object.is_instance_of::<PyUntypedArray>() && is_arrow(object)? {
        return of_arrow(argument, object);
    }
    let array = one_axis(argument, object)?;
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'f', 2) => {
            let numbers: PyReadonlyArray1<'_, f16> = borrowed(&array)?;
            Ok(ScoreColumn::Half(numbers.as_array().iter().map(|n| n.to_f32()).collect()))
        }
        (b'f', 4) => {
            let numbers: PyReadonlyArray1<'_, f32> = borrowed(&array)?;
            Ok(ScoreColumn::Single(numbers.as_array().to_vec()))
        }
        (b'f', 8) | (b'i' | b'u' | b'b', _) => {
            let doubles = array.call_method1("astype", ("float64",))?;
            let numbers: PyReadonlyArray1<'_, f64> = borrowed(&doubles)?;
            Ok(ScoreColumn::Double(numbers.as_array().to_vec()))
        }
        _ => Err(Failure::input(argument, format!("an array of {dtype}: give numbers"))),
    }
}

fn of_arrow(argument: &str, object: &Bound<'_, PyAny>) -> Result<ScoreColumn, Failure> {
    let chunks = chunks(argument, object)?;
    let single = chunks
        .iter()
        .all(|chunk| matches!(chunk.data_type(), DataType::Float16 | DataType::Float32));
    let mut numbers = Vec::new();
    for chunk in &chunks {
        let doubles = arrow_cast::cast(chunk, &DataType::Float64)
            .map_err(|error| Failure::input(argument, format!("{error}: give numbers")))?;
        let doubles = doubles.as_primitive::<types::Float64Type>();
        numbers.extend(doubles.iter().map(|number| number.unwrap_or(f64::NAN)));
    }
    let half = chunks.iter().all(|chunk| *chunk.data_type() == DataType::Float16);
    Ok(match single {
        true if half && !chunks.is_empty() => {
            ScoreColumn::Half(numbers.into_iter().map(|number| number as f32).collect())
        }
        true => ScoreColumn::Single(numbers.into_iter().map(|number| number as f32).collect()),
        false => ScoreColumn::Double(numbers),
    })
}

/// Rows by number, in any order: whole numbers, or a mask with a truth value for each row.
pub(crate) fn rows(
    argument: &str,
    object: Option<&Bound<'_, PyAny>>,
    all: usize,
) -> Result<Option<Selection>, Failure> {
    let Some(object) = object else { return Ok(None) };
    let array = one_axis(argument, object)?;
    let array = if array.dtype().kind() == b'b' {
        if array.len() != all {
            let problem = format!("a mask of {} rows for {all}: give one for each", array.len());
            return Err(Failure::input(argument, problem));
        }
        let places = array.py().import("numpy")?.call_method1("flatnonzero", (array,))?;
        places.cast_into::<PyUntypedArray>().map_err(PyErr::from)?
    } else {
        array
    };
    // An empty list is an array of floats.
    if !matches!(array.dtype().kind(), b'i' | b'u') && array.len() > 0 {
        let problem = format!("an array of {}: give row numbers, or a mask", array.dtype());
        return Err(Failure::input(argument, problem));
    }
    let places = array.call_method1("astype", ("int64",))?;
    let places: PyReadonlyArray1<'_, i64> = borrowed(&places)?;
    let inside = |&place: &i64| usize::try_from(place).ok().filter(|&row| row < all);
    let found: Option<Vec<usize>> = places.as_array().iter().map(inside).collect();
    match found {
        Some(found) => {
            let given = found.len();
            let rows = Selection::from_unsorted(found);
            match rows.len() == given {
                true => Ok(Some(rows)),
                false => Err(Failure::input(argument, "a row occurs twice: name each row once")),
            }
        }
        None => {
            let wrong = places.as_array().iter().copied().find(|place| inside(place).is_none());
            let problem = format!(
                "there is no row {} among {all}: the first is 0, and negative numbers do not count \
                 from the end",
                wrong.unwrap_or_default()
            );
            Err(Failure::input(argument, problem))
        }
    }
}

/// An object as an array of one axis.
pub(crate) fn one_axis<'py>(
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyUntypedArray>, Failure> {
    let array = match object.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        Err(_) => {
            let made = object.py().import("numpy")?.call_method1("asarray", (object,));
            let made = made.map_err(|error| Failure::input(argument, error.to_string()))?;
            made.cast_into::<PyUntypedArray>().map_err(PyErr::from)?
        }
    };
    check_array(argument, &array, 1)?;
    Ok(array)
}

/// Borrows an array whose element type was looked at.
pub(crate) fn borrowed<'py, T: numpy::Element>(
    array: &Bound<'py, PyAny>,
) -> Result<PyReadonlyArray1<'py, T>, Failure> {
    Ok(array.extract::<PyReadonlyArray1<'py, T>>()?)
}
