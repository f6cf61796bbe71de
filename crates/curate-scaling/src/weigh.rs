//! Several laws for one table, weighed by what they would have predicted.

use crate::compare::{Holdout, LawScore, aicc, budget_split};
use crate::error::ScalingError;
use crate::fit::{Fit, FitParams, Space, USUAL_NOISE};
use crate::law::{Field, Law};
use crate::observation::{Observation, Observations};
use crate::stats::root_mean_square;
use crate::task::Task;
use crate::uncertainty::{BootstrapParams, Ensemble, Resample};
use curate_core::{Progress, Quiet};
use serde::{Deserialize, Serialize};

/// Held-out runs that count fully for a law's weight: beyond them errors are alike.
const INDEPENDENT: usize = 8;
/// Draws that say how far a law expects to be off at the held-out runs.
const HOLDOUT_DRAWS: usize = 64;
/// Factor between the noise expected and found from which priors are weighed anew.
const OTHER_NOISE: f64 = 1.4;

/// A law that was not weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The law.
    pub law: String,
    /// Why, in one line.
    pub why: String,
}

/// A law that was weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// How well it does.
    #[serde(flatten)]
    pub score: LawScore,
    /// Its share of the draws.
    pub share: f64,
}

/// What [`weigh`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighing<L> {
    /// Every law that could be fitted, the heaviest first.
    pub laws: Vec<Weighed>,
    /// Every other law of the candidates.
    pub left_out: Vec<LeftOut>,
    /// The fits of the laws that got draws, with them; the heaviest first.
    pub members: Vec<(Fit<L>, Ensemble)>,
}

/// One law, while it is weighed.
struct Tried<L> {
    fit: Fit<L>,
    score: LawScore,
    /// Root mean square of the held-out errors in the fit's space, and their number.
    held: Option<(f64, usize)>,
    drift: f64,
}

/// Fits every law that can tell the table's pools apart, and shares `draws` among them by what each
/// missed when it had to predict the largest budget from the smaller ones; by AICc where nothing can
/// be held out. What a law missed there beyond its own doubt becomes its [`Ensemble::drift`].
/// Laws with priors ([`FitParams::cautious`]) draw from their posterior, the others as `draws` says.
/// `progress` hears of one task, in laws.
///
/// ```
/// use curate_scaling::decide::{Blend, Candidate};
/// use curate_scaling::weigh::weigh;
/// use curate_scaling::{BootstrapParams, FitParams, LawKind, NoProgress, example_runs};
///
/// let runs = example_runs();
/// let laws = ["power", "qqt", "qqt-data", "chinchilla"];
/// let params = laws.map(|law| Ok(FitParams::cautious(law.parse::<LawKind>()?, &runs)));
/// let params: Vec<_> = params.into_iter().collect::<Result<_, curate_scaling::ScalingError>>()?;
/// let found = weigh(&params, &runs, BootstrapParams::default().draws(100), &NoProgress)?;
/// assert_eq!(found.left_out[0].law, "chinchilla"); // The runs do not say how large the models are.
/// assert!(found.laws[0].score.law.starts_with("qqt")); // The runs repeat their data.
/// let blend = Blend::new(found.members.iter().map(|(fit, draws)| (fit, draws)).collect())?;
/// let pools = [Candidate::pool("good"), Candidate::pool("poor")];
/// assert_eq!(blend.best_pool(&pools, 4e7, 0.9)?.best().name, "good");
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// No law that can be fitted, with the reason for each; what `draws` refuses; and
/// [`ScalingError::Cancelled`].
pub fn weigh<L: Law>(
    candidates: &[FitParams<L>],
    data: &Observations,
    draws: BootstrapParams,
    progress: &dyn Progress,
) -> Result<Weighing<L>, ScalingError> {
    draws.check()?;
    let task = Task::start(progress, "compare laws", candidates.len(), "laws");
    let (mut tried, mut left_out) = (Vec::new(), Vec::new());
    for params in candidates {
        match task.unit(|| try_law(params, data, draws, &Quiet(progress)))? {
            Ok(one) => tried.push(one),
            // A fit that was stopped half way looks like one that failed.
            Err(_) if progress.is_cancelled() => progress.check()?,
            Err(error) => {
                let law = params.law.name().to_owned();
                left_out.push(LeftOut { law, why: error.reason() });
            }
        }
    }
    drop(task);
    if tried.is_empty() {
        return Err(ScalingError::NoLaw { reasons: reasons(&left_out) });
    }
    share_out(tried, left_out, data, draws, progress)
}

