//! `curate plan decide`: which pool, which model size, which mixture.

use std::path::Path;

use curate::{
    core::Progress,
    io::{IoError, Kind, atomic},
    scaling::{
        Ensemble, Fit, Interval, Law, LawKind, ScalingError, Span,
        decide::{
            Allocation, AllocationParams, BestPool, Blend, Candidate, Consensus, Experiment,
            MixtureOptimum, MixtureParams, Multiplier, Proposal, Switch, across_laws,
        },
        law::Field,
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::{
        args::DecideArgs,
        asked::{candidates_of, check_compute, check_epochs, check_pool, check_samples, size_of},
        blend, load,
    },
    show,
};

/// The answer, by the question.
#[derive(Serialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub(super) enum Decision {
    /// Which pool for a number of samples.
    Pool(PoolDecision),
    /// How large a model, for how many samples.
    Compute(ComputeDecision),
    /// Which mixture of domains.
    Mixture(MixtureDecision),
}

#[derive(Serialize)]
pub(super) struct PoolDecision {
    pub(super) samples: f64,
    pub(super) level: f64,
    /// Candidates that would be repeated more often than allowed.
    pub(super) over_epochs: Vec<String>,
    /// One a file.
    pub(super) laws: Vec<LawDecision>,
    /// Of several files; empty for one.
    pub(super) consensus: Vec<Consensus>,
    #[serde(skip)]
    pub(super) explain: bool,
}

/// What one file says: a law, or several together.
#[derive(Serialize)]
pub(super) struct LawDecision {
    pub(super) best: BestPool,
    /// The laws and their shares of the draws.
    pub(super) shares: Vec<(&'static str, f64)>,
    /// Laws that have no rule for one of the candidates.
    pub(super) without: Vec<&'static str>,
    pub(super) range: (f64, f64),
    pub(super) switches: Vec<Switch>,
    /// What the best candidate is worth in samples of each other.
    pub(super) multipliers: Vec<(String, Multiplier)>,
    /// Possible runs, those that would settle most first.
    pub(super) next: Vec<Proposal>,
}

#[derive(Serialize)]
pub(super) struct ComputeDecision {
    pub(super) compute: f64,
    pub(super) level: f64,
    pub(super) pools: Vec<PoolAllocation>,
}

#[derive(Serialize)]
pub(super) struct PoolAllocation {
    pub(super) law: &'static str,
    pub(super) pool: String,
    pub(super) best: Allocation,
    pub(super) samples: Interval,
    pub(super) parameters: Interval,
}

#[derive(Serialize)]
pub(super) struct MixtureDecision {
    pub(super) samples: f64,
    pub(super) fits: usize,
    pub(super) optimum: MixtureOptimum,
}

/// Answers, writes the answer where that is asked for, and shows it.
pub(super) fn decide(args: &DecideArgs, progress: &dyn Progress) -> Result<Decision, Failure> {
    let decision = match (args.samples, args.compute) {
        (None, Some(compute)) => Decision::Compute(by_compute(args, compute)?),
        (Some(samples), _) if mixes(args)? => Decision::Mixture(by_mixture(args, samples)?),
        (Some(samples), _) => Decision::Pool(by_pool(args, samples, progress)?),
        (None, None) => unreachable!("clap requires one of the group"),
    };
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&decision).expect("numbers and text are JSON");
        atomic::write(out, (text + "\n").as_bytes())?;
    }
    if args.shown.json {
        show::json(&decision)?
    } else {
        show::text(&decision)?
    }
    Ok(decision)
}

/// Whether the first fit is of a law of mixtures.
fn mixes(args: &DecideArgs) -> Result<bool, Failure> {
    let first = load(&args.fits[0])?.fit;
    Ok(first.law().needs().contains(&Field::Mixture))
}

