//! The paper's claims in small, on the demonstration pool:
//! `cargo run --release -p curate-eval --example dfn_small -- POOL RESULTS.json IMAGE.svg [SEEDS]`.
//! With `RESULTS.json IMAGE.svg` alone it draws the picture again.
//!
//! The protocol (roles of the sources, arms, metrics, sizes) is fixed in `protocol.rs`.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the command line")]

mod arms;
mod plot;
mod protocol;

use std::{error::Error, fs, path::Path, time::Instant};

use serde_json::{Value, json};

use arms::{Outcome, SeedResult};
use curate_eval::metrics::spread as spread_of;
use protocol::Data;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (pool, results, picture) = match &args[..] {
        [results, picture] => {
            let report = serde_json::from_slice(&fs::read(results)?)?;
            return Ok(fs::write(picture, plot::scatter(&report))?);
        }
        [pool, results, picture, ..] => (pool, results, picture),
        _ => return Err("give the pool, the results' file and the picture's".into()),
    };
    let seeds: u64 = args.get(3).map_or(Ok(protocol::SEEDS), |text| text.parse())?;
    let started = Instant::now();
    let data = Data::load(Path::new(pool))?;
    eprintln!("{}", data.summary());
    let mut of_seeds = Vec::new();
    for seed in 0..seeds {
        of_seeds.push(arms::run(&data, seed)?);
        eprintln!("seed {seed} done after {:.0} s", started.elapsed().as_secs_f64());
    }
    let report = report(&data, &of_seeds);
    fs::write(results, serde_json::to_string_pretty(&report)? + "\n")?;
    fs::write(picture, plot::scatter(&report))?;
    println!("wrote {results} and {picture}");
    Ok(())
}

/// Mean, spread, and the mean difference to no filter, seed by seed.
fn report(data: &Data, of_seeds: &[SeedResult]) -> Value {
    json!({
        "command": "cargo xtask repro dfn-small",
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
