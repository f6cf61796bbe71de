//! K-means over parts of the rows, by processes that share nothing but what they write down.
//!
//! A pass of Lloyd's iterations over a part needs the centroids alone, and its sums are in fixed point,
//! so parts add up to the bytes of one process, in any order and after any failure.

use curate_core::{EmbeddingSource, Progress, SampleId, rank, rank::Direction};
use curate_kernels::ExactSum;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{
    Assignment, CentroidSums, ClusterError, Clustering, EmptyClusters, KMeans, Metric, empty,
    facts::Facts,
    lloyd::{Placed, lend},
    search::{Block, Search},
    start,
    task::task,
    trained::stalled,
};

/// Centroids on the way from their start to where they stay.
///
/// ```
/// use curate_cluster::KMeansParams;
/// use curate_core::{NoProgress, Rows, SampleId, Selection};
/// use ndarray::array;
///
/// let vectors = array![[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8], [0.6, 0.8]];
/// let rows = Rows::new(&vectors)?;
/// let ids = rows.usable_ids();
/// let kmeans = KMeansParams::new(2).seed(1).check()?;
/// let parts = [Selection::from_unsorted(vec![0, 1]), Selection::from_unsorted(vec![2, 3, 4])]
///     .map(|part| rows.only(&part).unwrap());
///
/// let mut training = kmeans.begin(&rows.unit(), &ids, &NoProgress)?;
/// let mut before = [None, None];
/// while !training.is_done(&kmeans) {
///     // Any order would do, on any machine.
///     let [first, second] = parts.each_ref().map(|part| {
///         kmeans.pass(&training, &part.unit(), &part.usable_ids(), &NoProgress).unwrap()
///     });
///     let moved = first.moved_since(before[0].as_ref()) + second.moved_since(before[1].as_ref());
///     before = [Some(first.clone()), Some(second.clone())];
///     training = kmeans.next(training, [(2, second), (0, first)], moved, &rows.unit())?;
/// }
/// let whole = kmeans.fit(&rows.unit(), &ids, &NoProgress)?;
/// assert_eq!(training.centroids(), &whole.centroids);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    centroids: Array2<f32>,
    metric: Metric,
    objective: Vec<f64>,
    converged: bool,
    reseeded: usize,
}

/// What a pass over a part of the rows found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartPass {
    sums: CentroidSums,
    /// An [`ExactSum`] of distances.
    objective: Vec<i128>,
    cluster: Vec<u32>,
    worst: Vec<Worst>,
}

