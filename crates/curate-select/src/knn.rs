//! The weighted k-nearest-neighbor probe on frozen features.

use std::collections::BTreeMap;

use curate_core::{EmbeddingSource, ParamsError, Progress, Rows, params::Checker};
use curate_kernels::{Centroids, Nearest};
use serde::{Deserialize, Serialize};

use crate::{
    Impute, SelectError,
    error::{check_classes, check_lengths},
};

/// Test rows that are compared at a time.
const TOGETHER: usize = 1024;

/// Parameters of the probe; [`KnnProbeParams::check`] makes them usable.
///
/// ```
/// use curate_select::KnnProbeParams;
///
/// let error = KnnProbeParams::new().neighbors([0]).temperature(-1.0).check().unwrap_err();
/// assert_eq!(error.violations.len(), 2);
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KnnProbeParams {
    neighbors: Vec<usize>,
    temperature: f64,
    impute: Impute,
    seed: u64,
}

impl Default for KnnProbeParams {
    fn default() -> Self {
        let neighbors = vec![10, 20, 100, 200];
        Self { neighbors, temperature: 0.07, impute: Impute::None, seed: 0 }
    }
}

impl KnnProbeParams {
    /// SELECT's: 10, 20, 100 and 200 neighbors, temperature 0.07; but no row is made up.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many neighbors vote; an accuracy for each.
    pub fn neighbors(mut self, neighbors: impl Into<Vec<usize>>) -> Self {
        self.neighbors = neighbors.into();
        self
    }

    /// The temperature $T$: a neighbor of cosine $s$ votes with $e^{s/T}$.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Whether classes with few rows are filled up.
    pub fn impute(mut self, impute: Impute) -> Self {
        self.impute = impute;
        self
    }

    /// The seed of rows that are made up.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The probe, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(mut self) -> Result<KnnProbe, ParamsError> {
        self.neighbors.sort_unstable();
        self.neighbors.dedup();
        let mut check = Checker::default();
        let least = self.neighbors.first().copied();
        let text = least.map_or_else(|| "empty".to_owned(), |least| least.to_string());
        check.that(least.is_some_and(|k| k > 0), "neighbors", text, "at least 1, once or more");
        let t = self.temperature;
        check.that(t.is_finite() && t > 0.0, "temperature", t, "a number above 0");
        let filled = self.impute != (Impute::Gaussian { per_class: 0 });
        check.that(filled, "per-class", 0, "at least 1");
        check.finish()?;
        Ok(KnnProbe(self))
    }
}

/// Judges labeled features by their neighbors' votes, with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct KnnProbe(KnnProbeParams);

/// What the probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnnAccuracy {
    /// For each number of neighbors the test rows that were told right.
    right: BTreeMap<usize, usize>,
    /// Test rows that could be used.
    pub test_rows: usize,
    /// Training rows that could be used.
    pub train_rows: usize,
    /// Rows that were made up beside them ([`Impute`]).
    #[serde(default)]
    pub imputed_rows: usize,
    /// Classes of the test rows that no training row has: they cannot be told.
    pub unseen_classes: usize,
}

impl KnnAccuracy {
    /// The share of test rows that so many neighbors tell right; `None` for another number than asked for, or
    /// without test rows.
    pub fn accuracy(&self, neighbors: usize) -> Option<f64> {
        let right = *self.right.get(&neighbors)?;
        (self.test_rows > 0).then(|| right as f64 / self.test_rows as f64)
    }

    /// All accuracies, by the number of neighbors.
    pub fn accuracies(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.right.keys().filter_map(|&neighbors| Some((neighbors, self.accuracy(neighbors)?)))
    }
}

