//! From a TOML file to a recipe, or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use curate_io::url::is_url;

use super::{Recipe, Stage, check, keys::read_all};
use crate::Error;

impl Recipe {
    /// Reads and checks a recipe file. A relative pool path starts at the recipe's folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, naming stage and field.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = curate_io::files::read_text(path)?;
        let recipe = Self::parse(&text)
            .map_err(|problems| Error::Recipe { path: path.to_owned(), problems })?;
        recipe.anchored(path.parent().unwrap_or(Path::new("")))
    }

    /// The same recipe, whose relative paths start at a folder: absolute paths, for whoever reads it
    /// from elsewhere.
    pub(crate) fn anchored(mut self, folder: &Path) -> Result<Self, Error> {
        if !is_url(&self.pool.path) {
            self.pool.path = anchored(&self.pool.path, folder)?;
        }
        if let Some(embeddings) = &mut self.pool.embeddings {
            *embeddings = absolute(&folder.join(&*embeddings))?;
        }
        for selection in self.evaluate.iter_mut().flat_map(|evaluate| &mut evaluate.against) {
            *selection = anchored_selection(selection, folder)?;
        }
        let folder = absolute(folder)?;
        self.stages.iter_mut().for_each(|stage| stage.anchor(&folder));
        Ok(self)
    }

    /// Parses and checks a recipe.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut table: toml::Table =
            toml::from_str(text).map_err(|e| vec![e.to_string().trim_end().to_owned()])?;
        // Stages are read one by one, so that an error names its stage.
        let mut problems = Vec::new();
        let mut without = |problem: &str| {
            problems.push((0, problem.to_owned()));
            vec![]
        };
        let written = match table.remove("stage") {
            Some(toml::Value::Array(stages)) => stages,
            Some(_) => without("`stage` is not a list: write each stage under `[[stage]]`"),
            None => without("has no stage: add at least one `[[stage]]`"),
        };
        let mut stages = Vec::new();
        for (number, value) in written.into_iter().enumerate() {
            match read_stage(value) {
                Ok(stage) => stages.push((number, stage)),
                Err(found) => {
                    let told = found.into_iter().map(|found| (number, found));
                    problems
                        .extend(told.map(|(at, found)| (at, format!("stage {}{found}", at + 1))));
                }
            }
        }
        table.insert("stage".into(), toml::Value::Array(vec![]));
        let recipe = read_all(toml::Value::Table(table), |table| table.try_into::<Self>());
        match recipe {
            Ok(recipe) if problems.is_empty() => {
                let stages = stages.into_iter().map(|(_, stage)| stage).collect();
                let recipe = Self { stages, ..recipe };
                let problems = check::problems(&recipe);
                if problems.is_empty() { Ok(recipe) } else { Err(problems) }
            }
            recipe => {
                // Names of stages that could not be read are not known, so that no reference is judged.
                for (number, stage) in &stages {
                    problems.extend(check::alone(*number, stage).into_iter().map(|p| (*number, p)));
                }
                problems.sort_by_key(|(number, _)| *number);
                let stages = problems.into_iter().map(|(_, problem)| problem);
                Err(recipe.err().unwrap_or_default().into_iter().chain(stages).collect())
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

/// `PATH` or `NAME=PATH`, with a path from the recipe's folder.
fn anchored_selection(text: &str, folder: &Path) -> Result<String, Error> {
    let anchored = |path: &str| absolute(&folder.join(path));
    let whole = anchored(text)?;
    match text.split_once('=') {
        Some((name, path)) if !whole.exists() => {
            Ok(format!("{name}={}", anchored(path)?.display()))
        }
        _ => Ok(whole.display().to_string()),
    }
}

/// The run folder must find its pool from wherever the next command is given.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    // The folder of `recipe.toml` is the empty path.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(std::path::absolute(path).map_err(|e| curate_io::IoError::os(path, "read", e))?)
}

/// Reads one stage; each problem starts with what comes after "stage 3".
fn read_stage(value: toml::Value) -> Result<Stage, Vec<String>> {
    let of = |key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let Some(kind) = of("kind") else {
        let kinds = Stage::KINDS.join(", ");
        return Err(vec![format!(": `kind` is missing; it is one of {kinds}")]);
    };
    let label = match of("name") {
        Some(name) => format!(" (`{kind}` named `{name}`)"),
        None => format!(" (`{kind}`)"),
    };
    let mut settings = value;
    if let Some(table) = settings.as_table_mut() {
        table.remove("kind");
    }
    read_all(settings, |settings| Stage::read(&kind, settings))
        .map_err(|found| found.into_iter().map(|found| format!("{label}: {found}")).collect())
}
