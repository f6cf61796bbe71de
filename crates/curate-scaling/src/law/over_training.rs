//! Over-training: loss at a fixed ratio of data to parameters.

use super::interface::{VAGUE, log_between, sized};
use super::{Field, Law, ParamSpec, Point, Prior, Summary};
use serde::{Deserialize, Serialize};

/// `L = E + (a M^eta + b M^-eta) C^-eta` with `C = 6 N D` and `M = D / N` (Gadre et al. 2024,
/// arXiv:2403.08540, eq. 4).
///
/// The authors' code writes the same law as `E + alpha N^k + beta 6^(k/2) D^k`; then
/// `k = -2 eta`, `a = alpha 6^eta` and `b = beta`: [`OverTraining::as_coded`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OverTraining;

impl OverTraining {
    /// `[alpha, beta, k, E]` of the authors' code for parameters `[E, a, b, eta]`.
    pub fn as_coded([floor, a, b, eta]: [f64; 4]) -> [f64; 4] {
        [a * 6f64.powf(-eta), b, -2.0 * eta, floor]
    }
}

impl Law for OverTraining {
    fn name(&self) -> &'static str {
        "over-training"
    }

    fn params(&self) -> Vec<ParamSpec> {
        vec![
            ParamSpec::linear("E", "metric", 0.0, f64::INFINITY),
            ParamSpec::positive("a", "metric x FLOP^eta", 1e-9, 1e30),
            ParamSpec::positive("b", "metric x FLOP^eta", 1e-9, 1e30),
            ParamSpec::positive("eta", "1", 1e-3, 2.0),
        ]
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples, Field::Parameters]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), 4) {
            return f64::NAN;
        }
        let [floor, a, b, eta] = theta else { return f64::NAN };
        let log_flop = (6.0 * at.parameters * at.samples).ln();
        let log_ratio = (at.samples / at.parameters).ln();
        let (by_a, by_b) =
            ((eta * (log_ratio - log_flop)).exp(), (-eta * (log_ratio + log_flop)).exp());
        if let Some(grad) = grad {
            let by_eta = a * by_a * (log_ratio - log_flop) - b * by_b * (log_ratio + log_flop);
            grad.copy_from_slice(&[1.0, by_a, by_b, by_eta]);
        }
        floor + a * by_a + b * by_b
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let [floor, share, _, eta] = unit else { return vec![f64::NAN; 4] };
        let floor = 0.95 * floor * data.lowest;
        let eta = log_between(0.05, 0.5, *eta);
        let rest = data.metric - floor;
        let share = 0.1 + 0.8 * share;
        let a = share * rest * (6.0 * data.parameters * data.parameters).powf(eta);
        let b = (1.0 - share) * rest * (6.0 * data.samples * data.samples).powf(eta);
        vec![floor, a, b, eta]
    }

    fn usually_per_pool(&self) -> &'static [&'static str] {
        &["a", "b"]
    }

    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        let (floor, eta) = (Prior::new(0.6 * data.lowest, 0.3 * data.lowest), 0.15);
        let half = 0.5 * (data.metric - floor.center).max(0.05 * data.metric);
        let amplitude = |of: f64| Prior::new(half * (6.0 * of * of).powf(eta), VAGUE);
        vec![
            ("E", floor),
            ("a", amplitude(data.parameters)),
            ("b", amplitude(data.samples)),
            ("eta", Prior::new(eta, 0.4)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    #[test]
    fn both_ways_of_writing_it_agree() {
        let theta = [1.5, 140.0, 190.0, 0.12];
        let at = Point::new().samples(2e8).parameters(1e7);
        let [alpha, beta, k, floor] = OverTraining::as_coded(theta);
        let coded = floor + alpha * 1e7_f64.powf(k) + beta * 6f64.powf(k / 2.0) * 2e8_f64.powf(k);
        assert!((OverTraining.eval(&at, &theta, None) - coded).abs() < 1e-12);
        assert_gradient(&OverTraining, &at, &theta);
    }
}
