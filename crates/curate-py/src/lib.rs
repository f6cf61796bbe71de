//! The Python package `curate`: this is its private module, and `python/curate` the rest.
//!
//! Classes and functions are thin: they take Python's arguments (`input`), hand them to the library
//! without the interpreter's lock (`watch`), and hold what it answers.

mod asked;
mod baseline;
mod cluster;
mod dedup;
mod embedding;
mod errors;
mod input;
mod json;
mod law_fit;
mod network;
mod pickle;
mod pool;
mod program;
mod prune;
mod recipe;
mod run;
mod scaling;
mod scored;
mod selected;
mod subset;
mod table;
mod tasks;
mod threads;
mod watch;

/// What is written in Rust of the package `curate`.
#[pyo3::pymodule]
mod _curate {
    #[pymodule_export]
    use crate::{
        baseline::{Baseline, BaselineSubset},
        cluster::{PyClusters, assign, kmeans},
        dedup::{Deduplicated, Group, SemanticDedup},
        embedding::PoolEmbedding,
        law_fit::LawFit,
        network::{Pairs, PyNetwork},
        pool::{PyPool, PySample, inspect, reshard},
        program::program,
        prune::{ConceptPrune, Pruned},
        recipe::PyRecipe,
        run::{PyExplanation, PyReselection, PyRun, compare, explain, run},
        scaling::{fit_law, laws},
        scored::{Scored, select},
        selected::{Reason, Selected},
        subset::{
            as_ids, id_texts, intersect, key_ids, minus, read_subset, subset_info, union,
            write_subset,
        },
        table::Table,
        tasks::{PyPlan, PyStatus, PyStep, PyWorker, plan_tasks},
        threads::{set_threads, threads},
    };
}
