//! `curate eval card`: results from elsewhere, beside what the sets are like.

use std::{fmt, path::Path};

use curate::{
    io::{IoError, Kind, files::read_text},
    select::card::{Axis, Card, Line, Scorecard, TaskMean},
};

use crate::{eval::args::CardArgs, failure::Failure, show};

/// Classes with fewer samples are in the long tail, and this share of classes is the head, as in SELECT's tables.
const LONG_TAIL: u64 = 500;
const HEAD: f64 = 0.05;

pub(super) fn card(args: &CardArgs) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for path in &args.results {
        lines.extend(read(path)?);
    }
    let found = Scorecard::new(lines, &args.reference)?;
    if args.json { show::json(&found) } else { show::text(Text(&found)) }?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Line>, IoError> {
    let text = read_text(path)?;
    let full = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let read = |(line, number): (&str, usize)| {
        serde_json::from_str(line).map_err(|error| {
            // A line is a file of its own to the parser.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let problem = format!("line {number}: {said}");
            let remedy = r#"write {"set": ..., "axis": ..., "task": ..., "accuracy": ...} or {"set": ..., "counts": [...]}"#;
            IoError::new(Kind::Malformed, path, problem, remedy)
        })
    };
    let lines: Vec<Line> = full.map(read).collect::<Result<_, _>>()?;
    if lines.is_empty() {
        let remedy = "write a JSON object per test";
        return Err(IoError::new(Kind::Malformed, path, "has no line", remedy));
    }
    Ok(lines)
}

struct Text<'a>(&'a Scorecard);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scorecard { cards, line, left_out, alike } = self.0;
        let width = cards.iter().map(|card| card.set.chars().count()).max().unwrap_or(0).max(3);
        accuracies(f, self.0, width)?;
        if let Some(line) = line {
            let sets = line.references.join(", ");
            writeln!(f, "effective robustness: points above the line through {sets}")?;
        }
        properties(f, cards, width)?;
        for task in left_out {
            let (axis, lacking) = (task.axis.name(), task.lacking.join(", "));
            writeln!(
                f,
                "note: {axis} test `{}` is in no mean: not there for {lacking}",
                task.task
            )?;
        }
        for task in alike {
            let (axis, percent) = (task.axis.name(), 100.0 * task.accuracy);
            let task = &task.task;
            writeln!(
                f,
                "note: {axis} test `{task}` tells no set from another, each has {percent:.2} %; it is counted"
            )?;
        }
        Ok(())
    }
}

/// Of the axes that a set has tests of.
fn accuracies(f: &mut fmt::Formatter<'_>, found: &Scorecard, width: usize) -> fmt::Result {
    let tested = |axis: &Axis| found.cards.iter().any(|card| card.mean(*axis).is_some());
    let axes: Vec<Axis> = Axis::ALL.into_iter().filter(tested).collect();
    if axes.is_empty() {
        return Ok(());
    }
    writeln!(f, "accuracy in %, ± half the 95 % interval for the doubt from finite test sets")?;
    write!(f, "{:<width$}", "set")?;
    axes.iter().try_for_each(|axis| write!(f, "  {:>14}", axis.name()))?;
    writeln!(f, "{}", if found.line.is_some() { "  effective robustness" } else { "" })?;
    for card in &found.cards {
        write!(f, "{:<width$}", card.set)?;
        axes.iter().try_for_each(|&axis| write!(f, "  {:>14}", percent(card.mean(axis))))?;
        match (&found.line, card.robustness) {
            (None, _) => writeln!(f),
            (_, None) => writeln!(f, "  {:>20}", "-"),
            (_, Some(points)) => writeln!(f, "  {:>20}", format!("{:+.2}", 100.0 * points)),
        }?;
    }
    Ok(())
}

fn percent(mean: Option<TaskMean>) -> String {
    let Some(TaskMean { accuracy, half_width, .. }) = mean else { return "-".to_owned() };
    match half_width {
        Some(half) => format!("{:.2} ± {:.2}", 100.0 * accuracy, 100.0 * half),
        None => format!("{:.2}", 100.0 * accuracy),
    }
}

/// Of the sets whose classes are known.
fn properties(f: &mut fmt::Formatter<'_>, cards: &[Card], width: usize) -> fmt::Result {
    if cards.iter().all(|card| card.classes.is_none()) {
        return Ok(());
    }
    write!(f, "\n{:<width$}  {:>10}  {:>8}  {:>8}", "set", "samples", "classes", "covered")?;
    writeln!(f, "  {:>6}  {:>6}  {:>9}  {:>5}", "LT@500", "LS@5%", "effective", "Gini")?;
    for (set, of) in cards.iter().filter_map(|card| Some((&card.set, card.classes.as_ref()?))) {
        let head = of.largest_share(HEAD).map_or("-".to_owned(), |share| format!("{share:.3}"));
        let (total, classes, covered) = (of.total(), of.counts().len(), of.coverage());
        let (tail, effective, gini) = (of.long_tail(LONG_TAIL), of.effective_classes(), of.gini());
        write!(f, "{set:<width$}  {total:>10}  {classes:>8}  {covered:>8}  {tail:>6}")?;
        writeln!(f, "  {head:>6}  {effective:>9.1}  {gini:>5.3}")?;
    }
    Ok(())
}
