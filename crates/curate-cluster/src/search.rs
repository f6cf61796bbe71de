//! Nearest centroids of all rows, block by block.

use std::ops::Range;

use curate_core::{BLOCK_ROWS, EmbeddingSource, Progress, SourceError, embedding};
use curate_kernels::{Centroids, Engine, Nearest, Tracked};
use rayon::prelude::*;

use crate::{ClusterError, Metric, engine::Remote};

/// A search among centroids, which may move between two passes over the rows.
pub(crate) struct Search<'e> {
    place: Place<'e>,
    metric: Metric,
    dim: usize,
}

/// Where the search runs.
enum Place<'e> {
    Native(Centroids),
    /// The native kernels, with what the last pass found out about each row.
    Remembering(Centroids, Memory),
    Remote(Remote<'e>),
}

/// What is known of each row: bounds leave most rows nothing to do once centroids move little.
#[derive(Default)]
struct Memory {
    rows: Vec<Tracked>,
    /// The squared length of each row, where distances need it.
    squares: Vec<f64>,
    /// How far any row lies from the centre of the bounds.
    reach: f32,
    /// Whether a pass over all rows has filled this in.
    filled: bool,
}

/// The answers for one block of rows.
pub(crate) struct Block<'a> {
    pub(crate) cluster: &'a [u32],
    pub(crate) nearness: &'a [f32],
}

impl<'e> Search<'e> {
    pub(crate) fn new(
        engine: Option<&'e dyn Engine>,
        centroids: &[f32],
        dim: usize,
        metric: Metric,
    ) -> Result<Self, ClusterError> {
        let bias = bias(centroids, dim, metric);
        let place = match engine {
            Some(engine) => Place::Remote(Remote::new(engine, centroids, dim, bias)?),
            None => Place::Native(Centroids::new(centroids, dim, bias.as_deref())),
        };
        Ok(Self { place, metric, dim })
    }

    /// From now on remembers what it finds out about each of so many rows, so that the next pass
    /// over the same rows, after [`Self::move_to`], need not search again. An engine does not.
    pub(crate) fn remember(&mut self, rows: usize) {
        if let Place::Native(centroids) = &mut self.place {
            let centroids = std::mem::replace(centroids, Centroids::new(&[], self.dim, None));
            let memory = Memory {
                rows: vec![Tracked::default(); rows],
                squares: vec![0.0; if self.metric == Metric::Euclidean { rows } else { 0 }],
                ..Memory::default()
            };
            self.place = Place::Remembering(centroids, memory);
        }
    }

    /// The same search after the centroids moved.
    pub(crate) fn move_to(&mut self, centroids: &[f32]) -> Result<(), ClusterError> {
        let bias = bias(centroids, self.dim, self.metric);
        match &mut self.place {
            Place::Native(place) => *place = Centroids::new(centroids, self.dim, bias.as_deref()),
            Place::Remembering(place, memory) => {
                memory.filled = true;
                *place = place.moved(centroids, bias.as_deref(), memory.reach);
            }
            Place::Remote(remote) => {
                *remote = Remote::new(remote.engine, centroids, self.dim, bias)?;
            }
        }
        Ok(())
    }

    /// Reads every block, finds the nearest centroids on all threads, and hands vectors and answers
    /// to `each`, in block order.
    pub(crate) fn each_block<S: EmbeddingSource + ?Sized>(
        &mut self,
        source: &S,
        progress: &dyn Progress,
        mut each: impl FnMut(&[f32], Block<'_>),
    ) -> Result<(), ClusterError> {
        let mut buffer = Vec::new();
        let (mut cluster, mut nearness) = (Vec::new(), Vec::new());
        let mut nearest = Vec::new();
        for start in (0..source.rows()).step_by(BLOCK_ROWS) {
            progress.check().map_err(SourceError::from)?;
            let rows = start..source.rows().min(start + BLOCK_ROWS);
            let vectors = embedding::read_rows(source, rows.clone(), &mut buffer)?;
            nearest.clear();
            nearest.resize(rows.len(), Nearest::default());
            self.nearest(rows.clone(), vectors, &mut nearest)?;
            if let Some(bad) = nearest.iter().position(|n| !n.value.is_finite()) {
                return Err(ClusterError::NotFinite { row: start + bad });
            }
            cluster.clear();
            cluster.extend(nearest.iter().map(|n| n.index));
            self.nearness(rows.clone(), vectors, &nearest, &mut nearness);
            each(vectors, Block { cluster: &cluster, nearness: &nearness });
            progress.advance(rows.len() as u64);
        }
        Ok(())
    }

    fn nearest(
        &mut self,
        rows: Range<usize>,
        vectors: &[f32],
        nearest: &mut [Nearest],
    ) -> Result<(), ClusterError> {
        match &mut self.place {
            Place::Native(centroids) => centroids.nearest_parallel(vectors, nearest),
            Place::Remembering(centroids, memory) => {
                let known = &mut memory.rows[rows];
                memory.reach = memory.reach.max(centroids.track(vectors, known));
                nearest.iter_mut().zip(known).for_each(|(out, known)| *out = known.nearest);
            }
            Place::Remote(remote) => remote.nearest(vectors, nearest)?,
        }
        Ok(())
    }

    /// How near each row is: the inner product when spherical, the squared distance when Euclidean.
    fn nearness(
        &mut self,
        rows: Range<usize>,
        vectors: &[f32],
        nearest: &[Nearest],
        out: &mut Vec<f32>,
    ) {
        out.clear();
        if self.metric == Metric::Spherical {
            out.extend(nearest.iter().map(|n| n.value));
            return;
        }
        let mut fresh = Vec::new();
        let squares = match &mut self.place {
            Place::Remembering(_, memory) if memory.filled => &memory.squares[rows],
            Place::Remembering(_, memory) => {
                squares(vectors, self.dim, &mut fresh);
                memory.squares[rows].copy_from_slice(&fresh);
                &fresh
            }
            _ => {
                squares(vectors, self.dim, &mut fresh);
                &fresh
            }
        };
        let distance = |(n, square): (&Nearest, &f64)| (square - 2.0 * f64::from(n.value)).max(0.0);
        out.extend(nearest.iter().zip(squares).map(distance).map(|distance| distance as f32));
    }
}

/// What is added to inner products so that the largest belongs to the smallest distance.
fn bias(centroids: &[f32], dim: usize, metric: Metric) -> Option<Vec<f32>> {
    let half_square = |c: &[f32]| (-0.5 * embedding::dot(c, c)) as f32;
    (metric == Metric::Euclidean)
        .then(|| centroids.chunks_exact(dim.max(1)).map(half_square).collect())
}

fn squares(vectors: &[f32], dim: usize, out: &mut Vec<f64>) {
    vectors.par_chunks_exact(dim.max(1)).map(|x| embedding::dot(x, x)).collect_into_vec(out);
}
