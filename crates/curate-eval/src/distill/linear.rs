//! The setting of the paper's theory: regularized linear regression, where a student's error is known
//! exactly.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::EvalError;

/// A regression: `y = X θ + noise`.
#[derive(Clone, Copy, Debug)]
pub struct Regression<'a> {
    /// `X`, a row a sample, `n x d`.
    pub rows: ArrayView2<'a, f64>,
    /// The true `θ`.
    pub truth: ArrayView1<'a, f64>,
    /// Standard deviation of the noise, drawn apart for every row.
    pub noise: f64,
    /// The penalty `λ` of both teacher and student, above 0.
    pub ridge: f64,
}

/// The expected squared distance from the truth, over the noise, of a student that is trained on the rows
/// `kept` and hears with the share `alpha` a teacher that was trained on the rows `seen`:
/// $$ \hat\theta_t = (X_t^\top X_t + \lambda I)^{-1} X_t^\top y_t, \qquad
///    \hat\theta_s = (X_f^\top X_f + \lambda I)^{-1} X_f^\top \bigl((1-\alpha)\, y_f + \alpha X_f
///    \hat\theta_t\bigr). $$
/// Both are linear in `y`, so that the error is $\lVert (M X - I)\theta \rVert^2 + \sigma^2 \lVert M
/// \rVert_F^2$ for the student's map $M$ of all labels.
///
/// # Errors
/// When `truth` has another length than a row, or a row is not there.
///
/// ```
/// use curate_eval::distill::linear::{Regression, expected_error};
/// use ndarray::array;
///
/// let (rows, truth) = (array![[1.0], [1.0]], array![2.0]);
/// let of = Regression { rows: rows.view(), truth: truth.view(), noise: 1.0, ridge: 1.0 };
/// // Ridge regression on one row: half of y, so a bias of 1 and a variance of 1/4.
/// assert!((expected_error(&of, &[0], &[0, 1], 0.0)? - 1.25).abs() < 1e-12);
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn expected_error(
    of: &Regression<'_>,
    kept: &[usize],
    seen: &[usize],
    alpha: f64,
) -> Result<f64, EvalError> {
    let (n, dim) = of.rows.dim();
    EvalError::unless_length("truth", of.truth.len(), dim)?;
    EvalError::unless_row("kept", kept, n)?;
    EvalError::unless_row("seen", seen, n)?;
    let student = map_of(of, kept);
    let teacher = map_of(of, seen);
    let gram = of.rows.select(Axis(0), kept);
    let through = solve(&penalized(&gram, of.ridge), gram.t().dot(&gram));
    let map = student * (1.0 - alpha) + through.dot(&teacher) * alpha;
    let bias: Array1<f64> = map.dot(&of.rows).dot(&of.truth) - of.truth;
    let squares = |x: f64| x * x;
    let variance: f64 = map.iter().copied().map(squares).sum();
    Ok(bias.iter().copied().map(squares).sum::<f64>() + squares(of.noise) * variance)
}

/// Ridge regression: the `θ` that minimizes `‖X θ - y‖² + penalty ‖θ‖²`, for `X` with a row a sample.
///
/// # Errors
/// When there is not one label for each row.
///
/// ```
/// use curate_eval::distill::linear::ridge;
/// use ndarray::array;
///
/// let rows = array![[1.0], [1.0]];
/// let found = ridge(rows.view(), array![3.0, 3.0].view(), 1.0)?;
/// assert!((found[0] - 2.0).abs() < 1e-12);
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn ridge(
    rows: ArrayView2<'_, f64>,
    labels: ArrayView1<'_, f64>,
    penalty: f64,
) -> Result<Array1<f64>, EvalError> {
    EvalError::unless_length("labels", labels.len(), rows.nrows())?;
    let right = rows.t().dot(&labels).insert_axis(Axis(1));
    let gram = rows.t().dot(&rows) + Array2::<f64>::eye(rows.ncols()) * penalty;
    Ok(solve(&gram, right).column(0).to_owned())
}

/// Ridge regression on some rows as a map of all labels, `d x n`; other rows have no say.
fn map_of(of: &Regression<'_>, some: &[usize]) -> Array2<f64> {
    let part = of.rows.select(Axis(0), some);
    let weights = solve(&penalized(&part, of.ridge), part.t().to_owned());
    let mut map = Array2::zeros((of.rows.ncols(), of.rows.nrows()));
    for (column, &row) in some.iter().enumerate() {
        // A row that is named twice counts twice.
        let mut to = map.column_mut(row);
        to += &weights.column(column);
    }
    map
}