fn by_pool(
    args: &DecideArgs,
    samples: f64,
    progress: &dyn Progress,
) -> Result<PoolDecision, Failure> {
    let (mut laws, mut over_epochs) = (Vec::new(), Vec::new());
    for path in &args.fits {
        let saved = load(path)?;
        let fit = &saved.fit;
        check_samples(fit, samples, "--samples")?;
        let all = candidates_of(&args.of, &saved)?;
        all.iter().try_for_each(|candidate| check_epochs(candidate, fit, samples))?;
        let (candidates, over): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|candidate| within(args.max_epochs, candidate, fit, samples));
        if candidates.is_empty() {
            let problem = "every candidate would be repeated more often than --max-epochs allows";
            let remedy = "allow more epochs, or add larger pools or unions to --candidates";
            return Err(IoError::new(Kind::Unsupported, path, problem, remedy).into());
        }
        over_epochs = over.iter().map(|candidate| candidate.name().to_owned()).collect();
        let (blend, without) = blend(&saved, path)?.answering(&candidates)?;
        laws.push(LawDecision {
            without,
            ..law_decision(args, samples, &blend, &candidates, progress)?
        });
    }
    let rankings: Vec<BestPool> = laws.iter().map(|law| law.best.clone()).collect();
    let consensus = if rankings.len() > 1 { across_laws(&rankings) } else { Vec::new() };
    let (level, explain) = (args.shown.level, args.shown.explain);
    Ok(PoolDecision { samples, level, over_epochs, laws, consensus, explain })
}

/// Whether a candidate is passed over no more often than allowed. One of unknown size is.
fn within(max_epochs: Option<f64>, candidate: &Candidate, fit: &Fit, samples: f64) -> bool {
    match (max_epochs, candidate.total_unique(fit)) {
        (Some(most), Some(unique)) => samples / unique <= most,
        _ => true,
    }
}

fn law_decision(
    args: &DecideArgs,
    samples: f64,
    blend: &Blend<'_, LawKind>,
    candidates: &[Candidate],
    progress: &dyn Progress,
) -> Result<LawDecision, Failure> {
    let (level, fit) = (args.shown.level, blend.first());
    let best = blend.best_pool(candidates, samples, level)?;
    let smallest = fit.range().samples.map_or(samples / 100.0, |span| span.low.min(samples));
    let range = args.range.unwrap_or((smallest, samples * 10.0));
    if args.range.is_some() {
        check_samples(fit, range.0, "--range")?;
        check_samples(fit, range.1, "--range")?;
    }
    let mut decision = LawDecision {
        shares: blend.shares(),
        without: Vec::new(),
        range,
        switches: Vec::new(),
        multipliers: Vec::new(),
        next: Vec::new(),
        best,
    };
    // Of pools that no law tells apart there is nothing more to say.
    let Some(winner) = decision.best.winner() else { return Ok(decision) };
    let winner = candidates.iter().find(|candidate| candidate.name() == winner.name);
    let winner = winner.expect("the best is one of the candidates");
    for other in candidates.iter().filter(|other| other.name() != winner.name()) {
        progress.check().map_err(ScalingError::from)?;
        let worth = blend.samples_multiplier(winner, other, samples, level)?;
        decision.multipliers.push((other.name().to_owned(), worth));
    }
    let runs = experiments(args, samples, smallest, candidates);
    for run in &runs {
        check_samples(fit, run.samples, "--try")?;
        run.candidate.pools().iter().try_for_each(|pool| check_pool(pool, &args.of, fit))?;
    }
    if candidates.len() > 1 && !runs.is_empty() {
        decision.next = blend.next_experiment(candidates, samples, &runs)?;
    }
    progress.check().map_err(ScalingError::from)?;
    decision.switches = blend.switch_points(candidates, Span::new(range.0, range.1), level)?;
    Ok(decision)
}

