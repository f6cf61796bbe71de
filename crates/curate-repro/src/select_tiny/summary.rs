//! Strategies over all seeds.

use anyhow::Result;
use curate_eval::compare::Mean;
use curate_select::corrupt::Family;
use serde::Serialize;

use super::{judge::Trial, strategies::Strategy};
use crate::tiny::{difference, mean};

/// How a number is read from a trial.
pub type Read = fn(&Trial) -> f64;

/// Properties of a set, and how they are read from a trial.
pub const PROPERTIES: [(&str, Read); 5] = [
    ("effective classes", |trial| trial.effective_classes),
    ("share of the largest class", |trial| trial.largest_class),
    ("wrong labels", |trial| trial.wrong_labels),
    ("neighbors' accuracy", |trial| trial.neighbors),
    ("CMMD to the test pictures", |trial| trial.cmmd),
];

/// A property, and its rank correlations with base, shifted and transfer accuracy.
pub type Correlation = (&'static str, [Option<f64>; 3]);

/// A strategy over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The strategy.
    pub strategy: Strategy,
    /// The strategy in words.
    pub name: &'static str,
    /// Pictures in its sets, on average.
    pub size: f64,
    /// Accuracy on clean pictures.
    pub base: Mean,
    /// Its difference from the expert's, seed by seed.
    pub base_difference: Mean,
    /// Accuracy on pictures that were made worse.
    pub shifted: Mean,
    /// Its difference from the expert's.
    pub shifted_difference: Mean,
    /// Accuracy of the probe on another task.
    pub transfer: Mean,
    /// Its difference from the expert's.
    pub transfer_difference: Mean,
    /// Accuracy under noise, blur, weather and digital corruptions, in this order.
    pub families: Vec<f64>,
    /// The mean of each of [`PROPERTIES`].
    pub properties: Vec<f64>,
}

impl Summary {
    /// Sums up the trials of a strategy, the expert's seed for seed beside it.
    pub(super) fn of(strategy: Strategy, trials: &[Trial]) -> Result<Self> {
        let values = |strategy: Strategy, of: &dyn Fn(&Trial) -> f64| -> Vec<f64> {
            trials.iter().filter(|trial| trial.strategy == strategy).map(of).collect()
        };
        let both = |of: &dyn Fn(&Trial) -> f64| -> Result<(Mean, Mean)> {
            let own = values(strategy, of);
            Ok((mean(&own)?, difference(&own, &values(Strategy::Expert, of))?))
        };
        let average =
            |of: &dyn Fn(&Trial) -> f64| -> Result<f64> { Ok(mean(&values(strategy, of))?.mean) };
        let (base, base_difference) = both(&|trial| trial.base)?;
        let (shifted, shifted_difference) = both(&|trial| trial.shifted)?;
        let (transfer, transfer_difference) = both(&|trial| trial.transfer)?;
        let families =
            trials.first().map(|trial| trial.families.keys().copied().collect::<Vec<_>>());
        let family = |family: Family| average(&|trial| trial.families[&family]);
        Ok(Self {
            strategy,
            name: strategy.in_words(),
            size: average(&|trial| trial.size as f64)?,
            base,
            base_difference,
            shifted,
            shifted_difference,
            transfer,
            transfer_difference,
            families: families.into_iter().flatten().map(family).collect::<Result<_>>()?,
            properties: PROPERTIES.iter().map(|(_, of)| average(of)).collect::<Result<_>>()?,
        })
    }
}
