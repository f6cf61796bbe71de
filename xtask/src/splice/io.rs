//! Tables of `benches/io`.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{fixed, read, text};

fn report(root: &Path) -> Result<Value> {
    read(root, "benches/io/results.json")
}

/// Rows of seconds, their ratio and its bar.
struct Speed<'a> {
    report: &'a Value,
    rows: String,
}

impl Speed<'_> {
    fn row(&mut self, name: &str, part: &str, [theirs, ours]: [&Value; 2], ratio: &str) {
        let ratios = &self.report["parts"][part]["ratios"];
        let bar = &self.report["bars"][format!("{part}.{ratio}")];
        let cells = [fixed(theirs, 2), fixed(ours, 2), fixed(&ratios[ratio], 1), fixed(bar, 0)];
        self.rows += &format!("| {name} | {} |\n", cells.join(" | "));
    }
}

/// Where the time of a run goes.
pub(super) fn runs(root: &Path) -> Result<String> {
    let report = report(root)?;
    let part = &report["parts"]["runs"];
    let (case, seconds) = (&part["case"], &part["seconds"]);
    let mut table = format!("| a run of {} rows | s |\n|---|---|\n", case["rows"]);
    for piece in part["parts"].as_array().into_iter().flatten() {
        table += &format!("| {} | {} |\n", text(&piece["what"]), fixed(&piece["seconds"], 2));
    }
    Ok(table
        + &format!(
            "| all | {} |\n\nThe pool has {} MiB, which are read once in {} s from the system's cache; the run writes {} \
             MiB and holds {} MiB at its peak ({} threads, {}).\n",
            fixed(&seconds["ours"], 2),
            fixed(&case["read_mib"], 0),
            fixed(&seconds["read"], 2),
            fixed(&case["written_mib"], 0),
            fixed(&part["peak_mib"]["ours"], 0),
            case["threads"],
            text(&part["machine"]["processor"]),
        ))
}

/// Seconds of reading, filtering and resharding beside the peers'.
pub(super) fn speed(root: &Path) -> Result<String> {
    let report = report(root)?;
    let seconds = |part: &str| &report["parts"][part]["seconds"];
    let head = "| | theirs, s | ours, s | theirs over ours | bar |\n|---|---|---|---|---|\n";
    let mut table = Speed { report: &report, rows: head.to_owned() };
    let clip = seconds("clip_score");
    for (name, side) in [
        ("`clip_score`, best 30 % of 5 million rows: pandas as DataComp's script", "pandas"),
        ("the same: pandas and array arithmetic", "pandas_vectorised"),
        ("the same: DuckDB", "duckdb"),
        ("the same: polars", "polars"),
    ] {
        let ratio = format!("{side}_over_ours");
        table.row(name, "clip_score", [&clip[side], &clip["ours"]], &ratio);
    }
    for (name, kind) in [
        ("200,000 x 512 float16 in an npz file to f32, stored, 1 thread: numpy", "stored"),
        ("the same, deflated", "deflated"),
    ] {
        let pair = &seconds("npz")[kind];
        let ratio = format!("{kind}_numpy_over_ours");
        table.row(name, "npz", [&pair["numpy"], &pair["ours"]], &ratio);
    }
    for (name, case) in [
        ("50,000 samples of 4 KB into new shards: webdataset", "all_4_kb"),
        ("20,000 copies of 15,000 of them: webdataset", "some_4_kb"),
        ("50,000 samples of 35 KB: webdataset", "all_35_kb"),
    ] {
        let pair = &seconds("reshard")[case];
        let ratio = format!("{case}_webdataset_over_ours");
        table.row(name, "reshard", [&pair["webdataset"], &pair["ours"]], &ratio);
    }
    let clip = &report["parts"]["clip_score"];
    let peak = |side: &str| fixed(&clip["peak_mib"][side], 0);
    let machine = text(&clip["machine"]["processor"]);
    Ok(table.rows
        + &format!(
            "\n`clip_score` took {} MiB of memory at its peak, pandas {}, DuckDB {} and polars {}; with a fifth of the \
             rows ours took {} and pandas {}. 2 threads each ({machine}).\n",
            peak("ours"),
            peak("pandas"),
            peak("duckdb"),
            peak("polars"),
            peak("ours_a_fifth"),
            peak("pandas_a_fifth"),
        ))
}
