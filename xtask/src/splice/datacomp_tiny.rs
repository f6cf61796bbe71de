//! Tables of the small DataComp experiment.

use std::path::Path;

use anyhow::Result;

use super::{
    fixed, list, read,
    select_tiny::{percent, points},
    text,
};

/// Strategies at both budgets.
pub(super) fn strategies(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/datacomp_tiny.json")?;
    let mut out = String::from(
        "| steps | strategy | pairs | zero-shot | mean of four tasks | against no filter |\n|---|---|---|---|---|---|\n",
    );
    for row in list(&report["arms"])? {
        let difference = match row["strategy"] == "no-filter" {
            true => "-".to_owned(),
            false => points(&row["difference"]),
        };
        out += &format!(
            "| {} | {} | {} | {} | {} | {difference} |\n",
            row["steps"],
            text(&row["name"]),
            fixed(&row["pairs"], 0),
            percent(&row["zero_shot"]["mean"]),
            percent(&row["average"]["mean"]),
        );
    }
    let [zero_shot, average] = [0, 1].map(|at| fixed(&report["rank_correlation"][at], 2));
    out += &format!(
        "\nRank correlation of the two budgets: {zero_shot} by zero-shot accuracy, {average} by the mean of the tasks.\n"
    );
    Ok(out)
}
