//! What to fit and how.

use super::loss::{Loss, Space};
use crate::argument::MOST_DRAWS;
use crate::law::{Law, LawKind, ParamSpec, Prior};
use crate::observation::{Metric, Observations};
use curate_core::ParamsError;
use curate_core::params::Checker;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The expected size of residuals where runs have not shown it: half a point of error, or half a
/// percent of a loss.
pub(crate) const USUAL_NOISE: f64 = 0.005;

/// Options of a fit, not yet checked.
///
/// ```
/// use curate_scaling::{FitParams, law::Qqt};
///
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life").fix("d", 0.1);
/// assert!(params.check().is_ok());
/// let wrong = FitParams::new(Qqt::default()).fix("b", 0.3).starts(0).check().unwrap_err();
/// assert_eq!(wrong.violations.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitParams<L = LawKind> {
    pub(crate) law: L,
    pub(crate) loss: Loss,
    pub(crate) space: Space,
    pub(crate) per_pool: BTreeSet<String>,
    pub(crate) fixed: BTreeMap<String, f64>,
    pub(crate) priors: BTreeMap<String, Prior>,
    pub(crate) noise: Option<f64>,
    pub(crate) starts: usize,
    pub(crate) max_iterations: usize,
    pub(crate) seed: u64,
}

/// Options of a fit that passed [`FitParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidFitParams<L = LawKind>(pub(crate) FitParams<L>);

impl<L: Law> FitParams<L> {
    /// Least squares on the metric, every parameter shared by all pools, 16 starts, seed 0.
    pub fn new(law: L) -> Self {
        FitParams {
            law,
            loss: Loss::LeastSquares,
            space: Space::Metric,
            per_pool: BTreeSet::new(),
            fixed: BTreeMap::new(),
            priors: BTreeMap::new(),
            noise: None,
            starts: 16,
            max_iterations: 400,
            seed: 0,
        }
    }

    /// The usual way to fit a law to this table: where pools differ, the parameters that measure
    /// their quality are their own ([`Law::usually_per_pool`]), the others shared; losses by
    /// Huber cost of the logarithm (delta 0.001), errors by least squares.
    pub fn usual(law: L, data: &Observations) -> Self {
        let own = if data.pools().len() > 1 { law.usually_per_pool() } else { &[] };
        let params = own.iter().fold(FitParams::new(law), |params, name| params.per_pool(*name));
        match data.metric() {
            Metric::Error => params,
            Metric::Loss => params.loss(Loss::Huber { delta: 1e-3 }).space(Space::Log),
        }
    }

    /// As [`FitParams::usual`], by least squares and with the law's priors
    /// ([`Law::usual_priors`]): for tables too small to determine every parameter, whose doubt
    /// [`Resample::Posterior`](crate::Resample::Posterior) then draws. A law without priors stays
    /// without.
    ///
    /// ```
    /// use curate_scaling::law::Qqt;
    /// use curate_scaling::{FitParams, NoProgress, example_runs};
    ///
    /// // Three runs, one of each pool, for four parameters of which each pool owns two.
    /// let few = example_runs().filter(|run| run.samples == Some(1e7));
    /// assert!(FitParams::usual(Qqt::default(), &few).fit(&few, &NoProgress).is_err());
    /// let fit = FitParams::cautious(Qqt::default(), &few).fit(&few, &NoProgress)?;
    /// assert!((0.05..0.5).contains(&-fit.get("b[good]")?));
    /// # Ok::<(), curate_scaling::ScalingError>(())
    /// ```
    pub fn cautious(law: L, data: &Observations) -> Self {
        let priors = law.usual_priors(&data.summary(None));
        let params = FitParams::usual(law, data).noise(USUAL_NOISE);
        let known = |prior: &Prior| prior.center.is_finite() && prior.center != 0.0;
        if priors.is_empty() || !priors.iter().all(|(_, prior)| known(prior)) {
            return params;
        }
        let params = params.loss(Loss::LeastSquares);
        priors.into_iter().fold(params, |params, (name, prior)| {
            let spec = params.law.params().into_iter().find(|spec| spec.name == name);
            let (low, high) =
                spec.map_or((f64::NEG_INFINITY, f64::INFINITY), |s| (s.lower, s.upper));
            params.prior(name, prior.center.clamp(low, high), prior.spread)
        })
    }

    /// Whether any parameter has a prior.
    pub(crate) fn has_priors(&self) -> bool {
        !self.priors.is_empty()
    }

    /// Sets what residuals cost.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Sets where residuals are taken.
    pub fn space(mut self, space: Space) -> Self {
        self.space = space;
        self
    }

    /// Gives every pool its own value of `parameter`; the others are shared.
    pub fn per_pool(mut self, parameter: impl Into<String>) -> Self {
        self.per_pool.insert(parameter.into());
        self
    }

    /// Shares every parameter between all pools again.
    pub fn share_all(mut self) -> Self {
        self.per_pool.clear();
        self
    }

    /// Holds `parameter` at `value`. A parameter of one pool is called `name[pool]`.
    pub fn fix(mut self, parameter: impl Into<String>, value: f64) -> Self {
        self.fixed.insert(parameter.into(), value);
        self
    }

