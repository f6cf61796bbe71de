//! `curate eval card`: results from elsewhere, beside what the sets are like.

use std::{fmt, path::Path};

use curate::{
    io::{IoError, Kind, files::read_text},
    select::card::{Axis, Card, Coverage, Line, Scorecard, TaskMean},
};

use crate::{eval::args::CardArgs, failure::Failure, show};

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
    // Editors on Windows begin a file with a mark.
    let text = text.trim_start_matches('\u{feff}');
    let full = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let read = |(line, number): (&str, usize)| {
        // A list would be read as fields in their order.
        if !line.trim_start().starts_with('{') {
            return Err(malformed(path, &format!("line {number}: is no JSON object")));
        }
        serde_json::from_str(line).map_err(|error| {
            // A line is a file of its own to the parser.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            malformed(path, &format!("line {number}: {said}"))
        })
    };
    let lines: Vec<Line> = full.map(read).collect::<Result<_, _>>()?;
    if lines.is_empty() {
        let remedy = "write a JSON object per test";
        return Err(IoError::new(Kind::Malformed, path, "has no line", remedy));
    }
    Ok(lines)
}

fn malformed(path: &Path, problem: &str) -> IoError {
    let remedy = r#"write {"set": ..., "axis": ..., "task": ..., "accuracy": ...} or {"set": ..., "counts": [...]}"#;
    IoError::new(Kind::Malformed, path, problem, remedy)
}

struct Text<'a>(&'a Scorecard);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scorecard { cards, line, no_line, left_out, alike } = self.0;
        let width = cards.iter().map(|card| card.set.chars().count()).max().unwrap_or(0).max(3);
        accuracies(f, self.0, width)?;
        if let Some(line) = line {
            let sets = line.references.join(", ");
            writeln!(f, "effective robustness: points above the line through {sets}")?;
        }
        if let Some(reason) = no_line {
            writeln!(f, "note: no effective robustness: {reason}")?;
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
            (_, Some(points)) => writeln!(f, "  {:>20}", format!("{:+.2}", hundredths(points))),
        }?;
    }
    Ok(())
}

fn percent(mean: Option<TaskMean>) -> String {
    let Some(TaskMean { accuracy, half_width, .. }) = mean else { return "-".to_owned() };
    match half_width {
        Some(half) => format!("{:.2} ± {:.2}", hundredths(accuracy), 100.0 * half),
        None => format!("{:.2}", hundredths(accuracy)),
    }
}

/// A share in percent, without the sign of a zero.
fn hundredths(share: f64) -> f64 {
    (1e4 * share).round() / 100.0 + 0.0
}

/// Of the sets whose classes are known.
fn properties(f: &mut fmt::Formatter<'_>, cards: &[Card], width: usize) -> fmt::Result {
    if cards.iter().all(|card| card.classes.is_none()) {
        return Ok(());
    }
    write!(f, "\n{:<width$}  {:>10}  {:>8}  {:>8}", "set", "samples", "classes", "covered")?;
    writeln!(f, "  {:>6}  {:>6}  {:>9}  {:>5}", "LT@500", "LS@5%", "effective", "Gini")?;
    for (set, of) in cards.iter().filter_map(|card| Some((&card.set, card.classes?))) {
        let Coverage { samples, classes, covered, long_tail, effective_classes, gini, .. } = of;
        let largest = of.largest_share.map_or("-".to_owned(), |share| format!("{share:.3}"));
        write!(f, "{set:<width$}  {samples:>10}  {classes:>8}  {covered:>8}  {long_tail:>6}")?;
        writeln!(f, "  {largest:>6}  {effective_classes:>9.1}  {gini:>5.3}")?;
    }
    Ok(())
}
