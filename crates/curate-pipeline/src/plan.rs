//! What a run will need, before it starts.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use curate_core::{EmbeddingSource, Progress, rank::fraction_of};
use curate_dfn::{filter::EMBEDDED_TOGETHER, network::read_folder};
use curate_io::Pool;
use serde::Serialize;

use crate::{Error, Recipe, recipe::Stage, stages};

/// What a run will need. Rows and everything that follows from them are upper bounds where a stage
/// does not say how many rows it keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Rows of the pool.
    pub rows: usize,
    /// Bytes of the pool's files.
    pub pool_bytes: u64,
    /// The stages, in order.
    pub stages: Vec<StagePlan>,
    /// Bytes of memory at the most.
    pub memory: u64,
    /// Bytes that the run folder will hold, without the report's images.
    pub disk: u64,
    /// Floating-point operations.
    pub operations: f64,
}

/// What a stage will need.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// The stage's name.
    pub name: String,
    /// Its rule in words.
    pub rule: String,
    /// Rows that it is given, at most.
    pub rows: usize,
    /// Bytes of embeddings that it reads, in single precision.
    pub reads: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Floating-point operations.
    pub operations: f64,
}

/// Bytes that the run folder holds for each row and stage: the measured size of `rows.parquet`.
const DISK_PER_ROW: u64 = 24;

/// Bytes that a stage's verdicts take in memory for each row.
const MEMORY_PER_ROW: u64 = 48;

/// Plans a run: opens the pool, computes nothing.
///
/// # Errors
/// When the pool cannot be read, or has not what the recipe names.
pub fn plan(recipe: &Recipe, progress: &dyn Progress) -> Result<Plan, Error> {
    let pool = recipe.open_pool(progress)?;
    let mut rows = pool.len() - pool.faults().len();
    let mut plans: Vec<StagePlan> = Vec::new();
    for (index, stage) in recipe.stages.iter().enumerate() {
        let given = input_rows(recipe, &plans, index, pool.len() - pool.faults().len());
        let stage = stages::resolve(stage, given);
        let plan = plan_stage(&stage, given, &pool)?;
        rows = rows.max(plan.rows);
        plans.push(plan);
    }
    let verdicts = MEMORY_PER_ROW * (pool.len() * plans.len().max(1)) as u64;
    let ids = 40 * pool.len() as u64;
    let largest = plans.iter().map(|p| p.memory).max().unwrap_or(0);
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    Ok(Plan {
        rows: pool.len(),
        pool_bytes: pool.files().iter().map(size).sum(),
        memory: verdicts + ids + largest,
        disk: DISK_PER_ROW * (rows * (plans.len() + 2)) as u64,
        operations: plans.iter().map(|p| p.operations).sum(),
        stages: plans,
    })
}

fn input_rows(recipe: &Recipe, plans: &[StagePlan], index: usize, all: usize) -> usize {
    let kept = |i: usize| kept_rows(&recipe.stages[i], plans[i].rows);
    match recipe.stages[index].sources().as_slice() {
        [] => index.checked_sub(1).map_or(all, kept),
        [one] => recipe.stages[..index].iter().position(|s| s.name() == *one).map_or(all, kept),
        _ => all,
    }
}

/// Rows that a stage leaves, at most.
fn kept_rows(stage: &Stage, given: usize) -> usize {
    let (fraction, count) = match stage {
        Stage::Fraction(s) => (Some(s.fraction), None),
        Stage::Top(s) => (None, Some(s.count)),
        Stage::SemanticDedup(s) => (s.fraction, s.count),
        Stage::ConceptPrune(s) => (s.fraction, s.count),
        _ => (None, None),
    };
    fraction.map_or(given, |f| fraction_of(given, f)).min(count.unwrap_or(given))
}

