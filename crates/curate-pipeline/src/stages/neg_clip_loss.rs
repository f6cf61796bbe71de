//! negCLIPLoss as a score: the cosine of a pair less what both have with everything else.

use curate_core::{
    embedding::{RowsOf, UnitRows},
    rank::Direction,
};
use curate_dfn::filter::align::{NegClipLossParams, neg_clip_loss};
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{clustering::dim, score_section, vectors::Vectors};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::Outcome,
    rows::StageRows,
    stage::{Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, told},
};

/// A stage that scores pairs by their cosine minus what image and caption share with all others
/// (arXiv 2405.19547, equation 1). The score of `curate filter score --by neg-clip-loss`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NegClipLossStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding of images.
    pub images: String,
    /// The embedding of captions, of one space with that of images.
    pub texts: String,
    /// The temperature: 0.01 for OpenAI's networks, 0.07 for DFN's.
    #[serde(default = "temperature")]
    pub temperature: f32,
    /// Pairs of a batch.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Random partitions into batches to average over, drawn by the recipe's seed.
    #[serde(default = "partitions")]
    pub partitions: usize,
}

fn name() -> String {
    "neg-clip-loss".to_owned()
}

fn temperature() -> f32 {
    NegClipLossParams::default().temperature
}

fn batch() -> usize {
    NegClipLossParams::default().batch
}

fn partitions() -> usize {
    NegClipLossParams::default().partitions
}

impl NegClipLossStage {
    fn params(&self, seed: u64) -> NegClipLossParams {
        let Self { temperature, batch, partitions, .. } = *self;
        NegClipLossParams { temperature, batch, partitions, seed }
    }
}

impl Settings for NegClipLossStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads { embeddings: vec![&self.images, &self.texts], ..Reads::default() }
    }

    fn gives(&self) -> Gives {
        Gives::Score
    }

    fn check(&self, wrong: &mut Problems) {
        if let Err(error) = self.params(0).check() {
            wrong.violations(&error, str::to_owned);
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        Ok(Box::new(self.clone()))
    }
}

/// Its settings leave nothing open.
impl Method for NegClipLossStage {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let params = self.params(context.seed);
        params.check()?;
        let mut rows = StageRows::new(context.input);
        let names = [&*self.images, &*self.texts];
        let vectors = Vectors::open(&names, context, &mut rows)?;
        vectors.of_one_space(names)?;
        let [images, texts] =
            [0, 1].map(|at: usize| RowsOf::new(&vectors.embeddings[at], &vectors.rows));
        let ids: Vec<_> = vectors.rows.iter().map(|&row| context.pool.ids()[row]).collect();
        let (images, texts) = (UnitRows(&images), UnitRows(&texts));
        let scores = neg_clip_loss(&images, &texts, &ids, &params, context.progress)?;
        for (position, score) in vectors.good.into_iter().zip(scores) {
            rows.value.set(position, score);
        }
        Ok(Outcome::new(rows))
    }

    fn in_words(&self) -> String {
        let Self { images, texts, .. } = self;
        format!(
            "score each row by the cosine of {images} and {texts} less what both have with all others"
        )
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let dims = dim(pool, &self.images)? + dim(pool, &self.texts)?;
        let batch = self.batch.min(rows) as u64;
        // Once to find bad rows in each, once for cosines, and once for each partition.
        let passes = self.partitions as u64 + 2;
        Ok(Cost {
            reads: 4 * rows as u64 * dims * passes,
            memory: 2 * 4 * batch * dims + 40 * rows as u64,
            operations: 2.0 * self.partitions as f64 * rows as f64 * batch as f64 * dims as f64,
        })
    }

    fn explain(&self, value: Option<f64>, _: Option<f64>) -> Option<String> {
        Some(format!("score {}", told(value)))
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
    fn the_defaults_and_ranges_are_those_of_the_method() {
        let stage: NegClipLossStage = toml::from_str("images = \"img\"\ntexts = \"txt\"").unwrap();
        assert_eq!(stage.params(0), NegClipLossParams::default());
        let stage = NegClipLossStage { temperature: 0.0, batch: 0, ..stage };
        let mut wrong = Problems::default();
        stage.check(&mut wrong);
        let expected =
            ["`temperature` must be above 0, not 0", "`batch` must be at least 1, not 0"];
        assert_eq!(wrong.0, expected);
    }
}
