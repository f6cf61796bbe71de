//! NumPy arrays that can be read.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::errors::Failure;

/// Refuses what would be misread, or be undefined to read.
pub(crate) fn check_array(
    argument: &str,
    array: &Bound<'_, PyUntypedArray>,
    axes: usize,
) -> Result<(), Failure> {
    let py = array.py();
    let wrong = |problem: String| Err(Failure::input(argument, problem));
    let masked = py.import("numpy.ma")?.getattr("MaskedArray")?;
    if array.is_instance(&masked)? {
        return wrong(
            "a masked array, whose mask would be ignored: give its rows that count, or .filled(nan)"
                .to_owned(),
        );
    }
    if array.ndim() != axes {
        let shape = array.getattr("shape")?;
        let wanted = if axes == 2 { "two axes (rows, numbers)" } else { "one axis" };
        return wrong(format!("an array of shape {shape}: give one of {wanted}"));
    }
    let dtype = array.dtype();
    if dtype.is_native_byteorder() == Some(false) {
        return wrong(format!(
            "an array of {dtype}, which is not this machine's byte order: give \
             {argument}.astype({argument}.dtype.newbyteorder(\"=\"))"
        ));
    }
    if !array.getattr("flags")?.getattr("aligned")?.extract::<bool>()? {
        return wrong(format!("an array that is not aligned: give {argument}.copy()"));
    }
    Ok(())
}
