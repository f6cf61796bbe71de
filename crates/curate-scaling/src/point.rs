//! One training run as a law sees it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A quantity of a run that a law may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Samples (or tokens) seen, repeats included.
    Samples,
    /// Distinct samples (or tokens) in the pool.
    Unique,
    /// Model parameters.
    Parameters,
    /// Loss of the same model on the upstream task.
    UpstreamLoss,
    /// Weights of the mixture's domains.
    Mixture,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Samples => "samples",
            Field::Unique => "unique",
            Field::Parameters => "parameters",
            Field::UpstreamLoss => "upstream_loss",
            Field::Mixture => "weight_<domain>",
        })
    }
}

/// One training run, real or imagined, as a law sees it: start with [`Point::new`] and set what is
/// known. [`Law::needs`](crate::Law::needs) says what a law asks for; a prediction without it is an
/// error that names it.
///
/// ```
/// use curate_scaling::Point;
/// use curate_scaling::law::{Chinchilla, Law};
///
/// let run = Point::new().samples(1e6).parameters(1e4);
/// let loss = Chinchilla::default().predict(&run, &[1.5, 20.0, 0.5, 30.0, 0.5])?;
/// assert!((loss - 1.73).abs() < 1e-12); // 1.5 + 20 / 1e4^0.5 + 30 / 1e6^0.5
///
/// let unsized_run = Point::new().samples(1e6);
/// let error = Chinchilla::default().predict(&unsized_run, &[1.5, 20.0, 0.5, 30.0, 0.5]);
/// assert!(error.unwrap_err().to_string().contains("`parameters`"));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// The fields are there to be read by laws, and are NaN where nothing was set.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Point<'a> {
    /// Samples (or tokens) seen, repeats included.
    pub samples: f64,
    /// Distinct samples (or tokens) in the pool.
    pub unique: f64,
    /// Model parameters.
    pub parameters: f64,
    /// Loss of the same model on the upstream task.
    pub upstream_loss: f64,
    /// Weights of the mixture's domains, in the table's order.
    pub mixture: &'a [f64],
}

impl Default for Point<'_> {
    fn default() -> Self {
        Point {
            samples: f64::NAN,
            unique: f64::NAN,
            parameters: f64::NAN,
            upstream_loss: f64::NAN,
            mixture: &[],
        }
    }
}

impl<'a> Point<'a> {
    /// A run of which nothing is known yet.
    pub fn new() -> Self {
        Point::default()
    }

    /// Sets the samples (or tokens) seen, repeats included.
    pub fn samples(self, samples: f64) -> Self {
        Point { samples, ..self }
    }

    /// Sets the number of distinct samples (or tokens) in the pool; infinity where none repeats.
    pub fn unique(self, unique: f64) -> Self {
        Point { unique, ..self }
    }

    /// Sets the model parameters.
    pub fn parameters(self, parameters: f64) -> Self {
        Point { parameters, ..self }
    }

    /// Sets the loss of the same model on the upstream task.
    pub fn upstream_loss(self, upstream_loss: f64) -> Self {
        Point { upstream_loss, ..self }
    }

    /// Sets the weights of the mixture's domains, in the table's order.
    pub fn mixture(self, mixture: &'a [f64]) -> Self {
        Point { mixture, ..self }
    }

    /// The value of a field; the first weight stands for the mixture.
    pub(crate) fn field(&self, field: Field) -> f64 {
        match field {
            Field::Samples => self.samples,
            Field::Unique => self.unique,
            Field::Parameters => self.parameters,
            Field::UpstreamLoss => self.upstream_loss,
            Field::Mixture => self.mixture.first().copied().unwrap_or(f64::NAN),
        }
    }
}
