//! Choosing between laws: by information, and by what they would have predicted.

use crate::error::ScalingError;
use crate::fit::{Fit, FitParams, Space};
use crate::law::Law;
use crate::observation::{Observation, Observations};
use crate::stats::root_mean_square;
use crate::task::Task;
use curate_core::{Cancelled, Progress, Quiet};
use serde::{Deserialize, Serialize};

/// Corrected Akaike criterion under normal residuals in the fit's space, with the change of
/// variables for logs, so that fits in either space compare. Lower is better; infinite when there
/// are too few observations for it.
///
/// # Errors
/// A table other than the one fitted.
pub fn aicc<L: Law>(fit: &Fit<L>, data: &Observations) -> Result<f64, ScalingError> {
    let residuals = fit.residuals(data)?;
    let count = residuals.len() as f64;
    let parameters = count - fit.freedom() as f64 + 1.0;
    if count <= parameters + 1.0 {
        return Ok(f64::INFINITY);
    }
    let variance = root_mean_square(residuals.iter().copied()).powi(2);
    let stretch: f64 = match fit.params().space {
        Space::Metric => 0.0,
        Space::Log => data.rows().iter().map(|r| 2.0 * r.value.ln()).sum(),
    };
    let penalty = 2.0 * parameters * count / (count - parameters - 1.0);
    Ok(count * variance.ln() + stretch + penalty)
}

/// How a law predicts the largest budget from the smaller ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// Runs fitted.
    pub fitted: usize,
    /// Runs held out.
    pub held_out: usize,
    /// Root mean square of prediction minus observation, in units of the metric.
    pub rmse: f64,
    /// Mean of prediction minus observation.
    pub bias: f64,
    /// Share of held-out pairs that are predicted in the right order; `None` without pairs.
    pub decision_accuracy: Option<f64>,
}

/// Fits without the largest budget (all runs within a factor 1.5 of the largest) and predicts it.
///
/// # Errors
/// Runs without a budget, and whatever the fit of the rest refuses.
pub fn leave_largest_budget_out<L: Law>(
    params: &FitParams<L>,
    data: &Observations,
    progress: &dyn Progress,
) -> Result<Holdout, ScalingError> {
    let (small, large) = budget_split(params.law.name(), data)?;
    Holdout::of(&params.clone().fit(&small, progress)?, &large)
}

/// The runs below the largest budget, and those within a factor 1.5 of it.
pub(crate) fn budget_split(
    law: &'static str,
    data: &Observations,
) -> Result<(Observations, Observations), ScalingError> {
    let largest = data.rows().iter().filter_map(Observation::budget).fold(f64::NAN, f64::max);
    let refuse = |problem: &str, remedy: &str| {
        let (problem, remedy) = (problem.into(), remedy.into());
        Err(ScalingError::NotAnswerable { law, problem, remedy })
    };
    if largest.is_nan() {
        let problem = "no run has a budget (samples or compute)";
        return refuse(problem, "add the column, or compare laws by aicc");
    }
    let large = |row: &Observation| row.budget().is_some_and(|budget| budget > largest / 1.5);
    let small = data.filter(|row| !large(row));
    if small.rows().is_empty() {
        return refuse("all runs have one budget", "add smaller runs, or compare laws by aicc");
    }
    Ok((small, data.filter(large)))
}

impl Holdout {
    /// What a fit of other runs makes of `held`.
    pub(crate) fn of<L: Law>(fit: &Fit<L>, held: &Observations) -> Result<Holdout, ScalingError> {
        let predict = |row: &Observation| fit.predict(&row.pool, &row.point());
        let predicted: Vec<f64> = held.rows().iter().map(predict).collect::<Result<_, _>>()?;
        let observed: Vec<f64> = held.rows().iter().map(|r| r.value).collect();
        let errors: Vec<f64> = predicted.iter().zip(&observed).map(|(p, o)| p - o).collect();
        Ok(Holdout {
            fitted: fit.observations,
            held_out: errors.len(),
            rmse: root_mean_square(errors.iter().copied()),
            bias: errors.iter().sum::<f64>() / errors.len() as f64,
            decision_accuracy: decision_accuracy(&predicted, &observed),
        })
    }
}

