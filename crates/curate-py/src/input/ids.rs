//! Ids of rows from Python, and back in the form they came in.

use std::sync::Arc;

use arrow_array::{Array, cast::AsArray, types};
use arrow_schema::DataType;
use curate::core::{SampleId, Selection};
use numpy::{PyArray1, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyDict, PyFrozenSet, PySet, PyString},
};
use serde::{Deserialize, Serialize};

use crate::{
    errors::Failure,
    input::{
        arrow::{chunks, is_arrow},
        numbers::{borrowed, one_axis},
    },
};

/// How ids are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// Whole numbers.
    Numbers,
    /// 32 hexadecimal digits.
    Digits,
}

/// An id for each row; all differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<SampleId>,
    form: Form,
}

impl Ids {
    /// One id for each of so many rows, where ids are given.
    pub(crate) fn of(
        object: Option<&Bound<'_, PyAny>>,
        rows: usize,
    ) -> Result<Option<Arc<Self>>, Failure> {
        let Some(object) = object else { return Ok(None) };
        let found = Self::read("ids", object)?;
        if found.ids.len() != rows {
            let problem = format!("{} ids for {rows} rows: give one for each row", found.ids.len());
            return Err(Failure::input("ids", problem));
        }
        found.refuse_repeats()?;
        Ok(Some(Arc::new(found)))
    }

