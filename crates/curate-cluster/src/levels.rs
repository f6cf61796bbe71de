//! A start by levels: the rows are divided into few coarse clusters, and each of these on its own into as
//! many as it deserves.
//!
//! With $\sqrt{k}$ coarse clusters every row meets about $2 \sqrt{k}$ centroids a pass in place of $k$, and the
//! passes over all centroids that follow begin near where they end.

use std::{cmp::Reverse, collections::BinaryHeap};

use curate_core::{
    BLOCK_ROWS, EmbeddingSource, Progress, SampleId, SourceError, embedding::RowsOf,
    progress::Quiet, random,
};
use curate_kernels::ExactSum;
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::{
    ClusterError, Clustering, KMeans, KMeansParams,
    facts::Facts,
    init::{Start, smallest_hashes},
    task::task,
    trained::Trained,
};

/// Rows of a cluster that a start is made from, at most: more change little, as the passes that follow see
/// all rows.
const ROWS_A_CLUSTER: usize = 128;
/// Rows of a coarse cluster that it is trained on.
const ROWS_A_COARSE_CLUSTER: usize = 128;
/// Passes over these. Where the coarse clusters lie matters little.
const COARSE_ITERATIONS: usize = 4;
/// Passes over the rows of a coarse cluster.
const ITERATIONS: usize = 5;
/// A coarse cluster of so many rows or fewer is held in memory, one for each thread. A larger one, as of a
/// picture that half the pool consists of, is read again in every pass.
const HELD: usize = 4 * BLOCK_ROWS;

/// Centroids to start from, and the cluster of each row where the start has seen all of them.
pub(crate) fn start<S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    source: &S,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Start, ClusterError> {
    // The clusterings within start from some of the rows again: the type of a source must not grow.
    let source: &dyn EmbeddingSource = &source;
    let wanted = kmeans.clusters().saturating_mul(ROWS_A_CLUSTER);
    if ids.len() <= wanted {
        return divide(kmeans, source, ids, progress);
    }
    let mut rows = smallest_hashes(ids, wanted, random::derive(kmeans.seed(), "levels: rows"));
    rows.sort_unstable();
    let ids: Vec<SampleId> = rows.iter().map(|&row| ids[row]).collect();
    let start = divide(kmeans, &RowsOf::new(source, &rows), &ids, progress);
    start.map(|start| start.centroids.into()).map_err(|error| error.at(&rows))
}

