//! Vectors with their ids, handed to a method away from the interpreter.

use std::sync::Arc;

use curate::core::{Given, Progress, Rows, fault::NormPolicy};
use pyo3::prelude::*;

use crate::{
    errors::Failure,
    input::{ids::Ids, numbers, vectors::Vectors},
    watch::watched,
};

/// What a method on vectors is given.
pub(crate) struct Asked<'a, 'py> {
    pub(crate) vectors: &'a Bound<'py, PyAny>,
    pub(crate) ids: Option<&'a Bound<'py, PyAny>>,
    pub(crate) rows: Option<&'a Bound<'py, PyAny>>,
    pub(crate) norm: NormPolicy,
    pub(crate) progress: Option<&'a Bound<'py, PyAny>>,
}

/// What is to be remembered of it.
pub(crate) struct Told {
    /// Rows of the array.
    pub(crate) rows: usize,
    pub(crate) ids: Option<Arc<Ids>>,
}

impl Asked<'_, '_> {
    /// Sets bad rows aside and does the work with the others.
    pub(crate) fn carry_out<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Rows<'_>, &dyn Progress) -> Result<T, Failure> + Send,
    ) -> Result<(T, Told), Failure> {
        let vectors = Vectors::of("X", self.vectors)?;
        let source = vectors.source();
        let all = source.rows();
        let ids = Ids::of(self.ids, all)?;
        let given = numbers::rows("rows", self.rows, all)?;
        let known = ids.as_ref().map(|ids| ids.ids.as_slice());
        let (source, norm) = (source.as_ref(), self.norm);
        let done = watched(py, self.progress, move |progress| {
            let given = Given { ids: known, rows: given, norm };
            work(&Rows::read(source, given, progress)?, progress)
        })?;
        Ok((done, Told { rows: all, ids }))
    }
}
