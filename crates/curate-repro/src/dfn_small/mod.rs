//! Does filtering help? The claims of the paper on data filtering networks (Fang et al. 2023, arXiv 2309.17425) in
//! small, on the demonstration pool.
//!
//! The protocol (roles of the sources, arms, metrics, sizes) is fixed in `protocol.rs`.

mod arms;
mod plot;
pub(crate) mod protocol;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::write;
use arms::SeedResult;
use curate_eval::metrics::spread as spread_of;
use protocol::Data;

pub(crate) use arms::{Outcome, answer, best, random_rows};

/// Runs all arms with all seeds on `data/pool` below `root` and writes the result file and the picture there.
/// Returns the file.
///
/// # Errors
/// When the pool is missing, or a file cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let data = Data::load(root)?;
    let of_seeds = (0..protocol::SEEDS).map(|seed| arms::run(&data, seed));
    let report = report(&data, &of_seeds.collect::<Result<Vec<_>>>()?);
    let picture = root.join("docs/src/img/dfn-small.svg");
    fs::write(&picture, plot::scatter(&report)).with_context(|| picture.display().to_string())?;
    write(root, "dfn-small", &report)
}

/// Mean, spread, and the mean difference to no filter, seed by seed.
fn report(data: &Data, of_seeds: &[SeedResult]) -> Value {
    json!({
        "kind": "scaled-down",
        "protocol": protocol::describe(data),
        "seeds": of_seeds.len(),
        "arms": arms(of_seeds),
        "filters": filters(of_seeds),
    })
}

fn spread(values: &[f64]) -> Value {
    let (mean, sd) = spread_of(values).map_or((f64::NAN, 0.0), |s| (s.mean, s.deviation));
    json!({"mean": mean, "sd": sd, "values": values})
}

/// What each arm learned.
fn arms(of_seeds: &[SeedResult]) -> Vec<Value> {
    of_seeds[0]
        .arms
        .iter()
        .enumerate()
        .map(|(i, arm)| {
            let values = |of: fn(&Outcome) -> f64| -> Vec<f64> {
                of_seeds.iter().map(|seed| of(&seed.arms[i].outcome)).collect()
            };
            let primary = values(|o| o.subcategory);
            let none: Vec<f64> = of_seeds.iter().map(|s| s.arms[0].outcome.subcategory).collect();
            let paired: Vec<f64> = primary.iter().zip(&none).map(|(a, b)| a - b).collect();
            json!({
                "arm": arm.name,
                "rows": arm.rows,
                "subcategory": spread(&primary),
                "against_no_filter": spread(&paired),
                "subcategory_unseen": spread(&values(|o| o.subcategory_unseen)),
                "recall_seen": spread(&values(|o| o.recall_seen)),
                "recall_unseen": spread(&values(|o| o.recall_unseen)),
                "precision": arm.precision.map(|_| {
                    let of: Vec<f64> =
                        of_seeds.iter().filter_map(|seed| seed.arms[i].precision).collect();
                    spread(&of)
                }),
            })
        })
        .collect()
}

/// How well each filter network judges.
fn filters(of_seeds: &[SeedResult]) -> Vec<Value> {
    of_seeds[0]
        .filters
        .iter()
        .enumerate()
        .map(|(i, filter)| {
            let kinds: Vec<Value> = filter
                .auroc
                .iter()
                .enumerate()
                .map(|(k, (kind, _))| {
                    let of: Vec<f64> =
                        of_seeds.iter().map(|seed| seed.filters[i].auroc[k].1).collect();
                    json!({"kind": kind, "auroc": spread(&of)})
                })
                .collect();
            let own: Vec<f64> =
                of_seeds.iter().filter_map(|seed| seed.filters[i].own_accuracy).collect();
            let own = (!own.is_empty()).then(|| spread(&own));
            json!({"filter": filter.name, "kinds": kinds, "own_subcategory": own})
        })
        .collect()
}
