//! Objects as bytes, for pickles.

use pyo3::{PyTypeInfo, prelude::*, types::PyBytes};
use serde::{Serialize, de::DeserializeOwned};

use crate::errors::Failure;

/// What rebuilds an object: its class's `_restore` and the bytes that it takes.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyBytes>,));

/// An object as `__reduce__` answers: of `class`, from the bytes of `state`.
pub(crate) fn reduced<'py, C: PyTypeInfo>(
    py: Python<'py>,
    state: &impl Serialize,
) -> Result<Reduced<'py>, Failure> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(state, &mut bytes);
    written.map_err(|error| Failure::input("self", format!("it cannot be pickled: {error}")))?;
    Ok((py.get_type::<C>().getattr("_restore")?, (PyBytes::new(py, &bytes),)))
}

/// The state of an object from its bytes.
pub(crate) fn restored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let read = ciborium::from_reader(bytes);
    read.map_err(|error| {
        let remedy = "it was pickled by another version, or is damaged";
        Failure::input("state", format!("{error}: {remedy}"))
    })
}
