//! What concept-complexity pruning needs to know.

use curate_cluster::{KMeansParams, Preference};
use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{Control, Pick};

/// The two published settings.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What the paper reports as best: temperature 0.1, no balance.
    #[default]
    Paper,
    /// What the released code does unless told otherwise: temperature 0.5, balance 0.5.
    Code,
}

impl Preset {
    /// The softmax temperature.
    pub fn temperature(self) -> f64 {
        match self {
            Self::Paper => 0.1,
            Self::Code => 0.5,
        }
    }

    /// The share of an even quota that every cluster is guaranteed.
    pub fn balance(self) -> f64 {
        match self {
            Self::Paper => 0.0,
            Self::Code => 0.5,
        }
    }
}

/// What decides how many rows a concept keeps.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// Its complexity.
    #[default]
    Complexity,
    /// Nothing: all concepts alike (a control).
    Uniform,
    /// Its size (a control).
    Size,
}

/// Parameters of concept-complexity pruning; [`ConceptPruneParams::check`] makes them usable.
///
/// ```
/// use curate_prune::ConceptPruneParams;
///
/// let error = ConceptPruneParams::paper().temperature(0.0).balance(1.5).check().unwrap_err();
/// assert_eq!(error.violations.len(), 2);
/// assert!(error.to_string().starts_with("`temperature` is 0, but must be above 0"));
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConceptPruneParams {
    /// What decides a concept's share.
    pub(crate) share: Share,
    /// The softmax temperature of the complexity.
    pub(crate) temperature: f64,
    /// The share of an even quota that every concept is guaranteed, from 0 to 1.
    pub(crate) balance: f64,
    /// Nearest other centroids that count for a concept's distance to its neighbors.
    pub(crate) neighbors: usize,
    /// Which rows of a concept fill its quota.
    pub(crate) preference: Preference,
    /// How the quota is filled from the preferred rows.
    pub(crate) pick: Pick,
    /// Keeps rows by a baseline on the same clusters instead.
    pub(crate) control: Option<Control>,
    /// Number of clusters; left out, the cube root of the number of rows.
    pub(crate) clusters: Option<usize>,
    /// How to cluster; its number of clusters and its seed are taken from here.
    pub(crate) k_means: KMeansParams,
    /// The seed of all random draws.
    pub(crate) seed: u64,
}

impl Default for ConceptPruneParams {
    fn default() -> Self {
        Self::preset(Preset::default())
    }
}

impl ConceptPruneParams {
    /// What the paper reports as best: temperature 0.1, no balance.
    pub fn paper() -> Self {
        Self::preset(Preset::Paper)
    }

    /// What the released code does unless told otherwise: temperature 0.5, balance 0.5.
    pub fn code() -> Self {
        Self::preset(Preset::Code)
    }

    /// One of the published settings.
    pub fn preset(preset: Preset) -> Self {
        Self {
            share: Share::default(),
            temperature: preset.temperature(),
            balance: preset.balance(),
            neighbors: 20,
            preference: Preference::default(),
            pick: Pick::default(),
            control: None,
            clusters: None,
            k_means: KMeansParams::default(),
            seed: 0,
        }
    }

    /// What decides a concept's share of the rows kept.
    pub fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// The softmax temperature of the complexity: the lower, the more the complex concepts keep.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// The share of an even quota that every concept is guaranteed, from 0 to 1.
    pub fn balance(mut self, balance: f64) -> Self {
        self.balance = balance;
        self
    }

    /// Nearest other centroids that count for a concept's distance to its neighbors; 20 in the paper.
    pub fn neighbors(mut self, neighbors: usize) -> Self {
        self.neighbors = neighbors;
        self
    }

    /// Which rows of a concept fill its quota.
    pub fn preference(mut self, preference: Preference) -> Self {
        self.preference = preference;
        self
    }

    /// How the quota is filled from the preferred rows.
    pub fn pick(mut self, pick: Pick) -> Self {
        self.pick = pick;
        self
    }

    /// Keeps rows by a baseline on the same clusters instead, to compare the method with. Share,
    /// temperature, balance, preference and pick then do not count.
    pub fn control(mut self, control: Control) -> Self {
        self.control = Some(control);
        self
    }

    /// Number of clusters; [`suggested_clusters`] unless told. More clusters than rows become one a
    /// row.
    pub fn clusters(mut self, clusters: usize) -> Self {
        self.clusters = Some(clusters);
        self
    }

    /// How to cluster: spherical k-means. The number of clusters comes from [`Self::clusters`].
    pub fn k_means(mut self, k_means: KMeansParams) -> Self {
        self.k_means = k_means;
        self
    }

    /// The seed of all random draws.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<ConceptPrune, ParamsError> {
        let mut check = Checker::default();
        let temperature = self.temperature;
        check.that(is_temperature(temperature), "temperature", temperature, "above 0 and finite");
        let balance = self.balance;
        check.that((0.0..=1.0).contains(&balance), "balance", balance, "a number from 0 to 1");
        check.that(self.neighbors > 0, "neighbors", self.neighbors, "at least 1");
        check.that(self.clusters != Some(0), "clusters", 0, "at least 1");
        // Its number of clusters comes later.
        check.take(self.k_means.clone().clusters(1).check());
        check.finish()?;
        Ok(ConceptPrune(self))
    }
}

pub(crate) fn is_temperature(temperature: f64) -> bool {
    temperature > 0.0 && temperature.is_finite()
}

/// How many concepts pruning uses for a number of rows by default: the cube root.
pub fn suggested_clusters(rows: usize) -> usize {
    ((rows as f64).cbrt().round() as usize).max(1)
}

/// Concept-complexity pruning with valid parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConceptPrune(pub(crate) ConceptPruneParams);
