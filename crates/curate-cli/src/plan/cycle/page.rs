//! A loop as a page to look at: the runs, the law's curves, and the share to keep.

use std::path::Path;

use curate::{
    core::Progress,
    report::{
        Column, Curve, CurveChart, CurveStyle, Fact, Marker, Note, Report, Scale, Section, Table,
        Tile, Value,
    },
    scaling::{
        Curves, Observations, ReadOptions, SavedFit, Span,
        decide::{Candidate, Proposal, Ranked},
        show_count,
    },
};

use super::{
    super::{blend, decide::LawDecision, load},
    asked::Loop,
    buckets::{self, Bucket, percent},
};
use crate::failure::Failure;

/// Points of a curve.
const POINTS: usize = 60;

/// What a page shows of a loop.
pub(super) struct Page<'a> {
    pub(super) asked: &'a Loop,
    pub(super) buckets: &'a [Bucket],
    pub(super) law: &'a LawDecision,
    /// The answer, a sentence.
    pub(super) verdict: &'a str,
}

impl Page<'_> {
    /// The page, from the fit and the runs in the loop's folder.
    pub(super) fn read(&self, out: &Path, progress: &dyn Progress) -> Result<Report, Failure> {
        let path = out.join("fit.json");
        let saved = load(&path)?;
        let runs = Observations::read(&out.join("runs.csv"), &ReadOptions::default())?;
        let curves = self.curves(&saved, &path, &runs, progress)?;
        let mut page = Report::new("How much of the pool to keep");
        page.subtitle = self.asked.pool.display().to_string();
        page.lead = vec![format!("The answer: {}.", self.verdict)];
        page.tiles = self.tiles(runs.rows().len());
        page.notes = self.notes();
        page.sections = vec![self.drawn(&curves), self.shares(), self.next()];
        page.facts = self.facts();
        Ok(page)
    }

    fn curves(
        &self,
        saved: &SavedFit,
        path: &Path,
        runs: &Observations,
        progress: &dyn Progress,
    ) -> Result<Curves, Failure> {
        let names: Vec<String> = self.buckets.iter().map(|bucket| bucket.name.clone()).collect();
        let unions = Candidate::cumulative(&names);
        let smallest = self.asked.sizes().into_iter().fold(f64::INFINITY, f64::min);
        let range = Span::new(smallest / 2.0, 2.0 * self.asked.target());
        let (blend, _) = blend(saved, path)?.answering(&unions)?;
        let level = 0.9;
        Ok(blend.curves(&unions, range, POINTS, level, progress)?.with_runs(runs, &unions))
    }

    fn tiles(&self, runs: usize) -> Vec<Tile> {
        let keep = self.law.best.winner().map(|winner| self.share(&winner.name));
        vec![
            Tile::new("keep", keep.map_or(Value::Missing, |share| format!("{share} %").into()))
                .hint("of the pool, best first"),
            Tile::new("for", show_count(self.asked.target())).hint("samples seen"),
            Tile::new("small runs", runs),
        ]
    }

    /// The share of the pool that a union of buckets holds, in percent.
    fn share(&self, union: &str) -> String {
        buckets::end(self.buckets, union).map_or_else(|| union.to_owned(), percent)
    }

    fn notes(&self) -> Vec<Note> {
        let said = self.asked.far_beyond().map(|said| Note::warning(format!("Note that {said}.")));
        said.into_iter().collect()
    }

    /// The curves of the shares with their bands, and the runs on the buckets.
    fn drawn(&self, curves: &Curves) -> Section {
        let line = |name: &String| {
            let of = || curves.points.iter().filter(|point| point.candidate == *name);
            Curve {
                name: format!("best {} %", self.share(name)),
                points: of().map(|point| (point.samples, point.metric)).collect(),
                band: of().map(|point| (point.samples, point.low, point.high)).collect(),
                ..Curve::default()
            }
        };
        let dots = |bucket: &Bucket| {
            let runs = curves.measured.iter().filter(|run| run.pool == bucket.name);
            Curve {
                name: format!("runs on {} %", bucket.name),
                style: CurveStyle::Points,
                points: runs.map(|run| (run.samples, run.metric)).collect(),
                ..Curve::default()
            }
        };
        let drawn = curves.candidates.iter().map(line).chain(self.buckets.iter().map(dots));
        let chart = CurveChart {
            title: "Error by samples seen".into(),
            x_label: "samples seen, repeats included".into(),
            y_label: "error".into(),
            x_scale: Scale::Log,
            y_scale: scale_of(curves.measured.iter().map(|run| run.metric)),
            y_percent: true,
            curves: drawn.collect(),
            markers: vec![Marker::new(self.asked.target(), "the budget that counts")],
            note: "Lines are what the law says of the best shares of the pool, with 90 % bands; dots are the runs \
                   on the buckets, to which it is fitted."
                .into(),
            ..CurveChart::default()
        };
        Section::new("Curves and runs").block(chart)
    }

    fn shares(&self) -> Section {
        let row = |ranked: &Ranked| {
            let metric = &ranked.metric;
            vec![
                format!("best {} %", self.share(&ranked.name)).into(),
                Value::Share(metric.estimate),
                format!("{:.1} to {:.1} %", 100.0 * metric.low, 100.0 * metric.high).into(),
                Value::Share(ranked.wins),
                Value::Share(ranked.regret),
            ]
        };
        let table = Table {
            title: format!("At {} samples", show_count(self.asked.target())),
            note: "Wins: the share of draws of the law in which this share of the pool is the best. Regret: the mean \
                   loss against each draw's best."
                .into(),
            columns: ["keep", "error", "90 % interval", "wins", "regret"].map(Column::new).into(),
            rows: self.law.best.ranking().iter().map(row).collect(),
            ..Table::default()
        };
        Section::new("Which share to keep").block(table)
    }

    fn next(&self) -> Section {
        let row = |run: &Proposal| {
            let samples = Value::Text(show_count(run.samples));
            vec![run.candidate.as_str().into(), samples, Value::Share(run.settles)]
        };
        let table = Table {
            title: "Runs that would settle more".into(),
            note: "Settles: the share of the doubt about the decision that the run's outcome would remove. `--continue` \
                   makes the first."
                .into(),
            columns: ["bucket", "samples", "settles"].map(Column::new).into(),
            rows: self.law.next.iter().filter(|run| run.settles > 0.0).map(row).collect(),
            when_empty: "No further run would settle more.".into(),
            ..Table::default()
        };
        Section::new("What to train next").block(table)
    }

    fn facts(&self) -> Vec<Fact> {
        let share = |(law, share): &(&str, f64)| format!("{law} {:.0} %", 100.0 * share);
        let laws: Vec<String> = self.law.shares.iter().map(share).collect();
        vec![
            Fact::new("loop", Value::Code(self.asked.file.display().to_string())),
            Fact::new("pool", Value::Code(self.asked.pool.display().to_string())),
            Fact::new("budgets", self.asked.budgets.join(", ")),
            Fact::new("seeds", self.asked.seeds),
            Fact::new("laws, and their shares of the draws", laws.join(", ")),
            Fact::new("version", env!("CARGO_PKG_VERSION")),
        ]
    }
}

/// Ratios, unless all errors are so near that a scale of ratios would have one number on it.
fn scale_of(errors: impl Iterator<Item = f64>) -> Scale {
    let ends = |(low, high): (f64, f64), error: f64| (low.min(error), high.max(error));
    let (low, high) = errors.fold((f64::INFINITY, 0.0), ends);
    if high > 4.0 * low { Scale::Log } else { Scale::Linear }
}
