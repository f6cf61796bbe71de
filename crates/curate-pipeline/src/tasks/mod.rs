//! A run in tasks, for several processes or machines that share a folder, with the bytes of one process.
//!
//! [`plan`] cuts the pool into ranges of rows and writes down the steps of every stage. A task, one of
//! the tasks of a step, is a pure function of the plan, the pool and the artefacts of earlier steps;
//! [`Worker::run`] carries one out, in any order that the steps allow, any number of times, on any
//! machine, and leaves one artefact with its digest. A stage's last step leaves what [`crate::run()`]
//! leaves, in a run folder that is not to be told from one that a single process wrote.
//!
//! ```text
//! plan/
//!   plan.json          ranges, steps, estimates; what the pool and the files are
//!   recipe.toml        the recipe with absolute paths
//!   pool.json          the pool's files and their digests
//!   pool.listing       its ids, and rows that cannot be used
//!   parts/STEP/NNNNN.part      the artefact of a task
//!   parts/STEP/NNNNN.json      written after it; makes it count
//!   run/               the run folder
//! ```

mod artefact;
mod clustered;
mod graph;
mod known;
mod local;
mod plan;
mod site;
mod slurm;
mod status;
mod upkeep;
mod worker;

pub use graph::{Estimate, Step, Task};
pub use local::{resume, run_in_tasks};
pub use plan::{Part, TaskPlan, plan};
pub use slurm::{SlurmOptions, slurm};
pub use status::{State, Status, StepStatus, status};
pub use upkeep::{Collected, Verdict, collect, verify};
pub use worker::{Done, Worker};
