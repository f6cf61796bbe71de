//! Refitting resampled data.

use super::ensemble::Ensemble;
use super::resample::Resample;
use crate::argument::MOST_DRAWS;
use crate::dice::Dice;
use crate::error::ScalingError;
use crate::fit::problem::Problem;
use crate::fit::solver::levenberg_marquardt;
use crate::fit::spread::Guarded;
use crate::fit::{Fit, Loss, polish};
use crate::law::Law;
use crate::observation::Observations;
use crate::task::Task;
use curate_core::params::Checker;
use curate_core::{Cancelled, ParamsError, Progress};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The hash stream of draws.
const STREAM: u64 = 2;
/// Normal values that the size of the noise is drawn from.
const NOISE_DRAWS: usize = 64;
/// Relative gain below which a draw's search may stop: a draw starts at the fit, a few steps from its
/// own optimum, and its error is far below the spread of the draws.
const WORTHWHILE: f64 = 1e-7;

/// Options of a bootstrap, not yet checked.
///
/// ```
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, Point, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(200).seed(1).run(&fit, &runs, &NoProgress)?;
/// let at = Point::new().samples(4e7).unique(1e7);
/// let found = draws.predict_interval(&fit, "good", &at, 0.9)?;
/// assert!(found.curve.low < found.metric && found.metric < found.curve.high);
///
/// let wrong = BootstrapParams::default().draws(1).max_iterations(0).check().unwrap_err();
/// assert_eq!(wrong.violations.len(), 2);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapParams {
    draws: usize,
    resample: Resample,
    seed: u64,
    max_iterations: usize,
}

/// Options of a bootstrap that passed [`BootstrapParams::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidBootstrapParams(BootstrapParams);

impl Default for BootstrapParams {
    /// 1,000 draws of residuals, seed 0.
    fn default() -> Self {
        BootstrapParams { draws: 1000, resample: Resample::Residual, seed: 0, max_iterations: 200 }
    }
}

impl BootstrapParams {
    /// Sets the number of draws.
    pub fn draws(mut self, draws: usize) -> Self {
        self.draws = draws;
        self
    }

    /// The number of draws.
    pub(crate) fn count(&self) -> usize {
        self.draws
    }

    /// Sets what is resampled.
    pub fn resample(mut self, resample: Resample) -> Self {
        self.resample = resample;
        self
    }

    /// Sets the seed. A draw is a function of the seed and its number, so results do not depend
    /// on the number of threads.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the largest number of iterations of a draw's search.
    pub fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    /// All violations at once, each with field, value and allowed range.
    pub fn check(self) -> Result<ValidBootstrapParams, ParamsError> {
        let mut check = Checker::default();
        let draws = (2..=MOST_DRAWS).contains(&self.draws);
        check.that(draws, "draws", self.draws, format!("from 2 to {MOST_DRAWS}"));
        check.that(self.max_iterations > 0, "max_iterations", self.max_iterations, "at least 1");
        check.finish()?;
        Ok(ValidBootstrapParams(self))
    }

    /// Checks and runs.
    ///
    /// # Errors
    /// As [`BootstrapParams::check`] and [`ValidBootstrapParams::run`].
    pub fn run<L: Law>(
        self,
        fit: &Fit<L>,
        data: &Observations,
        progress: &dyn Progress,
    ) -> Result<Ensemble, ScalingError> {
        self.check()?.run(fit, data, progress)
    }
}

impl ValidBootstrapParams {
    /// Refits every draw, starting at the fit. `progress` hears of one task, in draws.
    ///
    /// # Errors
    /// A table other than the one fitted, residuals without degrees of freedom, and
    /// [`ScalingError::Cancelled`].
    pub fn run<L: Law>(
        self,
        fit: &Fit<L>,
        data: &Observations,
        progress: &dyn Progress,
    ) -> Result<Ensemble, ScalingError> {
        fit.check_data(data)?;
        if self.0.resample == Resample::Posterior && !fit.params().has_priors() {
            return Err(ScalingError::NotAnswerable {
                law: fit.law().name(),
                problem: "no parameter has a prior, so there is no posterior to draw from".into(),
                remedy: "give priors and the noise, or resample residuals".into(),
            });
        }
        if fit.freedom() == 0 && self.0.resample != Resample::Posterior {
            return Err(ScalingError::NotIdentified {
                law: fit.law().name(),
                rows: fit.observations,
                problem: "as many parameters are searched, so residuals say nothing".into(),
                remedy: "add runs, or fix or share parameters".into(),
            });
        }
        let found = self.refit_all(fit, data, progress)?;
        let failed = found.iter().filter(|theta| theta.is_none()).count();
        Ok(Ensemble {
            thetas: found.into_iter().flatten().collect(),
            failed,
            source: self.0.resample.name().into(),
            seed: self.0.seed,
            drift: 0.0,
        })
    }

