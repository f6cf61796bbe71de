//! The paper's theory: regularized linear regression, exactly and by simulation.

use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::{SampleId, random};
use curate_eval::distill::linear::{Regression, expected_error, ridge};
use ndarray::{Array1, Array2, Axis};
use serde::Serialize;

/// Rows of a design, and elements of a row.
const ROWS: usize = 400;
const DIM: usize = 20;
/// Rows that the student keeps.
const KEPT: usize = 40;
/// Rows that the teacher saw.
const SEEN: [usize; 5] = [40, 80, 160, 280, 400];
const ALPHAS: [f64; 2] = [0.5, 1.0];
const NOISE: f64 = 1.0;
const RIDGE: f64 = 1.0;
/// Designs whose errors are averaged, and draws of labels that one of them is simulated with.
const DESIGNS: u64 = 50;
const DRAWS: u64 = 2000;

/// The student's expected error by what the teacher saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Theory {
    /// For each alpha and number of rows that the teacher saw.
    pub points: Vec<Point>,
}

/// One alpha and one teacher.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The teacher's share.
    pub alpha: f64,
    /// The share of the rows that the teacher saw.
    pub seen: f64,
    /// The expected squared distance from the truth, the mean over designs.
    pub error: f64,
    /// That of the first design.
    pub exact: f64,
    /// The same by simulation, and its standard error.
    pub simulated: f64,
    /// The standard error of `simulated`.
    pub standard_error: f64,
}

/// Measures it.
///
/// # Errors
/// None that a design of these sizes can give.
pub fn theory() -> Result<Theory> {
    let mut points = Vec::new();
    for alpha in ALPHAS {
        for seen in SEEN {
            let mut error = 0.0;
            for design in 0..DESIGNS {
                error += Design::new(design).expected(seen, alpha)? / DESIGNS as f64;
            }
            let first = Design::new(0);
            let (simulated, standard_error) = first.simulated(seen, alpha)?;
            let exact = first.expected(seen, alpha)?;
            let seen = seen as f64 / ROWS as f64;
            points.push(Point { alpha, seen, error, exact, simulated, standard_error });
        }
    }
    Ok(Theory { points })
}

impl Theory {
    /// The claims on it.
    pub fn claims(&self) -> Vec<Claim> {
        let quoted = "the student's error falls monotonically with the share of the data that the teacher saw";
        let curves = self.points.chunks(SEEN.len());
        let rises = curves.flat_map(|curve| curve.windows(2)).filter(|p| p[1].error >= p[0].error);
        let off = self.points.iter().map(|p| (p.simulated - p.exact).abs() / p.standard_error);
        vec![
            Claim::within(
                "linear regression: steps at which the error does not fall",
                Kind::Exact,
                0.0,
                rises.count() as f64,
                0.0,
            )
            .quoting(quoted),
            Claim::at_most(
                "linear regression: simulated error off the closed form, the most (standard errors)",
                Kind::Exact,
                4.0,
                off.fold(0.0, f64::max),
            ),
        ]
    }
}

struct Design {
    rows: Array2<f64>,
    truth: Array1<f64>,
}

impl Design {
    fn new(design: u64) -> Self {
        let rows = Normal::new(design, "rows");
        let truth = Normal::new(design, "truth");
        Self {
            rows: Array2::from_shape_fn((ROWS, DIM), |(i, j)| rows.at(i * DIM + j)),
            truth: Array1::from_shape_fn(DIM, |j| truth.at(j)),
        }
    }

    fn expected(&self, seen: usize, alpha: f64) -> Result<f64> {
        let (rows, truth) = (self.rows.view(), self.truth.view());
        let of = Regression { rows, truth, noise: NOISE, ridge: RIDGE };
        let (kept, seen): (Vec<usize>, Vec<usize>) = ((0..KEPT).collect(), (0..seen).collect());
        Ok(expected_error(&of, &kept, &seen, alpha)?)
    }

    /// The mean over draws of labels, and its standard error.
    fn simulated(&self, seen: usize, alpha: f64) -> Result<(f64, f64)> {
        let all = self.rows.select(Axis(0), &(0..seen).collect::<Vec<_>>());
        let kept = self.rows.select(Axis(0), &(0..KEPT).collect::<Vec<_>>());
        let right = self.rows.dot(&self.truth);
        let (mut sum, mut squares) = (0.0, 0.0);
        for draw in 0..DRAWS {
            let noise = Normal::new(draw, "noise");
            let labels = Array1::from_shape_fn(ROWS, |i| right[i] + NOISE * noise.at(i));
            let teacher = ridge(all.view(), labels.slice(ndarray::s![..seen]), RIDGE)?;
            let told = labels.slice(ndarray::s![..KEPT]).mapv(|y| (1.0 - alpha) * y)
                + kept.dot(&teacher) * alpha;
            let student = ridge(kept.view(), told.view(), RIDGE)?;
            let error = (student - &self.truth).mapv(|x| x * x).sum();
            sum += error;
            squares += error * error;
        }
        let n = DRAWS as f64;
        let mean = sum / n;
        Ok((mean, ((squares / n - mean * mean) / n).sqrt()))
    }
}

/// Normal numbers, by Box and Muller from hashes.
struct Normal(u64);

impl Normal {
    fn new(seed: u64, what: &str) -> Self {
        Self(random::derive(seed, what))
    }

    fn at(&self, at: usize) -> f64 {
        let unit = |of: usize| random::unit(self.0, SampleId((2 * at + of) as u128));
        (-2.0 * (1.0 - unit(0)).ln()).sqrt() * (std::f64::consts::TAU * unit(1)).cos()
    }
}
