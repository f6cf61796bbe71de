//! The Chinchilla law: model size and data, each seen once.

use super::interface::{VAGUE, log_between, sized};
use super::{Field, Law, ParamSpec, Point, Prior, Summary};
use serde::{Deserialize, Serialize};

/// `L = E + A / N^alpha + B / D^beta` (Hoffmann et al. 2022, arXiv:2203.15556, eq. 2), `N`
/// parameters and `D` samples or tokens seen. Tied: `alpha = beta`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Chinchilla {
    /// One exponent for both terms; the parameters are then `E, A, B, alpha`.
    #[serde(default)]
    pub tied: bool,
}

/// `E, A, alpha, B, beta` in natural units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) floor: f64,
    pub(super) a: f64,
    pub(super) alpha: f64,
    pub(super) b: f64,
    pub(super) beta: f64,
}

impl Terms {
    /// Parameters that they are written in.
    pub(super) fn count(tied: bool) -> usize {
        if tied { 4 } else { 5 }
    }

    pub(super) fn read(theta: &[f64], tied: bool) -> Terms {
        if tied {
            Terms { floor: theta[0], a: theta[1], alpha: theta[3], b: theta[2], beta: theta[3] }
        } else {
            Terms { floor: theta[0], a: theta[1], alpha: theta[2], b: theta[3], beta: theta[4] }
        }
    }

    /// Writes derivatives given in the order `E, A, alpha, B, beta`; returns how many it wrote.
    pub(super) fn write(by: [f64; 5], tied: bool, grad: &mut [f64]) -> usize {
        let [floor, a, alpha, b, beta] = by;
        if tied {
            grad[..4].copy_from_slice(&[floor, a, b, alpha + beta]);
            return 4;
        }
        grad[..5].copy_from_slice(&by);
        5
    }
}

pub(super) fn specs(tied: bool) -> Vec<ParamSpec> {
    let floor = ParamSpec::positive("E", "metric", 1e-6, 1e6);
    let a = ParamSpec::positive("A", "metric x parameters^alpha", 1e-9, 1e40);
    let b = ParamSpec::positive("B", "metric x samples^beta", 1e-9, 1e40);
    let alpha = ParamSpec::positive("alpha", "1", 1e-3, 5.0);
    if tied {
        return vec![floor, a, b, alpha];
    }
    vec![floor, a, alpha, b, ParamSpec::positive("beta", "1", 1e-3, 5.0)]
}

pub(super) fn starts(tied: bool, data: &Summary, unit: &[f64]) -> Vec<f64> {
    let floor = data.lowest * (0.1 + 0.85 * unit[0]);
    let rest = (data.metric - floor).max(0.05 * data.metric);
    let share = 0.2 + 0.6 * unit[1];
    let alpha = log_between(0.15, 0.9, unit[2]);
    let beta = if tied { alpha } else { log_between(0.15, 0.9, unit[4]) };
    let a = share * rest * data.parameters.powf(alpha);
    let b = (1.0 - share) * rest * data.samples.powf(beta);
    if tied { vec![floor, a, b, alpha] } else { vec![floor, a, alpha, b, beta] }
}

/// Exponents as published fits have them, 0.28 to 0.45.
pub(super) fn priors(tied: bool, data: &Summary) -> Vec<(&'static str, Prior)> {
    let floor = Prior::new(0.6 * data.lowest, 0.4);
    let half = 0.5 * (data.metric - floor.center).max(0.05 * data.metric);
    let exponent = Prior::new(0.34, 0.4);
    let amplitude = |of: f64| Prior::new(half * of.powf(exponent.center), VAGUE);
    let mut all = vec![
        ("E", floor),
        ("A", amplitude(data.parameters)),
        ("alpha", exponent),
        ("B", amplitude(data.samples)),
    ];
    if !tied {
        all.push(("beta", exponent));
    }
    all
}

impl Law for Chinchilla {
    fn name(&self) -> &'static str {
        if self.tied { "chinchilla-tied" } else { "chinchilla" }
    }

    fn params(&self) -> Vec<ParamSpec> {
        specs(self.tied)
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples, Field::Parameters]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), Terms::count(self.tied)) {
            return f64::NAN;
        }
        let t = Terms::read(theta, self.tied);
        let (log_n, log_d) = (at.parameters.ln(), at.samples.ln());
        let (size, data) = ((-t.alpha * log_n).exp(), (-t.beta * log_d).exp());
        if let Some(grad) = grad {
            let by = [1.0, size, -t.a * size * log_n, data, -t.b * data * log_d];
            Terms::write(by, self.tied, grad);
        }
        t.floor + t.a * size + t.b * data
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let count = Terms::count(self.tied);
        if unit.len() != count {
            return vec![f64::NAN; count];
        }
        starts(self.tied, data, unit)
    }

    fn usually_per_pool(&self) -> &'static [&'static str] {
        &["B"]
    }

    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        priors(self.tied, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    #[test]
    fn chinchilla_by_hand_and_its_gradients() {
        let at = Point::new().samples(1e6).parameters(1e4);
        let free = [1.5, 20.0, 0.5, 30.0, 0.5];
        let tied = [1.5, 20.0, 30.0, 0.5];
        assert!((Chinchilla { tied: false }.eval(&at, &free, None) - 1.73).abs() < 1e-14);
        assert!((Chinchilla { tied: true }.eval(&at, &tied, None) - 1.73).abs() < 1e-14);
        assert_gradient(&Chinchilla { tied: false }, &at, &free);
        assert_gradient(&Chinchilla { tied: true }, &at, &tied);
    }
}
