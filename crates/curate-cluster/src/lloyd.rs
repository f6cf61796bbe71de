//! Lloyd's iterations.

use curate_core::{
    BLOCK_ROWS, EmbeddingSource, Progress, SampleId, SourceError, embedding, random, rank,
    rank::Direction,
};
use curate_kernels::{Engine, Nearest};
use ndarray::Array2;
use rayon::prelude::*;

use crate::{
    ClusterError, Clustering, EmptyClusters, Init, KMeans, Metric, empty, engine::Place, init,
    minibatch, result,
};

impl KMeans {
    /// Clusters the rows of `source`; `ids` has one id a row and decides the random draws.
    ///
    /// # Errors
    /// When there are fewer rows than clusters, a row is not finite, rows cannot be read, or the
    /// caller cancels.
    pub fn fit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        self.fit_on(None, source, ids, progress)
    }

    /// [`Self::fit`] with nearest centroids searched on `engine`; on the native kernels when there
    /// is none. Sums stay on the host, f64 in row order, so only the choice between centroids that
    /// are equally near but for rounding can differ between engines.
    ///
    /// # Errors
    /// As [`Self::fit`], and when the engine fails.
    pub fn fit_on<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        let (clusters, rows) = (self.clusters(), source.rows());
        if ids.len() != rows {
            return Err(ClusterError::IdsMismatch { ids: ids.len(), rows });
        }
        if rows < clusters {
            return Err(ClusterError::TooFewRows { clusters, rows });
        }
        let trained = match self.training_rows(ids) {
            Some(sample) => {
                let ids: Vec<SampleId> = sample.iter().map(|&row| ids[row]).collect();
                self.train(engine, &embedding::RowsOf::new(source, &sample), &ids, progress)?
            }
            None => self.train(engine, source, ids, progress)?,
        };
        let Trained { centroids, objective, converged, reseeded } = trained;
        let dim = source.dim();
        let centroids = Array2::from_shape_vec((clusters, dim), centroids)
            .expect("k vectors of the source's length");
        let assignment =
            result::assign_on(engine, centroids.view(), self.metric(), source, progress)?;
        Ok(Clustering {
            centroids,
            metric: self.metric(),
            assignment,
            objective,
            converged,
            reseeded,
        })
    }

    /// The rows to train on, ascending; `None` for all.
    fn training_rows(&self, ids: &[SampleId]) -> Option<Vec<usize>> {
        let wanted = self.train_rows_per_cluster()?.saturating_mul(self.clusters());
        let seed = random::derive(self.seed(), "k-means training rows");
        (wanted < ids.len()).then(|| {
            let mut sample = init::smallest_hashes(ids, wanted, seed);
            sample.sort_unstable();
            sample
        })
    }

    fn train<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Trained, ClusterError> {
        if let Some(rows) = self.batch_rows() {
            return minibatch::train(self, engine, rows, source, ids, progress);
        }
        let dim = source.dim();
        let mut trained = Trained {
            centroids: match self.init() {
                Init::Random => init::random(self, source, ids)?,
                Init::PlusPlus => init::plus_plus(self, source, ids, progress)?,
            },
            objective: Vec::new(),
            converged: false,
            reseeded: 0,
        };
        progress.start("k-means", (self.iterations() * source.rows()) as u64, "rows");
        let mut before = Vec::new();
        while !trained.converged && trained.objective.len() < self.iterations() {
            let search = Search::new(engine, &trained.centroids, dim, self.metric())?;
            let mut step = Step::new(self.clusters(), dim, self.metric());
            search.each_block(source, progress, |vectors, block| step.add(vectors, &block))?;
            let mean = step.objective / source.rows().max(1) as f64;
            progress.metric("objective", mean);
            let last = trained.objective.last().copied();
            trained.objective.push(mean);
            trained.converged = step.cluster == before
                || last.is_some_and(|last| {
                    last - mean <= self.tolerance() * last && self.tolerance() > 0.0
                });
            trained.reseeded += match self.empty_clusters() {
                EmptyClusters::WorstRow => step.fill_empty(source, ids)?,
                EmptyClusters::Split => 0,
            };
            step.centroids(self.metric(), &mut trained.centroids);
            if self.empty_clusters() == EmptyClusters::Split {
                let iteration = trained.objective.len();
                trained.reseeded +=
                    empty::split(self, &mut step.sizes, &mut trained.centroids, iteration);
            }
            before = step.cluster;
        }
        progress.finish();
        Ok(trained)
    }
}

