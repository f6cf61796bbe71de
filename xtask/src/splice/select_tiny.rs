//! Tables of the small SELECT experiment.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{fixed, list, read, text};

fn result(root: &Path) -> Result<Value> {
    read(root, "docs/results/select_tiny.json")
}

/// A mean in per cent.
pub(super) fn percent(mean: &Value) -> String {
    mean.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}

/// A mean difference in points, and its interval.
pub(super) fn points(difference: &Value) -> String {
    let signed = |value: &Value| {
        value.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:+.1}", 100.0 * share))
    };
    let interval = &difference["interval"];
    format!(
        "{} ({} to {})",
        signed(&difference["mean"]),
        signed(&interval[0]),
        signed(&interval[1])
    )
}

/// Strategies by base accuracy, with what the expert's labels are ahead of them.
pub(super) fn leaderboard(root: &Path) -> Result<String> {
    let mut out = String::from(
        "| strategy | base | against expert | shifted | against expert | transfer | against expert |\n|---|---|---|---|---|---|---|\n",
    );
    for row in list(&result(root)?["strategies"])? {
        out += &format!("| {}", text(&row["name"]));
        for axis in ["base", "shifted", "transfer"] {
            let difference = match row["strategy"] == "expert" {
                true => "-".to_owned(),
                false => points(&row[format!("{axis}_difference")]),
            };
            out += &format!(" | {} | {difference}", percent(&row[axis]["mean"]));
        }
        out += " |\n";
    }
    Ok(out)
}

/// Accuracy by family of corruptions.
pub(super) fn families(root: &Path) -> Result<String> {
    let mut out =
        String::from("| strategy | noise | blur | weather | digital |\n|---|---|---|---|---|\n");
    for row in list(&result(root)?["strategies"])? {
        let cells: Vec<String> = list(&row["families"])?.iter().map(percent).collect();
        out += &format!("| {} | {} |\n", text(&row["name"]), cells.join(" | "));
    }
    Ok(out)
}

/// Properties of the sets, and below them how they rank the strategies.
pub(super) fn properties(root: &Path) -> Result<String> {
    let report = result(root)?;
    let correlations = list(&report["correlations"])?;
    let names: Vec<&str> = correlations.iter().map(|row| text(&row[0])).collect();
    let mut out = format!("| strategy | size | {} |\n", names.join(" | "));
    out += &format!("|---|---|{}\n", "---|".repeat(names.len()));
    for row in list(&report["strategies"])? {
        let cells: Vec<String> = list(&row["properties"])?.iter().map(|p| fixed(p, 3)).collect();
        let size = fixed(&row["size"], 0);
        out += &format!("| {} | {size} | {} |\n", text(&row["name"]), cells.join(" | "));
    }
    for (at, axis) in ["base", "shifted", "transfer"].into_iter().enumerate() {
        let cells: Vec<String> = correlations.iter().map(|row| fixed(&row[1][at], 2)).collect();
        out += &format!("| rank correlation with {axis} accuracy | | {} |\n", cells.join(" | "));
    }
    Ok(out)
}

/// Choices of source classes, share by share.
pub(super) fn transfer(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/dp4tl_tiny.json")?;
    let mut out = String::from(
        "| classes pruned | choice | pictures kept | without votes | accuracy | against everything | against random |\n|---|---|---|---|---|---|---|\n",
    );
    for row in list(&report["arms"])? {
        let difference = match row["arm"] == "everything" {
            true => "-".to_owned(),
            false => points(&row["difference"]),
        };
        let over_random = match row["over_random"].is_null() {
            true => "-".to_owned(),
            false => points(&row["over_random"]),
        };
        out += &format!(
            "| {} % | {} | {} % | {} | {} | {difference} | {over_random} |\n",
            row["pruned"].as_f64().map_or(0.0, |share| 100.0 * share),
            text(&row["name"]),
            percent(&row["rows"]),
            fixed(&row["arbitrary"], 1),
            percent(&row["accuracy"]["mean"]),
        );
    }
    Ok(out)
}

/// Controls of concept pruning, share by share.
pub(super) fn concepts(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/dbp_tiny.json")?;
    let mut out =
        String::from("| kept | choice | accuracy | against everything |\n|---|---|---|---|\n");
    for row in list(&report["arms"])? {
        let difference = match row["arm"] == "everything" {
            true => "-".to_owned(),
            false => points(&row["difference"]),
        };
        out += &format!(
            "| {} % | {} | {} | {difference} |\n",
            row["kept"].as_f64().map_or(0.0, |share| 100.0 * share),
            text(&row["name"]),
            percent(&row["accuracy"]["mean"]),
        );
    }
    Ok(out)
}
