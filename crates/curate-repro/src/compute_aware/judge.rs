//! What the law chooses, what would have been right, and what others would have chosen.

use super::study::{LARGEST, LEAST, SEEN, TIMES, Trained, name, pools};
use crate::scaling::laws;
use crate::tiny::{difference, low};
use anyhow::{Context, Result};
use curate_core::NoProgress;
use curate_scaling::decide::{Blend, Candidate};
use curate_scaling::weigh::weigh;
use curate_scaling::{BootstrapParams, LawKind, Metric, Observation, Observations, Span};
use serde::Serialize;

/// What is compared with the law.
pub(super) const BASELINES: [&str; 3] =
    ["always the best bucket", "always everything", "the best of the largest small runs"];
/// Of intervals around predictions.
const LEVEL: f64 = 0.9;
/// Points of each curve.
const POINTS: usize = 60;

/// One question: a budget, and the answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// The budget, as a multiple of a bucket.
    pub times: f64,
    /// What the law chooses.
    pub law: String,
    /// The share of draws in which it wins.
    pub wins: f64,
    /// What was best.
    pub measured: String,
    /// The mean error of each candidate.
    pub errors: Vec<f64>,
    /// The error that the law predicts for each candidate.
    pub predicted: Vec<f64>,
}

/// How good some choices were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worth {
    /// The share of right choices.
    pub right: f64,
    /// The mean regret in points.
    pub regret: f64,
}

/// Which small runs the laws see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Of one to four times a bucket, as it was fixed before the first run.
    Repeats,
    /// Also of a quarter and a half, added after the first look: without runs that repeat nothing,
    /// laws cannot tell a floor of the error from what repeats take away.
    Fresh,
}

impl Design {
    fn shows(self, times: f64) -> bool {
        times <= SEEN && (self == Self::Fresh || times >= LEAST)
    }
}

/// What became of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answers {
    /// The study.
    pub study: String,
    /// The small runs that the laws saw.
    pub design: Design,
    /// The candidates.
    pub candidates: Vec<String>,
    /// The laws and their shares of the draws.
    pub shares: Vec<(&'static str, f64)>,
    /// One for each budget beyond the runs.
    pub choices: Vec<Choice>,
    /// The law's choices.
    pub law: Worth,
    /// Those of the rules beside it: the best bucket, everything, the best of the largest small runs.
    pub baselines: Vec<Worth>,
    /// The law's choices when it sees the runs of one seed only: the mean over the seeds.
    pub law_of_one_seed: Worth,
    /// Whether the measured best differs between the least and the largest budget.
    pub best_changes: bool,
    /// Mean error of predictions of unions beyond the runs, in points.
    pub union_error: f64,
    /// Share of trainings beyond the runs inside the interval of a new run.
    pub held: f64,
    /// Where everything overtakes the best bucket, as a multiple of a bucket: predicted, measured; 1
    /// also where it is ahead before, `None` where it is not within the budgets.
    pub crossing: (Option<f64>, Option<f64>),
}

impl Answers {
    /// How far the crossing that was predicted is from the one that was measured, at least; `None`
    /// where both are beyond the budgets.
    pub fn crossing_factor(&self) -> Option<f64> {
        let (predicted, measured) = match self.crossing {
            (None, None) => return None,
            (predicted, measured) => (predicted.unwrap_or(LARGEST), measured.unwrap_or(LARGEST)),
        };
        Some((predicted / measured).max(measured / predicted))
    }
}

