//! Logistic regression: the linear probe.

use curate_core::{ParamsError, params::Checker};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::{EvalError, lbfgs};

/// How to fit a [`Logistic`]: by default as scikit-learn's `LogisticRegression` does, but to convergence.
///
/// ```
/// use curate_eval::LogisticParams;
///
/// assert!(LogisticParams::new().inverse_penalty(10.0).check().is_ok());
/// assert_eq!(LogisticParams::new().steps(0).check().unwrap_err().violations.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogisticParams {
    /// scikit-learn's `C`.
    pub(crate) inverse_penalty: f64,
    /// Most steps.
    pub(crate) steps: usize,
    /// The largest entry of the gradient at which the fit ends.
    pub(crate) tolerance: f64,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self { inverse_penalty: 1.0, steps: 2000, tolerance: 1e-5 }
    }
}

impl LogisticParams {
    /// `C = 1`, at most 2,000 steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// scikit-learn's `C`: the larger, the closer the fit to its rows.
    pub fn inverse_penalty(mut self, inverse_penalty: f64) -> Self {
        self.inverse_penalty = inverse_penalty;
        self
    }

    /// Most steps; [`Logistic::converged`] says whether they were enough.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The largest entry of the mean loss's gradient at which the fit ends.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The regression, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<LogisticRegression, ParamsError> {
        let mut check = Checker::default();
        let (c, tolerance) = (self.inverse_penalty, self.tolerance);
        let fits = c.is_finite() && c > 0.0;
        check.that(fits, "inverse_penalty", c, "a number above 0");
        check.that(self.steps > 0, "steps", self.steps, "at least 1");
        check.that(tolerance >= 0.0, "tolerance", tolerance, "a number from 0 on");
        check.finish()?;
        Ok(LogisticRegression(self))
    }
}

/// Logistic regression with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression(LogisticParams);

/// A fitted linear classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// `classes x dim`.
    pub coefficients: Array2<f64>,
    /// One a class.
    pub bias: Array1<f64>,
    /// Steps taken.
    pub steps: usize,
    /// False where the most steps were taken before the gradient was small.
    pub converged: bool,
}

impl LogisticRegression {
    /// Fits a softmax over `classes` to rows and their classes: minimizes
    /// $$ \tfrac12 \lVert W \rVert^2 + C \sum_i -\log \mathrm{softmax}(W x_i + b)_{y_i}, $$
    /// where the bias has no penalty. Two classes have a row of coefficients each, which is a softmax too.
    /// The result depends on neither threads nor a seed.
    ///
    /// # Errors
    /// When there is not one class for each row, a class is not below `classes`, fewer than two classes
    /// have rows, or features are not finite.
    ///
    /// ```
    /// use curate_eval::LogisticParams;
    /// use ndarray::array;
    ///
    /// let rows = array![[0.0_f32], [1.0], [9.0], [10.0]];
    /// let fit = LogisticParams::new().check()?.fit(rows.view(), &[0, 0, 1, 1], 2)?;
    /// let scores = fit.scores(rows.view())?;
    /// assert!(scores[0] > scores[1] && scores[6] < scores[7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fit(
        &self,
        rows: ArrayView2<'_, f32>,
        class: &[usize],
        classes: usize,
    ) -> Result<Logistic, EvalError> {
        EvalError::unless_length("class", class.len(), rows.nrows())?;
        EvalError::unless_row("class", class, classes)?;
        if class.iter().all(|one| Some(one) == class.first()) {
            return Err(EvalError::OneClass { rows: class.len() });
        }
        if let Some((row, _)) =
            rows.outer_iter().enumerate().find(|(_, row)| row.iter().any(|x| !x.is_finite()))
        {
            return Err(EvalError::NotFinite { argument: "rows", row });
        }
        let problem = Problem {
            rows: rows.mapv(f64::from),
            class,
            classes,
            penalty: 1.0 / (self.0.inverse_penalty * class.len() as f64),
        };
        let size = classes * (rows.ncols() + 1);
        let found = lbfgs::minimize(
            vec![0.0; size],
            |at| problem.loss_and_gradient(at),
            self.0.steps,
            self.0.tolerance,
        );
        let (coefficients, bias) = problem.split(&found.at);
        Ok(Logistic {
            coefficients: coefficients.to_owned(),
            bias: bias.to_owned(),
            steps: found.steps,
            converged: found.converged,
        })
    }
}

