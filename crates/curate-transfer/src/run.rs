//! The front door: votes of a target, and the controls that need none.

use curate_cluster::assign;
use curate_core::{
    EmbeddingSource, Progress, SampleId,
    embedding::{self, RowsOf},
    random,
};
use ndarray::ArrayView2;

use crate::{NO_CLASS, Ranking, Transfer, TransferError, ranking::Kind};

/// What says which source classes the target needs.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// Label mapping: the source class that a source-trained network takes each target sample for.
    Predictions(&'a [u32]),
    /// The same from the network's answers, a number for each class: the largest counts, of several the first.
    Logits(&'a dyn EmbeddingSource),
    /// Feature mapping: the target's features, and a centroid for each source class in the same space.
    Features {
        /// One row for each target sample.
        features: &'a dyn EmbeddingSource,
        /// One row for each source class: [`class_means`](crate::class_means), or a clustering's centroids.
        centroids: ArrayView2<'a, f32>,
    },
}

/// What a ranking has to beat.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// Classes in an order drawn by the seed.
    Random,
    /// The mean gradient norm of each class's rows, one number for each source row; a row whose norm is NaN does
    /// not count. A class without any is never kept.
    GradientNorm(&'a [f32]),
}

impl Transfer {
    /// Lets the target vote for classes. `labels` has the class of each source row, or [`NO_CLASS`].
    ///
    /// Target samples whose numbers are not finite do not vote ([`Ranking::unusable`]).
    ///
    /// # Errors
    /// When a label or a prediction is no class, numbers are not given for each class, no sample can vote, vectors
    /// cannot be read, or the caller cancels.
    pub fn run(
        &self,
        labels: &[u32],
        target: Target<'_>,
        progress: &dyn Progress,
    ) -> Result<Ranking, TransferError> {
        let classes = self.0.classes;
        check_classes("labels", labels, classes)?;
        let (votes, unusable) = match target {
            Target::Predictions(predictions) => {
                let known = |&class: &u32| (class as usize) < classes;
                if let Some(row) = predictions.iter().position(|class| !known(class)) {
                    let class = predictions[row];
                    return Err(TransferError::Class { what: "predictions", row, class, classes });
                }
                (predictions.to_vec(), vec![])
            }
            Target::Logits(logits) => largest(logits, classes, progress)?,
            Target::Features { features, centroids } => {
                self.nearest(features, centroids, progress)?
            }
        };
        if votes.is_empty() {
            return Err(TransferError::NoTarget { given: unusable.len() });
        }
        let mut numbers = vec![0.0; classes];
        votes.iter().for_each(|&class| numbers[class as usize] += 1.0);
        Ok(Ranking::new(Kind::Votes, self.0.order, labels, numbers, unusable))
    }

    /// Ranks classes by what a target's ranking has to beat.
    ///
    /// # Errors
    /// When a label is no class, or there is not one number for each source row.
    pub fn control(&self, labels: &[u32], control: Control<'_>) -> Result<Ranking, TransferError> {
        let classes = self.0.classes;
        check_classes("labels", labels, classes)?;
        let numbers = match control {
            Control::Random => {
                let seed = random::derive(self.0.seed, "transfer");
                (0..classes).map(|class| random::unit(seed, SampleId(class as u128))).collect()
            }
            Control::GradientNorm(norms) => mean_by_class(labels, norms, classes)?,
        };
        Ok(Ranking::new(Kind::Numbers, self.0.order, labels, numbers, vec![]))
    }

    /// The nearest centroid of each sample that can be used, and the others.
    fn nearest(
        &self,
        features: &dyn EmbeddingSource,
        centroids: ArrayView2<'_, f32>,
        progress: &dyn Progress,
    ) -> Result<(Vec<u32>, Vec<usize>), TransferError> {
        let (found, classes) = (centroids.nrows(), self.0.classes);
        if found != classes {
            return Err(TransferError::Classes { what: "centroids", found, classes });
        }
        let finite = each_row(features, progress, |vector| vector.iter().all(|x| x.is_finite()))?;
        let unusable: Vec<usize> = (0..finite.len()).filter(|&row| !finite[row]).collect();
        let usable: Vec<usize> = (0..finite.len()).filter(|&row| finite[row]).collect();
        let assignment = match unusable.is_empty() {
            true => assign(centroids, self.0.metric, features, progress)?,
            false => {
                let usable = RowsOf::new(features, &usable);
                assign(centroids, self.0.metric, &usable, progress)?
            }
        };
        Ok((assignment.cluster().to_vec(), unusable))
    }
}

/// The class of the largest number of each row that has no NaN, and the rows that have one.
fn largest(
    logits: &dyn EmbeddingSource,
    classes: usize,
    progress: &dyn Progress,
) -> Result<(Vec<u32>, Vec<usize>), TransferError> {
    if logits.dim() != classes {
        let found = logits.dim();
        return Err(TransferError::Classes { what: "logits", found, classes });
    }
    let best = each_row(logits, progress, |row| {
        if row.iter().any(|x| x.is_nan()) {
            return None;
        }
        // The first of several that are as large, as numpy's argmax.
        let later = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
        (0..row.len()).reduce(later)
    })?;
    let unusable = (0..best.len()).filter(|&row| best[row].is_none()).collect();
    Ok((best.into_iter().flatten().map(|class| class as u32).collect(), unusable))
}

/// What `look` says of each row, block by block.
fn each_row<T: Send>(
    source: &dyn EmbeddingSource,
    progress: &dyn Progress,
    look: impl Fn(&[f32]) -> T + Sync,
) -> Result<Vec<T>, TransferError> {
    let dim = source.dim().max(1);
    progress.start("read target", source.rows() as u64, "rows");
    let blocks = embedding::map_blocks(source, progress, |_, vectors| {
        vectors.chunks_exact(dim).map(&look).collect::<Vec<T>>()
    })?;
    progress.finish();
    Ok(blocks.into_iter().flatten().collect())
}

fn mean_by_class(
    labels: &[u32],
    numbers: &[f32],
    classes: usize,
) -> Result<Vec<f64>, TransferError> {
    if numbers.len() != labels.len() {
        let (found, rows) = (numbers.len(), labels.len());
        return Err(TransferError::Rows { what: "gradient norms", found, rows });
    }
    let (mut sums, mut counts) = (vec![0.0; classes], vec![0_usize; classes]);
    for (&class, &number) in labels.iter().zip(numbers) {
        if class != NO_CLASS && !number.is_nan() {
            sums[class as usize] += f64::from(number);
            counts[class as usize] += 1;
        }
    }
    // Of no rows: not a number, which is never kept.
    Ok(sums.iter().zip(&counts).map(|(sum, &count): (&f64, _)| sum / count as f64).collect())
}

/// An error at the first label that is neither a class nor [`NO_CLASS`].
pub(crate) fn check_classes(
    what: &'static str,
    labels: &[u32],
    classes: usize,
) -> Result<(), TransferError> {
    let known = |&class: &u32| class == NO_CLASS || (class as usize) < classes;
    match labels.iter().position(|class| !known(class)) {
        Some(row) => Err(TransferError::Class { what, row, class: labels[row], classes }),
        None => Ok(()),
    }
}
