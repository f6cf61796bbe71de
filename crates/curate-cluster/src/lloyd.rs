//! Lloyd's iterations.

use curate_core::{
    EmbeddingSource, Progress, SampleId, SourceError, embedding, random, rank, rank::Direction,
};
use curate_kernels::Engine;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::{
    ClusterError, Clustering, EmptyClusters, KMeans, Metric, empty, init, minibatch, result,
    search::{Block, Search},
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
        self.fit_with(engine, None, source, ids, progress)
    }

    /// [`Self::fit`] from centroids that are given, one a row, in place of a random start: to go on
    /// from an earlier result, or to start two programs alike.
    ///
    /// # Errors
    /// As [`Self::fit`], and when `start` is not as many finite vectors of the rows' length as there
    /// are clusters.
    pub fn fit_from<S: EmbeddingSource + ?Sized>(
        &self,
        start: ArrayView2<'_, f32>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        if start.ncols() != source.dim() {
            let (centroids, rows) = (start.ncols(), source.dim());
            return Err(ClusterError::DimMismatch { centroids, rows });
        }
        if start.nrows() != self.clusters() {
            return Err(ClusterError::StartMismatch {
                centroids: start.nrows(),
                clusters: self.clusters(),
            });
        }
        if let Some(row) = start.outer_iter().position(|c| c.iter().any(|x| !x.is_finite())) {
            return Err(ClusterError::StartNotFinite { row });
        }
        let start = start.iter().copied().collect();
        self.fit_with(None, Some(start), source, ids, progress)
    }

    fn fit_with<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        start: Option<Vec<f32>>,
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
                let rows = embedding::RowsOf::new(source, &sample);
                // What the search remembers of these rows says nothing of the others.
                Trained { search: None, ..self.train(engine, start, &rows, &ids, progress)? }
            }
            None => self.train(engine, start, source, ids, progress)?,
        };
        let Trained { centroids, objective, converged, reseeded, search } = trained;
        let dim = source.dim();
        let mut search = match search {
            Some(search) => search,
            None => Search::new(engine, &centroids, dim, self.metric())?,
        };
        let centroids = Array2::from_shape_vec((clusters, dim), centroids)
            .expect("k vectors of the source's length");
        let assignment = result::assign_with(&mut search, source, progress)?;
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

    fn train<'e, S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&'e dyn Engine>,
        start: Option<Vec<f32>>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Trained<'e>, ClusterError> {
        if let Some(rows) = self.batch_rows() {
            return minibatch::train(self, engine, start, rows, source, ids, progress);
        }
        let dim = source.dim();
        let mut trained = Trained {
            centroids: start.map_or_else(|| init::start(self, source, ids, progress), Ok)?,
            objective: Vec::new(),
            converged: false,
            reseeded: 0,
            search: None,
        };
        let mut search = Search::new(engine, &trained.centroids, dim, self.metric())?;
        search.remember(source.rows());
        progress.start("k-means", (self.iterations() * source.rows()) as u64, "rows");
        let mut before = Vec::new();
        while !trained.converged && trained.objective.len() < self.iterations() {
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
            search.move_to(&trained.centroids)?;
            before = step.cluster;
        }
        progress.finish();
        trained.search = Some(search);
        Ok(trained)
    }
}

pub(crate) struct Trained<'e> {
    pub(crate) centroids: Vec<f32>,
    pub(crate) objective: Vec<f64>,
    pub(crate) converged: bool,
    pub(crate) reseeded: usize,
    /// A search among these centroids that remembers the rows it was trained on.
    pub(crate) search: Option<Search<'e>>,
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
        let (members, begins) = by_cluster(block.cluster, self.sizes.len());
        let of = |c: usize| &members[begins[c] as usize..begins[c + 1] as usize];
        self.sums.par_chunks_mut(dim).enumerate().for_each(|(c, sum)| {
            for &row in of(c) {
                curate_kernels::accumulate(sum, &vectors[row as usize * dim..][..dim]);
            }
        });
        self.sizes.iter_mut().enumerate().for_each(|(c, size)| *size += of(c).len());
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

/// The rows of a block sorted by cluster, each cluster's in row order, and where each cluster's
/// begin; one more begin marks the end.
fn by_cluster(clusters: &[u32], k: usize) -> (Vec<u32>, Vec<u32>) {
    let mut begins = vec![0; k + 1];
    clusters.iter().for_each(|&c| begins[c as usize + 1] += 1);
    (0..k).for_each(|c| begins[c + 1] += begins[c]);
    let (mut rows, mut next) = (vec![0; clusters.len()], begins.clone());
    for (row, &c) in clusters.iter().enumerate() {
        let place = &mut next[c as usize];
        rows[*place as usize] = row as u32;
        *place += 1;
    }
    (rows, begins)
}

#[cfg(test)]
mod tests {
    use curate_core::{BLOCK_ROWS, NoProgress};
    use ndarray::{Array2, array};

    use super::*;
    use crate::{Init, KMeansParams, mixture::mixture};

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
        let mut search = Search::new(None, &[1.0, 0.0, 1.0, 0.0], 2, Metric::Spherical).unwrap();
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
    fn a_given_start_is_where_it_starts() {
        let rows = mixture(2_000, 40, 16);
        let params = KMeansParams::new(12).tolerance(0.0).iterations(4);
        let kmeans = params.clone().check().unwrap();
        let whole = kmeans.fit(&rows.view(), &ids(2_000), &NoProgress).unwrap();
        let half = params.iterations(2).check().unwrap();
        let first = half.fit(&rows.view(), &ids(2_000), &NoProgress).unwrap();
        let from = |start: Array2<f32>| {
            half.fit_from(start.view(), &rows.view(), &ids(2_000), &NoProgress)
        };
        let second = from(first.centroids.clone()).unwrap();
        assert_eq!(second.centroids, whole.centroids);
        assert_eq!(second.objective, whole.objective[2..]);
        let complaint = |start| from(start).unwrap_err().to_string();
        assert!(complaint(Array2::zeros((12, 15))).contains("15 dimensions, the rows 16"));
        assert!(complaint(Array2::zeros((11, 16))).contains("11 start centroids for 12 clusters"));
        let mut broken = first.centroids;
        broken[[7, 3]] = f32::NAN;
        assert!(complaint(broken).contains("start centroid 7"));
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
