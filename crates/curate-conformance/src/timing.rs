//! Times k-means on a device and on the CPU's native kernels.

use std::time::Instant;

use anyhow::Result;
use curate_cluster::{Clustering, Engine, KMeansParams};
use curate_conformance::clustered_directions;
use curate_core::{NoProgress, SampleId};
use curate_device::DeviceName;
use ndarray::Array2;

const ROWS: usize = 100_000;
const DIM: usize = 512;
const CLUSTERS: usize = 1_024;
const ITERATIONS: usize = 5;

/// Prints the seconds per pass over the rows, sums on the host included, and how far the two
/// results are apart.
pub(crate) fn k_means(device: DeviceName) -> Result<()> {
    let rows = clustered_directions(ROWS, CLUSTERS / 2, DIM);
    let ids: Vec<SampleId> = (0..ROWS as u128).map(SampleId).collect();
    let engine = device.engine()?;
    // The first pass compiles and tunes the shaders, so it is timed apart.
    let started = Instant::now();
    fit(engine.as_deref(), &rows, &ids, 1)?;
    let first = started.elapsed().as_secs_f64();
    let (on_device, seconds) = timed(engine.as_deref(), &rows, &ids)?;
    println!("  k-means {ROWS} x {DIM}, k = {CLUSTERS}, {ITERATIONS} iterations and an assignment");
    println!(
        "    {device}: {seconds:.3} s, {:.3} s per pass; first use {first:.1} s",
        per_pass(seconds)
    );
    if engine.is_some() {
        let (native, seconds) = timed(None, &rows, &ids)?;
        println!("    native kernels: {seconds:.3} s, {:.3} s per pass", per_pass(seconds));
        let pairs = on_device.assignment.cluster().iter().zip(native.assignment.cluster());
        let moved = pairs.filter(|(a, b)| a != b).count();
        let off = (on_device.inertia() - native.inertia()).abs() / native.inertia();
        println!("    {moved} rows in another cluster, inertia differs by {off:.1e}");
    }
    Ok(())
}

fn per_pass(seconds: f64) -> f64 {
    seconds / (ITERATIONS + 1) as f64
}

fn timed(
    engine: Option<&dyn Engine>,
    rows: &Array2<f32>,
    ids: &[SampleId],
) -> Result<(Clustering, f64)> {
    let started = Instant::now();
    let found = fit(engine, rows, ids, ITERATIONS)?;
    Ok((found, started.elapsed().as_secs_f64()))
}

fn fit(
    engine: Option<&dyn Engine>,
    rows: &Array2<f32>,
    ids: &[SampleId],
    iterations: usize,
) -> Result<Clustering> {
    let params = KMeansParams::new(CLUSTERS).iterations(iterations).tolerance(0.0).seed(1);
    Ok(params.check()?.fit_on(engine, &rows.view(), ids, &NoProgress)?)
}
