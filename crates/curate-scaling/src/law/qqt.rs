//! The quality-quantity trade-off (QQT): utility that halves with repetition.
//!
//! Goyal et al. 2024, *Scaling Laws for Data Filtering*, arXiv:2404.07177. With pool size `N`,
//! samples seen `n`, utility exponent `b < 0`, half-life `tau` (epochs), floor `d`:
//!
//! - utility (eq. 5, the default): `y = (n_1 / n_0)^b prod_j (n_{j+1} / n_j)^(b 2^(-j / tau)) + d`,
//!   `n_j` the samples seen after `j` epochs, the last one `n`;
//! - effective data: `y = (n_eff / n_0)^b + d`, `n_eff = sum_j (samples in epoch j) 2^(-j / tau)`.
//!
//! `n_0` ("unit samples") is where the reducible error is one. The paper's normalizer is
//! `a = 1e5 / n_0` ([`normalizer_from_unit_samples`]).

use super::epochs::{MixedRepeats, discounted_log_ratio, effective_samples};
use super::interface::{VAGUE, floor_prior, log_between, sized};
use super::{Field, Law, Member, ParamSpec, Point, Prior, Summary};
use serde::{Deserialize, Serialize};

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QqtForm {
    /// Each epoch's samples are worth less: the exponent decays.
    #[default]
    Utility,
    /// Each epoch brings fewer effective samples: the count decays.
    EffectiveData,
}

/// How the half-life depends on the pool's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalfLife {
    /// `tau = half_life`, in epochs.
    #[default]
    Constant,
    /// `tau = half_life * N / 10^6`: in proportion to the pool (the paper's Theorem 1).
    Proportional,
    /// `tau = half_life * (N / 10^6)^half_life_power`.
    Power,
}

/// The QQT law. Parameters: `unit_samples, b, d, half_life` and, with [`HalfLife::Power`],
/// `half_life_power`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Qqt {
    /// Utility or effective data.
    #[serde(default)]
    pub form: QqtForm,
    /// How the half-life depends on the pool's size.
    #[serde(default)]
    pub half_life: HalfLife,
    /// Reproduce the released code, which multiplies the floor `d` by the repeats' product, so
    /// that it decays with training. Only for comparison with published curves.
    #[serde(default)]
    pub compat: bool,
}

/// The paper's normalizer `a` for a number of unit samples.
pub fn normalizer_from_unit_samples(unit_samples: f64) -> f64 {
    1e5 / unit_samples
}

/// Unit samples for the paper's normalizer `a`.
pub fn unit_samples_from_normalizer(a: f64) -> f64 {
    1e5 / a
}

impl Qqt {
    /// Number of parameters.
    fn count(&self) -> usize {
        if self.half_life == HalfLife::Power { 5 } else { 4 }
    }

    /// The half-life in epochs of a pool of `unique` samples.
    fn epochs_to_half(&self, unique: f64, theta: &[f64]) -> f64 {
        match self.half_life {
            HalfLife::Constant => theta[3],
            HalfLife::Proportional => theta[3] * unique / 1e6,
            HalfLife::Power => theta[3] * (unique / 1e6).powf(theta[4]),
        }
    }

    fn chain_half_life(&self, by_tau: f64, tau: f64, unique: f64, theta: &[f64], g: &mut [f64]) {
        g[3] = by_tau * tau / theta[3];
        if self.half_life == HalfLife::Power {
            g[4] = by_tau * tau * (unique / 1e6).ln();
        }
    }

    fn utility(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        let (unit_samples, b, d) = (theta[0], theta[1], theta[2]);
        let tau = self.epochs_to_half(at.unique, theta);
        let repeats = discounted_log_ratio(at.samples, at.unique, tau);
        let first = (at.samples.min(at.unique) / unit_samples).ln();
        let product = (b * repeats.sum).exp();
        let reducible = (b * (first + repeats.sum)).exp();
        let floor_kept = if self.compat { product } else { 1.0 };
        if let Some(grad) = grad {
            let decaying = if self.compat { reducible + d * product } else { reducible };
            grad[0] = -b * reducible / unit_samples;
            grad[1] = reducible * first + decaying * repeats.sum;
            grad[2] = floor_kept;
            let by_tau = b * decaying * repeats.by_half_life;
            self.chain_half_life(by_tau, tau, at.unique, theta, grad);
        }
        reducible + d * floor_kept
    }

    fn effective_data(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        let (unit_samples, b, d) = (theta[0], theta[1], theta[2]);
        let tau = self.epochs_to_half(at.unique, theta);
        let seen = effective_samples(at.samples, at.unique, tau);
        let log_seen = (seen.sum / unit_samples).ln();
        let reducible = (b * log_seen).exp();
        if let Some(grad) = grad {
            grad[0] = -b * reducible / unit_samples;
            grad[1] = reducible * log_seen;
            grad[2] = 1.0;
            let by_tau = b * reducible * seen.by_half_life / seen.sum;
            self.chain_half_life(by_tau, tau, at.unique, theta, grad);
        }
        reducible + d
    }

