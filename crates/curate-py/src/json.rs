//! What the library tells as JSON, as Python's dictionaries, lists and numbers.

use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::Failure;

/// A value as `json.loads` would read it.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: &impl Serialize,
) -> Result<Bound<'py, PyAny>, Failure> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|error| Failure::input("value", error.to_string()))?;
    Ok(py.import("json")?.getattr("loads")?.call1((text,))?)
}