impl KnnProbe {
    /// The accuracy of a vote of each test row's nearest training rows. Features are compared by their cosine; labels
    /// are those of the sources' rows. Rows that cannot be used are left out on either side. Ties between neighbors
    /// go to the earlier row, ties between votes to the smaller class.
    ///
    /// # Errors
    /// When labels or widths do not fit, there is no training row, vectors cannot be read, or the caller cancels.
    pub fn run(
        &self,
        train: &Rows<'_>,
        train_labels: &[u32],
        test: &Rows<'_>,
        test_labels: &[u32],
        progress: &dyn Progress,
    ) -> Result<KnnAccuracy, SelectError> {
        check_lengths("train labels", train_labels.len(), "train rows", train.source_rows())?;
        check_lengths("test labels", test_labels.len(), "test rows", test.source_rows())?;
        if train.dim() != test.dim() {
            let (found, expected) = (test.dim(), train.dim());
            return Err(SelectError::Width { what: "test", found, expected });
        }
        if train.usable().is_empty() {
            return Err(SelectError::Empty { what: "train", least: 1 });
        }
        let labels = |all: &[u32], rows: &Rows<'_>| -> Vec<u32> {
            rows.usable().iter().map(|row| all[row]).collect()
        };
        let (known, truth) = (labels(train_labels, train), labels(test_labels, test));
        let classes = known.iter().chain(&truth).max().map_or(0, |&class| class as usize + 1);
        check_classes("labels", &known, classes)?;
        let mut vectors = vec![0.0; known.len() * train.dim()];
        train.unit().read(0..known.len(), &mut vectors)?;
        let unseen_classes = unseen(&known, &truth, classes);
        let (train_rows, mut known) = (known.len(), known);
        let seed = self.0.seed;
        self.0.impute.fill(&mut vectors, &mut known, classes, train.dim(), seed);
        let neighbors = Centroids::new(&vectors, train.dim(), None);
        drop(vectors);
        let most = self.0.neighbors.last().copied().unwrap_or(0).min(known.len());
        let mut right: BTreeMap<usize, usize> = self.0.neighbors.iter().map(|&k| (k, 0)).collect();
        let source = test.unit();
        progress.start("nearest neighbors", truth.len() as u64, "rows");
        for (block, truth) in truth.chunks(TOGETHER).enumerate() {
            progress.check()?;
            let first = block * TOGETHER;
            let mut rows = vec![0.0; truth.len() * test.dim()];
            source.read(first..first + truth.len(), &mut rows)?;
            let mut found = vec![Nearest { index: 0, value: 0.0 }; truth.len() * most];
            neighbors.top(&rows, most, &mut found);
            for (found, &truth) in found.chunks_exact(most.max(1)).zip(truth) {
                self.vote(found, &known, truth, &mut right);
            }
            progress.advance(truth.len() as u64);
        }
        progress.finish();
        Ok(KnnAccuracy {
            right,
            test_rows: truth.len(),
            train_rows,
            imputed_rows: known.len() - train_rows,
            unseen_classes,
        })
    }

    /// Counts, for each number of neighbors, whether their vote is right.
    fn vote(
        &self,
        found: &[Nearest],
        known: &[u32],
        truth: u32,
        right: &mut BTreeMap<usize, usize>,
    ) {
        let mut votes: BTreeMap<u32, f64> = BTreeMap::new();
        let best = found.first().map_or(0.0, |nearest| f64::from(nearest.value));
        let mut counted = 0;
        for (&neighbors, right) in right.iter_mut() {
            let more = found.iter().take(neighbors).skip(counted);
            for nearest in more.filter(|nearest| nearest.value > f32::NEG_INFINITY) {
                // Relative to the nearest, so that no temperature overflows: the same class wins.
                let weight = ((f64::from(nearest.value) - best) / self.0.temperature).exp();
                *votes.entry(known[nearest.index as usize]).or_default() += weight;
            }
            counted = neighbors.min(found.len());
            let most = votes.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
            *right += usize::from(most.is_some_and(|(&class, _)| class == truth));
        }
    }
}

/// Classes of the test rows that no training row has.
fn unseen(known: &[u32], truth: &[u32], classes: usize) -> usize {
    let mut seen = vec![false; classes];
    known.iter().for_each(|&class| seen[class as usize] = true);
    let mut unseen: Vec<u32> = truth.iter().copied().filter(|&c| !seen[c as usize]).collect();
    unseen.sort_unstable();
    unseen.dedup();
    unseen.len()
}
