//! Clusters that are there already: of an earlier stage, or of another program.

use std::path::Path;

use curate_cluster::{Assignment, Clustering, Clusters, Engine, Metric, assign};
use curate_core::{EmbeddingSource, Progress, Rows, Selection, embedding, fault::Faulty};
use curate_device::DeviceName;
use curate_io::{IoError, Kind, Pool, vectors::StoredArray};
use ndarray::Array2;

use super::{
    clustering::{KMeansRecipe, KMeansTold, block_bytes, dim},
    vectors::of_file,
};
use crate::{
    Error,
    error::StageError,
    record::CENTROIDS,
    rows::StageRows,
    stage::{Context, Cost, Origin},
};

/// The rule under which rows go that have no cluster.
pub(crate) const NO_CLUSTER: &str = "no-cluster";

/// Where a stage that works inside clusters has them from.
#[derive(Clone, Debug)]
pub(crate) enum ClusterSource {
    /// Clusters its own rows, into so many clusters.
    Fit { clusters: usize, recipe: KMeansRecipe },
    /// Shares those of an earlier stage.
    Of(String),
}

/// The rows that a method is given, where it shares clusters.
pub(crate) struct Shared<'a> {
    /// Those that have a cluster.
    pub(crate) rows: Rows<'a>,
    /// The clusters; `None` where the method makes its own.
    pub(crate) clusters: Option<Clusters>,
    /// Usable rows without a cluster.
    lost: Selection,
    /// Those whose vectors cannot be used.
    faults: Vec<Faulty>,
}

impl Shared<'_> {
    /// All given rows stay, but those that were set aside or have no cluster.
    pub(crate) fn verdicts(&self, input: &Selection) -> StageRows {
        let mut rows = StageRows::with_faults(input, &self.faults);
        for row in self.lost.iter() {
            rows.remove(input.position(row).expect("a row that was given"), NO_CLUSTER);
        }
        rows
    }
}

impl ClusterSource {
    /// Those of an earlier stage where one is named, else its own.
    pub(crate) fn of(
        from: &Option<String>,
        clusters: Option<usize>,
        recipe: &KMeansRecipe,
    ) -> Self {
        match from {
            Some(stage) => Self::Of(stage.clone()),
            None => Self::Fit { clusters: clusters.unwrap_or(1), recipe: recipe.clone() },
        }
    }

    /// Of the rows those that can have a cluster, with the clusters that are there.
    pub(crate) fn share<'a>(
        &self,
        rows: Rows<'a>,
        context: &Context<'_>,
    ) -> Result<Shared<'a>, StageError> {
        let faults = rows.faults().to_vec();
        let Self::Of(stage) = self else {
            return Ok(Shared { rows, clusters: None, lost: Selection::default(), faults });
        };
        let clusters = of_stage(stage, context)?;
        let lost = rows.usable().minus(clusters.rows());
        let rows = rows.only(&rows.usable().minus(&lost))?;
        Ok(Shared { rows, clusters: Some(clusters), lost, faults })
    }

    /// For tasks that have a part of the work each; `None` where that is not possible, since nearest
    /// centroids are searched on a device.
    pub(crate) fn origin(&self) -> Option<Origin<'_>> {
        match self {
            Self::Fit { recipe, .. } if recipe.device != DeviceName::Cpu => None,
            Self::Fit { clusters, recipe } => {
                Some(Origin::Fit(*clusters, Box::new(recipe.params())))
            }
            Self::Of(stage) => Some(Origin::Stage(stage)),
        }
    }

    /// Where nearest centroids are searched; the native kernels if there is none.
    pub(crate) fn engine(&self) -> Result<Option<Box<dyn Engine>>, StageError> {
        match self {
            Self::Fit { recipe, .. } => Ok(recipe.device.engine()?),
            Self::Of(_) => Ok(None),
        }
    }

    /// How many there are, as far as that is known before a run.
    pub(crate) fn number(&self) -> usize {
        match self {
            Self::Fit { clusters, .. } => *clusters,
            Self::Of(_) => 1,
        }
    }

    /// What having them needs; those of an earlier stage are priced there.
    pub(crate) fn cost(&self, rows: usize, embedding: &str, pool: &Pool) -> Result<Cost, Error> {
        match self {
            Self::Fit { clusters, recipe } => recipe.cost(rows, *clusters, embedding, pool),
            Self::Of(_) => {
                let dim = dim(pool, embedding)?;
                let (reads, memory) = (4 * rows as u64 * dim, block_bytes(rows, dim));
                Ok(Cost { reads, memory, operations: 0.0 })
            }
        }
    }

    /// How clustering went; `None` where it was another stage's.
    pub(crate) fn told(&self, clusters: &Clusters) -> Option<KMeansTold> {
        matches!(self, Self::Fit { .. }).then(|| KMeansTold::of(clusters.clustering()))
    }
}

