//! Recipes: which pool, which stages, which outputs.

mod baseline;
mod read;

use std::path::PathBuf;

use curate_baselines::FEATURES;
use curate_cluster::{EmptyClusters, Init, Preference};
use curate_core::{Progress, fault::NormPolicy, rank::Direction};
use curate_device::DeviceName;
use curate_io::{
    Pool, PoolOptions,
    pool::{BadShards, Format},
    subset::SubsetFormat,
};
use curate_prune::{Control, Pick, Preset, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

pub use baseline::BaselineStage;

/// The name that stands for the whole pool where a stage asks for its input.
pub const POOL: &str = "pool";

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
    /// What to do with a shard that cannot be read.
    #[serde(default)]
    pub bad_shards: BadShards,
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

/// One stage of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Stage {
    /// Gives every row a score. Removes only rows that cannot be scored.
    Score(ScoreStage),
    /// Keeps rows whose score is good enough.
    Threshold(ThresholdStage),
    /// Keeps the best fraction of rows.
    Fraction(FractionStage),
    /// Keeps the best so many rows.
    Top(TopStage),
    /// Removes rows that mean the same as a preferred row (SemDeDup, arXiv 2303.09540).
    SemanticDedup(SemanticDedupStage),
    /// Keeps more rows of complex concepts than of simple ones (arXiv 2401.04578).
    ConceptPrune(ConceptPruneStage),
    /// Combines the rows of other stages or of subset files.
    Combine(CombineStage),
    /// Keeps the rows that one of DataComp's baselines keeps (arXiv 2304.14108).
    Baseline(BaselineStage),
}

/// A stage that scores rows: by a column, by the cosine of two embeddings, or by a network. Give one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScoreStage {
    /// The stage's name; later stages name the score by it.
    #[serde(default = "defaults::score")]
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

/// A stage that compares a score with a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ThresholdStage {
    /// The stage's name.
    #[serde(default = "defaults::threshold")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score is compared.
    #[serde(default = "defaults::score")]
    pub score: String,
    /// Keeps rows with at least this score. Either this or `at-most`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f32>,
    /// Keeps rows with at most this score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f32>,
}

/// A stage that keeps the best fraction of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FractionStage {
    /// The stage's name.
    #[serde(default = "defaults::fraction")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score decides.
    #[serde(default = "defaults::score")]
    pub score: String,
    /// The fraction of the stage's rows to keep, rounded down; ties go to the smaller id.
    pub fraction: f64,
    /// Which end of the score is the good one.
    #[serde(default)]
    pub better: Direction,
}

/// A stage that keeps the best so many rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TopStage {
    /// The stage's name.
    #[serde(default = "defaults::top")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The score stage whose score decides.
    #[serde(default = "defaults::score")]
    pub score: String,
    /// Rows to keep; ties go to the smaller id.
    pub count: usize,
    /// Which end of the score is the good one.
    #[serde(default)]
    pub better: Direction,
}

/// A stage that removes semantic duplicates. Give at most one of `epsilon`, `fraction`, `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SemanticDedupStage {
    /// The stage's name.
    #[serde(default = "defaults::dedup")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding in which rows are compared.
    pub embedding: String,
    /// Rows whose cosine to a preferred row of their cluster is above `1 - epsilon` go. 0.05 unless
    /// `fraction` or `count` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Keeps the least duplicated fraction of the stage's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Keeps the least duplicated so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What a row is compared with.
    #[serde(default)]
    pub mode: DedupMode,
    /// Which of two duplicates stays: `hard` the one farther from the centroid, `easy` the nearer,
    /// `random` by a hash of its id.
    #[serde(default)]
    pub preference: Preference,
    /// A score stage; of two duplicates the one with the higher score stays. Replaces `preference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer_score: Option<String>,
    /// Before the search, removes rows whose vectors are the same to the bit, but for one: the one
    /// with the higher score where `prefer-score` is given, else the one with the smallest id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact_duplicates: bool,
    /// Compares each row also with so many of the nearest other clusters, and reports how many more
    /// duplicates that found. 0 when left out.
    #[serde(default, skip_serializing_if = "defaults::is_default")]
    pub probes: usize,
    /// Number of clusters; left out, half the square root of the number of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// How to cluster.
    #[serde(default)]
    pub k_means: KMeansRecipe,
    /// What to do with vectors whose length is not 1.
    #[serde(default)]
    pub norm: NormPolicy,
}

