//! Mini-batch k-means (Sculley 2010, "Web-scale k-means clustering").

use curate_core::{
    EmbeddingSource, Progress, SampleId, embedding::RowsOf, random, rank, rank::Direction,
};
use curate_kernels::Engine;

use crate::{ClusterError, KMeans, Metric, init, lloyd::Trained, search::Search};

/// Passes over the rows in random order and moves the centroids after every batch.
///
/// With a rate of one over the rows a centroid has had so far, a centroid is the mean of all those
/// rows. The order of a pass is by a hash of seed, pass and id, so neither the number of threads nor
/// the order in which rows lie changes a byte.
pub(crate) fn train<'e, S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    engine: Option<&'e dyn Engine>,
    start: Option<Vec<f32>>,
    batch_rows: usize,
    source: &S,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Trained<'e>, ClusterError> {
    let mut trained = Trained {
        centroids: start.map_or_else(|| init::start(kmeans, source, ids, progress), Ok)?,
        objective: Vec::new(),
        converged: false,
        reseeded: 0,
        search: None,
    };
    let mut means = Means::new(kmeans.clusters(), source.dim(), kmeans.metric());
    progress.start("mini-batch k-means", (kmeans.iterations() * source.rows()) as u64, "rows");
    while !trained.converged && trained.objective.len() < kmeans.iterations() {
        let pass = format!("k-means pass {}", trained.objective.len());
        let order = init::smallest_hashes(ids, ids.len(), random::derive(kmeans.seed(), &pass));
        means.start_pass();
        for batch in order.chunks(batch_rows) {
            means.last = Batch::default();
            let mut search =
                Search::new(engine, &trained.centroids, source.dim(), kmeans.metric())?;
            search
                .each_block(&RowsOf::new(source, batch), progress, |vectors, block| {
                    means.add(vectors, block.cluster, block.nearness);
                })
                .map_err(|e| at_source_row(e, batch))?;
            means.centroids(&mut trained.centroids);
        }
        if let Some(batch) = order.chunks(batch_rows).next_back() {
            trained.reseeded += means.move_unused(source, batch, ids, &mut trained.centroids)?;
        }
        let mean = means.objective / source.rows().max(1) as f64;
        progress.metric("objective", mean);
        let last = trained.objective.last().copied();
        trained.objective.push(mean);
        trained.converged = kmeans.tolerance() > 0.0
            && last.is_some_and(|last| last - mean <= kmeans.tolerance() * last);
    }
    progress.finish();
    Ok(trained)
}

/// A search over a batch counts the batch's rows; errors name rows of the source.
fn at_source_row(error: ClusterError, batch: &[usize]) -> ClusterError {
    match error {
        ClusterError::NotFinite { row } => ClusterError::NotFinite { row: batch[row] },
        other => other,
    }
}

/// The running means.
struct Means {
    dim: usize,
    metric: Metric,
    sums: Vec<f64>,
    /// Rows each centroid has had in all passes.
    counts: Vec<u64>,
    /// Rows each centroid has had in this pass.
    in_pass: Vec<u64>,
    objective: f64,
    last: Batch,
}

/// Where the rows of a batch went and how badly they fit.
#[derive(Default)]
struct Batch {
    cluster: Vec<u32>,
    misfit: Vec<f32>,
}

