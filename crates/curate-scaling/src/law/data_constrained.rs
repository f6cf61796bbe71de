//! Data-constrained scaling: what a repeated token and an excess parameter are worth.

use super::chinchilla::{Terms, priors, specs, starts};
use super::interface::{log_between, sized};
use super::{Field, Law, ParamSpec, Point, Prior, Summary};
use serde::{Deserialize, Serialize};

/// How the worth of repeats decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// `1 - exp(-R / R*)`, the paper's main form.
    #[default]
    Exponential,
    /// `1 - (R* / (1 + R*))^R`, the geometric sum it approximates.
    Geometric,
}

impl Decay {
    /// `ln q` with `1 - q^R` the worth of `R` repeats, and its derivative by `R*`.
    fn log_rate(self, r_star: f64) -> (f64, f64) {
        match self {
            Decay::Exponential => (-1.0 / r_star, 1.0 / (r_star * r_star)),
            Decay::Geometric => ((-1.0 / (1.0 + r_star)).ln_1p(), 1.0 / (r_star * (1.0 + r_star))),
        }
    }
}

/// `L = E + A / N'^alpha + B / D'^beta` with `X' = U_X (1 + R_X* (1 - e^(-R_X / R_X*)))`,
/// `R_X = X / U_X - 1` (Muennighoff et al. 2023, arXiv:2305.16264, eqs. 5-6).
///
/// `U_D` is the distinct data (at most the data seen) and `U_N` the parameters that the
/// Chinchilla optimum gives `U_D`, at most `N`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct DataConstrained {
    /// One exponent for both terms: parameters `E, A, B, alpha, R_D, R_N`.
    #[serde(default)]
    pub tied: bool,
    /// How the worth of repeats decays.
    #[serde(default)]
    pub decay: Decay,
}

/// An effective quantity and its derivatives by the quantity's base and by `R*`.
struct Effective {
    value: f64,
    by_base: f64,
    by_r_star: f64,
}

impl DataConstrained {
    /// Natural logarithm of the Chinchilla-optimal model size for `unique` data, and its
    /// derivatives by `A, alpha, B, beta`.
    fn log_optimal_size(t: &Terms, unique: f64) -> (f64, [f64; 4]) {
        let log_unique = unique.ln();
        let log_size = ((t.alpha * t.a / (t.beta * t.b)).ln() + t.beta * log_unique) / t.alpha;
        let by_alpha = (1.0 / t.alpha - log_size) / t.alpha;
        let by_beta = (log_unique - 1.0 / t.beta) / t.alpha;
        (log_size, [1.0 / (t.alpha * t.a), by_alpha, -1.0 / (t.alpha * t.b), by_beta])
    }

    fn effective(&self, total: f64, base: f64, r_star: f64) -> Effective {
        let (log_q, by_log_q) = self.decay.log_rate(r_star);
        let repeats = total / base - 1.0;
        let left = (repeats * log_q).exp();
        let gain = -(repeats * log_q).exp_m1();
        Effective {
            value: base * (1.0 + r_star * gain),
            by_base: 1.0 + r_star * gain + r_star * (total / base) * log_q * left,
            by_r_star: base * (gain - r_star * repeats * left * by_log_q),
        }
    }
}

