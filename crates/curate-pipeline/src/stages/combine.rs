//! Set operations on stages and subset files.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::StageError,
    record::Outcome,
    rows::StageRows,
    stage::{Context, Method, Problems, Reads, Settings, Source, anchored},
};

/// The rule under which rows go that the operation leaves out.
const RULE: &str = "combine";

/// A stage that combines the rows of other stages, or of subset files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CombineStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// How to combine.
    pub op: Op,
    /// Names of stages, `pool`, or paths of subset files (with a `.` in the name).
    pub of: Vec<String>,
}

/// How sets of rows are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Rows in any of the sets.
    Union,
    /// Rows in all of the sets.
    Intersect,
    /// Rows of the first set that are in none of the others.
    Minus,
}

fn name() -> String {
    "combine".to_owned()
}

impl Settings for CombineStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        self.of.iter().map(|text| Source::of(text)).collect()
    }

    fn reads(&self) -> Reads<'_> {
        let files = self.sources().into_iter().filter_map(Source::file);
        Reads { files: files.collect(), ..Reads::default() }
    }

    fn check(&self, wrong: &mut Problems) {
        wrong.must(!self.of.is_empty(), "`of` must name at least one set");
    }

    fn anchor(&mut self, folder: &Path) {
        for text in &mut self.of {
            if let Source::File(path) = Source::of(text) {
                let path: PathBuf = anchored(folder, path);
                *text = path.to_string_lossy().into_owned();
            }
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(self.clone()))
    }
}

/// Its settings leave nothing open.
impl Method for CombineStage {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut sets = self.sources().into_iter().map(|source| context.set(source));
        let mut kept = sets.next().transpose()?.unwrap_or_default().into_owned();
        for set in sets {
            let set = set?;
            kept = match self.op {
                Op::Union => kept.union(&set),
                Op::Intersect => kept.intersect(&set),
                Op::Minus => kept.minus(&set),
            };
        }
        let mut rows = StageRows::new(context.input);
        for position in 0..rows.rows.len() {
            if !kept.contains(rows.row(position)) {
                rows.remove(position, RULE);
            }
        }
        Ok(Outcome::new(rows))
    }

    fn in_words(&self) -> String {
        let all = self.of.join(", ");
        match self.op {
            Op::Union => format!("keep rows in any of {all}"),
            Op::Intersect => format!("keep rows in all of {all}"),
            Op::Minus => format!("keep rows of the first but of none of the others of {all}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dot_or_slash_is_a_file_and_starts_at_the_recipes_folder() {
        let mut stage: CombineStage =
            toml::from_str("op = \"minus\"\nof = [\"pool\", \"lists/kept.npy\"]").unwrap();
        stage.anchor(Path::new("/recipes"));
        assert_eq!(stage.of, ["pool", "/recipes/lists/kept.npy"]);
        let file = Path::new("/recipes/lists/kept.npy");
        assert_eq!(stage.sources(), [Source::Named("pool"), Source::File(file)]);
        assert_eq!(stage.reads().files, [file]);
    }
}
