//! Tables of the page on runs in tasks.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{fixed, read, text};

const RESULTS: &str = "benches/tasks/results.json";

fn part(root: &Path, name: &str) -> Result<Value> {
    Ok(read(root, RESULTS)?["parts"][name].take())
}

/// A run in tasks beside one process.
pub(super) fn overhead(root: &Path) -> Result<String> {
    let part = part(root, "overhead")?;
    let Some(cases) = part["cases"].as_object() else {
        return Ok("Not recorded yet: the machine was not quiet.\n".to_owned());
    };
    let one = cases.get("one process").and_then(|case| case["cpu_seconds"].as_f64());
    let one = one.context("benches/tasks/results.json does not time one process")?;
    let mut rows = format!(
        "{} rows, 2 threads:\n\n| | seconds | CPU seconds | CPU, times one process |\n|---|---|---|---|\n",
        part["rows"]
    );
    for name in ["one process", "1 task", "7 tasks", "64 tasks"] {
        let case = &cases[name];
        let times = case["cpu_seconds"].as_f64().map_or(0.0, |cpu| cpu / one);
        let (seconds, cpu) = (fixed(&case["seconds"], 1), fixed(&case["cpu_seconds"], 1));
        rows += &format!("| {name} | {seconds} | {cpu} | {times:.2} |\n");
    }
    Ok(rows)
}

/// Large runs in little memory.
pub(super) fn soak(root: &Path) -> Result<String> {
    let part = part(root, "soak")?;
    let sizes = part["sizes"].as_object().context("benches/tasks/results.json has no soak")?;
    let mut sizes: Vec<_> = sizes.iter().collect();
    sizes.sort_by_key(|(rows, _)| rows.parse::<u64>().unwrap_or(0));
    let mut rows = format!(
        "| rows | seconds | peak, MiB | ended under {} MiB of address space |\n|---|---|---|---|\n",
        part["limit_mib"]
    );
    for (size, found) in sizes {
        let ended = if found["ended"] == true { "yes" } else { "no" };
        let seconds = fixed(&found["seconds"], 0);
        rows += &format!("| {size} | {seconds} | {} | {ended} |\n", found["peak_mib"]);
    }
    Ok(rows)
}

/// What the model says of runs that were measured.
pub(super) fn model(root: &Path) -> Result<String> {
    let part = part(root, "model")?;
    let sizes = part["sizes"].as_object().context("benches/tasks/results.json has no model")?;
    let size_of = |name: &str| name.parse::<u64>().unwrap_or(0);
    let (rows, size) = sizes.iter().max_by_key(|(name, _)| size_of(name)).context("no size")?;
    let mut table =
        String::from("| step | tasks | measured, s | modelled, s |\n|---|---|---|---|\n");
    for step in size["steps"].as_array().context("a size without steps")? {
        let (measured, modelled) = (fixed(&step["measured"], 1), fixed(&step["modelled"], 1));
        let (name, tasks) = (text(&step["step"]), &step["tasks"]);
        table += &format!("| {name} | {tasks} | {measured} | {modelled} |\n");
    }
    let (rates, ratios) = (&part["rates"], &part["ratios"]);
    let millions = |rate: &str| rates[rate].as_f64().unwrap_or(f64::NAN) / 1e6;
    table += &format!(
        "| all | | {} | {} |\n\n{rows} rows, {} tasks a step, a process each. Measured for the model in the same \
         run, on half as many rows: {} s to start, {:.1} million rows a second opened, {:.1} million put together by a stage and {:.2} \
         million finished; {} GFLOP/s a core of {}, {} GB/s from its cache. {} tasks took longer than their plan estimates.\n",
        fixed(&size["measured"], 1),
        fixed(&size["modelled"], 1),
        part["tasks_a_step"],
        rates["seconds_to_start_a_task"],
        millions("rows_opened_a_second"),
        millions("rows_put_together_a_second"),
        millions("rows_finished_a_second"),
        rates["gflops_a_core"],
        rates["cores"],
        rates["gb_per_second"],
        ratios["tasks_beyond_their_estimate_below"],
    );
    Ok(table)
}

/// Larger runs than can be measured here, by a model.
pub(super) fn simulated(root: &Path) -> Result<String> {
    let report = read(root, "benches/tasks/simulation.json")?;
    let sizes = report["sizes"].as_array().context("simulation.json has no sizes")?;
    let mut rows = String::from(
        "| pairs | machines | tasks | hours | machine hours | dollars | waiting, % | lost, % | \
         GiB for ids and sets |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for size in sizes {
        rows += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            size["rows"],
            size["machines"],
            size["tasks"],
            fixed(&size["hours"], 1),
            fixed(&size["machine_hours"], 1),
            fixed(&size["dollars"], 0),
            fixed(&size["waiting_percent"], 0),
            fixed(&size["lost_percent"], 1),
            fixed(&size["memory_gib"], 0),
        );
    }
    let model = &report["model"];
    Ok(rows
        + &format!(
            "\nA machine: {} cores of {} GFLOP/s, {} GB/s from storage, {} dollars an hour. {} % of \
             tasks take {} times as long, {} % are lost half way.\n",
            model["cores"],
            model["gflops_a_core"],
            model["gb_per_second"],
            model["dollars_an_hour"],
            fixed(&Value::from(100.0 * model["stragglers"].as_f64().unwrap_or(0.0)), 0),
            fixed(&model["straggler_factor"], 0),
            fixed(&Value::from(100.0 * model["failures"].as_f64().unwrap_or(0.0)), 0),
        ))
}
