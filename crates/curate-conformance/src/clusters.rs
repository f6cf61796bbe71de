//! Nearest centroids and k-means against the native kernels.

use anyhow::Result;
use curate_cluster::{Clustering, KMeansParams, Metric};
use curate_core::{NoProgress, SampleId, embedding, random};
use curate_device::{Centroids, DeviceEngine, DeviceName, TOLERANCE};
use curate_kernels::reference::dot;
use ndarray::Array2;

use crate::Check;

/// How far the inertia of a fit to rows without structure may lie from the native fit's, relative
/// to it. Where two centroids are equally near up to rounding, a device may choose the other one,
/// and everything after that choice differs.
const INERTIA: f64 = 1e-3;

pub(crate) fn check(device: DeviceName, each: &mut dyn FnMut(Check)) -> Result<()> {
    nearest(device, each)?;
    ties(device, each)?;
    groups(device, each)?;
    noise(device, each)
}

/// Random directions.
fn directions(n: usize, dim: usize, seed: u64) -> Array2<f32> {
    let draw = |i: usize| random::unit(seed, SampleId(i as u128)) as f32 - 0.5;
    let mut rows: Vec<f32> = (0..n * dim).map(draw).collect();
    rows.chunks_exact_mut(dim).for_each(embedding::normalize);
    Array2::from_shape_vec((n, dim), rows).expect("n rows of dim numbers")
}

/// `n` directions around `k` others, of length 1.
pub fn clustered_directions(n: usize, k: usize, dim: usize) -> Array2<f32> {
    let (centers, mut rows) = (directions(k, dim, 5), directions(n, dim, 6));
    for (i, mut row) in rows.outer_iter_mut().enumerate() {
        row *= 0.3;
        row += &centers.row(i % k);
        embedding::normalize(row.as_slice_mut().expect("standard layout"));
    }
    rows
}

fn numbers(rows: &Array2<f32>) -> &[f32] {
    rows.as_slice().expect("standard layout")
}

fn nearest(device: DeviceName, each: &mut dyn FnMut(Check)) -> Result<()> {
    let dim = 96;
    let (rows, centroids) = (directions(1_000, dim, 1), directions(333, dim, 2));
    let (rows, centroids) = (numbers(&rows), numbers(&centroids));
    let found = Centroids::new(&device.open()?, centroids, dim, None)?.nearest(rows)?;
    let (mut value, mut choice) = (0.0_f32, 0.0_f32);
    for (row, found) in rows.chunks_exact(dim).zip(&found) {
        let products = centroids.chunks_exact(dim).map(|centroid| dot(row, centroid));
        let best = products.fold(f32::NEG_INFINITY, f32::max);
        let chosen = dot(row, &centroids[found.index as usize * dim..][..dim]);
        value = value.max((found.value - best).abs());
        choice = choice.max(best - chosen);
    }
    let bar = f64::from(TOLERANCE);
    each(Check::new("nearest centroids: inner product", value.into(), bar));
    each(Check::new("nearest centroids: lost by the choice", choice.into(), bar));
    Ok(())
}

/// Every centroid occurs three times, and the first has to be chosen. The difference is the number
/// of rows for which it was not.
fn ties(device: DeviceName, each: &mut dyn FnMut(Check)) -> Result<()> {
    let (dim, k) = (32, 400);
    let once = directions(k, dim, 3);
    let thrice = numbers(&once).repeat(3);
    let found = Centroids::new(&device.open()?, &thrice, dim, None)?.nearest(numbers(&once))?;
    let late = found.iter().filter(|nearest| nearest.index as usize >= k).count();
    each(Check::new("nearest centroids: ties lost to a later index", late as f64, 0.0));
    Ok(())
}

/// The fits of the device and of the native kernels.
fn fits(device: DeviceName, rows: &Array2<f32>, params: KMeansParams) -> Result<[Clustering; 2]> {
    let ids: Vec<SampleId> = (0..rows.nrows() as u128).map(SampleId).collect();
    let kmeans = params.check()?;
    let engine = DeviceEngine::new(device)?;
    let fit = |engine| kmeans.fit_on(engine, &rows.view(), &ids, &NoProgress);
    Ok([fit(Some(&engine))?, fit(None)?])
}

fn groups(device: DeviceName, each: &mut dyn FnMut(Check)) -> Result<()> {
    let rows = clustered_directions(1_200, 12, 48);
    for (metric, name) in [(Metric::Spherical, "spherical"), (Metric::Euclidean, "Euclidean")] {
        let params = KMeansParams::new(12).metric(metric).seed(4);
        let [found, native] = fits(device, &rows, params)?;
        let pairs = found.assignment.cluster().iter().zip(native.assignment.cluster());
        let moved = pairs.filter(|(a, b)| a != b).count();
        each(Check::new(format!("{name} k-means: rows in another cluster"), moved as f64, 0.0));
        let name = format!("{name} k-means: centroids");
        each(Check::relative(name, numbers(&found.centroids), numbers(&native.centroids), 1e-6));
    }
    Ok(())
}

fn noise(device: DeviceName, each: &mut dyn FnMut(Check)) -> Result<()> {
    let params = KMeansParams::new(40).iterations(10).seed(7);
    let [found, native] = fits(device, &directions(2_000, 32, 8), params)?;
    let difference = (found.inertia() - native.inertia()).abs() / native.inertia();
    each(Check::new("k-means of rows without structure: inertia", difference, INERTIA));
    Ok(())
}