    /// Theorem 1 for pools of any sizes: a pool of `N_i` in a union of `N` has weight `N_i / N`
    /// and its half-life grows by `N / N_i`, since it is seen that much less often.
    fn union_utility(&self, samples: f64, union: f64, members: &[Member<'_>]) -> f64 {
        let (mut first, mut repeats, mut floor) = (0.0, 0.0, 0.0);
        for member in members {
            let weight = member.unique / union;
            let tau = self.epochs_to_half(member.unique, member.theta) / weight;
            let weighted = weight * member.theta[1];
            first += weighted * (samples.min(union) / member.theta[0]).ln();
            repeats += weighted * discounted_log_ratio(samples, union, tau).sum;
            floor += weight * member.theta[2];
        }
        let floor_kept = if self.compat { repeats.exp() } else { 1.0 };
        (first + repeats).exp() + floor * floor_kept
    }

    /// As [`Self::union_utility`], with the members' mean worth.
    fn union_effective(&self, samples: f64, union: f64, members: &[Member<'_>]) -> f64 {
        let weight = |m: &Member<'_>| m.unique / union;
        let mean = |get: &dyn Fn(&Member<'_>) -> f64| -> f64 {
            members.iter().map(|m| weight(m) * get(m)).sum()
        };
        let repeated = |m: &Member<'_>| {
            [weight(m), self.epochs_to_half(m.unique, m.theta) / weight(m), m.theta[1]]
        };
        let repeats = MixedRepeats { members: members.iter().map(repeated).collect(), union };
        let unit = mean(&|m| m.theta[0].ln());
        let first = mean(&|m| m.theta[1]) * (samples.min(union).ln() - unit);
        (first + repeats.log_growth(samples)).exp() + mean(&|m| m.theta[2])
    }
}

impl Law for Qqt {
    fn name(&self) -> &'static str {
        match (self.form, self.half_life, self.compat) {
            (QqtForm::Utility, HalfLife::Constant, false) => "qqt",
            (QqtForm::Utility, HalfLife::Proportional, false) => "qqt-proportional",
            (QqtForm::Utility, HalfLife::Power, false) => "qqt-power",
            (QqtForm::Utility, HalfLife::Constant, true) => "qqt-compat",
            (QqtForm::Utility, HalfLife::Proportional, true) => "qqt-proportional-compat",
            (QqtForm::Utility, HalfLife::Power, true) => "qqt-power-compat",
            (QqtForm::EffectiveData, HalfLife::Constant, _) => "qqt-data",
            (QqtForm::EffectiveData, HalfLife::Proportional, _) => "qqt-data-proportional",
            (QqtForm::EffectiveData, HalfLife::Power, _) => "qqt-data-power",
        }
    }

