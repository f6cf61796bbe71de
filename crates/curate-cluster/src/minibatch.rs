//! Mini-batch k-means (Sculley 2010, "Web-scale k-means clustering").

use curate_core::{
    EmbeddingSource, Progress, SampleId, embedding::RowsOf, random, rank, rank::Direction,
};
use curate_kernels::{Engine, ExactSum};

use crate::{
    CentroidSums, ClusterError, KMeans, Metric, init,
    search::{Block, Search},
    task::task,
    trained::Trained,
};

/// Passes over the rows in random order and moves the centroids after every batch.
///
/// With a rate of one over the rows a centroid has had so far, a centroid is the mean of all those
/// rows. The order of a pass is by a hash of seed, pass and id, so neither the number of threads nor
/// the order in which rows lie changes a byte.
pub(crate) fn train<'e, S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    engine: Option<&'e dyn Engine>,
    start: Trained<'e>,
    batch_rows: usize,
    source: &S,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Trained<'e>, ClusterError> {
    let mut trained = start;
    let metric = kmeans.metric();
    let mut search = Search::new(engine, &trained.centroids, source.dim(), metric)?;
    let sums = CentroidSums::in_steps(trained.facts.steps(), kmeans.clusters(), source.dim());
    let mut means = Means::new(sums, metric);
    while !trained.converged && trained.objective.len() < kmeans.iterations() {
        let pass = format!("k-means pass {}", trained.objective.len());
        let order = init::smallest_hashes(ids, ids.len(), random::derive(kmeans.seed(), &pass));
        let name =
            format!("mini-batch pass {} of {}", trained.objective.len() + 1, kmeans.iterations());
        let mean = task(progress, &name, source.rows(), || {
            trained.objective.last().iter().for_each(|&&last| progress.metric("objective", last));
            means.pass(&mut search, &mut trained, source, order.chunks(batch_rows), progress)?;
            let mean = means.objective.value() / source.rows().max(1) as f64;
            progress.metric("objective", mean);
            Ok::<_, ClusterError>(mean)
        })?;
        trained.facts = trained.facts.after_a_pass(metric);
        if let Some(batch) = order.chunks(batch_rows).next_back() {
            let moved = means.move_unused(source, batch, ids, &mut trained.centroids)?;
            if moved > 0 {
                search.move_to(&trained.centroids)?;
            }
            trained.reseeded += moved;
        }
        trained.converged = trained.stalled(mean, kmeans.tolerance());
    }
    Ok(trained)
}

/// The running means.
struct Means {
    metric: Metric,
    /// Of the rows each centroid has had in all passes.
    sums: CentroidSums,
    /// Rows each centroid has had in this pass.
    in_pass: Vec<u64>,
    objective: ExactSum,
    last: Batch,
}

/// Where the rows of a batch went and how badly they fit.
#[derive(Default)]
struct Batch {
    cluster: Vec<u32>,
    misfit: Vec<f32>,
}

impl Means {
    fn new(sums: CentroidSums, metric: Metric) -> Self {
        let in_pass = vec![0; sums.sizes().len()];
        Self { metric, sums, in_pass, objective: ExactSum::default(), last: Batch::default() }
    }

    /// Takes in all batches of a pass and moves the centroids, and the search among them, after each.
    fn pass<'a, S: EmbeddingSource + ?Sized>(
        &mut self,
        search: &mut Search<'_>,
        trained: &mut Trained<'_>,
        source: &S,
        batches: impl Iterator<Item = &'a [usize]>,
        progress: &dyn Progress,
    ) -> Result<(), ClusterError> {
        self.in_pass.fill(0);
        self.objective = ExactSum::default();
        for batch in batches {
            self.last = Batch::default();
            let rows = RowsOf::new(source, batch);
            let add = |vectors: &[f32], block: Block<'_>| self.add(vectors, &block);
            // A search over a batch counts the batch's rows; errors name rows of the source.
            search
                .each_block(&rows, &trained.facts.of(batch), progress, add)
                .map_err(|error| error.at(batch))?;
            self.sums.move_centroids(self.metric, &mut trained.centroids);
            search.move_to(&trained.centroids)?;
        }
        Ok(())
    }

    fn add(&mut self, vectors: &[f32], block: &Block<'_>) {
        self.sums.add_known(vectors, block.cluster);
        block.cluster.iter().for_each(|&c| self.in_pass[c as usize] += 1);
        let misfits = block.nearness.iter().map(|&nearness| self.metric.distance(nearness));
        let first = self.last.misfit.len();
        self.last.misfit.extend(misfits);
        self.objective.extend(self.last.misfit[first..].iter().copied());
        self.last.cluster.extend_from_slice(block.cluster);
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
        let dim = source.dim();
        let unused: Vec<usize> =
            (0..self.in_pass.len()).filter(|&c| self.in_pass[c] == 0).collect();
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
            source.gather(&[batch[i]], &mut centroids[cluster * dim..][..dim])?;
            self.sums.forget(cluster);
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
            assert_eq!(batches.sizes(), [150; 6], "{metric:?}");
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
            assert_eq!(moved.assignment.cluster()[i], one.assignment.cluster()[row]);
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