fn penalized(rows: &Array2<f64>, ridge: f64) -> Array2<f64> {
    rows.t().dot(rows) + Array2::<f64>::eye(rows.ncols()) * ridge
}

/// `A⁻¹ B` for a symmetric positive definite `A`, by Cholesky's factors.
fn solve(a: &Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let mut lower = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let sum = lower.row(i).dot(&lower.row(j));
            lower[[i, j]] = match i == j {
                true => (a[[i, i]] - sum).sqrt(),
                false => (a[[i, j]] - sum) / lower[[j, j]],
            };
        }
    }
    for mut column in b.columns_mut() {
        for i in 0..n {
            let before: f64 = (0..i).map(|j| lower[[i, j]] * column[j]).sum();
            column[i] = (column[i] - before) / lower[[i, i]];
        }
        for i in (0..n).rev() {
            let after: f64 = (i + 1..n).map(|j| lower[[j, i]] * column[j]).sum();
            column[i] = (column[i] - after) / lower[[i, i]];
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use curate_core::{SampleId, random};

    use super::*;

    fn normal(seed: &str, at: usize) -> f64 {
        // The sum of twelve uniform numbers, less 6, has the mean 0 and the variance 1.
        let draw = |i| random::unit(random::derive(1, seed), SampleId((at * 12 + i) as u128));
        (0..12).map(draw).sum::<f64>() - 6.0
    }

    fn design(n: usize, dim: usize) -> (Array2<f64>, Array1<f64>) {
        let rows = Array2::from_shape_fn((n, dim), |(i, j)| normal("rows", i * dim + j));
        (rows, Array1::from_shape_fn(dim, |j| normal("truth", j)))
    }

    #[test]
    fn the_error_is_that_of_many_draws() {
        let (rows, truth) = design(30, 4);
        let of = Regression { rows: rows.view(), truth: truth.view(), noise: 0.7, ridge: 2.0 };
        let (kept, seen): (Vec<usize>, Vec<usize>) = ((0..8).collect(), (0..30).collect());
        let exact = expected_error(&of, &kept, &seen, 0.6).unwrap();
        let fit = |rows: &Array2<f64>, y: Array1<f64>| ridge(rows.view(), y.view(), 2.0).unwrap();
        let part = rows.select(Axis(0), &kept);
        let draws = 4000;
        let total: f64 = (0..draws)
            .map(|draw| {
                let noise = Array1::from_shape_fn(30, |i| 0.7 * normal("noise", draw * 30 + i));
                let y = rows.dot(&truth) + noise;
                let teacher = fit(&rows, y.clone());
                let mixed = y.select(Axis(0), &kept) * 0.4 + part.dot(&teacher) * 0.6;
                let student = fit(&part, mixed);
                (student - &truth).mapv(|x| x * x).sum()
            })
            .sum();
        let measured = total / f64::from(draws as u32);
        assert!((measured / exact - 1.0).abs() < 0.05, "{measured} {exact}");
    }

    /// The paper's claim: the more the teacher saw, the better the student, whatever it keeps.
    #[test]
    fn the_error_falls_with_what_the_teacher_saw() {
        let (rows, truth) = design(400, 10);
        let of = Regression { rows: rows.view(), truth: truth.view(), noise: 2.0, ridge: 1.0 };
        let kept: Vec<usize> = (0..20).collect();
        let error = |seen: usize, alpha| {
            let seen: Vec<usize> = (0..seen).collect();
            expected_error(&of, &kept, &seen, alpha).unwrap()
        };
        let falling: Vec<f64> = [20, 40, 80, 160, 400].map(|seen| error(seen, 1.0)).to_vec();
        assert!(falling.windows(2).all(|pair| pair[1] < pair[0]), "{falling:?}");
        assert!(
            error(400, 1.0) < error(400, 0.0),
            "few rows: the teacher is worth more than labels"
        );
        assert_eq!(error(20, 0.0), error(400, 0.0), "who does not listen does not care");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (rows, truth) = design(3, 2);
        let of = Regression { rows: rows.view(), truth: truth.view(), noise: 1.0, ridge: 1.0 };
        assert!(
            expected_error(&of, &[3], &[0], 0.5).unwrap_err().to_string().starts_with("`kept`")
        );
        let short = truth.slice(ndarray::s![..1]);
        let of = Regression { truth: short, ..of };
        assert!(
            expected_error(&of, &[0], &[0], 0.5).unwrap_err().to_string().starts_with("`truth`")
        );
    }
}
