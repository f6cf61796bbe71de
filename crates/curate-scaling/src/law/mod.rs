//! The laws: what each predicts, which parameters it has, and its analytic gradient.
//!
//! A law sees one [`Point`] (a training run, real or imagined) and a vector of parameters in
//! natural units, in the order of [`Law::params`]. Sharing between pools, bounds and transforms
//! are the fitter's business.

mod chinchilla;
mod data_constrained;
mod downstream;
mod epochs;
mod interface;
mod kind;
mod mixing;
mod over_training;
mod power;
mod qqt;

pub use crate::point::{Field, Point};
pub use chinchilla::Chinchilla;
pub use data_constrained::{DataConstrained, Decay};
pub use downstream::LossToError;
pub use interface::{Law, Member, ParamSpec, Prior, Summary, Transform};
pub(crate) use interface::{check_point, check_theta};
pub use kind::LawKind;
pub use mixing::{AdditiveMixing, ExponentialMixing};
pub use over_training::OverTraining;
pub use power::{Power, ShiftedPower};
pub use qqt::{HalfLife, Qqt, QqtForm, normalizer_from_unit_samples, unit_samples_from_normalizer};

#[cfg(test)]
pub(crate) mod testing {
    use super::{Law, Point};

    /// Compares the analytic gradient with central differences at one point.
    pub(crate) fn assert_gradient<L: Law>(law: &L, at: &Point<'_>, theta: &[f64]) {
        let mut grad = vec![0.0; theta.len()];
        law.eval(at, theta, Some(&mut grad));
        for (i, &analytic) in grad.iter().enumerate() {
            let step = 1e-5 * theta[i].abs().max(1e-6);
            let shifted = |sign: f64| {
                let mut moved = theta.to_vec();
                moved[i] += sign * step;
                law.eval(at, &moved, None)
            };
            let numeric = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            let rounding = 1e-9 * law.eval(at, theta, None).abs() / theta[i].abs().max(1e-6);
            assert!(
                (analytic - numeric).abs() <= 1e-5 * analytic.abs() + rounding,
                "{} parameter {i}: analytic {analytic:e}, numeric {numeric:e}",
                law.name()
            );
        }
    }
}
