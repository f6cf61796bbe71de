//! Clusters a matrix of embeddings and looks at what came out: `cargo run --release --example k_means`.

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::error::Error;

use curate_cluster::{Init, KMeansParams, Preference, assign};
use curate_core::{NoProgress, SampleId, embedding, random};
use ndarray::Array2;

/// A thousand rows around five directions; yours come from your model.
fn embeddings() -> Array2<f32> {
    let mut rows = Array2::from_shape_fn((1_000, 16), |(row, t)| {
        let noise = random::unit(7, SampleId((row * 16 + t) as u128)) as f32 - 0.5;
        f32::from(t == row % 5) + 0.4 * noise
    });
    for mut row in rows.rows_mut() {
        // Spherical k-means compares cosines, so rows have to be of length 1.
        embedding::normalize(row.as_slice_mut().expect("standard layout"));
    }
    rows
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let rows = embeddings();
    // Ids decide random draws and ties; row numbers do when there is nothing better.
    let ids: Vec<SampleId> = (0..rows.nrows() as u128).map(SampleId).collect();

    let kmeans = KMeansParams::new(5).init(Init::PlusPlus).seed(1).check()?;
    let clusters = kmeans.fit(&rows.view(), &ids, &NoProgress)?;
    println!("{} iterations, inertia {:.2}", clusters.objective.len(), clusters.inertia());
    println!("rows in each cluster: {:?}", clusters.sizes());
    assert_eq!(clusters.sizes(), [200; 5]);

    // The rows of each cluster, those farthest from its centroid first.
    let order = clusters.order(Preference::Hard, &ids, 0)?;
    println!(
        "hardest row of each cluster: {:?}",
        order.clusters().iter().map(|c| c[0]).collect::<Vec<_>>()
    );

    // New rows go to the centroids that are there.
    let new = rows.slice(ndarray::s![..3, ..]);
    let assigned = assign(clusters.centroids.view(), clusters.metric, &new, &NoProgress)?;
    assert_eq!(assigned.cluster(), &clusters.assignment.cluster()[..3]);
    Ok(())
}
