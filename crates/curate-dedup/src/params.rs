//! What semantic deduplication needs to know.

use curate_cluster::{KMeansParams, Preference};
use curate_core::{Cut, ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

/// What a row is compared with.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All preferred rows of its cluster, also those that go (the published code). Any epsilon,
    /// fraction or count can be chosen afterwards.
    #[default]
    Reference,
    /// Preferred rows that stay at this epsilon, so that one row of each group survives (the paper's
    /// text). The result holds for this epsilon alone.
    Greedy(f64),
}

/// What becomes of rows whose vectors are the same to the bit.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExactCopies {
    /// They are rows like all others: the search finds those that lie in one cluster.
    #[default]
    Search,
    /// One of them stays and the others go before anything is clustered: the one with the highest
    /// score where scores are given, else the one with the smallest id.
    Collapse,
}

/// Parameters of semantic deduplication; [`SemanticDedupParams::check`] makes them usable.
///
/// ```
/// use curate_dedup::{Mode, SemanticDedupParams};
///
/// let error = SemanticDedupParams::new().mode(Mode::Greedy(2.5)).clusters(0).check().unwrap_err();
/// assert_eq!(error.violations.len(), 2);
/// assert_eq!(error.violations[1].field, "epsilon");
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SemanticDedupParams {
    /// What a row is compared with.
    pub(crate) mode: Mode,
    /// Which of two duplicates stays, where no scores are given.
    pub(crate) preference: Preference,
    /// What becomes of rows whose vectors are the same to the bit.
    pub(crate) exact_copies: ExactCopies,
    /// Compares each row also with so many of the nearest other clusters.
    pub(crate) probes: usize,
    /// Number of clusters; left out, half the square root of the number of rows.
    pub(crate) clusters: Option<usize>,
    /// How to cluster; its number of clusters and its seed are taken from here.
    pub(crate) k_means: KMeansParams,
    /// The seed of all random draws.
    pub(crate) seed: u64,
}

impl SemanticDedupParams {
    /// The published rule: compare with all preferred rows of the cluster, the farthest from the
    /// centroid being preferred, without probing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a row is compared with.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Which of two duplicates stays, where no scores are given.
    pub fn preference(mut self, preference: Preference) -> Self {
        self.preference = preference;
        self
    }

    /// What becomes of rows whose vectors are the same to the bit.
    pub fn exact_copies(mut self, exact_copies: ExactCopies) -> Self {
        self.exact_copies = exact_copies;
        self
    }

    /// Compares each row also with so many of the nearest other clusters, and measures how many more
    /// duplicates that finds.
    pub fn probes(mut self, probes: usize) -> Self {
        self.probes = probes;
        self
    }

    /// Number of clusters; [`suggested_clusters`] unless told. More clusters than rows become one a
    /// row.
    pub fn clusters(mut self, clusters: usize) -> Self {
        self.clusters = Some(clusters);
        self
    }

    /// How to cluster. The number of clusters comes from [`Self::clusters`].
    pub fn k_means(mut self, k_means: KMeansParams) -> Self {
        self.k_means = k_means;
        self
    }

    /// The seed of all random draws: of the clustering, of the preference `random`, and of the rows
    /// that recall is measured on.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<SemanticDedup, ParamsError> {
        let mut check = Checker::default();
        check.that(self.clusters != Some(0), "clusters", 0, "at least 1");
        // Its number of clusters comes later.
        check.take(self.k_means.clone().clusters(1).check());
        if let Mode::Greedy(epsilon) = self.mode {
            check.take(Cut::Epsilon(epsilon).check());
            check.that(
                self.probes == 0,
                "probes",
                self.probes,
                "0 in greedy mode: probing compares with rows that go as well",
            );
        }
        check.finish()?;
        Ok(SemanticDedup(self))
    }
}

/// How many clusters semantic deduplication uses for a number of rows by default: half the square root,
/// at most the 50,000 that SemDeDup used for LAION-440M.
pub fn suggested_clusters(rows: usize) -> usize {
    let suggested = ((rows as f64).sqrt() / 2.0).round() as usize;
    suggested.clamp(1, 50_000)
}

/// Semantic deduplication with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticDedup(pub(crate) SemanticDedupParams);
