//! Times our Euclidean k-means beside linfa's from the same start, for `benches/cluster/run.py`;
//! prints one JSON object.
//!
//! ```text
//! cargo bench -p curate-cluster --features linfa --bench linfa -- ROWS.npy ROWS-TO-USE CLUSTERS ITERATIONS
//! ```
//! Both run so many iterations at most, on f32 rows in memory; `RAYON_NUM_THREADS` sets the threads.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, path::Path, time::Instant};

use curate_cluster::{KMeansParams, Metric};
use curate_core::{NoProgress, SampleId};
use curate_io::centroids;
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::s;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds its own word.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [rows, n, k, iterations] = args.as_slice() else {
        return Err("what to measure: see the top of this program".into());
    };
    let (n, k, iterations): (usize, usize, usize) = (n.parse()?, k.parse()?, iterations.parse()?);
    let rows = centroids::load(Path::new(rows))?;
    let rows = rows.slice(s![..n, ..]);
    let start = rows.slice(s![..k, ..]);
    let ids: Vec<SampleId> = (0..n as u128).map(SampleId).collect();
    let params = KMeansParams::new(k).metric(Metric::Euclidean).tolerance(0.0);
    let kmeans = params.iterations(iterations).check()?;
    let clock = Instant::now();
    let ours = kmeans.fit_from(start, &rows, &ids, &NoProgress)?;
    let our_seconds = clock.elapsed().as_secs_f64();

    let table = |view: ndarray::ArrayView2<'_, f32>| {
        ndarray016::Array2::from_shape_vec(view.dim(), view.iter().copied().collect())
    };
    let (data, start) = (DatasetBase::from(table(rows)?), table(start)?);
    let theirs = KMeans::params(k)
        .init_method(KMeansInit::Precomputed(start))
        .n_runs(1)
        .max_n_iterations(iterations as u64)
        .tolerance(1e-12)
        .check()?;
    let clock = Instant::now();
    let fitted = theirs.fit(&data)?;
    let their_seconds = clock.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "ours_seconds": our_seconds,
            "ours_iterations": ours.objective.len(),
            "ours_inertia": ours.inertia(),
            "linfa_seconds": their_seconds,
            "linfa_inertia": f64::from(fitted.inertia()) * n as f64,
        })
    );
    Ok(())
}
