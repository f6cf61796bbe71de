//! Scores: a column, a table by id, the cosine of two embeddings, or what a network thinks of a pair.

mod network;

use std::path::{Path, PathBuf};

use curate_core::{
    EmbeddingSource,
    embedding::{self, RowsOf},
    rank::Direction,
};
use curate_dfn::{Arithmetic, tokenizer::Ftfy};
use curate_io::Pool;
use curate_report::{Section, counted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::network::{CaptionRepair, LayerPrecision, Scoring};
use super::shared::{
    by_id::{self, ById, Repeated, TableTold, is_table},
    clustering::{block_bytes, dim},
    score_section,
    vectors::Vectors,
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Done, Gives, Method, Numbers, Problems, Reads, Settings, Source, Work,
        anchored, told,
    },
};

/// A stage that scores rows: by a column of the pool or of a table, by the cosine of two embeddings,
/// or by a network. Give one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScoreStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A column of numbers: of the pool, or of `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A table by id that someone else computed: a Parquet, CSV or JSON lines file, in any order, of
    /// any size. A relative path starts at the recipe's folder. Rows that it does not name are set
    /// aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<PathBuf>,
    /// The column of `table` that names samples; left out, the first that is there of `uid`, `key`,
    /// `image_path`, `url` and `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Which number of `table` counts where it names a sample several times; left out, that is an
    /// error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// Two embeddings of one width; the score is the cosine of a row's two vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<[String; 2]>,
    /// A CLIP that embeds image and caption, such as a data filtering network: its folder. The
    /// score is the cosine. A relative path starts at the recipe's folder. For a pool that takes
    /// hours, `curate filter embed` resumes at its shard; this resumes at its
    /// stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<PathBuf>,
    /// With `network`: repair captions as this version of ftfy does, to make scores that were made with
    /// it again; `ftfy-6.3` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption_repair: Option<CaptionRepair>,
    /// With `network`: what its linear layers multiply; `f32` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<LayerPrecision>,
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
            columns: self
                .column
                .iter()
                .filter(|_| self.table.is_none())
                .map(String::as_str)
                .collect(),
            files: self.table.iter().map(PathBuf::as_path).collect(),
            networks: self.network.iter().map(PathBuf::as_path).collect(),
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
        let paths = self.network.iter_mut().chain(&mut self.table);
        paths.for_each(|path| *path = anchored(folder, path));
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let score = self.score().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        Ok(Box::new(score))
    }
}

impl ScoreStage {
    fn score(&self) -> Result<Score, &'static str> {
        if self.network.is_none() && self.caption_repair.is_some() {
            return Err("`caption-repair` is of a `network`: name one");
        }
        if self.network.is_none() && self.precision.is_some() {
            return Err("`precision` is of a `network`: name one");
        }
        if let Some(path) = &self.table {
            return self.of_table(path);
        }
        if self.id_column.is_some() || self.repeated.is_some() {
            return Err("`id-column` and `repeated` are of a `table`: name one");
        }
        match (&self.column, &self.cosine, &self.network) {
            (Some(column), None, None) => Ok(Score::Column(column.clone())),
            (None, Some(pair), None) => Ok(Score::Cosine(pair.clone())),
            (None, None, Some(folder)) => {
                let folder = folder.clone();
                let repair = self.caption_repair.map_or_else(Ftfy::default, Ftfy::from);
                let arithmetic = self.precision.map_or_else(Arithmetic::default, Arithmetic::from);
                Ok(Score::Network(Scoring { folder, repair, arithmetic }))
            }
            _ => Err("give one of `column`, `cosine` and `network`, or `table` with its `column`"),
        }
    }

    fn of_table(&self, path: &Path) -> Result<Score, &'static str> {
        if self.cosine.is_some() || self.network.is_some() {
            return Err("give one of `table`, `cosine` and `network`");
        }
        let Some(column) = &self.column else {
            return Err("name the numbers of `table` with `column`");
        };
        if !is_table(path) {
            return Err("`table` must be a .parquet, .csv or .jsonl file");
        }
        let (id_column, repeated) = (self.id_column.clone(), self.repeated);
        Ok(Score::Table { path: path.to_owned(), column: column.clone(), id_column, repeated })
    }
}

