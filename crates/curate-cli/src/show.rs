//! What the program prints on its output stream.

use std::{
    fmt,
    io::{ErrorKind, Write as _},
    path::Path,
};

use curate::{
    io::IoError,
    pipeline::{
        Error, Recipe, RunSummary,
        reselect::{Rerun as Again, Reselection},
    },
};
use serde_json::to_string_pretty;

use crate::plain::{plain, plain_json};

/// Notes on a pool that are printed; a manifest has them all.
pub(crate) const MOST_NOTES: usize = 5;

/// Another cut of one stage, for people.
pub(crate) struct Cut<'a>(pub(crate) &'a Reselection);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reselection { stage, given, kept, threshold_text, .. } = self.0;
        let share = 100.0 * kept.len() as f64 / (*given).max(1) as f64;
        let at = threshold_text.as_ref().map(|t| format!(", threshold {t}")).unwrap_or_default();
        writeln!(f, "stage {stage}: {} of {given} rows ({share:.1} %){at}", kept.len())
    }
}

/// Another cut of one stage and what the stages after it leave, for people.
pub(crate) struct Rerun<'a>(pub(crate) &'a Again);

impl fmt::Display for Rerun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Again { cut, later, kept, before, lost, gained, .. } = self.0;
        write!(f, "{}", Cut(cut))?;
        for (stage, given, left) in later {
            writeln!(f, "stage {stage}, computed again: {given} -> {left} rows")?;
        }
        let (gone, new) = (lost.values().sum::<usize>(), gained.values().sum::<usize>());
        writeln!(f, "kept {} rows; the run kept {before}: {gone} lost, {new} gained", kept.len())?;
        for (what, counts) in [("lost to", lost), ("gained from", gained)] {
            for (stage, rows) in counts {
                writeln!(f, "  {rows} {what} {stage}")?;
            }
        }
        Ok(())
    }
}

/// What a run did, for people.
pub(crate) struct Summary<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) summary: &'a RunSummary,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipe, summary } = self;
        let share = 100.0 * summary.kept as f64 / summary.rows.max(1) as f64;
        writeln!(
            f,
            "{}: {} of {} rows kept ({share:.1} %)",
            recipe.name, summary.kept, summary.rows
        )?;
        let usable = summary.rows - summary.quarantined;
        writeln!(f, "  {:<12} {:>9} -> {:>9}", "pool", summary.rows, usable)?;
        for stage in &summary.stages {
            let reused = summary.reused.contains(&stage.name);
            let time = if reused { "read".to_owned() } else { format!("{:.1} s", stage.seconds) };
            write!(
                f,
                "  {:<12} {:>9} -> {:>9}   {time:>7}",
                stage.name, stage.rows_in, stage.rows_out
            )?;
            let reasons: Vec<_> =
                stage.removed.iter().map(|(rule, n)| format!("{n} {rule}")).collect();
            writeln!(f, "   {}", reasons.join(", "))?;
        }
        for note in summary.notes.iter().take(MOST_NOTES) {
            writeln!(f, "note: {note}")?;
        }
        if summary.notes.len() > MOST_NOTES {
            writeln!(f, "note: {} more are in the manifest", summary.notes.len() - MOST_NOTES)?;
        }
        writeln!(f, "files:")?;
        for file in &summary.files {
            writeln!(f, "  {}", file.display())?;
        }
        Ok(())
    }
}

/// What to do after the demonstration.
pub(crate) struct NextSteps<'a> {
    pub(crate) run: &'a Path,
    pub(crate) kept: usize,
}

impl fmt::Display for NextSteps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.run.display();
        writeln!(
            f,
            "\nopen {run}/report.html in a browser to see what stayed, what went, and why"
        )?;
        writeln!(f, "{run}/subset.npy holds the {} ids for DataComp's resharder", self.kept)?;
        writeln!(f, "try next:")?;
        writeln!(f, "  curate select {run} --stage dedup --epsilon 0.2")?;
        writeln!(f, "  curate explain {run} ID      (an id from evidence.parquet)")
    }
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Error> {
    let json = to_string_pretty(value).expect("what the program shows is JSON") + "\n";
    print(&plain_json(&json))
}

/// Prints a text, with names as a terminal may show them. A reader that has seen enough, as `head` has, is no error.
pub(crate) fn text(text: impl fmt::Display) -> Result<(), Error> {
    print(&plain(&text.to_string()))
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(IoError::os("the output", "written", e).into())
        }
        _ => Ok(()),
    }
}
