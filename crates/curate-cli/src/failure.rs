//! What can go wrong, whichever part of the toolkit was asked.

use curate::{io::IoError, pipeline::Error, scaling::ScalingError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Pipeline(#[from] Error),
    #[error(transparent)]
    Scaling(#[from] ScalingError),
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::Pipeline(error.into())
    }
}

impl Failure {
    /// True when the user asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Pipeline(error) if error.is_cancelled())
    }
}
