//! NormSim as a score: how near a row is to a target set.

use std::path::{Path, PathBuf};

use curate_core::{
    EmbeddingSource,
    embedding::{RowsOf, UnitRows},
    rank::Direction,
};
use curate_dfn::filter::align;
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{block_bytes, dim},
    score_section,
    vectors::{Vectors, normalized, of_file},
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::Outcome,
    rows::StageRows,
    stage::{
        Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, Work,
        anchored, told,
    },
};

/// A stage that scores rows by their similarity to a target set (arXiv 2405.19547, equation 4). The
/// score of `curate filter score --by norm-sim`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NormSimStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding of one tower: of images, or of captions.
    pub embedding: String,
    /// The target's vectors in the same space, an npy file. A relative path starts at the recipe's
    /// folder.
    pub target: PathBuf,
    /// Which norm of the similarities to the target's vectors.
    #[serde(default)]
    pub norm: SimilarityNorm,
}

/// Which norm of the similarities to a target set counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SimilarityNorm {
    /// The largest absolute similarity: how near the nearest target is.
    #[default]
    Infinity,
    /// The root of the sum of squares: how much of the target's spread lies in this direction.
    Two,
}

fn name() -> String {
    "norm-sim".to_owned()
}

impl Settings for NormSimStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads { embeddings: vec![&self.embedding], files: vec![&self.target], ..Reads::default() }
    }

    fn gives(&self) -> Gives {
        Gives::Score
    }

    fn check(&self, _: &mut Problems) {}

    fn anchor(&mut self, folder: &Path) {
        self.target = anchored(folder, &self.target);
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(self.clone()))
    }
}

/// Its settings leave nothing open.
impl Method for NormSimStage {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut rows = StageRows::new(context.input);
        let vectors = Vectors::open(&[&self.embedding], context, &mut rows)?;
        let embedding = &vectors.embeddings[0];
        let target = normalized(of_file(&self.target, embedding.dim())?, embedding.dim());
        let norm = match self.norm {
            SimilarityNorm::Infinity => align::Norm::Infinity,
            SimilarityNorm::Two => align::Norm::Two,
        };
        let source = RowsOf::new(embedding, &vectors.rows);
        let scores = align::norm_sim(&UnitRows(&source), &target, norm, context.progress)?;
        for (&position, score) in vectors.good.iter().zip(scores) {
            rows.value.set(position, score);
        }
        Ok(Outcome::new(rows))
    }

    fn work(&self) -> Work<'_> {
        Work::RowByRow
    }

    fn in_words(&self) -> String {
        let target = self.target.file_name().unwrap_or(self.target.as_os_str()).display();
        format!("score each row by how similar its {} is to those of {target}", self.embedding)
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let dim = dim(pool, &self.embedding)?;
        let targets = std::fs::metadata(&self.target).map_or(0, |m| m.len()) / (4 * dim.max(1));
        let compared = match self.norm {
            SimilarityNorm::Infinity => targets,
            SimilarityNorm::Two => dim,
        };
        Ok(Cost {
            reads: 2 * 4 * rows as u64 * dim,
            memory: block_bytes(rows, dim) + 2 * 4 * targets * dim,
            operations: 2.0 * rows as f64 * compared as f64 * dim as f64,
        })
    }

    fn explain(&self, value: Option<f64>, _: Option<f64>) -> Option<String> {
        Some(format!("similarity {} to the target", told(value)))
    }

    fn numbers(&self) -> Option<Numbers> {
        Some(Numbers::Scores(Direction::HigherIsBetter))
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        Ok(vec![score_section::section(page, done, &self.in_words())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_starts_at_the_recipes_folder_and_is_read() {
        let mut stage: NormSimStage =
            toml::from_str("embedding = \"img\"\ntarget = \"imagenet.npy\"").unwrap();
        stage.anchor(Path::new("/recipes"));
        assert_eq!(stage.reads().files, [Path::new("/recipes/imagenet.npy")]);
        let words = "score each row by how similar its img is to those of imagenet.npy";
        assert_eq!(stage.in_words(), words);
    }
}
