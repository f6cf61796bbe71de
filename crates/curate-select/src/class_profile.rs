//! How many samples each class has.

use serde::{Deserialize, Serialize};

use crate::{SelectError, error::check_classes};

/// How a labeled data set covers its classes.
///
/// ```
/// use curate_select::ClassProfile;
///
/// let even = ClassProfile::of_counts(vec![5; 10])?;
/// assert!((even.effective_classes() - 10.0).abs() < 1e-12 && even.gini() == 0.0);
/// let one = ClassProfile::of_counts(vec![0, 50])?;
/// assert_eq!((one.coverage(), one.effective_classes(), one.gini()), (1, 1.0, 0.5));
/// # Ok::<(), curate_select::SelectError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ClassProfile {
    counts: Vec<u64>,
}

/// As it is read back, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    counts: Vec<u64>,
}

impl TryFrom<Stored> for ClassProfile {
    type Error = SelectError;

    fn try_from(stored: Stored) -> Result<Self, SelectError> {
        Self::of_counts(stored.counts)
    }
}

impl ClassProfile {
    /// Of the number of samples of each class.
    ///
    /// # Errors
    /// When there is no class, or there are 2^64 samples or more.
    pub fn of_counts(counts: Vec<u64>) -> Result<Self, SelectError> {
        if counts.is_empty() {
            return Err(SelectError::Empty { what: "counts", least: 1 });
        }
        match counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)) {
            Some(_) => Ok(Self { counts }),
            None => Err(SelectError::TooManySamples),
        }
    }

    /// Of the class of each sample, counted from 0.
    ///
    /// # Errors
    /// When there is no class, or a label is not below `classes`.
    pub fn of_labels(labels: &[u32], classes: usize) -> Result<Self, SelectError> {
        check_classes("labels", labels, classes)?;
        let mut counts = vec![0; classes];
        labels.iter().for_each(|&class| counts[class as usize] += 1);
        Self::of_counts(counts)
    }

    /// Samples of each class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Classes with a sample.
    pub fn coverage(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// LT@k: classes with fewer than `fewer_than` samples, empty ones among them.
    pub fn long_tail(&self, fewer_than: u64) -> usize {
        self.counts.iter().filter(|&&count| count < fewer_than).count()
    }

    /// LS@q: the share of all samples that lie in the largest classes, `floor(share * classes)` of them and at least
    /// one. `None` without samples, and for a share that is not from 0 to 1.
    pub fn largest_share(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 || !(0.0..=1.0).contains(&share) {
            return None;
        }
        let mut sorted = self.counts.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        // 0.05 * 1000 is 50.000000000000004 by some roads; what is meant is 50.
        let classes = ((share * sorted.len() as f64 + 1e-9) as usize).max(1);
        Some(sorted.iter().take(classes).sum::<u64>() as f64 / total as f64)
    }

    /// The number of even classes that would spread as widely: the exponential of the entropy of the shares. 0
    /// without samples.
    pub fn effective_classes(&self) -> f64 {
        let total = self.total() as f64;
        if total == 0.0 {
            return 0.0;
        }
        let shares = self.counts.iter().filter(|&&n| n > 0).map(|&n| n as f64 / total);
        (-shares.map(|p| p * p.ln()).sum::<f64>()).exp()
    }

    /// Gini's coefficient of the counts, empty classes among them: 0 where all classes are alike, `1 - 1/classes`
    /// where one has all samples. 0 without samples.
    pub fn gini(&self) -> f64 {
        let total = self.total() as f64;
        if total == 0.0 {
            return 0.0;
        }
        let mut sorted = self.counts.clone();
        sorted.sort_unstable();
        let classes = sorted.len() as f64;
        let ranked = sorted.iter().zip(1..).map(|(&count, rank)| f64::from(rank) * count as f64);
        2.0 * ranked.sum::<f64>() / (classes * total) - (classes + 1.0) / classes
    }
}
