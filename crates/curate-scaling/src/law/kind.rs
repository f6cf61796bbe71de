//! Every built-in law under one type, for files and command lines.

use super::interface::{Law, Member, ParamSpec, Prior, Summary};
use super::*;
use crate::error::ScalingError;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

macro_rules! law_kind {
    ($($(#[$doc:meta])* $variant:ident($law:ty)),+ $(,)?) => {
        /// A built-in law, chosen at run time.
        ///
        /// ```
        /// use curate_scaling::{Law, LawKind};
        ///
        /// let law: LawKind = "qqt-proportional".parse()?;
        /// assert_eq!(law.params().len(), 4);
        /// assert_eq!(LawKind::named("exponential-mixing", 7)?.params().len(), 8);
        /// # Ok::<(), curate_scaling::ScalingError>(())
        /// ```
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        #[serde(tag = "law", rename_all = "kebab-case")]
        pub enum LawKind {
            $($(#[$doc])* $variant($law),)+
        }

        impl Law for LawKind {
            fn name(&self) -> &'static str {
                match self { $(LawKind::$variant(law) => law.name(),)+ }
            }
            fn params(&self) -> Vec<ParamSpec> {
                match self { $(LawKind::$variant(law) => law.params(),)+ }
            }
            fn needs(&self) -> &'static [Field] {
                match self { $(LawKind::$variant(law) => law.needs(),)+ }
            }
            fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
                match self { $(LawKind::$variant(law) => law.eval(at, theta, grad),)+ }
            }
            fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
                match self { $(LawKind::$variant(law) => law.start(data, unit),)+ }
            }
            fn usually_per_pool(&self) -> &'static [&'static str] {
                match self { $(LawKind::$variant(law) => law.usually_per_pool(),)+ }
            }
            fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
                match self { $(LawKind::$variant(law) => law.usual_priors(data),)+ }
            }
            fn predict_union(&self, samples: f64, members: &[Member<'_>]) -> Option<f64> {
                match self { $(LawKind::$variant(law) => law.predict_union(samples, members),)+ }
            }
            fn mixture_gradient(&self, at: &Point<'_>, theta: &[f64], grad: &mut [f64]) -> bool {
                match self { $(LawKind::$variant(law) => law.mixture_gradient(at, theta, grad),)+ }
            }
        }

        $(impl From<$law> for LawKind {
            fn from(law: $law) -> LawKind {
                LawKind::$variant(law)
            }
        })+
    };
}

law_kind! {
    /// `E + A n^-c`.
    Power(Power),
    /// `E + A (n + s)^-c`.
    ShiftedPower(ShiftedPower),
    /// `E + A / N^alpha + B / D^beta`.
    Chinchilla(Chinchilla),
    /// Chinchilla with repeats.
    DataConstrained(DataConstrained),
    /// The quality-quantity trade-off.
    Qqt(Qqt),
    /// Loss by compute and over-training.
    OverTraining(OverTraining),
    /// `c + exp(t . r)`.
    ExponentialMixing(ExponentialMixing),
    /// Chinchilla plus a mixture term.
    AdditiveMixing(AdditiveMixing),
    /// Upstream loss to downstream error.
    LossToError(LossToError),
}

impl LawKind {
    /// Every law that can be named, mixing laws for `domains` domains.
    pub fn all(domains: usize) -> Vec<LawKind> {
        let mut all: Vec<LawKind> = vec![Power.into(), ShiftedPower.into()];
        for tied in [false, true] {
            all.push(Chinchilla { tied }.into());
            for decay in [Decay::Exponential, Decay::Geometric] {
                all.push(DataConstrained { tied, decay }.into());
            }
        }
        for half_life in [HalfLife::Constant, HalfLife::Proportional, HalfLife::Power] {
            for compat in [false, true] {
                all.push(Qqt { form: QqtForm::Utility, half_life, compat }.into());
            }
            all.push(Qqt { form: QqtForm::EffectiveData, half_life, compat: false }.into());
        }
        all.push(OverTraining.into());
        all.push(ExponentialMixing { domains }.into());
        all.push(AdditiveMixing { domains }.into());
        all.push(LossToError.into());
        all
    }

    /// The law of that name; mixing laws take `domains` from the table.
    ///
    /// # Errors
    /// An unknown name, with the known ones.
    pub fn named(name: &str, domains: usize) -> Result<LawKind, ScalingError> {
        let all = LawKind::all(domains);
        let known = || all.iter().map(Law::name).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|law| law.name() == name).cloned();
        found.ok_or_else(|| ScalingError::UnknownLaw { name: name.into(), known: known() })
    }
}

impl FromStr for LawKind {
    type Err = ScalingError;

    /// As [`LawKind::named`] without domains; use that for the mixing laws.
    fn from_str(name: &str) -> Result<LawKind, ScalingError> {
        LawKind::named(name, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for law in LawKind::all(3) {
            assert_eq!(LawKind::named(law.name(), 3).unwrap(), law);
            let text = serde_json::to_string(&law).unwrap();
            assert_eq!(serde_json::from_str::<LawKind>(&text).unwrap(), law);
        }
    }

    #[test]
    fn an_unknown_law_lists_the_known_ones() {
        let message = "qtt".parse::<LawKind>().unwrap_err().to_string();
        assert!(message.contains("`qtt`") && message.contains("qqt-proportional"), "{message}");
    }

    #[test]
    fn starts_are_inside_the_bounds() {
        let data = Summary {
            samples: 64e6,
            unique: 12.8e6,
            parameters: 1e8,
            upstream_loss: 3.0,
            metric: 0.8,
            lowest: 0.7,
            highest: 0.9,
        };
        for law in LawKind::all(4) {
            for unit in [0.0, 0.3, 0.999] {
                let specs = law.params();
                let theta = law.start(&data, &vec![unit; specs.len()]);
                assert_eq!(theta.len(), specs.len(), "{}", law.name());
                for (spec, x) in specs.iter().zip(theta) {
                    let inside = spec.lower <= x && x <= spec.upper;
                    assert!(inside, "{} {} = {x}", law.name(), spec.name);
                }
            }
        }
    }
}