fn try_law<L: Law>(
    params: &FitParams<L>,
    data: &Observations,
    draws: BootstrapParams,
    progress: &dyn Progress,
) -> Result<Tried<L>, ScalingError> {
    // What a law lacks says more than what it could do with it.
    let lacks = |field: &Field| data.first_without(*field).is_some();
    if !params.law.needs().iter().any(lacks) && !tells_apart(params, data) {
        return Err(ScalingError::NotAnswerable {
            law: params.law.name(),
            problem: "it cannot tell the pools apart".into(),
            remedy: "give pools a parameter of their own, or fit each pool alone".into(),
        });
    }
    let mut fit = params.clone().fit(data, progress)?;
    if let (true, Some(noise), Some(expected)) = (params.has_priors(), fit.noise(), params.noise)
        && noise.max(expected) > OTHER_NOISE * noise.min(expected)
    {
        fit = params.clone().noise(noise).fit(data, progress)?;
    }
    let held = hold_out(fit.params(), data, draws, progress).ok();
    Ok(Tried {
        score: LawScore {
            law: params.law.name().into(),
            parameters: fit.layout.free().len(),
            aicc: aicc(&fit, data).ok().filter(|a| a.is_finite()),
            holdout: held.as_ref().map(|held| held.found.clone()),
        },
        held: held.as_ref().map(|held| (held.rmse, held.found.held_out)),
        drift: held.map_or(0.0, |held| held.drift),
        fit,
    })
}

