//! Curves with intervals, as rows, CSV, JSON and SVG.

use crate::decide::{Blend, Candidate, Switch};
use crate::error::ScalingError;
use crate::fit::{DataRange, Fit};
use crate::law::Law;
use crate::observation::{Metric, Observation, Observations};
use crate::span::Span;
use crate::task::Task;
use crate::uncertainty::Ensemble;
use curate_core::params::Checker;
use curate_core::{NoProgress, Progress};
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

/// Most points of a curve.
const MOST_POINTS: usize = 10_000;

/// Predicts `count` budgets over a range of samples, evenly spaced in logs, for every candidate.
/// [`Curves::with_runs`] adds the measured runs.
///
/// ```
/// use curate_scaling::decide::Candidate;
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, Span, curves, example_runs, law::Qqt};
///
/// let runs = example_runs();
/// let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
/// let fit = params.fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;
/// let pools = [Candidate::pool("good"), Candidate::pool("fair")];
/// let drawn = curves(&fit, &draws, &pools, Span::new(1e7, 1e9), 50, 0.9)?.with_runs(&runs, &pools);
/// assert_eq!((drawn.points.len(), drawn.measured.len()), (100, 15));
/// assert!(drawn.to_svg("Two pools").starts_with("<svg"));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
///
/// # Errors
/// As [`switch_points`](crate::decide::switch_points), and fewer than two budgets.
pub fn curves<L: Law>(
    fit: &Fit<L>,
    draws: &Ensemble,
    candidates: &[Candidate],
    range: Span,
    count: usize,
    level: f64,
) -> Result<Curves, ScalingError> {
    Blend::one(fit, draws)?.curves(candidates, range, count, level, &NoProgress)
}

impl<'a, L: Law> Blend<'a, L> {
    /// As [`curves`], of all its laws together. `progress` hears of one task, in points.
    ///
    /// # Errors
    /// As [`curves`], and [`ScalingError::Cancelled`].
    pub fn curves(
        &self,
        candidates: &'a [Candidate],
        range: Span,
        count: usize,
        level: f64,
        progress: &dyn Progress,
    ) -> Result<Curves, ScalingError> {
        let mut check = Checker::default();
        let counts = (2..=MOST_POINTS).contains(&count);
        check.that(counts, "count", count, format!("from 2 to {MOST_POINTS}"));
        check.finish()?;
        let switches = self.switch_points(candidates, range, level)?;
        let task = Task::start(progress, "draw curves", candidates.len() * count, "points");
        let mut points = Vec::new();
        for candidate in candidates {
            for i in 0..count {
                let share = i as f64 / (count - 1) as f64;
                let samples = range.low * (range.high / range.low).powf(share);
                let found = task.unit(|| self.predict(candidate, samples, level))??;
                points.push(CurvePoint {
                    candidate: candidate.name().into(),
                    samples,
                    metric: found.metric,
                    low: found.curve.low,
                    high: found.curve.high,
                    in_range: found.out_of_range.is_empty(),
                });
            }
        }
        Ok(Curves {
            law: self.law(),
            metric: self.metric(),
            level,
            candidates: candidates.iter().map(|c| c.name().into()).collect(),
            points,
            switches,
            measured: Vec::new(),
            range: self.range().clone(),
        })
    }
}

impl Curves {
    /// Adds the measured runs, each to the candidate that is its pool alone, if there is one.
    pub fn with_runs(mut self, data: &Observations, candidates: &[Candidate]) -> Curves {
        let run = |row: &Observation| {
            let alone = candidates.iter().find(|c| c.pools() == [row.pool.as_str()]);
            Some(Measured {
                pool: row.pool.clone(),
                candidate: alone.map(|c| c.name().into()),
                samples: row.samples?,
                metric: row.value,
            })
        };
        self.measured = data.rows().iter().filter_map(run).collect();
        self
    }

    /// One line per point, with a header.
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
        serde_json::to_string_pretty(self).expect("numbers and text serialize") + "\n"
    }
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