/// The centroids of each coarse cluster's division, one after the other.
fn divide(
    kmeans: &KMeans,
    source: &dyn EmbeddingSource,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Start, ClusterError> {
    let coarse = coarse(kmeans).fit(source, ids, progress)?;
    let members = coarse.assignment.members().into_iter().zip(shares(&coarse, kmeans.clusters()));
    let parts: Vec<Part> = members.map(|(rows, clusters)| Part { rows, clusters }).collect();
    let divide = |room: &mut Vec<f32>, (number, part): (usize, &Part)| {
        let name = format!("levels: part {number}");
        let start =
            part.divide(&lower(kmeans, &name, part.clusters), (source, ids), room, progress);
        progress.advance(part.rows.len() as u64);
        start
    };
    let starts: Vec<Result<Start, ClusterError>> =
        task(progress, "k-means by levels", source.rows(), || {
            parts.par_iter().enumerate().map_init(Vec::new, divide).collect()
        });
    let mut all = Start { centroids: Vec::new(), cluster: vec![0; ids.len()] };
    let mut first = 0;
    for (part, start) in parts.iter().zip(starts) {
        let start = start?;
        all.centroids.extend(start.centroids);
        for (&row, cluster) in part.rows.iter().zip(start.cluster) {
            all.cluster[row] = first + cluster;
        }
        first += part.clusters as u32;
    }
    Ok(all)
}

/// How the coarse clusters are found: as many as each will have parts.
fn coarse(kmeans: &KMeans) -> KMeans {
    let clusters = (kmeans.clusters() as f64).sqrt().round() as usize;
    lower(kmeans, "levels: coarse", clusters)
        .iterations(COARSE_ITERATIONS)
        .train_rows_per_cluster(Some(ROWS_A_COARSE_CLUSTER))
        .check()
        .expect("of parameters that were checked")
}

/// Parameters of a clustering that is a step of another.
fn lower(kmeans: &KMeans, name: &str, clusters: usize) -> KMeansParams {
    KMeansParams::new(clusters).metric(kmeans.metric()).seed(random::derive(kmeans.seed(), name))
}

/// A coarse cluster.
struct Part {
    rows: Vec<usize>,
    /// How many clusters it is divided into.
    clusters: usize,
}

impl Part {
    /// Its centroids, and the cluster of each of its rows; `room` is for their vectors.
    fn divide(
        &self,
        params: &KMeansParams,
        (source, ids): (&dyn EmbeddingSource, &[SampleId]),
        room: &mut Vec<f32>,
        progress: &dyn Progress,
    ) -> Result<Start, ClusterError> {
        if self.clusters == 0 {
            return Ok(Vec::new().into());
        }
        progress.check().map_err(SourceError::from)?;
        let kmeans = params.clone().iterations(ITERATIONS).check();
        let kmeans = kmeans.expect("of parameters that were checked");
        let ids: Vec<SampleId> = self.rows.iter().map(|&row| ids[row]).collect();
        let trained = if self.rows.len() > HELD {
            train(&kmeans, &RowsOf::new(source, &self.rows), &ids, progress)
        } else {
            let shape = (self.rows.len(), source.dim());
            room.resize(room.len().max(shape.0 * shape.1), 0.0);
            let vectors = &mut room[..shape.0 * shape.1];
            source.gather(&self.rows, vectors)?;
            let vectors = ArrayView2::from_shape(shape, vectors).expect("a vector for each row");
            train(&kmeans, &vectors, &ids, progress)
        };
        let trained = trained.map_err(|error| error.at(&self.rows))?;
        Ok(Start { centroids: trained.centroids, cluster: trained.cluster })
    }
}

/// Trains on rows that the coarse clustering has looked at.
fn train<S: EmbeddingSource>(
    kmeans: &KMeans,
    source: &S,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Trained<'static>, ClusterError> {
    let (metric, quiet) = (kmeans.metric(), Quiet(progress));
    let facts = Facts::before(metric, source, &quiet)?.after_a_pass(metric);
    kmeans.train((None, facts), None, source, ids, &quiet)
}

/// What a start by levels costs beyond the passes that follow, at most.
#[derive(Default)]
pub(crate) struct LevelsCost {
    pub(crate) operations: f64,
    /// Bytes of rows that are read.
    pub(crate) reads: f64,
    /// Bytes of rows that are held.
    pub(crate) rows: f64,
}

impl LevelsCost {
    /// Of `clusters` clusters of some of so many rows of length `dim`.
    pub(crate) fn new(clusters: f64, rows: f64, dim: f64) -> Self {
        let (rows, coarse) = (rows.min(clusters * ROWS_A_CLUSTER as f64), clusters.sqrt());
        let trained = rows.min(coarse * ROWS_A_COARSE_CLUSTER as f64);
        let products = COARSE_ITERATIONS as f64 * trained + (1 + ITERATIONS) as f64 * rows;
        let held = (HELD * rayon::current_num_threads()) as f64;
        Self {
            operations: 2.0 * dim * coarse * products,
            reads: 4.0 * dim * products,
            rows: 8.0 * rows + 4.0 * dim * rows.min(held),
        }
    }
}

/// How many of `k` clusters each coarse cluster is divided into: one for each that has rows, and the others
/// one by one to where the rows lie farthest from their centroid, taken together, for each cluster
/// there is by then. None gets more than it has rows.
fn shares(coarse: &Clustering, k: usize) -> Vec<usize> {
    let sizes = coarse.sizes();
    let mut distances = vec![ExactSum::default(); coarse.k()];
    for (&cluster, distance) in coarse.assignment.cluster().iter().zip(coarse.distances()) {
        distances[cluster as usize].extend([distance]);
    }
    let mut shares: Vec<usize> = sizes.iter().map(|&size| size.min(1)).collect();
    // Numbers that are not negative are in the order of their bits.
    let worth = |c: usize, share: usize| (distances[c].value().max(0.0) / share as f64).to_bits();
    let mut next: BinaryHeap<(u64, Reverse<usize>)> =
        (0..sizes.len()).filter(|&c| sizes[c] > 1).map(|c| (worth(c, 1), Reverse(c))).collect();
    for _ in shares.iter().sum()..k {
        let Some((_, Reverse(c))) = next.pop() else { break };
        shares[c] += 1;
        if shares[c] < sizes[c] {
            next.push((worth(c, shares[c]), Reverse(c)));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::{Array2, Axis, array};

    use super::*;
    use crate::{Assignment, Init, Metric, mixture::mixture};

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(|i| SampleId(i * 61 + 11)).collect()
    }

    fn levels(clusters: usize) -> KMeansParams {
        KMeansParams::new(clusters).init(Init::Levels).seed(6)
    }

    fn fit(rows: &Array2<f32>, ids: &[SampleId], params: KMeansParams) -> Clustering {
        params.check().unwrap().fit(&rows.view(), ids, &NoProgress).unwrap()
    }

    #[test]
    fn clusters_go_to_where_rows_are_far_and_never_beyond_the_rows() {
        let coarse = |cluster: Vec<u32>, distances: Vec<f32>| Clustering {
            centroids: array![[1.0], [1.0], [1.0]],
            metric: Metric::Euclidean,
            assignment: Assignment::new(3, cluster, distances).unwrap(),
            objective: Vec::new(),
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        };
        // Distances of 1, 8 and 2 in all: 8, 8/2, 8/3, 2, 8/4, 2/2 and 1 are the turns.
        let far =
            coarse(vec![0, 1, 1, 1, 1, 1, 2, 2], vec![1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(shares(&far, 5), [1, 3, 1]);
        assert_eq!(shares(&far, 6), [1, 4, 1], "as far for each: the first one");
        assert_eq!(shares(&far, 8), [1, 5, 2]);
        // The second has no rows, and distances of zero are in their place.
        let equal = coarse(vec![0, 0, 2, 2], vec![0.0; 4]);
        assert_eq!(shares(&equal, 3), [2, 0, 1]);
        assert_eq!(shares(&equal, 4), [2, 0, 2]);
    }

    #[test]
    fn a_start_by_levels_is_better_than_rows_at_random() {
        let rows = mixture(4_000, 90, 16);
        for metric in [Metric::Spherical, Metric::Euclidean] {
            let random = KMeansParams::new(60).metric(metric).iterations(1).seed(6);
            let levels = random.clone().init(Init::Levels);
            let as_it_is = fit(&rows, &ids(4_000), levels.clone().iterations(0)).inertia();
            let one_pass = fit(&rows, &ids(4_000), levels).inertia();
            let random = fit(&rows, &ids(4_000), random).inertia();
            assert!(one_pass <= as_it_is && as_it_is < random, "{as_it_is} {random}");
        }
    }

    /// What the start knows of rows spares work and changes nothing.
    #[test]
    fn passes_from_it_are_passes_from_centroids_that_are_given() {
        let rows = mixture(3_000, 70, 12);
        for metric in [Metric::Spherical, Metric::Euclidean] {
            // With 40 clusters all rows are seen by the start, with 9 some.
            for k in [40, 9] {
                let params = levels(k).metric(metric).tolerance(0.0);
                let start = fit(&rows, &ids(3_000), params.clone().iterations(0));
                assert!(start.objective.is_empty() && !start.converged);
                assert_eq!(start.centroids.nrows(), k);
                let kmeans = params.iterations(3).check().unwrap();
                let from = kmeans
                    .fit_from(start.centroids.view(), &rows.view(), &ids(3_000), &NoProgress)
                    .unwrap();
                let whole = kmeans.fit(&rows.view(), &ids(3_000), &NoProgress).unwrap();
                assert_eq!(whole, from);
                let parts = kmeans.train_at_once(&rows.view(), &ids(3_000), &NoProgress).unwrap();
                assert_eq!(parts.centroids(), &whole.centroids);
            }
        }
    }

    #[test]
    fn neither_threads_nor_the_order_of_rows_change_a_byte() {
        let n = 2_000;
        let (rows, names) = (mixture(n, 50, 10), ids(n));
        for k in [30, 7] {
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| fit(&rows, &names, levels(k).iterations(2)))
            };
            let one = on(1);
            assert_eq!(one, on(2));
            assert_eq!(one, on(7));
            let shuffled: Vec<usize> = (0..n).map(|i| (i * 373 + 11) % n).collect();
            let moved: Vec<SampleId> = shuffled.iter().map(|&row| names[row]).collect();
            let moved = fit(&rows.select(Axis(0), &shuffled), &moved, levels(k).iterations(2));
            assert_eq!(moved.centroids, one.centroids);
        }
    }

    #[test]
    fn few_rows_and_equal_ones_are_no_trouble() {
        let rows = Array2::from_shape_fn((50, 3), |(_, t)| f32::from(t == 0));
        for k in [1, 2, 3, 49, 50] {
            let found = fit(&rows, &ids(50), levels(k));
            assert_eq!((found.k(), found.centroids.nrows()), (k, k));
            assert!(found.inertia().abs() < 1e-9);
        }
    }

    /// A coarse cluster that is not held gives the bytes of one that is.
    #[test]
    fn most_rows_may_be_equal() {
        let n = HELD + 2_000;
        let rows = Array2::from_shape_fn((n, 2), |(i, t)| {
            let angle = if i < HELD + 900 { 0.001 * (i % 3) as f32 } else { 1.0 + i as f32 };
            if t == 0 { angle.cos() } else { angle.sin() }
        });
        let names = ids(n);
        let source = rows.view();
        let part = Part { rows: (0..HELD + 900).collect(), clusters: 3 };
        let params = lower(&levels(9).check().unwrap(), "test", 3);
        let mut room = Vec::new();
        let read = part.divide(&params, (&source, &names), &mut room, &NoProgress).unwrap();
        assert!(room.is_empty());
        let kmeans = params.iterations(ITERATIONS).check().unwrap();
        let held = rows.slice(ndarray::s![..HELD + 900, ..]).to_owned();
        let held = train(&kmeans, &held, &names[..HELD + 900], &NoProgress).unwrap();
        assert_eq!((read.centroids, read.cluster), (held.centroids, held.cluster));
        assert_eq!(fit(&rows, &names, levels(400).iterations(1)).k(), 400);
    }

    #[test]
    fn a_bad_row_is_named_by_its_place_in_the_source() {
        for k in [40, 2] {
            let mut rows = mixture(600, 5, 4);
            rows.row_mut(333).fill(f32::NAN);
            let kmeans = levels(k).check().unwrap();
            let error = kmeans.fit(&rows.view(), &ids(600), &NoProgress).unwrap_err();
            assert!(matches!(error, ClusterError::NotFinite { row: 333 }), "{error}");
        }
    }

    #[test]
    fn only_a_start_by_levels_may_stay_as_it_is() {
        assert!(KMeansParams::new(4).iterations(0).check().is_err());
        assert!(levels(4).iterations(0).check().is_ok());
    }
}
