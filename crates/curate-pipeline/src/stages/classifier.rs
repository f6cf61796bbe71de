//! A quality classifier as a score: good samples against the pool's.

use std::path::{Path, PathBuf};

use curate_core::{
    EmbeddingSource, SourceError,
    embedding::{self, RowsOf, UnitRows},
    random,
    rank::Direction,
};
use curate_dfn::filter::{Classifier, ClassifierParams};
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
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, anchored,
        told,
    },
};

/// A stage that scores rows by how much a classifier takes them for good samples (arXiv 2309.17425,
/// table 1). The score of `curate filter score --by classifier`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClassifierStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embeddings that it looks at: of one tower, or of both, one after the other.
    pub features: Vec<String>,
    /// Good samples, an npy file: in each row the same features, one after the other. A relative path
    /// starts at the recipe's folder.
    pub good: PathBuf,
    /// The most samples of the pool that it learns from, drawn by the recipe's seed.
    #[serde(default = "samples")]
    pub samples: usize,
}

fn name() -> String {
    "classifier".to_owned()
}

fn samples() -> usize {
    20_000
}

impl Settings for ClassifierStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            embeddings: self.features.iter().map(String::as_str).collect(),
            files: vec![&self.good],
            ..Reads::default()
        }
    }

    fn gives(&self) -> Gives {
        Gives::Score
    }

    fn check(&self, wrong: &mut Problems) {
        wrong.must(!self.features.is_empty(), "`features` must name at least one embedding");
        wrong.at_least_one("samples", Some(self.samples));
    }

    fn anchor(&mut self, folder: &Path) {
        self.good = anchored(folder, &self.good);
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(self.clone()))
    }
}

/// What a classifier tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClassifierTold {
    good_samples: usize,
    pool_samples: usize,
    /// Steps until the fit ended; the most allowed where it did not converge.
    steps: usize,
}

/// Its settings leave nothing open.
impl Method for ClassifierStage {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut rows = StageRows::new(context.input);
        let names: Vec<&str> = self.features.iter().map(String::as_str).collect();
        let vectors = Vectors::open(&names, context, &mut rows)?;
        if vectors.good.is_empty() {
            return Ok(Outcome::new(rows));
        }
        let features = Features(&vectors.embeddings);
        let dim = features.dim();
        let good = self.good_samples(&features)?;
        let drawn = self.drawn(&vectors.rows, context);
        let mut others = vec![0.0; drawn.len() * dim];
        features.gather(&drawn, &mut others)?;
        let classifier = Classifier::fit(&good, &others, dim, &ClassifierParams::default())?;
        context.progress.start("score", vectors.rows.len() as u64, "rows");
        let source = RowsOf::new(&features, &vectors.rows);
        let scores =
            embedding::map_blocks(&source, context.progress, |_, block| classifier.scores(block))?;
        context.progress.finish();
        let scores = scores.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        for (&position, score) in vectors.good.iter().zip(scores) {
            rows.value.set(position, score);
        }
        Ok(Outcome::new(rows).telling(&ClassifierTold {
            good_samples: good.len() / dim.max(1),
            pool_samples: drawn.len(),
            steps: classifier.steps,
        }))
    }

    fn in_words(&self) -> String {
        let good = self.good.file_name().unwrap_or(self.good.as_os_str()).display();
        let features = self.features.join(" and ");
        format!("score each row by how much its {features} is taken for one of {good}")
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let dims = self.features.iter().map(|name| dim(pool, name)).sum::<Result<u64, _>>()?;
        let samples = 4 * dims * self.samples.min(rows) as u64;
        let good = std::fs::metadata(&self.good).map_or(0, |m| m.len());
        let steps = ClassifierParams::default().steps as f64;
        Ok(Cost {
            reads: 2 * 4 * rows as u64 * dims + samples,
            memory: block_bytes(rows, dims) + samples + good,
            operations: steps * (samples + good) as f64 + 2.0 * rows as f64 * dims as f64,
        })
    }

    fn explain(&self, value: Option<f64>, _: Option<f64>) -> Option<String> {
        Some(format!("taken for good by {}", told(value)))
    }

    fn numbers(&self) -> Option<Numbers> {
        Some(Numbers::Scores(Direction::HigherIsBetter))
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        Ok(vec![score_section::section(page, done, &self.in_words())?])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        let told = record.told::<ClassifierTold>()?;
        let all = ClassifierParams::default().steps;
        let note = || "the classifier stopped at its last step, before it converged".to_owned();
        Ok(told.filter(|told| told.steps >= all).map(|_| note()).into_iter().collect())
    }
}

impl ClassifierStage {
    /// The good samples, each of their vectors of length 1 as the pool's are.
    fn good_samples(&self, features: &Features<'_>) -> Result<Vec<f32>, StageError> {
        let mut good = of_file(&self.good, features.dim())?;
        for row in good.chunks_exact_mut(features.dim().max(1)) {
            let mut from = 0;
            for source in features.0 {
                let part = &mut row[from..from + source.dim()];
                part.copy_from_slice(&normalized(part.to_vec(), source.dim()));
                from += source.dim();
            }
        }
        Ok(good)
    }

    /// The rows of the pool to learn from: those whose draw is smallest, whatever the shards.
    fn drawn(&self, rows: &[usize], context: &Context<'_>) -> Vec<usize> {
        let id = |row: usize| context.pool.ids()[row];
        let mut drawn = rows.to_vec();
        drawn.sort_by_cached_key(|&row| (random::hash(context.seed, id(row)), id(row)));
        drawn.truncate(self.samples);
        drawn.sort_unstable();
        drawn
    }
}

/// Several embeddings as one: the unit vectors of a row one after the other.
struct Features<'a>(&'a [curate_io::Embedding]);

impl EmbeddingSource for Features<'_> {
    fn rows(&self) -> usize {
        self.0.first().map_or(0, EmbeddingSource::rows)
    }

    fn dim(&self) -> usize {
        self.0.iter().map(EmbeddingSource::dim).sum()
    }

    fn read(&self, rows: std::ops::Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.gather(&rows.collect::<Vec<_>>(), out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let (width, mut from) = (self.dim(), 0);
        for source in self.0 {
            let dim = source.dim();
            let mut values = vec![0.0; rows.len() * dim];
            UnitRows(source).gather(rows, &mut values)?;
            let rows = out.chunks_exact_mut(width.max(1)).zip(values.chunks_exact(dim.max(1)));
            rows.for_each(|(row, values)| row[from..from + dim].copy_from_slice(values));
            from += dim;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_looks_at_is_read_and_asked_for() {
        let text = "features = [\"img\", \"txt\"]\ngood = \"good.npy\"";
        let stage: ClassifierStage = toml::from_str(text).unwrap();
        assert_eq!(stage.reads().embeddings, ["img", "txt"]);
        let words = "score each row by how much its img and txt is taken for one of good.npy";
        assert_eq!(stage.in_words(), words);
        let stage = ClassifierStage { features: vec![], samples: 0, ..stage };
        let mut wrong = Problems::default();
        stage.check(&mut wrong);
        let expected =
            ["`features` must name at least one embedding", "`samples` must be at least 1"];
        assert_eq!(wrong.0, expected);
    }
}
