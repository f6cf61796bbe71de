//! Laws of data and compute: fit them with their uncertainty, and decide with them

mod check;
mod error;
pub mod fit;
pub mod law;
mod linalg;
mod observation;
mod read;
pub mod repro;
pub mod stats;

pub use check::{RIDGE_CONDITION, Warning};
pub use error::{ParamsError, ScalingError, Violation};
pub use fit::{Fit, FitParams, Loss, Prior, Space, ValidFitParams};
pub use law::{Law, LawKind, Point};
pub use observation::{Metric, Observation, Observations};
pub use read::ReadOptions;
