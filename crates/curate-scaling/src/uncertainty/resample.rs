//! What draws are made from.

use serde::{Deserialize, Serialize};

/// What is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Residuals are dealt anew onto the fitted curve, inflated for the parameters searched. The
    /// design stays as it is, so few points per pool are enough; needs one kind of noise throughout.
    #[default]
    Residual,
    /// Rows are drawn anew with replacement, within each pool if pools have parameters of their
    /// own. Makes no assumption on noise, but needs many points.
    Case,
    /// Every run is measured anew with the noise of a run, and every prior's center moves by its
    /// spread: draws of the posterior, which do not shrink where priors decide and runs are few.
    /// Needs a fit with priors.
    Posterior,
}

impl Resample {
    /// Its name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Resample::Residual => "residual",
            Resample::Case => "case",
            Resample::Posterior => "posterior",
        }
    }
}
