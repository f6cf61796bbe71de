//! `curate plan`: from a few small training runs and a budget to the pool to train on.

pub(crate) mod args;
mod decide;
mod text;

use std::path::Path;

use curate::{
    core::Progress,
    io::{IoError, Kind, atomic},
    scaling::{
        BootstrapParams, Ensemble, Fit, FitParams, Interval, Law, LawKind, Loss, Metric,
        Observations, ReadOptions, Resample, SavedFit, ScalingError, Space, Span,
        compare::{LawScore, compare},
        curves,
        decide::Candidate,
        fit::OutOfRange,
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::args::{
        CandidateArgs, Cost, FitArgs, PlanCommand, PlotArgs, PredictArgs, ResampleArg, SpaceArg,
    },
    show,
};

pub(crate) fn carry_out(command: &PlanCommand, progress: &dyn Progress) -> Result<(), Failure> {
    match command {
        PlanCommand::Fit(args) => fit(args, progress),
        PlanCommand::Predict(args) => predict(args),
        PlanCommand::Decide(args) => decide::decide(args),
        PlanCommand::Plot(args) => plot(args),
    }
}

/// A fit, as `plan fit` shows it.
#[derive(Serialize)]
struct Fitted<'a> {
    /// Every law that was tried, the best predictor of the largest budget first; empty when the
    /// law was given.
    tried: &'a [LawScore],
    fit: &'a Fit,
    r_squared: f64,
    level: f64,
    /// In the order of the fit's parameters; empty without draws.
    intervals: Vec<Interval>,
    out: &'a Path,
}

fn fit(args: &FitArgs, progress: &dyn Progress) -> Result<(), Failure> {
    let runs = read_runs(args)?;
    let tried = match &args.law {
        Some(_) => Vec::new(),
        None => compare(&candidates(args, &runs), &runs, progress).map_err(ScalingError::from)?,
    };
    let law = match (&args.law, tried.first()) {
        (Some(name), _) => LawKind::named(name, runs.domains().len())?,
        (None, Some(best)) => LawKind::named(&best.law, runs.domains().len())?,
        (None, None) => {
            let problem = "no law can be fitted to this table";
            let remedy = "name one with --law to see why, for example --law power";
            return Err(IoError::new(Kind::Unsupported, &args.runs, problem, remedy).into());
        }
    };
    let fit = params(args, law, &runs).fit(&runs, progress)?;
    let draws = draws(args, &fit, &runs, progress)?;
    let saved = SavedFit::new(fit, draws);
    saved.save(&args.out)?;
    let (fit, draws) = (&saved.fit, saved.draws.as_ref());
    let intervals = draws.map(|draws| draws.parameter_intervals(fit, args.shown.level));
    let fitted = Fitted {
        tried: &tried,
        fit,
        r_squared: fit.r_squared(&runs)?,
        level: args.shown.level,
        intervals: intervals.transpose()?.unwrap_or_default(),
        out: &args.out,
    };
    if args.shown.json {
        show::json(&fitted)?
    } else {
        show::text(fitted)?
    }
    Ok(())
}

fn read_runs(args: &FitArgs) -> Result<Observations, Failure> {
    let mut options = ReadOptions::default();
    for (ours, theirs) in &args.column {
        options = options.column(ours, theirs);
    }
    options = args.skip.iter().fold(options, ReadOptions::skip);
    if args.ignore_unknown {
        options = options.ignore_unknown();
    }
    let runs = Observations::read(&args.runs, &options)?;
    let Some(group) = &args.group else { return Ok(runs) };
    let chosen = runs.filter(|row| row.group.as_deref() == Some(group));
    if chosen.rows().is_empty() {
        let mut groups: Vec<&str> =
            runs.rows().iter().filter_map(|row| row.group.as_deref()).collect();
        groups.sort_unstable();
        groups.dedup();
        let known = if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
        let problem = format!("no row has the group `{group}`");
        let remedy = format!("its groups are: {known}");
        return Err(IoError::new(Kind::NotFound, &args.runs, problem, remedy).into());
    }
    Ok(chosen)
}

/// Every law that may be fitted, with the options given. The released code's variant of the QQT
/// law contradicts its paper, so it is fitted only when named.
fn candidates(args: &FitArgs, runs: &Observations) -> Vec<FitParams> {
    let laws = LawKind::all(runs.domains().len());
    let sound = laws.into_iter().filter(|law| !law.name().ends_with("-compat"));
    sound
        .map(|law| params(args, law, runs))
        .filter(|params| params.clone().check().is_ok())
        .collect()
}

fn params(args: &FitArgs, law: LawKind, runs: &Observations) -> FitParams {
    let mut params = match &args.own {
        None => FitParams::usual(law, runs),
        Some(own) => {
            let shared = FitParams::usual(law, runs).share_all();
            own.iter().filter(|name| *name != "none").fold(shared, FitParams::per_pool)
        }
    };
    for (name, value) in &args.fix {
        params = params.fix(name, *value);
    }
    for (name, center, spread) in &args.prior {
        params = params.prior(name, *center, *spread);
    }
    if let Some(noise) = args.noise {
        params = params.noise(noise);
    }
    if let Some(cost) = args.cost {
        params = params.loss(match cost {
            Cost::Squares => Loss::LeastSquares,
            Cost::Huber(delta) => Loss::Huber { delta },
            Cost::Asymmetric(delta, over) => Loss::Asymmetric { delta, over },
        });
    }
    if let Some(space) = args.space {
        params = params.space(match space {
            SpaceArg::Metric => Space::Metric,
            SpaceArg::Log => Space::Log,
        });
    }
    params.starts(args.starts).seed(args.seed)
}