impl Logistic {
    /// The logits of each row, `n x classes`, one row after the other.
    ///
    /// # Errors
    /// When the features have another length than those of the fit.
    pub fn scores(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<f32>, EvalError> {
        let (found, expected) = (rows.ncols(), self.coefficients.ncols());
        if found != expected {
            return Err(EvalError::Width { argument: "rows", found, expected });
        }
        let logits = rows.mapv(f64::from).dot(&self.coefficients.t()) + &self.bias;
        Ok(logits.iter().map(|x| *x as f32).collect())
    }
}

/// The mean loss and its penalty; the loss of scikit-learn over `C n`, which has the same minimum.
struct Problem<'a> {
    rows: Array2<f64>,
    class: &'a [usize],
    classes: usize,
    penalty: f64,
}

impl Problem<'_> {
    fn split<'p>(&self, at: &'p [f64]) -> (ArrayView2<'p, f64>, ndarray::ArrayView1<'p, f64>) {
        let dim = self.rows.ncols();
        let (weights, bias) = at.split_at(self.classes * dim);
        let weights = ArrayView2::from_shape((self.classes, dim), weights);
        (weights.expect("classes x dim numbers"), bias.into())
    }

    fn loss_and_gradient(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let (weights, bias) = self.split(at);
        let n = self.class.len() as f64;
        let mut slopes = self.rows.dot(&weights.t());
        slopes += &bias;
        let mut loss = 0.0;
        Zip::from(slopes.rows_mut()).and(self.class).for_each(|mut logits, &class| {
            let most = logits.fold(f64::NEG_INFINITY, |most, &x| most.max(x));
            let own = logits[class] - most;
            logits.mapv_inplace(|x| (x - most).exp());
            let all = logits.sum();
            loss += all.ln() - own;
            logits /= all;
            logits[class] -= 1.0;
        });
        slopes /= n;
        let mut gradient = slopes.t().dot(&self.rows);
        gradient.scaled_add(self.penalty, &weights);
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        let mut flat: Vec<f64> = gradient.iter().copied().collect();
        flat.extend(slopes.sum_axis(Axis(0)));
        (loss / n + 0.5 * self.penalty * squares, flat)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn one_dimension_by_its_formula() {
        // Rows at 1 and -1: by symmetry W = (w, -w), and the loss's slope is zero where
        // 2w = 2 C (1 - sigmoid(2w)) · 1, for the two rows together.
        let rows = array![[-1.0_f32], [1.0]];
        let regression = LogisticParams::new().tolerance(1e-12).check().unwrap();
        let fit = regression.fit(rows.view(), &[0, 1], 2).unwrap();
        let w = fit.coefficients[[1, 0]];
        assert!(fit.converged && (fit.coefficients[[0, 0]] + w).abs() < 1e-9);
        let sigmoid = 1.0 / (1.0 + (-2.0 * w).exp());
        assert!((w - 2.0 * (1.0 - sigmoid)).abs() < 1e-9, "{w}");
        assert!(fit.bias.iter().all(|b| b.abs() < 1e-9));
    }

    #[test]
    fn steps_that_do_not_suffice_are_told() {
        let rows = array![[0.0_f32, 1.0], [1.0, 0.5], [3.0, 0.0]];
        let regression = LogisticParams::new().steps(1).tolerance(0.0).check().unwrap();
        let fit = regression.fit(rows.view(), &[0, 1, 2], 3).unwrap();
        assert_eq!((fit.steps, fit.converged), (1, false));
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let regression = LogisticParams::new().check().unwrap();
        let rows = array![[0.0_f32], [f32::NAN]];
        let said = |class: &[usize]| regression.fit(rows.view(), class, 2).unwrap_err().to_string();
        assert!(said(&[0]).starts_with("`class`: 1 values, but 2"));
        assert!(said(&[0, 2]).starts_with("`class`: row 2"));
        assert!(said(&[1, 1]).contains("all 2 rows are of one class"));
        assert!(said(&[0, 1]).contains("`rows`: row 1"));
        let fit = regression.fit(array![[0.0_f32], [1.0]].view(), &[0, 1], 2).unwrap();
        assert!(fit.scores(array![[0.0_f32, 1.0]].view()).is_err());
        let wrong = LogisticParams::new().inverse_penalty(0.0).steps(0).tolerance(f64::NAN);
        assert_eq!(wrong.check().unwrap_err().violations.len(), 3);
    }
}
