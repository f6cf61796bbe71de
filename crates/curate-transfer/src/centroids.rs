//! Classes where they are not given: means of labeled features, clusters instead of labels.

use curate_cluster::Clusters;
use curate_core::{EmbeddingSource, Progress};
use ndarray::Array2;

use crate::{NO_CLASS, TransferError, run::check_classes};

/// The mean feature of each class: centroids for [`Target::Features`](crate::Target::Features). Rows without a
/// class and rows that are not finite do not count.
///
/// ```
/// use curate_core::NoProgress;
/// use ndarray::array;
///
/// let features = array![[1.0_f32, 0.0], [3.0, 0.0], [0.0, 5.0]];
/// let means = curate_transfer::class_means(&features, &[0, 0, 1], 2, &NoProgress)?;
/// assert_eq!(means, array![[2.0_f32, 0.0], [0.0, 5.0]]);
/// # Ok::<(), curate_transfer::TransferError>(())
/// ```
///
/// # Errors
/// When there is not one label for each row, a label is no class, a class has no row, features cannot be read, or the caller
/// cancels.
pub fn class_means(
    features: &dyn EmbeddingSource,
    labels: &[u32],
    classes: usize,
    progress: &dyn Progress,
) -> Result<Array2<f32>, TransferError> {
    let (rows, dim) = (features.rows(), features.dim());
    if labels.len() != rows {
        return Err(TransferError::Rows { what: "labels", found: labels.len(), rows });
    }
    check_classes("labels", labels, classes)?;
    let mut sums = vec![0.0_f64; classes * dim];
    let mut counts = vec![0_usize; classes];
    let mut vector = vec![0.0; dim];
    progress.start("class means", rows as u64, "rows");
    for (row, &class) in labels.iter().enumerate() {
        if row % 1024 == 0 {
            progress.check()?;
            progress.advance(1024.min(rows - row) as u64);
        }
        if class == NO_CLASS {
            continue;
        }
        features.read(row..row + 1, &mut vector)?;
        if vector.iter().all(|x| x.is_finite()) {
            let class = class as usize;
            let sums = &mut sums[class * dim..(class + 1) * dim];
            sums.iter_mut().zip(&vector).for_each(|(sum, &x)| *sum += f64::from(x));
            counts[class] += 1;
        }
    }
    progress.finish();
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(TransferError::EmptyClass { class });
    }
    let mean = |(class, t): (usize, usize)| (sums[class * dim + t] / counts[class] as f64) as f32;
    Ok(Array2::from_shape_fn((classes, dim), mean))
}

/// The cluster of each of so many source rows as its class; rows in no cluster are of none.
///
/// Their centroids, for [`Target::Features`](crate::Target::Features), are those of the
/// [clustering](Clusters::clustering).
///
/// # Panics
/// Never: a row beyond `rows` is left out.
pub fn pseudo_classes(clusters: &Clusters, rows: usize) -> Vec<u32> {
    (0..rows).map(|row| clusters.cluster(row).unwrap_or(NO_CLASS)).collect()
}
