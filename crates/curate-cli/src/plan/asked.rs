//! What is asked of a fit: candidates and budgets.

use curate::scaling::{Fit, SavedFit, ScalingError, Span, decide::Candidate, show_count};

use crate::{failure::Failure, plan::args::CandidateArgs};

/// How many times beyond the runs a question may lie: further off, a unit is missing.
const FARTHEST: f64 = 1e4;
/// Passes over a pool that a question may be about, as many as a run may have made.
const EPOCHS: std::ops::RangeInclusive<f64> = 1e-6..=1e5;

/// The candidates asked for: pools, unions, growing unions, or every pool of the fit. Each is one that
/// some law of the file has a rule for.
pub(super) fn candidates_of(
    args: &CandidateArgs,
    saved: &SavedFit,
) -> Result<Vec<Candidate>, Failure> {
    let fit = &saved.fit;
    let named = if !args.cumulative.is_empty() {
        Candidate::cumulative(&args.cumulative)
    } else if args.candidates.is_empty() {
        fit.pools().iter().map(|pool| Candidate::pool(&pool.name)).collect()
    } else {
        args.candidates.iter().map(|name| candidate(name, fit)).collect()
    };
    let all: Vec<Candidate> = named.into_iter().map(|found| changed(found, args)).collect();
    for candidate in &all {
        let others = saved.others.iter().map(|other| &other.fit);
        if let Err(error) = candidate.check(fit)
            && !others.into_iter().any(|fit| candidate.check(fit).is_ok())
        {
            return Err(error.into());
        }
        candidate.pools().iter().try_for_each(|pool| check_pool(pool, args, fit))?;
    }
    if let (Some(parameters), Some(span)) = (args.parameters, fit.range().parameters) {
        check_near(parameters, span, "--parameters", "parameters")?;
    }
    let used = |name: &String| all.iter().any(|candidate| candidate.pools().contains(name));
    let unused = args.unique.iter().filter_map(|(name, _)| name.as_ref()).find(|name| !used(name));
    if let Some(name) = unused {
        let known = all.iter().flat_map(Candidate::pools).map(String::as_str).collect::<Vec<_>>();
        let known = known.join(", ");
        return Err(ScalingError::Unknown { what: "pool", name: name.clone(), known }.into());
    }
    Ok(all)
}

/// Refuses a pool that no run was made on, unless its size says what is asked: a law whose parameters
/// all pools share has an answer for any name.
pub(super) fn check_pool(pool: &str, args: &CandidateArgs, fit: &Fit) -> Result<(), ScalingError> {
    let known = fit.pools().iter().any(|known| known.name == pool);
    if known || size_of(args, pool).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = fit.pools().iter().map(|pool| pool.name.as_str()).collect();
    Err(ScalingError::Unknown { what: "pool", name: pool.to_owned(), known: names.join(", ") })
}

/// A candidate under the what-if changes asked for.
fn changed(candidate: Candidate, args: &CandidateArgs) -> Candidate {
    let sizes: Vec<(String, f64)> = (candidate.pools().iter())
        .filter_map(|pool| Some((pool.clone(), size_of(args, pool)?)))
        .collect();
    let sized = sizes.into_iter().fold(candidate, |c, (pool, size)| c.pool_size(pool, size));
    match args.parameters {
        Some(parameters) => sized.parameters(parameters),
        None => sized,
    }
}

/// The distinct samples that `--unique` gives a pool or domain.
pub(super) fn size_of(args: &CandidateArgs, pool: &str) -> Option<f64> {
    let named = args.unique.iter().find(|(name, _)| name.as_deref() == Some(pool));
    let found = named.or_else(|| args.unique.iter().find(|(name, _)| name.is_none()));
    found.map(|(_, size)| *size)
}

/// A pool of that name, else the union of the names between its plus signs.
fn candidate(name: &str, fit: &Fit) -> Candidate {
    if fit.pools().iter().any(|pool| pool.name == name) {
        return Candidate::pool(name);
    }
    Candidate::union(name, name.split('+').map(str::trim))
}

/// Refuses a budget that no unit of the runs' samples comes near to.
pub(super) fn check_samples(fit: &Fit, samples: f64, flag: &str) -> Result<(), Failure> {
    match fit.range().samples {
        Some(span) => check_near(samples, span, flag, "samples"),
        None => Ok(()),
    }
}

/// Refuses training compute that no unit of the runs' comes near to: six times parameters times
/// samples, as far as the runs say.
pub(super) fn check_compute(fit: &Fit, compute: f64) -> Result<(), Failure> {
    let (Some(samples), Some(parameters)) = (fit.range().samples, fit.range().parameters) else {
        return Ok(());
    };
    let of = |samples: f64, parameters: f64| 6.0 * samples * parameters;
    let span = Span::new(of(samples.low, parameters.low), of(samples.high, parameters.high));
    check_near(compute, span, "--compute", "FLOP")
}

/// Refuses what lies farther from the runs than a fit can mean anything for.
fn check_near(value: f64, span: Span, flag: &str, of: &str) -> Result<(), Failure> {
    let (factor, than) = if value < span.low {
        (span.low / value, "below the smallest run's")
    } else {
        (value / span.high, "above the largest run's")
    };
    if factor <= FARTHEST {
        return Ok(());
    }
    let middle = (span.low * span.high).sqrt();
    let off = |unit: f64| (value * unit / middle).ln().abs();
    let units = [(1e3, "K"), (1e6, "M"), (1e9, "B"), (1e12, "T")];
    let unit = units.iter().filter(|_| value < span.low);
    let unit = unit.min_by(|a, b| off(a.0).total_cmp(&off(b.0)));
    let meant = unit.map_or(String::new(), |(_, name)| format!("; did you mean {value}{name}?"));
    Err(Failure::Usage(format!(
        "{flag} {} is a factor of {} {than}: the runs have {} to {} {of}{meant}",
        show_count(value),
        show_count(factor.round()),
        show_count(span.low),
        show_count(span.high),
    )))
}

/// Refuses a candidate that a budget would pass over more often than any run, or hardly at all: its
/// size has another unit.
pub(super) fn check_epochs(candidate: &Candidate, fit: &Fit, samples: f64) -> Result<(), Failure> {
    match candidate.total_unique(fit) {
        Some(unique) if !EPOCHS.contains(&(samples / unique)) => Err(Failure::Usage(format!(
            "{} samples are {:.1e} passes over the {} distinct samples of `{}`: give both as counts, \
             with their units",
            show_count(samples),
            samples / unique,
            show_count(unique),
            candidate.name(),
        ))),
        _ => Ok(()),
    }
}