/// Draws, unless none are asked for or as many parameters as runs leave no doubt to draw from,
/// which the fit's warnings say.
fn draws(
    args: &FitArgs,
    fit: &Fit,
    runs: &Observations,
    progress: &dyn Progress,
) -> Result<Option<Ensemble>, Failure> {
    if args.draws == 0 || fit.freedom() == 0 {
        return Ok(None);
    }
    let resample = match args.resample {
        ResampleArg::Residual => Resample::Residual,
        ResampleArg::Case => Resample::Case,
    };
    let params = BootstrapParams::default().draws(args.draws).resample(resample).seed(args.seed);
    Ok(Some(params.run(fit, runs, progress)?))
}

/// A saved fit that has draws.
fn load_with_draws(path: &Path) -> Result<(Fit, Ensemble), Failure> {
    let saved = SavedFit::<LawKind>::load(path)?;
    match saved.draws {
        Some(draws) if !draws.thetas().is_empty() => Ok((saved.fit, draws)),
        _ => {
            let problem = "holds no draws, from which intervals and win frequencies come";
            let remedy = "fit again with --draws above 0 and more runs than parameters";
            Err(IoError::new(Kind::Unsupported, path, problem, remedy).into())
        }
    }
}

/// The candidates asked for: pools, unions, growing unions, or every pool of the fit.
fn candidates_of(args: &CandidateArgs, fit: &Fit) -> Result<Vec<Candidate>, Failure> {
    let named = if !args.cumulative.is_empty() {
        Candidate::cumulative(&args.cumulative)
    } else if args.candidates.is_empty() {
        fit.pools().iter().map(|pool| Candidate::pool(&pool.name)).collect()
    } else {
        args.candidates.iter().map(|name| candidate(name, fit)).collect()
    };
    let all: Vec<Candidate> = named.into_iter().map(|found| changed(found, args)).collect();
    for candidate in &all {
        candidate.check(fit)?;
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
fn size_of(args: &CandidateArgs, pool: &str) -> Option<f64> {
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

/// A prediction, as `plan predict` shows it.
#[derive(Serialize)]
struct Predicted {
    candidate: String,
    samples: f64,
    epochs: Option<f64>,
    metric: f64,
    /// Of the curve; `None` without draws.
    interval: Option<Interval>,
    /// Of a new run's measurement.
    new_run: Option<Interval>,
    out_of_range: Vec<OutOfRange>,
}

#[derive(Serialize)]
struct Predictions {
    law: &'static str,
    metric: Metric,
    level: f64,
    predictions: Vec<Predicted>,
}

fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let SavedFit { fit, draws, .. } = SavedFit::<LawKind>::load(&args.fit)?;
    let candidates = candidates_of(&args.of, &fit)?;
    let level = args.shown.level;
    let mut predictions = Vec::new();
    for candidate in &candidates {
        for &samples in &args.samples {
            let doubt = match &draws {
                Some(draws) => Some(candidate.predict_interval(&fit, draws, samples, level)?),
                None => None,
            };
            predictions.push(Predicted {
                candidate: candidate.name().to_owned(),
                samples,
                epochs: candidate.total_unique(&fit).map(|unique| samples / unique),
                metric: candidate.predict(&fit, samples)?,
                interval: doubt.as_ref().map(|found| found.curve),
                new_run: doubt.as_ref().map(|found| found.new_run),
                out_of_range: candidate.out_of_range(&fit, samples)?,
            });
        }
    }
    let (law, metric) = (fit.law().name(), fit.metric());
    let shown = Predictions { law, metric, level, predictions };
    if args.shown.json {
        show::json(&shown)?
    } else {
        show::text(shown)?
    }
    Ok(())
}

fn plot(args: &PlotArgs) -> Result<(), Failure> {
    let (fit, draws) = load_with_draws(&args.fit)?;
    let candidates = candidates_of(&args.of, &fit)?;
    let usual = || fit.range().samples.map(|s| Span::new(s.low / 2.0, s.high * 10.0));
    let range = args.range.map(|(low, high)| Span::new(low, high)).or_else(usual);
    let range = range.ok_or_else(|| {
        let problem = "its law does not depend on samples, so there is no curve to draw";
        IoError::new(Kind::Unsupported, &args.fit, problem, "use `plan predict` or `plan decide`")
    })?;
    let mut drawn = curves(&fit, &draws, &candidates, range, args.points, args.level)?;
    if let Some(path) = &args.runs {
        let runs = Observations::read(path, &ReadOptions::default().ignore_unknown())?;
        drawn = drawn.with_runs(&runs, &candidates);
    }
    let content = match args.out.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => {
            let usual = format!("{} by law {}", text::metric_name(fit.metric()), fit.law().name());
            drawn.to_svg(args.title.as_deref().unwrap_or(&usual))
        }
        Some("csv") => drawn.to_csv(),
        Some("json") => drawn.to_json(),
        _ => {
            let problem = "has no ending of a picture or table";
            let remedy = "name it .svg, .csv or .json";
            return Err(IoError::new(Kind::Unsupported, &args.out, problem, remedy).into());
        }
    };
    atomic::write(&args.out, content.as_bytes())?;
    show::text(format_args!("wrote {}\n", args.out.display()))?;
    Ok(())
}