/// The runs to choose the next one from.
fn experiments(
    args: &DecideArgs,
    samples: f64,
    smallest: f64,
    candidates: &[Candidate],
) -> Vec<Experiment> {
    if args.experiments.is_empty() {
        let halves = std::iter::successors(Some(samples / 2.0), |budget| Some(budget / 2.0));
        let budgets: Vec<f64> = halves.take_while(|&n| n >= 0.999 * smallest).take(8).collect();
        let at = |samples: f64| {
            candidates.iter().map(move |c| Experiment { candidate: c.clone(), samples })
        };
        return budgets.into_iter().flat_map(at).collect();
    }
    let named = |(name, samples): &(String, f64)| {
        let found = candidates.iter().find(|candidate| candidate.name() == name).cloned();
        let candidate = found.unwrap_or_else(|| Candidate::pool(name));
        Experiment { candidate, samples: *samples }
    };
    args.experiments.iter().map(named).collect()
}

fn by_compute(args: &DecideArgs, compute: f64) -> Result<ComputeDecision, Failure> {
    let mut pools = Vec::new();
    for path in &args.fits {
        let saved = load(path)?;
        check_compute(&saved.fit, compute)?;
        blend(&saved, path)?;
        let candidates = candidates_of(&args.of, &saved)?;
        let sized = |fit: &Fit| fit.law().needs().contains(&Field::Parameters);
        let others = saved.others.iter().map(|other| (&other.fit, &other.draws));
        let all: Vec<_> =
            saved.draws.iter().map(|draws| (&saved.fit, draws)).chain(others).collect();
        let able = all.iter().filter(|(fit, _)| sized(fit)).copied();
        // Where no law knows model size, the first says so.
        let laws: Vec<_> = if able.clone().next().is_some() { able.collect() } else { all };
        for candidate in &candidates {
            for (fit, draws) in &laws {
                let found = allocated(args, compute, path, candidate, fit, draws)?;
                pools.push(found);
            }
        }
    }
    Ok(ComputeDecision { compute, level: args.shown.level, pools })
}

fn allocated(
    args: &DecideArgs,
    compute: f64,
    path: &Path,
    candidate: &Candidate,
    fit: &Fit,
    draws: &Ensemble,
) -> Result<PoolAllocation, Failure> {
    let [pool] = candidate.pools() else {
        let problem = format!("`{}` is a union", candidate.name());
        let remedy = "name single pools with --candidates when asking by compute";
        return Err(IoError::new(Kind::Unsupported, path, problem, remedy).into());
    };
    let mut params = AllocationParams::new(compute);
    if let Some(unique) = candidate.total_unique(fit) {
        params = params.unique(unique);
    }
    if let Some(most) = args.max_epochs {
        params = params.max_epochs(most);
    }
    let params = params.check()?;
    let doubt = params.intervals(fit, draws, pool, args.shown.level)?;
    Ok(PoolAllocation {
        law: fit.law().name(),
        pool: pool.clone(),
        samples: doubt.samples,
        parameters: doubt.parameters,
        best: params.optimum(fit, pool)?,
    })
}

fn by_mixture(args: &DecideArgs, samples: f64) -> Result<MixtureDecision, Failure> {
    let mut fits = Vec::new();
    for path in &args.fits {
        fits.push(load(path)?.fit);
    }
    let first = &fits[0];
    check_samples(first, samples, "--samples")?;
    let mut params = MixtureParams::new(samples);
    let usual = first.range().parameters.map(|span| span.high);
    if let Some(parameters) = args.of.parameters.or(usual) {
        params = params.parameters(parameters);
    }
    if !args.of.unique.is_empty() {
        let mut sizes = Vec::new();
        for domain in first.domains() {
            let size = size_of(&args.of, domain).ok_or_else(|| {
                let problem = format!("its domain `{domain}` has no size");
                let remedy = "give --unique DOMAIN=COUNT for every domain, or for none";
                IoError::new(Kind::Unsupported, &args.fits[0], problem, remedy)
            })?;
            sizes.push(size);
        }
        params = params.epoch_caps(sizes, args.max_epochs.unwrap_or(f64::INFINITY));
    }
    let optimum = params.check()?.optimum(&fits.iter().collect::<Vec<_>>())?;
    Ok(MixtureDecision { samples, fits: fits.len(), optimum })
}