impl Law for DataConstrained {
    fn name(&self) -> &'static str {
        match (self.tied, self.decay) {
            (false, Decay::Exponential) => "data-constrained",
            (true, Decay::Exponential) => "data-constrained-tied",
            (false, Decay::Geometric) => "data-constrained-geometric",
            (true, Decay::Geometric) => "data-constrained-geometric-tied",
        }
    }

    fn params(&self) -> Vec<ParamSpec> {
        let mut all = specs(self.tied);
        all.push(ParamSpec::positive("R_D", "repeats", 1e-2, 1e6));
        all.push(ParamSpec::positive("R_N", "excess model sizes", 1e-2, 1e6));
        all
    }

    fn needs(&self) -> &'static [Field] {
        &[Field::Samples, Field::Unique, Field::Parameters]
    }

    fn eval(&self, at: &Point<'_>, theta: &[f64], grad: Option<&mut [f64]>) -> f64 {
        let count = Terms::count(self.tied);
        if !sized(theta, grad.as_deref(), count + 2) {
            return f64::NAN;
        }
        let t = Terms::read(theta, self.tied);
        let (r_data, r_size) = (theta[count], theta[count + 1]);
        let unique = at.unique.min(at.samples);
        let (log_size, by_terms) = Self::log_optimal_size(&t, unique);
        let capped = log_size < at.parameters.ln();
        let base = if capped { log_size.exp() } else { at.parameters };
        let size = self.effective(at.parameters, base, r_size);
        let data = self.effective(at.samples, unique, r_data);
        let (log_n, log_d) = (size.value.ln(), data.value.ln());
        let (term_n, term_d) = (t.a * (-t.alpha * log_n).exp(), t.b * (-t.beta * log_d).exp());
        if let Some(grad) = grad {
            let by_size = -t.alpha * term_n / size.value;
            let chain = if capped { by_size * size.by_base * base } else { 0.0 };
            let [on_a, on_alpha, on_b, on_beta] = by_terms;
            let by = [
                1.0,
                term_n / t.a + chain * on_a,
                -term_n * log_n + chain * on_alpha,
                term_d / t.b + chain * on_b,
                -term_d * log_d + chain * on_beta,
            ];
            let at_repeats = Terms::write(by, self.tied, grad);
            grad[at_repeats] = -t.beta * term_d / data.value * data.by_r_star;
            grad[at_repeats + 1] = by_size * size.by_r_star;
        }
        t.floor + term_n + term_d
    }

    fn start(&self, data: &Summary, unit: &[f64]) -> Vec<f64> {
        let count = Terms::count(self.tied);
        if unit.len() != count + 2 {
            return vec![f64::NAN; count + 2];
        }
        let mut theta = starts(self.tied, data, unit);
        theta.push(log_between(1.0, 300.0, unit[count]));
        theta.push(log_between(0.5, 300.0, unit[count + 1]));
        theta
    }

    fn usually_per_pool(&self) -> &'static [&'static str] {
        &["B"]
    }

    /// For repeats the values of the paper, which its runs bound from below only.
    fn usual_priors(&self, data: &Summary) -> Vec<(&'static str, Prior)> {
        let mut all = priors(self.tied, data);
        all.extend([("R_D", Prior::new(15.0, 1.5)), ("R_N", Prior::new(5.0, 1.5))]);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Chinchilla;
    use crate::law::testing::assert_gradient;

    #[test]
    fn without_repeats_it_is_chinchilla() {
        let theta = [1.8, 400.0, 0.34, 410.0, 0.28, 15.0, 5.0];
        let at = Point::new().samples(1e10).unique(1e10).parameters(1e7);
        let law = DataConstrained::default();
        let plain = Chinchilla { tied: false }.eval(&at, &theta[..5], None);
        assert!((law.eval(&at, &theta, None) - plain).abs() < 1e-12);
    }

    #[test]
    fn gradients_hold_below_and_above_the_optimal_size() {
        let free = [1.8, 400.0, 0.34, 410.0, 0.28, 15.0, 5.0];
        let tied = [1.8, 500.0, 1500.0, 0.35, 15.0, 5.0];
        for parameters in [1e7, 2e10] {
            let at = Point::new().samples(4e10).unique(3e9).parameters(parameters);
            for decay in [Decay::Exponential, Decay::Geometric] {
                assert_gradient(&DataConstrained { tied: false, decay }, &at, &free);
                assert_gradient(&DataConstrained { tied: true, decay }, &at, &tied);
            }
        }
    }

    #[test]
    fn the_exponential_form_approximates_the_geometric_sum() {
        let at = Point::new().samples(4e10).unique(1e10).parameters(1e7);
        let theta = [1.8, 400.0, 0.34, 410.0, 0.28, 60.0, 5.0];
        let by = |decay| DataConstrained { tied: false, decay }.eval(&at, &theta, None);
        assert!((by(Decay::Exponential) - by(Decay::Geometric)).abs() < 1e-2);
        assert_ne!(by(Decay::Exponential), by(Decay::Geometric));
    }
}
