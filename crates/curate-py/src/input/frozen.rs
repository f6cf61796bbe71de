//! Arrays that nobody assigns to while they are read.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use numpy::PyUntypedArray;
use pyo3::{prelude::*, sync::MutexExt};

/// How many calls read each array that was frozen, by the array's address.
static HELD: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

/// Keeps NumPy from assigning to an array while its numbers are read without the interpreter's lock:
/// an assignment raises `ValueError` where it is made.
pub(crate) struct Frozen<'py>(Option<Bound<'py, PyAny>>);

impl<'py> Frozen<'py> {
    /// Freezes an array that can be written to and, since NumPy knows the memory's owner, can be made
    /// writable again. Others (of torch, of shared memory) are left as they are.
    pub(crate) fn new(array: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut held = HELD.lock_py_attached(array.py()).unwrap_or_else(PoisonError::into_inner);
        let held = held.get_or_insert_default();
        if let Some(readers) = held.get_mut(&address(array)) {
            *readers += 1;
            return Ok(Self(Some(array.clone())));
        }
        let flags = array.getattr("flags")?;
        if !flags.getattr("writeable")?.extract::<bool>()? || !is_numpys(array)? {
            return Ok(Self(None));
        }
        flags.setattr("writeable", false)?;
        held.insert(address(array), 1);
        Ok(Self(Some(array.clone())))
    }
}

fn address(array: &Bound<'_, PyAny>) -> usize {
    array.as_ptr().addr()
}

/// Whether the memory belongs to this array, or to the one that it is a view of.
fn is_numpys(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let owns = |array: &Bound<'_, PyAny>| -> PyResult<bool> {
        let flags = array.getattr("flags")?;
        Ok(flags.getattr("owndata")?.extract()? && flags.getattr("writeable")?.extract()?)
    };
    let base = array.getattr("base")?;
    match base.cast::<PyUntypedArray>() {
        Ok(base) => owns(base),
        Err(_) => owns(array),
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let Some(array) = &self.0 else { return };
        let lock = HELD.lock_py_attached(array.py());
        let mut held = lock.unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_mut() else { return };
        let Some(readers) = held.get_mut(&address(array)) else { return };
        *readers -= 1;
        if *readers == 0 {
            held.remove(&address(array));
            // It could be written to before, so NumPy allows this.
            let _ = array.getattr("flags").and_then(|flags| flags.setattr("writeable", true));
        }
    }
}
