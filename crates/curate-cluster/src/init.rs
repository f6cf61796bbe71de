//! Where the centroids start.

use curate_core::{EmbeddingSource, Progress, SampleId, SourceError, embedding, random};

use crate::{ClusterError, KMeans, Metric, facts::Facts};

/// The rows with the `count` smallest hashes of their ids, smallest first.
pub(crate) fn smallest_hashes(ids: &[SampleId], count: usize, seed: u64) -> Vec<usize> {
    let mut drawn: Vec<(u64, SampleId, usize)> =
        ids.iter().enumerate().map(|(row, &id)| (random::hash(seed, id), id, row)).collect();
    if count < drawn.len() {
        drawn.select_nth_unstable(count);
        drawn.truncate(count);
    }
    drawn.sort_unstable();
    drawn.into_iter().map(|(.., row)| row).collect()
}

/// Centroids to start from.
pub(crate) struct Start {
    pub(crate) centroids: Vec<f32>,
    /// One that is near each row; empty where none is known.
    pub(crate) cluster: Vec<u32>,
}

impl From<Vec<f32>> for Start {
    fn from(centroids: Vec<f32>) -> Self {
        Self { centroids, cluster: Vec::new() }
    }
}

pub(crate) fn random<S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    source: &S,
    ids: &[SampleId],
) -> Result<Vec<f32>, ClusterError> {
    let seed = random::derive(kmeans.seed(), "k-means start");
    let rows = smallest_hashes(ids, kmeans.clusters(), seed);
    let mut centroids = vec![0.0; rows.len() * source.dim()];
    source.gather(&rows, &mut centroids)?;
    Ok(centroids)
}

/// k-means++: the next centroid is a row drawn with probability proportional to its squared
/// distance to the nearest centroid so far.
pub(crate) fn plus_plus<S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    source: &S,
    facts: &Facts,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Vec<f32>, ClusterError> {
    let (dim, clusters) = (source.dim(), kmeans.clusters());
    let seed = random::derive(kmeans.seed(), "k-means++");
    let mut centroids = Vec::with_capacity(clusters * dim);
    let mut distances = vec![f64::INFINITY; source.rows()];
    let mut row = smallest_hashes(ids, 1, seed)[0];
    let mut vector = vec![0.0; dim];
    for step in 1..=clusters {
        source.gather(&[row], &mut vector)?;
        centroids.extend_from_slice(&vector);
        if step < clusters {
            shrink(kmeans.metric(), source, &vector, facts, &mut distances, progress)?;
            row = draw(&distances, random::unit(seed, SampleId(step as u128)));
        }
    }
    Ok(centroids)
}

/// Lowers each row's squared distance to that of a new centroid.
fn shrink<S: EmbeddingSource + ?Sized>(
    metric: Metric,
    source: &S,
    centroid: &[f32],
    facts: &Facts,
    distances: &mut [f64],
    progress: &dyn Progress,
) -> Result<(), SourceError> {
    let own = embedding::dot(centroid, centroid);
    let blocks = embedding::map_blocks(source, progress, |rows, block| {
        let products = embedding::dots(block, centroid).into_iter();
        match facts.squares(rows) {
            Some(squares) => {
                let distance = |(dot, square): (f64, &f64)| metric.of_product(dot, square + own);
                products.zip(squares).map(distance).collect::<Vec<_>>()
            }
            None => products.map(|dot| metric.of_product(dot, 0.0)).collect(),
        }
    })?;
    for (old, new) in distances.iter_mut().zip(blocks.concat()) {
        *old = old.min(new);
    }
    Ok(())
}

/// The row where the running sum of distances passes `u` of the total. When all distances are
/// zero, the first row.
fn draw(distances: &[f64], u: f64) -> usize {
    let goal = u * distances.iter().sum::<f64>();
    let mut sum = 0.0;
    let passes = |distance: &f64| {
        sum += distance;
        sum > goal
    };
    distances.iter().position(passes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_hashes_do_not_depend_on_the_order_of_rows() {
        let ids: Vec<SampleId> = (0..100).map(SampleId).collect();
        let reversed: Vec<SampleId> = ids.iter().rev().copied().collect();
        let a: Vec<_> = smallest_hashes(&ids, 7, 1).iter().map(|&r| ids[r]).collect();
        let b: Vec<_> = smallest_hashes(&reversed, 7, 1).iter().map(|&r| reversed[r]).collect();
        assert_eq!(a, b);
        assert_eq!(smallest_hashes(&ids, 200, 1).len(), 100);
    }

    #[test]
    fn a_row_at_distance_zero_is_never_drawn_while_others_remain() {
        assert_eq!(draw(&[0.0, 0.0, 2.0, 2.0], 0.0), 2);
        assert_eq!(draw(&[0.0, 1.0, 0.0, 1.0], 0.75), 3);
        assert_eq!(draw(&[0.0, 0.0], 0.3), 0);
    }
}
