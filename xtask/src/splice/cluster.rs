//! Tables of `benches/cluster`.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{classes, fixed, read, text};

pub(super) fn part(root: &Path, name: &str) -> Result<Value> {
    let report = read(root, "benches/cluster/results.json")?;
    let part = report["parts"].get(name).cloned();
    part.with_context(|| format!("benches/cluster/results.json has no part `{name}`"))
}

/// Times as fast as the peers.
pub(super) fn speed(root: &Path) -> Result<String> {
    let mut out = String::from(
        "| beside | with 8-bit integers | f32, AVX-512 | f32, AVX2 |\n|---|---|---|---|\n",
    );
    let mut row = |name: &str, section: &Value, keys: [&str; 3]| {
        let cells = keys.map(|key| fixed(&section["ratios"][key], 1)).join(" | ");
        out += &format!("| {name} | {cells} |\n");
    };
    let whole = ["faiss_over_ours", "faiss_over_ours_f32", "faiss_over_ours_avx2"];
    let each = [
        "faiss_over_ours_an_iteration",
        "faiss_over_ours_f32_an_iteration",
        "faiss_over_ours_avx2_an_iteration",
    ];
    let overlap = part(root, "k-means-1024-overlap")?;
    row("faiss, k-means, 1,024 clusters, rows that keep moving", &overlap, whole);
    for (clusters, name) in [("1,024", "k-means-1024"), ("4,096", "k-means-4096")] {
        let section = part(root, name)?;
        row(&format!("faiss, k-means, {clusters} clusters, an iteration"), &section, each);
        let stops = &section["ours_notes"]["ours"]["iterations"];
        let name = format!(
            "the same, whole runs: ours stops by itself after {stops} iterations, faiss at 20"
        );
        row(&name, &section, whole);
    }
    let assign = part(root, "assign")?;
    let sgemm = ["ours_share_of_sgemm", "ours_f32_share_of_sgemm", "ours_avx2_share_of_sgemm"];
    row("numpy's matrix product, for one assignment to 1,024 clusters", &assign, sgemm);
    let torch = ["torch_over_ours", "torch_over_ours_f32", "torch_over_ours_avx2"];
    row(
        "torch, the published deduplication, 50 clusters of 2,000 rows",
        &part(root, "dedup")?,
        torch,
    );
    out += &recorded(root)?;
    Ok(out)
}

/// On which processors the parts were recorded, and under what load where that was not low.
fn recorded(root: &Path) -> Result<String> {
    let report = read(root, "benches/cluster/results.json")?;
    let mut on: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, part) in report["parts"].as_object().into_iter().flatten() {
        let processor = text(&part["machine"]["processor"]);
        let load = match part.get("load_before") {
            Some(_) => "a quiet machine",
            None => "a machine that had other work",
        };
        on.entry(format!("{processor}, {load}")).or_default().push(name);
    }
    let lines = on.into_iter().map(|(on, parts)| format!("\nOn {on}: {}.\n", parts.join(", ")));
    Ok(lines.collect())
}

/// What else the peers showed.
pub(super) fn beside(root: &Path) -> Result<String> {
    let (k, dedup) = (part(root, "k-means-1024")?, part(root, "dedup")?);
    let (overlap, large) = (part(root, "k-means-1024-overlap")?, part(root, "k-means-4096")?);
    let inertia = |section: &Value| fixed(&section["ratios"]["inertia_ours_over_faiss"], 6);
    let same = [&k, &overlap, &large]
        .iter()
        .all(|s| s["same_bytes_on_every_instruction_set"] == Value::Bool(true));
    Ok(format!(
        "Inertia, ours over faiss: {} and {} with 1,024 clusters, {} with 4,096. Centroids have the \
         same bytes in all three columns: {}. scikit-learn's Lloyd iterations took {} times as long \
         as ours (Euclidean, 1,024 clusters), linfa's {} times (20,000 rows, 128 \
         clusters). Deduplication held {} MiB in all, {} more than before its \
         first cluster; torch {} and {}, its libraries among the first.\n",
        inertia(&k),
        inertia(&overlap),
        inertia(&large),
        if same { "yes" } else { "no" },
        fixed(&k["ratios"]["sklearn_over_ours_euclidean"], 1),
        fixed(&part(root, "linfa")?["ratios"]["linfa_over_ours"], 1),
        fixed(&dedup["median"]["ours"]["peak_mib"], 0),
        fixed(&dedup["median"]["ours"]["working_mib"], 0),
        fixed(&dedup["median"]["torch"]["peak_mib"], 0),
        fixed(&dedup["median"]["torch"]["working_mib"], 0),
    ))
}

