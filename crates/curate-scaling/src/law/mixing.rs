//! Laws of the data mixture: which weights of which domains.

use super::interface::{log_between, sized};
use super::{Field, Law, ParamSpec, Point, Summary};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `L = c + exp(sum_j t_j r_j)`, `r` the mixture weights (Ye et al. 2024, arXiv:2403.16952).
///
/// The paper's factor `k` is left out: the weights sum to one, so `k` only adds `ln k` to every
/// `t_j` and no data can tell the two apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExponentialMixing {
    /// Number of domains in the mixture.
    pub domains: usize,
}

/// `L = E + 1 / sum_j C_j h_j^g_j + A / N^alpha + B / D^beta`, `h` the mixture weights (Shukor et
/// al. 2025, arXiv:2507.09404, additive form).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdditiveMixing {
    /// Number of domains in the mixture.
    pub domains: usize,
}

fn numbered(prefix: &str, domains: usize, make: impl Fn() -> ParamSpec) -> Vec<ParamSpec> {
    let name = |j: usize| Cow::Owned(format!("{prefix}{j}"));
    (0..domains).map(|j| ParamSpec { name: name(j), ..make() }).collect()
}

impl Law for ExponentialMixing {
    fn name(&self) -> &'static str {
        "exponential-mixing"
    }

    fn params(&self) -> Vec<ParamSpec> {
        let mut all = vec![ParamSpec::linear("c", "metric", 0.0, f64::INFINITY)];
        all.extend(numbered("t", self.domains, || ParamSpec::linear("", "log metric", -1e3, 1e3)));
        all
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Mixture]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), 1 + self.domains) || at.mixture.len() != self.domains {
            return f64::NAN;
        }
        let exponent: f64 = theta[1..].iter().zip(at.mixture).map(|(t, r)| t * r).sum();
        let value = exponent.exp();
        if let Some(grad) = grad {
            grad[0] = 1.0;
            grad[1..].iter_mut().zip(at.mixture).for_each(|(g, r)| *g = value * r);
        }
        theta[0] + value
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        if unit.len() != 1 + self.domains {
            return vec![f64::NAN; 1 + self.domains];
        }
        let floor = 0.98 * unit[0] * data.lowest;
        let level = (data.metric - floor).ln();
        let spread = unit[1..].iter().map(|u| level + 2.0 * (u - 0.5));
        std::iter::once(floor).chain(spread).collect()
    }

    fn mixture_gradient(&self, at: &Point<'_>, theta: &[f64], grad: &mut [f64]) -> bool {
        if grad.len() != self.domains || theta.len() != 1 + self.domains {
            return false;
        }
        let value = self.eval(at, theta, None) - theta[0];
        grad.iter_mut().zip(&theta[1..]).for_each(|(g, t)| *g = value * t);
        true
    }
}

impl AdditiveMixing {
    /// Number of parameters: five of the Chinchilla part, two a domain.
    fn count(&self) -> usize {
        5 + 2 * self.domains
    }

    /// `sum_j C_j h_j^g_j`; calls `each(j, h_j^g_j, ln h_j)` for domains of positive weight.
    fn worth(&self, at: &Point<'_>, theta: &[f64], mut each: impl FnMut(usize, f64, f64)) -> f64 {
        let (coefficients, exponents) = theta[5..].split_at(self.domains);
        let mut sum = 0.0;
        for (j, &weight) in at.mixture.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let log_weight = weight.ln();
            let powered = (exponents[j] * log_weight).exp();
            sum += coefficients[j] * powered;
            each(j, powered, log_weight);
        }
        sum
    }
}

