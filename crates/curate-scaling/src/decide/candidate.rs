//! What could be trained on: a pool, or a union of pools.

use crate::argument::check_positive;
use crate::error::ScalingError;
use crate::fit::{Fit, OutOfRange};
use crate::law::{Law, Member, Point};
use crate::span::Span;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A pool or union of pools that could be trained on, with what-if changes.
///
/// ```
/// use curate_scaling::decide::Candidate;
/// use curate_scaling::{FitParams, NoProgress, example_runs, law::Qqt};
///
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&example_runs(), &NoProgress)?;
/// let both = Candidate::union("both", ["good", "fair"]);
/// assert_eq!(both.total_unique(&fit), Some(2e7));
/// let alone = Candidate::pool("good");
/// // At ten epochs of the good pool, the fresh samples of the fair one are worth more.
/// assert!(both.predict(&fit, 1e8)? < alone.predict(&fit, 1e8)?);
/// // What if the good pool had ten times as many samples?
/// let larger = alone.clone().pool_size("good", 1e8);
/// assert!(larger.predict(&fit, 1e8)? < alone.predict(&fit, 1e8)?);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    name: String,
    pools: Vec<String>,
    sizes: BTreeMap<String, f64>,
    parameters: Option<f64>,
    mixture: Vec<f64>,
}

impl Candidate {
    /// One pool of the fit. A pool that the fit has not seen is allowed if no parameter belongs to
    /// a pool; give its [`Candidate::pool_size`].
    pub fn pool(name: impl Into<String>) -> Candidate {
        let name = name.into();
        Candidate::union(name.clone(), [name])
    }

    /// A union of disjoint pools of the fit, sampled uniformly.
    pub fn union<S: Into<String>>(
        name: impl Into<String>,
        pools: impl IntoIterator<Item = S>,
    ) -> Candidate {
        Candidate {
            name: name.into(),
            pools: pools.into_iter().map(Into::into).collect(),
            sizes: BTreeMap::new(),
            parameters: None,
            mixture: Vec::new(),
        }
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

    /// What if one of its pools had `unique` distinct samples? The fit's number where not set.
    pub fn pool_size(mut self, pool: impl Into<String>, unique: f64) -> Candidate {
        self.sizes.insert(pool.into(), unique);
        self
    }

    /// What if the model had this many parameters? Those of the first pool's runs where not set.
    pub fn parameters(mut self, parameters: f64) -> Candidate {
        self.parameters = Some(parameters);
        self
    }

    /// Sets the mixture weights, in the order of the fit's domains, which laws of mixtures need.
    pub fn mixture(mut self, weights: Vec<f64>) -> Candidate {
        self.mixture = weights;
        self
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pools it is made of, as the fit calls them.
    pub fn pools(&self) -> &[String] {
        &self.pools
    }

    /// Whether it is the same pools under the same changes, in any order.
    fn is_same(&self, other: &Candidate) -> bool {
        let pools = |c: &Candidate| c.pools.iter().cloned().collect::<BTreeSet<_>>();
        pools(self) == pools(other)
            && self.sizes == other.sizes
            && self.parameters == other.parameters
            && self.mixture == other.mixture
    }

    fn sizes<L: Law>(&self, fit: &Fit<L>) -> Vec<Option<f64>> {
        let known = |name: &String| fit.pools().iter().find(|p| p.name == *name)?.unique;
        self.pools.iter().map(|n| self.sizes.get(n).copied().or_else(|| known(n))).collect()
    }

    /// Distinct samples of the whole; `None` where neither the fit nor the candidate knows them.
    pub fn total_unique<L: Law>(&self, fit: &Fit<L>) -> Option<f64> {
        self.sizes(fit).into_iter().sum()
    }

    /// Refuses a candidate that the fit cannot predict.
    ///
    /// # Errors
    /// A pool that the fit does not have, no pool, one pool twice, a size that is not positive, a
    /// union under a law that says nothing about unions, and a quantity that the law needs and
    /// nothing gives.
    pub fn check<L: Law>(&self, fit: &Fit<L>) -> Result<(), ScalingError> {
        self.resolve(fit).map(drop)
    }

    /// Predicted metric after `samples` samples.
    ///
    /// # Errors
    /// As [`Candidate::check`], and samples that are not positive.
    pub fn predict<L: Law>(&self, fit: &Fit<L>, samples: f64) -> Result<f64, ScalingError> {
        check_samples(samples)?;
        let value = self.resolve(fit)?.at(fit.theta(), samples);
        if value.is_finite() {
            return Ok(value);
        }
        Err(ScalingError::NotAnswerable {
            law: fit.law().name(),
            problem: format!("its value for `{}` at {samples} samples is {value}", self.name),
            remedy: "ask about a budget nearer to the runs".into(),
        })
    }

    /// Where `samples` lies outside what the runs span.
    ///
    /// # Errors
    /// As [`Candidate::predict`].
    pub fn out_of_range<L: Law>(
        &self,
        fit: &Fit<L>,
        samples: f64,
    ) -> Result<Vec<OutOfRange>, ScalingError> {
        check_samples(samples)?;
        Ok(self.resolve(fit)?.out_of_range(samples))
    }

    /// Looks up its pools, once for many predictions.
    pub(crate) fn resolve<'a, L: Law>(
        &'a self,
        fit: &'a Fit<L>,
    ) -> Result<Resolved<'a, L>, ScalingError> {
        self.check_own()?;
        let pool = |name: &String| fit.pool_index(name);
        let first = fit.pools().iter().find(|p| Some(&p.name) == self.pools.first());
        let parameters = self.parameters.or(first.and_then(|p| p.parameters));
        let resolved = Resolved {
            fit,
            indices: self.pools.iter().map(pool).collect::<Result<_, _>>()?,
            sizes: self.sizes(fit).into_iter().map(|s| s.unwrap_or(f64::NAN)).collect(),
            parameters: parameters.unwrap_or(f64::NAN),
            mixture: &self.mixture,
        };
        let remedy = "give it to the candidate, or ask `Fit::predict` with a point that has it";
        fit.check_point(&resolved.whole(1.0), &format!("candidate `{}`", self.name), remedy)?;
        if resolved.predict(fit.theta(), 1e9).is_none() {
            return Err(ScalingError::NotAnswerable {
                law: fit.law().name(),
                problem: format!("`{}` is a union, and the law has no rule for unions", self.name),
                remedy: "fit a QQT law, or measure the union as a pool of its own".into(),
            });
        }
        Ok(resolved)
    }

