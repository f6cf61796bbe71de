//! `LOOP.toml`: what a loop from small runs to the pool to keep is asked.

use std::path::{Path, PathBuf};

use curate::io::{IoError, Kind, files::read_text};
use serde::Deserialize;

use crate::{failure::Failure, values::count};

/// A loop, as its file has it. Paths are relative to the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Loop {
    /// The file itself.
    #[serde(skip)]
    pub(super) file: PathBuf,
    /// The pool, with embeddings of images and texts.
    pub(super) pool: PathBuf,
    /// A folder that `curate filter embed` wrote of it.
    pub(super) embeddings: Option<PathBuf>,
    /// The keys of a `score` stage: how well samples are.
    pub(super) score: toml::Table,
    /// The better end of the score.
    #[serde(default = "higher")]
    pub(super) better: Better,
    /// Where buckets end, best first: `[0.1, 0.3, 1.0]` is the best tenth, the next fifth, the rest.
    pub(super) buckets: Vec<f64>,
    /// Samples seen of the small runs.
    pub(super) budgets: Vec<String>,
    /// Samples seen of the run that counts.
    pub(super) budget: String,
    /// Runs of each bucket at each budget.
    #[serde(default = "three")]
    pub(super) seeds: u64,
    /// A column of labels, and the other words of `curate eval compare` that say what is trained.
    #[serde(default)]
    pub(super) train: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Better {
    HigherIsBetter,
    LowerIsBetter,
}

fn higher() -> Better {
    Better::HigherIsBetter
}

fn three() -> u64 {
    3
}

impl Loop {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let bad = |problem: String| {
            let remedy = "the chapter on budgets shows a whole file";
            IoError::new(Kind::Malformed, path, problem, remedy)
        };
        let mut found: Self = toml::from_str(&text)
            .map_err(|e| bad(format!("is no loop: {}", e.to_string().trim_end())))?;
        if let Some(problem) = found.problem() {
            return Err(bad(problem).into());
        }
        path.clone_into(&mut found.file);
        let folder = path.parent().unwrap_or(Path::new(""));
        let anchored = |path: &Path| std::path::absolute(folder.join(path));
        let absolute = |path: &Path| anchored(path).map_err(|e| IoError::os(path, "read", e));
        found.pool = absolute(&found.pool)?;
        found.embeddings = found.embeddings.as_deref().map(absolute).transpose()?;
        if let Some(toml::Value::String(table)) = found.score.get_mut("table") {
            *table = absolute(Path::new(table))?.display().to_string();
        }
        Ok(found)
    }

    fn problem(&self) -> Option<String> {
        let rises = self.buckets.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = self.buckets.iter().all(|&end| end > 0.0 && end <= 1.0);
        if self.buckets.len() < 2 || !rises || !inside {
            let what = "`buckets` must be at least two shares that rise, above 0 and at most 1";
            return Some(what.to_owned());
        }
        if self.budgets.len() < 2 {
            return Some("`budgets` must be at least two: one says nothing of growth".to_owned());
        }
        let all = self.budgets.iter().chain([&self.budget]);
        let wrong = all.filter_map(|text| count(text).err().map(|why| format!("`{text}` {why}")));
        wrong.into_iter().next()
    }

    /// Samples seen of the run that counts.
    pub(super) fn target(&self) -> f64 {
        count(&self.budget).expect("a count, which was checked")
    }

    /// Samples seen of the small runs.
    pub(super) fn sizes(&self) -> Vec<f64> {
        self.budgets.iter().filter_map(|text| count(text).ok()).collect()
    }

    /// Samples seen of the largest small run.
    pub(super) fn largest(&self) -> f64 {
        self.sizes().into_iter().fold(0.0, f64::max)
    }

    /// What to say where the budget that counts is far beyond the runs.
    pub(super) fn far_beyond(&self) -> Option<String> {
        let beyond = self.target() / self.largest();
        (beyond > 10.0).then(|| {
            format!(
                "the question lies {beyond:.0} times beyond the largest run: believe the order more than the numbers"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "pool = \"p\"\nscore = { column = \"s\" }\nbuckets = [0.1, 1.0]\n\
                         budgets = [\"1K\", \"4K\"]\nbudget = \"1M\"\n";

    #[test]
    fn what_is_wrong_is_named_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loop.toml");
        let cases = [
            (WHOLE.replace("[0.1, 1.0]", "[0.5, 0.2]"), "`buckets` must be at least two shares"),
            (WHOLE.replace("\"1K\", ", ""), "`budgets` must be at least two"),
            (WHOLE.replace("\"4K\"", "\"four\""), "`four`"),
            (format!("{WHOLE}bucket = 3\n"), "unknown field `bucket`"),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).unwrap();
            let error = Loop::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("loop.toml"), "{error}");
        }
        std::fs::write(&path, WHOLE).unwrap();
        let found = Loop::read(&path).unwrap();
        assert_eq!((found.target(), found.largest(), found.seeds), (1e6, 4e3, 3));
        assert!(found.pool.is_absolute());
    }
}
