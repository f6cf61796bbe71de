//! Tables of `curate eval`.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{fixed, read};

/// The rankings of the demonstration: the report that the chapter's command writes, without its runs.
pub(super) fn demo(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/eval_demo.json")?;
    let rankings = report["rankings"].as_array().context("rankings")?;
    let mut out =
        "| samples seen | selection | rows | epochs | right (%) | 95 % interval | behind the best \
                   |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for ranking in rankings {
        for one in ranking["selections"].as_array().context("selections")? {
            let behind = match &one["behind"] {
                Value::Null => "-".to_owned(),
                behind => {
                    let (low, high) = interval(behind, -100.0)?;
                    let by = -100.0 * behind["mean"].as_f64().context("mean")?;
                    let said = if low < 0.0 && high > 0.0 { ": cannot tell" } else { "" };
                    format!("{by:.2} ({low:.2} to {high:.2}){said}")
                }
            };
            let (low, high) = interval(&one["score"], 100.0)?;
            let mean = 100.0 * one["score"]["mean"].as_f64().context("mean")?;
            writeln!(
                out,
                "| {} | {} | {} | {} | {mean:.2} | {low:.2} to {high:.2} | {behind} |",
                ranking["samples"],
                one["name"].as_str().context("name")?,
                one["unique"],
                fixed(&one["epochs"], 1),
            )?;
        }
    }
    Ok(out)
}

/// A step of each trainer beside the same step in PyTorch.
pub(super) fn speed(root: &Path) -> Result<String> {
    let report = read(root, "benches/eval/results.json")?;
    let mut out = "| model | ms a step | PyTorch's time over ours |\n|---|---|---|\n".to_owned();
    for model in ["projections", "mlp", "cnn"] {
        let part = &report["parts"][model];
        let seconds = part["seconds"]["ours"].as_f64().context("seconds")?;
        let ratio = fixed(&part["ratios"]["torch_over_ours"], 2);
        writeln!(out, "| `{model}` | {:.1} | {ratio} |", 1e3 * seconds)?;
    }
    Ok(out)
}

fn interval(mean: &Value, scale: f64) -> Result<(f64, f64)> {
    let of = |at: usize| mean["interval"][at].as_f64().context("interval");
    let (a, b) = (scale * of(0)?, scale * of(1)?);
    Ok((a.min(b), a.max(b)))
}