/// What a process remembers of a part from one pass to the next, so that most rows need not be searched for
/// again: bounds on every row's similarities, as one process has them that trains at once. The answer does
/// not depend on it; a process that is new to a part starts with none.
#[derive(Default)]
pub struct PartMemory(Option<(Search<'static>, Placed)>);

/// A row that fits its centroid badly, and so may be lent to an empty cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Worst {
    /// The place of the row in its part.
    row: usize,
    id: SampleId,
    cluster: u32,
    misfit: f32,
}

impl PartPass {
    /// The cluster of each row of the part.
    pub fn cluster(&self) -> &[u32] {
        &self.cluster
    }

    /// Rows that are in another cluster than after the pass before, or all where there was none.
    pub fn moved_since(&self, before: Option<&Self>) -> usize {
        let Some(before) = before else { return self.cluster.len() };
        self.cluster.iter().zip(&before.cluster).filter(|(now, then)| now != then).count()
    }
}

impl Training {
    /// The centroids, `k x d`.
    pub fn centroids(&self) -> &Array2<f32> {
        &self.centroids
    }

    /// Passes that were made.
    pub fn passes(&self) -> usize {
        self.objective.len()
    }

    /// Whether the centroids stay where they are.
    pub fn is_done(&self, kmeans: &KMeans) -> bool {
        self.converged || self.objective.len() >= kmeans.iterations()
    }

    /// The clustering of rows that were assigned to these centroids, in parts or at once
    /// ([`crate::assign()`]).
    ///
    /// # Errors
    /// When a part was assigned to another number of centroids.
    pub fn clustering(
        self,
        parts: impl IntoIterator<Item = Assignment>,
    ) -> Result<Clustering, ClusterError> {
        let k = self.centroids.nrows();
        let mut assignment = Assignment::empty(k);
        for part in parts.into_iter().filter(|part| part.rows() > 0) {
            if part.k() != k {
                return Err(ClusterError::StartMismatch { centroids: k, clusters: part.k() });
            }
            assignment.extend(part.cluster(), part.nearness());
        }
        let Self { centroids, metric, objective, converged, reseeded } = self;
        let ruled = Default::default();
        Ok(Clustering { centroids, metric, assignment, objective, converged, reseeded, ruled })
    }
}

impl KMeans {
    /// Whether its training can be taken apart into [`Self::pass`]es over parts of the rows: Lloyd's
    /// iterations over all of them, spherical. Otherwise see [`Self::train_at_once`].
    pub fn is_in_parts(&self) -> bool {
        self.metric() == Metric::Spherical
            && self.batch_rows().is_none()
            && self.train_rows_per_cluster().is_none()
    }

    fn check_in_parts(&self) -> Result<(), ClusterError> {
        if self.is_in_parts() { Ok(()) } else { Err(ClusterError::NotInParts) }
    }

    /// An error unless the centroids are as many as the clusters, of rows of this length.
    fn check_training(&self, training: &Training, dim: usize) -> Result<(), ClusterError> {
        self.check_in_parts()?;
        let (k, clusters) = (training.centroids.nrows(), self.clusters());
        if k != clusters {
            return Err(ClusterError::StartMismatch { centroids: k, clusters });
        }
        match training.centroids.ncols() {
            centroids if centroids != dim => {
                Err(ClusterError::DimMismatch { centroids, rows: dim })
            }
            _ => Ok(()),
        }
    }

    /// The start of a training in parts: its centroids before the first pass.
    ///
    /// # Errors
    /// As [`KMeans::fit`], and when it is not trained in parts ([`Self::is_in_parts`]).
    pub fn begin<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Training, ClusterError> {
        self.check_in_parts()?;
        self.check_rows(source, ids)?;
        let start = start::start(self, source, &Facts::Unknown, ids, progress)?;
        Ok(Training {
            centroids: shaped(start.centroids, source.dim()),
            metric: self.metric(),
            objective: Vec::new(),
            converged: false,
            reseeded: 0,
        })
    }

    /// A whole training by one process: that of [`KMeans::fit`] without the assignment of all rows.
    ///
    /// # Errors
    /// As [`KMeans::fit`].
    pub fn train_at_once<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Training, ClusterError> {
        let trained = self.trained(None, None, source, ids, progress)?;
        Ok(Training {
            centroids: shaped(trained.centroids, source.dim()),
            metric: self.metric(),
            objective: trained.objective,
            converged: trained.converged,
            reseeded: trained.reseeded,
        })
    }

    /// One pass over a part of the rows.
    ///
    /// # Errors
    /// When it is not trained in parts, the training is of another number of clusters or length of rows,
    /// there is not one id a row, a row is not finite or not of length 1, rows cannot be read, or the
    /// caller cancels. The rows that errors name are places in the part.
    pub fn pass<S: EmbeddingSource + ?Sized>(
        &self,
        training: &Training,
        part: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<PartPass, ClusterError> {
        self.pass_with(training, part, ids, None, progress)
    }

    /// [`Self::pass`] by a process that comes to the same part again: `memory` is what it remembers of it,
    /// and then what it will.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub fn pass_with<S: EmbeddingSource + ?Sized>(
        &self,
        training: &Training,
        part: &S,
        ids: &[SampleId],
        memory: Option<&mut PartMemory>,
        progress: &dyn Progress,
    ) -> Result<PartPass, ClusterError> {
        if ids.len() != part.rows() {
            return Err(ClusterError::IdsMismatch { ids: ids.len(), rows: part.rows() });
        }
        let (metric, dim) = (self.metric(), part.dim());
        self.check_training(training, dim)?;
        let centroids = training.centroids.as_standard_layout();
        let centroids = centroids.as_slice().expect("standard layout");
        let mut forgotten = PartMemory::default();
        let is_remembered = memory.is_some();
        let memory = memory.unwrap_or(&mut forgotten);
        let remembered = memory.0.take().filter(|(_, placed)| placed.cluster.len() == part.rows());
        let (mut search, mut placed) = match remembered {
            Some((mut search, placed)) => {
                search.move_to(centroids)?;
                (search, placed)
            }
            None => {
                let search = match is_remembered {
                    true => Search::tracking(None, centroids, dim, metric, (part.rows(), None))?,
                    false => Search::new(None, centroids, dim, metric)?,
                };
                let sums = CentroidSums::of_unit_rows(self.clusters(), dim);
                (search, Placed::new(sums, metric))
            }
        };
        search.expect(part.rows());
        placed.begin_pass();
        let name = format!("k-means pass {} of {}", training.passes() + 1, self.iterations());
        let facts = if training.passes() > 0 { Facts::Unit } else { Facts::Unknown };
        task(progress, &name, part.rows(), || {
            let add = |vectors: &[f32], block: Block<'_>| placed.add(vectors, &block);
            search.each_block(part, &facts, progress, add)
        })?;
        let worst = self.worst(&placed, ids);
        let objective = placed.objective.significands().to_vec();
        let (sums, cluster) = (placed.sums.clone(), placed.cluster.clone());
        memory.0 = Some((search, placed));
        Ok(PartPass { sums, objective, cluster, worst })
    }

    /// The rows that may be lent. Of all parts as many are enough as there can be empty clusters, and
    /// clusters of one row, which lend none.
    fn worst(&self, placed: &Placed, ids: &[SampleId]) -> Vec<Worst> {
        if self.empty_clusters() != EmptyClusters::WorstRow {
            return Vec::new();
        }
        let wanted = 2 * self.clusters();
        // First by the numbers alone, which are a tenth of the bytes; of equal ones the ids decide.
        let mut misfits = placed.misfit.clone();
        let least = match wanted < misfits.len() {
            true => *misfits.select_nth_unstable_by(wanted, |a, b| b.total_cmp(a)).1,
            false => f32::NEG_INFINITY,
        };
        let is_bad = |row: &usize| placed.misfit[*row] >= least;
        let row = |row: usize| Worst {
            row,
            id: ids[row],
            cluster: placed.cluster[row],
            misfit: placed.misfit[row],
        };
        let mut worst: Vec<Worst> = (0..ids.len()).filter(is_bad).map(row).collect();
        if wanted < worst.len() {
            worst.select_nth_unstable_by(wanted, Worst::first);
            worst.truncate(wanted);
        }
        worst.sort_unstable_by(Worst::first);
        worst
    }

    /// Moves the centroids after a pass over all parts, each with the place of its first row among all
    /// rows. `moved` of the rows changed their cluster ([`PartPass::moved_since`]); `source` has all of
    /// them.
    ///
    /// # Errors
    /// When it is not trained in parts, parts or centroids do not fit together, or a row cannot be read.
    pub fn next<S: EmbeddingSource + ?Sized>(
        &self,
        training: Training,
        parts: impl IntoIterator<Item = (usize, PartPass)>,
        moved: usize,
        source: &S,
    ) -> Result<Training, ClusterError> {
        self.check_training(&training, source.dim())?;
        let mut next = training;
        let mut sums = CentroidSums::of_unit_rows(self.clusters(), source.dim());
        let mut objective = ExactSum::default();
        let mut worst = Vec::new();
        for (first, part) in parts {
            sums.merge(&part.sums)?;
            let exponents = part.objective.len() as i128;
            let sum = ExactSum::from_significands(&part.objective);
            objective.merge(&sum.ok_or(ClusterError::SumsMismatch {
                what: "exponents",
                own: 256,
                other: exponents,
            })?);
            worst.extend(part.worst.iter().map(|w| Worst { row: first + w.row, ..*w }));
        }
        let pass = next.passes() + 1;
        let mean = objective.value() / source.rows().max(1) as f64;
        next.converged = stalled(&mut next.objective, mean, self.tolerance());
        next.converged |= pass > 1 && moved == 0;
        let centroids = next.centroids.as_slice_mut().expect("standard layout");
        next.reseeded += match self.empty_clusters() {
            EmptyClusters::WorstRow => {
                worst.sort_unstable_by(Worst::first);
                let candidates = worst.iter().map(|worst| (worst.row, worst.cluster));
                let lent = lend(&mut sums, source, candidates)?;
                sums.move_centroids(self.metric(), centroids);
                lent.len()
            }
            EmptyClusters::Split => {
                sums.move_centroids(self.metric(), centroids);
                empty::split(self, &mut sums.sizes().to_vec(), centroids, pass)
            }
        };
        Ok(next)
    }
}

impl Worst {
    /// The one that fits worse comes first.
    fn first(a: &Self, b: &Self) -> std::cmp::Ordering {
        rank::better_first(a.misfit, b.misfit, Direction::HigherIsBetter)
            .then_with(|| a.id.cmp(&b.id))
            .then(a.row.cmp(&b.row))
    }
}

fn shaped(centroids: Vec<f32>, dim: usize) -> Array2<f32> {
    let k = centroids.len() / dim.max(1);
    Array2::from_shape_vec((k, dim), centroids).expect("k vectors of the source's length")
}

#[cfg(test)]
mod tests;
