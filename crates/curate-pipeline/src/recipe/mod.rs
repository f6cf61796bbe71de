//! Recipes: which pool, which stages, which outputs.

mod check;
mod keys;
mod read;

use std::{fmt, path::PathBuf};

use curate_core::Progress;
use curate_io::{
    IoError, Kind, Pool, PoolOptions,
    pool::{BadShards, Format, IdsFrom},
    subset::SubsetFormat,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, joined};

pub(crate) use check::problems;

pub use crate::{earlier::POOL, stages::*};

/// What to do with a pool: a list of stages. Read from TOML; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// A name for the report's title.
    #[serde(default = "defaults::name")]
    pub name: String,
    /// The seed of all random draws. Draws depend on the seed and a sample's id, so they do not
    /// change when the pool is split into other shards.
    #[serde(default)]
    pub seed: u64,
    /// The pool to curate.
    pub pool: PoolRecipe,
    /// What to write besides evidence, manifest and report.
    #[serde(default)]
    pub output: OutputRecipe,
    /// What to train afterwards, to judge the subset. Only the program does, if it was built with training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<EvaluateRecipe>,
    /// The stages, in order. Each takes the rows that the one before left, unless it says `from`.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// Where the pool is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PoolRecipe {
    /// A folder, a file, or a pattern such as `shards/{00000..00099}.tar`. A relative path starts
    /// at the recipe's folder.
    pub path: PathBuf,
    /// The layout. Left out, the files tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// A folder that `curate filter embed` wrote of this pool: the stages can name its embeddings as if
    /// they lay beside the shards. A relative path starts at the recipe's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<PathBuf>,
    /// What to do with a shard that cannot be read.
    #[serde(default)]
    pub bad_shards: BadShards,
    /// What ids are made from where samples have keys and no `uid`: the `key` alone, or
    /// `shard-and-key` where keys begin anew in every shard. Left out, it is the key, and keys that
    /// begin anew are an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdsFrom>,
}

/// What to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutputRecipe {
    /// The forms of the subset.
    #[serde(default = "defaults::formats")]
    pub formats: Vec<SubsetFormat>,
    /// Whether to write `report.html`.
    #[serde(default = "defaults::yes")]
    pub report: bool,
    /// Whether the report shows images.
    #[serde(default = "defaults::yes")]
    pub images: bool,
}

impl Default for OutputRecipe {
    fn default() -> Self {
        Self { formats: defaults::formats(), report: true, images: true }
    }
}

/// Trainings of the same small model on the subset and on other selections, as `curate eval compare` makes
/// them. They go to the folder `evaluation` of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EvaluateRecipe {
    /// Other selections to train on: run folders or subset files, or `NAME=PATH`. A relative path starts at
    /// the recipe's folder.
    #[serde(default)]
    pub against: Vec<String>,
    /// Whether to train on the whole pool too.
    #[serde(default = "defaults::yes")]
    pub everything: bool,
    /// Samples seen in a training, repeats included: `[50000, "200K"]`. Left out, those of the scale.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// Trainings of each selection at each budget.
    #[serde(default = "defaults::seeds")]
    pub seeds: u64,
    /// Further words of `curate eval compare`: `["--labels", "subcategory"]`.
    #[serde(default)]
    pub train: Vec<String>,
}

/// Samples seen in a training, as a number or as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a budget must be a whole count, such as 20000 or \"20K\"")]
pub enum Budget {
    /// `20000`
    Count(u64),
    /// `"20K"`
    Text(String),
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl EvaluateRecipe {
    /// Trainings that it asks for.
    pub fn trainings(&self) -> u64 {
        let selections = 1 + self.against.len() + usize::from(self.everything);
        (selections * self.budgets.len().max(1)) as u64 * self.seeds
    }
}

mod defaults {
    use super::SubsetFormat;

    pub(super) fn name() -> String {
        "curation".to_owned()
    }

    pub(super) fn formats() -> Vec<SubsetFormat> {
        vec![SubsetFormat::Npy, SubsetFormat::Parquet]
    }

    pub(super) fn yes() -> bool {
        true
    }

    pub(super) fn seeds() -> u64 {
        3
    }
}

impl Recipe {
    /// Opens the recipe's pool.
    pub(crate) fn open_pool(&self, progress: &dyn Progress) -> Result<Pool, Error> {
        let options = PoolOptions {
            format: self.pool.format,
            bad_shards: self.pool.bad_shards,
            ids: self.pool.ids,
        };
        let path = &self.pool.path;
        let relative = |mut error: IoError| {
            if error.kind == Kind::NotFound && error.path == *path && !path.exists() {
                error.remedy = "a relative `path` of `[pool]` starts at the recipe's folder".into();
            }
            error
        };
        let open = |embeddings: &[&str]| {
            Pool::open_with(path, options, embeddings, progress).map_err(relative)
        };
        let Some(folder) = &self.pool.embeddings else { return Ok(open(&self.embeddings())?) };
        let mut pool = open(&[])?;
        joined::join(&mut pool, folder)?;
        Ok(pool)
    }

    /// An error where the recipe asks for trainings, for callers that make none.
    ///
    /// # Errors
    /// When there is a section `[evaluate]`.
    pub fn check_no_training(&self) -> Result<(), Error> {
        if self.evaluate.is_none() {
            return Ok(());
        }
        let problem = "`[evaluate]` asks for trainings, which are not made here: leave it out, and compare the \
                       finished run with `curate eval compare`";
        Err(Error::Recipe { path: self.name.clone().into(), problems: vec![problem.to_owned()] })
    }

    /// The embeddings that the stages read.
    pub(crate) fn embeddings(&self) -> Vec<&str> {
        self.stages.iter().flat_map(|stage| stage.settings().reads().embeddings).collect()
    }

    /// The recipe as TOML, with every default.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a recipe has only what TOML can say")
    }

    /// The JSON Schema of recipes.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Recipe);
        let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        text.push('\n');
        text
    }
}
