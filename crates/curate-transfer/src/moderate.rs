//! The moderate coreset: rows whose distance to their class's center is neither small nor large.

use curate_core::{
    Cut, CutError, EmbeddingSource, ParamsError, Progress, Removal, Selection, rank::fraction_of,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{NO_CLASS, TransferError, run::check_classes};

/// The rule under which rows go whose distance is not moderate.
pub const NOT_MODERATE: &str = "not-moderate";

/// Where a class's center is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Center {
    /// The median of each coordinate, as the published code has it.
    #[default]
    Median,
    /// The mean, as the paper has it.
    Mean,
}

/// Parameters of the moderate coreset (Xia et al. 2023).
///
/// ```
/// use curate_core::{Cut, NoProgress};
/// use curate_transfer::ModerateParams;
/// use ndarray::array;
///
/// // One class on a line: its median is 3.
/// let features = array![[0.0_f32], [2.5], [3.0], [4.0], [30.0]];
/// let moderate = ModerateParams::new(1).check()?;
/// let found = moderate.run(&features, &[0; 5], &NoProgress)?;
/// assert_eq!(found.distances(), [3.0, 0.5, 0.0, 1.0, 27.0]);
/// assert_eq!(found.select(Cut::Top(3))?.rows(), [0, 1, 3], "without the nearest and the farthest");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModerateParams {
    classes: usize,
    #[serde(default)]
    center: Center,
}

impl ModerateParams {
    /// For rows of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, center: Center::default() }
    }

    /// Where a class's center is; the median of each coordinate unless told.
    pub fn center(mut self, center: Center) -> Self {
        self.center = center;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Moderate, ParamsError> {
        crate::TransferParams::new(self.classes).check()?;
        Ok(Moderate(self))
    }
}

/// Finds how far rows are from their class's center, with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Moderate(ModerateParams);

impl Moderate {
    /// The Euclidean distance of each row to the center of its class. Rows that are not finite, and rows of no
    /// class, have none and are never kept.
    ///
    /// Memory: the features of one class for each thread.
    ///
    /// # Errors
    /// When there is not one label for each row, a label is no class, features cannot be read, or the caller
    /// cancels.
    pub fn run(
        &self,
        features: &dyn EmbeddingSource,
        labels: &[u32],
        progress: &dyn Progress,
    ) -> Result<Moderated, TransferError> {
        let (rows, classes) = (features.rows(), self.0.classes);
        if labels.len() != rows {
            return Err(TransferError::Rows { what: "labels", found: labels.len(), rows });
        }
        check_classes("labels", labels, classes)?;
        let mut members = vec![vec![]; classes];
        let of_a_class = labels.iter().enumerate().filter(|(_, class)| **class != NO_CLASS);
        of_a_class.for_each(|(row, &class)| members[class as usize].push(row));
        progress.start("centers", rows as u64, "rows");
        let found: Result<Vec<Vec<f64>>, TransferError> = members
            .par_iter()
            .map(|rows| {
                progress.check()?;
                let distances = self.distances(features, rows)?;
                progress.advance(rows.len() as u64);
                Ok(distances)
            })
            .collect();
        progress.finish();
        let mut distances = vec![f64::NAN; rows];
        for (rows, found) in members.iter().zip(found?) {
            rows.iter().zip(found).for_each(|(&row, distance)| distances[row] = distance);
        }
        Ok(Moderated { distances, labels: labels.to_vec() })
    }

    /// Of the rows of one class.
    fn distances(
        &self,
        features: &dyn EmbeddingSource,
        rows: &[usize],
    ) -> Result<Vec<f64>, TransferError> {
        let dim = features.dim();
        let mut vectors = vec![0.0_f32; rows.len() * dim];
        features.gather(rows, &mut vectors)?;
        let usable: Vec<&[f32]> = vectors
            .chunks_exact(dim.max(1))
            .filter(|vector| vector.iter().all(|x| x.is_finite()))
            .collect();
        let center: Vec<f64> = (0..dim)
            .map(|t| {
                let mut column: Vec<f64> = usable.iter().map(|v| f64::from(v[t])).collect();
                match self.0.center {
                    Center::Mean => column.iter().sum::<f64>() / column.len() as f64,
                    Center::Median => median(&mut column),
                }
            })
            .collect();
        let distance = |vector: &[f32]| {
            let squares = vector.iter().zip(&center).map(|(&x, c)| (f64::from(x) - c).powi(2));
            let distance = squares.sum::<f64>().sqrt();
            if distance.is_finite() { distance } else { f64::NAN }
        };
        Ok(vectors.chunks_exact(dim.max(1)).map(distance).collect())
    }
}

/// As numpy has it: of an even number the mean of the two in the middle. NaN of none.
fn median(numbers: &mut [f64]) -> f64 {
    if numbers.is_empty() {
        return f64::NAN;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        1 => numbers[middle],
        _ => 0.5 * (numbers[middle - 1] + numbers[middle]),
    }
}

/// How far each row is from its class's center.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moderated {
    distances: Vec<f64>,
    labels: Vec<u32>,
}

impl Moderated {
    /// The distance of each row; NaN where it has none.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// The middle of all rows by distance: a count, or a fraction of all rows, as many nearer as farther rows left
    /// out; where that is not even, one more of the farther. Ties go to the smaller row.
    ///
    /// # Errors
    /// When the cut is out of range, or names no number of rows.
    pub fn select(&self, cut: Cut) -> Result<Selection, TransferError> {
        let mut ranked: Vec<usize> =
            (0..self.distances.len()).filter(|&row| !self.distances[row].is_nan()).collect();
        let wanted = match cut.check().map_err(CutError::from)? {
            Cut::Fraction(fraction) => fraction_of(self.distances.len(), fraction),
            Cut::Top(count) => count,
            cut => return Err(TransferError::NoCount { cut }),
        };
        let wanted = wanted.min(ranked.len());
        ranked.sort_by(|&a, &b| self.distances[a].total_cmp(&self.distances[b]));
        let first = (ranked.len() - wanted) / 2;
        Ok(Selection::from_unsorted(ranked[first..first + wanted].to_vec()))
    }

    /// Why each row that does not stay goes, in row order, with its distance and its class.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub fn removals(&self, cut: Cut) -> Result<Vec<Removal>, TransferError> {
        let kept = self.select(cut)?;
        let gone = Selection::all(self.distances.len()).minus(&kept);
        let removal = |row: usize| {
            let removal = Removal::new(row, NOT_MODERATE).valued(self.distances[row]);
            match self.labels[row] {
                NO_CLASS => removal,
                class => removal.in_cluster(class),
            }
        };
        Ok(gone.iter().map(removal).collect())
    }
}
