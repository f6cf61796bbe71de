//! Distillation on pruned data.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use serde_json::Value;

use super::{fixed, list, read, text};

fn report(root: &Path) -> Result<Value> {
    read(root, "docs/results/kd_pruning.json")
}

/// A row of a table: what its cells have in common, and those by rising alpha.
type Rows = BTreeMap<usize, (String, Vec<(f64, f64)>)>;

fn mean(values: &Value) -> f64 {
    let values: Vec<f64> =
        values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Accuracies of rows, with the alpha that is chosen in bold.
fn table(head: &str, report: &Value, rows: &Rows) -> Result<String> {
    let alphas = list(&report["protocol"]["alphas"])?;
    let names: Vec<String> = alphas.iter().map(Value::to_string).collect();
    let mut out = format!("| {head} | {} |\n", names.join(" | "));
    out += &format!("|{}\n", "---|".repeat(head.split('|').count() + names.len()));
    for (name, cells) in rows.values() {
        let mut best = 0;
        for (at, cell) in cells.iter().enumerate() {
            if cell.0 > cells[best].0 {
                best = at;
            }
        }
        let shown = cells.iter().enumerate().map(|(at, (_, test))| match at == best {
            true => format!("**{:.1}**", 100.0 * test),
            false => format!("{:.1}", 100.0 * test),
        });
        out += &format!("| {name} | {} |\n", shown.collect::<Vec<_>>().join(" | "));
    }
    Ok(out)
}

fn rows(
    report: &Value,
    of: impl Fn(&Value) -> bool,
    name: impl Fn(&Value) -> String,
) -> Result<Rows> {
    let mut rows = Rows::new();
    let mut at = BTreeMap::new();
    for cell in list(&report["cells"])?.iter().filter(|cell| of(cell)) {
        let name = name(cell);
        let next = at.len();
        let place = *at.entry(name.clone()).or_insert(next);
        let found = (mean(&cell["chosen_on"]), mean(&cell["test"]));
        rows.entry(place).or_insert((name, vec![])).1.push(found);
    }
    Ok(rows)
}

fn percent(share: &Value) -> String {
    format!("{:.0} %", 100.0 * share.as_f64().unwrap_or(f64::NAN))
}

/// Students of a teacher of their own size.
pub(super) fn students(root: &Path) -> Result<String> {
    let report = report(root)?;
    let own = &report["protocol"]["student"];
    let name = |cell: &Value| {
        let pruning = match text(&cell["pruning"]) {
            "el2n" => "highest EL2N",
            "margin" => "lowest margin",
            other => other,
        };
        format!("{} | {pruning} | {}", percent(&cell["wrong"]), percent(&cell["share"]))
    };
    let rows = rows(&report, |cell| cell["teacher"] == *own, name)?;
    table("wrong labels | kept | share", &report, &rows)
}

/// Teachers of several sizes, random rows and right labels.
pub(super) fn teachers(root: &Path) -> Result<String> {
    let report = report(root)?;
    let of = |cell: &Value| cell["wrong"] == 0.0 && text(&cell["pruning"]) == "random";
    let name = |cell: &Value| {
        let own = 100.0 * mean(&cell["teacher_test"]);
        format!("{} | {own:.1} | {}", cell["teacher"], percent(&cell["share"]))
    };
    let rows = rows(&report, of, name)?;
    table("teacher's layer | its accuracy | share", &report, &rows)
}

/// The linear theory.
pub(super) fn theory(root: &Path) -> Result<String> {
    let report = report(root)?;
    let head = "| alpha | the teacher saw | expected error, 50 designs | one design, closed form | the same, simulated |\n|---|---|---|---|---|\n";
    let mut out = String::from(head);
    for point in list(&report["theory"]["points"])? {
        out += &format!(
            "| {} | {} | {} | {} | {} ± {} |\n",
            point["alpha"],
            percent(&point["seen"]),
            fixed(&point["error"], 3),
            fixed(&point["exact"], 4),
            fixed(&point["simulated"], 4),
            fixed(&point["standard_error"], 4),
        );
    }
    Ok(out)
}