    /// Ids in any form: whole numbers, texts of 1 to 32 hexadecimal digits, DataComp's pairs.
    pub(crate) fn read(argument: &str, object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if !object.is_instance_of::<PyUntypedArray>() && is_arrow(object)? {
            return Self::of_arrow(argument, object);
        }
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            let dtype = array.dtype();
            if matches!(dtype.kind(), b'u' | b'i') {
                return Self::of_integers(argument, object);
            }
            if dtype.kind() == b'V' {
                return Self::of_pairs(argument, array);
            }
        }
        Self::of_objects(argument, object)
    }

    /// Ids as a pool has them, which may repeat.
    pub(crate) fn of_pool(ids: Vec<SampleId>) -> Self {
        Self { ids, form: Form::Digits }
    }

    fn of_integers(argument: &str, object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        let array = one_axis(argument, object)?;
        if array.dtype().kind() == b'i' && array.len() > 0 {
            let least: i128 = array.call_method0("min")?.call_method0("item")?.extract()?;
            if least < 0 {
                return Err(Failure::input(
                    argument,
                    format!("{least} is no id: ids are 0 or more"),
                ));
            }
        }
        let numbers = array.call_method1("astype", ("uint64",))?;
        let numbers = borrowed::<u64>(&numbers)?;
        let ids = numbers.as_array().iter().map(|&number| SampleId::from(number)).collect();
        Ok(Self { ids, form: Form::Numbers })
    }

    /// DataComp's subset rows: the high and the low half of each id.
    fn of_pairs(argument: &str, array: &Bound<'_, PyUntypedArray>) -> Result<Self, Failure> {
        let half = |name: &str| -> Result<Self, Failure> {
            let column = array.get_item(name).map_err(|_| {
                let problem = format!("an array of {}: give pairs `u8,u8`", array.dtype());
                Failure::input(argument, problem)
            })?;
            // A field of a record need not be aligned.
            Self::of_integers(argument, &column.call_method0("copy")?)
        };
        let (high, low) = (half("f0")?, half("f1")?);
        let halves = high.ids.iter().zip(&low.ids);
        let ids = halves.map(|(high, low)| SampleId::from_halves(high.halves().1, low.halves().1));
        Ok(Self { ids: ids.collect(), form: Form::Digits })
    }

    fn of_arrow(argument: &str, object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        let mut found = Self { ids: Vec::new(), form: Form::Digits };
        for chunk in chunks(argument, object)? {
            if chunk.null_count() > 0 {
                return Err(Failure::input(
                    argument,
                    "an id is missing (null): give every row one",
                ));
            }
            match chunk.data_type() {
                kind if kind.is_integer() => {
                    let numbers = arrow_cast::cast(&chunk, &DataType::UInt64);
                    let numbers =
                        numbers.map_err(|error| Failure::input(argument, error.to_string()))?;
                    if numbers.null_count() > 0 {
                        return Err(Failure::input(argument, "an id is negative: give 0 or more"));
                    }
                    let numbers = numbers.as_primitive::<types::UInt64Type>();
                    found.ids.extend(numbers.values().iter().map(|&n| SampleId::from(n)));
                    found.form = Form::Numbers;
                }
                _ => {
                    let texts = arrow_cast::cast(&chunk, &DataType::LargeUtf8);
                    let texts =
                        texts.map_err(|error| Failure::input(argument, error.to_string()))?;
                    for text in texts.as_string::<i64>().iter().flatten() {
                        found.ids.push(parsed(argument, text)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// A list, a tuple, an array of texts or of objects.
    fn of_objects(argument: &str, object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if object.is_instance_of::<PySet>()
            || object.is_instance_of::<PyFrozenSet>()
            || object.is_instance_of::<PyDict>()
        {
            let problem = format!("{} has no order: give a list", object.get_type().name()?);
            return Err(Failure::input(argument, problem));
        }
        let mut ids = Vec::new();
        let mut form = Form::Numbers;
        let each = object.try_iter();
        let each = each.map_err(|error| Failure::input(argument, error.to_string()))?;
        for (row, id) in each.enumerate() {
            let id = id?;
            if let Ok(text) = id.cast::<PyString>() {
                form = Form::Digits;
                ids.push(parsed(argument, text.to_str()?)?);
            } else if let Ok(number) = id.extract::<u128>() {
                ids.push(SampleId(number));
            } else {
                let problem = format!(
                    "row {row} holds {}: give whole numbers from 0 to 2^128 - 1, or texts of 1 to 32 \
                     hexadecimal digits",
                    id.repr()?
                );
                return Err(Failure::input(argument, problem));
            }
        }
        Ok(Self { ids, form })
    }

    fn refuse_repeats(&self) -> Result<(), Failure> {
        let mut order: Vec<usize> = (0..self.ids.len()).collect();
        order.sort_unstable_by_key(|&row| (self.ids[row], row));
        let repeat = order.windows(2).find(|pair| self.ids[pair[0]] == self.ids[pair[1]]);
        match repeat {
            None => Ok(()),
            Some(pair) => {
                let problem = format!(
                    "rows {} and {} have one id, {}: give each row its own",
                    pair[0],
                    pair[1],
                    self.text(pair[0])
                );
                Err(Failure::input("ids", problem))
            }
        }
    }

    /// The id of a row, as it came.
    pub(crate) fn text(&self, row: usize) -> String {
        match self.form {
            Form::Numbers => self.ids[row].0.to_string(),
            Form::Digits => self.ids[row].to_string(),
        }
    }

    /// The ids of some rows, as they came: an array of numbers, or a list of texts.
    pub(crate) fn take<'py>(
        &self,
        py: Python<'py>,
        rows: &Selection,
    ) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, rows.iter().map(|row| self.ids[row]), self.form)
    }
}

/// Ids for Python.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    ids: impl Iterator<Item = SampleId> + Clone,
    form: Form,
) -> PyResult<Bound<'py, PyAny>> {
    if form == Form::Digits {
        return ids.map(|id| id.to_string()).collect::<Vec<_>>().into_bound_py_any(py);
    }
    let short: Option<Vec<u64>> = ids.clone().map(|id| u64::try_from(id.0).ok()).collect();
    match short {
        Some(short) => Ok(PyArray1::from_vec(py, short).into_any()),
        None => ids.map(|id| id.0).collect::<Vec<_>>().into_bound_py_any(py),
    }
}

fn parsed(argument: &str, text: &str) -> Result<SampleId, Failure> {
    text.parse().map_err(|error: curate::core::IdError| {
        let remedy = "curate.key_ids makes ids of other texts";
        Failure::input(argument, format!("{error}; {remedy}"))
    })
}
