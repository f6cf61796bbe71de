//! DBSCAN (Ester, Kriegel, Sander and Xu 1996).

use curate_core::{EmbeddingSource, ParamsError, Progress, embedding, params::Checker};
use linfa::{ParamGuard, traits::Transformer};
use linfa_nn::{CommonNearestNeighbour, distance::L2Dist};
use ndarray::Array2;
use ndarray016::ArrayView2;

use super::{AlternativeError, read_all};
use crate::{Assignment, ClusterError, Clustering, Metric, assign};

/// Parameters of DBSCAN; [`DbscanParams::check`] makes them usable.
#[derive(Clone, Debug, PartialEq)]
pub struct DbscanParams {
    min_points: usize,
    radius: f32,
    metric: Metric,
}

impl DbscanParams {
    /// Rows with at least `min_points` rows (themselves included) at a Euclidean distance below
    /// `radius` are the cores of clusters.
    pub fn new(min_points: usize, radius: f32) -> Self {
        Self { min_points, radius, metric: Metric::Spherical }
    }

    /// The radius within which rows of length 1 have a cosine above `cosine`.
    pub fn radius_of_cosine(cosine: f32) -> f32 {
        (2.0 - 2.0 * cosine).max(0.0).sqrt()
    }

    /// What the centroids and nearness of the result mean. Which rows make a cluster depends on
    /// Euclidean distances alone, which order rows of length 1 as cosines do.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Dbscan, ParamsError> {
        let mut check = Checker::default();
        check.that(self.min_points >= 2, "min_points", self.min_points, "at least 2");
        let fits = self.radius > 0.0 && self.radius.is_finite();
        check.that(fits, "radius", self.radius, "a finite number above 0");
        check.finish()?;
        Ok(Dbscan(self))
    }
}

/// DBSCAN with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Dbscan(DbscanParams);

/// Clusters of any shape, and the rows that belong to none.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    /// Clusters in the order of their first core, centroids the means of their rows (of length 1
    /// when spherical). A row of noise is assigned to the nearest centroid. A row that several
    /// clusters reach belongs to the first.
    pub clustering: Clustering,
    /// The rows of noise, ascending: no core is within their radius.
    pub noise: Vec<usize>,
}

impl Dbscan {
    /// Clusters the rows of `source`, all in memory at once. Compares every row with every other.
    ///
    /// # Errors
    /// When a row is not finite, rows cannot be read, the caller cancels, or every row is noise.
    pub fn fit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        progress: &dyn Progress,
    ) -> Result<Density, AlternativeError> {
        let DbscanParams { min_points, radius, metric } = self.0;
        let (n, dim) = (source.rows(), source.dim());
        let rows = read_all(source, progress)?;
        let valid = linfa_clustering::Dbscan::params_with::<f32, _, _>(
            min_points,
            L2Dist,
            CommonNearestNeighbour::LinearSearch,
        )
        .tolerance(radius)
        .check()
        .expect("the same ranges were checked before");
        let table = ArrayView2::from_shape((n, dim), &rows).expect("n rows of dim numbers");
        let found: Vec<Option<usize>> = valid.transform(&table).to_vec();
        let k = found.iter().flatten().max().map_or(0, |&last| last + 1);
        if k == 0 {
            return Err(AlternativeError::NoCluster { min_points, radius });
        }
        let centroids = means(&rows, &found, (k, dim), metric);
        let nearest = assign(centroids.view(), metric, source, progress)?;
        let assignment = place(nearest, &rows, &found, &centroids, metric)?;
        let noise = (0..n).filter(|&row| found[row].is_none()).collect();
        let clustering = Clustering {
            centroids,
            metric,
            assignment,
            objective: Vec::new(),
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        };
        Ok(Density { clustering, noise })
    }
}

/// The mean of each cluster in f64, rows in order; of length 1 when spherical and not zero.
fn means(
    rows: &[f32],
    found: &[Option<usize>],
    (k, dim): (usize, usize),
    metric: Metric,
) -> Array2<f32> {
    let (mut sums, mut sizes) = (vec![0.0_f64; k * dim], vec![0_u32; k]);
    for (row, cluster) in rows.chunks_exact(dim).zip(found) {
        let Some(cluster) = *cluster else { continue };
        sizes[cluster] += 1;
        let sum = &mut sums[cluster * dim..][..dim];
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let mean = |(i, sum): (usize, f64)| (sum / f64::from(sizes[i / dim])) as f32;
    let mut means: Vec<f32> = sums.into_iter().enumerate().map(mean).collect();
    if metric == Metric::Spherical {
        means
            .chunks_exact_mut(dim)
            .filter(|m| m.iter().any(|&x| x != 0.0))
            .for_each(embedding::normalize);
    }
    Array2::from_shape_vec((k, dim), means).expect("k vectors of dim numbers")
}

/// Puts every row of a cluster there, whichever centroid is nearest to it.
fn place(
    nearest: Assignment,
    rows: &[f32],
    found: &[Option<usize>],
    centroids: &Array2<f32>,
    metric: Metric,
) -> Result<Assignment, ClusterError> {
    let dim = centroids.ncols();
    let (mut clusters, mut nearness) = (nearest.cluster().to_vec(), nearest.nearness().to_vec());
    for (row, &cluster) in found.iter().enumerate() {
        let Some(cluster) = cluster else { continue };
        let centroid = centroids.row(cluster);
        let centroid = centroid.as_slice().expect("standard layout");
        clusters[row] = cluster as u32;
        nearness[row] = metric.nearness_of(&rows[row * dim..][..dim], centroid);
    }
    Assignment::new(centroids.nrows(), clusters, nearness)
}
