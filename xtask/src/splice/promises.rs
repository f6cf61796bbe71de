//! Tables of the page on what is promised: faults that were tried, and memory.

use std::path::Path;

use anyhow::{Context, Result};

use super::{fixed, read};

/// How often each fault was tried.
pub(super) fn torture(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/torture.json")?;
    let counts = report["counts"].as_object().context("docs/results/torture.json has no counts")?;
    let mut rows = String::from("| fault | times |\n|---|---|\n");
    for (fault, times) in counts {
        rows += &format!("| {fault} | {times} |\n");
    }
    Ok(rows + &format!("\n{} minutes, seed {}.\n", report["minutes"], report["seed"]))
}

/// Peak memory of runs beside what `--dry-run` promised.
pub(super) fn memory(root: &Path) -> Result<String> {
    let report = read(root, "benches/memory/results.json")?;
    let parts = report["parts"].as_object().context("benches/memory/results.json has no parts")?;
    let mut parts: Vec<_> = parts.iter().collect();
    parts.sort_by_key(|(name, part)| (name.starts_with("concepts"), part["rows"].as_u64()));
    let mut rows = String::from(
        "| recipe | rows | peak, MiB | promised, MiB | bytes a row |\n|---|---|---|---|---|\n",
    );
    let mib =
        |value: &serde_json::Value| value.as_f64().map_or(0.0, |bytes| bytes / f64::from(1 << 20));
    for (name, part) in parts {
        let recipe = name.split('_').next().unwrap_or(name);
        rows += &format!(
            "| {recipe}, {} stages | {} | {:.0} | {:.0} | {} |\n",
            part["stages"],
            part["rows"],
            mib(&part["peak"]),
            mib(&part["promised"]),
            fixed(&part["bytes_a_row"], 0),
        );
    }
    Ok(rows)
}
