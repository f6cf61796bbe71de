//! `curate plan fit`: a law, or all laws weighed, for a table of runs.

use std::path::Path;

use curate::{
    core::Progress,
    io::{IoError, Kind, atomic},
    scaling::{
        BootstrapParams, Fit, FitParams, Interval, Law, LawKind, Loss, Observations, ReadOptions,
        Resample, SavedFit, ScalingError, Space,
        weigh::{LeftOut, Weighed, weigh},
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::args::{Cost, FitArgs, ResampleArg, SpaceArg},
    show,
};

/// A fit, as `plan fit` shows it.
#[derive(Serialize)]
pub(super) struct Fitted<'a> {
    /// Every law that was fitted, the heaviest first; empty when the law was given.
    pub(super) tried: &'a [Weighed],
    /// Every other law, with the reason.
    pub(super) left_out: &'a [LeftOut],
    /// The heaviest law.
    pub(super) fit: &'a Fit,
    pub(super) r_squared: f64,
    pub(super) level: f64,
    /// In the order of the fit's parameters; empty without draws.
    pub(super) intervals: Vec<Interval>,
    pub(super) out: &'a Path,
    #[serde(skip)]
    pub(super) explain: bool,
}

pub(super) fn fit(args: &FitArgs, progress: &dyn Progress) -> Result<(), Failure> {
    let runs = read_runs(args)?;
    let (saved, tried, left_out) = match &args.law {
        Some(name) => (fit_one(args, name, &runs, progress)?, Vec::new(), Vec::new()),
        None => fit_several(args, &runs, progress)?,
    };
    let (fit, draws) = (&saved.fit, saved.draws.as_ref());
    let intervals = draws.map(|draws| draws.parameter_intervals(fit, args.shown.level));
    let fitted = Fitted {
        tried: &tried,
        left_out: &left_out,
        fit,
        r_squared: fit.r_squared(&runs)?,
        level: args.shown.level,
        intervals: intervals.transpose()?.unwrap_or_default(),
        out: &args.out,
        explain: args.shown.explain,
    };
    atomic::write(&args.out, saved.to_json().as_bytes())?;
    if args.shown.json {
        show::json(&fitted)?
    } else {
        show::text(fitted)?
    }
    Ok(())
}

/// The law that was named, as its usual options have it.
fn fit_one(
    args: &FitArgs,
    name: &str,
    runs: &Observations,
    progress: &dyn Progress,
) -> Result<SavedFit, Failure> {
    let law = LawKind::named(name, runs.domains().len())?;
    let fit = params(args, FitParams::usual(law, runs)).fit(runs, progress)?;
    // As many parameters as runs leave no doubt to draw from, which the fit's warnings say.
    let none = fit.freedom() == 0 && args.resample != Some(ResampleArg::Posterior);
    let draws = match args.draws == 0 || none {
        true => None,
        false => Some(bootstrap(args).run(&fit, runs, progress)?),
    };
    Ok(SavedFit::new(fit, draws))
}

type Several = (SavedFit, Vec<Weighed>, Vec<LeftOut>);

/// Every law that can tell the pools apart, weighed. The released code's variant of the QQT law
/// contradicts its paper, so it is fitted only when named.
fn fit_several(
    args: &FitArgs,
    runs: &Observations,
    progress: &dyn Progress,
) -> Result<Several, Failure> {
    let laws = LawKind::all(runs.domains().len());
    check_names(args, &laws)?;
    let (compat, sound): (Vec<_>, Vec<_>) =
        laws.into_iter().partition(|law| law.name().ends_with("-compat"));
    let candidates: Vec<FitParams> =
        sound.into_iter().map(|law| params(args, FitParams::cautious(law, runs))).collect();
    let found = weigh(&candidates, runs, bootstrap(args), progress)?;
    let mut left_out = found.left_out;
    left_out.extend(compat.iter().map(|law| LeftOut {
        law: law.name().to_owned(),
        why: "it has the form of the released code, which its paper contradicts".to_owned(),
    }));
    let mut members = found.members;
    let saved = match args.draws {
        0 => SavedFit::new(members.swap_remove(0).0, None),
        _ => SavedFit::of_several(members).expect("a law that was weighed"),
    };
    Ok((saved, found.laws, left_out))
}

/// Refuses a parameter that no law has: each law would be left out for it.
fn check_names(args: &FitArgs, laws: &[LawKind]) -> Result<(), Failure> {
    let mut known: Vec<String> =
        laws.iter().flat_map(Law::params).map(|spec| spec.name.into_owned()).collect();
    known.sort_unstable();
    known.dedup();
    let own = args.own.iter().flatten().filter(|name| *name != "none");
    let fixed = args.fix.iter().map(|(name, _)| name);
    let pulled = args.prior.iter().map(|(name, ..)| name);
    let base = |name: &String| name.split('[').next().unwrap_or_default().to_owned();
    match own.chain(fixed).chain(pulled).find(|name| !known.contains(&base(name))) {
        Some(name) => {
            let (name, known) = (name.clone(), known.join(", "));
            Err(ScalingError::Unknown { what: "parameter", name, known }.into())
        }
        None => Ok(()),
    }
}

fn bootstrap(args: &FitArgs) -> BootstrapParams {
    let resample = match args.resample {
        Some(ResampleArg::Case) => Resample::Case,
        Some(ResampleArg::Posterior) => Resample::Posterior,
        Some(ResampleArg::Residual) | None => Resample::Residual,
    };
    // Without draws laws are weighed all the same.
    let draws = if args.draws == 0 { 100 } else { args.draws };
    BootstrapParams::default().draws(draws).resample(resample).seed(args.seed)
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

/// The options given, on top of `usual` ones.
fn params(args: &FitArgs, usual: FitParams) -> FitParams {
    let mut params = match &args.own {
        None => usual,
        Some(own) => {
            let named = own.iter().filter(|name| *name != "none");
            named.fold(usual.share_all(), FitParams::per_pool)
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
