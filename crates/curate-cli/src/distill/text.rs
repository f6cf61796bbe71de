//! What `curate distill` prints for people.

use std::{fmt, path::Path};

use curate::eval::{
    compare::{Mean, Model},
    distill::study::{Studied, StudyReport},
};

use crate::eval::text::{left_out, range};

/// What students learned.
pub(super) struct Taught<'a> {
    pub(super) report: &'a StudyReport,
    pub(super) out: &'a Path,
}

impl fmt::Display for Taught<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        left_out(f, &report.left_out)?;
        if let Some(teacher) = &report.teacher {
            let size = match teacher.model {
                Model::Linear => "a linear model".to_owned(),
                Model::Cnn => format!("convolutions from {} channels", teacher.hidden),
                _ => format!("a hidden layer of {}", teacher.hidden),
            };
            let right = percent(teacher.test.score);
            writeln!(f, "teacher: {size}, trained on {} rows: {right} % right", teacher.rows)?;
        }
        table(f, report)?;
        for studied in &report.selections {
            said(f, studied)?;
        }
        let out = self.out.display();
        writeln!(
            f,
            "\nwrote {out}/result.json; the teacher's soft labels are in {out}/soft.parquet"
        )
    }
}

fn table(f: &mut fmt::Formatter<'_>, report: &StudyReport) -> fmt::Result {
    let names = report.selections.iter().map(|studied| studied.name.chars().count());
    let width = names.max().unwrap_or(0).max("selection".len());
    let level = format!("{:.0} % interval", 100.0 * report.level);
    writeln!(
        f,
        "\n% right; * marks the alpha that is best on the rows held out to choose it\n\
         {:<width$}  {:>9}  {:>6}  {:>9}  {:>6}  {level:<14}  better than labels alone by",
        "selection", "unique", "alpha", "chosen on", "test"
    )?;
    for studied in &report.selections {
        for of in &studied.alphas {
            let mark = if of.alpha == studied.chosen.alpha { "*" } else { " " };
            writeln!(
                f,
                "{:<width$}  {:>9}  {:>5}{mark}  {:>9}  {:>6}  {:<14}  {}",
                studied.name,
                studied.unique,
                of.alpha,
                percent(of.chosen_on),
                percent(of.test.mean),
                range(&of.test),
                of.gain.as_ref().map_or_else(|| "-".to_owned(), points),
            )?;
        }
    }
    Ok(())
}

/// What stands beside a selection.
fn said(f: &mut fmt::Formatter<'_>, studied: &Studied) -> fmt::Result {
    let chosen = &studied.chosen;
    let (Some(control), Some(taught), Some(labels)) =
        (&studied.control, &chosen.over_random, &chosen.over_random_by_labels)
    else {
        return Ok(());
    };
    writeln!(
        f,
        "\n{} over {control}: {} with each one's alpha, {} with labels alone",
        studied.name,
        points(taught),
        points(labels),
    )
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// A difference in points, and whether it is more than noise.
fn points(difference: &Mean) -> String {
    let by = percent(difference.mean);
    match difference.interval {
        None => format!("{by} (one seed: cannot tell)"),
        Some([low, high]) => {
            let said = if difference.settled() { "" } else { ": cannot tell" };
            format!("{by} ({} to {}{said})", percent(low), percent(high))
        }
    }
}