    /// Adds a normal prior on `parameter` (or `name[pool]`); needs [`FitParams::noise`].
    pub fn prior(mut self, parameter: impl Into<String>, center: f64, spread: f64) -> Self {
        self.priors.insert(parameter.into(), Prior { center, spread });
        self
    }

    /// The expected size of residuals, which sets what a prior weighs against the data. It is 1
    /// where rows carry a sigma.
    pub fn noise(mut self, noise: f64) -> Self {
        self.noise = Some(noise);
        self
    }

    /// Sets the number of starting points.
    pub fn starts(mut self, starts: usize) -> Self {
        self.starts = starts;
        self
    }

    /// Sets the largest number of iterations from each starting point.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Sets the seed of the starting points.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    /// All violations at once, each with field, value and allowed range.
    pub fn check(self) -> Result<ValidFitParams<L>, ParamsError> {
        let mut check = Checker::default();
        let specs = self.law.params();
        for name in &self.per_pool {
            let known = specs.iter().any(|s| s.name == *name);
            check.that(known, "per_pool", name, format!("one of {}", names(&specs)));
        }
        for (name, value) in &self.fixed {
            check_value(&mut check, &specs, "fix", name, *value);
        }
        for (name, prior) in &self.priors {
            check_value(&mut check, &specs, "prior", name, prior.center);
            let spread = prior.spread;
            let field = format!("prior({name}).spread");
            let allowed = "a finite number above 0";
            check.that(spread > 0.0 && spread.is_finite(), field, spread, allowed);
        }
        let noise = self.noise.map_or("not given".into(), |noise| noise.to_string());
        let holds = match self.noise {
            Some(noise) => noise > 0.0 && noise.is_finite(),
            None => self.priors.is_empty(),
        };
        check.that(holds, "noise", noise, "a finite number above 0, which priors are weighed with");
        self.loss.check(&mut check);
        let starts = (1..=MOST_DRAWS).contains(&self.starts);
        check.that(starts, "starts", self.starts, format!("from 1 to {MOST_DRAWS}"));
        check.that(self.max_iterations > 0, "max_iterations", self.max_iterations, "at least 1");
        check.finish()?;
        Ok(ValidFitParams(self))
    }
}

/// The parameter `name` belongs to, without the pool in brackets.
pub(crate) fn base_name(name: &str) -> &str {
    name.split_once('[').map_or(name, |(base, _)| base)
}

fn names(specs: &[ParamSpec]) -> String {
    specs.iter().map(|s| s.name.as_ref()).collect::<Vec<_>>().join(", ")
}

fn check_value(
    check: &mut Checker,
    specs: &[ParamSpec],
    option: &'static str,
    name: &str,
    value: f64,
) {
    let Some(spec) = specs.iter().find(|s| s.name == base_name(name)) else {
        return check.that(false, option, name, format!("one of {}", names(specs)));
    };
    let inside = value >= spec.lower && value <= spec.upper && value.is_finite();
    let allowed = format!("between {} and {}", spec.lower, spec.upper);
    check.that(inside, format!("{option}({name})"), value, allowed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{Power, Qqt};

    #[test]
    fn every_violation_is_reported_with_field_value_and_range() {
        let error = FitParams::new(Qqt::default())
            .per_pool("bb")
            .fix("a", 1.0)
            .fix("b[top]", 0.5)
            .prior("d", 0.1, -1.0)
            .loss(Loss::Asymmetric { delta: 0.0, over: f64::NAN })
            .starts(0)
            .max_iterations(0)
            .check()
            .unwrap_err();
        let fields: Vec<&str> = error.violations.iter().map(|v| v.field.as_ref()).collect();
        let expected = [
            "per_pool",
            "fix",
            "fix(b[top])",
            "prior(d).spread",
            "noise",
            "loss.delta",
            "loss.over",
            "starts",
            "max_iterations",
        ];
        assert_eq!(fields, expected);
        let text = error.to_string();
        assert!(
            text.contains("`fix(b[top])` is 0.5, but must be between -5 and -0.0001"),
            "{text}"
        );
    }

    #[test]
    fn the_usual_options_follow_pools_and_metric() {
        let runs = crate::example_runs();
        let own = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
        assert_eq!(FitParams::usual(Qqt::default(), &runs), own);
        assert_eq!(own.share_all(), FitParams::new(Qqt::default()));
        let one = runs.filter(|row| row.pool == "good");
        assert_eq!(FitParams::usual(Qqt::default(), &one), FitParams::new(Qqt::default()));
        let loss = Observations::new(Metric::Loss, vec![], runs.rows().to_vec()).unwrap();
        assert_eq!(FitParams::usual(Power, &loss).space, Space::Log);
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let params = FitParams::new(Power).noise(bad);
            assert_eq!(params.check().unwrap_err().violations[0].field, "noise");
            let params = FitParams::new(Power).noise(0.1).prior("E", 0.2, bad);
            assert_eq!(params.check().unwrap_err().violations[0].field, "prior(E).spread");
            let params = FitParams::new(Power).loss(Loss::Huber { delta: bad });
            assert_eq!(params.check().unwrap_err().violations[0].field, "loss.delta");
        }
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(FitParams::new(Power).fix("E", bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prior_with_noise_is_accepted() {
        assert!(FitParams::new(Power).prior("E", 0.2, 0.1).noise(0.01).check().is_ok());
    }
}