/// Each reason once, with the laws that it holds for; alone where it holds for all.
fn reasons(left_out: &[LeftOut]) -> String {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for LeftOut { law, why } in left_out {
        match by_reason.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, laws)) => laws.push(law),
            None => by_reason.push((why, vec![law])),
        }
    }
    match &by_reason[..] {
        [(reason, _)] => (*reason).to_owned(),
        _ => {
            let one =
                |(reason, laws): &(&str, Vec<&str>)| format!("{reason} ({})", laws.join(", "));
            by_reason.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Whether a law can predict different metrics for the table's pools: some parameter is each
/// pool's own, or it sees what differs between them.
fn tells_apart<L: Law>(params: &FitParams<L>, data: &Observations) -> bool {
    let pools = data.pools();
    if pools.len() < 2 || !params.per_pool.is_empty() {
        return true;
    }
    let differs = |of: &dyn Fn(&Observation) -> Vec<f64>| {
        let first = |pool: &String| data.rows().iter().find(|row| row.pool == *pool).map(of);
        pools.windows(2).any(|pair| first(&pair[0]) != first(&pair[1]))
    };
    let sees = |field: Field| params.law.needs().contains(&field);
    sees(Field::Unique) && differs(&|row| row.unique.into_iter().collect())
        || sees(Field::Mixture) && differs(&|row| row.mixture.clone())
}

/// What a law makes of the largest budget when it has only seen the smaller ones.
struct Held {
    found: Holdout,
    /// In the fit's space.
    rmse: f64,
    drift: f64,
}

fn hold_out<L: Law>(
    params: &FitParams<L>,
    data: &Observations,
    draws: BootstrapParams,
    progress: &dyn Progress,
) -> Result<Held, ScalingError> {
    let (small, large) = budget_split(params.law.name(), data)?;
    let fit = params.clone().fit(&small, progress)?;
    let found = Holdout::of(&fit, &large)?;
    let space = params.space;
    let errors: Vec<f64> = large
        .rows()
        .iter()
        .map(|row| {
            Ok(space.forward(fit.predict(&row.pool, &row.point())?) - space.forward(row.value))
        })
        .collect::<Result<_, ScalingError>>()?;
    let rmse = root_mean_square(errors.iter().copied());
    let own = drawn(&fit, &small, draws.draws(HOLDOUT_DRAWS), progress)
        .and_then(|ensemble| expected_square(&fit, &ensemble, &large, space));
    let unexplained = (rmse * rmse - own.unwrap_or(0.0)).max(0.0).sqrt();
    Ok(Held { found, rmse, drift: unexplained / distance(&small, &large) })
}

/// Mean square of what the fit expects to be off at `rows`: the draws' spread and the noise.
fn expected_square<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    rows: &Observations,
    space: Space,
) -> Result<f64, ScalingError> {
    let mut sum = 0.0;
    for row in rows.rows() {
        let center = space.forward(fit.predict(&row.pool, &row.point())?);
        for theta in draws.thetas() {
            let value = fit.law().eval(&row.point(), &fit.pool_theta(theta, &row.pool)?, None);
            sum += (space.forward(value) - center).powi(2);
        }
    }
    let count = (rows.rows().len() * draws.thetas().len()) as f64;
    Ok(sum / count + fit.noise().unwrap_or(0.0).powi(2))
}

/// Logarithm of how much larger the held-out budgets are than the largest of the others.
fn distance(small: &Observations, large: &Observations) -> f64 {
    let budgets = |of: &Observations| -> Vec<f64> {
        of.rows().iter().filter_map(Observation::budget).map(f64::ln).collect()
    };
    let highest = budgets(small).into_iter().fold(f64::NEG_INFINITY, f64::max);
    let held = budgets(large);
    let mean = held.iter().sum::<f64>() / held.len() as f64;
    (mean - highest).max(0.4)
}

/// Draws of a fit: from its posterior where it has priors.
fn drawn<L: Law>(
    fit: &Fit<L>,
    data: &Observations,
    draws: BootstrapParams,
    progress: &dyn Progress,
) -> Result<Ensemble, ScalingError> {
    let posterior = fit.params().has_priors();
    let draws = if posterior { draws.resample(Resample::Posterior) } else { draws };
    draws.run(fit, data, progress)
}

/// Gives every law its share of the draws, in whole draws.
fn share_out<L: Law>(
    tried: Vec<Tried<L>>,
    left_out: Vec<LeftOut>,
    data: &Observations,
    draws: BootstrapParams,
    progress: &dyn Progress,
) -> Result<Weighing<L>, ScalingError> {
    let counts = apportion(&weights(&tried), draws.count());
    let mut order: Vec<(usize, Tried<L>)> = counts.into_iter().zip(tried).collect();
    order.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.score.key().total_cmp(&y.score.key())));
    let task = Task::start(progress, "draw", order.len(), "laws");
    let (mut laws, mut members) = (Vec::new(), Vec::new());
    for (count, one) in order {
        let made = task.unit(|| match count {
            0 => Ok(None),
            // An ensemble of one draw has no spread, and its law no say to speak of.
            _ => drawn(&one.fit, data, draws.draws(count.max(2)), &Quiet(progress)).map(Some),
        })?;
        let share = count as f64 / draws.count() as f64;
        laws.push(Weighed { score: one.score, share });
        if let Some(mut ensemble) = made? {
            ensemble.drift = one.drift;
            members.push((one.fit, ensemble));
        }
    }
    Ok(Weighing { laws, left_out, members })
}