impl Law for AdditiveMixing {
    fn name(&self) -> &'static str {
        "additive-mixing"
    }

    fn params(&self) -> Vec<ParamSpec> {
        let mut all = vec![
            ParamSpec::linear("E", "metric", 0.0, f64::INFINITY),
            ParamSpec::positive("A", "metric x parameters^alpha", 1e-9, 1e40),
            ParamSpec::positive("alpha", "1", 1e-3, 5.0),
            ParamSpec::positive("B", "metric x samples^beta", 1e-9, 1e40),
            ParamSpec::positive("beta", "1", 1e-3, 5.0),
        ];
        let coefficient = || ParamSpec::positive("", "1 / metric", 1e-6, 1e6);
        all.extend(numbered("C", self.domains, coefficient));
        all.extend(numbered("g", self.domains, || ParamSpec::positive("", "1", 1e-3, 10.0)));
        all
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples, Field::Parameters, Field::Mixture]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), self.count()) || at.mixture.len() != self.domains {
            return f64::NAN;
        }
        let [floor, a, alpha, b, beta, ..] = *theta else { return f64::NAN };
        let (log_n, log_d) = (at.parameters.ln(), at.samples.ln());
        let (size, data) = ((-alpha * log_n).exp(), (-beta * log_d).exp());
        let worth = match grad {
            None => self.worth(at, theta, |_, _, _| ()),
            Some(grad) => {
                grad[..5].copy_from_slice(&[1.0, size, -a * size * log_n, data, -b * data * log_d]);
                let (by_c, by_g) = grad[5..].split_at_mut(self.domains);
                by_c.fill(0.0);
                by_g.fill(0.0);
                let worth = self.worth(at, theta, |j, powered, log_weight| {
                    by_c[j] = powered;
                    by_g[j] = theta[5 + j] * powered * log_weight;
                });
                let slope = -1.0 / (worth * worth);
                grad[5..].iter_mut().for_each(|g| *g *= slope);
                worth
            }
        };
        floor + a * size + b * data + 1.0 / worth
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        if unit.len() != self.count() {
            return vec![f64::NAN; self.count()];
        }
        let floor = data.lowest * (0.1 + 0.6 * unit[0]);
        let rest = (data.metric - floor) / 3.0;
        let (alpha, beta) = (log_between(0.1, 1.0, unit[2]), log_between(0.1, 1.0, unit[4]));
        let mut theta = vec![floor, rest * data.parameters.powf(alpha), alpha];
        theta.extend([rest * data.samples.powf(beta), beta]);
        let (coefficients, exponents) = unit[5..].split_at(self.domains);
        theta.extend(coefficients.iter().map(|u| log_between(0.5, 2.0, *u) / rest));
        theta.extend(exponents.iter().map(|u| log_between(0.2, 1.0, *u)));
        theta
    }

    fn mixture_gradient(&self, at: &Point<'_>, theta: &[f64], grad: &mut [f64]) -> bool {
        let domains = [grad.len(), at.mixture.len()] == [self.domains; 2];
        if !domains || theta.len() != self.count() {
            return false;
        }
        grad.fill(0.0);
        let (coefficients, exponents) = theta[5..].split_at(self.domains);
        let worth = self.worth(at, theta, |j, powered, _| {
            grad[j] = coefficients[j] * exponents[j] * powered / at.mixture[j];
        });
        grad.iter_mut().for_each(|g| *g /= -worth * worth);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];

    fn at() -> Point<'static> {
        Point::new().samples(1e9).parameters(1e8).mixture(&WEIGHTS)
    }

    fn assert_mixture_gradient<L: Law>(law: &L, theta: &[f64]) {
        let mut grad = [0.0; 3];
        assert!(law.mixture_gradient(&at(), theta, &mut grad));
        for (j, analytic) in grad.into_iter().enumerate() {
            let moved = |step: f64| {
                let mut weights = WEIGHTS;
                weights[j] += step;
                law.eval(&at().mixture(&weights), theta, None)
            };
            let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((analytic - numeric).abs() < 1e-6 * analytic.abs().max(1e-3));
        }
    }

    #[test]
    fn exponential_mixing_by_hand() {
        let law = ExponentialMixing { domains: 3 };
        let theta = [2.0, 1.0, -1.0, 0.5];
        assert!((law.eval(&at(), &theta, None) - (2.0 + 0.3f64.exp())).abs() < 1e-14);
        assert_gradient(&law, &at(), &theta);
        assert_mixture_gradient(&law, &theta);
    }

    #[test]
    fn additive_mixing_by_hand() {
        let law = AdditiveMixing { domains: 3 };
        let theta = [1.0, 1e4, 0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 1.0, 1.0, 1.0];
        // 1 + 1e4 / 1e4 + 0 + 1 / (0.5 + 0.6 + 0.6)
        assert!((law.eval(&at(), &theta, None) - (2.0 + 1.0 / 1.7)).abs() < 1e-14);
        let theta = [1.0, 1e4, 0.4, 2e3, 0.5, 1.0, 2.0, 3.0, 0.3, 0.6, 1.1];
        assert_gradient(&law, &at(), &theta);
        assert_mixture_gradient(&law, &theta);
    }
}
