//! What can go wrong.

use curate_core::{Cancelled, ParamsError, SourceError};

/// A selection cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Parameters out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Nothing to learn from.
    #[error("`pairs`: {0} are too few: a contrast needs at least two")]
    TooFew(usize),
    /// A pair names a row that does not exist.
    #[error(
        "`pairs`: pair {index} is ({image}, {text}), but there are {images} images and {texts} texts"
    )]
    OutOfRange {
        /// The pair.
        index: usize,
        /// Its image.
        image: usize,
        /// Its text.
        text: usize,
        /// Images there are.
        images: usize,
        /// Texts there are.
        texts: usize,
    },
    /// Features of another length than the towers take.
    #[error("`{argument}`: features of {found} numbers, but {expected} are needed")]
    Width {
        /// The argument.
        argument: &'static str,
        /// Their length.
        found: usize,
        /// The length needed.
        expected: usize,
    },
    /// Arguments of a metric that differ in length.
    #[error("`{argument}`: {found} values, but {expected} are needed")]
    Length {
        /// The argument.
        argument: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// A row that does not exist.
    #[error("`{argument}`: row {row} is not among the {rows} rows")]
    NoSuchRow {
        /// The argument.
        argument: &'static str,
        /// The row.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// Neighbors that cannot vote.
    #[error(
        "{rows} rows vote, `k` is {k} and `temperature` is {at}: give labeled rows, at least one \
         neighbor and a temperature above 0"
    )]
    NoVote {
        /// Labeled rows.
        rows: usize,
        /// Neighbors asked for.
        k: usize,
        /// The temperature.
        at: f32,
    },
    /// Nothing to tell apart.
    #[error("all {rows} rows are of one class: give rows of at least two")]
    OneClass {
        /// Rows given.
        rows: usize,
    },
    /// Features that are no pixels.
    #[error("`features`: {0} numbers are no square picture of three colors")]
    NoPicture(usize),
    /// Features that cannot be used.
    #[error("`{argument}`: row {row} holds a number that is not finite: leave it out")]
    NotFinite {
        /// The argument.
        argument: &'static str,
        /// The row.
        row: usize,
    },
    /// A teacher of another problem.
    #[error(
        "the teacher tells {teacher} classes apart, the student {student}: take a teacher of the same"
    )]
    OtherClasses {
        /// The teacher's classes.
        teacher: usize,
        /// The student's.
        student: usize,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss of step {step} is {loss}; its batch has the samples {samples:?} and more; look for bad \
         features, or lower the rate"
    )]
    Diverged {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
        /// Where the first samples of its batch stand in the selection.
        samples: Vec<usize>,
    },
    /// Features could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl EvalError {
    /// True when the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Source(error) => error.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn unless_length(
        argument: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected { Ok(()) } else { Err(Self::Length { argument, found, expected }) }
    }

    /// An error unless every row is below `rows`.
    pub(crate) fn unless_row(
        argument: &'static str,
        named: &[usize],
        rows: usize,
    ) -> Result<(), Self> {
        match named.iter().find(|&&row| row >= rows) {
            Some(&row) => Err(Self::NoSuchRow { argument, row, rows }),
            None => Ok(()),
        }
    }
}
