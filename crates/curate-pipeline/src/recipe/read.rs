//! From a TOML file to a recipe, or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use curate_io::url::is_url;

use super::{Recipe, Stage, check};
use crate::Error;

impl Recipe {
    /// Reads and checks a recipe file. A relative pool path starts at the recipe's folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, naming stage and field.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = curate_io::files::read_text(path)?;
        let mut recipe = Self::parse(&text)
            .map_err(|problems| Error::Recipe { path: path.to_owned(), problems })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        if !is_url(&recipe.pool.path) {
            recipe.pool.path = anchored(&recipe.pool.path, folder)?;
        }
        if let Some(embeddings) = &mut recipe.pool.embeddings {
            *embeddings = absolute(&folder.join(&*embeddings))?;
        }
        let folder = absolute(folder)?;
        recipe.stages.iter_mut().for_each(|stage| stage.anchor(&folder));
        Ok(recipe)
    }

    /// Parses and checks a recipe.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut table: toml::Table =
            toml::from_str(text).map_err(|e| vec![e.to_string().trim_end().to_owned()])?;
        // Stages are read one by one, so that an error names its stage.
        let written = match table.remove("stage") {
            Some(toml::Value::Array(stages)) => stages,
            Some(_) => {
                return Err(vec![
                    "`stage` is not a list: write each stage under `[[stage]]`".into(),
                ]);
            }
            None => return Err(vec!["has no stage: add at least one `[[stage]]`".into()]),
        };
        let mut problems = Vec::new();
        let mut stages = Vec::new();
        for (number, value) in written.into_iter().enumerate() {
            match read_stage(value) {
                Ok(stage) => stages.push(stage),
                Err(problem) => problems.push(format!("stage {}{problem}", number + 1)),
            }
        }
        table.insert("stage".into(), toml::Value::Array(vec![]));
        let recipe: Result<Self, _> = table.try_into();
        match recipe {
            Ok(recipe) if problems.is_empty() => {
                let recipe = Self { stages, ..recipe };
                let problems = check::problems(&recipe);
                if problems.is_empty() { Ok(recipe) } else { Err(problems) }
            }
            Ok(_) => Err(problems),
            Err(e) => {
                problems.insert(0, one_line(&e.to_string()));
                Err(problems)
            }
        }
    }
}

/// A path from the recipe's folder; in `a.tar::b.tar` both files are.
fn anchored(path: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let Some(several) = path.to_str().filter(|text| text.contains("::")) else {
        return absolute(&folder.join(path));
    };
    let mut parts = Vec::new();
    for part in several.split("::") {
        parts.push(absolute(&folder.join(part))?.display().to_string());
    }
    Ok(parts.join("::").into())
}

/// The run folder must find its pool from wherever the next command is given.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    // The folder of `recipe.toml` is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(std::path::absolute(path).map_err(|e| curate_io::IoError::os(path, "read", e))?)
}

/// Reads one stage; the problem starts with what comes after "stage 3".
fn read_stage(value: toml::Value) -> Result<Stage, String> {
    let of = |key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let Some(kind) = of("kind") else {
        return Err(format!(": `kind` is missing; it is one of {}", Stage::KINDS.join(", ")));
    };
    let label = match of("name") {
        Some(name) => format!(" (`{kind}` named `{name}`)"),
        None => format!(" (`{kind}`)"),
    };
    let mut settings = value;
    if let Some(table) = settings.as_table_mut() {
        table.remove("kind");
    }
    match Stage::read(&kind, settings) {
        Some(read) => read.map_err(|e| format!("{label}: {}", one_line(&e.to_string()))),
        None => {
            let kinds: Vec<_> = Stage::KINDS.iter().map(|kind| format!("`{kind}`")).collect();
            let kinds = kinds.join(", ");
            Err(format!("{label}: unknown variant `{kind}`, expected one of {kinds} in `kind`"))
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
