//! Fitting a law to a table of runs.
//!
//! The objective is a sum of costs of residuals over the rows, plus priors. It has ridges and
//! several minima, so it is searched from many starting points, and what the searches found is
//! reported, not only the best of it.

mod doubts;
mod identify;
mod layout;
mod loss;
mod params;
mod polish;
pub(crate) mod problem;
mod result;
pub(crate) mod search;
pub(crate) mod solver;
pub(crate) mod spread;
pub(crate) mod start;

pub use crate::law::Prior;
pub(crate) use layout::Layout;
pub use layout::Slot;
pub use loss::{Loss, Space};
pub(crate) use params::USUAL_NOISE;
pub use params::{FitParams, ValidFitParams};
pub(crate) use polish::polish;
pub use result::{Curvature, DataRange, Fit, Minimum, OutOfRange, PoolInfo, RangeAxis};
