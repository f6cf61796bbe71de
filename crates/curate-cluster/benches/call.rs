//! Times our k-means on rows in memory, as the Python package calls it, for `benches/python/run.py`;
//! prints one JSON object a turn: it waits for a line on its input before each, so that turns can alternate.
//!
//! ```text
//! cargo bench -p curate-cluster --bench call -- ROWS.npy CLUSTERS ITERATIONS
//! ```

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, io::BufRead, path::Path, time::Instant};

use curate_cluster::{EmptyClusters, KMeansParams, Metric};
use curate_core::{Given, NoProgress, Rows, fault::NormPolicy};
use curate_io::centroids;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds its own word.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [rows, clusters, iterations] = args.as_slice() else {
        return Err("what to measure: see the top of this program".into());
    };
    let vectors = centroids::load(Path::new(rows))?;
    let params = KMeansParams::new(clusters.parse()?)
        .iterations(iterations.parse()?)
        .tolerance(0.0)
        .metric(Metric::Euclidean)
        .empty_clusters(EmptyClusters::Split);
    let method = params.check()?;
    for turn in std::io::stdin().lock().lines() {
        turn?;
        let clock = Instant::now();
        let given = Given { norm: NormPolicy::Any, ..Given::default() };
        let found = method.run(&Rows::read(&vectors, given, &NoProgress)?, &NoProgress)?;
        let seconds = clock.elapsed().as_secs_f64();
        println!(
            "{}",
            serde_json::json!({"seconds": seconds, "inertia": found.clustering().inertia()})
        );
    }
    Ok(())
}
