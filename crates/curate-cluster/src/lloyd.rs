//! Lloyd's iterations.

use curate_core::{EmbeddingSource, Progress, SampleId, SourceError, rank, rank::Direction};
use curate_kernels::{Engine, ExactSum};
use rayon::prelude::*;

use crate::{
    CentroidSums, ClusterError, EmptyClusters, KMeans, Metric, empty,
    search::{Block, Search},
    task::task,
    trained::Trained,
};

/// Moves the centroids after every pass over all rows, until nothing changes.
pub(crate) fn train<'e, S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    engine: Option<&'e dyn Engine>,
    start: Trained<'e>,
    source: &S,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Trained<'e>, ClusterError> {
    let mut trained = start;
    let (metric, dim, rows) = (kmeans.metric(), source.dim(), source.rows());
    let near = (trained.cluster.len() == rows).then_some(&trained.cluster[..]);
    let mut search = Search::tracking(engine, &trained.centroids, dim, metric, (rows, near))?;
    let sums = CentroidSums::in_steps(trained.facts.steps(), kmeans.clusters(), dim);
    let mut placed = Placed::new(sums, metric);
    while !trained.converged && trained.objective.len() < kmeans.iterations() {
        let pass = trained.objective.len() + 1;
        let name = format!("k-means pass {pass} of {}", kmeans.iterations());
        let mean = task(progress, &name, rows, || {
            trained.objective.last().iter().for_each(|&&last| progress.metric("objective", last));
            placed.begin_pass();
            let add = |vectors: &[f32], block: Block<'_>| placed.add(vectors, &block);
            search.each_block(source, &trained.facts, progress, add)?;
            let mean = placed.objective.value() / rows.max(1) as f64;
            progress.metric("objective", mean);
            Ok::<_, ClusterError>(mean)
        })?;
        trained.facts = trained.facts.after_a_pass(metric);
        let stalled = trained.stalled(mean, kmeans.tolerance());
        trained.converged = stalled || (pass > 1 && placed.moved == 0);
        trained.reseeded +=
            placed.next_centroids(kmeans, source, ids, pass, &mut trained.centroids)?;
        search.move_to(&trained.centroids)?;
    }
    trained.ruled = search.ruled().unwrap_or_default();
    trained.search = Some(search);
    trained.cluster = placed.cluster;
    Ok(trained)
}

/// Where the rows are, and the sums of those of each cluster.
///
/// Sums live as long as the training: a pass takes a row off the cluster it left and adds it to the one
/// it came to, which is exact in fixed point. In late passes, where few rows move, this saves reading
/// nearly all of them a second time; floating-point sums would drift.
pub(crate) struct Placed {
    metric: Metric,
    pub(crate) sums: CentroidSums,
    /// The cluster where the last pass put each row.
    pub(crate) cluster: Vec<u32>,
    /// How badly each row fits its centroid.
    pub(crate) misfit: Vec<f32>,
    pub(crate) objective: ExactSum,
    /// Rows that changed their cluster in this pass.
    moved: usize,
}

/// A row that was lent to an empty cluster.
pub(crate) struct Lent {
    vector: Vec<f32>,
    from: u32,
    to: u32,
}

impl Placed {
    pub(crate) fn new(sums: CentroidSums, metric: Metric) -> Self {
        Self {
            metric,
            sums,
            cluster: Vec::new(),
            misfit: Vec::new(),
            objective: ExactSum::default(),
            moved: 0,
        }
    }

    pub(crate) fn begin_pass(&mut self) {
        self.objective = ExactSum::default();
        self.moved = 0;
    }

    /// Takes in the answers for a block.
    pub(crate) fn add(&mut self, vectors: &[f32], block: &Block<'_>) {
        let misfits = block.nearness.iter().map(|&nearness| self.metric.distance(nearness));
        match self.misfit.get_mut(block.rows.clone()) {
            Some(known) => {
                known.iter_mut().zip(misfits).for_each(|(known, misfit)| *known = misfit);
                self.follow(vectors, block);
            }
            None => {
                self.misfit.extend(misfits);
                self.cluster.extend_from_slice(block.cluster);
                self.sums.add_known(vectors, block.cluster);
            }
        }
        self.objective.extend(self.misfit[block.rows.clone()].iter().copied());
    }

    /// Moves the rows of a block whose cluster is another than in the pass before.
    fn follow(&mut self, vectors: &[f32], block: &Block<'_>) {
        let old = &mut self.cluster[block.rows.clone()];
        let changed = |&row: &u32| old[row as usize] != block.cluster[row as usize];
        let rows: Vec<u32> = (0..block.cluster.len() as u32).filter(changed).collect();
        let from: Vec<u32> = rows.iter().map(|&row| old[row as usize]).collect();
        let to: Vec<u32> = rows.iter().map(|&row| block.cluster[row as usize]).collect();
        self.sums.subtract_some(vectors, &rows, &from);
        self.sums.add_some(vectors, &rows, &to);
        self.moved += rows.len();
        old.copy_from_slice(block.cluster);
    }

