//! Laws of data and compute: fit them with their uncertainty, and decide with them

mod artefact;
mod check;
pub mod compare;
mod curve;
pub mod decide;
mod error;
mod example;
pub mod fit;
pub mod law;
mod linalg;
mod observation;
mod read;
pub mod repro;
pub mod stats;
mod svg;
pub mod uncertainty;

pub use artefact::{Artefact, FORMAT};
pub use check::{RIDGE_CONDITION, Warning};
pub use curve::{CurvePoint, Curves, Measured, curves};
pub use error::{ParamsError, ScalingError, Violation};
pub use example::example_runs;
pub use fit::{Fit, FitParams, Loss, Prior, Space, ValidFitParams};
pub use law::{Law, LawKind, Point};
pub use observation::{Metric, Observation, Observations};
pub use read::ReadOptions;
pub use uncertainty::{BootstrapParams, Ensemble, Interval, Resample};
