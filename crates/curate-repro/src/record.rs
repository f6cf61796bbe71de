//! Result files.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Writes what an experiment found to `docs/results/NAME.json` below `root`, `NAME` being the
/// experiment's `id` with `_` for `-`, together with the command that finds it again. Returns the
/// file.
///
/// # Errors
/// A report that is no object, and a file that cannot be written.
pub fn write(root: &Path, id: &str, report: &impl Serialize) -> Result<PathBuf> {
    let mut whole = json!({"command": format!("cargo xtask repro {id}")});
    let Value::Object(found) = serde_json::to_value(report)? else {
        anyhow::bail!("the report of {id} is no object");
    };
    whole.as_object_mut().context("an object")?.extend(found);
    let path = root.join(format!("docs/results/{}.json", id.replace('-', "_")));
    let text = serde_json::to_string_pretty(&whole)? + "\n";
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}
