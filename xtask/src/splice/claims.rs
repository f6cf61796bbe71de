//! Claims of the papers, as the result files of `cargo xtask repro` have them.

use std::{fs, path::Path};

use anyhow::Result;
use serde_json::Value;

use super::{list, read, significant, text};

/// Names of the claims that a result file says are missed.
pub(crate) fn missed_claims(path: &Path) -> Result<Vec<String>> {
    let report: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let missed = list(&report["claims"])?.iter().filter(|claim| claim["passed"] != true);
    Ok(missed.map(|claim| text(&claim["name"]).to_owned()).collect())
}

/// The claims of an experiment, `name` being its result file's: those of coverage have a table of
/// their own. Then what is out of reach, with the reason.
pub(super) fn claims(root: &Path, name: &str) -> Result<String> {
    let report = read(root, &format!("docs/results/{name}.json"))?;
    let claims = list(&report["claims"])?;
    let quoted = claims.iter().any(|claim| claim["quoted"].is_string());
    let paper = if quoted { " the paper says |" } else { "" };
    let mut out = format!("| claim |{paper} kind | bar | measured | met |\n|---|---|---|---|---|");
    out += if quoted { "---|\n" } else { "\n" };
    for claim in claims.iter().filter(|claim| claim["kind"] != "coverage") {
        let (expected, tolerance) =
            (significant(&claim["expected"]), significant(&claim["tolerance"]));
        let bar = match text(&claim["bar"]) {
            "at_most" => format!("at most {expected}"),
            "at_least" => format!("at least {expected}"),
            _ if tolerance == "0" => format!("exactly {expected}"),
            _ => format!("{expected} within {tolerance}"),
        };
        let met = if claim["passed"] == true { "yes" } else { "**no**" };
        let kind = text(&claim["kind"]).replace('_', " ");
        let paper = if quoted { format!(" {} |", text(&claim["quoted"])) } else { String::new() };
        let (name, measured) = (text(&claim["name"]), significant(&claim["measured"]));
        out += &format!("| {name} |{paper} {kind} | {bar} | {measured} | {met} |\n");
    }
    if let Some(others) = report["out_of_reach"].as_array().filter(|others| !others.is_empty()) {
        out += "\nNot looked at:\n\n";
        for other in others {
            out += &format!("- {}: {}\n", text(&other["quoted"]), text(&other["why"]));
        }
    }
    Ok(out)
}
