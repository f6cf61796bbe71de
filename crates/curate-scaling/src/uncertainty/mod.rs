//! How sure a fit is: covariance, bootstrap, profile likelihood.
//!
//! Three views that cost more the more they show. The **covariance** is a quadratic picture around
//! the optimum, free of charge. A **bootstrap** refits resampled data and sees curved and lopsided
//! doubt; decisions use it. A **profile** refits along one parameter and shows flat valleys and
//! second minima that both others miss.

mod bootstrap;
mod covariance;
mod ensemble;
mod prediction;
mod profile;
mod resample;

pub use bootstrap::{BootstrapParams, ValidBootstrapParams};
pub use covariance::ParameterDoubt;
pub(crate) use ensemble::tail_level;
pub use ensemble::{Ensemble, Interval};
pub use prediction::Prediction;
pub use profile::{Profile, ProfilePoint, profile};
pub use resample::Resample;