/// Fits the laws to a study's small runs, asks them, and looks at the larger ones. Returns the
/// answers and a plot of the candidates.
///
/// # Errors
/// Runs that no law can be fitted to.
pub fn judge(trained: &Trained, design: Design) -> Result<(Answers, String)> {
    let law = Fitted::of(trained, design, &|_| true)?;
    let candidates = candidates();
    let blend = law.blend(&candidates)?;
    let choices = choices(trained, &blend, &candidates)?;
    let picked = |choice: &Choice| choice.law.clone();
    let names: Vec<String> = candidates.iter().map(|one| one.name().to_owned()).collect();
    let last = names.last().context("candidates")?;
    let best_small = best(trained, &names, SEEN);
    let rules = [&names[0], last, &best_small];
    let baselines = rules.map(|rule| worth(trained, &choices, &|_| rule.clone()));
    let baselines = baselines.into_iter().collect::<Result<_>>()?;
    let answers = Answers {
        study: trained.study.clone(),
        design,
        shares: blend.shares(),
        law: worth(trained, &choices, &picked)?,
        baselines,
        law_of_one_seed: of_one_seed(trained, design, &candidates)?,
        best_changes: best(trained, &names, TIMES[0])
            != best(trained, &names, TIMES[TIMES.len() - 1]),
        union_error: union_error(&choices),
        held: held(trained, &blend, &candidates)?,
        crossing: (
            crossing(|times| {
                let at = |one: &Candidate| blend.predict(one, times * trained.bucket as f64, LEVEL);
                Ok(at(&candidates[0])?.metric - at(&candidates[candidates.len() - 1])?.metric)
            })?,
            crossing(|times| {
                Ok(between(trained, &names[0], times) - between(trained, last, times))
            })?,
        ),
        candidates: names,
        choices,
    };
    Ok((answers, plot(trained, &blend, &candidates)?))
}

/// The laws that fit a study's small runs.
struct Fitted {
    found: curate_scaling::weigh::Weighing<LawKind>,
}

impl Fitted {
    /// Of the buckets' runs that a design shows, of some seeds.
    fn of(trained: &Trained, design: Design, seed: &dyn Fn(u64) -> bool) -> Result<Self> {
        let alone: Vec<String> =
            pools().iter().filter(|pool| pool.len() == 1).map(|p| name(p)).collect();
        let small = trained
            .runs
            .iter()
            .filter(|run| alone.contains(&run.pool) && design.shows(run.times) && seed(run.seed));
        let row = |run: &super::Run| {
            let samples = run.times * trained.bucket as f64;
            Observation::new(&*run.pool, run.error).samples(samples).unique(trained.bucket as f64)
        };
        let runs = Observations::new(Metric::Error, Vec::new(), small.map(row).collect())?;
        let found = weigh(&laws(&runs), &runs, BootstrapParams::default(), &NoProgress)?;
        Ok(Self { found })
    }

    /// The laws that have a rule for unions, as `curate plan decide` asks them.
    fn blend(&self, all: &[Candidate]) -> Result<Blend<'_, LawKind>> {
        let whole =
            Blend::new(self.found.members.iter().map(|(fit, draws)| (fit, draws)).collect())?;
        Ok(whole.answering(all)?.0)
    }
}

/// The best bucket, the best two, …
fn candidates() -> Vec<Candidate> {
    let alone: Vec<String> =
        pools().iter().filter(|pool| pool.len() == 1).map(|p| name(p)).collect();
    Candidate::cumulative(&alone)
}

fn beyond() -> impl Iterator<Item = f64> {
    TIMES.into_iter().filter(|times| *times > SEEN)
}

fn choices(
    trained: &Trained,
    blend: &Blend<'_, LawKind>,
    all: &[Candidate],
) -> Result<Vec<Choice>> {
    let one = |times: f64| {
        let samples = times * trained.bucket as f64;
        let answer = blend.best_pool(all, samples, LEVEL)?;
        let names: Vec<String> = all.iter().map(|one| one.name().to_owned()).collect();
        let predicted = |one: &Candidate| Ok(blend.predict(one, samples, LEVEL)?.metric);
        Ok(Choice {
            times,
            law: answer.best().name.clone(),
            wins: answer.best().wins,
            measured: best(trained, &names, times),
            errors: names.iter().map(|name| trained.mean(name, times)).collect(),
            predicted: all.iter().map(predicted).collect::<Result<_>>()?,
        })
    };
    beyond().map(one).collect()
}

/// The candidate of least mean error.
fn best(trained: &Trained, names: &[String], times: f64) -> String {
    let by_error =
        |a: &&String, b: &&String| trained.mean(a, times).total_cmp(&trained.mean(b, times));
    names.iter().min_by(by_error).cloned().unwrap_or_default()
}

/// How good it is to choose `pick` of each question.
fn worth(trained: &Trained, choices: &[Choice], pick: &dyn Fn(&Choice) -> String) -> Result<Worth> {
    let (mut right, mut regret) = (0.0, 0.0);
    for choice in choices {
        let picked = pick(choice);
        let least = trained.mean(&choice.measured, choice.times);
        regret += 100.0 * (trained.mean(&picked, choice.times) - least);
        right += f64::from(u8::from(is_right(trained, &picked, choice)?));
    }
    let n = choices.len() as f64;
    Ok(Worth { right: right / n, regret: regret / n })
}