/// Where the score comes from.
enum Score {
    Column(String),
    /// A column of a table by id.
    Table {
        path: PathBuf,
        column: String,
        id_column: Option<String>,
        repeated: Option<Repeated>,
    },
    Cosine([String; 2]),
    Network(Scoring),
}

impl Method for Score {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let mut rows = StageRows::new(context.input);
        match self {
            Self::Column(column) => by_column(column, context, &mut rows)?,
            Self::Table { path, column, id_column, repeated } => {
                let id_column = id_column.as_deref();
                let table = ById { path, column, id_column, repeated: *repeated };
                let told = by_table(&table, context, &mut rows)?;
                return Ok(Outcome::new(rows).telling(&told));
            }
            Self::Cosine([a, b]) => by_cosine(a, b, context, &mut rows)?,
            Self::Network(scoring) => scoring.score(context, &mut rows)?,
        }
        Ok(Outcome::new(rows))
    }

    fn work(&self) -> Work<'_> {
        match self {
            Self::Cosine(_) | Self::Network(_) => Work::RowByRow,
            // Read in one pass, which costs less than handing parts around.
            Self::Column(_) | Self::Table { .. } => Work::Whole,
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Column(column) => format!("score each row by column {column}"),
            Self::Table { path, column, .. } => {
                let table = path.file_name().unwrap_or(path.as_os_str()).display();
                format!("score each row by column {column} of {table}")
            }
            Self::Cosine([a, b]) => format!("score each row by the cosine of {a} and {b}"),
            Self::Network(scoring) => scoring.in_words(),
        }
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        match self {
            Self::Column(_) => Ok(Cost { memory: 8 * pool.len() as u64, ..Cost::default() }),
            Self::Table { path, .. } => Ok(Cost {
                reads: std::fs::metadata(path).map_or(0, |m| m.len()),
                memory: by_id::BYTES_PER_ROW * rows as u64,
                ..Cost::default()
            }),
            Self::Cosine([a, b]) => {
                let dims = dim(pool, a)? + dim(pool, b)?;
                let numbers = rows as u64 * dims;
                Ok(Cost {
                    reads: 4 * numbers,
                    memory: block_bytes(rows, dims),
                    operations: 6.0 * numbers as f64,
                })
            }
            Self::Network(scoring) => scoring.cost(rows, pool),
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

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        let Self::Table { path, .. } = self else { return Ok(vec![]) };
        let missing = record.told::<TableTold>()?.map_or(0, |told| told.missing);
        let note =
            || format!("{} has no number for {}", path.display(), counted(missing as u64, "row"));
        Ok((missing > 0).then(note).into_iter().collect())
    }
}

fn by_column(column: &str, context: &Context<'_>, rows: &mut StageRows) -> Result<(), StageError> {
    let numbers = context.pool.column(column)?;
    rows.value = match rows.rows.len() == numbers.len() {
        true => numbers,
        false => numbers.gather(rows.rows.iter().map(Some)),
    };
    rows.set_unscored_aside();
    Ok(())
}

fn by_table(
    table: &ById<'_>,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<TableTold, StageError> {
    let found = table.read(&context.ids())?;
    rows.value = found.values;
    rows.set_unscored_aside();
    Ok(found.told)
}