impl Means {
    fn new(k: usize, dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            sums: vec![0.0; k * dim],
            counts: vec![0; k],
            in_pass: vec![0; k],
            objective: 0.0,
            last: Batch::default(),
        }
    }

    fn start_pass(&mut self) {
        self.in_pass.fill(0);
        self.objective = 0.0;
    }

    fn add(&mut self, vectors: &[f32], cluster: &[u32], nearness: &[f32]) {
        let dim = self.dim.max(1);
        for ((vector, &c), &nearness) in vectors.chunks_exact(dim).zip(cluster).zip(nearness) {
            let c = c as usize;
            let sum = &mut self.sums[c * self.dim..][..self.dim];
            curate_kernels::accumulate(sum, vector);
            self.counts[c] += 1;
            self.in_pass[c] += 1;
            let misfit = match self.metric {
                Metric::Spherical => 1.0 - nearness,
                Metric::Euclidean => nearness,
            };
            self.objective += f64::from(misfit);
            self.last.misfit.push(misfit);
        }
        self.last.cluster.extend_from_slice(cluster);
    }

    /// A centroid without rows, or whose rows cancel out, stays where it is.
    fn centroids(&self, centroids: &mut [f32]) {
        let dim = self.dim.max(1);
        let sums = self.sums.chunks_exact(dim).zip(&self.counts);
        for ((sum, &count), centroid) in sums.zip(centroids.chunks_exact_mut(dim)) {
            let scale = match self.metric {
                Metric::Spherical => sum.iter().map(|x| x * x).sum::<f64>().sqrt(),
                Metric::Euclidean => count as f64,
            };
            if count > 0 && scale > 0.0 {
                centroid.iter_mut().zip(sum).for_each(|(c, &x)| *c = (x / scale) as f32);
            }
        }
    }

    /// Moves every centroid that had no row in this pass to the worst-fitting rows of the last
    /// batch, ties to the smaller id, and forgets its past; returns how many.
    fn move_unused<S: EmbeddingSource + ?Sized>(
        &mut self,
        source: &S,
        batch: &[usize],
        ids: &[SampleId],
        centroids: &mut [f32],
    ) -> Result<usize, ClusterError> {
        let unused: Vec<usize> = (0..self.counts.len()).filter(|&c| self.in_pass[c] == 0).collect();
        let mut worst: Vec<usize> = (0..batch.len())
            .filter(|&i| self.in_pass[self.last.cluster[i] as usize] > 1)
            .filter(|&i| self.last.misfit[i] > 0.0)
            .collect();
        worst.sort_unstable_by(|&a, &b| {
            let (x, y) = (self.last.misfit[a], self.last.misfit[b]);
            rank::better_first(x, y, Direction::HigherIsBetter)
                .then_with(|| ids[batch[a]].cmp(&ids[batch[b]]))
        });
        let mut moved = 0;
        for (&cluster, &i) in unused.iter().zip(&worst) {
            source.gather(&[batch[i]], &mut centroids[cluster * self.dim..][..self.dim])?;
            self.sums[cluster * self.dim..][..self.dim].fill(0.0);
            self.counts[cluster] = 0;
            moved += 1;
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::{Array2, Axis};

    use super::*;
    use crate::{Clustering, Init, KMeansParams, mixture::mixture};

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(|i| SampleId(i * 31 + 7)).collect()
    }

    fn fit(rows: &Array2<f32>, ids: &[SampleId], params: KMeansParams) -> Clustering {
        params.check().unwrap().fit(&rows.view(), ids, &NoProgress).unwrap()
    }

    #[test]
    fn batches_find_the_groups_that_all_rows_at_once_find() {
        let rows = mixture(900, 6, 12);
        for metric in [Metric::Spherical, Metric::Euclidean] {
            let params = KMeansParams::new(6).metric(metric).init(Init::PlusPlus).seed(1);
            let lloyd = fit(&rows, &ids(900), params.clone());
            let batches = fit(&rows, &ids(900), params.batch_rows(Some(64)));
            assert_eq!(batches.assignment.sizes(6), [150; 6], "{metric:?}");
            assert!(batches.inertia() < 1.01 * lloyd.inertia(), "{metric:?}");
            assert!(batches.converged && batches.objective.len() > 1);
        }
    }

    #[test]
    fn one_batch_of_all_rows_is_the_first_step_of_lloyd() {
        let rows = mixture(300, 5, 8);
        let params = KMeansParams::new(5).iterations(1).seed(3);
        let lloyd = fit(&rows, &ids(300), params.clone());
        let batch = fit(&rows, &ids(300), params.batch_rows(Some(300)));
        assert!((lloyd.objective[0] - batch.objective[0]).abs() < 1e-12);
        let difference = (&lloyd.centroids - &batch.centroids).mapv(f32::abs);
        assert!(difference.iter().all(|&d| d < 1e-6));
    }

    #[test]
    fn neither_threads_nor_the_order_of_rows_change_a_byte() {
        let n = 700;
        let (rows, names) = (mixture(n, 9, 10), ids(n));
        let params = KMeansParams::new(13).iterations(4).batch_rows(Some(50)).seed(8);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&rows, &names, params.clone()))
        };
        let one = on(1);
        assert_eq!(one, on(2));
        assert_eq!(one, on(7));

        let shuffled: Vec<usize> = (0..n).map(|i| (i * 373 + 11) % n).collect();
        let moved_ids: Vec<SampleId> = shuffled.iter().map(|&row| names[row]).collect();
        let moved = fit(&rows.select(Axis(0), &shuffled), &moved_ids, params);
        assert_eq!(moved.centroids, one.centroids);
        for (i, &row) in shuffled.iter().enumerate() {
            assert_eq!(moved.assignment.cluster[i], one.assignment.cluster[row]);
        }
    }

    #[test]
    fn a_centroid_that_no_row_is_nearest_to_moves_to_a_row() {
        // All rows but two are equal, so most of the random starts coincide.
        let mut rows = Array2::from_shape_fn((40, 2), |(_, t)| f32::from(t == 0));
        (rows[[7, 0]], rows[[7, 1]]) = (0.0, 1.0);
        (rows[[9, 0]], rows[[9, 1]]) = (-1.0, 0.0);
        let params = KMeansParams::new(3).batch_rows(Some(40)).iterations(8).seed(5);
        let found = fit(&rows, &ids(40), params);
        assert!(found.reseeded > 0);
        assert_eq!(found.sizes().iter().filter(|&&size| size > 0).count(), 3);
    }

    #[test]
    fn a_bad_row_is_named_by_its_place_in_the_source() {
        let mut rows = mixture(50, 3, 4);
        rows[[33, 2]] = f32::NAN;
        let kmeans = KMeansParams::new(2).batch_rows(Some(8)).check().unwrap();
        let error = kmeans.fit(&rows.view(), &ids(50), &NoProgress).unwrap_err();
        assert!(matches!(error, ClusterError::NotFinite { row: 33 }), "{error}");
    }
}