/// The clusters that an earlier stage left. Its number of a row is the nearness to its centroid.
pub(crate) fn of_stage(stage: &str, context: &Context<'_>) -> Result<Clusters, StageError> {
    let unknown = || StageError::Problem(format!("no earlier cluster stage is named `{stage}`"));
    let stage = context.earlier.find(stage).ok_or_else(unknown)?;
    let left = stage.rows()?;
    let (mut rows, mut labels, mut nearness) = (Vec::new(), Vec::new(), Vec::new());
    for (position, cluster) in left.cluster.iter().enumerate() {
        if let Some(cluster) = *cluster {
            rows.push(left.row(position));
            labels.push(cluster);
            nearness.push(left.value.get(position) as f32);
        }
    }
    let rows = Selection::from_unsorted(rows);
    if rows.is_empty() {
        // It had no row to cluster, and so left no centroids.
        return Ok(Clusters::none(0));
    }
    let centroids = centroids_of(&stage.folder.join(CENTROIDS))?;
    let assignment = Assignment::new(centroids.nrows(), labels, nearness)?;
    Ok(Clusters::new(rows, made(centroids, assignment))?)
}

fn centroids_of(path: &Path) -> Result<Array2<f32>, StageError> {
    let dim = StoredArray::open_npy(path)?.dim();
    let values = of_file(path, dim)?;
    let k = values.len() / dim.max(1);
    Ok(Array2::from_shape_vec((k, dim), values).expect("k vectors of dim numbers"))
}

fn made(centroids: Array2<f32>, assignment: Assignment) -> Clustering {
    Clustering {
        centroids,
        metric: Metric::Spherical,
        assignment,
        objective: vec![],
        converged: true,
        reseeded: 0,
        ruled: Default::default(),
    }
}

/// Puts each row to the nearest centroid of a file.
pub(crate) fn of_centroids(
    path: &Path,
    source: &dyn EmbeddingSource,
    progress: &dyn Progress,
) -> Result<Clustering, StageError> {
    let mut centroids = centroids_of(path)?;
    if centroids.ncols() != source.dim() {
        let problem = format!(
            "holds centroids of {} numbers, the embedding has {}",
            centroids.ncols(),
            source.dim()
        );
        let remedy = "name the embedding that was clustered";
        return Err(IoError::new(Kind::Disagree, path, problem, remedy).into());
    }
    // Of clusters by Euclidean distance the centroids of unit rows are shorter than 1.
    centroids.rows_mut().into_iter().for_each(|mut row| match row.as_slice_mut() {
        Some(row) => embedding::normalize(row),
        None => unreachable!("rows of a matrix that was read are contiguous"),
    });
    let assignment = assign(centroids.view(), Metric::Spherical, source, progress)?;
    Ok(made(centroids, assignment))
}

/// The clusters' numbers that a table gives; `None` where it gives none, or one below 0.
pub(crate) fn labels(path: &Path, values: &[f64]) -> Result<Vec<Option<u32>>, IoError> {
    let most = values.len() as f64;
    let label = |&value: &f64| match value {
        value if value.is_nan() || value < 0.0 => Ok(None),
        // More clusters than rows are no clusters but ids: centroids of all of them would be held.
        value if value.fract() == 0.0 && value < most => Ok(Some(value as u32)),
        value => {
            let problem =
                format!("has the cluster {value}, which is not a number below the {most} rows");
            let remedy = "number the clusters from 0";
            Err(IoError::new(Kind::Disagree, path, problem, remedy))
        }
    };
    values.iter().map(label).collect()
}