/// What a row is compared with when duplicates are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DedupMode {
    /// All preferred rows of its cluster, also those that go (the published code). Any epsilon,
    /// fraction or count can be chosen afterwards.
    #[default]
    Reference,
    /// Preferred rows that stay, so that one row of each group survives (the paper's text). Needs
    /// an `epsilon`.
    Greedy,
}

/// A stage that prunes each concept by its complexity. Give either `fraction` or `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConceptPruneStage {
    /// The stage's name.
    #[serde(default = "defaults::prune")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding whose clusters are the concepts.
    pub embedding: String,
    /// Keeps this fraction of the stage's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Keeps so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What decides a concept's share.
    #[serde(default)]
    pub share: Share,
    /// The published setting that `temperature` and `balance` come from where they are left out.
    #[serde(default)]
    pub preset: Preset,
    /// The softmax temperature of the complexity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of an even quota that every concept is guaranteed, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<f64>,
    /// Nearest other centroids that count for a concept's distance to its neighbours.
    #[serde(default = "defaults::neighbours")]
    pub neighbours: usize,
    /// Which rows of a concept fill its quota.
    #[serde(default)]
    pub preference: Preference,
    /// How the quota is filled from the preferred rows.
    #[serde(default)]
    pub pick: Pick,
    /// Keeps rows by a baseline on the same clusters instead: for comparison with the method. Then
    /// `share`, `preset`, `temperature`, `balance`, `preference` and `pick` do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// Number of clusters; left out, the cube root of the number of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// How to cluster.
    #[serde(default)]
    pub k_means: KMeansRecipe,
    /// What to do with vectors whose length is not 1.
    #[serde(default)]
    pub norm: NormPolicy,
}

/// A stage that combines the rows of other stages, or of subset files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CombineStage {
    /// The stage's name.
    #[serde(default = "defaults::combine")]
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

/// How rows are clustered: spherical k-means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KMeansRecipe {
    /// At most so many iterations.
    pub iterations: usize,
    /// Stop when the objective improves by less than this share of itself.
    pub tolerance: f64,
    /// Where the centroids start.
    pub init: Init,
    /// Train on a random so many rows a cluster (faiss: 256); left out, on all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_rows_per_cluster: Option<usize>,
    /// Mini-batch k-means: move the centroids after so many rows; `iterations` counts passes. Left
    /// out, Lloyd's iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<usize>,
    /// What becomes of a cluster that no row is nearest to.
    #[serde(skip_serializing_if = "defaults::is_default")]
    pub empty_clusters: EmptyClusters,
    /// Where nearest centroids are searched: `cpu`, `wgpu`, `cuda`, `cuda:N`, or `auto` for the best
    /// that is there. Others than `cpu` may choose differently between centroids that are equally
    /// near but for rounding, and need a program built with them.
    #[serde(skip_serializing_if = "defaults::is_default")]
    #[schemars(with = "String")]
    pub device: DeviceName,
}

impl Default for KMeansRecipe {
    fn default() -> Self {
        Self {
            iterations: 50,
            tolerance: 1e-5,
            init: Init::default(),
            train_rows_per_cluster: None,
            batch_rows: None,
            empty_clusters: EmptyClusters::default(),
            device: DeviceName::default(),
        }
    }
}

mod defaults {
    use super::SubsetFormat;

    pub(super) fn formats() -> Vec<SubsetFormat> {
        vec![SubsetFormat::Npy, SubsetFormat::Parquet]
    }

    pub(super) fn yes() -> bool {
        true
    }

    pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
        *value == T::default()
    }

    pub(super) fn neighbours() -> usize {
        20
    }

    macro_rules! names {
        ($($function:ident: $name:literal),* $(,)?) => {$(
            pub(super) fn $function() -> String {
                $name.to_owned()
            }
        )*};
    }
    names!(
        name: "curation", score: "score", threshold: "threshold", fraction: "fraction", top: "top",
        dedup: "dedup", prune: "prune", combine: "combine", baseline: "baseline",
    );
}