pub(crate) struct Trained {
    pub(crate) centroids: Vec<f32>,
    pub(crate) objective: Vec<f64>,
    pub(crate) converged: bool,
    pub(crate) reseeded: usize,
}

/// Finds nearest centroids block by block.
pub(crate) struct Search<'e> {
    place: Place<'e>,
    metric: Metric,
    dim: usize,
}

/// The answers for one block of rows.
pub(crate) struct Block<'a> {
    pub(crate) cluster: &'a [u32],
    pub(crate) nearness: &'a [f32],
}

impl<'e> Search<'e> {
    pub(crate) fn new(
        engine: Option<&'e dyn Engine>,
        centroids: &[f32],
        dim: usize,
        metric: Metric,
    ) -> Result<Self, ClusterError> {
        let bias = (metric == Metric::Euclidean).then(|| {
            let half_square = |c: &[f32]| (-0.5 * embedding::dot(c, c)) as f32;
            centroids.chunks_exact(dim.max(1)).map(half_square).collect::<Vec<_>>()
        });
        Ok(Self { place: Place::new(engine, centroids, dim, bias)?, metric, dim })
    }

    /// Reads every block, finds the nearest centroids on all threads, and hands rows, vectors and
    /// answers to `each`, in block order.
    pub(crate) fn each_block<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        progress: &dyn Progress,
        mut each: impl FnMut(&[f32], Block<'_>),
    ) -> Result<(), ClusterError> {
        let mut vectors = Vec::new();
        let (mut cluster, mut nearness) = (Vec::new(), Vec::new());
        for start in (0..source.rows()).step_by(BLOCK_ROWS) {
            progress.check().map_err(curate_core::SourceError::from)?;
            let rows = start..source.rows().min(start + BLOCK_ROWS);
            vectors.resize(rows.len() * self.dim, 0.0);
            source.read(rows.clone(), &mut vectors)?;
            let mut nearest = vec![Nearest::default(); rows.len()];
            self.place.nearest(&vectors, &mut nearest)?;
            if let Some(bad) = nearest.iter().position(|n| !n.value.is_finite()) {
                return Err(ClusterError::NotFinite { row: start + bad });
            }
            cluster.clear();
            cluster.extend(nearest.iter().map(|n| n.index));
            nearness.clear();
            nearness.extend(
                nearest
                    .iter()
                    .zip(vectors.chunks_exact(self.dim.max(1)))
                    .map(|(n, x)| self.nearness(n, x)),
            );
            each(&vectors, Block { cluster: &cluster, nearness: &nearness });
            progress.advance(rows.len() as u64);
        }
        Ok(())
    }

    fn nearness(&self, nearest: &Nearest, vector: &[f32]) -> f32 {
        match self.metric {
            Metric::Spherical => nearest.value,
            Metric::Euclidean => {
                (embedding::dot(vector, vector) - 2.0 * f64::from(nearest.value)).max(0.0) as f32
            }
        }
    }
}

/// One pass over the rows: the sums that become the next centroids.
struct Step {
    dim: usize,
    metric: Metric,
    sums: Vec<f64>,
    sizes: Vec<usize>,
    cluster: Vec<u32>,
    /// How badly each row fits its centroid.
    misfit: Vec<f32>,
    objective: f64,
}

