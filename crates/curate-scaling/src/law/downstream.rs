//! From upstream loss to downstream error.

use super::interface::{log_between, sized};
use super::{Field, Law, ParamSpec, Point, Summary};
use serde::{Deserialize, Serialize};

/// `Err(L) = epsilon - k exp(-gamma L)` (Gadre et al. 2024, arXiv:2403.08540, eq. 5): downstream
/// error of a model whose upstream loss is `L`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LossToError;

impl Law for LossToError {
    fn name(&self) -> &'static str {
        "loss-to-error"
    }

    fn params(&self) -> Vec<ParamSpec> {
        vec![
            ParamSpec::linear("epsilon", "error", 0.0, 10.0),
            ParamSpec::positive("k", "error", 1e-6, 1e9),
            ParamSpec::positive("gamma", "1 / loss", 1e-3, 50.0),
        ]
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::UpstreamLoss]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        if !sized(theta, grad.as_deref(), 3) {
            return f64::NAN;
        }
        let [ceiling, k, gamma] = theta else { return f64::NAN };
        let gain = (-gamma * at.upstream_loss).exp();
        if let Some(grad) = grad {
            grad.copy_from_slice(&[1.0, -gain, k * gain * at.upstream_loss]);
        }
        ceiling - k * gain
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let [ceiling, _, gamma] = unit else { return vec![f64::NAN; 3] };
        let spread = (data.highest - data.lowest).max(1e-3);
        let ceiling = data.highest + spread * ceiling;
        let gamma = log_between(0.1, 5.0, *gamma);
        let k = (ceiling - data.metric).max(1e-6) * (gamma * data.upstream_loss).exp();
        vec![ceiling, k, gamma]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::assert_gradient;

    #[test]
    fn error_falls_from_the_ceiling() {
        let at = Point::new().upstream_loss(2f64.ln());
        assert!((LossToError.eval(&at, &[0.9, 0.4, 2.0], None) - 0.8).abs() < 1e-14);
        assert_gradient(&LossToError, &at, &[0.9, 0.4, 2.0]);
    }
}