macro_rules! each_stage {
    ($stage:expr, $s:ident => $value:expr) => {
        match $stage {
            Stage::Score($s) => $value,
            Stage::Threshold($s) => $value,
            Stage::Fraction($s) => $value,
            Stage::Top($s) => $value,
            Stage::SemanticDedup($s) => $value,
            Stage::ConceptPrune($s) => $value,
            Stage::Combine($s) => $value,
            Stage::Baseline($s) => $value,
        }
    };
}

impl Stage {
    /// The stage's name.
    pub fn name(&self) -> &str {
        each_stage!(self, s => &s.name)
    }

    /// The kind, as recipes write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Score(_) => "score",
            Self::Threshold(_) => "threshold",
            Self::Fraction(_) => "fraction",
            Self::Top(_) => "top",
            Self::SemanticDedup(_) => "semantic-dedup",
            Self::ConceptPrune(_) => "concept-prune",
            Self::Combine(_) => "combine",
            Self::Baseline(_) => "baseline",
        }
    }

    /// How this stage clusters, if it does.
    pub fn k_means(&self) -> Option<&KMeansRecipe> {
        match self {
            Self::SemanticDedup(s) => Some(&s.k_means),
            Self::ConceptPrune(s) => Some(&s.k_means),
            _ => None,
        }
    }

    fn k_means_mut(&mut self) -> Option<&mut KMeansRecipe> {
        match self {
            Self::SemanticDedup(s) => Some(&mut s.k_means),
            Self::ConceptPrune(s) => Some(&mut s.k_means),
            _ => None,
        }
    }

    /// Clusters on another device; does nothing to a stage that does not cluster.
    pub fn set_device(&mut self, device: DeviceName) {
        if let Some(k_means) = self.k_means_mut() {
            k_means.device = device;
        }
    }

    /// The score stages that this stage reads.
    pub fn scores(&self) -> Vec<&str> {
        match self {
            Self::Threshold(s) => vec![&s.score],
            Self::Fraction(s) => vec![&s.score],
            Self::Top(s) => vec![&s.score],
            Self::SemanticDedup(s) => s.prefer_score.as_deref().into_iter().collect(),
            _ => vec![],
        }
    }

    /// The sets that this stage takes its rows from; empty for the stage before.
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Self::Combine(s) => s.of.iter().map(String::as_str).collect(),
            Self::Score(s) => s.from.as_deref().into_iter().collect(),
            Self::Threshold(s) => s.from.as_deref().into_iter().collect(),
            Self::Fraction(s) => s.from.as_deref().into_iter().collect(),
            Self::Top(s) => s.from.as_deref().into_iter().collect(),
            Self::SemanticDedup(s) => s.from.as_deref().into_iter().collect(),
            Self::ConceptPrune(s) => s.from.as_deref().into_iter().collect(),
            Self::Baseline(s) => s.from.as_deref().into_iter().collect(),
        }
    }
}

/// True for a source that is a file, not a stage.
pub(crate) fn is_file(source: &str) -> bool {
    source.contains('.') || source.contains('/')
}

impl Recipe {
    /// Opens the recipe's pool.
    pub(crate) fn open_pool(&self, progress: &dyn Progress) -> Result<Pool, Error> {
        let options = PoolOptions { format: self.pool.format, bad_shards: self.pool.bad_shards };
        Ok(Pool::open_with(&self.pool.path, options, &self.embeddings(), progress)?)
    }

    /// The embeddings that the stages read.
    pub(crate) fn embeddings(&self) -> Vec<&str> {
        fn of(stage: &Stage) -> Vec<&str> {
            match stage {
                Stage::Score(s) => s.cosine.iter().flatten().map(String::as_str).collect(),
                Stage::SemanticDedup(s) => vec![&s.embedding],
                Stage::ConceptPrune(s) => vec![&s.embedding],
                Stage::Baseline(s) if s.rule.reads_features() => vec![FEATURES],
                _ => vec![],
            }
        }
        self.stages.iter().flat_map(of).collect()
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