    /// Moves the centroids to the means of their rows and deals with clusters that have none; returns
    /// how many those were.
    fn next_centroids<S: EmbeddingSource + ?Sized>(
        &mut self,
        kmeans: &KMeans,
        source: &S,
        ids: &[SampleId],
        pass: usize,
        centroids: &mut [f32],
    ) -> Result<usize, SourceError> {
        match kmeans.empty_clusters() {
            EmptyClusters::WorstRow => {
                let lent = self.lend(source, ids)?;
                self.sums.move_centroids(self.metric, centroids);
                lent.iter().for_each(|lent| self.take_back(lent));
                Ok(lent.len())
            }
            EmptyClusters::Split => {
                self.sums.move_centroids(self.metric, centroids);
                let mut sizes = self.sums.sizes().to_vec();
                Ok(empty::split(kmeans, &mut sizes, centroids, pass))
            }
        }
    }

    /// [`lend`] among all rows. `self.cluster` keeps telling where the search put the rows.
    fn lend<S: EmbeddingSource + ?Sized>(
        &mut self,
        source: &S,
        ids: &[SampleId],
    ) -> Result<Vec<Lent>, SourceError> {
        if self.sums.sizes().iter().all(|&size| size > 0) {
            return Ok(Vec::new());
        }
        let mut worst: Vec<usize> = (0..ids.len()).collect();
        worst.par_sort_unstable_by(|&a, &b| {
            rank::better_first(self.misfit[a], self.misfit[b], Direction::HigherIsBetter)
                .then_with(|| ids[a].cmp(&ids[b]))
                .then(a.cmp(&b))
        });
        let cluster = &self.cluster;
        lend(&mut self.sums, source, worst.into_iter().map(|row| (row, cluster[row])))
    }

    fn take_back(&mut self, Lent { vector, from, to }: &Lent) {
        self.sums.subtract_some(vector, &[0], &[*to]);
        self.sums.add_some(vector, &[0], &[*from]);
    }
}

/// Lends every empty cluster the row that fits its own centroid worst, as long as that leaves no other
/// cluster empty. `worst` are rows and their clusters, the one that fits worst first.
pub(crate) fn lend<S: EmbeddingSource + ?Sized>(
    sums: &mut CentroidSums,
    source: &S,
    mut worst: impl Iterator<Item = (usize, u32)>,
) -> Result<Vec<Lent>, SourceError> {
    let empty: Vec<u32> =
        (0_u32..).zip(sums.sizes()).filter(|&(_, &size)| size == 0).map(|(c, _)| c).collect();
    let mut lent = Vec::new();
    for to in empty {
        let spare = |&(_, cluster): &(usize, u32)| sums.sizes()[cluster as usize] > 1;
        let Some((row, from)) = worst.find(spare) else { break };
        let mut vector = vec![0.0; source.dim()];
        source.gather(&[row], &mut vector)?;
        sums.subtract_some(&vector, &[0], &[from]);
        sums.add_some(&vector, &[0], &[to]);
        lent.push(Lent { vector, from, to });
    }
    Ok(lent)
}

#[cfg(test)]
mod tests {
    use curate_core::{BLOCK_ROWS, NoProgress};
    use ndarray::{Array2, array};

    use super::*;
    use crate::{Init, KMeansParams, facts::Facts, mixture::mixture};

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
            assert_eq!(found.sizes(), [120; 5]);
            for (i, &cluster) in found.assignment.cluster().iter().enumerate() {
                assert_eq!(cluster, found.assignment.cluster()[i % 5]);
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
        assert_eq!(found.sizes().iter().sum::<usize>(), 1_019);
        assert!(found.converged);

        let rows = array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
        let found =
            KMeansParams::new(3).check().unwrap().fit(&rows.view(), &ids(3), &NoProgress).unwrap();
        let mut clusters = found.assignment.cluster().to_vec();
        clusters.sort_unstable();
        assert_eq!(clusters, [0, 1, 2]);
        assert_eq!(found.assignment.nearness(), [1.0; 3]);
    }

    #[test]
    fn an_empty_cluster_takes_the_row_that_fits_worst() {
        // Two equal starts: the second cluster is empty after the first pass.
        let rows = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let kmeans = KMeansParams::new(2).check().unwrap();
        let mut placed = Placed::new(CentroidSums::of_unit_rows(2, 2), Metric::Spherical);
        let mut search = Search::new(None, &[1.0, 0.0, 1.0, 0.0], 2, Metric::Spherical).unwrap();
        let view = rows.view();
        let add = |vectors: &[f32], block: Block<'_>| placed.add(vectors, &block);
        search.each_block(&view, &Facts::Unknown, &NoProgress, add).unwrap();
        assert_eq!(placed.sums.sizes(), [4, 0]);
        let (before, mut centroids) = (placed.sums.clone(), vec![0.0; 4]);
        assert_eq!(placed.next_centroids(&kmeans, &view, &ids(4), 1, &mut centroids).unwrap(), 1);
        assert_eq!(centroids, [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(placed.sums, before, "it was lent, not given");
    }

    #[test]
    fn training_on_a_sample_still_assigns_every_row() {
        let rows = mixture(3_000, 6, 8);
        let kmeans = KMeansParams::new(6).init(Init::PlusPlus).train_rows_per_cluster(Some(20));
        let found = kmeans.check().unwrap().fit(&rows.view(), &ids(3_000), &NoProgress).unwrap();
        assert_eq!(found.sizes(), [500; 6]);
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
        assert!(complaint(broken).contains("centroid 7 holds a NaN"));
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