/// Clusters of which only the rows' numbers are known: centroids are the means of their rows, of
/// length 1.
pub(crate) fn of_labels(
    labels: Vec<u32>,
    source: &dyn EmbeddingSource,
    progress: &dyn Progress,
) -> Result<Clustering, StageError> {
    let (k, dim) = (labels.iter().max().map_or(0, |&last| last as usize + 1), source.dim());
    let mut sums = vec![0.0_f64; k * dim];
    each_row(source, progress, |row, vector| {
        let sum = &mut sums[labels[row] as usize * dim..][..dim];
        sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x));
    })?;
    // The length of a sum is that of the mean times the rows, so it need not be divided.
    let mut centroids: Vec<f32> = sums.chunks_exact(dim.max(1)).flat_map(unit).collect();
    centroids.truncate(k * dim);
    let mut nearness = vec![0.0; labels.len()];
    each_row(source, progress, |row, vector| {
        let centroid = &centroids[labels[row] as usize * dim..][..dim];
        nearness[row] = embedding::dot(vector, centroid) as f32;
    })?;
    let centroids = Array2::from_shape_vec((k, dim), centroids).expect("k vectors of dim numbers");
    Ok(made(centroids, Assignment::new(k, labels, nearness)?))
}

fn unit(sum: &[f64]) -> Vec<f32> {
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    sum.iter().map(|x| (x * scale) as f32).collect()
}

/// Hands every row to `each`, in order: sums over rows do not depend on threads.
fn each_row(
    source: &dyn EmbeddingSource,
    progress: &dyn Progress,
    mut each: impl FnMut(usize, &[f32]),
) -> Result<(), StageError> {
    let (n, dim) = (source.rows(), source.dim().max(1));
    let mut block = Vec::new();
    for first in (0..n).step_by(curate_core::BLOCK_ROWS) {
        progress.check().map_err(curate_core::SourceError::from)?;
        let rows = first..n.min(first + curate_core::BLOCK_ROWS);
        block.resize(rows.len() * source.dim(), 0.0);
        source.read(rows, &mut block)?;
        block.chunks_exact(dim).enumerate().for_each(|(i, vector)| each(first + i, vector));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::array;

    use super::*;

    #[test]
    fn means_of_given_clusters_are_unit_centroids() {
        let rows = array![[1.0_f32, 0.0], [0.0, 1.0], [0.0, 1.0], [0.6, 0.8]];
        let found = of_labels(vec![0, 2, 2, 0], &rows.view(), &NoProgress).unwrap();
        // (1.6, 0.8) over its length.
        let expected = [0.894_427_2, 0.447_213_6];
        for (x, y) in found.centroids.row(0).iter().zip(expected) {
            assert!((x - y).abs() < 1e-6, "{found:?}");
        }
        assert_eq!(found.centroids.row(1).to_vec(), [0.0, 0.0], "an empty cluster");
        assert_eq!(found.centroids.row(2).to_vec(), [0.0, 1.0]);
        assert_eq!(found.sizes(), [2, 0, 2]);
        assert!((found.assignment.nearness()[3] - 0.894_427_2).abs() < 1e-6);
        assert_eq!(found.assignment.nearness()[1], 1.0);
    }

    #[test]
    fn labels_are_counted_from_0_and_none_is_below() {
        let path = Path::new("a.csv");
        let found = labels(path, &[1.0, -1.0, f64::NAN, 0.0]).unwrap();
        assert_eq!(found, [Some(1), None, None, Some(0)]);
        for wrong in [0.5, 7.0, f64::INFINITY] {
            let error = labels(path, &[wrong, 0.0]).unwrap_err().to_string();
            assert!(error.contains("number the clusters from 0"), "{error}");
        }
    }
}
