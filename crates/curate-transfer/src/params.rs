//! What ranking classes needs to know.

use curate_cluster::Metric;
use curate_core::{ParamsError, params::Checker, rank::Direction};
use serde::{Deserialize, Serialize};

/// Which classes come first.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Those with the most votes, or the largest number.
    #[default]
    Most,
    /// Those with the fewest: the paper's control, which has to harm.
    Fewest,
}

impl Order {
    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Most => Direction::HigherIsBetter,
            Self::Fewest => Direction::LowerIsBetter,
        }
    }
}

/// Parameters of a ranking; [`TransferParams::check`] makes them usable.
///
/// ```
/// use curate_transfer::TransferParams;
///
/// let error = TransferParams::new(0).check().unwrap_err();
/// assert_eq!(error.to_string(), "`classes` is 0, but must be from 1 to 16777216");
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TransferParams {
    /// Source classes, or clusters.
    pub(crate) classes: usize,
    /// Which come first.
    #[serde(default)]
    pub(crate) order: Order,
    /// What is near, for feature mapping.
    #[serde(default = "euclidean")]
    pub(crate) metric: Metric,
    /// The seed of the random control.
    #[serde(default)]
    pub(crate) seed: u64,
}

/// The most classes: each takes memory, and more are a slip of the pen.
const MOST: usize = 1 << 24;

fn euclidean() -> Metric {
    Metric::Euclidean
}

impl TransferParams {
    /// A ranking of so many source classes, by the paper's settings: most votes first, Euclidean distance.
    pub fn new(classes: usize) -> Self {
        Self { classes, order: Order::default(), metric: euclidean(), seed: 0 }
    }

    /// Which classes come first.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// What is near, for feature mapping: Euclidean unless told, as in the paper. Spherical asks for features and
    /// centroids of length 1.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// The seed of [`Control::Random`](crate::Control::Random).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The ranking, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Transfer, ParamsError> {
        let mut check = Checker::default();
        let holds = (1..=MOST).contains(&self.classes);
        check.that(holds, "classes", self.classes, format!("from 1 to {MOST}"));
        check.finish()?;
        Ok(Transfer(self))
    }
}

/// Ranks source classes, with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer(pub(crate) TransferParams);