impl Step {
    fn new(k: usize, dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            sums: vec![0.0; k * dim],
            sizes: vec![0; k],
            cluster: Vec::new(),
            misfit: Vec::new(),
            objective: 0.0,
        }
    }

    /// Adds a block: each cluster adds its rows in row order, clusters in parallel.
    fn add(&mut self, vectors: &[f32], block: &Block<'_>) {
        let metric = self.metric;
        let dim = self.dim.max(1);
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); self.sizes.len()];
        for (row, &cluster) in block.cluster.iter().enumerate() {
            members[cluster as usize].push(row as u32);
        }
        self.sums.par_chunks_mut(dim).zip(&members).for_each(|(sum, rows)| {
            for &row in rows {
                let vector = &vectors[row as usize * dim..][..dim];
                sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x));
            }
        });
        self.sizes.iter_mut().zip(&members).for_each(|(size, rows)| *size += rows.len());
        self.cluster.extend_from_slice(block.cluster);
        let misfit = |&nearness: &f32| match metric {
            Metric::Spherical => 1.0 - nearness,
            Metric::Euclidean => nearness,
        };
        let first = self.misfit.len();
        self.misfit.extend(block.nearness.iter().map(misfit));
        self.objective += self.misfit[first..].iter().map(|&m| f64::from(m)).sum::<f64>();
    }
    /// Gives every empty cluster the row that fits its own centroid worst; returns how many.
    fn fill_empty<S: EmbeddingSource + ?Sized>(
        &mut self,
        source: &S,
        ids: &[SampleId],
    ) -> Result<usize, SourceError> {
        let empty: Vec<usize> = (0..self.sizes.len()).filter(|&c| self.sizes[c] == 0).collect();
        if empty.is_empty() {
            return Ok(0);
        }
        let mut worst: Vec<usize> = (0..ids.len()).collect();
        worst.par_sort_unstable_by(|&a, &b| {
            rank::better_first(self.misfit[a], self.misfit[b], Direction::HigherIsBetter)
                .then_with(|| ids[a].cmp(&ids[b]))
                .then(a.cmp(&b))
        });
        let mut candidates = worst.into_iter();
        let mut vector = vec![0.0; self.dim];
        for (filled, &cluster) in empty.iter().enumerate() {
            let Some(row) = candidates.find(|&row| self.sizes[self.cluster[row] as usize] > 1)
            else {
                return Ok(filled);
            };
            source.gather(&[row], &mut vector)?;
            self.take(row, &vector, cluster);
        }
        Ok(empty.len())
    }

    /// Moves a row to another cluster. `self.cluster` keeps telling where the search put the row.
    fn take(&mut self, row: usize, vector: &[f32], to: usize) {
        let from = self.cluster[row] as usize;
        let dim = self.dim;
        for (t, &x) in vector.iter().enumerate() {
            self.sums[from * dim + t] -= f64::from(x);
            self.sums[to * dim + t] += f64::from(x);
        }
        self.sizes[from] -= 1;
        self.sizes[to] += 1;
    }

    /// The mean of each cluster, of length 1 when spherical. A centroid without rows, or whose rows
    /// cancel out, stays where it is.
    fn centroids(&self, metric: Metric, centroids: &mut [f32]) {
        let dim = self.dim.max(1);
        let means = self.sums.chunks_exact(dim).zip(&self.sizes);
        for ((sum, &size), centroid) in means.zip(centroids.chunks_exact_mut(dim)) {
            let scale = match metric {
                Metric::Spherical => sum.iter().map(|x| x * x).sum::<f64>().sqrt(),
                Metric::Euclidean => size as f64,
            };
            if size > 0 && scale > 0.0 {
                centroid.iter_mut().zip(sum).for_each(|(c, &x)| *c = (x / scale) as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::{Array2, array};

    use super::*;
    use crate::{KMeansParams, mixture::mixture};

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(|i| SampleId(i * 77 + 5)).collect()
    }

    #[test]
    fn separated_groups_are_found_by_both_metrics_and_starts() {
        let rows = mixture(600, 5, 8);
        for metric in [Metric::Spherical, Metric::Euclidean] {
            let kmeans = KMeansParams::new(5).metric(metric).init(Init::PlusPlus).seed(2);
            let found = kmeans.check().unwrap().fit(&rows.view(), &ids(600), &NoProgress).unwrap();
            assert!(found.converged, "{metric:?}");
            assert_eq!(found.assignment.sizes(5), [120; 5]);
            for (i, &cluster) in found.assignment.cluster.iter().enumerate() {
                assert_eq!(cluster, found.assignment.cluster[i % 5]);
            }
            assert!((found.imbalance() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_objective_never_rises() {
        let rows = mixture(2_000, 40, 16);
        for metric in [Metric::Spherical, Metric::Euclidean] {
            let kmeans = KMeansParams::new(17).metric(metric).tolerance(0.0).check().unwrap();
            let found = kmeans.fit(&rows.view(), &ids(2_000), &NoProgress).unwrap();
            assert!(
                found.objective.windows(2).all(|w| w[1] <= w[0] + 1e-9),
                "{:?}",
                found.objective
            );
            assert!(found.objective.len() > 2);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let rows = mixture(BLOCK_ROWS + 700, 30, 24);
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let kmeans = KMeansParams::new(20).iterations(5).seed(9).check().unwrap();
            pool.install(|| kmeans.fit(&rows.view(), &ids(rows.nrows()), &NoProgress).unwrap())
        };
        let one = fit(1);
        assert_eq!(one, fit(2));
        assert_eq!(one, fit(7));
    }

    #[test]
    fn identical_rows_and_k_equal_to_n_are_no_trouble() {
        let rows = Array2::from_shape_fn((1_019, 4), |(_, t)| f32::from(t == 0));
        let kmeans = KMeansParams::new(8).check().unwrap();
        let found = kmeans.fit(&rows.view(), &ids(1_019), &NoProgress).unwrap();
        assert_eq!(found.assignment.sizes(8).iter().sum::<usize>(), 1_019);
        assert!(found.converged);

        let rows = array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let found =
            KMeansParams::new(3).check().unwrap().fit(&rows.view(), &ids(3), &NoProgress).unwrap();
        let mut clusters = found.assignment.cluster.clone();
        clusters.sort_unstable();
        assert_eq!(clusters, [0, 1, 2]);
        assert_eq!(found.assignment.nearness, [1.0; 3]);
    }

    #[test]
    fn an_empty_cluster_takes_the_row_that_fits_worst() {
        // Two equal starts: the second cluster is empty after the first pass.
        let rows = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let mut step = Step::new(2, 2, Metric::Spherical);
        let search = Search::new(None, &[1.0, 0.0, 1.0, 0.0], 2, Metric::Spherical).unwrap();
        let view = rows.view();
        search.each_block(&view, &NoProgress, |vectors, block| step.add(vectors, &block)).unwrap();
        assert_eq!(step.sizes, [4, 0]);
        assert_eq!(step.fill_empty(&view, &ids(4)).unwrap(), 1);
        let mut centroids = vec![0.0; 4];
        step.centroids(Metric::Spherical, &mut centroids);
        assert_eq!(centroids, [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn training_on_a_sample_still_assigns_every_row() {
        let rows = mixture(3_000, 6, 8);
        let kmeans = KMeansParams::new(6).init(Init::PlusPlus).train_rows_per_cluster(Some(20));
        let found = kmeans.check().unwrap().fit(&rows.view(), &ids(3_000), &NoProgress).unwrap();
        assert_eq!(found.assignment.sizes(6), [500; 6]);
    }

    #[test]
    fn bad_input_is_named() {
        let kmeans = KMeansParams::new(3).check().unwrap();
        let fit =
            |rows: Array2<f32>, n| kmeans.fit(&rows.view(), &ids(n), &NoProgress).unwrap_err();
        assert!(matches!(
            fit(Array2::zeros((2, 2)), 2),
            ClusterError::TooFewRows { clusters: 3, rows: 2 }
        ));
        assert!(matches!(
            fit(Array2::zeros((4, 2)), 3),
            ClusterError::IdsMismatch { ids: 3, rows: 4 }
        ));
        let mut rows = mixture(5, 2, 2);
        rows[[3, 1]] = f32::NAN;
        assert!(matches!(fit(rows, 5), ClusterError::NotFinite { row: 3 }));
    }
}
