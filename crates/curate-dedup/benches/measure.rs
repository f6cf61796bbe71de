//! Times clustering, deduplication and pruning for `benches/cluster/run.py`; prints one JSON object.
//!
//! ```text
//! measure k-means ROWS.npy START.npy ITERATIONS spherical|euclidean CENTROIDS-OUT.npy
//! measure levels  ROWS.npy CLUSTERS ITERATIONS spherical|euclidean CENTROIDS-OUT.npy
//! measure assign  ROWS.npy CENTROIDS.npy REPEATS
//! measure dedup   ROWS.npy ROWS-A-CLUSTER
//! measure scale   ROWS.npy CLUSTERS ITERATIONS
//! ```
//! `k-means`, `levels` and `assign` hold the rows in memory, as their peers do; the others read them from disk
//! as they need them. `RAYON_NUM_THREADS` sets the threads.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, path::Path, time::Instant};

use curate_cluster::{Clustering, Init, KMeansParams, Metric, Ordered, Preference, assign};
use curate_core::{
    Cut, EmbeddingSource, NoProgress, SampleId, embedding::UnitRows, rank::Direction,
};
use curate_dedup::{Matches, Mode};
use curate_io::{Embedding, centroids, vectors::StoredArray};
use curate_prune::{Complexity, Pick, Preset, allocate, lower_bounds, select, softmax};
use serde_json::{Value, json};

type Answer = Result<Value, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds its own word.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut answer = match words.as_slice() {
        ["k-means", rows, start, iterations, metric, out] => {
            k_means(rows, start, iterations.parse()?, metric, out)?
        }
        ["levels", rows, clusters, iterations, metric, out] => {
            levels(rows, clusters.parse()?, iterations.parse()?, metric, out)?
        }
        ["assign", rows, centroids, repeats] => assignment(rows, centroids, repeats.parse()?)?,
        ["dedup", rows, members] => dedup(rows, members.parse()?)?,
        ["scale", rows, clusters, iterations] => {
            scale(rows, clusters.parse()?, iterations.parse()?)?
        }
        _ => return Err("what to measure: see the top of this program".into()),
    };
    answer["peak_mib"] = json!(peak_mib()?);
    println!("{answer}");
    Ok(())
}

/// Vectors on disk; nothing of them is held.
fn open(path: &str) -> Result<Embedding, Box<dyn Error>> {
    Ok(Embedding::new(vec![StoredArray::open_npy(Path::new(path))?])?)
}

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(SampleId).collect()
}

fn k_means(rows: &str, start: &str, iterations: usize, metric: &str, out: &str) -> Answer {
    let (rows, start) = (centroids::load(Path::new(rows))?, centroids::load(Path::new(start))?);
    let params = KMeansParams::new(start.nrows())
        .metric(metric_of(metric))
        .tolerance(0.0)
        .iterations(iterations);
    let (kmeans, ids) = (params.check()?, ids(rows.nrows()));
    let clock = Instant::now();
    let found = kmeans.fit_from(start.view(), &rows.view(), &ids, &NoProgress)?;
    let seconds = clock.elapsed().as_secs_f64();
    centroids::save(Path::new(out), found.centroids.view())?;
    Ok(clustered(&found, seconds))
}

fn clustered(found: &Clustering, seconds: f64) -> Value {
    json!({
        "seconds": seconds,
        "iterations": found.objective.len(),
        "reseeded": found.reseeded,
        "inertia": found.inertia(),
        "ruled": {
            "pairs": found.ruled.pairs,
            "bounds": found.ruled.bounds,
            "heads": found.ruled.heads,
            "integers": found.ruled.integers,
            "exact": found.ruled.exact,
        },
    })
}

