//! What a run will need, before it starts.

use std::{fmt, path::PathBuf};

use curate_core::Progress;
use curate_report::counted;
use serde::Serialize;

use crate::{
    Error, Recipe,
    recipe::EvaluateRecipe,
    stage::{Cost, Source},
};

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
    /// Trainings that follow, which are not part of these numbers.
    pub trainings: u64,
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

/// Bytes of memory for each row of the pool: its id, twice while shards are opened, and what the stage
/// that is carried out or shown says of it.
const MEMORY_PER_ROW: u64 = 48;

/// Bytes of memory for each row and stage: the rows that a stage leaves, and what its cut sorts.
const MEMORY_PER_ROW_AND_STAGE: u64 = 16;

/// Bytes of memory whatever the pool: the program, a part of each stage's rows, and for every thread
/// blocks of a table and what the allocator keeps for it.
const MEMORY_FIXED: u64 = 48 << 20;
const MEMORY_PER_THREAD: u64 = 16 << 20;

/// Bytes of memory for the images that the report shows of a stage, and how often each byte is held.
const MEMORY_IMAGES: u64 = 96 << 20;
const COPIES_OF_IMAGES: u64 = 3;

/// Plans a run: opens the pool, computes nothing.
///
/// # Errors
/// When the pool cannot be read, or has not what the recipe names.
pub fn plan(recipe: &Recipe, progress: &dyn Progress) -> Result<Plan, Error> {
    let pool = recipe.open_pool(progress)?;
    let usable = pool.len() - pool.faults().len();
    let mut plans: Vec<StagePlan> = Vec::new();
    // Rows that each stage leaves, at most.
    let mut left: Vec<usize> = Vec::new();
    for (index, stage) in recipe.stages.iter().enumerate() {
        let given = given(recipe, &left, index, usable);
        let stage = stage.completed(given);
        let method = stage.resolve()?;
        let Cost { reads, memory, operations } = method.cost(given, &pool)?;
        let (name, rule) = (stage.name().to_owned(), method.in_words());
        left.push(method.leaves(given));
        plans.push(StagePlan { name, rule, rows: given, reads, memory, operations });
    }
    let rows = plans.iter().map(|p| p.rows).fold(usable, usize::max);
    let stages = plans.len() as u64;
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    let pool_bytes: u64 = pool.files().iter().map(size).sum();
    let images = match recipe.output.report && recipe.output.images && pool.may_have_images() {
        true => (MEMORY_IMAGES * stages).min(COPIES_OF_IMAGES * pool_bytes),
        false => 0,
    };
    let largest = plans.iter().map(|p| p.memory).max().unwrap_or(0);
    Ok(Plan {
        rows: pool.len(),
        pool_bytes,
        memory: fixed_memory(pool.len(), plans.len()) + images + largest,
        disk: DISK_PER_ROW * (rows * (plans.len() + 2)) as u64,
        operations: plans.iter().map(|p| p.operations).sum(),
        trainings: recipe.evaluate.as_ref().map_or(0, EvaluateRecipe::trainings),
        stages: plans,
    })
}

/// Bytes of memory for a pool of so many rows and so many stages, whatever the stages do.
pub(crate) fn fixed_memory(rows: usize, stages: usize) -> u64 {
    let per_row = MEMORY_PER_ROW + MEMORY_PER_ROW_AND_STAGE * stages as u64;
    let threads = rayon::current_num_threads() as u64;
    MEMORY_FIXED + MEMORY_PER_THREAD * threads + per_row * rows as u64
}

/// Rows that a stage is given, at most, where `left` are those that the stages before it leave.
pub(crate) fn given(recipe: &Recipe, left: &[usize], index: usize, usable: usize) -> usize {
    match recipe.stages[index].sources().as_slice() {
        [Source::Before] => left.last().copied().unwrap_or(usable),
        [Source::Named(name)] => {
            let stage = recipe.stages[..index].iter().position(|stage| stage.name() == *name);
            stage.map_or(usable, |stage| left[stage])
        }
        _ => usable,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = counted(self.rows as u64, "row");
        writeln!(f, "pool: {rows}, {}", bytes(self.pool_bytes))?;
        for stage in &self.stages {
            let rows = counted(stage.rows as u64, "row");
            writeln!(f, "  {:<10} at most {rows:>17}   {}", stage.name, stage.rule)?;
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
        writeln!(f, "work:   at most {:.1} GFLOP", self.operations / 1e9)?;
        match self.trainings {
            0 => Ok(()),
            trainings => writeln!(f, "then:   {} (`[evaluate]`)", counted(trainings, "training")),
        }
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