/// The weight of each law: the likelihood of its held-out errors, of unknown size, were they normal.
/// A law that could not predict the held-out runs has none where another could.
fn weights<L: Law>(tried: &[Tried<L>]) -> Vec<f64> {
    let any_held = tried.iter().any(|one| one.held.is_some());
    let any_aicc = tried.iter().any(|one| one.score.aicc.is_some());
    let log_weight = |one: &Tried<L>| match (one.held, one.score.aicc) {
        (Some((rmse, count)), _) => {
            let power = 0.5 * count.min(INDEPENDENT) as f64;
            -power * (rmse * rmse + USUAL_NOISE * USUAL_NOISE).ln()
        }
        (None, _) if any_held => f64::NEG_INFINITY,
        (None, Some(aicc)) => -0.5 * aicc,
        (None, None) if any_aicc => f64::NEG_INFINITY,
        (None, None) => 0.0,
    };
    let logs: Vec<f64> = tried.iter().map(log_weight).collect();
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logs.iter().map(|log| (log - highest).exp()).collect()
}

/// `total` whole draws in proportion to `weights` (largest remainders).
fn apportion(weights: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|w| w / sum * total as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|x| x.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let rest = |i: &usize| exact[*i] - exact[*i].floor();
    order.sort_by(|a, b| rest(b).total_cmp(&rest(a)).then(a.cmp(b)));
    let missing = total - counts.iter().sum::<usize>();
    order.into_iter().take(missing).for_each(|i| counts[i] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{LawKind, Power, Qqt};
    use crate::{NoProgress, example_runs};

    #[test]
    fn draws_are_shared_out_whole() {
        assert_eq!(apportion(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
        assert_eq!(apportion(&[0.7, 0.3, 1e-9], 100), [70, 30, 0]);
        assert_eq!(apportion(&[1.0], 7), [7]);
    }

    #[test]
    fn a_law_without_a_view_on_pools_is_left_out_with_the_reason() {
        let runs = example_runs();
        let blind = FitParams::new(LawKind::from(Power));
        let sizes_alone = FitParams::new(LawKind::from(Qqt::default()));
        let found = weigh(
            &[blind.clone(), FitParams::cautious(Power.into(), &runs), sizes_alone],
            &runs,
            BootstrapParams::default().draws(20),
            &NoProgress,
        )
        .unwrap();
        // The pools have one size, so a law that sees sizes alone cannot tell them apart either.
        let out: Vec<&str> = found.left_out.iter().map(|out| out.law.as_str()).collect();
        assert_eq!(out, ["power", "qqt"]);
        assert!(found.left_out[0].why.contains("cannot tell the pools apart"), "{found:?}");
        assert_eq!(found.laws.len(), 1);
        let alone = runs.filter(|row| row.pool == "good");
        assert!(tells_apart(&blind, &alone));
        let none = weigh(&[blind], &runs, BootstrapParams::default(), &NoProgress).unwrap_err();
        assert!(none.to_string().ends_with("table: it cannot tell the pools apart"), "{none}");
        let out = |law: &str, why: &str| LeftOut { law: law.into(), why: why.into() };
        let several = reasons(&[out("a", "x"), out("b", "y"), out("c", "x")]);
        assert_eq!(several, "x (a, c); y (b)");
    }

    #[test]
    fn shares_sum_to_one_and_follow_held_out_errors() {
        let runs = example_runs();
        let laws = LawKind::all(0).into_iter().map(|law| FitParams::cautious(law, &runs));
        let laws: Vec<FitParams> = laws.collect();
        let draws = BootstrapParams::default().draws(200);
        let found = weigh(&laws, &runs, draws, &NoProgress).unwrap();
        let sum: f64 = found.laws.iter().map(|law| law.share).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert_eq!(found.laws.len() + found.left_out.len(), laws.len());
        let drawn: usize = found.members.iter().map(|(_, draws)| draws.thetas().len()).sum();
        assert!((200..=220).contains(&drawn), "{drawn}");
        let rmse = |law: &Weighed| law.score.holdout.as_ref().unwrap().rmse;
        assert!(rmse(&found.laws[0]) < 0.01);
        assert!(found.laws.windows(2).all(|pair| pair[0].share >= pair[1].share));
    }
}