fn plan_stage(stage: &Stage, rows: usize, pool: &Pool) -> Result<StagePlan, Error> {
    let dim = |name: &str| Ok::<_, Error>(pool.embedding(name)?.dim() as u64);
    let (reads, memory, operations) = match stage {
        Stage::Score(s) => match (&s.cosine, &s.network) {
            (Some([a, b]), _) => {
                let bytes = 4 * rows as u64 * (dim(a)? + dim(b)?);
                (bytes, block_bytes(rows, dim(a)? + dim(b)?), 6.0 * bytes as f64 / 4.0)
            }
            (_, Some(network)) => network_cost(network, rows, pool)?,
            _ => (0, 4 * pool.len() as u64, 0.0),
        },
        Stage::SemanticDedup(s) => {
            let (d, k) = (dim(&s.embedding)?, s.clusters.unwrap_or(1));
            let kmeans =
                kmeans_cost(rows, k, d, s.k_means.iterations, s.k_means.train_rows_per_cluster);
            // Clusters of even size; two copies of the vectors of the clusters in work.
            let size = rows as f64 / k as f64;
            let threads = rayon::current_num_threads() as f64;
            let in_work = (2.0 * size * threads).min(2.0 * rows as f64) * 4.0 * d as f64;
            let pairs = rows as f64 * size * d as f64;
            (kmeans.0, kmeans.1 + in_work as u64, kmeans.2 + pairs)
        }
        Stage::ConceptPrune(s) => {
            let (d, k) = (dim(&s.embedding)?, s.clusters.unwrap_or(1));
            kmeans_cost(rows, k, d, s.k_means.iterations, s.k_means.train_rows_per_cluster)
        }
        _ => (0, 0, 0.0),
    };
    let rule = stages::in_words(stage);
    Ok(StagePlan { name: stage.name().to_owned(), rule, rows, reads, memory, operations })
}

/// Bytes read, bytes of memory and operations of embedding pairs: the weights as they are on disk and
/// packed, and some hundred pictures.
fn network_cost(folder: &Path, rows: usize, pool: &Pool) -> Result<(u64, u64, f64), Error> {
    let (config, weights) = read_folder(folder)?;
    let model = &config.model_cfg;
    let numbers: usize = weights.arrays().values().map(|array| array.data.len()).sum();
    let side = model.vision_cfg.image_size;
    let pictures = EMBEDDED_TOGETHER.min(rows) * 3 * side * side;
    let memory = 4 * (2 * numbers + 2 * pictures) as u64;
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    let read = pool.files().iter().map(size).sum();
    Ok((read, memory, rows as f64 * model.operations_per_pair()))
}

/// Each thread holds one block.
fn block_bytes(rows: usize, dim: u64) -> u64 {
    let held = curate_core::BLOCK_ROWS * rayon::current_num_threads();
    4 * dim * held.min(rows) as u64
}

/// Bytes read, bytes of memory and operations of k-means, all iterations used.
fn kmeans_cost(
    rows: usize,
    k: usize,
    dim: u64,
    iterations: usize,
    train: Option<usize>,
) -> (u64, u64, f64) {
    let trained = train.map_or(rows, |train| (train * k).min(rows));
    let passes = trained as u64 * iterations as u64 + rows as u64;
    let centroids = k as u64 * dim * (4 + 4 + 8);
    (
        4 * dim * passes,
        block_bytes(rows, dim) + centroids,
        2.0 * passes as f64 * k as f64 * dim as f64,
    )
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pool: {} rows, {}", self.rows, bytes(self.pool_bytes))?;
        for stage in &self.stages {
            writeln!(f, "  {:<10} at most {:>12} rows   {}", stage.name, stage.rows, stage.rule)?;
            if stage.reads > 0 {
                writeln!(
                    f,
                    "  {:<10} reads at most {}, {} of memory, {:.1} GFLOP",
                    "",
                    bytes(stage.reads),
                    bytes(stage.memory),
                    stage.operations / 1e9
                )?;
            }
        }
        writeln!(f, "memory: at most {}", bytes(self.memory))?;
        writeln!(
            f,
            "disk:   about {} in the run folder, and the report's images",
            bytes(self.disk)
        )?;
        writeln!(f, "work:   at most {:.1} GFLOP", self.operations / 1e9)
    }
}

/// A number of bytes for people.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}
