//! Several laws that answer together.

use super::candidate::{Candidate, Resolved, check_distinct};
use crate::argument::check_question;
use crate::dice::Dice;
use crate::error::ScalingError;
use crate::fit::{DataRange, Fit, OutOfRange, Space};
use crate::law::Law;
use crate::observation::Metric;
use crate::stats::central;
use crate::uncertainty::{Ensemble, Interval, Prediction, tail_level};
use rayon::prelude::*;

/// The hash stream of how far laws may drift off beyond the runs.
const DRIFT_STREAM: u64 = 6;
/// The hash stream of measurement noise in intervals of new runs.
const NOISE_STREAM: u64 = 4;

/// Fits of one law or several to the same runs, each with its draws. Every draw has one say, so a
/// law has as much weight as its share of the draws: together they hold the doubt about the
/// parameters and about the law.
///
/// ```
/// use curate_scaling::decide::{Blend, Candidate};
/// use curate_scaling::law::{LawKind, Power, Qqt};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, example_runs};
///
/// let runs = example_runs();
/// let draws = BootstrapParams::default().draws(50);
/// let fitted = |law: LawKind| {
///     let fit = FitParams::usual(law, &runs).fit(&runs, &NoProgress)?;
///     let draws = draws.run(&fit, &runs, &NoProgress)?;
///     Ok::<_, curate_scaling::ScalingError>((fit, draws))
/// };
/// let (qqt, power) = (fitted(Qqt::default().into())?, fitted(Power.into())?);
/// let both = Blend::new(vec![(&qqt.0, &qqt.1), (&power.0, &power.1)])?;
/// assert_eq!(both.shares(), [("qqt", 0.5), ("power", 0.5)]);
/// let pools = [Candidate::pool("good"), Candidate::pool("fair")];
/// let wins: f64 = both.best_pool(&pools, 1e8, 0.9)?.ranking().iter().map(|r| r.wins).sum();
/// assert!((wins - 1.0).abs() < 1e-12);
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Blend<'a, L> {
    members: Vec<(&'a Fit<L>, &'a Ensemble)>,
    draws: Vec<Draw<'a>>,
}

/// One draw of one law.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw<'a> {
    member: usize,
    index: u64,
    seed: u64,
    theta: &'a [f64],
}

impl<'a, L: Law> Blend<'a, L> {
    /// Joins fits of the same runs.
    ///
    /// # Errors
    /// No fit, a fit of other runs than the first, no draws, and draws of another fit.
    pub fn new(members: Vec<(&'a Fit<L>, &'a Ensemble)>) -> Result<Self, ScalingError> {
        let Some((first, _)) = members.first() else {
            return Err(ScalingError::NotAnswerable {
                law: "a blend",
                problem: "there is no fit".into(),
                remedy: "pass at least one".into(),
            });
        };
        let mut draws = Vec::new();
        for (member, (fit, ensemble)) in members.iter().enumerate() {
            ensemble.check_fit(fit)?;
            if fit.digest() != first.digest() {
                let (expected, received) = (first.digest().into(), fit.digest().into());
                return Err(ScalingError::OtherData { expected, received });
            }
            let drawn = |(index, theta): (usize, &'a Vec<f64>)| Draw {
                member,
                index: index as u64,
                seed: ensemble.seed,
                theta,
            };
            draws.extend(ensemble.thetas.iter().enumerate().map(drawn));
        }
        Ok(Blend { members, draws })
    }

    /// One law alone.
    ///
    /// # Errors
    /// As [`Blend::new`].
    pub fn one(fit: &'a Fit<L>, draws: &'a Ensemble) -> Result<Self, ScalingError> {
        Blend::new(vec![(fit, draws)])
    }