    /// What is wrong whatever the fit.
    fn check_own(&self) -> Result<(), ScalingError> {
        let mut check = Checker::default();
        let distinct: BTreeSet<&String> = self.pools.iter().collect();
        let pools = self.pools.join(", ");
        let named = !self.pools.is_empty()
            && (self.pools.len() == 1 || self.pools.iter().all(|pool| !pool.is_empty()));
        check.that(named, "candidate", &self.name, "a pool, or a union of pools with names");
        let disjoint = distinct.len() == self.pools.len() || !named;
        check.that(disjoint, "candidate", &self.name, "a union of different pools");
        for (pool, size) in &self.sizes {
            let known = self.pools.contains(pool);
            check.that(known, "pool_size.pool", pool, format!("one of its pools: {pools}"));
            check.that(*size > 0.0, format!("pool_size({pool})"), size, "above 0");
        }
        if let Some(parameters) = self.parameters {
            check_positive(&mut check, "parameters", parameters);
        }
        Ok(check.finish()?)
    }
}

fn check_samples(samples: f64) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    check_positive(&mut check, "samples", samples);
    Ok(check.finish()?)
}

/// A candidate with its pools looked up.
#[derive(Debug)]
pub(crate) struct Resolved<'a, L> {
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
        if let [local] = &locals[..] {
            return Some(self.fit.law().eval(&self.whole(samples), local, None));
        }
        let pairs = self.sizes.iter().zip(&locals);
        let members: Vec<Member<'_>> =
            pairs.map(|(unique, theta)| Member { unique: *unique, theta }).collect();
        self.fit.law().predict_union(samples, &members)
    }

    /// A run on all of it.
    fn whole(&self, samples: f64) -> Point<'_> {
        let unique = self.sizes.iter().sum();
        let run = Point::new().samples(samples).unique(unique);
        run.parameters(self.parameters).mixture(self.mixture)
    }

    pub(super) fn law(&self) -> &'static str {
        self.fit.law().name()
    }

    /// How far a run lies beyond the largest: the logarithms of the factors in samples and in model
    /// size.
    pub(super) fn beyond(&self, samples: f64) -> f64 {
        let range = self.fit.range();
        let over = |value: f64, span: Option<Span>| {
            span.map_or(0.0, |span| (value / span.high).ln().max(0.0))
        };
        over(samples, range.samples) + over(self.parameters, range.parameters)
    }

    /// Predicted metric after `samples` samples, under a fit's or a draw's parameters.
    pub(crate) fn at(&self, theta: &[f64], samples: f64) -> f64 {
        self.predict(theta, samples).unwrap_or(f64::NAN)
    }

    /// Where `samples` lies outside what the data span.
    pub(crate) fn out_of_range(&self, samples: f64) -> Vec<OutOfRange> {
        self.fit.out_of_range(&self.whole(samples))
    }
}

/// Refuses a question without candidates, and two candidates that are the same: each would win half
/// of the draws that the other wins.
pub(super) fn check_distinct(law: &'static str, all: &[Candidate]) -> Result<(), ScalingError> {
    let refuse = |problem: String, remedy: &str| {
        Err(ScalingError::NotAnswerable { law, problem, remedy: remedy.into() })
    };
    if all.is_empty() {
        return refuse("there are no candidates".into(), "name at least one pool or union");
    }
    for (i, one) in all.iter().enumerate() {
        let same = |other: &&Candidate| one.is_same(other) || one.name == other.name;
        if let Some(other) = all[..i].iter().find(same) {
            let problem = if one.name == other.name {
                format!("two candidates are called `{}`", one.name)
            } else {
                format!("the candidates `{}` and `{}` are the same", other.name, one.name)
            };
            return refuse(problem, "name each pool or union once");
        }
    }
    Ok(())
}