/// Share of pairs that both lists put in the same order (DataDecide, arXiv:2504.11393): would
/// choosing by prediction have chosen right? Pairs observed equal do not count; pairs predicted
/// equal count half.
pub fn decision_accuracy(predicted: &[f64], observed: &[f64]) -> Option<f64> {
    let (mut right, mut pairs) = (0.0, 0.0);
    for i in 0..observed.len().min(predicted.len()) {
        for j in 0..i {
            if observed[i] == observed[j] {
                continue;
            }
            pairs += 1.0;
            let agree = (predicted[i] - predicted[j]) * (observed[i] - observed[j]);
            right += if agree > 0.0 {
                1.0
            } else if agree == 0.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then(|| right / pairs)
}

/// One law in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LawScore {
    /// The law.
    pub law: String,
    /// Parameters searched.
    pub parameters: usize,
    /// Corrected Akaike criterion; `None` with too few observations.
    pub aicc: Option<f64>,
    /// How it predicts the largest budget; `None` when the rest cannot be fitted.
    pub holdout: Option<Holdout>,
}

impl LawScore {
    /// `None` when the law cannot be fitted to the whole table.
    fn of<L: Law>(
        params: &FitParams<L>,
        data: &Observations,
        progress: &dyn Progress,
    ) -> Option<LawScore> {
        let fit = params.clone().fit(data, progress).ok()?;
        Some(LawScore {
            law: params.law.name().into(),
            parameters: fit.observations - fit.freedom(),
            aicc: aicc(&fit, data).ok().filter(|a| a.is_finite()),
            holdout: leave_largest_budget_out(params, data, progress).ok(),
        })
    }

    /// Its held-out error, infinite without.
    pub(crate) fn key(&self) -> f64 {
        self.holdout.as_ref().map_or(f64::INFINITY, |held| held.rmse)
    }
}

/// Fits every candidate and scores it; best held-out error first, then best criterion. Laws that
/// cannot be fitted to the whole table are left out. `progress` hears of one task, in laws.
///
/// ```
/// use curate_scaling::compare::compare;
/// use curate_scaling::law::{LawKind, Power, Qqt};
/// use curate_scaling::{FitParams, NoProgress, example_runs};
///
/// let runs = example_runs();
/// let laws = [LawKind::from(Power), LawKind::from(Qqt::default())];
/// let scores = compare(&laws.map(|law| FitParams::usual(law, &runs)), &runs, &NoProgress)?;
/// assert_eq!(scores[0].law, "qqt"); // The power law does not know that pools repeat.
/// assert!(scores[0].holdout.as_ref().is_some_and(|held| held.rmse < 0.01));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// Only when the caller wants it to stop.
pub fn compare<L: Law>(
    candidates: &[FitParams<L>],
    data: &Observations,
    progress: &dyn Progress,
) -> Result<Vec<LawScore>, Cancelled> {
    let task = Task::start(progress, "compare laws", candidates.len(), "laws");
    let mut scores = Vec::new();
    for params in candidates {
        scores.extend(task.unit(|| LawScore::of(params, data, &Quiet(progress)))?);
    }
    // A fit that was stopped half way looks like one that failed.
    progress.check()?;
    let criterion = |score: &LawScore| score.aicc.unwrap_or(f64::INFINITY);
    scores.sort_by(|a, b| a.key().total_cmp(&b.key()).then(criterion(a).total_cmp(&criterion(b))));
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{LawKind, Power, Qqt};
    use crate::{Metric, Observation};
    use curate_core::NoProgress;

    /// Four pools that repeat their data, exactly on the QQT law.
    fn repeated() -> Observations {
        let law = Qqt::default();
        let mut rows = Vec::new();
        for (pool, unique) in [("a", 5e6), ("b", 2e7), ("c", 8e7)] {
            for samples in [2e7, 4e7, 8e7, 1.6e8, 3.2e8] {
                let row = Observation::new(pool, 1.0).samples(samples).unique(unique);
                let value = law.eval(&row.point(), &[4e6, -0.2, 0.1, 5.0], None);
                rows.push(Observation { value, ..row });
            }
        }
        Observations::new(Metric::Error, vec![], rows).unwrap()
    }

    #[test]
    fn the_law_that_made_the_data_is_preferred() {
        let candidates =
            [FitParams::new(LawKind::from(Power)), FitParams::new(Qqt::default().into())];
        let scores = compare(&candidates, &repeated(), &NoProgress).unwrap();
        assert_eq!(scores[0].law, "qqt");
        assert!(scores[0].holdout.as_ref().unwrap().rmse < 1e-6);
        assert_eq!(scores[0].holdout.as_ref().unwrap().decision_accuracy, Some(1.0));
        assert!(scores[1].holdout.as_ref().unwrap().rmse > 0.01);
        assert!(scores[0].aicc.unwrap() < scores[1].aicc.unwrap());
    }

    #[test]
    fn decision_accuracy_by_hand() {
        assert_eq!(decision_accuracy(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]), Some(2.0 / 3.0));
        assert_eq!(decision_accuracy(&[1.0, 1.0], &[1.0, 3.0]), Some(0.5));
        assert_eq!(decision_accuracy(&[1.0, 2.0], &[3.0, 3.0]), None);
    }

    #[test]
    fn runs_without_budgets_cannot_be_held_out() {
        let rows = vec![Observation::new("a", 0.5), Observation::new("a", 0.4)];
        let data = Observations::new(Metric::Error, vec![], rows).unwrap();
        let error =
            leave_largest_budget_out(&FitParams::new(Power), &data, &NoProgress).unwrap_err();
        assert!(error.to_string().contains("aicc"), "{error}");
    }
}