    fn params(&self) -> Vec<ParamSpec> {
        let mut all = vec![
            ParamSpec::positive("unit_samples", "samples", 1e-6, 1e15),
            ParamSpec::negative("b", "d ln error / d ln samples", -5.0, -1e-4),
            ParamSpec::linear("d", "metric", 0.0, f64::INFINITY),
            ParamSpec::positive("half_life", "epochs", 1e-3, 1e5),
        ];
        match self.half_life {
            HalfLife::Constant => {}
            HalfLife::Proportional => {
                all[3] = ParamSpec::positive("half_life", "epochs / 10^6 samples", 1e-6, 1e5);
            }
            HalfLife::Power => {
                all[3] = ParamSpec::positive("half_life", "epochs at 10^6 samples", 1e-6, 1e5);
                all.push(ParamSpec::linear("half_life_power", "1", -2.0, 3.0));
            }
        }
        all
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples, Field::Unique]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), self.count()) {
            return f64::NAN;
        }
        match self.form {
            QqtForm::Utility => self.utility(at, theta, grad),
            QqtForm::EffectiveData => self.effective_data(at, theta, grad),
        }
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        if unit.len() != self.count() {
            return vec![f64::NAN; self.count()];
        }
        let floor = 0.95 * unit[2] * data.lowest;
        let b = -log_between(0.03, 1.0, unit[1]);
        let tau = log_between(1.0, 30.0, unit[3]);
        let seen = effective_samples(data.samples, data.unique, tau).sum;
        let unit_samples = seen * (data.metric - floor).powf(-1.0 / b);
        let mut theta = vec![unit_samples.clamp(1e-3, 1e14), b, floor, tau];
        let pool = data.unique / 1e6;
        match self.half_life {
            HalfLife::Constant => {}
            HalfLife::Proportional => theta[3] /= pool,
            HalfLife::Power => {
                theta.push(unit[4]);
                theta[3] /= pool.powf(unit[4]);
            }
        }
        theta
    }

    fn usually_per_pool(&self) -> &'static [&'static str] {
        match self.half_life {
            HalfLife::Constant => &["b", "half_life"],
            HalfLife::Proportional | HalfLife::Power => &["b"],
        }
    }

    /// Exponents and half-lives are those of the paper's released fits (b -0.085 to -0.16, half-lives
    /// of 2.3 to 8.5 epochs of pools of 12.8 million), and wider.
    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        let (floor, exponent) = (floor_prior(data), 0.15);
        let reducible = data.metric - floor.center;
        let first = data.samples.min(data.unique);
        let unit = (first * reducible.powf(1.0 / exponent)).clamp(1e-3, 1e14);
        let half_life = match self.half_life {
            HalfLife::Constant => Prior::new(5.0, 1.0),
            HalfLife::Proportional => Prior::new(0.4, 0.7),
            HalfLife::Power => Prior::new(0.4, 1.5),
        };
        let mut all = vec![
            ("unit_samples", Prior::new(unit, VAGUE)),
            ("b", Prior::new(-exponent, 0.5)),
            ("d", floor),
            ("half_life", half_life),
        ];
        if self.half_life == HalfLife::Power {
            all.push(("half_life_power", Prior::new(1.0, 0.3)));
        }
        all
    }

    fn predict_union(&self, samples: f64, members: &[Member<'_>]) -> Option<f64> {
        let union: f64 = members.iter().map(|m| m.unique).sum();
        if members.is_empty() {
            return None;
        }
        if members.iter().any(|m| m.theta.len() != self.count()) {
            return Some(f64::NAN);
        }
        Some(match self.form {
            QqtForm::Utility => self.union_utility(samples, union, members),
            QqtForm::EffectiveData => self.union_effective(samples, union, members),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    const THETA: [f64; 4] = [4e6, -0.5, 0.25, 1.0];

    fn at(samples: f64, unique: f64) -> Point<'static> {
        Point::new().samples(samples).unique(unique)
    }

    #[test]
    fn two_and_a_half_epochs_by_hand() {
        // 16M samples once: sqrt(4 / 16) = 1/2; epoch 2 doubles them at half the exponent, the
        // half epoch after it multiplies them by 5/4 at a quarter.
        let expected = 0.5 * 2f64.powf(-0.25) * 1.25f64.powf(-0.125) + 0.25;
        let got = Qqt::default().eval(&at(40e6, 16e6), &THETA, None);
        assert!((got - expected).abs() < 1e-15);
        let compat = Qqt { compat: true, ..Qqt::default() };
        let got = compat.eval(&at(40e6, 16e6), &THETA, None);
        assert!((got - 0.75 * 2f64.powf(-0.25) * 1.25f64.powf(-0.125)).abs() < 1e-15);
    }

    #[test]
    fn effective_data_by_hand() {
        // 16M + 16M / 2 + 8M / 4 = 26M effective samples.
        let law = Qqt { form: QqtForm::EffectiveData, ..Qqt::default() };
        let got = law.eval(&at(40e6, 16e6), &THETA, None);
        assert!((got - ((26.0f64 / 4.0).powf(-0.5) + 0.25)).abs() < 1e-15);
    }

    #[test]
    fn gradients_hold_for_every_form() {
        for form in [QqtForm::Utility, QqtForm::EffectiveData] {
            for half_life in [HalfLife::Constant, HalfLife::Proportional, HalfLife::Power] {
                for compat in [false, true] {
                    let law = Qqt { form, half_life, compat };
                    let theta = [4e6, -0.2, 0.1, 0.8, 0.6];
                    let theta = &theta[..law.params().len()];
                    assert_gradient(&law, &at(91e6, 12.8e6), theta);
                    assert_gradient(&law, &at(9e6, 12.8e6), theta);
                }
            }
        }
    }

    #[test]
    fn a_union_of_one_is_the_pool_and_equal_pools_are_one_bigger_pool() {
        for form in [QqtForm::Utility, QqtForm::EffectiveData] {
            let law = Qqt { form, ..Qqt::default() };
            let alone = law.eval(&at(40e6, 16e6), &THETA, None);
            let member = Member { unique: 16e6, theta: &THETA };
            assert!((law.predict_union(40e6, &[member]).unwrap() - alone).abs() < 1e-14);

            let law = Qqt { half_life: HalfLife::Proportional, ..law };
            let whole = law.eval(&at(100e6, 48e6), &THETA, None);
            let parts = [16e6, 24e6, 8e6].map(|unique| Member { unique, theta: &THETA });
            assert!((law.predict_union(100e6, &parts).unwrap() - whole).abs() < 1e-14);
        }
    }

    #[test]
    fn long_training_costs_no_more_than_its_repeats_are_worth() {
        let by = |epochs: f64| Qqt::default().eval(&at(epochs * 16e6, 16e6), &THETA, None);
        assert!((by(1e9) - by(1e4)).abs() < 1e-15);
    }
}