    /// The laws that can predict all the candidates, since not every law has a rule for unions, and
    /// the names of the others.
    ///
    /// # Errors
    /// Candidates that no law can predict, with the first law's reason.
    pub fn answering(&self, all: &[Candidate]) -> Result<(Self, Vec<&'static str>), ScalingError> {
        check_distinct(self.first().law().name(), all)?;
        let refusal = |fit: &Fit<L>| all.iter().find_map(|c| c.check(fit).err());
        let refused: Vec<Option<ScalingError>> =
            self.members.iter().map(|(fit, _)| refusal(fit)).collect();
        let able = |answers: bool| {
            let pairs = self.members.iter().zip(&refused);
            pairs.filter(move |(_, refusal)| refusal.is_none() == answers).map(|(m, _)| *m)
        };
        let (members, others): (Vec<_>, Vec<_>) = (able(true).collect(), able(false).collect());
        if members.is_empty() {
            let reason = refused.into_iter().flatten().next();
            return Err(reason.expect("every law refused"));
        }
        let others = others.into_iter().map(|(fit, _)| fit.law().name()).collect();
        Ok((Blend::new(members)?, others))
    }

    /// The laws and their shares of the draws.
    pub fn shares(&self) -> Vec<(&'static str, f64)> {
        let all = self.draws.len() as f64;
        let share = |(fit, draws): &(&Fit<L>, &Ensemble)| {
            (fit.law().name(), draws.thetas.len() as f64 / all)
        };
        self.members.iter().map(share).collect()
    }

