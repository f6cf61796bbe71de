//! What could be trained on: a pool, or a union of pools.

use crate::error::ScalingError;
use crate::fit::{Fit, OutOfRange};
use crate::law::{Law, Member, Point};
use serde::{Deserialize, Serialize};

/// A pool or union of pools that could be trained on, with what-if changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name in reports.
    pub name: String,
    /// The pools it is made of, as the fit calls them.
    pub pools: Vec<String>,
    /// Distinct samples of each pool, in order; the fit's where `None`.
    pub unique: Vec<Option<f64>>,
    /// Model parameters; the first pool's where `None`.
    pub parameters: Option<f64>,
    /// Mixture weights, for laws of mixtures.
    pub mixture: Vec<f64>,
}

impl Candidate {
    /// One pool of the fit.
    pub fn pool(name: impl Into<String>) -> Candidate {
        let name = name.into();
        Candidate::union(name.clone(), [name])
    }

    /// A union of disjoint pools of the fit, sampled uniformly.
    pub fn union<S: Into<String>>(
        name: impl Into<String>,
        pools: impl IntoIterator<Item = S>,
    ) -> Candidate {
        let pools: Vec<String> = pools.into_iter().map(Into::into).collect();
        let unique = vec![None; pools.len()];
        Candidate { name: name.into(), pools, unique, parameters: None, mixture: Vec::new() }
    }

    /// The best 1, 2, ... of `pools`, which are given best first: top 10 %, top 20 %, ...
    pub fn cumulative(pools: &[impl AsRef<str>]) -> Vec<Candidate> {
        let union = |count: usize| {
            let names: Vec<&str> = pools[..count].iter().map(AsRef::as_ref).collect();
            Candidate::union(names.join("+"), names)
        };
        (1..=pools.len()).map(union).collect()
    }

    /// Renames it.
    pub fn named(mut self, name: impl Into<String>) -> Candidate {
        self.name = name.into();
        self
    }

    /// What if its pools together had `unique` distinct samples, in the proportions they have?
    ///
    /// For a single pool this sets its size; a pool that the fit has not seen is then allowed if
    /// no parameter belongs to a pool.
    pub fn what_if_unique<L: Law>(mut self, fit: &Fit<L>, unique: f64) -> Candidate {
        let sizes: Vec<f64> = self.sizes(fit).into_iter().map(|s| s.unwrap_or(1.0)).collect();
        let scale = unique / sizes.iter().sum::<f64>();
        self.unique = sizes.into_iter().map(|size| Some(size * scale)).collect();
        self
    }

    /// What if the model had this many parameters?
    pub fn what_if_parameters(mut self, parameters: f64) -> Candidate {
        self.parameters = Some(parameters);
        self
    }

    /// Sets the mixture weights, in the order of the fit's domains.
    pub fn with_mixture(mut self, weights: Vec<f64>) -> Candidate {
        self.mixture = weights;
        self
    }

    fn sizes<L: Law>(&self, fit: &Fit<L>) -> Vec<Option<f64>> {
        let known = |name: &String| fit.pools().iter().find(|p| p.name == *name)?.unique;
        self.pools.iter().zip(&self.unique).map(|(n, own)| own.or_else(|| known(n))).collect()
    }

    /// Distinct samples of the whole; NaN where the fit does not know them.
    pub fn total_unique<L: Law>(&self, fit: &Fit<L>) -> f64 {
        self.sizes(fit).iter().map(|s| s.unwrap_or(f64::NAN)).sum()
    }

    /// Prepares predictions from parameter vectors like [`Fit::theta`].
    ///
    /// # Errors
    /// An unknown pool, and a union under a law that says nothing about unions.
    pub fn resolve<'a, L: Law>(&'a self, fit: &'a Fit<L>) -> Result<Resolved<'a, L>, ScalingError> {
        let mut indices = Vec::with_capacity(self.pools.len());
        for name in &self.pools {
            // Refuses unknown pools where pools have parameters of their own.
            fit.pool_theta(fit.theta(), name)?;
            indices.push(fit.pools().iter().position(|p| p.name == *name).unwrap_or(0));
        }
        let first = fit.pools().iter().find(|p| Some(&p.name) == self.pools.first());
        let parameters = self.parameters.or(first.and_then(|p| p.parameters));
        let sizes = self.sizes(fit).into_iter().map(|s| s.unwrap_or(f64::NAN)).collect();
        let resolved = Resolved {
            fit,
            indices,
            sizes,
            parameters: parameters.unwrap_or(f64::NAN),
            mixture: &self.mixture,
        };
        if resolved.predict(fit.theta(), 1e9).is_none() {
            return Err(ScalingError::NotAnswerable {
                law: fit.law().name(),
                problem: format!("`{}` is a union, and the law has no rule for unions", self.name),
                remedy: "fit a QQT law, or measure the union as a pool of its own".into(),
            });
        }
        Ok(resolved)
    }
}

/// A candidate with its pools looked up.
#[derive(Debug)]
pub struct Resolved<'a, L> {
    fit: &'a Fit<L>,
    indices: Vec<usize>,
    sizes: Vec<f64>,
    parameters: f64,
    mixture: &'a [f64],
}

impl<L: Law> Resolved<'_, L> {
    fn predict(&self, theta: &[f64], samples: f64) -> Option<f64> {
        let locals: Vec<Vec<f64>> =
            self.indices.iter().map(|&pool| self.fit.layout.local(theta, pool)).collect();
        if let ([local], [unique]) = (&locals[..], &self.sizes[..]) {
            return Some(self.fit.law().predict(&self.point(samples, *unique), local));
        }
        let pairs = self.sizes.iter().zip(&locals);
        let members: Vec<Member<'_>> =
            pairs.map(|(unique, theta)| Member { unique: *unique, theta }).collect();
        self.fit.law().predict_union(samples, &members)
    }

    fn point(&self, samples: f64, unique: f64) -> Point<'_> {
        let (parameters, mixture) = (self.parameters, self.mixture);
        Point { samples, unique, parameters, upstream_loss: f64::NAN, mixture }
    }

    /// Predicted metric after `samples` samples, under the parameters `theta`.
    pub fn at(&self, theta: &[f64], samples: f64) -> f64 {
        self.predict(theta, samples).unwrap_or(f64::NAN)
    }

    /// Where `samples` lies outside what the data span.
    pub fn out_of_range(&self, samples: f64) -> Vec<OutOfRange> {
        self.fit.out_of_range(&self.point(samples, self.sizes.iter().sum()))
    }
}

/// All candidates of a question, resolved.
pub(super) fn resolve_all<'a, L: Law>(
    fit: &'a Fit<L>,
    candidates: &'a [Candidate],
) -> Result<Vec<Resolved<'a, L>>, ScalingError> {
    if candidates.is_empty() {
        return Err(ScalingError::NotAnswerable {
            law: fit.law().name(),
            problem: "there are no candidates".into(),
            remedy: "name at least one pool or union".into(),
        });
    }
    candidates.iter().map(|c| c.resolve(fit)).collect()
}
