//! Curves with intervals, as rows, CSV, JSON and SVG.

use crate::decide::{Candidate, Switch, switch_points};
use crate::error::{Check, ScalingError};
use crate::fit::{DataRange, Fit};
use crate::law::Law;
use crate::observation::{Metric, Observations};
use crate::uncertainty::Ensemble;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The candidate.
    pub candidate: String,
    /// Samples seen.
    pub samples: f64,
    /// Predicted metric.
    pub metric: f64,
    /// Lower end of the interval over the draws.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether the data span this point, in samples, epochs and parameters.
    pub in_range: bool,
}

/// A measured run, to draw beside the curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The pool.
    pub pool: String,
    /// The candidate that is this pool alone, if there is one.
    pub candidate: Option<String>,
    /// Samples seen.
    pub samples: f64,
    /// The metric.
    pub metric: f64,
}

/// Curves of several candidates over a range of budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// The law.
    pub law: String,
    /// Error or loss.
    pub metric: Metric,
    /// Level of the intervals.
    pub level: f64,
    /// Names of the candidates, in order.
    pub candidates: Vec<String>,
    /// All points, candidate by candidate.
    pub points: Vec<CurvePoint>,
    /// Where the best candidate changes.
    pub switches: Vec<Switch>,
    /// Runs measured.
    pub measured: Vec<Measured>,
    /// What the data span.
    pub range: DataRange,
}

/// Predicts `count` budgets from `low` to `high` samples, evenly spaced in logs, for every
/// candidate; `data` adds the measured runs.
///
/// # Errors
/// As [`switch_points`], and fewer than two budgets.
pub fn curves<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    (low, high): (f64, f64),
    count: usize,
    level: f64,
    data: Option<&Observations>,
) -> Result<Curves, ScalingError> {
    let mut check = Check::default();
    check.require(count >= 2, "count", count, "at least 2");
    check.finish()?;
    let switches = switch_points(fit, draws, candidates, (low, high), level)?;
    let mut points = Vec::with_capacity(candidates.len() * count);
    for candidate in candidates {
        let resolved = candidate.resolve(fit)?;
        for i in 0..count {
            let samples = low * (high / low).powf(i as f64 / (count - 1) as f64);
            let interval = draws.interval(fit, level, |theta| resolved.at(theta, samples));
            points.push(CurvePoint {
                candidate: candidate.name.clone(),
                samples,
                metric: interval.estimate,
                low: interval.low,
                high: interval.high,
                in_range: resolved.out_of_range(samples).is_empty(),
            });
        }
    }
    Ok(Curves {
        law: fit.law().name().into(),
        metric: fit.metric,
        level,
        candidates: candidates.iter().map(|c| c.name.clone()).collect(),
        points,
        switches,
        measured: data.map(|data| measured(data, candidates)).unwrap_or_default(),
        range: fit.range.clone(),
    })
}

fn measured(data: &Observations, candidates: &[Candidate]) -> Vec<Measured> {
    let run = |row: &crate::Observation| {
        let alone = candidates.iter().find(|c| c.pools == [row.pool.as_str()]);
        Some(Measured {
            pool: row.pool.clone(),
            candidate: alone.map(|c| c.name.clone()),
            samples: row.samples?,
            metric: row.value,
        })
    };
    data.rows().iter().filter_map(run).collect()
}

impl Curves {
    /// One line a point, with a header.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("candidate,samples,metric,low,high,in_range\n");
        for p in &self.points {
            let name = csv_field(&p.candidate);
            let numbers = format!("{},{},{},{},{}", p.samples, p.metric, p.low, p.high, p.in_range);
            writeln!(text, "{name},{numbers}").expect("writing to a string");
        }
        text
    }

    /// Everything, as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and text serialise") + "\n"
    }
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