    /// The law's name, or those of all with their shares.
    pub fn law(&self) -> String {
        match &self.shares()[..] {
            [(law, _)] => (*law).to_owned(),
            shares => {
                let one = |(law, share): &(&str, f64)| format!("{law} {:.0} %", 100.0 * share);
                shares.iter().map(one).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The fit that has most draws.
    pub fn first(&self) -> &'a Fit<L> {
        self.members[0].0
    }

    /// Predicted metric of a candidate after `samples` samples, with intervals of `level`.
    ///
    /// # Errors
    /// As [`Candidate::predict`], and a level outside `(0, 1)`.
    pub fn predict(
        &self,
        candidate: &Candidate,
        samples: f64,
        level: f64,
    ) -> Result<Prediction, ScalingError> {
        check_question(samples, level)?;
        let line = self.line(candidate)?;
        let metric = line.checked_estimate(samples)?;
        let measured = |draw: &Draw<'a>| {
            let fit = self.members[draw.member].0;
            let luck = Dice::new(draw.seed, NOISE_STREAM, draw.index).normal(0);
            let space = fit.params().space;
            let noise = fit.noise().unwrap_or(0.0) * luck;
            space.inverse(space.forward(line.at(draw, samples)) + noise)
        };
        let of = |values: Vec<f64>| self.spread(values, metric, level);
        Ok(Prediction {
            metric,
            curve: of(self.draws.par_iter().map(|draw| line.at(draw, samples)).collect()),
            new_run: of(self.draws.iter().map(measured).collect()),
            out_of_range: line.out_of_range(samples),
        })
    }

    pub(super) fn draws(&self) -> &[Draw<'a>] {
        &self.draws
    }

    pub(crate) fn metric(&self) -> Metric {
        self.first().metric()
    }

    pub(crate) fn range(&self) -> &DataRange {
        self.first().range()
    }

    pub(super) fn space(&self) -> Space {
        self.first().params().space
    }

    /// Mean variance of one run's noise.
    pub(super) fn noise_variance(&self) -> f64 {
        let of = |draw: &Draw<'_>| self.members[draw.member].0.noise().unwrap_or(0.0).powi(2);
        self.draws.iter().map(of).sum::<f64>() / self.draws.len() as f64
    }

    /// The interval of values, one a draw.
    pub(super) fn spread(&self, values: Vec<f64>, estimate: f64, level: f64) -> Interval {
        let level = match &self.members[..] {
            [(fit, draws)] => tail_level(fit, draws, level),
            _ => level,
        };
        let (low, high) = central(values, level);
        Interval { estimate, low, high }
    }

    pub(super) fn line(&self, candidate: &'a Candidate) -> Result<Line<'a, L>, ScalingError> {
        let all = self.draws.len() as f64;
        let member = |(fit, draws): &(&'a Fit<L>, &'a Ensemble)| {
            Ok(UnderLaw {
                resolved: candidate.resolve(fit)?,
                share: draws.thetas.len() as f64 / all,
                drift: draws.drift,
                space: fit.params().space,
                theta: fit.theta(),
                metric: fit.metric(),
            })
        };
        let members = self.members.iter().map(member).collect::<Result<_, ScalingError>>()?;
        let hash = |key: u64, byte: u8| (key ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let key = candidate.name().bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        Ok(Line { members, key })
    }

    /// The lines of all candidates of a question.
    pub(super) fn lines(&self, all: &'a [Candidate]) -> Result<Vec<Line<'a, L>>, ScalingError> {
        check_distinct(self.first().law().name(), all)?;
        all.iter().map(|candidate| self.line(candidate)).collect()
    }
}

impl Candidate {
    /// Predicted metric after `samples` samples, with intervals of `level` over the draws.
    ///
    /// # Errors
    /// As [`Candidate::predict`] and [`Ensemble::interval`].
    pub fn predict_interval<L: Law>(
        &self,
        fit: &Fit<L>,
        draws: &Ensemble,
        samples: f64,
        level: f64,
    ) -> Result<Prediction, ScalingError> {
        Blend::one(fit, draws)?.predict(self, samples, level)
    }
}

/// A candidate's curve under one law.
struct UnderLaw<'a, L> {
    resolved: Resolved<'a, L>,
    share: f64,
    drift: f64,
    space: Space,
    theta: &'a [f64],
    metric: Metric,
}

/// A candidate's curve under every law.
pub(super) struct Line<'a, L> {
    members: Vec<UnderLaw<'a, L>>,
    /// A hash of the candidate's name.
    key: u64,
}

impl<L: Law> Line<'_, L> {
    /// The laws' predictions by their fits, weighted by their shares.
    pub(super) fn estimate(&self, samples: f64) -> f64 {
        let of = |m: &UnderLaw<'_, L>| m.share * m.resolved.at(m.theta, samples);
        self.members.iter().map(of).sum()
    }

    /// The same, refused where it is no number.
    pub(super) fn checked_estimate(&self, samples: f64) -> Result<f64, ScalingError> {
        let estimate = self.estimate(samples);
        if estimate.is_finite() {
            return Ok(estimate);
        }
        Err(ScalingError::NotAnswerable {
            law: self.members[0].resolved.law(),
            problem: format!("its value at {samples} samples is {estimate}"),
            remedy: "ask about a budget nearer to the runs".into(),
        })
    }

    /// The metric in one draw. Beyond the runs a law may drift off, half of it with the other
    /// candidates, half on its own.
    pub(super) fn at(&self, draw: &Draw<'_>, samples: f64) -> f64 {
        let law = &self.members[draw.member];
        let value = law.resolved.at(draw.theta, samples);
        if law.drift == 0.0 {
            return value;
        }
        let beyond = law.resolved.beyond(samples);
        if beyond == 0.0 {
            return value;
        }
        let luck = |seed: u64| Dice::new(seed, DRIFT_STREAM, draw.index).normal(0);
        let step = (luck(draw.seed) + luck(draw.seed ^ self.key)) / 2f64.sqrt();
        let drifted = law.space.inverse(law.space.forward(value) + law.drift * beyond * step);
        match law.metric {
            Metric::Error => drifted.clamp(0.0, 1.0),
            Metric::Loss => drifted.max(0.0),
        }
    }

    pub(super) fn out_of_range(&self, samples: f64) -> Vec<OutOfRange> {
        self.members[0].resolved.out_of_range(samples)
    }
}