    /// The parameters of each draw, `None` where its search ended nowhere finite. Every thread
    /// deals into a problem of its own, since only the rows differ between draws.
    fn refit_all<L: Law>(
        &self,
        fit: &Fit<L>,
        data: &Observations,
        progress: &dyn Progress,
    ) -> Result<Vec<Option<Vec<f64>>>, Cancelled> {
        let problem = fit.problem(data);
        let x = problem.coordinates_of(fit.theta());
        let expected = problem.expected_noise().unwrap_or(1.0);
        let deck = Deck::new(&problem, &x, Guarded::of(&problem, &x, expected));
        let task = Task::start(progress, "bootstrap", self.0.draws, "draws");
        (0..self.0.draws)
            .into_par_iter()
            .map_init(
                || problem.clone(),
                |drawn, draw| {
                    task.unit(|| {
                        let dice = Dice::new(self.0.seed, STREAM, draw as u64);
                        deck.deal(&problem, drawn, self.0.resample, dice);
                        self.refit(drawn, &x, fit.params().loss)
                    })
                },
            )
            .collect()
    }

    fn refit<L: Law>(&self, drawn: &Problem<'_, L>, x: &[f64], loss: Loss) -> Option<Vec<f64>> {
        let iterations = self.0.max_iterations;
        let mut found = levenberg_marquardt(drawn, x.to_vec(), iterations, WORTHWHILE);
        if loss != Loss::LeastSquares && found.objective.is_finite() {
            found = polish(drawn, found, iterations);
        }
        found.objective.is_finite().then(|| drawn.theta(&found.x))
    }
}

/// What draws are dealt from.
struct Deck {
    /// Fitted values in the fit's space.
    fitted: Vec<f64>,
    /// Centered and inflated residuals over sigma.
    residuals: Vec<f64>,
    /// Rows that may stand in for each other.
    strata: Vec<Vec<usize>>,
    noise: Guarded,
}

impl Deck {
    /// Residuals of a fit are smaller than the noise, since the parameters bent towards them: they
    /// are inflated by `sqrt(n / (n - p))`. Their mean is not zero where the law has no floor of its
    /// own, and would shift every draw: it is taken off.
    fn new<L: Law>(problem: &Problem<'_, L>, x: &[f64], noise: Guarded) -> Deck {
        let (mut fitted, mut residuals) = (Vec::new(), Vec::new());
        problem.for_each_row(x, |row, residual, _| {
            fitted.push(row.target + residual / row.scale);
            residuals.push(-residual);
        });
        let count = residuals.len() as f64;
        let mean = residuals.iter().sum::<f64>() / count;
        let inflate = (count / (count - x.len() as f64).max(1.0)).sqrt();
        residuals.iter_mut().for_each(|r| *r = (*r - mean) * inflate);
        let pools = problem.layout.of_pool.len();
        let own = (0..pools).any(|pool| problem.layout.own_free(pool).next().is_some());
        let rows = 0..problem.rows.len();
        let strata = if own {
            let of = |pool| rows.clone().filter(|&i| problem.rows[i].pool == pool).collect();
            (0..pools).map(of).collect()
        } else {
            vec![rows.collect()]
        };
        Deck { fitted, residuals, strata, noise }
    }

    fn deal<'a, L: Law>(
        &self,
        from: &Problem<'a, L>,
        into: &mut Problem<'a, L>,
        resample: Resample,
        dice: Dice,
    ) {
        match resample {
            Resample::Residual => {
                for (i, row) in into.rows.iter_mut().enumerate() {
                    let residual = self.residuals[dice.index(i, self.residuals.len())];
                    row.target = self.fitted[i] + residual / row.scale;
                }
            }
            Resample::Posterior => {
                // The noise itself is not known better than its few residuals tell.
                let noise = self.noise.over_sigma / dice.spread_of_mean_square(self.noise.freedom);
                into.perturb(from, noise, |i| dice.normal(i + NOISE_DRAWS));
            }
            Resample::Case => {
                for stratum in &self.strata {
                    for &i in stratum {
                        let pool = into.rows[i].pool;
                        into.rows[i] = from.rows[stratum[dice.index(i, stratum.len())]];
                        debug_assert!(self.strata.len() == 1 || into.rows[i].pool == pool);
                    }
                }
            }
        }
    }
}
