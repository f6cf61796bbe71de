//! `curate plan decide`: which pool, which model size, which mixture.

use curate::{
    io::{IoError, Kind, atomic},
    scaling::{
        Ensemble, Fit, Interval, Law, LawKind, SavedFit, Span,
        decide::{
            Allocation, AllocationParams, BestPool, Candidate, Consensus, Experiment,
            MixtureOptimum, MixtureParams, Multiplier, Proposal, Switch, across_laws, best_pool,
            next_experiment, samples_multiplier, switch_points,
        },
        law::Field,
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::{args::DecideArgs, candidates_of, load_with_draws, size_of},
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
    pub(super) laws: Vec<LawDecision>,
    /// Of several laws; empty for one.
    pub(super) consensus: Vec<Consensus>,
}

/// What one law says.
#[derive(Serialize)]
pub(super) struct LawDecision {
    pub(super) best: BestPool,
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

pub(super) fn decide(args: &DecideArgs) -> Result<(), Failure> {
    let decision = match (args.samples, args.compute) {
        (None, Some(compute)) => Decision::Compute(by_compute(args, compute)?),
        (Some(samples), _) if mixes(args)? => Decision::Mixture(by_mixture(args, samples)?),
        (Some(samples), _) => Decision::Pool(by_pool(args, samples)?),
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
    Ok(())
}

/// Whether the first fit is of a law of mixtures.
fn mixes(args: &DecideArgs) -> Result<bool, Failure> {
    let first = SavedFit::<LawKind>::load(&args.fits[0])?.fit;
    Ok(first.law().needs().contains(&Field::Mixture))
}

fn by_pool(args: &DecideArgs, samples: f64) -> Result<PoolDecision, Failure> {
    let (mut laws, mut over_epochs) = (Vec::new(), Vec::new());
    for path in &args.fits {
        let (fit, draws) = load_with_draws(path)?;
        let (candidates, over): (Vec<_>, Vec<_>) = candidates_of(&args.of, &fit)?
            .into_iter()
            .partition(|candidate| within(args.max_epochs, candidate, &fit, samples));
        if candidates.is_empty() {
            let problem = "every candidate would be repeated more often than --max-epochs allows";
            let remedy = "allow more epochs, or add larger pools or unions to --candidates";
            return Err(IoError::new(Kind::Unsupported, path, problem, remedy).into());
        }
        over_epochs = over.iter().map(|candidate| candidate.name().to_owned()).collect();
        laws.push(law_decision(args, samples, &fit, &draws, &candidates)?);
    }
    let rankings: Vec<BestPool> = laws.iter().map(|law| law.best.clone()).collect();
    let consensus = if rankings.len() > 1 { across_laws(&rankings) } else { Vec::new() };
    Ok(PoolDecision { samples, level: args.shown.level, over_epochs, laws, consensus })
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
    fit: &Fit,
    draws: &Ensemble,
    candidates: &[Candidate],
) -> Result<LawDecision, Failure> {
    let level = args.shown.level;
    let best = best_pool(fit, draws, candidates, samples, level)?;
    let smallest = fit.range().samples.map_or(samples / 100.0, |span| span.low.min(samples));
    let range = args.range.unwrap_or((smallest, samples * 10.0));
    let find = |name: &str| candidates.iter().find(|candidate| candidate.name() == name);
    let winner = find(&best.best().name).expect("the best is one of the candidates");
    let mut multipliers = Vec::new();
    for other in candidates.iter().filter(|other| other.name() != winner.name()) {
        let worth = samples_multiplier(fit, draws, winner, other, samples, level)?;
        multipliers.push((other.name().to_owned(), worth));
    }
    let runs = experiments(args, samples, smallest, candidates);
    let next = match runs.is_empty() {
        true => Vec::new(),
        false => next_experiment(fit, draws, candidates, samples, &runs)?,
    };
    Ok(LawDecision {
        range,
        switches: switch_points(fit, draws, candidates, Span::new(range.0, range.1), level)?,
        multipliers,
        next,
        best,
    })
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
        let (fit, draws) = load_with_draws(path)?;
        for candidate in candidates_of(&args.of, &fit)? {
            let [pool] = candidate.pools() else {
                let problem = format!("`{}` is a union", candidate.name());
                let remedy = "name single pools with --candidates when asking by compute";
                return Err(IoError::new(Kind::Unsupported, path, problem, remedy).into());
            };
            let mut params = AllocationParams::new(compute);
            if let Some(unique) = candidate.total_unique(&fit) {
                params = params.unique(unique);
            }
            if let Some(most) = args.max_epochs {
                params = params.max_epochs(most);
            }
            let params = params.check()?;
            let doubt = params.intervals(&fit, &draws, pool, args.shown.level)?;
            pools.push(PoolAllocation {
                law: fit.law().name(),
                pool: pool.clone(),
                samples: doubt.samples,
                parameters: doubt.parameters,
                best: params.optimum(&fit, pool)?,
            });
        }
    }
    Ok(ComputeDecision { compute, level: args.shown.level, pools })
}

fn by_mixture(args: &DecideArgs, samples: f64) -> Result<MixtureDecision, Failure> {
    let mut fits = Vec::new();
    for path in &args.fits {
        fits.push(SavedFit::<LawKind>::load(path)?.fit);
    }
    let first = &fits[0];
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
