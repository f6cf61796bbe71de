//! What can go wrong.

use curate_core::{Cancelled, ParamsError, RowsError, SourceError};

/// A property cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Rows cannot be used.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Vectors cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The caller asked the work to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A class that there is not.
    #[error("`{what}`: row {row} is of class {class}, but there are {classes}, counted from 0")]
    Class {
        /// Labels or predictions.
        what: &'static str,
        /// The first such row.
        row: usize,
        /// Its class.
        class: u32,
        /// Classes there are.
        classes: usize,
    },
    /// Two things that must be of one length.
    #[error("`{what}` has {found} entries, but `{beside}` has {expected}: give one for each")]
    Lengths {
        /// What.
        what: &'static str,
        /// How many entries it has.
        found: usize,
        /// What it stands beside.
        beside: &'static str,
        /// How many entries that has.
        expected: usize,
    },
    /// Vectors of two widths.
    #[error(
        "`{what}` has vectors of {found} numbers, the others have {expected}: give features of one network"
    )]
    Width {
        /// What.
        what: &'static str,
        /// Its width.
        found: usize,
        /// The others'.
        expected: usize,
    },
    /// Nothing to measure.
    #[error("`{what}` is empty: give at least {least}")]
    Empty {
        /// What.
        what: &'static str,
        /// How many there have to be.
        least: usize,
    },
    /// Counts of no set that there is.
    #[error("`counts` add up to 2^64 samples or more: give the number of samples of each class")]
    TooManySamples,
    /// A picture that cannot be corrupted.
    #[error("`picture` {problem}")]
    Picture {
        /// What is wrong with it.
        problem: String,
    },
    /// Results of a set that make no card.
    #[error("set `{set}` {problem}")]
    Card {
        /// The set.
        set: String,
        /// What is wrong with them.
        problem: String,
    },
    /// A row that is no distribution over classes.
    #[error("`probabilities`: row {row} {problem}: give softmax answers")]
    NoDistribution {
        /// The first such row.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl SelectError {
    pub(crate) fn card(set: &str, problem: impl Into<String>) -> Self {
        Self::Card { set: set.to_owned(), problem: problem.into() }
    }

    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Rows(error) => error.is_cancelled(),
            Self::Source(error) => error.is_cancelled(),
            Self::Cancelled(_) => true,
            _ => false,
        }
    }
}

/// An error at the first label that is no class.
pub(crate) fn check_classes(
    what: &'static str,
    labels: &[u32],
    classes: usize,
) -> Result<(), SelectError> {
    match labels.iter().position(|&class| class as usize >= classes) {
        Some(row) => Err(SelectError::Class { what, row, class: labels[row], classes }),
        None => Ok(()),
    }
}

/// An error unless two things are of one length.
pub(crate) fn check_lengths(
    what: &'static str,
    found: usize,
    beside: &'static str,
    expected: usize,
) -> Result<(), SelectError> {
    match found == expected {
        true => Ok(()),
        false => Err(SelectError::Lengths { what, found, beside, expected }),
    }
}
