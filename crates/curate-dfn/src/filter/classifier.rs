//! A quality classifier: logistic regression on features, good samples against the pool's.
//!
//! The DFN paper compares it (table 1, "binary"): frozen embeddings, one class high-quality
//! samples, the other samples of the pool. Its probability ranks samples; it is not a probability of
//! anything else.

use curate_core::params::Checker;
use serde::{Deserialize, Serialize};

use crate::{NetworkError, filter::FilterError};

/// How to fit a [`Classifier`].
///
/// ```
/// use curate_dfn::filter::{Classifier, ClassifierParams};
///
/// let params = ClassifierParams::new().l2(1e-3).steps(500);
/// assert_eq!((params.l2, params.steps), (1e-3, 500));
/// // Good rows lie to the right.
/// let classifier = Classifier::fit(&[1.0, 2.0], &[-1.0, -2.0], 1, &params)?;
/// assert!(classifier.coefficients[0] > 0.0 && classifier.bias.abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClassifierParams {
    /// The weight of the squared length of the coefficients; the bias has none.
    pub l2: f64,
    /// The most steps.
    pub steps: usize,
    /// The length of the gradient at which the fit ends.
    pub tolerance: f64,
}

impl Default for ClassifierParams {
    fn default() -> Self {
        Self { l2: 1e-4, steps: 2000, tolerance: 1e-6 }
    }
}

impl ClassifierParams {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The weight of the squared length of the coefficients; 1e-4 unless told.
    pub fn l2(mut self, l2: f64) -> Self {
        self.l2 = l2;
        self
    }

    /// The most steps; 2,000 unless told.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The length of the gradient at which the fit ends; 1e-6 unless told.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }
}

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// One coefficient a number of a feature.
    pub coefficients: Vec<f64>,
    /// What is added.
    pub bias: f64,
    /// Steps until the fit ended; the most allowed, where it did not converge.
    pub steps: usize,
}

impl Classifier {
    /// Fits a classifier to rows of length `dim`. Both classes weigh the same, whatever their
    /// sizes. Minimizes the mean logistic loss with Nesterov's accelerated gradient (Nesterov 1983);
    /// the result depends neither on threads nor on a seed.
    ///
    /// # Errors
    /// When a parameter is outside its range, or a class is empty or has rows of another length.
    pub fn fit(
        good: &[f32],
        others: &[f32],
        dim: usize,
        params: &ClassifierParams,
    ) -> Result<Self, FilterError> {
        let mut check = Checker::default();
        let (l2, tolerance) = (params.l2, params.tolerance);
        check.that(l2.is_finite() && l2 > 0.0, "l2", l2, "a number above 0");
        check.that(tolerance >= 0.0, "tolerance", tolerance, "a number from 0 on");
        check.that(params.steps > 0, "steps", params.steps, "at least 1");
        let rows = |class: &[f32]| class.len().checked_div(dim).unwrap_or(0);
        check.that(rows(good) > 0, "good", rows(good), "at least one row");
        check.that(rows(others) > 0, "others", rows(others), "at least one row");
        check.finish()?;
        NetworkError::unless_whole("good", good.len(), dim)?;
        NetworkError::unless_whole("others", others.len(), dim)?;
        let classes = [(good, 1.0), (others, -1.0)];
        // The loss bends at most by a quarter of the largest squared length, the bias included.
        let squared = |row: &[f32]| row.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let all = good.chunks_exact(dim).chain(others.chunks_exact(dim));
        let rate = 1.0 / (0.25 * (1.0 + all.map(squared).fold(0.0, f64::max)) + l2);
        let mut point = vec![0.0; dim + 1];
        let (mut ahead, mut momentum) = (point.clone(), 1.0_f64);
        for step in 1..=params.steps {
            let gradient = gradient(&ahead, &classes, dim, l2);
            let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let next: Vec<f64> = ahead.iter().zip(&gradient).map(|(x, g)| x - rate * g).collect();
            if length <= tolerance || step == params.steps {
                let (coefficients, bias) = (next[..dim].to_vec(), next[dim]);
                return Ok(Self { coefficients, bias, steps: step });
            }
            let faster = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
            let push = (momentum - 1.0) / faster;
            ahead = next.iter().zip(&point).map(|(n, p)| n + push * (n - p)).collect();
            (point, momentum) = (next, faster);
        }
        unreachable!("the last step returns")
    }

