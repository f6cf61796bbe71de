//! `curate plan`: from a few small training runs and a budget to the pool to train on.

pub(crate) mod args;
mod asked;
#[cfg(feature = "train")]
mod cycle;
mod decide;
mod fit;
mod text;
mod words;

use std::path::Path;

use curate::{
    core::Progress,
    io::{IoError, Kind, atomic},
    scaling::{
        Interval, Law, LawKind, Metric, Observations, ReadOptions, SavedFit, Span, decide::Blend,
        fit::OutOfRange,
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::{
        args::{PlanCommand, PlotArgs, PredictArgs},
        asked::{candidates_of, check_samples},
    },
    progress::Shown,
    show,
};

pub(crate) fn carry_out(command: &PlanCommand, progress: &Shown) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "train")]
        PlanCommand::Run(args) => cycle::run(args, progress),
        #[cfg(not(feature = "train"))]
        PlanCommand::Run(_) => Err(Failure::NoTraining),
        PlanCommand::Fit(args) => fit::fit(args, progress),
        PlanCommand::Predict(args) => predict(args),
        PlanCommand::Decide(args) => decide::decide(args, progress).map(drop),
        PlanCommand::Plot(args) => plot(args, progress),
    }
}

fn load(path: &Path) -> Result<SavedFit, Failure> {
    Ok(SavedFit::<LawKind>::load(path)?)
}

/// The laws of a saved fit that has draws.
fn blend<'a>(saved: &'a SavedFit, path: &Path) -> Result<Blend<'a, LawKind>, Failure> {
    saved.blend()?.ok_or_else(|| {
        let problem = "holds no draws, from which intervals and win frequencies come";
        let remedy = "fit again with --draws above 0 and more runs than parameters";
        IoError::new(Kind::Unsupported, path, problem, remedy).into()
    })
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
    law: String,
    metric: Metric,
    level: f64,
    /// Laws that have no rule for one of the candidates.
    without: Vec<&'static str>,
    predictions: Vec<Predicted>,
    #[serde(skip)]
    explain: bool,
}

fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let saved = load(&args.fit)?;
    let fit = &saved.fit;
    let candidates = candidates_of(&args.of, &saved)?;
    let (blend, without) = match saved.blend()? {
        Some(blend) => blend.answering(&candidates).map(|(able, not)| (Some(able), not))?,
        None => (None, Vec::new()),
    };
    let level = args.shown.level;
    let mut predictions = Vec::new();
    for candidate in &candidates {
        for &samples in &args.samples {
            check_samples(fit, samples, "--samples")?;
            let found = match &blend {
                Some(blend) => Some(blend.predict(candidate, samples, level)?),
                None => None,
            };
            predictions.push(Predicted {
                candidate: candidate.name().to_owned(),
                samples,
                epochs: candidate.total_unique(fit).map(|unique| samples / unique),
                metric: match &found {
                    Some(found) => found.metric,
                    None => candidate.predict(fit, samples)?,
                },
                interval: found.as_ref().map(|found| found.curve),
                new_run: found.as_ref().map(|found| found.new_run),
                out_of_range: candidate.out_of_range(fit, samples)?,
            });
        }
    }
    let law = blend.as_ref().map_or_else(|| fit.law().name().to_owned(), Blend::law);
    let (metric, explain) = (fit.metric(), args.shown.explain);
    let shown = Predictions { law, metric, level, without, predictions, explain };
    if args.shown.json {
        show::json(&shown)?
    } else {
        show::text(shown)?
    }
    Ok(())
}

fn plot(args: &PlotArgs, progress: &dyn Progress) -> Result<(), Failure> {
    let saved = load(&args.fit)?;
    let fit = &saved.fit;
    let candidates = candidates_of(&args.of, &saved)?;
    let (blend, _) = blend(&saved, &args.fit)?.answering(&candidates)?;
    let usual = || fit.range().samples.map(|s| Span::new(s.low / 2.0, s.high * 10.0));
    let range = args.range.map(|(low, high)| Span::new(low, high)).or_else(usual);
    let range = range.ok_or_else(|| {
        let problem = "its law does not depend on samples, so there is no curve to draw";
        IoError::new(Kind::Unsupported, &args.fit, problem, "use `plan predict` or `plan decide`")
    })?;
    check_samples(fit, range.low, "--range")?;
    check_samples(fit, range.high, "--range")?;
    let mut drawn = blend.curves(&candidates, range, args.points, args.level, progress)?;
    if let Some(path) = &args.runs {
        let runs = Observations::read(path, &ReadOptions::default().ignore_unknown())?;
        drawn = drawn.with_runs(&runs, &candidates);
    }
    let content = match args.out.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => {
            let law = match &blend.shares()[..] {
                [(law, _)] => format!("by law {law}"),
                laws => format!("by {} laws", laws.len()),
            };
            let usual = format!("{} {law}", text::metric_name(fit.metric()));
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
