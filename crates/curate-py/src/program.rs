//! The command `curate`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Carries out a command line of the program `curate`, whose name is the first word, and returns its exit
/// code. Signals are the program's from then on: it is the whole work of a process.
#[pyfunction(name = "_program")]
pub(crate) fn program(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| curate_cli::program(words))
}