    /// The probability of each row to be good. A row with a NaN has a NaN.
    ///
    /// # Errors
    /// When the rows have another length.
    pub fn scores(&self, rows: &[f32]) -> Result<Vec<f32>, FilterError> {
        let dim = self.coefficients.len();
        NetworkError::unless_whole("rows", rows.len(), dim)?;
        let score = |row: &[f32]| sigmoid(value(&self.coefficients, self.bias, row)) as f32;
        Ok(rows.chunks_exact(dim.max(1)).map(score).collect())
    }
}

fn value(coefficients: &[f64], bias: f64, row: &[f32]) -> f64 {
    row.iter().zip(coefficients).fold(bias, |sum, (&x, w)| sum + f64::from(x) * w)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn gradient(at: &[f64], classes: &[(&[f32], f64)], dim: usize, l2: f64) -> Vec<f64> {
    let mut sum: Vec<f64> = at.iter().map(|x| l2 * x).collect();
    sum[dim] = 0.0;
    for (rows, sign) in classes {
        let weight = 0.5 * dim as f64 / rows.len() as f64;
        for row in rows.chunks_exact(dim) {
            let margin = sign * value(&at[..dim], at[dim], row);
            let pull = -sign * sigmoid(-margin) * weight;
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += pull * f64::from(x));
            sum[dim] += pull;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    #[test]
    fn two_clouds_are_told_apart() {
        let cloud = |name, shift: f32| -> Vec<f32> {
            let noise = normal(1, name, 2000, 1.0);
            noise.iter().enumerate().map(|(i, x)| if i % 4 == 2 { x + shift } else { *x }).collect()
        };
        let (good, others) = (cloud("good", 3.0), cloud("others", 0.0));
        let fit = Classifier::fit(&good, &others, 4, &ClassifierParams::default()).unwrap();
        assert!(fit.steps < 2000, "{}", fit.steps);
        let right = fit.scores(&good).unwrap().iter().filter(|&&s| s > 0.5).count();
        let wrong = fit.scores(&others).unwrap().iter().filter(|&&s| s > 0.5).count();
        assert!(right > 440 && wrong < 60, "{right} {wrong}");
        assert!(fit.coefficients[2] > 5.0 * fit.coefficients[0].abs());
        assert!(fit.scores(&[f32::NAN, 0.0, 0.0, 0.0]).unwrap()[0].is_nan());
    }

    /// At the minimum of a one-dimensional problem the gradient is 0: checked by its formula.
    #[test]
    fn the_fit_is_a_minimum_and_classes_weigh_the_same() {
        let params = ClassifierParams { l2: 0.1, ..ClassifierParams::default() };
        let fit = Classifier::fit(&[1.0], &[-1.0], 1, &params).unwrap();
        let w = fit.coefficients[0];
        assert!((0.1 * w - sigmoid(-w)).abs() < 1e-6 && fit.bias.abs() < 1e-9, "{fit:?}");
        let more = Classifier::fit(&[1.0], &[-1.0; 50], 1, &params).unwrap();
        assert!((more.coefficients[0] - w).abs() < 1e-5);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let params = ClassifierParams { l2: 0.0, steps: 0, tolerance: -1.0 };
        let error = Classifier::fit(&[], &[], 3, &params).unwrap_err();
        let FilterError::Params(error) = error else { panic!("{error}") };
        assert_eq!(error.violations.len(), 5);
        let params = ClassifierParams::default();
        let error = Classifier::fit(&[1.0; 3], &[1.0; 4], 3, &params).unwrap_err();
        assert!(error.to_string().starts_with("others: 4 numbers, but every one has 3"), "{error}");
        let fit = Classifier::fit(&[1.0; 3], &[-1.0; 3], 3, &params).unwrap();
        assert!(fit.scores(&[1.0; 2]).unwrap_err().to_string().starts_with("rows: 2 numbers"));
    }
}
