//! What can go wrong, and what to do about it.

use crate::point::Field;
use curate_core::{Cancelled, ParamsError};
use std::path::PathBuf;
use thiserror::Error;

/// Bad data, bad files, or a question that the fit cannot answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScalingError {
    /// Options or arguments outside their allowed ranges: all of them, not only the first.
    #[error(transparent)]
    Params(#[from] ParamsError),

    /// The caller asked the work to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),

    /// A prediction without something that the law needs.
    #[error("law {law} needs `{field}`, which {of} does not give; {remedy}")]
    Missing {
        /// The law.
        law: &'static str,
        /// What is missing.
        field: Field,
        /// What was to be predicted.
        of: String,
        /// What to do.
        remedy: String,
    },

    /// A file could not be read or written.
    #[error("{path}: cannot be read or written; {}", remedy(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A line of a table cannot be read.
    #[error("{place}, field `{field}`: {problem}; {remedy}")]
    BadField {
        /// `file:line`.
        place: String,
        /// The column or key.
        field: String,
        /// What is wrong, with the value received.
        problem: String,
        /// What to do.
        remedy: String,
    },

    /// The table as a whole cannot be read.
    #[error("{place}: {problem}; {remedy}")]
    BadTable {
        /// The file.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },

    /// The rows are fine one by one but cannot determine what was asked.
    #[error("{law} cannot be fitted to {rows} observations: {problem}; {remedy}")]
    NotIdentified {
        /// The law.
        law: &'static str,
        /// Rows in the table.
        rows: usize,
        /// What cannot be told from the data.
        problem: String,
        /// What to do.
        remedy: String,
    },

    /// No law of several can be fitted.
    #[error("no law can be fitted to this table: {reasons}")]
    NoLaw {
        /// Each law with its reason.
        reasons: String,
    },

    /// No starting point led to a finite objective.
    #[error(
        "{law}: none of {starts} starting points gives a finite objective; check the units of the \
         table, or fix a parameter to a value you trust"
    )]
    NoFiniteStart {
        /// The law.
        law: &'static str,
        /// Starting points tried.
        starts: usize,
    },

    /// A law that does not exist.
    #[error("there is no law `{name}`; use one of: {known}")]
    UnknownLaw {
        /// The name received.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// A pool, parameter or domain that the fit does not have.
    #[error("there is no {what} `{name}`; use one of: {known}")]
    Unknown {
        /// Pool, parameter or domain.
        what: &'static str,
        /// The name received.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// A question outside what the law can answer.
    #[error("{law} cannot answer this: {problem}; {remedy}")]
    NotAnswerable {
        /// The law.
        law: &'static str,
        /// Why not.
        problem: String,
        /// What to do.
        remedy: String,
    },

    /// A fit is asked about data other than its own.
    #[error(
        "the fit was made on data with digest {expected}, this table has {received}; refit, or pass \
         the table that the fit was made on"
    )]
    OtherData {
        /// Digest stored with the fit.
        expected: String,
        /// Digest of the table received.
        received: String,
    },

    /// A saved fit that this version cannot read.
    #[error("{place}: {problem}; fit again with this version to get a readable file")]
    BadFile {
        /// The file.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

fn remedy(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full: free some space",
        _ => "check that the path exists and is yours to use",
    }
}

impl ScalingError {
    /// What is wrong, for a line that names the law itself.
    pub(crate) fn reason(&self) -> String {
        match self {
            ScalingError::NotIdentified { problem, .. }
            | ScalingError::NotAnswerable { problem, .. } => problem.clone(),
            ScalingError::NoFiniteStart { .. } => "it has no finite value on this table".into(),
            other => other.to_string(),
        }
    }
}