/// Whether the best is not told from what was picked by the 95 % interval of the differences.
fn is_right(trained: &Trained, picked: &str, choice: &Choice) -> Result<bool> {
    if picked == choice.measured {
        return Ok(true);
    }
    let (a, b) =
        (trained.errors(picked, choice.times), trained.errors(&choice.measured, choice.times));
    Ok(low(&difference(&a, &b)?) <= 0.0)
}

/// The mean worth of the choices of a law that saw the runs of one seed only.
fn of_one_seed(trained: &Trained, design: Design, all: &[Candidate]) -> Result<Worth> {
    let mut seeds: Vec<u64> = trained.runs.iter().map(|run| run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let (mut right, mut regret) = (0.0, 0.0);
    for &seed in &seeds {
        let law = Fitted::of(trained, design, &|of| of == seed)?;
        let choices = choices(trained, &law.blend(all)?, all)?;
        let of = worth(trained, &choices, &|choice| choice.law.clone())?;
        (right, regret) = (right + of.right, regret + of.regret);
    }
    let n = seeds.len() as f64;
    Ok(Worth { right: right / n, regret: regret / n })
}

/// In points, over the candidates that are unions.
fn union_error(choices: &[Choice]) -> f64 {
    let of = choices.iter().flat_map(|choice| choice.errors.iter().zip(&choice.predicted).skip(1));
    let errors: Vec<f64> =
        of.map(|(measured, predicted)| 100.0 * (measured - predicted).abs()).collect();
    errors.iter().sum::<f64>() / errors.len() as f64
}

fn held(trained: &Trained, blend: &Blend<'_, LawKind>, all: &[Candidate]) -> Result<f64> {
    let (mut inside, mut runs) = (0, 0);
    for times in beyond() {
        for one in all {
            let at = blend.predict(one, times * trained.bucket as f64, LEVEL)?.new_run;
            let errors = trained.errors(one.name(), times);
            runs += errors.len();
            inside += errors.iter().filter(|error| (at.low..=at.high).contains(*error)).count();
        }
    }
    Ok(f64::from(inside as u32) / f64::from(runs as u32))
}

/// Where a difference turns from below zero to above: 1 where it is above from there on, `None` where
/// it does not turn within the budgets.
fn crossing(difference: impl Fn(f64) -> Result<f64>) -> Result<Option<f64>> {
    let steps = 200;
    let at = |step: usize| LARGEST.powf(step as f64 / f64::from(steps));
    for step in 0..=steps as usize {
        if difference(at(step))? > 0.0 {
            return Ok(Some(at(step)));
        }
    }
    Ok(None)
}

/// The mean error between two budgets, in a line over the logarithm of the budget.
fn between(trained: &Trained, pool: &str, times: f64) -> f64 {
    let place = (times / TIMES[0]).log2().clamp(0.0, (TIMES.len() - 1) as f64);
    let low = (place.floor() as usize).min(TIMES.len() - 2);
    let share = place - low as f64;
    trained.mean(pool, TIMES[low]) * (1.0 - share) + trained.mean(pool, TIMES[low + 1]) * share
}

/// The candidates' curves with their intervals, and the means of all trainings.
fn plot(trained: &Trained, blend: &Blend<'_, LawKind>, all: &[Candidate]) -> Result<String> {
    let bucket = trained.bucket as f64;
    let range = Span::new(bucket * TIMES[0], bucket * LARGEST);
    let curves = blend.curves(all, range, POINTS, LEVEL, &NoProgress)?;
    let mut rows = Vec::new();
    for one in all {
        for times in TIMES {
            let samples = times * bucket;
            let error = trained.mean(one.name(), times);
            let unique = bucket * one.pools().len() as f64;
            rows.push(Observation::new(one.name(), error).samples(samples).unique(unique));
        }
    }
    let measured = Observations::new(Metric::Error, Vec::new(), rows)?;
    let shown = all.iter().map(|one| Candidate::pool(one.name())).collect::<Vec<_>>();
    Ok(curves.with_runs(&measured, &shown).to_svg(&trained.study))
}