/// The records of `real.py`, by class of processors, by name.
pub(super) fn records(root: &Path) -> Result<Vec<(String, Value)>> {
    classes::records(root, "benches/cluster/real")
}

/// How ours was run on a processor, by how its ratios end.
const KINDS: [(&str, &str); 3] =
    [("", ""), ("_f32", ", without 8-bit integers"), ("_avx2", ", as without AVX-512")];

/// A start by levels beside SuperKMeans' hierarchical mode, by class of processors.
pub(super) fn levels(root: &Path) -> Result<String> {
    let parts = [
        ("levels-fashion-1024", "Fashion-MNIST, 1,024 clusters"),
        ("levels-clip-1024", "made like CLIP features, 1,024 clusters"),
        ("levels-clip1m-16384", "a million rows of that kind, 16,384 clusters"),
    ];
    let mut out = String::from(
        "| processor | data | training alone | its inertia over theirs | with one exact pass and the \
         assignment | its inertia over theirs |\n|---|---|---|---|---|---|\n",
    );
    for (class, record) in records(root)? {
        for (part, data) in parts {
            let ratios = &record["parts"][part]["ratios"];
            if ratios.is_null() {
                continue;
            }
            let cells = ["levels", "levels_and_a_pass"].map(|side| {
                let speed = &ratios[format!("hierarchical_over_{side}").as_str()];
                let inertia = &ratios[format!("inertia_{side}_over_hierarchical_below").as_str()];
                format!("{} | {}", fixed(speed, 1), fixed(inertia, 3))
            });
            out += &format!("| {class} | {data} | {} |\n", cells.join(" | "));
        }
    }
    Ok(out)
}

/// Times as fast as the peers on data that nobody made for it, by class of processors.
pub(super) fn real(root: &Path) -> Result<String> {
    let parts = [
        ("fashion-256", "Fashion-MNIST, 256 clusters"),
        ("fashion-1024", "Fashion-MNIST, 1,024 clusters"),
        ("fashion-4096", "Fashion-MNIST, 4,096 clusters"),
        ("pictures-1024", "the demonstration's pictures, 1,024 clusters"),
        ("captions-1024", "its captions, 1,024 clusters"),
        ("clip-1024", "made like CLIP features, 1,024 clusters"),
        ("clip-4096", "made like CLIP features, 4,096 clusters"),
        ("white-1024", "white, 1,024 clusters"),
    ];
    let mut out = String::from(
        "| processor | data | beside SuperKMeans | beside faiss |\n|---|---|---|---|\n",
    );
    for (class, record) in records(root)? {
        for (kind, how) in KINDS {
            for (part, data) in parts {
                let ratios = &record["parts"][part]["ratios"];
                let [superkmeans, faiss] = ["superkmeans", "faiss"]
                    .map(|peer| &ratios[format!("{peer}_over_ours{kind}").as_str()]);
                if !faiss.is_null() {
                    let (superkmeans, faiss) = (fixed(superkmeans, 1), fixed(faiss, 1));
                    out += &format!("| {class}{how} | {data} | {superkmeans} | {faiss} |\n");
                }
            }
        }
    }
    Ok(out)
}

/// Cost and memory by the number of rows.
pub(super) fn scale(root: &Path) -> Result<String> {
    let scale = part(root, "scale")?;
    let mut out = String::from(
        "| rows | cluster | dedup | prune | microseconds a row | peak memory |\n|---|---|---|---|---|---|\n",
    );
    for run in scale["curve"].as_array().context("the curve is a list")? {
        let seconds = |stage: &str| fixed(&run["seconds"][stage], 1);
        out += &format!(
            "| {} | {} s | {} s | {} s | {} | {} MiB |\n",
            run["rows"],
            seconds("cluster"),
            seconds("dedup"),
            seconds("prune"),
            fixed(&run["microseconds_a_row"], 0),
            fixed(&run["peak_mib"], 0),
        );
    }
    Ok(out)
}
