//! Mixtures of Gaussians with full covariances, fitted by expectation maximization.

use curate_core::{EmbeddingSource, ParamsError, Progress, params::Checker};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use linfa_clustering::GaussianMixtureModel;
use ndarray::Array2;
use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};

use super::{AlternativeError, read_all};
use crate::{Assignment, ClusterError, Clustering, Metric};

/// Parameters of a Gaussian mixture; [`GaussianMixtureParams::check`] makes them usable.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixtureParams {
    clusters: usize,
    iterations: u64,
    tolerance: f64,
    regularization: f64,
    seed: u64,
}

impl GaussianMixtureParams {
    /// `clusters` Gaussians, started from linfa's k-means, at most 100 iterations.
    pub fn new(clusters: usize) -> Self {
        Self { clusters, iterations: 100, tolerance: 1e-3, regularization: 1e-6, seed: 0 }
    }

    /// At most so many iterations; a mixture that has not converged by then is an error.
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.iterations = iterations;
        self
    }

    /// Converged when the mean log likelihood of a row changes by less.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Added to the diagonal of the covariances.
    pub fn regularization(mut self, regularization: f64) -> Self {
        self.regularization = regularization;
        self
    }

    /// The seed of the start.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<GaussianMixture, ParamsError> {
        let mut check = Checker::default();
        let clusters = self.clusters;
        check.that(
            (1..=u32::MAX as usize).contains(&clusters),
            "clusters",
            clusters,
            "from 1 to 2^32 - 1",
        );
        check.that(self.iterations >= 1, "iterations", self.iterations, "at least 1");
        let finite_above = |x: f64| x > 0.0 && x.is_finite();
        let allowed = "a finite number above 0";
        check.that(finite_above(self.tolerance), "tolerance", self.tolerance, allowed);
        let regularization = self.regularization;
        check.that(finite_above(regularization), "regularization", regularization, allowed);
        check.finish()?;
        Ok(GaussianMixture(self))
    }
}

/// A Gaussian mixture with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixture(GaussianMixtureParams);

/// A fitted mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Every row with its most probable Gaussian; centroids are the means, nearness the squared
    /// Euclidean distance to them. A row's mean need not be the nearest.
    pub clustering: Clustering,
    /// The share of each Gaussian.
    pub weights: Vec<f64>,
    /// How probable it is that each row comes from the Gaussian it was given to.
    pub probability: Vec<f32>,
}

impl GaussianMixture {
    /// Fits the mixture to the rows of `source`, all in memory at once and in f64.
    ///
    /// # Errors
    /// When there are fewer rows than clusters, a row is not finite, rows cannot be read, the caller
    /// cancels, or the mixture does not converge.
    pub fn fit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        progress: &dyn Progress,
    ) -> Result<Mixture, AlternativeError> {
        let (clusters, n, dim) = (self.0.clusters, source.rows(), source.dim());
        if n < clusters {
            return Err(ClusterError::TooFewRows { clusters, rows: n }.into());
        }
        let rows = read_all(source, progress)?;
        let doubles = rows.iter().map(|&x| f64::from(x)).collect();
        let table =
            ndarray016::Array2::from_shape_vec((n, dim), doubles).expect("n rows of dim numbers");
        let failed = |e: &dyn std::fmt::Display| AlternativeError::Mixture(e.to_string());
        let rng = Xoshiro256Plus::seed_from_u64(self.0.seed);
        let model = GaussianMixtureModel::params_with_rng(clusters, rng)
            .max_n_iterations(self.0.iterations)
            .tolerance(self.0.tolerance)
            .reg_covariance(self.0.regularization)
            .check()
            .map_err(|e| failed(&e))?
            .fit(&DatasetBase::from(table.view()))
            .map_err(|e| failed(&e))?;
        let probabilities = model.predict_proba(&table);
        if probabilities.iter().any(|p| !p.is_finite()) {
            return Err(failed(&"a row is too far from every Gaussian"));
        }
        let means = model.means().iter().map(|&x| x as f32).collect();
        let centroids = Array2::from_shape_vec((clusters, dim), means).expect("k means");
        let (mut clusters_of, mut nearness) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut probability = Vec::with_capacity(n);
        for (row, p) in rows.chunks_exact(dim.max(1)).zip(probabilities.rows()) {
            let cluster = (0..clusters).rev().max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap_or(0);
            let centroid = centroids.row(cluster);
            let centroid = centroid.as_slice().expect("standard layout");
            clusters_of.push(cluster as u32);
            nearness.push(Metric::Euclidean.nearness_of(row, centroid));
            probability.push(p[cluster] as f32);
        }
        let assignment = Assignment::new(clusters, clusters_of, nearness)?;
        let clustering = Clustering {
            centroids,
            metric: Metric::Euclidean,
            assignment,
            objective: Vec::new(),
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        };
        Ok(Mixture { clustering, weights: model.weights().to_vec(), probability })
    }
}
