//! How a model confuses classes.

use serde::{Deserialize, Serialize};

use crate::{
    SelectError,
    error::{check_classes, check_lengths},
};

/// Classes that the skewness of a class's confusion looks at, as in SELECT's tables.
pub const MOST_CONFUSED: usize = 5;

/// The confusion matrix of predictions, and what it says of each class.
///
/// ```
/// use curate_select::ConfusionProfile;
///
/// let profile = ConfusionProfile::new(&[0, 0, 1, 0], &[0, 0, 1, 1], 3)?;
/// assert_eq!(profile.accuracy(), Some(0.75));
/// assert_eq!(profile.recall(), [Some(1.0), Some(0.5), None]); // class 2 has no sample,
/// assert_eq!(profile.precision(), [Some(2.0 / 3.0), Some(1.0), None]); // and no prediction
/// assert_eq!(profile.mean_recall(), Some(0.75));
/// # Ok::<(), curate_select::SelectError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ConfusionProfile {
    classes: usize,
    /// Samples of each class (row) that were taken for each class (column).
    counts: Vec<u64>,
}

/// As it is read back, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    classes: usize,
    counts: Vec<u64>,
}

impl TryFrom<Stored> for ConfusionProfile {
    type Error = SelectError;

    fn try_from(Stored { classes, counts }: Stored) -> Result<Self, SelectError> {
        let expected = classes.saturating_mul(classes);
        check_lengths("counts", counts.len(), "classes x classes", expected)?;
        if counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count)).is_none() {
            return Err(SelectError::TooManySamples);
        }
        Ok(Self { classes, counts })
    }
}

impl ConfusionProfile {
    /// Of what was predicted for each sample and what it is, classes counted from 0. Memory: 8 bytes for each pair of
    /// classes.
    ///
    /// # Errors
    /// When there is not one prediction for each sample, or one of them is no class.
    pub fn new(predicted: &[u32], truth: &[u32], classes: usize) -> Result<Self, SelectError> {
        check_lengths("predicted", predicted.len(), "truth", truth.len())?;
        check_classes("predicted", predicted, classes)?;
        check_classes("truth", truth, classes)?;
        let mut counts = vec![0; classes * classes];
        for (&predicted, &truth) in predicted.iter().zip(truth) {
            counts[truth as usize * classes + predicted as usize] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples of a class that were taken for each class; `None` for a class that there is not.
    pub fn row(&self, class: usize) -> Option<&[u64]> {
        self.counts.get(class * self.classes..(class + 1) * self.classes)
    }

    /// The share of samples that were told right; `None` without samples.
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.classes).map(|class| self.right(class)).sum();
        share(right, self.counts.iter().sum())
    }

    /// Of what was taken for a class, the share that is of it; `None` where nothing was.
    pub fn precision(&self) -> Vec<Option<f64>> {
        let taken = |class: usize| self.counts.iter().skip(class).step_by(self.classes).sum();
        (0..self.classes).map(|class| share(self.right(class), taken(class))).collect()
    }

    /// Of a class's samples, the share that was told right, which is its accuracy; `None` where it has none.
    pub fn recall(&self) -> Vec<Option<f64>> {
        self.rows().enumerate().map(|(class, row)| share(row[class], row.iter().sum())).collect()
    }

    /// The mean of the recalls of the classes that have samples: balanced accuracy. `None` without any.
    pub fn mean_recall(&self) -> Option<f64> {
        let recalls: Vec<f64> = self.recall().into_iter().flatten().collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// The least recall of a class that has samples, and that class; the first of several.
    pub fn worst(&self) -> Option<(usize, f64)> {
        let recalls = self.recall().into_iter().enumerate();
        let recalls = recalls.filter_map(|(class, recall)| Some((class, recall?)));
        recalls.reduce(|worst, next| if next.1 < worst.1 { next } else { worst })
    }

    /// How unevenly a class is confused: the skewness $m_3 / m_2^{3/2}$ of the shares of its samples that went to the
    /// [`MOST_CONFUSED`] classes that it is most often taken for, those it is never taken for not among them. 0 where
    /// they are alike, and `None` where it is never taken for another.
    pub fn skewness(&self) -> Vec<Option<f64>> {
        let confused = |(class, row): (usize, &[u64])| {
            let others = row.iter().enumerate().filter(|&(other, &n)| other != class && n > 0);
            let mut counts: Vec<u64> = others.map(|(_, &count)| count).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            counts.truncate(MOST_CONFUSED);
            skewness(&counts)
        };
        self.rows().enumerate().map(confused).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes.max(1))
    }

    fn right(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Of counts it is that of their shares: scaling changes nothing.
fn skewness(counts: &[u64]) -> Option<f64> {
    if counts.is_empty() {
        return None;
    }
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<u64>() as f64 / n;
    let moment =
        |power: i32| counts.iter().map(|&c| (c as f64 - mean).powi(power)).sum::<f64>() / n;
    let variance = moment(2);
    Some(if variance > 0.0 { moment(3) / variance.powf(1.5) } else { 0.0 })
}
