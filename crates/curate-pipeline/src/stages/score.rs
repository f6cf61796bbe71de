//! Scores: a column, the cosine of two embeddings, or what a network thinks of a pair.

use std::path::{Path, PathBuf};

use curate_core::{
    EmbeddingSource,
    embedding::{self, RowsOf},
    fault::{Fault, NormPolicy},
    rank::Direction,
};
use curate_dfn::{
    Network,
    filter::{BadKind, EMBEDDED_TOGETHER, score_rows},
    network::read_folder,
};
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{block_bytes, dim},
    quarantine::quarantine,
    score_section,
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::Outcome,
    rows::StageRows,
    stage::{
        Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, anchored,
        told,
    },
};

/// A stage that scores rows: by a column, by the cosine of two embeddings, or by a network. Give one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScoreStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A column of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Two embeddings of one width; the score is the cosine of a row's two vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<[String; 2]>,
    /// A CLIP that embeds picture and caption, such as a data filtering network: its folder. The
    /// score is the cosine. A relative path starts at the recipe's folder. For a pool that takes
    /// hours, `curate filter embed` goes on at its shard when it was stopped; this goes on at its
    /// stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<PathBuf>,
}

/// The name of a score where none is given.
pub(super) fn name() -> String {
    "score".to_owned()
}

impl Settings for ScoreStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            embeddings: self.cosine.iter().flatten().map(String::as_str).collect(),
            files: self.network.as_deref().into_iter().collect(),
            ..Reads::default()
        }
    }

    fn gives(&self) -> Gives {
        Gives::Score
    }

    fn check(&self, wrong: &mut Problems) {
        if let Err(problem) = self.score() {
            wrong.must(false, problem);
        }
    }

    fn anchor(&mut self, folder: &Path) {
        self.network.iter_mut().for_each(|path| *path = anchored(folder, path));
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let score = self.score().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        Ok(Box::new(score))
    }
}

impl ScoreStage {
    fn score(&self) -> Result<Score, &'static str> {
        match (&self.column, &self.cosine, &self.network) {
            (Some(column), None, None) => Ok(Score::Column(column.clone())),
            (None, Some(pair), None) => Ok(Score::Cosine(pair.clone())),
            (None, None, Some(folder)) => Ok(Score::Network(folder.clone())),
            _ => Err("give one of `column`, `cosine` and `network`"),
        }
    }
}

/// Where the score comes from.
enum Score {
    Column(String),
    Cosine([String; 2]),
    /// The folder of a network.
    Network(PathBuf),
}

impl Method for Score {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut rows = StageRows::new(context.input);
        match self {
            Self::Column(column) => by_column(column, context, &mut rows)?,
            Self::Cosine([a, b]) => by_cosine(a, b, context, &mut rows)?,
            Self::Network(folder) => by_network(folder, context, &mut rows)?,
        }
        Ok(Outcome::new(rows))
    }

    fn in_words(&self) -> String {
        match self {
            Self::Column(column) => format!("score each row by column {column}"),
            Self::Cosine([a, b]) => format!("score each row by the cosine of {a} and {b}"),
            Self::Network(folder) => {
                let name = folder.file_name().unwrap_or(folder.as_os_str()).display();
                format!("score each row by how well picture and caption agree for network {name}")
            }
        }
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        match self {
            Self::Column(_) => Ok(Cost { memory: 4 * pool.len() as u64, ..Cost::default() }),
            Self::Cosine([a, b]) => {
                let dims = dim(pool, a)? + dim(pool, b)?;
                let numbers = rows as u64 * dims;
                Ok(Cost {
                    reads: 4 * numbers,
                    memory: block_bytes(rows, dims),
                    operations: 6.0 * numbers as f64,
                })
            }
            Self::Network(folder) => network_cost(folder, rows, pool),
        }
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

/// The weights as they are on disk and packed, and some hundred pictures.
fn network_cost(folder: &Path, rows: usize, pool: &Pool) -> Result<Cost, Error> {
    let (config, weights) = read_folder(folder)?;
    let model = &config.model_cfg;
    let numbers: usize = weights.arrays().values().map(|array| array.data.len()).sum();
    let side = model.vision_cfg.image_size;
    let pictures = EMBEDDED_TOGETHER.min(rows) * 3 * side * side;
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    Ok(Cost {
        reads: pool.files().iter().map(size).sum(),
        memory: 4 * (2 * numbers + 2 * pictures) as u64,
        operations: rows as f64 * model.operations_per_pair(),
    })
}

fn by_column(column: &str, context: &Context<'_>, rows: &mut StageRows) -> Result<(), StageError> {
    let values = context.pool.column(column)?;
    for position in 0..rows.rows.len() {
        rows.value[position] = values[rows.rows[position]];
        if rows.value[position].is_nan() {
            rows.remove(position, Fault::ScoreMissing.name());
        }
    }
    Ok(())
}

/// The cosine in f64, whatever the lengths of the vectors.
fn by_cosine(
    a: &str,
    b: &str,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<(), StageError> {
    let (first, second) = (context.pool.embedding(a)?, context.pool.embedding(b)?);
    if first.dim() != second.dim() {
        return Err(StageError::Problem(format!(
            "`{a}` has {} dimensions and `{b}` has {}: a cosine needs two embeddings of one space",
            first.dim(),
            second.dim()
        )));
    }
    quarantine(&first, a, NormPolicy::Any, rows, context.progress)?;
    // The second check sees the rows that the first set aside again, and its verdict replaces theirs:
    // either way the row is out.
    let good = quarantine(&second, b, NormPolicy::Any, rows, context.progress)?;
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let (first, second) = (RowsOf::new(&first, &pool_rows), RowsOf::new(&second, &pool_rows));
    context.progress.start("score", pool_rows.len() as u64, "rows");
    let dim = first.dim();
    let cosines = embedding::map_blocks(&first, context.progress, |block, vectors| {
        let mut others = vec![0.0; vectors.len()];
        second.read(block, &mut others)?;
        let pairs = vectors.chunks_exact(dim.max(1)).zip(others.chunks_exact(dim.max(1)));
        Ok::<_, curate_core::SourceError>(pairs.map(|(a, b)| cosine(a, b)).collect::<Vec<_>>())
    })?;
    context.progress.finish();
    let mut cosines = cosines.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    for position in good {
        rows.value[position] = cosines.next().expect("one cosine for each good row");
    }
    Ok(())
}

/// A pair that cannot be read is set aside; the others' scores do not depend on it.
fn by_network(
    folder: &Path,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<(), StageError> {
    let network = Network::open(folder)?;
    network.config().takes_captions(folder)?;
    let scores = score_rows(&network, context.pool, &rows.rows, context.progress)?;
    for (position, score) in scores.into_iter().enumerate() {
        match score {
            Ok(score) => rows.value[position] = score,
            Err(bad) => rows.remove(position, bad_name(bad.kind)),
        }
    }
    Ok(())
}

fn bad_name(kind: BadKind) -> &'static str {
    match kind {
        BadKind::NoCaption => Fault::CaptionMissing.name(),
        BadKind::NoImage => Fault::ImageMissing.name(),
        BadKind::UnknownFormat => "image-of-no-known-format",
        BadKind::Empty => "image-without-pixels",
        BadKind::TooLarge => "image-over-pixel-limit",
        BadKind::Truncated => "image-cut-off",
        BadKind::Damaged => "image-damaged",
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    (embedding::dot(a, b) / (embedding::norm(a) * embedding::norm(b))) as f32
}