fn levels(rows: &str, clusters: usize, iterations: usize, metric: &str, out: &str) -> Answer {
    let rows = centroids::load(Path::new(rows))?;
    let kmeans = KMeansParams::new(clusters)
        .metric(metric_of(metric))
        .init(Init::Levels)
        .tolerance(0.0)
        .iterations(iterations)
        .check()?;
    let ids = ids(rows.nrows());
    let clock = Instant::now();
    let trained = kmeans.train_at_once(&rows.view(), &ids, &NoProgress)?;
    let training = clock.elapsed().as_secs_f64();
    drop(trained);
    let clock = Instant::now();
    let found = kmeans.fit(&rows.view(), &ids, &NoProgress)?;
    let seconds = clock.elapsed().as_secs_f64();
    centroids::save(Path::new(out), found.centroids.view())?;
    let mut answer = clustered(&found, seconds);
    answer["seconds_of_training"] = json!(training);
    Ok(answer)
}

fn metric_of(word: &str) -> Metric {
    match word {
        "spherical" => Metric::Spherical,
        _ => Metric::Euclidean,
    }
}

fn assignment(rows: &str, centroids: &str, repeats: usize) -> Answer {
    let (rows, centroids) =
        (centroids::load(Path::new(rows))?, centroids::load(Path::new(centroids))?);
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        let clock = Instant::now();
        assign(centroids.view(), Metric::Spherical, &rows.view(), &NoProgress)?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    Ok(json!({ "seconds": seconds }))
}

/// Clusters of equal size, the rows of each one after the other.
fn dedup(rows: &str, members: usize) -> Answer {
    let rows = open(rows)?;
    let all: Vec<usize> = (0..rows.rows()).collect();
    let clusters = all.chunks(members).map(<[usize]>::to_vec).collect();
    let order = Ordered::from_clusters(clusters, rows.rows())?;
    let before = peak_mib()?;
    let clock = Instant::now();
    let found = Matches::find(&rows, &order, Mode::Reference, &NoProgress)?;
    let seconds = clock.elapsed().as_secs_f64();
    let kept =
        Cut::Epsilon(0.1).apply(&found.similarity, &ids(rows.rows()), Direction::LowerIsBetter)?;
    let sum: f64 = found.similarity.iter().map(|&s| f64::from(s)).sum();
    Ok(json!({
        "seconds": seconds,
        "kept": kept.kept.len(),
        "sum": sum,
        "working_mib": peak_mib()? - before,
    }))
}

fn scale(rows: &str, clusters: usize, iterations: usize) -> Answer {
    let rows = open(rows)?;
    let rows = UnitRows(&rows);
    let ids = ids(rows.rows());
    let kmeans = KMeansParams::new(clusters).tolerance(0.0).iterations(iterations).check()?;
    let mut clock = Instant::now();
    let mut turn = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let found = kmeans.fit(&rows, &ids, &NoProgress)?;
    let cluster = turn();
    let order = found.order(Preference::Hard, &ids, 0)?;
    let duplicates = Matches::find(&rows, &order, Mode::Reference, &NoProgress)?;
    let cut = Cut::Epsilon(0.05);
    let kept = cut.apply(&duplicates.similarity, &ids, Direction::LowerIsBetter)?.kept;
    let dedup = turn();
    let complexity = Complexity::new(&found, 20)?;
    let share = softmax(&complexity.complexity, Preset::Paper.temperature())?;
    let (sizes, wanted) = (found.sizes(), rows.rows() / 2);
    let least = lower_bounds(wanted, Preset::Paper.balance(), &sizes);
    let pruned = select(&order, &allocate(&share, wanted, &least, &sizes)?.counts, Pick::First)?;
    let prune = turn();
    let per_row = |seconds: f64| 1e6 * seconds / rows.rows() as f64;
    Ok(json!({
        "rows": rows.rows(),
        "seconds": { "cluster": cluster, "dedup": dedup, "prune": prune },
        "microseconds_a_row": per_row(cluster + dedup + prune),
        "inertia": found.inertia(),
        "kept_by_dedup": kept.len(),
        "kept_by_prune": pruned.len(),
    }))
}

/// The most memory this process has held, in MiB (Linux).
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
