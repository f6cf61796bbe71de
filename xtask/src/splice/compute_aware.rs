//! Tables of the experiment on pools and budgets.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{list, read, text};

/// Those on pictures, and the one on image-text pairs.
fn studies(root: &Path) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for file in ["compute_aware", "compute_aware_demo"] {
        let report = read(root, &format!("docs/results/{file}.json"))?;
        all.extend(list(&report["studies"])?.iter().cloned());
    }
    Ok(all)
}

/// The studies as a law of one design judged them.
fn of<'a>(all: &'a [Value], design: &str) -> Vec<&'a Value> {
    all.iter().filter(|study| text(&study["design"]) == design).collect()
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().context("a number; run the experiment again")
}

/// Errors of the candidates at each budget, with the best and the law's choices marked.
pub(super) fn choices(root: &Path) -> Result<String> {
    let all = studies(root)?;
    let head = ["best bucket", "best two", "best three", "everything"].join(" | ");
    let mut out = format!("| study | budget | {head} |\n|---|---|---|---|---|---|\n");
    for (first, second) in of(&all, "repeats").into_iter().zip(of(&all, "fresh")) {
        let names = list(&first["candidates"])?;
        for (a, b) in list(&first["choices"])?.iter().zip(list(&second["choices"])?) {
            write!(out, "| {} | {} times |", text(&first["study"]), number(&a["times"])?)?;
            for (name, error) in names.iter().zip(list(&a["errors"])?) {
                let error = format!("{:.2}", 100.0 * number(error)?);
                let error = if *name == a["measured"] { format!("**{error}**") } else { error };
                let first = if *name == a["law"] { " \\*" } else { "" };
                let second = if *name == b["law"] { " †" } else { "" };
                write!(out, " {error}{first}{second} |")?;
            }
            out.push('\n');
        }
    }
    Ok(out)
}

/// What the law's choices cost, and those of the rules beside it.
pub(super) fn regret(root: &Path) -> Result<String> {
    let all = studies(root)?;
    let (first, second) = (of(&all, "repeats"), of(&all, "fresh"));
    let mut out = String::from("| chosen by |");
    for study in &first {
        write!(out, " {} |", text(&study["study"]))?;
    }
    writeln!(out, " mean |\n|---|{}---|", "---|".repeat(first.len()))?;
    let law: fn(&Value) -> &Value = |study| &study["law"];
    let alone: fn(&Value) -> &Value = |study| &study["law_of_one_seed"];
    let fixed: [fn(&Value) -> &Value; 3] =
        [|s| &s["baselines"][0], |s| &s["baselines"][1], |s| &s["baselines"][2]];
    for (name, of, worth) in [
        ("the law, runs of 1 to 4 times", &first, law),
        ("the law, runs of 1/4 to 4 times", &second, law),
        ("the law, the same of one seed only", &second, alone),
        ("always the best bucket", &first, fixed[0]),
        ("always everything", &first, fixed[1]),
        ("the best of the largest small runs", &first, fixed[2]),
    ] {
        let (mut sum, mut right) = (0.0, 0.0);
        write!(out, "| {name} |")?;
        for study in of {
            let worth = worth(study);
            let (lost, hit) = (number(&worth["regret"])?, number(&worth["right"])?);
            (sum, right) = (sum + lost, right + hit);
            write!(out, " {lost:.2} ({:.0} %) |", 100.0 * hit)?;
        }
        let n = of.len() as f64;
        writeln!(out, " {:.2} ({:.0} %) |", sum / n, 100.0 * right / n)?;
    }
    Ok(out)
}
