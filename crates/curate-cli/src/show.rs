//! What the program prints on its output stream.

use std::{
    fmt,
    io::{ErrorKind, Write},
    path::Path,
};

use curate::{
    io::IoError,
    pipeline::{Error, Recipe, RunSummary},
};
use serde_json::to_string_pretty;

/// Notes on a pool that are printed; a manifest has them all.
pub(crate) const MOST_NOTES: usize = 5;

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
    text(to_string_pretty(value).expect("what the program shows is JSON") + "\n")
}

/// Prints a text. A reader that has seen enough, as `head` has, is no error.
pub(crate) fn text(text: impl fmt::Display) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(IoError::os("the output", "written", e).into())
        }
        _ => Ok(()),
    }
}
