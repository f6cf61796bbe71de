//! What `curate eval` prints for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use curate::{
    eval::compare::{Cost, Mean, Ranking, Report},
    scaling::show_count,
};
use serde::Serialize;

/// What runs cost, before they begin.
#[derive(Serialize)]
pub(crate) struct Spent {
    #[serde(flatten)]
    pub(crate) cost: Cost,
    /// Seconds of training, as a rehearsal says.
    pub(crate) seconds: Option<f64>,
    #[serde(rename = "test_rows")]
    pub(crate) test: usize,
    /// Further rows, on which a setting is chosen.
    #[serde(rename = "chosen_on_rows", skip_serializing_if = "Option::is_none")]
    pub(crate) chosen_on: Option<usize>,
    /// Rows of the pool, those of them that have a label, and classes.
    pub(crate) rows: usize,
    pub(crate) labeled: usize,
    pub(crate) classes: usize,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { runs, made, samples, operations, at_once } = self.cost;
        write!(f, "{runs} runs, {made} of them made already; tested on {} rows", self.test)?;
        if let Some(rows) = self.chosen_on {
            write!(f, ", alpha is chosen on {rows} others")?;
        }
        writeln!(f)?;
        let Self { rows, labeled, classes, .. } = self;
        if *classes > 0 {
            writeln!(f, "{labeled} of the pool's {rows} rows have a label, of {classes} classes")?;
        }
        if let Some(seconds) = self.seconds {
            let samples = show_count(samples as f64);
            let tera = operations / 1e12;
            let time = duration(seconds);
            writeln!(
                f,
                "to train: {samples} samples, {tera:.1} tera-operations, about {time} and the tests, \
                 {at_once} at a time"
            )?;
        }
        Ok(())
    }
}

pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The rankings.
pub(super) struct Ranked<'a> {
    pub(super) report: &'a Report,
    pub(super) out: &'a Path,
}

impl fmt::Display for Ranked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        left_out(f, &self.report.left_out)?;
        for ranking in &self.report.rankings {
            table(f, ranking, self.report)?;
        }
        let out = self.out.display();
        writeln!(f, "\nwrote {out}/report.html, report.json and runs.csv")
    }
}

/// Says of each selection how many of its ids nobody trains on, and why.
pub(crate) fn left_out(
    f: &mut fmt::Formatter<'_>,
    selections: &BTreeMap<String, BTreeMap<String, usize>>,
) -> fmt::Result {
    selections
        .iter()
        .try_for_each(|(name, reasons)| writeln!(f, "{}", not_trained_on(name, reasons)))
}

pub(super) fn not_trained_on(name: &str, reasons: &BTreeMap<String, usize>) -> String {
    let reasons: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    format!("{name}: not trained on: {}", reasons.join(", "))
}

fn table(f: &mut fmt::Formatter<'_>, ranking: &Ranking, report: &Report) -> fmt::Result {
    let names = ranking.selections.iter().map(|ranked| ranked.name.chars().count());
    let width = names.max().unwrap_or(0).max("selection".len());
    let tasks: BTreeSet<&String> =
        ranking.selections.iter().flat_map(|ranked| ranked.tasks.keys()).collect();
    let shifted: BTreeSet<&String> =
        ranking.selections.iter().flat_map(|ranked| ranked.shifted.keys()).collect();
    let level = 100.0 * report.level;
    let several = tasks.len() > 1;
    writeln!(f, "\nbudget {} samples, % right", show_count(ranking.budget as f64))?;
    let interval = format!("{level:.0} % interval");
    write!(
        f,
        "{:<width$}  {:>9}  {:>8}  {:>6}  {interval:<14}",
        "selection", "unique", "epochs", "score"
    )?;
    for task in tasks.iter().filter(|_| several) {
        write!(f, "  {task:>12}")?;
    }
    for pool in &shifted {
        write!(f, "  {:>12}", format!("on {pool}"))?;
    }
    writeln!(f, "  behind the best")?;
    for ranked in &ranking.selections {
        let score = &ranked.score;
        write!(
            f,
            "{:<width$}  {:>9}  {:>8.2}  {:>6.2}  {:<14}",
            ranked.name,
            ranked.unique,
            ranked.epochs,
            100.0 * score.mean,
            range(score)
        )?;
        for task in tasks.iter().filter(|_| several) {
            write!(f, "  {:>12.2}", 100.0 * ranked.tasks.get(*task).copied().unwrap_or(f64::NAN))?;
        }
        for pool in &shifted {
            let width = 12.max("on ".len() + pool.chars().count());
            let score = ranked.shifted.get(*pool).copied().unwrap_or(f64::NAN);
            write!(f, "  {:>width$.2}", 100.0 * score)?;
        }
        writeln!(f, "  {}", behind(ranked.behind.as_ref()))?;
    }
    let first = &ranking.selections[0];
    match (ranking.settled, ranking.selections.len()) {
        (_, 1) => Ok(()),
        (true, _) => writeln!(f, "best: {}", first.name),
        (false, _) => {
            let equals: Vec<&str> = ranking.equals().map(|ranked| ranked.name.as_str()).collect();
            writeln!(f, "cannot tell {} from {}", first.name, equals.join(", "))
        }
    }
}

pub(crate) fn range(mean: &Mean) -> String {
    match mean.interval {
        Some([low, high]) => format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high),
        None => "one seed".to_owned(),
    }
}

fn behind(difference: Option<&Mean>) -> String {
    let Some(difference) = difference else { return "-".to_owned() };
    let by = -100.0 * difference.mean;
    match difference.interval {
        None => format!("{by:.2} (one seed: cannot tell)"),
        Some([low, high]) => {
            let said = if difference.settled() { "" } else { ": cannot tell" };
            format!("{by:.2} ({:.2} to {:.2}{said})", -100.0 * high, -100.0 * low)
        }
    }
}
