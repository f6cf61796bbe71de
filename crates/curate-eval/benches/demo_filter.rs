//! How well a network tells right captions from wrong ones on the demonstration pool:
//! `cargo run --release -p curate-eval --example demo_filter -- NETWORK POOL RESULTS.json`.
//!
//! The pool says which captions were planted. The bars were set before the first network was
//! trained.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use curate_core::{NoProgress, Selection};
use curate_dfn::{
    Network,
    filter::{card::FilterCard, score_pairs},
};
use curate_eval::{EvalError, metrics::auroc};
use curate_io::{Pool, PoolOptions};
use serde_json::json;

/// AUROC of original against swapped captions.
const AUROC: f64 = 0.60;
/// Share of the swapped captions among the `LOWEST` of all scores.
const SWAPPED_LOWEST: f64 = 0.40;
const LOWEST: f64 = 0.30;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [network_folder, pool, results] = &args[..] else {
        return Err("give the network's folder, the pool and the results' file".into());
    };
    let folder = Path::new(network_folder);
    let network = Network::open(folder)?;
    let pool = Pool::open(Path::new(pool), PoolOptions::default(), &NoProgress)?;
    let faulty: Vec<usize> = pool.faults().iter().map(|(row, _)| *row).collect();
    let rows = Selection::all(pool.len()).minus(&Selection::from_unsorted(faulty));
    let all_kinds = pool.labels("caption_kind")?;
    let mut scored = Vec::new();
    let found = score_pairs(&network, &pool, &rows, &NoProgress)?;
    if let Some(pair) = found.bad().first() {
        return Err(format!("row {}: {}", pair.row, pair.bad.reason).into());
    }
    for (row, &score) in rows.iter().zip(found.scores()) {
        scored.push((score, all_kinds[row].clone().unwrap_or_default()));
    }
    let against = |kind: &str| -> Result<Option<f64>, EvalError> {
        let of = scored.iter().filter(|(_, k)| k == kind || k == "original");
        let (scores, right): (Vec<f32>, Vec<bool>) =
            of.map(|(score, k)| (*score, k == "original")).unzip();
        auroc(&scores, &right)
    };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    scored.iter().for_each(|(_, kind)| *kinds.entry(kind).or_default() += 1);
    let mut sorted: Vec<f32> = scored.iter().map(|(score, _)| *score).collect();
    sorted.sort_by(f32::total_cmp);
    let border = sorted[(LOWEST * sorted.len() as f64) as usize];
    let lowest = |kind: &str| {
        let of = scored.iter().filter(|(_, k)| k == kind);
        of.filter(|(score, _)| *score < border).count() as f64 / kinds[kind] as f64
    };
    let card: FilterCard = serde_json::from_slice(&fs::read(folder.join("filter_card.json"))?)?;
    let training = card.training.as_ref().ok_or("the network has no training on its card")?;
    let mut by_kind = BTreeMap::new();
    for (&kind, rows) in kinds.iter().filter(|(kind, _)| **kind != "original") {
        let found = json!({"rows": rows, "auroc": against(kind)?, "among_lowest": lowest(kind)});
        by_kind.insert(kind, found);
    }
    let found = (against("swapped")?.unwrap_or(0.0), lowest("swapped"));
    let report = json!({
        "command": "cargo xtask repro demo-filter",
        "digest": card.digest,
        "bytes": fs::metadata(folder.join("open_clip_model.safetensors"))?.len(),
        "pairs": training.pairs,
        "steps": training.params.steps,
        "batch": training.params.batch,
        "rows": scored.len(),
        "lowest": LOWEST,
        "kinds": by_kind,
        "bars": {"auroc_swapped": AUROC, "swapped_among_lowest": SWAPPED_LOWEST},
        "passed": {"auroc_swapped": found.0 >= AUROC, "swapped_among_lowest": found.1 >= SWAPPED_LOWEST},
    });
    fs::write(results, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
