//! Power laws in the samples seen, without repetition.

use super::interface::{VAGUE, floor_prior, log_between, sized};
use super::{Field, Law, ParamSpec, Point, Prior, Summary};
use serde::{Deserialize, Serialize};

/// `y = E + A n^-c`: the plain power law in samples seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Power;

impl Law for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn params(&self) -> Vec<ParamSpec> {
        vec![
            ParamSpec::linear("E", "metric", 0.0, f64::INFINITY),
            ParamSpec::positive("A", "metric x samples^c", 1e-12, 1e60),
            ParamSpec::positive("c", "1", 1e-4, 10.0),
        ]
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), 3) {
            return f64::NAN;
        }
        let [floor, amplitude, exponent] = theta else { return f64::NAN };
        let log_n = at.samples.ln();
        let decay = (-exponent * log_n).exp();
        if let Some(grad) = grad {
            grad.copy_from_slice(&[1.0, decay, -amplitude * decay * log_n]);
        }
        floor + amplitude * decay
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let [floor, _, exponent] = unit else { return vec![f64::NAN; 3] };
        let floor = 0.98 * floor * data.lowest;
        let exponent = log_between(0.03, 1.5, *exponent);
        vec![floor, (data.metric - floor) * data.samples.powf(exponent), exponent]
    }

    fn usually_per_pool(&self) -> &'static [&'static str] {
        &["A", "c"]
    }

    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        let (floor, exponent) = (floor_prior(data), Prior::new(0.25, 0.6));
        let reducible = data.metric - floor.center;
        let amplitude = reducible * data.samples.powf(exponent.center);
        vec![("E", floor), ("A", Prior::new(amplitude, VAGUE)), ("c", exponent)]
    }
}

/// `y = E + A (n + s)^-c`: the shift lets one law span budgets at which training has hardly begun
/// (Nezhurina et al. 2025, arXiv:2506.04598).
///
/// The amplitude is searched as `L = A s^-c`, the reducible error at `n = 0`, because `A`, `s` and
/// `c` are nearly one quantity otherwise; [`ShiftedPower::amplitude`] gives `A`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ShiftedPower;

impl ShiftedPower {
    /// The paper's `A` for a parameter vector `[E, L, shift, c]`.
    pub fn amplitude(theta: &[f64; 4]) -> f64 {
        theta[1] * theta[2].powf(theta[3])
    }
}

impl Law for ShiftedPower {
    fn name(&self) -> &'static str {
        "shifted-power"
    }

    fn params(&self) -> Vec<ParamSpec> {
        vec![
            ParamSpec::linear("E", "metric", 0.0, f64::INFINITY),
            ParamSpec::positive("L", "metric", 1e-9, 1e6),
            ParamSpec::positive("shift", "samples", 1.0, 1e14),
            ParamSpec::positive("c", "1", 1e-4, 10.0),
        ]
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), 4) {
            return f64::NAN;
        }
        let [floor, reducible, shift, exponent] = theta else { return f64::NAN };
        let log_ratio = (at.samples / shift).ln_1p();
        let decay = (-exponent * log_ratio).exp();
        if let Some(grad) = grad {
            let by_shift = exponent * at.samples / (shift * (shift + at.samples));
            let value = reducible * decay;
            grad.copy_from_slice(&[1.0, decay, value * by_shift, -value * log_ratio]);
        }
        floor + reducible * decay
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let [floor, reducible, shift, exponent] = unit else { return vec![f64::NAN; 4] };
        let floor = 0.95 * floor * data.lowest;
        let shift = data.samples * log_between(0.01, 30.0, *shift);
        let reducible = (data.highest - floor) * (1.0 + 0.5 * reducible);
        vec![floor, reducible, shift, log_between(0.05, 2.0, *exponent)]
    }

    /// At no samples every pool leaves a model equally untrained.
    fn usually_per_pool(&self) -> &'static [&'static str] {
        &["shift", "c"]
    }

    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        let floor = floor_prior(data);
        let reducible = 1.2 * (data.highest - floor.center);
        vec![
            ("E", floor),
            ("L", Prior::new(reducible, 0.4)),
            ("shift", Prior::new(0.3 * data.samples, 2.5)),
            ("c", Prior::new(0.4, 0.6)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    #[test]
    fn power_matches_hand_computed_values() {
        let at = Point::new().samples(100.0);
        assert!((Power.eval(&at, &[0.25, 5.0, 0.5], None) - 0.75).abs() < 1e-15);
        assert_gradient(&Power, &at, &[0.25, 5.0, 0.5]);
    }

    #[test]
    fn shifted_power_is_the_paper_form() {
        let theta = [0.2, 0.8, 50.0, 0.7];
        let at = Point::new().samples(150.0);
        let paper = 0.2 + ShiftedPower::amplitude(&theta) * (150.0_f64 + 50.0).powf(-0.7);
        assert!((ShiftedPower.eval(&at, &theta, None) - paper).abs() < 1e-14);
        assert_gradient(&ShiftedPower, &at, &theta);
    }
}