/// The cosine in f64, whatever the lengths of the vectors.
fn by_cosine(
    a: &str,
    b: &str,
    context: &Context<'_>,
    rows: &mut StageRows,
) -> Result<(), StageError> {
    let vectors = Vectors::open(&[a, b], context, rows)?;
    vectors.of_one_space([a, b])?;
    let [first, second] =
        [0, 1].map(|at: usize| RowsOf::new(&vectors.embeddings[at], &vectors.rows));
    context.progress.start("score", vectors.rows.len() as u64, "rows");
    let dim = first.dim();
    let cosines = embedding::map_blocks(&first, context.progress, |block, vectors| {
        let mut others = vec![0.0; vectors.len()];
        second.read(block, &mut others)?;
        let pairs = vectors.chunks_exact(dim.max(1)).zip(others.chunks_exact(dim.max(1)));
        Ok::<_, curate_core::SourceError>(pairs.map(|(a, b)| cosine(a, b)).collect::<Vec<_>>())
    })?;
    context.progress.finish();
    let mut cosines = cosines.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    for position in vectors.good {
        let cosine = cosines.next().expect("one cosine for each good row");
        rows.value.set(position, cosine);
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    (embedding::dot(a, b) / (embedding::norm(a) * embedding::norm(b))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut wrong = Problems::default();
        toml::from_str::<ScoreStage>(text).unwrap().check(&mut wrong);
        wrong.0
    }

    #[test]
    fn one_source_is_asked_for() {
        assert!(problems("column = \"c\"").is_empty());
        assert!(problems("table = \"t.csv\"\ncolumn = \"c\"").is_empty());
        for text in ["", "column = \"c\"\nnetwork = \"n\""] {
            assert!(problems(text)[0].starts_with("give one of `column`"), "{text}");
        }
        let cases = [
            ("table = \"t.csv\"", "name the numbers of `table` with `column`"),
            ("table = \"t.xls\"\ncolumn = \"c\"", "`table` must be a .parquet, .csv or"),
            ("column = \"c\"\nrepeated = \"max\"", "`id-column` and `repeated` are of a `table`"),
            (
                "column = \"c\"\ncaption-repair = \"ftfy-6.2\"",
                "`caption-repair` is of a `network`: name one",
            ),
            ("column = \"c\"\nprecision = \"int8\"", "`precision` is of a `network`: name one"),
            (
                "table = \"t.csv\"\ncolumn = \"c\"\nnetwork = \"n\"",
                "give one of `table`, `cosine` and `network`",
            ),
        ];
        for (text, expected) in cases {
            assert!(problems(text)[0].starts_with(expected), "{text}: {:?}", problems(text));
        }
    }

    #[test]
    fn captions_are_repaired_by_the_rules_that_are_named() {
        let words = |text: &str| toml::from_str::<ScoreStage>(text).unwrap().resolve();
        let older = words("network = \"n\"\ncaption-repair = \"ftfy-6.2\"").unwrap().in_words();
        assert!(older.ends_with("by the network n, captions repaired by ftfy-6.2"), "{older}");
        assert!(words("network = \"n\"").unwrap().in_words().ends_with("by the network n"));
        assert!(
            words("network = \"n\"\nprecision = \"f32\"")
                .unwrap()
                .in_words()
                .ends_with("network n")
        );
        let int8 = words("network = \"n\"\nprecision = \"int8\"").unwrap().in_words();
        assert!(int8.ends_with("by the network n in 8-bit integers"), "{int8}");
        let bf16 = words("network = \"n\"\nprecision = \"bf16\"").unwrap().in_words();
        assert!(bf16.ends_with("by the network n in bfloat16"), "{bf16}");
    }

    #[test]
    fn a_table_starts_at_the_recipes_folder_and_is_read() {
        let text = "table = \"scores/a.csv\"\ncolumn = \"beauty\"";
        let mut stage: ScoreStage = toml::from_str(text).unwrap();
        stage.anchor(Path::new("/recipes"));
        assert_eq!(stage.reads().files, [Path::new("/recipes/scores/a.csv")]);
        let score = stage.resolve().unwrap();
        assert_eq!(score.in_words(), "score each row by column beauty of a.csv");
    }
}
