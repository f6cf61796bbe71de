//! What can go wrong, whichever part of the toolkit was asked.

#[cfg(feature = "train")]
use curate::eval::compare::CompareError;
use curate::{
    baselines::BaselineError,
    core::{CutError, ParamsError, SourceError},
    dfn::{NetworkError, filter::FilterError},
    io::{IoError, Kind},
    pipeline::Error,
    scaling::ScalingError,
    select::SelectError,
    transfer::TransferError,
};

/// The exit code of a command that could not be carried out.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong, as clap has it.
const WRONG: u8 = 2;
/// What went in is not what it was (EX_DATAERR).
const CHANGED: u8 = 65;
/// This machine cannot do it (EX_UNAVAILABLE).
const UNAVAILABLE: u8 = 69;
/// It may go well later (EX_TEMPFAIL).
const LATER: u8 = 75;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Pipeline(#[from] Error),
    #[error(transparent)]
    Scaling(#[from] ScalingError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Select(#[from] SelectError),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] curate::dfn::train::TrainError),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[cfg(feature = "train")]
    #[error(transparent)]
    Device(#[from] curate_device::DeviceError),
    #[cfg(not(feature = "train"))]
    #[error(
        "this program was built without training: build it with `--features train` \
         (`wgpu` or `cuda` for those devices)"
    )]
    NoTraining,
    #[cfg(not(feature = "hub"))]
    #[error("this program was built without the hub: build it with `--features hub`")]
    NoHub,
    /// Flags that do not go together.
    #[error("{0}")]
    Usage(String),
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::Pipeline(error.into())
    }
}

impl Failure {
    /// The exit code, which tells a scheduler whether another try can help.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Pipeline(Error::NotReady { .. }) => LATER,
            Self::Pipeline(Error::TooLittleMemory { .. }) => UNAVAILABLE,
            Self::Pipeline(Error::Conflict { .. } | Error::Damaged(_)) => CHANGED,
            Self::Pipeline(Error::NoSuchStep { .. } | Error::NoSuchTask { .. }) => WRONG,
            Self::Usage(_) => WRONG,
            _ => match self.io().map(|error| error.kind) {
                Some(Kind::Disagree) => CHANGED,
                Some(Kind::Busy) => LATER,
                _ => FAILED,
            },
        }
    }

    /// The file or folder at fault, whoever touched it.
    fn io(&self) -> Option<&IoError> {
        match self {
            Self::Pipeline(Error::Io(error))
            | Self::Baseline(BaselineError::Io(error))
            | Self::Filter(FilterError::Io(error)) => Some(error),
            #[cfg(feature = "train")]
            Self::Compare(CompareError::Io(error))
            | Self::Train(curate::dfn::train::TrainError::Io(error)) => Some(error),
            _ => None,
        }
    }

    /// The flag that does what the error's remedy says, where the library cannot name it: what ends
    /// its sentence.
    pub(crate) fn flag(&self) -> &'static str {
        match self {
            Self::Pipeline(Error::Conflict { .. } | Error::Damaged(_)) => " with --overwrite",
            #[cfg(feature = "train")]
            Self::Compare(CompareError::Conflict { .. } | CompareError::Damaged(_)) => {
                " with --overwrite"
            }
            #[cfg(feature = "train")]
            Self::Compare(CompareError::Unknown { .. }) => " with --skip-unknown-ids",
            #[cfg(feature = "train")]
            Self::Compare(CompareError::SameName(_)) => " with NAME=PATH",
            _ => "",
        }
    }

    /// What the libraries cannot say, since they know neither commands nor flags.
    /// `skip` is how the command is told to leave out shards that cannot be read.
    pub(crate) fn in_words_of_the_program(mut self, skip: &str, is_a_job: bool) -> Self {
        if let Self::Pipeline(Error::Io(error))
        | Self::Baseline(BaselineError::Io(error))
        | Self::Filter(FilterError::Io(error)) = &mut self
        {
            let is_tar = error.path.extension().is_some_and(|ending| ending == "tar");
            error.remedy += match error.kind {
                Kind::DiskFull if !error.remedy.is_empty() => ", then run the same command again",
                Kind::Occupied if !is_a_job => ", or replace the shards there with --overwrite",
                Kind::Truncated if is_tar => skip,
                _ => "",
            };
        }
        self
    }

    /// True when the user asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Pipeline(error) => error.is_cancelled(),
            Self::Scaling(error) => matches!(error, ScalingError::Cancelled(_)),
            Self::Baseline(error) => error.is_cancelled(),
            Self::Source(error) => error.is_cancelled(),
            Self::Filter(error) => error.is_cancelled(),
            Self::Transfer(error) => error.is_cancelled(),
            #[cfg(feature = "train")]
            Self::Compare(error) => error.is_cancelled(),
            #[cfg(feature = "train")]
            Self::Train(error) => matches!(error, curate::dfn::train::TrainError::Cancelled(_)),
            _ => false,
        }
    }
}
